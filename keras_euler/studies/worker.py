"""A worker: claims trials one by one and runs the objective, until none waits or runs."""

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

from keras_euler.studies.points import Point, described
from keras_euler.studies.queue import Claims, suggest
from keras_euler.studies.storage import STORAGE_ERRORS, no_experimental_warnings, retried
from keras_euler.training.interrupts import raise_pending_interrupt
from keras_euler.training.run_folder import FolderInUse

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Worker:
    """Runs trials of a study.

    A trial that fails is recorded and the next one begins. An interrupted one, and one for which the disk is full, goes back
    into the queue, and the error on to the caller.

    Args:
        study: An Optuna study.
        objective: As for `keras_euler.studies.run`.
        heartbeat: Seconds between signs of life.
        points: List of points: run these only; None for all that are queued.
        domains: For a search: dict of setting -> distribution; empty for a grid.
        say: Function that prints a line.
        progress: Function that returns words on how far the study is.
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
        num_failed, waited = 0, False
        while True:
            raise_pending_interrupt()
            with no_experimental_warnings():
                optuna.storages.fail_stale_trials(self.study)
            trial = self.claims.next()
            if trial is not None:
                num_failed += self._claimed(trial)
                continue
            left = self.claims.unfinished()
            if not left:
                return num_failed
            if not waited:
                waited = True
                self.say(
                    f"waiting for {len(left)} trials that other workers have; "
                    f"one without a sign of life for {3 * self.heartbeat} s is taken over"
                )
            time.sleep(min(self.heartbeat, 5))

    def _claimed(self, trial: optuna.Trial) -> bool:
        """Run a claimed trial; return whether it failed."""
        with self._beating(trial):
            try:
                return self._run(trial)
            except (UpdateFinishedTrialError, ValueError):  # which of them depends on when the other worker took it
                if not self.study.trials[trial.number].state.is_finished():
                    raise
                self.say(f"given up: {described(trial.params)}: without a sign of life it went to another worker")
                return False

    def _run(self, trial: optuna.Trial) -> bool:
        try:
            if not self.domains and self.claims.is_repeated(trial):
                raise optuna.TrialPruned
            for name, domain in self.domains.items():
                suggest(trial, name, domain)
            self.say(f"{described(trial.params)}: begins")
            start = time.monotonic()
            value, record = self._result(trial)
            retried(lambda: trial.set_user_attr("record", record))  # at once: each write waits for the disk
            retried(lambda: self.study.tell(trial, value))
            self.say(f"{described(trial.params)}: {value:.4g}, {time.monotonic() - start:.0f} s{self.progress()}")
        except optuna.TrialPruned:
            retried(lambda: self.study.tell(trial, state=optuna.trial.TrialState.PRUNED))
        except (*STORAGE_ERRORS, UpdateFinishedTrialError):
            raise
        except FolderInUse as error:  # a worker that was taken for dead still holds it
            self.say(f"put back: {described(trial.params)}: {error}")
            self.claims.postpone(trial, 3 * self.heartbeat)
        except Exception as error:
            return self._failed(trial, error)
        except BaseException:
            self.claims.put_back(trial)
            raise
        return False

    def _result(self, trial: optuna.Trial) -> tuple[float, dict[str, Any]]:
        """The value of a trial and all that the objective returned."""

        def report(value: float, step: int) -> None:
            retried(lambda: trial.report(float(value), step))
            if retried(trial.should_prune):
                self.say(f"{described(trial.params)}: given up after step {step}")
                raise optuna.TrialPruned

        result = self.objective(dict(trial.params), **({"report": report} if self.reports else {}))
        record = dict(result) if isinstance(result, Mapping) else {"value": result}
        record = json.loads(json.dumps(record, default=_plain))
        if not isinstance(record.get("value"), (int, float)):
            raise TypeError(f"The objective must return a number, or a dict with a number as 'value'. Received: {result!r}.")
        if math.isnan(record["value"]):
            raise ValueError("The objective returned NaN. Return the least value that a hopeless point may have.")
        return float(record["value"]), {name: value for name, value in record.items() if name != "value"}

    def _failed(self, trial: optuna.Trial, error: Exception) -> bool:
        if self.study.trials[trial.number].state.is_finished():
            raise UpdateFinishedTrialError from error
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            self.claims.put_back(trial)
            raise error
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        self.say(f"failed: {described(trial.params)}: {reason}")
        retried(lambda: trial.set_user_attr("error", reason))
        retried(lambda: self.study.tell(trial, state=optuna.trial.TrialState.FAIL))
        return True

    @contextlib.contextmanager
    def _beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Give signs of life while a trial runs."""
        over = threading.Event()

        def beat() -> None:
            last = 0.0
            while not over.wait(min(self.heartbeat, 1.0)):  # short, so that a machine that slept gives a sign at once
                if time.time() - last >= self.heartbeat:
                    with contextlib.suppress(*STORAGE_ERRORS):  # the next one may get through
                        cast(Any, self.study._storage).record_heartbeat(trial._trial_id)
                        last = time.time()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _plain(value: object) -> Any:
    """What JSON can hold of a NumPy number or array."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"The objective must return what JSON can hold. Received: {type(value).__name__}.")
