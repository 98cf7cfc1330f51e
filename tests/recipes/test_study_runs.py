"""Studies with real trainings of tiny networks, from the grid to the report, and with a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import report

from tests.recipes.test_study import RECIPES, TINY, run, trials


def test_study_and_report_of_real_trainings(tmp_path, capsys):
    arguments = ["depth", *TINY, "--depths", 8, "--seeds", 1, "--out", tmp_path / "study"]
    assert run(*arguments) == 0
    assert "2 trials, 2 new" in capsys.readouterr().out
    done = trials(tmp_path / "study")
    assert [trial.params for trial in done] == [{"seed": 7, "depth": 8, "h": h} for h in (1.0, 0.1)]
    assert all(len(trial.user_attrs["record"]["test_accuracies"]) == 2 for trial in done)
    assert run(*arguments) == 0
    assert "2 trials, 0 new" in capsys.readouterr().out
    report.main([str(tmp_path / "study"), "--out", str(tmp_path / "report")])
    text = (tmp_path / "report" / "report.md").read_text()
    assert (
        "batch_size 16 (128); dataset synthetic (cifar10); depth 8 (14 values from 20 to 650)"
        in text
    )
    assert "synthetic data say nothing" in text
    assert "**not yet measured**" in text and "| 1 | 8 | 1 |" in text
    for name in ("depth-cifar10_best.png", "depth-cifar10_last.png", "noisy_images.png"):
        assert (tmp_path / "report" / name).stat().st_size > 5_000
    (written,) = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(written["rows"]) == 2 and written["plan"]["figures"] == "3"


def test_killed_study_goes_on_from_the_checkpoint(tmp_path):
    folder = tmp_path / "study"
    arguments = [
        "depth",
        *TINY,
        "--epochs",
        "3",
        "--depths",
        "8",
        "--seeds",
        "1",
        "--line",
        "h",
        "0.1",
    ]
    command = [
        sys.executable,
        str(RECIPES / "study.py"),
        *arguments,
        "--heartbeat",
        "1",
        "--out",
        str(folder),
    ]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    environment = {**os.environ, "PYTHONPATH": str(RECIPES.parent)}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        end = time.monotonic() + 200
        while not list(folder.glob("runs/*/history.csv")):
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = subprocess.run(command, env=environment, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    assert "resumes after epoch" in done.stdout or "1 to do" not in done.stdout
    states = [trial.state.name for trial in trials(folder)]
    assert states.count("COMPLETE") == 1 and len(list(folder.glob("runs/*/result.json"))) == 1
