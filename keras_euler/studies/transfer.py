"""Carry finished trials from one storage or study to another by a JSON file."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_euler._types import PathLike
from keras_euler.studies.optional import optuna
from keras_euler.studies.points import Point, Search, key
from keras_euler.studies.processes import PROCESS
from keras_euler.studies.queue import Finished
from keras_euler.studies.storage import storage_url
from keras_euler.studies.table import load_study, study_names
from keras_euler.training.run_folder import write_atomically


def export_trials(storage: PathLike, file: PathLike) -> int:
    """Write the finished trials of all studies in a storage to a JSON file, for `reuse` of `run`.

    Args:
        storage: Path of a SQLite file, or a database URL.
        file: The file to write.

    Returns:
        Number of trials written.

    Raises:
        ValueError: There is no such storage.
        OSError: The file cannot be written.

    Example:

    >>> from keras_euler import studies
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> table = studies.run(lambda point: 0.5, studies.grid(depth=[20]), folder / "study.db", verbose=False)
    >>> studies.export_trials(folder / "study.db", folder / "trials.json")
    1
    """
    url, studies = storage_url(storage), {}
    for name in study_names(url):
        study = load_study(url, name)
        complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        trials = {
            key(trial.params): {
                "params": trial.params,
                "value": trial.value,
                "user_attrs": {name: value for name, value in trial.user_attrs.items() if name != PROCESS},
            }
            for trial in complete
        }
        studies[name] = {"user_attrs": study.user_attrs, "trials": list(trials.values())}
    write_atomically(file, lambda path: path.write_text(json.dumps(studies, indent=1) + "\n"))
    return sum(len(study["trials"]) for study in studies.values())


def finished_points(file: PathLike, definition: Mapping[str, Any], points: Sequence[Point] | Search) -> list[Finished]:
    """Return pairs of a point and its result in a file of `export_trials`, whichever study there has it.

    The settings of a trial are its parameters and the definition of its study. They must equal those of a point.

    Args:
        file: The file.
        definition: JSON-serializable dict of what all points share.
        points: Points of a grid, or a search.

    Raises:
        ValueError: The file is not one of `export_trials`.
        OSError: The file cannot be read.
    """
    finished, shared = _read(file), json.loads(json.dumps(definition))
    if isinstance(points, Search):
        name, low, high = points.name, points.low, points.high
        values = [settings[name] for settings, _ in finished if low <= settings.get(name, math.inf) <= high]
        points = [{**points.fixed, name: value} for value in values]
    return [(point, result) for point in points for settings, result in finished if settings == {**shared, **point}]


def _read(file: PathLike) -> list[Finished]:
    """Return pairs of all settings of a trial, and its result."""
    try:
        studies = json.loads(Path(file).read_text())
        return [
            (
                {**study["user_attrs"].get("definition", {}), **trial["params"]},
                {"value": float(trial["value"]), "user_attrs": dict(trial["user_attrs"])},
            )
            for study in studies.values()
            for trial in study["trials"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not a file of export_trials ({type(error).__name__}: {error}).") from error
