"""What a study has measured so far: its trials, from its folder or from a trials.csv, and its
section of a report."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import _cells
import _claims
import _depth_law
import _paper
import pandas as pd
from _plan import ROLES, is_log, paper_plan
from _rules import RULES
from _settings import identity
from _trials import as_trials

CHANCE = {"cifar10": 0.1, "ag_news": 0.25}
MOST_COLUMNS = 5  # of a table
ENDINGS = {
    "best": ("best_test_accuracy", "Best test accuracy"),
    "last": ("last_test_accuracy", "Last test accuracy"),
}


@dataclass(frozen=True)
class Measured:
    """A study and its finished trials.

    Attributes:
        name: Name of the study, such as `depth-cifar10-scaled`.
        settings: The shared settings of its trials, with what a report needs to know.
        trials: DataFrame of its finished trials, as in trials.csv.
        data: What the data set is called.
        missing: Dict of a state (failed, running, interrupted, not begun) -> number of trials.
    """

    name: str
    settings: dict
    trials: pd.DataFrame
    data: str
    missing: dict

    @property
    def roles(self):
        return {role: self.settings[role] for role in ROLES if role in self.settings}

    def cells(self):
        """Return a dict of `(panel, line, axis)` -> `Cell` over seeds."""
        names = list(self.roles.values())
        chance = CHANCE[self.settings["recipe"]]
        grouped = list(self.trials.groupby(names, sort=False)) if len(self.trials) else []
        grouped.sort(key=lambda group: [numbers_first(value) for value in group[0]])
        return {
            (None,) * (len(ROLES) - len(names)) + key: _cells.cell_of(rows, chance)
            for key, rows in grouped
        }

    @property
    def num_seeds(self):
        """Number of seeds per point, or the range of the numbers, as text."""
        counts = {cell.n for cell in self.cells().values()} or {0}
        return " to ".join(str(n) for n in sorted({min(counts), max(counts)}))


def from_folder(folder, data=None):
    """Return the study in a folder of study.py."""
    from keras_euler import studies

    folder = Path(folder)
    table = studies.results(folder)
    settings = json.loads((folder / "study.json").read_text())
    if (settings.get("study"), settings.get("recipe")) not in _paper.STUDIES:
        raise ValueError(f"{folder} holds a study of another program than study.py.")
    missing = table[table.state != "complete"].state.value_counts().to_dict()
    trials = as_trials(settings, table)
    return Measured(folder.name, settings, trials, data or settings["dataset"], missing)


def from_trials(known, study, family, data, backend="torch"):
    """Return the scaled study that the trials of a trials.csv make up, with the values of
    `_paper`."""
    plan = paper_plan(study, family, scaled=True)
    plan = dataclasses.replace(plan, execution=dataclasses.replace(plan.execution, backend=backend))
    settings = plan.shared()
    wanted = known[known.recipe == family]
    for name, value in settings.items():
        if name in wanted and name != "recipe":
            wanted = wanted[wanted[name].map(lambda cell, value=value: cell == value)]
    for name, values in plan.varied.items():
        wanted = wanted[wanted[name].isin(values)]
    left = math.prod(map(len, plan.varied.values())) - len(wanted)
    missing = {"not begun": left} if left else {}
    return Measured(f"{study}-{family}-scaled", settings, wanted, data, missing)


def cuts(measured):
    """List the differences from the paper, as strings such as `epochs 2 (80)`."""
    settings = measured.settings
    plan = paper_plan(settings["study"], settings["recipe"])
    paper = {n: [v] for n, v in identity(plan.base, plan.execution).items()}
    paper |= {name: list(values) for name, values in plan.varied.items()}
    logs = [option.name for option in dataclasses.fields(plan.base) if is_log(option)]
    found = []
    for name in sorted(set(paper) - {"seed", "jit", "devices", *logs}):
        actual = (
            [settings[name]]
            if name in settings
            else sorted(set(measured.trials.get(name, ())), key=numbers_first)
        )
        if any(value not in actual for value in paper[name]):
            found.append(f"{name} {_listed(actual)} ({_listed(paper[name])})")
    num_seeds = len(set(measured.trials.get("seed", ())))
    return found + ([f"seeds {num_seeds} (5)"] if 0 < num_seeds < 5 else [])


def _listed(values):
    if len(values) > 5:
        return f"{len(values)} values from {values[0]} to {values[-1]}"
    return ", ".join("all" if value is None else str(value) for value in values)


def description(measured):
    """Return sentences on what differs from the paper's settings, which values are our choice, and
    what is unfinished."""
    paper = _paper.STUDIES[measured.settings["study"], measured.settings["recipe"]]
    whose = "the full study's" if paper.figures == "none" else "the paper's"
    different = cuts(measured)
    sentences = [
        f"Cut ({whose} in brackets): {'; '.join(different)}."
        if different
        else f"{whose.capitalize()} settings."
    ]
    if measured.settings["scaled"]:
        sentences.insert(0, "Scaled.")
    if paper.our_choice:
        axis = spelled_out(measured.settings["axis"])
        sentences.append(f"The paper names no values of {axis}: all of them are our choice.")
    if measured.missing:
        states = ", ".join(f"{count} {state}" for state, count in measured.missing.items())
        done = len(measured.trials)
        sentences.append(f"Unfinished: {done} trials, {states}, n = {measured.num_seeds}.")
    return " ".join(sentences)


def section(measured, figures, command=None):
    """Return the section of a report in Markdown: setting, table, verdicts, figures.

    Args:
        measured: The study.
        figures: Names of its figures.
        command: The command that made it.
    """
    paper = _paper.STUDIES[measured.settings["study"], measured.settings["recipe"]]
    several = "s" * (not paper.figures.isdecimal())
    figure = "Not of the paper" if paper.figures == "none" else f"Figure{several} {paper.figures}"
    devices = ", ".join(sorted(set(measured.trials.get("device", ())))) or "no device yet"
    text = [
        f"### {measured.name}",
        f"{figure}. {f'`{command}`. ' if command else ''}{measured.data}, "
        f"{measured.settings['backend']}, {devices}. {description(measured)}",
    ]
    if len(set(measured.trials.get("test_data", ()))) > 1:
        text.append("**The trials were tested on different data.**")
    table = measured.cells()
    if table:
        text.append(table_of(measured, table))
    if measured.settings["study"] == "depth-law":
        text += _depth_law.sentences(measured, lambda h: label("h", h))
    parts = _claims.judge(measured.settings, table)
    if parts:
        text.append(f"The paper: {_paper.CLAIMS[measured.settings['study']]}")
        rows = [(part.text, f"**{part.verdict}**", part.p or part.reason) for part in parts]
        text.append(markdown("part of the claim | verdict | p", rows))
    return "\n\n".join([*text, *(f"![{measured.name}]({name})" for name in figures)])


def table_of(measured, table):
    """Return the table of a study: a row per panel and value of the axis, a column per line; of
    many lines a row per line."""
    roles = measured.roles
    lines = list(dict.fromkeys(line for (_, line, _), _ in ordinary_first(measured, table)))
    if len(lines) > MOST_COLUMNS and len({panel for panel, _, _ in table}) == 1:
        return table_of_lines(measured, table, lines)
    rows = []
    points = {(panel, x) for panel, _, x in table}
    for panel, x in sorted(points, key=lambda point: [*map(numbers_first, point)]):
        where = [] if panel is None else [label(roles["panel"], panel)]
        row = [table.get((panel, line, x)) for line in lines]
        rows.append((", ".join([*where, label(roles["axis"], x)]), *row))
    header = ["best test accuracy", *(label(roles["line"], line) for line in lines)]
    return markdown(" | ".join(header), rows)


def table_of_lines(measured, table, lines):
    """Return a table with a row per line, its best value of the axis, and the test that it is above
    h = 0.1 there or below."""
    roles, best = measured.roles, {}
    for (_, line, x), cell in table.items():
        if line not in best or cell.median > best[line][1].median:
            best[line] = (x, cell)
    points = {(line, x): cell for (_, line, x), cell in table.items()}
    xs, rows = sorted({x for _, x in points}), []
    for line in lines:
        at, cell = best[line]
        against = best[0.1][1] if 0.1 in best and line != 0.1 else None
        pairs = [(cell, against), (against, cell)] if against else []
        tests = [one.p_above(other) for one, other in pairs] or [None, None]
        tests = [test if test and test.n >= _claims.LEAST_SEEDS else None for test in tests]
        cells = [points.get((line, x)) for x in xs]
        rows.append((label(roles["line"], line), *cells, f"{at:g}: {cell.median:.3f}", *tests))
    header = ["best test accuracy", *(label(roles["axis"], x) for x in xs), "best"]
    return markdown(" | ".join([*header, "p above h = 0.1", "p below"]), rows)


def draw(measured, folder, endings=tuple(ENDINGS)):
    """Write the figures of a study into a folder, and return their names."""
    figures = (
        {ending: figure(measured, ending) for ending in endings} if len(measured.trials) else {}
    )
    if figures and measured.settings["study"] == "learning-rate" and len(endings) > 1:
        figures["over_epochs"] = over_epochs(measured)
    suffix = {ending: f"_{ending}" * (len(endings) > 1) for ending in figures}
    for ending, drawn in figures.items():
        drawn.savefig(folder / f"study_{measured.name}{suffix[ending]}.png")
    return [f"study_{measured.name}{suffix[ending]}.png" for ending in figures]


def figure(measured, ending="best"):
    """Return the figure of a study: accuracies against its axis, a plot per panel.

    Where the axis has one value, the panels' setting takes its place, or that of the lines.
    """
    from keras_euler import plots

    column, title = ENDINGS[ending]
    roles, table, panels = measured.roles, measured.cells(), {}
    is_single = len({x for _, _, x in table}) == 1
    axis = ("panel" if "panel" in roles else "line") if is_single else "axis"
    order = {"panel": ("axis", "line"), "line": ("panel", "axis"), "axis": ("panel", "line")}[axis]
    for key, cell in ordinary_first(measured, table):
        at = dict(zip(ROLES, key, strict=True))
        name, line = ("" if at[role] is None else label(roles[role], at[role]) for role in order)
        values = list(zip(cell.trials[column], cell.failed, strict=True))
        panels.setdefault(name, {}).setdefault(line, {})[at[axis]] = values
    xs = [x for lines in panels.values() for points in lines.values() for x in points]
    logarithmic = all(isinstance(x, float) and x > 0 for x in xs)
    axis = spelled_out(roles[axis])
    scale = ", scaled for a CPU" * measured.settings["scaled"]
    note = f"{measured.name}: {measured.data}{scale}, n = {measured.num_seeds}."
    drawn = plots.accuracies(panels, axis, note, logarithmic)
    drawn.suptitle(f"{title} against {axis}", fontsize="medium")
    return drawn


def over_epochs(measured):
    """Return figure 13: test accuracy over the epochs, a plot for each depth and h, a line for each
    learning rate."""
    from keras_euler import plots

    roles, panels = measured.roles, {}
    for (panel, line, x), cell in ordinary_first(measured, measured.cells()):
        where = [("panel", panel)] * (panel is not None) + [("line", line)]
        title = ", ".join(label(roles[role], value) for role, value in where)
        num_failed = cell.failed.sum()
        failed = f", {num_failed} of {cell.n} failed" * bool(num_failed)
        curves = list(cell.trials.test_accuracies)
        panels.setdefault(title, {})[f"{label(roles['axis'], x)}{failed}"] = curves
    return plots.accuracy_curves(panels, f"{measured.name}: {measured.data}.")


def ordinary_first(measured, table):
    """Return the cells of a table in the order of lines: h = 1 before smaller values and rules."""
    sign = -1 if measured.roles["line"] == "h" else 1
    return sorted(table.items(), key=lambda item: numbers_first(item[0][1], sign))


def numbers_first(value, sign=1):
    """Return a key by which numbers stand in their order, or against it, before names."""
    is_name = isinstance(value, str)
    return is_name, value if is_name or value is None else sign * value


def markdown(header, rows):
    """Return a table in Markdown, from its header, separated by bars, and rows of values."""
    lines = [f"| {header} |", "|" + "---|" * (header.count("|") + 1)]
    return "\n".join([*lines, *("| " + " | ".join(map(formatted, row)) + " |" for row in rows)])


def formatted(value):
    """Return a value as text: floats with three digits."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return "" if value is None else str(value)


def label(name, value):
    """Return `h = 0.1`, `norm none`, or the name of a rule of the literature."""
    if name == "h" and isinstance(value, str):
        return value if value in RULES else f"h = {value}"
    is_number = isinstance(value, (int, float))
    return f"{spelled_out(name)} = {value:g}" if is_number else f"{spelled_out(name)} {value}"


def spelled_out(name):
    """Return the name of a setting without underscores."""
    return name.replace("_", " ")
