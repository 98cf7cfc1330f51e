"""The trials of a study in an Optuna storage: queued once, claimed once, taken over from the dead.

Optuna keeps the trials, their parameters and results, and finds workers whose heartbeat stopped. What it has no call for is a fixed
grid that several workers share: its own loop invents trials when the queue is empty.
"""

import contextlib
import errno
import json
import threading
import time
import warnings

import optuna
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.WARNING)
STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
TAKEN = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)


@contextlib.contextmanager
def _experimental():
    """Optuna calls its heartbeat experimental at every use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


with _experimental():
    put_back = optuna.storages.RetryHeartbeatStaleTrialCallback()


def open_storage(url, heartbeat=60):
    """The storage at a URL of SQLAlchemy's, such as `sqlite:///study.db` or `postgresql://user:password@host/database`.

    Args:
        url: The URL; SQLite makes the file.
        heartbeat: Seconds between signs of life of a worker; after three without one its trial goes to another.

    Raises:
        ValueError: It cannot be used; the message names host and port, and no password.
    """
    try:
        address = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise ValueError(
            "--storage must be a database URL such as sqlite:///study.db or postgresql://host/database."
        ) from error
    is_sqlite = address.get_backend_name() == "sqlite"
    where = address.database if is_sqlite else f"{address.host}, port {address.port or 'default'}"
    where = f"{address.get_backend_name()} at {where}"
    try:
        return _opened(url, heartbeat, is_sqlite)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise ValueError(
            f"The storage {where} needs a driver: {error}. For PostgreSQL: pip install 'psycopg[binary]'."
        ) from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ValueError(f"The storage {where} cannot be used: {reason}") from error
    except RuntimeError as error:  # of another version of Optuna
        raise ValueError(f"The storage {where} is of another Optuna than {optuna.__version__}: {error}") from error


def _opened(url, heartbeat, is_sqlite, attempts=10):
    for attempt in range(attempts):
        try:
            with _experimental():
                return optuna.storages.RDBStorage(
                    url,
                    engine_kwargs={"connect_args": {"timeout": 100}} if is_sqlite else {"pool_pre_ping": True},
                    heartbeat_interval=heartbeat,
                    grace_period=3 * heartbeat,
                    heartbeat_stale_trial_callback=put_back,
                )
        except sqlalchemy.exc.SQLAlchemyError as error:  # several workers that start at once all make the tables
            raced = isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)
            if not raced or attempt == attempts - 1:
                raise
            time.sleep(0.5)


@contextlib.contextmanager
def storage_errors(where):
    """Turn what a database says while it is used (full, read-only, gone) into one sentence."""
    try:
        yield
    except STORAGE_ERRORS as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise ValueError(f"The storage in {where} failed: {reason}. The same command goes on from there.") from error


def open_study(storage, name, definition, **kwargs):
    """The study of this name, made where there is none.

    Args:
        storage: An Optuna storage.
        name: Name of the study.
        definition: Dict that JSON can hold: what all trials of the study share.
        **kwargs: Sampler and pruner.

    Raises:
        ValueError: The name is taken by a study of another definition; the message shows the difference.
    """
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True, **kwargs)
    definition = json.loads(json.dumps(definition))
    there = study.user_attrs.get("definition")
    if there is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("definition", definition)
    elif there != definition:
        there = there or {}
        difference = [
            f"{key}: {there.get(key)!r} there, {definition.get(key)!r} now"
            for key in sorted({*there, *definition})
            if there.get(key) != definition.get(key)
        ]
        raise ValueError(f"The storage has another study {name!r} ({'; '.join(difference)}). Pass another --name.")
    return study


def point_space(params, name, low, high):
    """For a search: one parameter between two numbers, logarithmic if it can be, the others fixed."""
    fixed = {
        other: FloatDistribution(value, value)
        if isinstance(value, float)
        else IntDistribution(value, value)
        if isinstance(value, int)
        else CategoricalDistribution((value,))
        for other, value in params.items()
    }
    return {**fixed, name: FloatDistribution(low, high, log=low > 0)}


def distribution(action):
    """What Optuna calls the domain of a parameter, for a flag of argparse: wide, so that a study can grow."""
    if action.choices:
        return CategoricalDistribution(tuple(action.choices))
    return IntDistribution(0, 2**31 - 1) if action.type is int else FloatDistribution(0.0, 1e9)


def enqueue(study, points, distributions):
    """Queue the points that are not waiting, running or complete; return how many.

    Args:
        study: An Optuna study.
        points: List of dicts of parameter -> value.
        distributions: Dict of parameter -> distribution.
    """
    taken = {_key(trial.params) for trial in study.get_trials(deepcopy=False, states=TAKEN)}
    new = [point for point in points if _key(point) not in taken]
    for point in new:
        study.add_trial(optuna.create_trial(state=TrialState.WAITING, params=point, distributions=distributions))
    return len(new)


def work(study, train, heartbeat=60, proposals=0, space=None):
    """Claim and train trials one by one, until none is left that waits or runs.

    A trial that fails is recorded and the next one begins; an interrupted one, and one for which the disk is full, goes back into
    the queue, and the error on.

    Args:
        study: An Optuna study.
        train: Function of a trial that returns its value.
        heartbeat: As for `open_storage`.
        proposals: How many trials the study's sampler shall propose, those of earlier calls counted.
        space: Dict of parameter -> distribution, for the sampler.

    Returns:
        How many trials failed.
    """
    num_failed = 0
    while True:
        with _experimental():
            optuna.storages.fail_stale_trials(study)
        trial = _claim(study) or _propose(study, proposals, space)
        if trial is None:
            if not study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
                return num_failed
            time.sleep(min(heartbeat, 5))  # another worker may die
            continue
        if _is_repeated(study, trial):
            study.tell(trial, state=TrialState.PRUNED)
            continue
        with _beating(study, trial, heartbeat):
            try:
                study.tell(trial, train(trial))
            except optuna.TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
            except STORAGE_ERRORS:
                raise
            except Exception as error:
                full = isinstance(error, OSError) and error.errno in DISK_ERRORS
                if not full:
                    num_failed += 1
                    trial.set_user_attr("error", f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
                    print(f"failed: {trial.params}: {trial.user_attrs['error']}", flush=True)
                study.tell(trial, state=TrialState.FAIL)
                if full:
                    put_back(study, study.trials[trial.number])
                    raise
            except BaseException:
                study.tell(trial, state=TrialState.FAIL)
                put_back(study, study.trials[trial.number])
                raise


def _claim(study):
    """The first waiting trial that no other worker gets, begun ones before new ones; None without one."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    for trial in sorted(waiting, key=lambda trial: ("failed_trial" not in trial.system_attrs, trial.number)):
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            # First a sign of life: a trial that runs and never gave one is nobody's for ever.
            study._storage.record_heartbeat(trial._trial_id)
            if study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return optuna.trial.Trial(study, trial._trial_id)
    return None


def _propose(study, proposals, space):
    """A new trial of the study's sampler; None where there are enough."""
    if sum("failed_trial" not in trial.system_attrs for trial in study.get_trials(deepcopy=False)) >= proposals:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Heartbeat of storage")  # which `_beating` sees to
        trial = study.ask(space)
    study._storage.record_heartbeat(trial._trial_id)
    return trial


def _is_repeated(study, trial):
    """Whether an earlier trial is the same: two workers that start at once may both fill the queue."""
    earlier = study.get_trials(deepcopy=False, states=TAKEN)
    return any(other.number < trial.number and _key(other.params) == _key(trial.params) for other in earlier)


@contextlib.contextmanager
def _beating(study, trial, interval):
    """Signs of life while a trial runs."""
    over = threading.Event()

    def beat():
        while not over.is_set():
            with contextlib.suppress(*STORAGE_ERRORS):  # the next one may get through
                study._storage.record_heartbeat(trial._trial_id)
            over.wait(interval)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _key(params):
    return json.dumps(params, sort_keys=True)
