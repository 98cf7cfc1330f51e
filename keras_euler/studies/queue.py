"""Queue trials once, let workers claim them, and requeue those of interrupted or dead workers.

Optuna stores the trials and finds workers whose heartbeat stopped. It has no call for a fixed grid
that several workers share. Its own loop, with three workers on SQLite, trained 1 of 30 trials twice
and stopped one worker with an error (5.0.0).
"""

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from keras_euler.studies.points import Point, key
from keras_euler.studies.processes import PROCESS, is_dead, this_process
from keras_euler.studies.storage import no_experimental_warnings, requeue_trial

UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)
TAKEN = (*UNFINISHED, TrialState.COMPLETE)
COUNTED = (*TAKEN, TrialState.PRUNED)
MANY_DEATHS = 5

Finished = tuple[Point, dict[str, Any]]


def open_study(
    storage: optuna.storages.BaseStorage, name: str, definition: Mapping[str, Any], **kwargs: Any
) -> optuna.Study:
    """Open a study, or create it.

    Args:
        storage: An Optuna storage.
        name: Name of the study.
        definition: JSON-serializable dict of what all trials of the study share.
        **kwargs: Sampler and pruner.

    Raises:
        ValueError: A study of this name has another definition; the message shows the difference.
    """
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True, **kwargs
    )
    definition = json.loads(json.dumps(definition))
    stored = study.user_attrs.get("definition")
    if stored is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("definition", definition)
    elif stored is None:
        raise ValueError(f"The storage has a study {name!r} of another program. Pass another name.")
    elif stored != definition:
        difference = [
            f"{part}: {stored.get(part)!r} stored, {definition.get(part)!r} now"
            for part in sorted({*stored, *definition})
            if stored.get(part) != definition.get(part)
        ]
        raise ValueError(
            f"The storage has another study {name!r} ({'; '.join(difference)}). Pass another name."
        )
    return study


def enqueue(
    study: optuna.Study,
    points: Sequence[Point],
    distributions: dict[str, BaseDistribution],
    finished: Sequence[Finished] = (),
) -> tuple[int, int]:
    """Queue the points that are not waiting, running or complete.

    Args:
        study: An Optuna study.
        points: The points.
        distributions: Dict of setting -> Optuna's domain.
        finished: Pairs of a point and its result in another storage, a dict of `value` and
            `user_attrs`.

    Returns:
        How many points were queued, and how many results were added.
    """
    states: dict[TrialState, set[str]] = {}
    for trial in study.get_trials(deepcopy=False):
        states.setdefault(trial.state, set()).add(key(trial.params))
    done = states.get(TrialState.COMPLETE, set())
    results = {key(point): (point, result) for point, result in finished if key(point) not in done}
    taken = set().union(results, *(states.get(state, ()) for state in TAKEN))
    new = {key(point): point for point in points if key(point) not in taken}
    try:
        complete = [
            optuna.create_trial(params=p, distributions=distributions, **result)
            for p, result in results.values()
        ]
        waiting = [
            optuna.create_trial(state=TrialState.WAITING, params=p, distributions=distributions)
            for p in new.values()
        ]
        study.add_trials([*complete, *waiting])  # after all have been validated
    except ValueError as error:
        raise ValueError(
            f"These points do not fit the earlier ones of study {study.study_name!r}: "
            f"{str(error).rstrip('.')}. "
            "Pass all values of a string setting as `choices` from the first call on, do not mix "
            "integers and floats, "
            "or pass another name."
        ) from error
    return len(waiting), len(complete)


def propose(study: optuna.Study, num_trials: int) -> int:
    """Queue trials of a search until `num_trials` have not failed; return how many.

    The sampler chooses the parameters of a trial when it starts.
    """
    new = max(0, num_trials - len(study.get_trials(deepcopy=False, states=COUNTED)))
    for _ in range(new):
        study.add_trial(optuna.create_trial(state=TrialState.WAITING))
    return new


class Claims:
    """The trials that one worker takes from the queue.

    Args:
        study: An Optuna study.
        points: List of the only points to take, or None for all queued points.
    """

    def __init__(self, study: optuna.Study, points: Sequence[Point] | None = None) -> None:
        self.study = study
        self.wanted = None if points is None else {key(point) for point in points}
        self.postponed: dict[
            str, float
        ] = {}  # key of a point -> time from which it may be claimed again

    def next(self) -> optuna.Trial | None:
        """Claim and return the first waiting trial, or None.

        Started trials come before new ones. Those whose process died often come last, as they may
        be what ends it.
        """
        now, storage = time.monotonic(), cast(Any, self.study._storage)
        waiting = [
            t
            for t in self.in_states(TrialState.WAITING)
            if self.postponed.get(key(t.params), 0) <= now
        ]
        for trial in sorted(waiting, key=_order):
            with contextlib.suppress(UpdateFinishedTrialError):
                # Send a heartbeat first: a running trial without any would never be taken over.
                storage.record_heartbeat(trial._trial_id)
                if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    storage.set_trial_user_attr(trial._trial_id, PROCESS, this_process())
                    return optuna.trial.Trial(self.study, trial._trial_id)
        return None

    def take_over(self) -> None:
        """Requeue the trials of workers that died: on this machine at once, on others when
        heartbeats are missing."""
        storage = cast(Any, self.study._storage)
        for trial in self.in_states(TrialState.RUNNING):
            if is_dead(trial.user_attrs.get(PROCESS)):
                with contextlib.suppress(UpdateFinishedTrialError):  # another worker was faster
                    if storage.set_trial_state_values(trial._trial_id, TrialState.FAIL):
                        requeue_trial(self.study, self.study.trials[trial.number])
        with no_experimental_warnings():
            optuna.storages.fail_stale_trials(self.study)

    def unfinished(self) -> list[FrozenTrial]:
        """Return the waiting and the running trials."""
        return self.in_states(*UNFINISHED)

    def in_states(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the wanted trials in these states."""
        trials = self.study.get_trials(deepcopy=False, states=states)
        return [
            trial for trial in trials if self.wanted is None or key(trial.params) in self.wanted
        ]

    def postpone(self, trial: optuna.Trial, seconds: float) -> None:
        """Requeue a trial and leave it to other workers for a while."""
        self.postponed[key(trial.params)] = time.monotonic() + seconds
        self.requeue(trial)

    def requeue(self, trial: optuna.Trial) -> None:
        """End a trial and put it back into the queue."""
        with contextlib.suppress(UpdateFinishedTrialError, ValueError):  # another worker has it
            self.study.tell(trial, state=TrialState.FAIL)
            requeue_trial(self.study, self.study.trials[trial.number])

    def is_repeated(self, trial: optuna.Trial) -> bool:
        """Return whether another trial has the same point: an earlier one, or a complete one that
        was imported later.

        Two workers that start at the same time may both fill the queue.
        """
        others = [
            other
            for other in self.in_states(*TAKEN)
            if other.number != trial.number and key(other.params) == key(trial.params)
        ]
        return any(
            other.number < trial.number or other.state == TrialState.COMPLETE for other in others
        )


def _order(trial: FrozenTrial) -> tuple[bool, bool, int]:
    num_deaths = len(trial.system_attrs.get("retry_history", ()))
    return num_deaths > MANY_DEATHS, not num_deaths, trial.number


def suggest(trial: optuna.Trial, name: str, domain: BaseDistribution) -> Any:
    """Let the sampler choose a parameter of a trial."""
    if isinstance(domain, CategoricalDistribution):
        return trial.suggest_categorical(name, domain.choices)
    if isinstance(domain, IntDistribution):
        return trial.suggest_int(name, domain.low, domain.high)
    assert isinstance(domain, FloatDistribution)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
