"""What a study has measured so far, as a table; finished trials to and from a file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_euler._types import PathLike
from keras_euler.studies.optional import optuna
from keras_euler.studies.points import key
from keras_euler.studies.queue import open_study
from keras_euler.studies.storage import check_exists, exclusive, open_storage, storage_errors, storage_url
from keras_euler.training.run_folder import write_atomically

if TYPE_CHECKING:
    import pandas as pd

# What of a point is shown where it has several trials.
PREFERENCE = ("complete", "pruned", "running", "waiting", "failed", "interrupted")


def study_names(storage: PathLike) -> list[str]:
    """The names of the studies in a storage.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(lambda point: 0.5, studies.grid(depth=[20]), storage, name="depth", verbose=False)
    >>> studies.study_names(storage)
    ['depth']
    """
    url = storage_url(storage)
    check_exists(url)
    opened = open_storage(url)
    with storage_errors(url):
        return optuna.get_all_study_names(opened)


def read_study(storage: PathLike, name: str) -> dict[str, Any]:
    """A study as a dict that JSON can hold.

    Args:
        storage: Path of a SQLite file, or a database URL.
        name: Name of the study.

    Returns:
        Dict of `name`, `definition`, `attributes`, `trials` (how many in which state), and `rows`: a dict per point with its
        `point`, `state`, `value`, `error` and `record`, what else the objective returned.

    Raises:
        ValueError: There is no such storage or study.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(lambda point: {"value": 0.5, "seconds": 3}, studies.grid(depth=[20]), storage, verbose=False)
    >>> studies.read_study(storage, "study")["rows"]
    [{'point': {'depth': 20}, 'state': 'complete', 'value': 0.5, 'error': None, 'record': {'seconds': 3}}]
    """
    url = storage_url(storage)
    study = _loaded(url, name)
    with storage_errors(url):
        trials = study.get_trials(deepcopy=False)
        attributes = dict(study.user_attrs)
    states: dict[str, int] = {}
    rows: dict[str, dict[str, Any]] = {}
    for trial in trials:
        row = _row(trial)
        states[row["state"]] = states.get(row["state"], 0) + 1
        if trial.params:  # a search chooses them when a trial begins
            before = rows.get(key(trial.params))
            if before is None or PREFERENCE.index(row["state"]) <= PREFERENCE.index(before["state"]):
                rows[key(trial.params)] = row
    definition = attributes.pop("definition", {})
    return {"name": name, "definition": definition, "attributes": attributes, "trials": states, "rows": list(rows.values())}


def results(storage: PathLike, name: str = "study") -> "pd.DataFrame":
    """The results of a study so far, finished or not.

    Args:
        storage: Path of a SQLite file, or a database URL.
        name: Name of the study.

    Returns:
        A pandas `DataFrame`, a row per point: its settings, `state` (complete, pruned, failed, interrupted, running or
        waiting), `value`, `error`, and a column for everything else that the objective returned.

    Raises:
        ValueError: There is no such storage or study.
        ImportError: pandas is missing.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(lambda point: point["h"], studies.grid(seed=[7, 8], h=[0.1, 1]), storage, verbose=False)
    >>> studies.results(storage).groupby("h").value.median().to_dict()
    {0.1: 0.1, 1.0: 1.0}
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError('Tables need pandas. Install it: pip install "keras-euler[studies]"') from error
    rows = read_study(storage, name)["rows"]
    columns = ("state", "value", "error")
    first = [*dict.fromkeys(name for row in rows for name in row["point"]), *columns]
    table = pd.DataFrame([{**row["record"], **row["point"], **{c: row[c] for c in columns}} for row in rows])
    return table[[*first, *(name for name in table.columns if name not in first)]] if rows else table


def export_trials(storage: PathLike, file: PathLike) -> int:
    """Write the finished trials of all studies in a storage to a JSON file, to go on in another storage.

    Args:
        storage: Path of a SQLite file, or a database URL.
        file: The file to write.

    Returns:
        How many trials were written.

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
        study = _loaded(url, name)
        complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        trials = {
            key(trial.params): {
                "params": trial.params,
                "distributions": {n: optuna.distributions.distribution_to_json(d) for n, d in trial.distributions.items()},
                "value": trial.value,
                "user_attrs": trial.user_attrs,
            }
            for trial in complete
        }
        studies[name] = {"user_attrs": study.user_attrs, "trials": list(trials.values())}
    write_atomically(file, lambda path: path.write_text(json.dumps(studies, indent=1) + "\n"))
    return sum(len(study["trials"]) for study in studies.values())


def import_trials(file: PathLike, storage: PathLike) -> int:
    """Add the trials of a file of `export_trials` to a storage; those that it has already are left out.

    Args:
        file: The file.
        storage: Path of a SQLite file, made where there is none, or a database URL.

    Returns:
        How many trials were added.

    Raises:
        ValueError: The file is not one of `export_trials`, or the storage has a study of the same name and another definition.
        OSError: The file cannot be read.

    Example:

    >>> from keras_euler import studies
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> table = studies.run(lambda point: 0.5, studies.grid(depth=[20]), folder / "here.db", verbose=False)
    >>> count = studies.export_trials(folder / "here.db", folder / "trials.json")
    >>> [studies.import_trials(folder / "trials.json", folder / "there.db") for _ in range(2)]
    [1, 0]
    """
    url, count = storage_url(storage), 0
    try:
        studies = json.loads(Path(file).read_text())
        parts = [(name, study["user_attrs"], list(map(_created, study["trials"]))) for name, study in studies.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not a file of export_trials ({type(error).__name__}: {error}).") from error
    opened = open_storage(url)
    with storage_errors(url):
        for name, user_attrs, trials in parts:
            with exclusive(opened, url, name):
                study = open_study(opened, name, user_attrs.get("definition", {}))
                for attribute, value in user_attrs.items():
                    study.set_user_attr(attribute, value)
                done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
                taken = {key(trial.params) for trial in done}
                new = [trial for trial in trials if key(trial.params) not in taken]
                study.add_trials(new)
                count += len(new)
    return count


def _loaded(url: str, name: str) -> "optuna.Study":
    check_exists(url)
    opened = open_storage(url)
    with storage_errors(url):
        known = optuna.get_all_study_names(opened)
        if name not in known:
            raise ValueError(f"There is no study {name!r} in this storage. There are: {', '.join(known) or 'none'}.")
        return optuna.load_study(study_name=name, storage=opened)


def _row(trial: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    state, error = trial.state.name.lower(), trial.user_attrs.get("error")
    if state == "fail":
        state = "failed" if error else "interrupted"
        error = error or "it was interrupted, or its process died"
    return {
        "point": trial.params,
        "state": state,
        "value": trial.value,
        "error": error,
        "record": trial.user_attrs.get("record", {}),
    }


def _created(trial: dict[str, Any]) -> "optuna.trial.FrozenTrial":
    return optuna.create_trial(
        state=optuna.trial.TrialState.COMPLETE,
        params=trial["params"],
        distributions={n: optuna.distributions.json_to_distribution(d) for n, d in trial["distributions"].items()},
        value=trial["value"],
        user_attrs=trial["user_attrs"],
    )
