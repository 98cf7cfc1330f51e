"""Workers in separate processes, on SQLite and PostgreSQL: every trial runs once, although one
worker is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
from optuna.trial import TrialState

from tests.studies.postgresql import postgresql
from tests.studies.test_worker import states

ROOT = Path(__file__).parents[2]
# A worker that notes each trial when it begins and when it ends.
WORKER = """
import sys, time
from keras_euler import studies

def train(point):
    with open({log!r}, "a") as log:
        log.write(f"begin {{point['depth']}}\\n")
    time.sleep({seconds})
    with open({log!r}, "a") as log:
        log.write(f"end {{point['depth']}}\\n")
    return 0.5

studies.run(train, studies.grid(depth=range(8)), {url!r}, heartbeat={heartbeat})
"""
# Nothing here depends on Keras' backend.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="runs without a backend; tried once"
)


def worker(url, log, seconds, heartbeat):
    code = WORKER.format(log=str(log), url=url, seconds=seconds, heartbeat=heartbeat)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=environment
    )


def lines(log, word):
    return sorted(
        int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith(word)
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'study.db'}"
    else:
        folder = tmp_path / "server"
        folder.mkdir()
        with postgresql(folder) as address:
            yield address


def test_two_workers_train_every_trial_exactly_once(url, tmp_path):
    log = tmp_path / "log"
    workers = [
        worker(url, log, 0.1, heartbeat=60) for _ in range(2)
    ]  # no busy disk is slower than that
    for process in workers:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert lines(log, "begin") == lines(log, "end") == list(range(8))
    assert states(url) == 8 * [TrialState.COMPLETE]  # and none that was queued twice


def test_trial_of_a_killed_worker_goes_to_another(url, tmp_path):
    log = tmp_path / "log"
    victim = worker(url, log, 60, heartbeat=2)
    end = time.monotonic() + 300
    while not (log.exists() and log.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    heir = worker(url, log, 0.01, heartbeat=2)
    _, errors = heir.communicate(timeout=300)
    assert heir.returncode == 0, errors
    assert lines(log, "begin") == [0, *range(8)] and lines(log, "end") == list(range(8))
