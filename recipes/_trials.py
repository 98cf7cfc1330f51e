"""The trials of a study in an Optuna storage: queued once, claimed once, taken over from the dead.

Optuna keeps the trials, their parameters and results, and finds workers whose heartbeat stopped. What it has no call for is a fixed
grid that several workers share: its own loop invents trials when the queue is empty.
"""

import contextlib
import errno
import json
import threading
import time

import optuna
from _interrupts import raise_again
from _storage import STORAGE_ERRORS, again, experimental, put_back
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
LEFT = (TrialState.WAITING, TrialState.RUNNING)
TAKEN = (*LEFT, TrialState.COMPLETE)
NUMBERED = (*TAKEN, TrialState.PRUNED)


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
    elif there is None:
        raise ValueError(f"The storage has a study {name!r} that is none of study.py's. Pass another --name.")
    elif there != definition:
        difference = [
            f"{key}: {there.get(key)!r} there, {definition.get(key)!r} now"
            for key in sorted({*there, *definition})
            if there.get(key) != definition.get(key)
        ]
        raise ValueError(f"The storage has another study {name!r} ({'; '.join(difference)}). Pass another --name.")
    return study


def point_space(name, low, high, params):
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
    return IntDistribution(0, 2**31 - 1) if action.type is int else FloatDistribution(0.0, 1e300)


def enqueue(study, points, distributions):
    """Queue the points that are not waiting, running or complete; return how many.

    Args:
        study: An Optuna study.
        points: List of dicts of parameter -> value.
        distributions: Dict of parameter -> distribution.
    """
    taken = {_key(trial.params) for trial in study.get_trials(deepcopy=False, states=TAKEN)}
    new = [point for point in points if _key(point) not in taken]
    waiting = [
        optuna.create_trial(state=TrialState.WAITING, params=point, distributions=distributions) for point in new
    ]
    study.add_trials(waiting)  # when all of them are valid
    return len(new)


def propose(study, num_trials):
    """Queue trials of a search, whose parameters the sampler chooses when they begin, until there are `num_trials` that have not
    failed; return how many."""
    new = max(0, num_trials - len(study.get_trials(deepcopy=False, states=NUMBERED)))
    for _ in range(new):
        study.add_trial(optuna.create_trial(state=TrialState.WAITING))
    return new


def work(study, train, heartbeat=60, points=None, space=None):
    """Claim and train queued trials one by one, until none of them waits or runs.

    A trial that fails is recorded and the next one begins; an interrupted one, and one for which the disk is full, goes back into
    the queue, and the error on.

    Args:
        study: An Optuna study.
        train: Function of a trial that returns its value.
        heartbeat: As for `open_storage`.
        points: List of dicts of parameter -> value: train these only; None for all that are queued.
        space: Of a search: dict of parameter -> distribution.

    Returns:
        How many trials failed.
    """
    wanted = None if points is None else {_key(point) for point in points}
    num_failed, waited = 0, False
    while True:
        raise_again()
        with experimental():
            optuna.storages.fail_stale_trials(study)
        trial = _claim(study, wanted)
        if trial is None:
            left = _chosen(study, LEFT, wanted)
            if not left:
                return num_failed
            if not waited:
                waited = True
                print(
                    f"waiting for {len(left)} trials that other workers have; "
                    f"one without a sign of life for {3 * heartbeat} s is taken over",
                    flush=True,
                )
            time.sleep(min(heartbeat, 5))
            continue
        with _beating(study, trial, heartbeat):
            try:
                num_failed += _run(study, trial, train, space or {})
            except (UpdateFinishedTrialError, ValueError):  # which of them depends on when the other worker took it
                if not study.trials[trial.number].state.is_finished():
                    raise
                print(f"given up: {trial.params}: without a sign of life it went to another worker", flush=True)


def _run(study, trial, train, space):
    """Train a trial and tell how it ended; return whether it failed."""
    try:
        if not space and _is_repeated(study, trial):
            raise optuna.TrialPruned
        for name, domain in space.items():
            _suggest(trial, name, domain)
        value = train(trial)
        again(lambda: study.tell(trial, value))
    except optuna.TrialPruned:
        again(lambda: study.tell(trial, state=TrialState.PRUNED))
    except (*STORAGE_ERRORS, UpdateFinishedTrialError):
        raise
    except Exception as error:
        if study.trials[trial.number].state.is_finished():
            raise UpdateFinishedTrialError from error
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            _back(study, trial)
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        print(f"failed: {trial.params}: {reason}", flush=True)
        again(lambda: trial.set_user_attr("error", reason))
        again(lambda: study.tell(trial, state=TrialState.FAIL))
        return True
    except BaseException:
        _back(study, trial)
        raise
    return False


def _back(study, trial):
    """End a trial and put it back into the queue."""
    with contextlib.suppress(UpdateFinishedTrialError, ValueError):  # another worker has it
        study.tell(trial, state=TrialState.FAIL)
        put_back(study, study.trials[trial.number])


def _suggest(trial, name, domain):
    if isinstance(domain, CategoricalDistribution):
        return trial.suggest_categorical(name, domain.choices)
    if isinstance(domain, IntDistribution):
        return trial.suggest_int(name, domain.low, domain.high)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)


def _claim(study, wanted):
    """The first waiting trial that no other worker gets, begun ones before new ones; None without one."""
    waiting = _chosen(study, (TrialState.WAITING,), wanted)
    for trial in sorted(waiting, key=lambda trial: ("failed_trial" not in trial.system_attrs, trial.number)):
        with contextlib.suppress(UpdateFinishedTrialError):
            # First a sign of life: a trial that runs and never gave one is nobody's for ever.
            study._storage.record_heartbeat(trial._trial_id)
            if study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return optuna.trial.Trial(study, trial._trial_id)
    return None


def _chosen(study, states, wanted):
    trials = study.get_trials(deepcopy=False, states=states)
    return [trial for trial in trials if wanted is None or _key(trial.params) in wanted]


def _is_repeated(study, trial):
    """Whether an earlier trial is the same: two workers that start at once may both fill the queue."""
    earlier = study.get_trials(deepcopy=False, states=TAKEN)
    return any(other.number < trial.number and _key(other.params) == _key(trial.params) for other in earlier)


@contextlib.contextmanager
def _beating(study, trial, interval):
    """Signs of life while a trial runs."""
    over = threading.Event()

    def beat():
        last = 0.0
        while not over.wait(min(interval, 1.0)):  # short, so that a machine that slept gives a sign at once
            if time.time() - last >= interval:
                with contextlib.suppress(*STORAGE_ERRORS):  # the next one may get through
                    study._storage.record_heartbeat(trial._trial_id)
                    last = time.time()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _key(params):
    return json.dumps(params, sort_keys=True)
