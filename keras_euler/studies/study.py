"""Run a grid or a search in a folder, in this process or on a Dask cluster."""

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_euler._checks import check_integer, install_command
from keras_euler._types import PathLike
from keras_euler.studies.point_folder import (
    POINT,
    RESULT,
    Objective,
    Outcome,
    read_point,
    run_point,
    validated_result,
)
from keras_euler.studies.points import COLUMNS, Point, Search, folder_name, key, validated_points
from keras_euler.training.interrupts import Interruptible, raise_pending_interrupt
from keras_euler.training.run_folder import FolderInUse, differences, locked, write_json

if TYPE_CHECKING:
    import pandas as pd

Runner = Callable[..., Iterator[tuple[Point, Outcome]]]
WAIT = 5  # seconds until a point of another process is looked at again


def run(
    objective: Objective,
    points: Sequence[Mapping[str, Any]] | Search,
    folder: PathLike,
    *,
    workers: int = 1,
    cluster: Any = None,
    settings: Mapping[str, Any] | None = None,
    known: "pd.DataFrame | None" = None,
    verbose: bool = True,
) -> "pd.DataFrame":
    """Run every point of a grid once, or a search, in a folder; return the results as a table.

    Each point has a folder of its own, and `result.json` there means done. Whatever is killed, the
    same call runs only what is missing: points that failed, were interrupted or are new. Several
    processes and machines that share the folder share the grid: each takes points that nobody is
    at. An objective that can resume, such as `keras_euler.training.fit` in the folder that it gets,
    then continues an interrupted point. Every point starts from Keras' random seed 0, wherever it
    runs.

    Args:
        objective: Function of a point, a dict of setting -> value, and of a folder for its own
            files. It returns the number to maximize, or a JSON-serializable dict with this number
            as `"value"`.
        points: List of points, as `grid` makes them, or a `Search`, which one process at a time
            drives.
        folder: Folder of the study, which is created if missing.
        workers: Number of processes on this machine. They divide the cores; if one dies, Dask
            starts another.
        cluster: Address of a Dask scheduler, such as `"tcp://host:8786"`, or a Dask cluster object,
            such as that of dask-jobqueue for Slurm, or that of dask-cuda with a worker per GPU. Its
            workers must see the folder under the same path, and have this package and the
            objective. Start them with `--nthreads 1` and with KERAS_BACKEND set.
        settings: JSON-serializable dict of what all points share. A folder of other settings is
            refused.
        known: Table of finished points, such as `results` of another folder, with columns for
            `value`, the settings of a point and the shared `settings`. Points of a grid with a
            row there are not run.
        verbose: Whether to print a line when a point is done.

    Returns:
        A pandas `DataFrame` with one row per point, as `results` returns it.

    Raises:
        ValueError: The points are invalid, or the folder holds a study of other settings.
        TypeError: The objective is not a function, or the points are not dicts of numbers and
            strings.
        FolderInUse: Another process drives a search in the folder.
        OSError: The disk is full.

    Example:

    >>> from keras_euler import studies
    >>> table = studies.run(
    ...     lambda point, folder: -((point["x"] - 1) ** 2),
    ...     studies.grid(x=[0, 1, 2]),
    ...     tempfile.mkdtemp(),
    ...     verbose=False,
    ... )
    >>> table[["x", "state", "value"]].values.tolist()
    [[0, 'complete', -1.0], [1, 'complete', 0.0], [2, 'complete', -1.0]]
    """
    _import_extra()
    if not callable(objective):
        raise TypeError(
            "`objective` must be a function of a point and a folder. Received: "
            f"objective={objective!r}."
        )
    check_integer("workers", workers, 1)
    search = points if isinstance(points, Search) else None
    if known is not None and search:
        raise ValueError("`known` is for a grid. Received: a Search. Leave it out.")
    points = validated_points([points.fixed] if isinstance(points, Search) else points)
    study = Path(folder).expanduser().absolute()
    say = (lambda line: print(line, flush=True)) if verbose else (lambda line: None)
    folder_of = lambda point: study / "points" / folder_name(point)
    settings = dict(settings or {})
    for name in settings:
        if name in points[0] or name in COLUMNS:
            raise ValueError(
                f"`settings` must not have {name!r}, which is a setting of the points or a column "
                "of the results."
            )
    with Interruptible(), contextlib.ExitStack() as stack:
        compute = functools.partial(run_point, objective, taken={*COLUMNS, *settings})
        number: Callable[[], int] = lambda: 1
        runner: Runner = lambda points, limit: ((p, compute(p, folder_of(p))) for p in points)
        if cluster is not None or workers > 1:
            from keras_euler.studies.cluster import dask_client, on_cluster

            client = stack.enter_context(dask_client(workers, cluster))
            number = lambda: len(client.nthreads())
            runner = functools.partial(on_cluster, client, compute, folder_of)
            if cluster is not None:
                say(f"{number()} workers now, dashboard: {client.dashboard_link}")
        _own(study, settings)
        limit, tell = None, lambda *_: None
        if search:
            from keras_euler.studies.search import Proposals, storage_errors

            stack.enter_context(locked(study))
            stack.enter_context(storage_errors(study))
            proposals = Proposals(search, study)
            limit, tell, todo = number, proposals.tell, iter(proposals)
            total, left = search.num_trials, proposals.num_left
        else:
            _take(known, points, settings, folder_of, say)
            unfinished = [point for point in points if not (folder_of(point) / RESULT).exists()]
            todo, total, left = iter(unfinished), len(points), len(unfinished)
        say(f"{total} points, {left} to run")
        outcomes: list[Outcome] = []

        def finish(point: Point, outcome: Outcome) -> None:
            tell(point, outcome)
            outcomes.append(outcome)
            say(_progress(point, outcomes, left - len(outcomes), total, number()))

        _run_all(todo, limit, runner, finish, say)
        points = proposals.points() if search else points
        return _table([folder_of(point) for point in points])


def results(folder: PathLike) -> "pd.DataFrame":
    """Return the results of a study, finished or not.

    Args:
        folder: Folder of the study.

    Returns:
        A pandas `DataFrame` with one row per point that was begun: its settings, `state`
        (complete, failed, running or interrupted), `value`, `error`, and one column for everything
        else that the objective returned.

    Raises:
        ValueError: There is no study in the folder.

    Example:

    >>> from keras_euler import studies
    >>> folder = tempfile.mkdtemp()
    >>> points = studies.grid(seed=[7, 8], h=[0.1, 1])
    >>> table = studies.run(lambda point, folder: point["h"], points, folder, verbose=False)
    >>> studies.results(folder).groupby("h").value.median().to_dict()
    {0.1: 0.1, 1.0: 1.0}
    """
    _import_extra()
    study = Path(folder).expanduser()
    if not (study / "study.json").is_file():
        raise ValueError(f"There is no study in {study}: it has no study.json.")
    return _table(sorted(path.parent for path in study.glob(f"points/*/{POINT}")))


def _table(folders: Sequence[Path]) -> "pd.DataFrame":
    import pandas as pd

    read = [read_point(folder) for folder in folders]
    names = [name for point, _ in read for name in point]
    rows = [{**dict.fromkeys((*names, *COLUMNS)), **outcome, **point} for point, outcome in read]
    return pd.DataFrame(rows, columns=None if rows else COLUMNS)


def _own(study: Path, settings: Mapping[str, Any]) -> None:
    """Create the folder of a study, or check that it has the same settings."""
    study.mkdir(parents=True, exist_ok=True)
    file = study / "study.json"
    is_empty = all(path.name[0] == "." for path in study.iterdir())
    if not file.exists():  # after the listing: another process may be creating the study
        if not is_empty:
            raise ValueError(f"{study} is not empty and holds no study. Pass another folder.")
        write_json(file, settings)
    difference = differences(json.loads(file.read_text()), json.loads(json.dumps(settings)))
    if difference:
        raise ValueError(
            f"{study} holds a study of other settings ({'; '.join(difference)}). Pass another "
            "folder."
        )


def _take(
    known: "pd.DataFrame | None",
    points: list[Point],
    settings: Mapping[str, Any],
    folder_of: Callable[[Point], Path],
    say: Callable[[str], None],
) -> None:
    """Write the results of points that a table has with equal settings."""
    if known is None:
        return
    wanted = {key({**settings, **point}): point for point in points}
    names = [*settings, *points[0]]
    if "value" not in known:
        raise ValueError(f"`known` must have a column `value`. Received: {', '.join(known)}.")
    num_taken = 0
    for row in known.to_dict("records"):
        row = {n: v for n, v in row.items() if not (isinstance(v, float) and v != v)}
        point = wanted.get(key({name: row.get(name) for name in names}))
        if point is None or "value" not in row:  # what is not finished has none
            continue
        result = {n: v for n, v in row.items() if n not in names and n not in ("state", "error")}
        result = validated_result(result, names)
        with contextlib.suppress(FolderInUse), locked(folder_of(point)):
            if not (folder_of(point) / RESULT).exists():
                write_json(folder_of(point) / POINT, point)
                write_json(folder_of(point) / RESULT, result)
                num_taken += 1
    say(f"{num_taken} of {len(points)} points taken from the table")


def _run_all(
    points: Iterator[Point],
    limit: Callable[[], int] | None,
    runner: Runner,
    finish: Callable[[Point, Outcome], None],
    say: Callable[[str], None],
) -> None:
    """Run points, and wait for those that other processes are at."""
    while True:
        busy = []
        for point, outcome in runner(points, limit):
            raise_pending_interrupt()
            if outcome["state"] == "running":
                busy.append(point)
            else:
                finish(point, outcome)
        if not busy:
            return
        say(f"waiting for {len(busy)} points of other processes")
        time.sleep(WAIT)
        points = iter(busy)


def _progress(point: Point, outcomes: list[Outcome], left: int, total: int, workers: int) -> str:
    """Describe what came of a point, how many points are done, running and failed, and about how
    long the rest takes.

    Args:
        point: The point that was run last.
        outcomes: What came of the points so far.
        left: Number of points that are left.
        total: Number of all points, also those of earlier calls.
        workers: Number of workers.
    """
    settings = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in point.items()
    )
    outcome, workers = outcomes[-1], max(1, workers)
    complete = [outcome for outcome in outcomes if outcome["state"] == "complete"]
    failed = len(outcomes) - len(complete)
    counts = f"{total - left - failed} of {total} done, {min(left, workers)} running"
    counts += f", {failed} failed" * (failed > 0)
    # A point that was done before has no seconds.
    seconds = [outcome["seconds"] for outcome in complete if "seconds" in outcome]
    if left and seconds:
        rest = sum(seconds) / len(seconds) * left / workers
        counts += f", about {rest / 60:.0f} min left" if rest >= 60 else ", < 1 min left"
    if outcome["state"] == "failed":
        what = f"failed: {outcome['error']}"
    else:
        what = f"{outcome['value']:.4g}"
        if "seconds" in outcome:
            what += f", {outcome['seconds']:.0f} s"
    return f"{settings}: {what} ({counts})"


def _import_extra() -> None:
    """Import what studies need, or raise an error that names the extra."""
    try:
        import distributed  # noqa: F401
        import filelock  # noqa: F401
        import optuna  # noqa: F401
        import pandas  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Studies need {error.name}. Install it: {install_command('studies')}"
        ) from error
