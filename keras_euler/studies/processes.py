"""Tell whether the process of a trial is dead, so that nobody waits for its heartbeat."""

import os
import socket
from pathlib import Path
from typing import Any

PROCESS = "process"  # attribute of a trial


def this_process() -> list[Any]:
    """Return the machine and the number of this process.

    The machine is its name, the time it was started and, in a container, the container, because
    numbers repeat across them.
    """
    return [_machine(), os.getpid()]


def is_dead(process: Any) -> bool:
    """Return whether a process, from `this_process`, ran on this machine and is gone; False if that
    cannot be told."""
    if os.name != "posix" or not process or process[0] is None or process[0] != _machine():
        return False
    try:
        os.kill(process[1], 0)  # no signal is sent
    except ProcessLookupError:
        return True
    except OSError:  # of another user
        return False
    return _is_zombie(process[1])


def _is_zombie(pid: int) -> bool:
    """Return whether a process has ended while its parent has not asked for its exit status, such
    as a worker of `run`."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _machine() -> str | None:
    """Return what tells machines and containers apart; None if nothing does, as two machines may
    have one name."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    try:
        return f"{socket.gethostname()} {boot.read_text().strip()} {os.readlink(namespace)}"
    except OSError:
        return None
