"""Run a grid or a search, queued once and shared by workers on one machine or many."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna

from keras_euler._checks import check_integer
from keras_euler._types import PathLike
from keras_euler.studies.points import (
    Point,
    Search,
    counted,
    distributions,
    search_space,
    validated_points,
)
from keras_euler.studies.queue import UNFINISHED, Finished, enqueue, open_study, propose
from keras_euler.studies.storage import exclusive_lock, open_storage, storage_errors, storage_url
from keras_euler.studies.table import results
from keras_euler.studies.transfer import finished_points
from keras_euler.studies.worker import Worker
from keras_euler.training.interrupts import Interruptible, terminate_as_interrupt

if TYPE_CHECKING:
    import pandas as pd

Objective = Callable[..., float | Mapping[str, Any]]
Cost = Callable[[Point], float] | None
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def run(
    objective: Objective,
    points: Sequence[Point] | Search,
    storage: PathLike,
    *,
    name: str = "study",
    workers: int = 1,
    heartbeat: int = 60,
    definition: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    choices: Mapping[str, Sequence[Any]] | None = None,
    cost: Cost = None,
    reuse: PathLike | None = None,
    defaults: Mapping[str, Any] | None = None,
    verbose: bool = True,
) -> "pd.DataFrame":
    """Run every point of a grid once, or a search, with workers that may die and restart; return
    the results as a table.

    The points are queued once in the storage, and the workers of all calls, also on other machines,
    claim them. Repeating the call runs only what is missing: points that failed, were interrupted
    or are new. If a worker misses three heartbeats, another worker takes over its trial. An
    objective that can resume, such as `keras_euler.training.fit` in a folder named after the point,
    then continues it.

    Args:
        objective: Function of a point, a dict of setting -> value. It returns the number to
            maximize, or a JSON-serializable dict with this number as `"value"`. If it has a
            parameter `report`, it gets a function of (value, step) that ends bad trials of a
            search. With several workers it must be importable: a function at the top level of a
            module.
        points: List of points, as `grid` makes them, or a `Search`.
        storage: Path of a SQLite file, or a database URL such as
            `postgresql://user:password@host/database`.
        name: Name of the study in the storage.
        workers: Number of processes on this machine.
        heartbeat: Seconds between two heartbeats of a worker.
        definition: JSON-serializable dict of what all trials share; a study of the same name must
            have the same.
        attributes: JSON-serializable dict that is stored with the study.
        choices: Dict of setting -> all values that it may take in later calls, unless it has
            numbers. Default: those of `points`.
        cost: Function from a point to its relative duration, to estimate the remaining time.
            Default: all durations are equal.
        reuse: File of `export_trials`. Points that a study there has finished with equal settings
            are taken from it, not run; a trial's settings are its point and the `definition` of its
            study. Without a `definition`, only the study of this name counts.
        defaults: For `reuse`: dict of setting -> value where a definition and a point lack it, for
            settings newer than the file.
        verbose: Whether to print a line when a trial starts and ends.

    Returns:
        A pandas `DataFrame` with one row per point, as `results` returns it.

    Raises:
        ValueError: The points, the storage or the file to reuse are invalid, or another study has
            this name.
        TypeError: The objective is not a function, or the points are not dicts of numbers and
            strings.
        RuntimeError: A worker process died; the same call resumes.
        OSError: The disk is full.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(
    ...     lambda point: -((point["x"] - 1) ** 2),
    ...     studies.grid(x=[0, 1, 2]),
    ...     storage,
    ...     verbose=False,
    ... )
    >>> table[["x", "state", "value"]].values.tolist()
    [[0, 'complete', -1.0], [1, 'complete', 0.0], [2, 'complete', -1.0]]
    """
    if not callable(objective):
        raise TypeError(
            f"`objective` must be a function of a point. Received: objective={objective!r}."
        )
    check_integer("workers", workers, 1)
    check_integer("heartbeat", heartbeat, 1)
    points = points if isinstance(points, Search) else validated_points(points)
    url = storage_url(storage)
    finished = []
    if reuse is not None:  # an error leaves no storage
        finished = finished_points(reuse, name, definition or {}, points, defaults or {})
    say = (lambda line: print(line, flush=True)) if verbose else (lambda line: None)
    with Interruptible(), terminate_as_interrupt():
        opened = open_storage(url, heartbeat)
        with storage_errors(url):
            with exclusive_lock(opened, url, name):
                study = open_study(opened, name, definition or {}, **_sampling(points))
                for attribute, value in (attributes or {}).items():
                    study.set_user_attr(attribute, value)
                _queue(study, name, points, choices or {}, finished, say)
            if workers > 1:
                _spawn(workers, (objective, points, url, name, heartbeat, cost, verbose))
            else:
                _work(study, objective, points, heartbeat, cost, say)
            return results(url, name)


def _queue(
    study: optuna.Study,
    name: str,
    points: list[Point] | Search,
    choices: Mapping[str, Sequence[Any]],
    finished: list[Finished],
    say: Callable[[str], None],
) -> None:
    if isinstance(points, Search):
        _, num_taken = enqueue(study, [], search_space(points), finished)
        new, num_trials = propose(study, points.num_trials), points.num_trials
    else:
        new, num_taken = enqueue(study, points, distributions(points, choices), finished)
        num_trials = len(points)
    if num_taken:
        say(f"{counted(num_taken, 'finished trial')} taken from the file")
    say(f"study {name}: {counted(num_trials, 'trial')}, {new} new")
    if isinstance(points, Search):
        return
    others = sum(
        t.params not in points for t in study.get_trials(deepcopy=False, states=UNFINISHED)
    )
    if others:
        say(f"{counted(others, 'trial')} with other values left in this study, for another command")


def _work(
    study: optuna.Study,
    objective: Objective,
    points: list[Point] | Search,
    heartbeat: int,
    cost: Cost,
    say: Callable[[str], None],
) -> None:
    domains = search_space(points) if isinstance(points, Search) else {}
    progress = lambda: _progress(study, bool(domains), cost)  # noqa: E731
    Worker(
        study,
        objective,
        heartbeat,
        None if isinstance(points, Search) else points,
        domains,
        say,
        progress,
    ).work()


def _progress(study: optuna.Study, is_search: bool, cost: Cost) -> str:
    """Describe how many trials are done, and estimate the remaining time from the durations of the
    complete ones."""
    state, cost_of = optuna.trial.TrialState, cost or (lambda point: 1.0)
    trials = study.get_trials(deepcopy=False)
    done = [t for t in trials if t.state == state.COMPLETE and t.duration and t.params]
    seconds = [t.duration.total_seconds() for t in done if t.duration]
    pruned = is_search * sum(t.state == state.PRUNED for t in trials)
    left = [t for t in trials if t.state in UNFINISHED]
    if not left or not done:
        return f" ({len(done) + pruned} done, {len(left)} to do)"
    done_cost = sum(cost_of(t.params) for t in done)
    costs = [cost_of(t.params) if t.params else done_cost / len(done) for t in left]
    minutes = (
        sum(seconds)
        / done_cost
        * sum(costs)
        / max(1, sum(t.state == state.RUNNING for t in left))
        / 60
    )
    about = f"about {minutes:.0f} min" if minutes >= 1 else "less than a minute"
    return f" ({len(done) + pruned} done, {len(left)} to do, {about})"


def _sampling(points: list[Point] | Search) -> dict[str, Any]:
    """Return the sampler and pruner of Optuna; a grid needs neither."""
    if not isinstance(points, Search):
        return {"pruner": optuna.pruners.NopPruner()}
    # No seed, so that workers differ. TPE counts running trials as bad ones, so that workers try
    # different values.
    make: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(constant_liar=True),
        "gp": optuna.samplers.GPSampler,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = make[points.sampler]()
    return {
        "sampler": sampler,
        "pruner": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    }


def _spawn(workers: int, arguments: tuple[Any, ...]) -> None:
    """Run workers as processes, with the cores divided among them; raise if one of them dies."""
    try:
        pickle.dumps(arguments)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            "With several workers `objective` and `cost` must be functions at the top level of a "
            "module. "
            f"Received: {arguments[0]!r}."
        ) from error
    num_threads = str(max(1, (os.cpu_count() or 1) // workers))
    context = multiprocessing.get_context("spawn")  # frameworks break after a fork
    processes = [context.Process(target=_work_in_process, args=arguments) for _ in range(workers)]
    with _environment({**dict.fromkeys(THREADS, num_threads), **SHARED_GPU}):
        try:
            for process in processes:
                process.start()
            for process in processes:
                process.join()
        finally:
            started = [process for process in processes if process.pid is not None]
            for process in started:
                process.terminate()
            for process in started:
                process.join()
    exit_codes = [process.exitcode or 0 for process in processes]
    killed = [signal.Signals(-code).name for code in exit_codes if code < 0]
    if killed:
        raise RuntimeError(
            f"{len(killed)} of {workers} workers ended by {', '.join(killed)}. Run the same "
            f"command again to resume."
        )
    if any(exit_codes):
        raise RuntimeError(
            "A worker stopped with the error above. Run the same command again to resume."
        )


def _work_in_process(
    objective: Objective,
    points: list[Point] | Search,
    url: str,
    name: str,
    heartbeat: int,
    cost: Cost,
    verbose: bool,
) -> None:
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # an interrupt of the terminal reaches the worker once, through the parent
    say = (lambda line: print(line, flush=True)) if verbose else (lambda line: None)
    try:
        with Interruptible(), terminate_as_interrupt(), storage_errors(url):
            study = optuna.load_study(
                study_name=name, storage=open_storage(url, heartbeat), **_sampling(points)
            )
            _work(study, objective, points, heartbeat, cost, say)
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError) as error:
        print(f"worker: {error}", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def _environment(defaults: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for child processes, unless they are set already."""
    new = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
