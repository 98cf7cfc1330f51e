"""One point of a study in its folder: run once, by one process at a time.

`result.json` there means done. The lock means that a process is at it; the system frees the lock
when the process dies. `run` is the folder of the objective.
"""

import contextlib
import errno
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_euler.studies.points import COLUMNS, Point
from keras_euler.training.run_folder import FolderInUse, locked, write_json

Objective = Callable[[Point, Path], float | Mapping[str, Any]]
Outcome = dict[str, Any]  # `state`, `value`, `error` and `seconds` of a point
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
RESULT, ERROR, POINT = "result.json", "error.json", "point.json"


def run_point(
    objective: Objective, point: Point, folder: Path, taken: Iterable[str] = COLUMNS
) -> Outcome:
    """Run a point unless it is done or another process is at it.

    Args:
        objective: The objective.
        point: The point.
        folder: Its folder.
        taken: Names that its results must not have.

    Returns:
        The outcome. Its state is `complete`, `failed` (the objective raised an error, which is
        recorded), or `running` (elsewhere).

    Raises:
        OSError: The disk is full or read-only.
    """
    start = time.monotonic()
    try:
        with locked(folder):
            if (folder / RESULT).exists():
                return read_point(folder)[1]
            write_json(folder / POINT, point)
            (folder / ERROR).unlink(missing_ok=True)
            (folder / "run").mkdir(exist_ok=True)
            for _ in range(2):  # the first of a process imports TensorFlow, which draws numbers
                keras.utils.set_random_seed(0)
            try:
                result = objective(dict(point), folder / "run")
                write_json(folder / RESULT, validated_result(result, {*point, *taken}))
            except FolderInUse:
                raise
            except (Exception, SystemExit) as error:
                if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                    raise
                fail(point, folder, error)
    except FolderInUse:
        return {"state": "running"}
    return {**read_point(folder)[1], "seconds": time.monotonic() - start}


def fail(point: Point, folder: Path, error: BaseException) -> Outcome:
    """Record the error of a point, which a worker may have died before it began, and return the
    outcome."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / POINT, point)
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    write_json(folder / ERROR, {"error": reason})
    return {"state": "failed", "error": reason}


def read_point(folder: Path) -> tuple[Point, Outcome]:
    """Return the point of a folder and its result: a dict of `state`, `value`, `error` and what
    else the objective returned."""
    point = json.loads((folder / POINT).read_text())
    for file, state in ((RESULT, "complete"), (ERROR, "failed")):
        with contextlib.suppress(FileNotFoundError):
            return point, {"state": state, **json.loads((folder / file).read_text())}
    try:
        with locked(folder):
            return point, {"state": "interrupted"}
    except FolderInUse:
        return point, {"state": "running"}


def validated_result(result: float | Mapping[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """Return the result of an objective as a JSON-serializable dict with a number as `value`, and
    without the names that are taken, or raise."""
    record = dict(result) if isinstance(result, Mapping) else {"value": result}
    record = json.loads(json.dumps(record, default=_plain))
    if not isinstance(record.get("value"), (int, float)):
        raise TypeError(
            "The objective must return a number, or a dict with a number as 'value'. Received: "
            f"{result!r}."
        )
    if math.isnan(record["value"]):
        raise ValueError(
            "The objective returned NaN. Return the lowest value that a point can have."
        )
    record["value"] = float(record["value"])
    for name in taken:
        if name in record and name != "value":
            raise ValueError(
                f"The objective must not return {name!r}, which is a setting or a column of the "
                "results. Use another name."
            )
    return record


def _plain(value: object) -> Any:
    """Convert a NumPy number or array to JSON-serializable values."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(
        f"The objective must return JSON-serializable values. Received: {type(value).__name__}."
    )
