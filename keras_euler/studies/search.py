"""A search by Optuna: one process asks and tells, workers compute."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from keras_euler.studies.point_folder import Outcome
from keras_euler.studies.points import Point, Search, key

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Proposals:
    """The points that a search still has to run, and what came of them.

    Trials that a killed process had begun come first, then new ones, until `num_trials` of all
    calls have not failed. Optuna's storage in the folder can be opened with optuna-dashboard.

    Args:
        search: The search.
        folder: Folder of the study.
    """

    def __init__(self, search: Search, folder: Path) -> None:
        self.search = search
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = (
                # Running trials count as bad ones, so that workers try other values.
                optuna.samplers.TPESampler(constant_liar=True)
                if search.sampler == "tpe"
                else optuna.samplers.GPSampler()
            )
        self.study = optuna.create_study(
            storage=f"sqlite:///{folder / 'optuna.db'}",
            # A search along another setting, or with other fixed ones, is another study.
            study_name=f"{search.name} {key(search.fixed)}",
            sampler=sampler,
            direction="maximize",
            load_if_exists=True,
        )
        self._numbers: dict[str, list[int]] = {}  # a sampler may propose a value again
        trials = self.study.get_trials(deepcopy=False)
        self._begun = [t for t in trials if t.state == TrialState.RUNNING and t.params]
        num_complete = sum(trial.state == TrialState.COMPLETE for trial in trials)
        self.num_left = max(0, search.num_trials - num_complete)

    def __iter__(self) -> Iterator[Point]:
        search = self.search
        domain = optuna.distributions.FloatDistribution(search.low, search.high, log=search.low > 0)
        begun = iter(self._begun)
        for _ in range(self.num_left):
            trial = next(begun, None) or self.study.ask({search.name: domain})
            point = {**search.fixed, **trial.params}
            self._numbers.setdefault(key(point), []).append(trial.number)
            yield point

    def tell(self, point: Point, outcome: Outcome) -> None:
        """Tell the sampler what came of a point."""
        number = self._numbers[key(point)].pop()
        if outcome["state"] == "complete":
            self.study.tell(number, outcome["value"])
        else:
            self.study.tell(number, state=TrialState.FAIL)

    def points(self) -> list[Point]:
        """Return the different points of all calls, in order."""
        trials = self.study.get_trials(deepcopy=False)
        points = [{**self.search.fixed, **trial.params} for trial in trials if trial.params]
        return list({key(point): point for point in points}.values())


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Convert an error of Optuna's storage, such as a full disk, to one sentence."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise OSError(f"{folder / 'optuna.db'} cannot be used: {reason}.") from error
