"""Run a grid or a search in a folder, in this process or on a Dask cluster."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_euler._checks import check_integer, install_command
from keras_euler._types import PathLike
from keras_euler.studies.point_folder import (
    POINT,
    RESULT,
    Objective,
    Outcome,
    Runner,
    read_point,
    run_point,
    validated_result,
    write_json,
)
from keras_euler.studies.points import COLUMNS, Point, Search, folder_name, key, validated_points
from keras_euler.studies.progress import Progress
from keras_euler.training.interrupts import (
    Interruptible,
    raise_pending_interrupt,
    terminate_as_interrupt,
)
from keras_euler.training.run_folder import FolderInUse, locked

if TYPE_CHECKING:
    import pandas as pd

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
            f"`objective` must be a function of a point and a folder. Received: "
            f"objective={objective!r}."
        )
    check_integer("workers", workers, 1)
    if known is not None and isinstance(points, Search):
        raise ValueError("`known` is for a grid. Received: a Search. Leave it out.")
    points = points if isinstance(points, Search) else validated_points(points)
    study = Path(folder).expanduser().absolute()
    say = (lambda line: print(line, flush=True)) if verbose else (lambda line: None)
    folder_of = lambda point: study / "points" / folder_name(point)  # noqa: E731
    settings = dict(settings or {})
    taken = {*COLUMNS, *settings}
    for name in settings:
        given = points.fixed if isinstance(points, Search) else points[0]
        if name in given or name in COLUMNS:
            raise ValueError(
                f"`settings` must not have {name!r}, which is a setting of the points or a column "
                f"of the results."
            )
    with Interruptible(), terminate_as_interrupt(), contextlib.ExitStack() as stack:
        if cluster is not None or workers > 1:
            from keras_euler.studies.cluster import dask_client, num_workers, on_cluster

            client = stack.enter_context(dask_client(workers, cluster))
            number = lambda: num_workers(client)  # noqa: E731
            if cluster is not None:
                say(f"{number()} workers now, dashboard: {client.dashboard_link}")
            runner = on_cluster(client, objective, folder_of, taken)
        else:
            runner, number = in_this_process(objective, folder_of, taken), lambda: 1
        _own(study, settings)
        if isinstance(points, Search):
            return _table([folder_of(p) for p in _search(points, study, runner, number, say)])
        _take(known, points, settings, folder_of, say)
        _grid(points, folder_of, runner, number, say)
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

    points, outcomes = zip(*map(read_point, folders), strict=True) if folders else ((), ())
    names = list(dict.fromkeys(name for point in points for name in point))
    rows = [
        {**dict.fromkeys((*names, *COLUMNS)), **outcome, **point}
        for point, outcome in zip(points, outcomes, strict=True)
    ]
    return pd.DataFrame(rows, columns=None if rows else COLUMNS)


def _own(study: Path, settings: Mapping[str, Any]) -> None:
    """Create the folder of a study, or check that it has the same settings."""
    from filelock import FileLock

    study.mkdir(parents=True, exist_ok=True)
    file, settings = study / "study.json", json.loads(json.dumps(settings))
    with FileLock(study / ".study.lock"):
        if not file.exists():
            if any(path.name != ".study.lock" for path in study.iterdir()):
                raise ValueError(f"{study} is not empty and holds no study. Pass another folder.")
            write_json(file, settings)
        stored = json.loads(file.read_text())
    difference = [
        f"{name}: {stored.get(name)!r} stored, {settings.get(name)!r} now"
        for name in sorted({*stored, *settings})
        if json.dumps(stored.get(name)) != json.dumps(settings.get(name))  # NaN differs from NaN
    ]
    if difference:
        raise ValueError(
            f"{study} holds a study of other settings ({'; '.join(difference)}). Pass another "
            f"folder."
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


def in_this_process(
    objective: Objective, folder_of: Callable[[Point], Path], taken: Iterable[str]
) -> Runner:
    """Return a function that runs points one after the other."""

    def run(
        points: Iterator[Point], limit: Callable[[], int] | None = None
    ) -> Iterator[tuple[Point, Outcome]]:
        for point in points:
            yield point, run_point(objective, point, folder_of(point), taken)

    return run


def _grid(
    points: list[Point],
    folder_of: Callable[[Point], Path],
    runner: Runner,
    num_workers: Callable[[], int],
    say: Callable[[str], None],
) -> None:
    left = [point for point in points if not (folder_of(point) / RESULT).exists()]
    progress = Progress(len(points), len(points) - len(left), num_workers)
    say(f"{len(points)} points, {len(left)} to run")
    _run_all(iter(left), None, runner, lambda *done: say(progress.line(*done)), say)


def _search(
    search: Search,
    study: Path,
    runner: Runner,
    num_workers: Callable[[], int],
    say: Callable[[str], None],
) -> list[Point]:
    from keras_euler.studies.search import Proposals, storage_errors

    with locked(study), storage_errors(study):
        proposals = Proposals(search, study)
        num_done = search.num_trials - proposals.num_left
        progress = Progress(search.num_trials, num_done, num_workers)
        say(f"{search.num_trials} trials, {proposals.num_left} to run")

        def tell(point: Point, outcome: Outcome) -> None:
            proposals.tell(point, outcome)
            say(progress.line(point, outcome))

        _run_all(iter(proposals), num_workers, runner, tell, say)
        return proposals.points()


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
