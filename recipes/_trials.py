"""Run one trial of a study, and keep the trials of all studies in one table: trials.csv, a row per
distinct training."""

import dataclasses
import functools
import json
import subprocess
from pathlib import Path

from _plan import RECIPES
from _run import train
from _settings import Execution, identity


def run_trial(plan, point, folder):
    """Objective of a study: train one trial in a folder, and return its value and record.

    Args:
        plan: The plan of the study.
        point: Dict of setting -> value.
        folder: The run folder.
    """
    import keras

    from keras_euler import training

    settings = dataclasses.replace(plan.base, **point)
    execution = dataclasses.replace(plan.execution, out=folder, verbose=0)
    if keras.backend.backend() != execution.backend:
        raise RuntimeError(
            f"This worker has the backend {keras.backend.backend()}, the study "
            f"{execution.backend}. Start it with KERAS_BACKEND={execution.backend}."
        )
    keras.backend.clear_session()

    def after_epoch(rows):
        accuracy = f"test accuracy {rows[-1]['test_accuracy']:.4f}"
        print(f"  {point}: epoch {len(rows)} of {settings.epochs}, {accuracy}", flush=True)

    result = train(plan.recipe, settings, execution, after_epoch)
    config = training.RunFolder(folder).config()
    accuracies = [round(row["test_accuracy"], 6) for row in result.history]
    return {
        "value": max(accuracies),
        "last_test_accuracy": accuracies[-1],
        "test_accuracies": accuracies,
        "diverged": result.diverged,
        "seconds": round(result.summary["seconds"], 1),
        "device": config["device"],
        "versions": ", ".join(f"{name} {v}" for name, v in config["versions"].items()),
        "test_data": checksum(config["data"]["test"]),
        "commit": commit(),
    }


def checksum(fingerprint):
    """Return the size and the checksums of data as text."""
    return " ".join(map(str, (fingerprint["examples"], *fingerprint["crc32"])))


@functools.cache
def commit():
    """Return the commit of these recipes, or "" outside of a git clone."""
    folder = Path(__file__).parent
    return subprocess.getoutput(f"git -C '{folder}' describe --always --dirty 2>/dev/null")


def columns(family):
    """Return a dict of the settings of a family -> their defaults, with those of the execution."""
    return {"recipe": family, **identity(RECIPES[family].settings(), Execution())}


def as_trials(settings, table):
    """Return the finished points of a study as rows of trials.csv.

    Args:
        settings: The shared settings of the study.
        table: Its results.
    """
    done = table[table.state == "complete"].drop(columns=["state", "error"])
    names = [name for name in columns(settings["recipe"]) if name not in done]
    shared = {name: [settings[name]] * len(done) for name in names}
    return done.assign(**shared).rename(columns={"value": "best_test_accuracy"})


def write_trials_of(folder):
    """Write trials.csv into the folder of a study: all that is finished there."""
    from keras_euler import studies

    if (folder / "study.json").exists():
        settings = json.loads((folder / "study.json").read_text())
        write_trials(folder / "trials.csv", as_trials(settings, studies.results(folder)))


def write_trials(file, table):
    """Write a table of trials as CSV; lists and numbers as JSON, None as an empty cell."""
    from keras_euler import training

    table = table.astype(object).where(table.notna(), "")
    table = table.map(lambda value: value if isinstance(value, str) else json.dumps(value))
    training.write_atomically(file, lambda path: table.to_csv(path, index=False))


def read_trials(file):
    """Return the table of a CSV file of trials; a setting that the file lacks has its default."""
    import pandas as pd

    rows = pd.read_csv(file, dtype=str, keep_default_na=False).to_dict("records")
    trials = [
        columns(row["recipe"]) | {name: _value(name, text) for name, text in row.items() if text}
        for row in rows
    ]
    return pd.DataFrame(trials, dtype=object)


def _value(name, text):
    try:
        return text if name == "commit" else json.loads(text)  # a commit may look like a number
    except ValueError:
        return text
