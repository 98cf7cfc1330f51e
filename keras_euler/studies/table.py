"""Read the results of a study as a table."""

from typing import TYPE_CHECKING, Any

from keras_euler._types import PathLike
from keras_euler.studies.optional import optuna
from keras_euler.studies.points import key
from keras_euler.studies.storage import check_exists, open_storage, storage_errors, storage_url

if TYPE_CHECKING:
    import pandas as pd

# Which trial of a point is shown if there are several.
PREFERENCE = ("complete", "running", "waiting", "failed", "pruned", "interrupted")


def study_names(storage: PathLike) -> list[str]:
    """Return the names of the studies in a storage.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(
    ...     lambda point: 0.5, studies.grid(depth=[20]), storage, name="depth", verbose=False
    ... )
    >>> studies.study_names(storage)
    ['depth']
    """
    url = storage_url(storage)
    check_exists(url)
    opened = open_storage(url)
    with storage_errors(url):
        return optuna.get_all_study_names(opened)


def read_study(storage: PathLike, name: str) -> dict[str, Any]:
    """Read a study as a JSON-serializable dict.

    Args:
        storage: Path of a SQLite file, or a database URL.
        name: Name of the study.

    Returns:
        Dict of `name`, `definition`, `attributes`, `trials` (the number in each state) and `rows`.
        A row is a dict of the `point`, `state`, `value` and `error`, and the `record`: what else
        the objective returned.

    Raises:
        ValueError: There is no such storage or study.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(
    ...     lambda point: {"value": 0.5, "seconds": 3},
    ...     studies.grid(depth=[20]),
    ...     storage,
    ...     verbose=False,
    ... )
    >>> studies.read_study(storage, "study")["rows"]
    [{'point': {'depth': 20}, 'state': 'complete', 'value': 0.5, 'error': None, ...}]
    """
    url = storage_url(storage)
    study = load_study(url, name)
    with storage_errors(url):
        trials = study.get_trials(deepcopy=False)
        attributes = dict(study.user_attrs)
    states: dict[str, int] = {}
    rows: dict[str, dict[str, Any]] = {}
    for trial in trials:
        row = _row(trial)
        states[row["state"]] = states.get(row["state"], 0) + 1
        if trial.params:  # a search chooses them when a trial starts
            before = rows.get(key(trial.params))
            if before is None or PREFERENCE.index(row["state"]) <= PREFERENCE.index(
                before["state"]
            ):
                rows[key(trial.params)] = row
    definition = attributes.pop("definition", {})
    return {
        "name": name,
        "definition": definition,
        "attributes": attributes,
        "trials": states,
        "rows": list(rows.values()),
    }


def results(storage: PathLike, name: str = "study") -> "pd.DataFrame":
    """Return the results of a study, finished or not.

    Args:
        storage: Path of a SQLite file, or a database URL.
        name: Name of the study.

    Returns:
        A pandas `DataFrame` with one row per point: its settings, `state` (complete, pruned,
        failed, interrupted, running or waiting), `value`, `error`, and one column for everything
        else that the objective returned.

    Raises:
        ValueError: There is no such storage or study.
        ImportError: pandas is missing.

    Example:

    >>> from keras_euler import studies
    >>> storage = pathlib.Path(tempfile.mkdtemp(), "study.db")
    >>> table = studies.run(
    ...     lambda point: point["h"], studies.grid(seed=[7, 8], h=[0.1, 1]), storage, verbose=False
    ... )
    >>> studies.results(storage).groupby("h").value.median().to_dict()
    {0.1: 0.1, 1.0: 1.0}
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            'Tables need pandas. Install it: pip install "keras-euler[studies]"'
        ) from error
    rows = read_study(storage, name)["rows"]
    columns = ("state", "value", "error")
    first = [*dict.fromkeys(name for row in rows for name in row["point"]), *columns]
    table = pd.DataFrame(
        [{**row["record"], **row["point"], **{c: row[c] for c in columns}} for row in rows]
    )
    return (
        table[[*first, *(name for name in table.columns if name not in first)]] if rows else table
    )


def load_study(url: str, name: str) -> "optuna.Study":
    check_exists(url)
    opened = open_storage(url)
    with storage_errors(url):
        known = optuna.get_all_study_names(opened)
        if name not in known:
            raise ValueError(
                f"There is no study {name!r} in this storage. There are: "
                f"{', '.join(known) or 'none'}."
            )
        return optuna.load_study(study_name=name, storage=opened)


def _row(trial: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    state, error = trial.state.name.lower(), trial.user_attrs.get("error")
    if state == "fail":
        state = "failed" if error else "interrupted"
        error = error or "interrupted, or its process died"
    return {
        "point": trial.params,
        "state": state,
        "value": trial.value,
        "error": error,
        "record": trial.user_attrs.get("record", {}),
    }
