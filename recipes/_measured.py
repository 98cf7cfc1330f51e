"""What studies have measured so far, read from their storages, and what of the paper's settings was cut."""

import json
from pathlib import Path

import _claims
from _plan import ROLES, cuts


def read(storage, of_several):
    """The studies of a storage, as dicts that JSON can hold: name, plan, and a row for each finished trial."""
    import _storage
    import optuna

    measured = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    if "://" not in storage:
        file = Path(storage) if Path(storage).is_file() else Path(storage) / "study.db"
        if not file.exists():
            problem = f"{storage} holds no study.db. Of a study with --storage pass that URL."
            if not of_several:
                raise ValueError(problem)
            print(f"note: {problem}")
            return []
        storage = f"sqlite:///{file}"
    _storage.check_exists(storage)
    opened = _storage.open_storage(storage)
    studies = []
    for study in optuna.get_all_study_names(opened):
        study = optuna.load_study(study_name=study, storage=opened)
        if "plan" not in study.user_attrs:
            continue
        trials = study.get_trials(deepcopy=False)
        states, rows, errors = {}, {}, {}
        for trial in trials:
            state = trial.state.name.lower()
            state = "interrupted" if state == "fail" and "error" not in trial.user_attrs else state
            states[state] = states.get(state, 0) + 1
            if trial.state == optuna.trial.TrialState.COMPLETE and "record" in trial.user_attrs:
                record = {**trial.params, **trial.user_attrs["record"], "best_test_accuracy": trial.value}
                rows.setdefault(record["run"], record)
            elif trial.state == optuna.trial.TrialState.FAIL:
                error = trial.user_attrs.get("error", "it was interrupted, or its process died")
                errors[json.dumps(trial.params)] = error
        fail = optuna.trial.TrialState.FAIL
        done = [json.dumps(trial.params) for trial in trials if trial.state != fail]  # or about to be
        plan = study.user_attrs["plan"]
        studies.append(
            {
                "name": study.study_name,
                "plan": plan,
                "cuts": cuts(plan, [trial.params for trial in trials if trial.state in measured and trial.params]),
                "trials": states,
                "errors": {params: error for params, error in errors.items() if params not in done},
                "rows": list(rows.values()),
            }
        )
    return studies


def cells(study):
    """Dict of `(panel, line, axis)` -> `Cell` over seeds."""
    plan, grouped = study["plan"], {}
    chance = _claims.CHANCE[plan["dataset"]]
    for row in study["rows"]:
        grouped.setdefault(tuple(row.get(plan.get(role)) for role in ROLES), []).append(row)
    return {
        key: _claims.Cell(
            tuple(row["best_test_accuracy"] for row in rows),
            tuple(row["last_test_accuracy"] for row in rows),
            tuple(row["diverged"] or row["best_test_accuracy"] < _claims.FAILED * chance for row in rows),
            tuple(tuple(row["test_accuracies"]) for row in rows),
            chance,
        )
        for key, rows in sorted(grouped.items(), key=lambda item: [part or 0 for part in item[0]])
    }


def ordinary_first(plan, table):
    """The cells of a table, those of the ordinary h = 1 before those of smaller ones."""
    return sorted(table.items(), key=lambda item: -item[0][1] if plan["line"] == "h" else 0)


def described_cuts(study):
    """What differs from the paper's settings, which of them are our choice, and what is not finished, in sentences."""
    plan, states = study["plan"], study["trials"]
    cut = f"Cut (the paper's in brackets): {'; '.join(study['cuts'])}" if study["cuts"] else "The paper's settings"
    sentences = [f"{cut}."]
    if plan.get("our_choice"):
        sentences.append(f"The paper names no values of {words(plan['axis'])}: they are our choice.")
    left = sum(states.get(state, 0) for state in ("waiting", "running"))
    if left:
        sentences.append(
            f"Unfinished: {len(study['rows'])} of {len(study['rows']) + left} trials, n = {seeds_of(study)}."
        )
    if states.get("fail"):
        sentences.append(f"Failed for another reason than the training: {states['fail']} trials.")
    return " ".join(sentences)


def seeds_of(study):
    """Over how many seeds the points of a study are measured: a number, or the least and the most."""
    found = sorted({cell.n for cell in cells(study).values()}) or [0]
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def label(name, value):
    return f"{words(name)} = {value:g}" if isinstance(value, (int, float)) else f"{words(name)} {value}"


def words(name):
    return name.replace("_", " ")
