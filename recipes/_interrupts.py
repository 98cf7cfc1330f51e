"""Ctrl-C that isn't lost.

An exception that meets a callback of the garbage collector, and JAX has one, is dropped there. So an interrupt is noted, raised
again where a run can end, and Python's report of the drop is left out.
"""

import contextlib
import signal
import sys


class Interruptible:
    """A context in which interrupts are noted, and which ends as an interrupt whatever error a framework made of it.

    Contexts may lie within each other: what one has noted, all raise.
    """

    pressed = False

    def __enter__(self):
        raise_again()
        self.before, self.report = signal.getsignal(signal.SIGINT), sys.unraisablehook
        if self.before is not signal.SIG_IGN:  # as a shell sets it for jobs in the background
            signal.signal(signal.SIGINT, press)
            sys.unraisablehook = self._dropped
        return self

    def __exit__(self, kind, *_):
        signal.signal(signal.SIGINT, self.before)
        sys.unraisablehook = self.report
        pressed = Interruptible.pressed
        if self.before is not press:  # the outermost
            Interruptible.pressed = False
        if pressed and kind is not SystemExit:
            raise KeyboardInterrupt

    def _dropped(self, unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self.report(unraisable)


def raise_again():
    """Raise the interrupt that came within an `Interruptible` and was dropped, if there was one."""
    if Interruptible.pressed:
        raise KeyboardInterrupt


def press(*_):
    """Note an interrupt and raise it: a handler of signals."""
    Interruptible.pressed = True
    raise KeyboardInterrupt


@contextlib.contextmanager
def ended_as_interrupted():
    """A context that a request to end the process, or the end of its terminal, interrupts."""
    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in wanted}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as nohup sets it
                signal.signal(number, press)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
