"""A warning if a callback that reports the logs of an epoch precedes the one that adds to them."""

import dis
import inspect
import warnings
from collections.abc import Iterable

import keras

# Keras' other callbacks read at most one metric, and warn themselves if it is missing.
REPORTERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.History,
    keras.callbacks.ProgbarLogger,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)


def warn_of_earlier_reporters(
    callback: keras.callbacks.Callback, names: Iterable[str], informed: type | tuple[type, ...] = ()
) -> None:
    """Warn if callbacks that report the logs run before the one that adds `names` to them.

    Call it from a hook of `callback`, such as `on_train_begin`.

    Args:
        callback: The callback that adds to the logs.
        names: Names that it adds.
        informed: Classes of callbacks that get the numbers in another way.
    """
    missed = [
        type(other).__name__
        for other in _preceding(callback)
        if _reports(other) and not isinstance(other, informed)
    ]
    if missed:
        columns, kind = ", ".join(f"`{name}`" for name in names), type(callback).__name__
        reporters = ", ".join(dict.fromkeys(missed))
        warnings.warn(
            f"{reporters} will not see {columns}: in the list of callbacks, pass {kind} first.",
            stacklevel=3,
        )


def _preceding(callback: keras.callbacks.Callback) -> list[keras.callbacks.Callback]:
    """Return the callbacks that run before this one.

    Keras passes no reference to the list, so it is looked up among the callers: `CallbackList`
    calls all hooks.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            callbacks = caller.callbacks
            return callbacks[: callbacks.index(callback)] if callback in callbacks else []
        frame = frame.f_back
    return []


def _reports(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback uses the logs of an epoch: by class for those of Keras, else by the
    code of `on_epoch_end`."""
    if isinstance(callback, REPORTERS):
        return True
    method = callback.on_epoch_end
    if str(getattr(method, "__module__", None)).partition(".")[0] in ("keras", "keras_euler"):
        return False
    code = getattr(inspect.unwrap(method), "__code__", None)
    if code is None:  # not written in Python
        return True
    logs = code.co_varnames[code.co_argcount - 1]
    used = [
        instruction.argval for instruction in dis.get_instructions(code)
    ]  # some instructions load two variables
    return any(logs == name or (isinstance(name, tuple) and logs in name) for name in used)
