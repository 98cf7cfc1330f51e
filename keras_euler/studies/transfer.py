"""Carry finished trials from one storage or study to another by a JSON file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_euler._types import PathLike
from keras_euler.studies.optional import optuna
from keras_euler.studies.points import Point, Search, is_number, key
from keras_euler.studies.processes import PROCESS
from keras_euler.studies.queue import Finished
from keras_euler.studies.storage import storage_url
from keras_euler.studies.table import load_study, study_names
from keras_euler.training.run_folder import write_atomically


def export_trials(storage: PathLike, file: PathLike) -> int:
    """Write the finished trials of all studies in a storage to a JSON file, for `reuse` of `run`.

    Args:
        storage: Path of a SQLite file, or a database URL.
        file: The file to write. An earlier export is replaced if the storage has all its trials.

    Returns:
        Number of trials written.

    Raises:
        ValueError: There is no such storage, or the file exists and is not an earlier export.
        OSError: The file cannot be written.

    Example:

    >>> from keras_euler import studies
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> table = studies.run(
    ...     lambda point: 0.5, studies.grid(depth=[20]), folder / "study.db", verbose=False
    ... )
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
                "user_attrs": {
                    name: value for name, value in trial.user_attrs.items() if name != PROCESS
                },
            }
            for trial in complete
        }
        studies[name] = {"user_attrs": study.user_attrs, "trials": list(trials.values())}
    if Path(file).exists():
        _check_replaceable(file, studies)
    write_atomically(file, lambda path: path.write_text(json.dumps(studies, indent=1) + "\n"))
    return sum(len(study["trials"]) for study in studies.values())


def _check_replaceable(file: PathLike, studies: Mapping[str, Any]) -> None:
    """Raise a ValueError if a file is not one of `export_trials`, or has trials that these studies
    lack."""
    own = {
        (name, key(trial["params"])) for name, study in studies.items() for trial in study["trials"]
    }
    num_lost = sum((name, key(params)) not in own for name, params, *_ in _read(file))
    if num_lost:
        raise ValueError(
            f"{file} has {num_lost} trials that this storage lacks, and was not replaced. Pass "
            f"another file."
        )


def finished_points(
    file: PathLike,
    name: str,
    definition: Mapping[str, Any],
    points: Sequence[Point] | Search,
    defaults: Mapping[str, Any],
) -> list[Finished]:
    """Return pairs of a point and its result in a file of `export_trials`, whichever study there
    has it.

    The settings of a trial are its parameters and the definition of its study. They must equal
    those of a point. Without a definition nothing says that another study has the same objective,
    so only the study of the same name counts.

    Args:
        file: The file.
        name: Name of the study that takes the results.
        definition: JSON-serializable dict of what all points share.
        points: Points of a grid, or a search.
        defaults: Dict of setting -> value where the settings lack it.

    Raises:
        ValueError: The file is not one of `export_trials`.
        OSError: The file cannot be read.
    """
    defaults, shared = (
        json.loads(json.dumps(defaults)),
        json.loads(json.dumps({**defaults, **definition})),
    )
    finished = [
        ({**defaults, **settings}, result)
        for study, _, settings, result in _read(file)
        if definition or study == name
    ]
    if isinstance(points, Search):
        axis, low, high = points.name, points.low, points.high
        values = [
            value
            for settings, _ in finished
            if is_number(value := settings.get(axis)) and low <= value <= high
        ]
        points = [{**points.fixed, axis: value} for value in values]
    return [
        (p, result)
        for p in points
        for settings, result in finished
        if _typed(settings) == _typed({**shared, **p})
    ]


def _typed(settings: Mapping[str, Any]) -> dict[str, tuple[bool, Any]]:
    """Return settings in a form in which True differs from 1."""
    return {name: (isinstance(value, bool), value) for name, value in settings.items()}


def _read(file: PathLike) -> list[tuple[str, Point, Point, dict[str, Any]]]:
    """Return the study, the parameters, all settings and the result of each trial."""
    try:
        studies = json.loads(Path(file).read_text())
        return [
            (
                name,
                trial["params"],
                {**study["user_attrs"].get("definition", {}), **trial["params"]},
                {"value": float(trial["value"]), "user_attrs": dict(trial["user_attrs"])},
            )
            for name, study in studies.items()
            for trial in study["trials"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file} is not a file of export_trials ({type(error).__name__}: {error})."
        ) from error
