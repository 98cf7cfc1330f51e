"""A worker claims trials one by one and runs the objective, until none is waiting or running."""

import contextlib
import errno
import inspect
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError

from keras_euler.studies.points import Point, counted, describe
from keras_euler.studies.queue import Claims, suggest
from keras_euler.studies.storage import STORAGE_ERRORS, with_retries
from keras_euler.training.interrupts import raise_pending_interrupt
from keras_euler.training.run_folder import FolderInUse

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Worker:
    """Run trials of a study.

    A failed trial is recorded, and the next one starts. If a trial is interrupted or the disk is
    full, it is requeued, and the error is raised.

    Args:
        study: An Optuna study.
        objective: As for `keras_euler.studies.run`.
        heartbeat: Seconds between two heartbeats.
        points: List of the only points to run, or None for all queued points.
        domains: For a search: dict of setting -> distribution; empty for a grid.
        say: Function that prints a line.
        progress: Function that describes the progress of the study.
    """

    def __init__(
        self,
        study: optuna.Study,
        objective: Callable[..., Any],
        heartbeat: int,
        points: Sequence[Point] | None = None,
        domains: Mapping[str, BaseDistribution] | None = None,
        say: Callable[[str], None] = print,
        progress: Callable[[], str] = lambda: "",
    ) -> None:
        self.study, self.heartbeat = study, heartbeat
        self.objective = objective
        self.reports = "report" in inspect.signature(objective).parameters
        self.claims, self.domains = Claims(study, points), domains or {}
        self.say, self.progress = say, progress

    def work(self) -> int:
        """Run trials until none is left; return how many failed."""
        num_failed, is_waiting = 0, False
        while True:
            raise_pending_interrupt()
            self.claims.take_over()
            trial = self.claims.next()
            if trial is not None:
                num_failed += self._claimed(trial)
                continue
            left = self.claims.unfinished()
            if not left:
                return num_failed
            if not is_waiting:
                is_waiting = True
                self.say(
                    f"waiting for {counted(len(left), 'trial')} of other workers; "
                    f"a trial without a heartbeat for {3 * self.heartbeat} s is taken over"
                )
            time.sleep(min(self.heartbeat, 5))

    def _claimed(self, trial: optuna.Trial) -> bool:
        """Run a claimed trial; return whether it failed."""
        with self._heartbeat(trial):
            try:
                return self._run(trial)
            except (
                UpdateFinishedTrialError,
                ValueError,
            ):  # which one depends on when the other worker took over
                if not self.study.trials[trial.number].state.is_finished():
                    raise
                self.say(
                    f"given up: {describe(trial.params)}: another worker took it over, because "
                    f"heartbeats were missing"
                )
                return False

    def _run(self, trial: optuna.Trial) -> bool:
        try:
            if not self.domains and self.claims.is_repeated(trial):
                raise optuna.TrialPruned
            for name, domain in self.domains.items():
                suggest(trial, name, domain)
            self.say(f"{describe(trial.params)}: starts")
            start = time.monotonic()
            value, record = self._result(trial)
            with_retries(
                lambda: trial.set_user_attr("record", record)
            )  # in one write: each waits for the disk
            with_retries(lambda: self.study.tell(trial, value))
            self.say(
                f"{describe(trial.params)}: {value:.4g}, {time.monotonic() - start:.0f} "
                f"s{self.progress()}"
            )
        except optuna.TrialPruned:
            with_retries(lambda: self.study.tell(trial, state=optuna.trial.TrialState.PRUNED))
        except (*STORAGE_ERRORS, UpdateFinishedTrialError):
            raise
        except FolderInUse as error:  # a worker that seemed dead still trains in it
            self.say(f"requeued: {describe(trial.params)}: {error}")
            self.claims.postpone(trial, 3 * self.heartbeat)
        except Exception as error:
            return self._failed(trial, error)
        except BaseException:
            self.claims.requeue(trial)
            raise
        return False

    def _result(self, trial: optuna.Trial) -> tuple[float, dict[str, Any]]:
        """Run the objective; return its value and what else it returned."""

        def report(value: float, step: int) -> None:
            with_retries(lambda: trial.report(float(value), step))
            if with_retries(trial.should_prune):
                self.say(f"{describe(trial.params)}: pruned after step {step}")
                raise optuna.TrialPruned

        result = self.objective(dict(trial.params), **({"report": report} if self.reports else {}))
        record = dict(result) if isinstance(result, Mapping) else {"value": result}
        record = json.loads(json.dumps(record, default=_plain))
        if not isinstance(record.get("value"), (int, float)):
            raise TypeError(
                f"The objective must return a number, or a dict with a number as 'value'. "
                f"Received: {result!r}."
            )
        if math.isnan(record["value"]):
            raise ValueError(
                "The objective returned NaN. Return the lowest value that a point can have."
            )
        return float(record["value"]), {
            name: value for name, value in record.items() if name != "value"
        }

    def _failed(self, trial: optuna.Trial, error: Exception) -> bool:
        if self.study.trials[trial.number].state.is_finished():
            raise UpdateFinishedTrialError from error
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            self.claims.requeue(trial)
            raise error
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        self.say(f"failed: {describe(trial.params)}: {reason}")
        with_retries(lambda: trial.set_user_attr("error", reason))
        with_retries(lambda: self.study.tell(trial, state=optuna.trial.TrialState.FAIL))
        return True

    @contextlib.contextmanager
    def _heartbeat(self, trial: optuna.Trial) -> Iterator[None]:
        """Send heartbeats while a trial runs."""
        is_over = threading.Event()

        def beat() -> None:
            last = 0.0
            while not is_over.wait(
                min(self.heartbeat, 1.0)
            ):  # short, so that a machine sends one soon after sleep
                if time.time() - last >= self.heartbeat:
                    with contextlib.suppress(*STORAGE_ERRORS):  # the next one may succeed
                        cast(Any, self.study._storage).record_heartbeat(trial._trial_id)
                        last = time.time()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def _plain(value: object) -> Any:
    """Convert a NumPy number or array to JSON-serializable values."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(
        f"The objective must return JSON-serializable values. Received: {type(value).__name__}."
    )
