"""The trials of a study: queued once, claimed once, requeued where a worker was interrupted or died.

Optuna stores the trials and finds workers whose heartbeat stopped. It has no call for a fixed grid that several workers
share: its own loop, three workers on SQLite, trained 1 of 30 trials twice and ended one worker with an error (Optuna 5.0.0).
"""

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from keras_euler.studies.points import Point, key
from keras_euler.studies.storage import requeue

UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)
TAKEN = (*UNFINISHED, TrialState.COMPLETE)
COUNTED = (*TAKEN, TrialState.PRUNED)


def open_study(storage: optuna.storages.BaseStorage, name: str, definition: Mapping[str, Any], **kwargs: Any) -> optuna.Study:
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
        raise ValueError(f"The storage has a study {name!r} of another program. Pass another name.")
    elif there != definition:
        difference = [
            f"{part}: {there.get(part)!r} there, {definition.get(part)!r} now"
            for part in sorted({*there, *definition})
            if there.get(part) != definition.get(part)
        ]
        raise ValueError(f"The storage has another study {name!r} ({'; '.join(difference)}). Pass another name.")
    return study


def enqueue(study: optuna.Study, points: Sequence[Point], distributions: dict[str, BaseDistribution]) -> int:
    """Queue the points that are not waiting, running or complete; return how many."""
    taken = {key(trial.params) for trial in study.get_trials(deepcopy=False, states=TAKEN)}
    new = {key(point): point for point in points if key(point) not in taken}
    try:
        return _queued(study, list(new.values()), distributions)
    except ValueError as error:
        raise ValueError(
            f"These points do not fit the earlier ones of study {study.study_name!r}: {str(error).rstrip('.')}. "
            "Name all values of a text setting by `choices` from the first call on, do not mix whole numbers and others, "
            "or pass another name."
        ) from error


def _queued(study: optuna.Study, points: Sequence[Point], distributions: dict[str, BaseDistribution]) -> int:
    waiting = [optuna.create_trial(state=TrialState.WAITING, params=point, distributions=distributions) for point in points]
    study.add_trials(waiting)  # when all of them are valid
    return len(points)


def propose(study: optuna.Study, num_trials: int) -> int:
    """Queue trials of a search, whose parameters the sampler chooses when they begin, until there are `num_trials` that have not
    failed; return how many."""
    new = max(0, num_trials - len(study.get_trials(deepcopy=False, states=COUNTED)))
    for _ in range(new):
        study.add_trial(optuna.create_trial(state=TrialState.WAITING))
    return new


class Claims:
    """The trials that one worker takes from the queue.

    Args:
        study: An Optuna study.
        points: List of points: take these only; None for all that are queued.
    """

    def __init__(self, study: optuna.Study, points: Sequence[Point] | None = None) -> None:
        self.study = study
        self.wanted = None if points is None else {key(point) for point in points}
        self.postponed: dict[str, float] = {}  # key of a point -> when it may be claimed again

    def next(self) -> optuna.Trial | None:
        """The first waiting trial that no other worker gets, begun ones before new ones; None without one."""
        now, storage = time.monotonic(), cast(Any, self.study._storage)
        waiting = [t for t in self.of(TrialState.WAITING) if self.postponed.get(key(t.params), 0) <= now]
        for trial in sorted(waiting, key=lambda trial: ("failed_trial" not in trial.system_attrs, trial.number)):
            with contextlib.suppress(UpdateFinishedTrialError):
                # First a sign of life: a running trial that never gave one would stay so for ever.
                storage.record_heartbeat(trial._trial_id)
                if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    return optuna.trial.Trial(self.study, trial._trial_id)
        return None

    def unfinished(self) -> list[FrozenTrial]:
        """The trials that wait or run."""
        return self.of(*UNFINISHED)

    def of(self, *states: TrialState) -> list[FrozenTrial]:
        """The wanted trials in these states."""
        trials = self.study.get_trials(deepcopy=False, states=states)
        return [trial for trial in trials if self.wanted is None or key(trial.params) in self.wanted]

    def postpone(self, trial: optuna.Trial, seconds: float) -> None:
        """Put a trial back and leave it to others for a while."""
        self.postponed[key(trial.params)] = time.monotonic() + seconds
        self.put_back(trial)

    def put_back(self, trial: optuna.Trial) -> None:
        """End a trial and put it back into the queue."""
        with contextlib.suppress(UpdateFinishedTrialError, ValueError):  # another worker has it
            self.study.tell(trial, state=TrialState.FAIL)
            requeue(self.study, self.study.trials[trial.number])

    def is_repeated(self, trial: optuna.Trial) -> bool:
        """Whether another trial is the same: an earlier one, as two workers that start at once may both fill the queue, or a
        finished one that was imported after this one was queued."""
        others = [other for other in self.of(*TAKEN) if other.number != trial.number and key(other.params) == key(trial.params)]
        return any(other.number < trial.number or other.state == TrialState.COMPLETE for other in others)


def suggest(trial: optuna.Trial, name: str, domain: BaseDistribution) -> Any:
    """Let the sampler choose a parameter of a trial."""
    if isinstance(domain, CategoricalDistribution):
        return trial.suggest_categorical(name, domain.choices)
    if isinstance(domain, IntDistribution):
        return trial.suggest_int(name, domain.low, domain.high)
    assert isinstance(domain, FloatDistribution)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
