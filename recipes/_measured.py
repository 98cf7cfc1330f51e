"""What studies have measured so far, from their storages or from a report.json, and how a report
describes it."""

import json
from pathlib import Path

import _cells
import _claims
from _plan import ROLES, cuts


def read(source, is_one_of_several=False):
    """The studies of a folder, a database or a report.json, as dicts of name, plan, and a row per
    finished trial."""
    from keras_euler import studies

    if str(source).endswith(".json"):
        found = read_json(source, list, ("name", "plan", "trials", "errors", "rows"))
        return [{**study, "cuts": cuts(study["plan"], study["rows"])} for study in found]
    if "://" not in source:
        file = Path(source) if Path(source).is_file() else Path(source) / "study.db"
        if not file.exists():
            problem = f"{source} holds no study.db. Of a study with --storage pass that URL."
            if not is_one_of_several:
                raise ValueError(problem)
            print(f"note: {problem}")
            return []
        source = file
    found = [studies.read_study(source, name) for name in studies.study_names(source)]
    return [_flat(study) for study in found if "plan" in study["attributes"]]


def read_json(file, kind, keys):
    """What a JSON file holds; a ValueError unless it is of this type and each object in it has the
    keys."""
    try:
        found = json.loads(Path(file).read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not a JSON file ({error}).") from error
    parts = found if isinstance(found, list) else [found]
    if not isinstance(found, kind) or not all(
        isinstance(part, dict) and set(keys) <= set(part) for part in parts
    ):
        raise ValueError(
            f"{file} was not written by these recipes: it must have {', '.join(keys)}."
        )
    return found


def _flat(study):
    plan, by_run = study["attributes"]["plan"], {}
    for row in study["rows"]:
        if row["state"] == "complete" and row["record"]:
            record = {**row["point"], **row["record"], "best_test_accuracy": row["value"]}
            by_run.setdefault(record["run"], record)
    measured = [row["point"] for row in study["rows"] if row["state"] in ("complete", "pruned")]
    errors = {
        json.dumps(row["point"]): row["error"]
        for row in study["rows"]
        if row["state"] in ("failed", "interrupted")
    }
    return {
        "name": study["name"],
        "plan": plan,
        "cuts": cuts(plan, measured),
        "trials": study["trials"],
        "errors": errors,
        "rows": list(by_run.values()),
    }


def cells(study):
    """Dict of `(panel, line, axis)` -> `Cell` over seeds."""
    plan, grouped = study["plan"], {}
    chance = _claims.CHANCE[plan["dataset"]]
    for row in study["rows"]:
        grouped.setdefault(tuple(row.get(plan.get(role)) for role in ROLES), []).append(row)
    return {
        key: _cells.Cell(
            tuple(row["best_test_accuracy"] for row in rows),
            tuple(row["last_test_accuracy"] for row in rows),
            tuple(
                row["diverged"] or row["best_test_accuracy"] < _claims.FAILED * chance
                for row in rows
            ),
            tuple(tuple(row["test_accuracies"]) for row in rows),
            chance,
            tuple(row["seed"] for row in rows),
        )
        for key, rows in sorted(grouped.items(), key=lambda item: [part or 0 for part in item[0]])
    }


def ordinary_first(plan, table):
    """The cells of a table, h = 1 before smaller values."""
    return sorted(table.items(), key=lambda item: -item[0][1] if plan["line"] == "h" else 0)


def described_cuts(study):
    """Sentences on what differs from the paper's settings, which values are our choice, and what is
    unfinished."""
    plan, states = study["plan"], study["trials"]
    of_paper = plan["figures"] != "none"
    whose = "the paper's" if of_paper else "the full study's"
    cut = (
        f"Cut ({whose} in brackets): {'; '.join(study['cuts'])}"
        if study["cuts"]
        else f"{whose.capitalize()} settings"
    )
    sentences = [f"{'Scaled. ' if plan.get('scaled') else ''}{cut}."]
    if of_paper and plan.get("our_choice"):
        sentences.append(
            f"The paper names no values of {spelled_out(plan['axis'])}: all of them are our choice."
        )
    left = sum(states.get(state, 0) for state in ("waiting", "running"))
    if left:
        total = len(study["rows"]) + left
        sentences.append(
            f"Unfinished: {len(study['rows'])} of {total} trials, n = {seeds_of(study)}."
        )
    if states.get("failed"):
        sentences.append(f"Failed for another reason than the training: {states['failed']} trials.")
    return " ".join(sentences)


def figures_of(plan):
    """What a study shows of the paper: `Figure 3`, `Figures 4, 12 and 13`, or `Not of the
    paper`."""
    several = "s" * (not plan["figures"].isdecimal())
    return "Not of the paper" if plan["figures"] == "none" else f"Figure{several} {plan['figures']}"


def seeds_of(study):
    """The number of seeds per point of a study, or the range of the numbers, as text."""
    counts = sorted({cell.n for cell in cells(study).values()}) or [0]
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def label(name, value):
    """`h = 0.1`, or `norm none`."""
    return (
        f"{spelled_out(name)} = {value:g}"
        if isinstance(value, (int, float))
        else f"{spelled_out(name)} {value}"
    )


def spelled_out(name):
    """The name of a setting without underscores."""
    return name.replace("_", " ")
