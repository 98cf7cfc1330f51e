"""Run one trial of a study, and keep the trials of all studies in one table: trials.csv, a row per
distinct training."""

import dataclasses
import functools
import json
import subprocess
from pathlib import Path

from _plan import RECIPES
from _run import train


def run_trial(plan, point, folder):
    """Objective of a study: train one trial in a folder, and return its value and record.

    Args:
        plan: The plan of the study.
        point: Dict of setting -> value.
        folder: The run folder.
    """
    import keras

    from keras_euler import training

    settings = plan.settings(point)
    execution = dataclasses.replace(plan.execution, out=folder, verbose=0)
    if keras.backend.backend() != execution.backend:
        raise RuntimeError(
            f"This worker has the backend {keras.backend.backend()}, the study "
            f"{execution.backend}. Start it with KERAS_BACKEND={execution.backend}."
        )
    keras.backend.clear_session()
    name = ", ".join(f"{setting} {value}" for setting, value in point.items())

    def after_epoch(rows):
        accuracy, epoch = rows[-1]["test_accuracy"], f"epoch {len(rows)} of {settings.epochs}"
        print(f"  {name}: {epoch}, test accuracy {accuracy:.4f}", flush=True)

    data = load_data(plan.family, data_settings(settings), execution.data_dir)
    result = train(plan.recipe, settings, execution, data, after_epoch)
    config = training.RunFolder(folder).config()
    return {
        "value": round(result.summary["best_test_accuracy"], 6),
        "last_test_accuracy": round(result.summary["last_test_accuracy"], 6),
        "test_accuracies": [round(row["test_accuracy"], 6) for row in result.history],
        "diverged": result.diverged,
        "seconds": round(result.summary["seconds"], 1),
        "device": config["device"],
        "versions": ", ".join(f"{name} {v}" for name, v in config["versions"].items()),
        "test_data": checksum(config["data"]["test"]),
        "commit": commit(),
    }


def data_settings(settings):
    """Return the settings that the data depend on, with defaults for the others, so that trials can
    share data."""
    static = settings.noise > 0 and settings.noise_mode == "static"
    names = ["dataset", *(("noise", "noise_mode", "seed") if static else ())]
    names += [
        name for name in ("image_size", "sequence_length", "alphabet") if hasattr(settings, name)
    ]
    return type(settings)(**{name: getattr(settings, name) for name in names})


@functools.lru_cache(maxsize=1)
def load_data(family, settings, data_dir):
    """Return the data of a trial, loaded once for all trials that share them."""
    return RECIPES[family].load_data(settings, data_dir)


def checksum(fingerprint):
    """Return the size and the checksums of data as text."""
    return " ".join(map(str, (fingerprint["examples"], *fingerprint["crc32"])))


@functools.cache
def commit():
    """Return the commit of these recipes, or "" outside of a git clone."""
    line = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def columns(family):
    """Return a dict of the settings of a family -> their defaults, with those of the execution."""
    defaults = {
        option.name: option.default for option in dataclasses.fields(RECIPES[family].settings)
    }
    return {"recipe": family, **defaults, "jit": "auto", "devices": 1, "backend": None}


def as_trials(settings, table):
    """Return the finished points of a study as rows of trials.csv.

    Args:
        settings: The shared settings of the study.
        table: Its results.
    """
    names = columns(settings["recipe"])
    done = table[table.state == "complete"].drop(columns=["state", "error"])
    shared = {name: [settings[name]] * len(done) for name in names if name not in done}
    first = ["recipe", *(name for name in names if name != "recipe")]
    done = done.assign(**shared)
    done = done[[*first, *(name for name in done if name not in first)]]
    return done.rename(columns={"value": "best_test_accuracy"})


def write_trials_of(folder):
    """Write trials.csv into the folder of a study: all that is finished there."""
    from keras_euler import studies

    if (folder / "study.json").exists():
        settings = json.loads((folder / "study.json").read_text())
        write_trials(folder / "trials.csv", as_trials(settings, studies.results(folder)))


def write_trials(file, table):
    """Write a table of trials as CSV; lists and numbers as JSON, None as an empty cell."""
    from keras_euler import training

    def text(value):
        is_none = value is None or (isinstance(value, float) and value != value)
        return "" if is_none else value if isinstance(value, str) else json.dumps(value)

    table = table.astype(object).map(text)
    training.write_atomically(file, lambda path: table.to_csv(path, index=False))


def read_trials(file):
    """Return the table of a CSV file of trials; a setting that the file lacks has its default."""
    import pandas as pd

    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows = table.to_dict("records")
        return pd.DataFrame([_parsed(row) for row in rows], dtype=object)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{file} is not a table of trials ({error!r}).") from error


def _parsed(row):
    defaults = columns(row["recipe"])
    values = {name: _value(name, text) for name, text in row.items() if text != ""}
    others = {name: None for name in row if name not in defaults}
    return {**others, **json.loads(json.dumps(defaults)), **values}


def _value(name, text):
    try:
        return text if name == "commit" else json.loads(text)  # a commit may look like a number
    except ValueError:
        return text
