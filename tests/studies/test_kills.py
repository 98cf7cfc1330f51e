"""Kills of drivers and workers: no finished point runs again, and what was begun goes on."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from keras_euler import studies
from tests.studies import objectives

pytestmark = pytest.mark.once  # nothing here depends on the backend


def start(folder, workers):
    line = [sys.executable, objectives.__file__, str(folder), str(workers)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def logs(folder, number=1):
    """Wait until so many points were begun; return the logs, in order of their time."""
    end = time.monotonic() + 200
    while len(found := list(folder.glob("points/*/run/log"))) < number:
        assert time.monotonic() < end
        time.sleep(0.05)
    return sorted(found, key=lambda file: file.stat().st_mtime)


def check(folder):
    table = studies.results(folder)
    assert sorted(table.value) == [x**2 for x in range(6)] and set(table.state) == {"complete"}
    assert set(table.draw) == {random.Random(0).random()}  # each starts from the same seed
    for log in logs(folder, 6):
        steps = [line for line in log.read_text().splitlines() if line.startswith("step")]
        assert steps == [f"step {step}" for step in range(5)]  # none lost, none repeated


def test_two_drivers_share_a_grid_and_finish_the_point_of_a_killed_one(tmp_path):
    folder = tmp_path / "study"
    victim = start(folder, 1)
    (log,) = logs(folder)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    drivers = [start(folder, 1) for _ in range(2)]
    for driver in drivers:
        output, _ = driver.communicate(timeout=200)
        assert (driver.returncode == 0 and "6 of 6 done" in output) or "waiting" in output, output
    check(folder)
    assert log.read_text().count("begin") == 2


def test_dask_hands_the_point_of_a_killed_worker_to_another(tmp_path):
    folder = tmp_path / "study"
    driver = start(folder, 2)
    log = logs(folder)[0]
    while not log.read_text():
        time.sleep(0.01)
    os.kill(int(log.read_text().split()[1]), signal.SIGKILL)
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output
    check(folder)
    assert log.read_text().count("begin") == 2
    assert (
        len(
            {
                line
                for log in logs(folder)
                for line in log.read_text().split("\n")
                if "begin" in line
            }
        )
        >= 2
    )
