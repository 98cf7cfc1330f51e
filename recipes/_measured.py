"""What a study has measured so far: its trials, from its folder or from a trials.csv, and its
section of a report."""

import json
import math
from dataclasses import dataclass

import _cells
import _claims
import _depth_law
import _paper
import pandas as pd
from _markdown import markdown
from _plan import ROLES, paper_plan
from _rules import RULES
from _settings import Execution, identity
from _trials import as_trials

CHANCE = {"cifar10": 0.1, "ag_news": 0.25}
MOST_COLUMNS = 5  # of a table
# Not in a list of cuts.
UNSEEN = {"seed", "jit", "devices", "backend", "log_gradients", "log_weights", "log_per"}


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
        """Return a dict of `(panel, line, axis)` -> `Cell` over seeds, in the order of lines: h = 1
        before smaller values and rules."""
        names, chance = list(self.roles.values()), CHANCE[self.settings["recipe"]]
        sign = -1 if self.roles["line"] == "h" else 1
        found = {
            (None,) * (len(ROLES) - len(names)) + key: _cells.cell_of(rows, chance)
            for key, rows in self.trials.groupby(names, sort=False)
        }

        def order(key):
            return numbers_first(key[1], sign), numbers_first(key[0]), numbers_first(key[2])

        return {key: found[key] for key in sorted(found, key=order)}

    @property
    def num_seeds(self):
        """Number of seeds per point, or the range of the numbers, as text."""
        counts = {cell.n for cell in self.cells().values()} or {0}
        return " to ".join(str(n) for n in sorted({min(counts), max(counts)}))


def from_folder(folder, data=None):
    """Return the study in a folder of study.py."""
    from keras_euler import studies

    table = studies.results(folder)
    settings = json.loads((folder / "study.json").read_text())
    missing = table[table.state != "complete"].state.value_counts().to_dict()
    trials = as_trials(settings, table)
    return Measured(folder.name, settings, trials, data or settings["dataset"], missing)


def from_trials(known, study, family, data):
    """Return the scaled study that the trials of a trials.csv make up, with the values of
    `_paper`."""
    plan = paper_plan(study, family, True, Execution(backend="torch"))
    settings = plan.shared()
    wanted = {name: [value] for name, value in settings.items() if name in known} | plan.varied
    rows = known.to_dict("records")
    trials = known[[all(row[name] in wanted[name] for name in wanted) for row in rows]]
    left = math.prod(map(len, plan.varied.values())) - len(trials)
    missing = {"not begun": left} if left else {}
    return Measured(f"{study}-{family}-scaled", settings, trials, data, missing)


def cuts(measured):
    """List the differences from the paper, as strings such as `epochs 2 (80)`."""
    plan = paper_plan(measured.settings["study"], measured.settings["recipe"])
    paper = {name: [value] for name, value in identity(plan.base, plan.execution).items()}
    paper |= plan.varied
    found = []
    for name in sorted(set(paper) - UNSEEN):
        if name in measured.settings:
            actual = [measured.settings[name]]
        else:
            actual = sorted(set(measured.trials.get(name, ())), key=numbers_first)
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
    whose = "the full study's" if paper.figures == _paper.OURS else "the paper's"
    different = "; ".join(cuts(measured))
    sentences = ["Scaled."] if measured.settings["scaled"] else []
    sentences.append(
        f"Cut ({whose} in brackets): {different}."
        if different
        else f"{whose.capitalize()} settings."
    )
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
    settings, table = measured.settings, measured.cells()
    figure = _paper.STUDIES[settings["study"], settings["recipe"]].figures
    devices = ", ".join(sorted(set(measured.trials.get("device", ())))) or "no device yet"
    text = [
        f"### {measured.name}",
        f"{figure}. {f'`{command}`. ' if command else ''}{measured.data}, {settings['backend']}, "
        f"{devices}. {description(measured)}",
    ]
    if len(set(measured.trials.get("test_data", ()))) > 1:
        text.append("**The trials were tested on different data.**")
    if table:
        text.append(table_of(measured, table))
    if settings["study"] == "depth-law":
        text += _depth_law.sentences(measured, lambda h: label("h", h))
    parts = _claims.judge(settings, table)
    if parts:
        text.append(f"The paper: {_paper.CLAIMS[settings['study']]}")
        rows = [(part.text, f"**{part.verdict}**", part.p or part.reason) for part in parts]
        text.append(markdown("part of the claim | verdict | p", rows))
    return "\n\n".join([*text, *(f"![{measured.name}]({name})" for name in figures)])


def table_of(measured, table):
    """Return the table of a study: a row per panel and value of the axis, a column per line; of
    many lines a row per line."""
    roles = measured.roles
    lines = list(dict.fromkeys(line for _, line, _ in table))
    if len(lines) > MOST_COLUMNS and len({panel for panel, _, _ in table}) == 1:
        return table_of_lines(measured, table)
    rows = []
    points = {(panel, x) for panel, _, x in table}
    for panel, x in sorted(points, key=lambda point: [*map(numbers_first, point)]):
        where = [label(roles["axis"], x)]
        if panel is not None:
            where.insert(0, label(roles["panel"], panel))
        rows.append((", ".join(where), *(table.get((panel, line, x)) for line in lines)))
    header = ["best test accuracy", *(label(roles["line"], line) for line in lines)]
    return markdown(" | ".join(header), rows)


def table_of_lines(measured, table):
    """Return a table with a row per line, its best value of the axis, and the test that it is above
    h = 0.1 there or below."""
    roles, rows, by_line = measured.roles, [], {}
    for (_, line, x), cell in table.items():
        by_line.setdefault(line, {})[x] = cell
    best = {
        line: max(cells.items(), key=lambda at: at[1].median) for line, cells in by_line.items()
    }
    xs = sorted({x for _, _, x in table})
    for line, (x, cell) in best.items():
        pairs = []
        if line != 0.1 and 0.1 in best:
            pairs = [(cell, best[0.1][1]), (best[0.1][1], cell)]
        tests = [one.p_above(other) for one, other in pairs] or [None, None]
        tests = [test if test and test.n >= _claims.LEAST_SEEDS else None for test in tests]
        cells = map(by_line[line].get, xs)
        rows.append((label(roles["line"], line), *cells, f"{x:g}: {cell.median:.3f}", *tests))
    header = ["best test accuracy", *(label(roles["axis"], x) for x in xs), "best"]
    return markdown(" | ".join([*header, "p above h = 0.1", "p below"]), rows)


def draw(measured, folder):
    """Write the figure of a study into a folder, and return its name in a list."""
    if not len(measured.trials):
        return []
    figure(measured).savefig(folder / f"study_{measured.name}.png")
    return [f"study_{measured.name}.png"]


def figure(measured):
    """Return the figure of a study: accuracies against its axis, a plot per panel.

    Where the axis has one value, the panels' setting takes its place, or that of the lines.
    """
    from keras_euler import plots

    roles, table, panels = measured.roles, measured.cells(), {}
    is_single = len({x for _, _, x in table}) == 1
    axis = ("panel" if "panel" in roles else "line") if is_single else "axis"
    others = [role for role in ("panel", "axis", "line") if role != axis]
    for key, cell in table.items():
        at = dict(zip(ROLES, key, strict=True))
        name, line = (label(roles[role], at[role]) if role in roles else "" for role in others)
        values = list(zip(cell.best, cell.failed, strict=True))
        panels.setdefault(name, {}).setdefault(line, {})[at[axis]] = values
    xs = [x for lines in panels.values() for points in lines.values() for x in points]
    logarithmic = all(isinstance(x, float) and x > 0 for x in xs)
    axis = spelled_out(roles[axis])
    scale = ", scaled for a CPU" * measured.settings["scaled"]
    note = f"{measured.name}: {measured.data}{scale}, n = {measured.num_seeds}."
    drawn = plots.accuracies(panels, axis, note, logarithmic)
    drawn.suptitle(f"Best test accuracy against {axis}", fontsize="medium")
    return drawn


def over_epochs(measured):
    """Return figure 13: test accuracy over the epochs, a plot for each depth and h, a line for each
    learning rate."""
    from keras_euler import plots

    roles, panels = measured.roles, {}
    for (panel, line, x), cell in measured.cells().items():
        title = f"{label(roles['panel'], panel)}, {label(roles['line'], line)}"
        failed = f", {cell.failed.sum()} of {cell.n} failed" * cell.failed.any()
        curves = list(cell.trials.test_accuracies)
        panels.setdefault(title, {})[f"{label(roles['axis'], x)}{failed}"] = curves
    return plots.accuracy_curves(panels, f"{measured.name}: {measured.data}.")


def numbers_first(value, sign=1):
    """Return a key by which numbers stand in their order, or against it, before names."""
    is_name = isinstance(value, str)
    return is_name, value if is_name or value is None else sign * value


def label(name, value):
    """Return `h = 0.1`, `norm none`, or the name of a rule of the literature."""
    if name == "h" and isinstance(value, str):
        return value if value in RULES else f"h = {value}"
    is_number = isinstance(value, (int, float))
    return f"{spelled_out(name)} = {value:g}" if is_number else f"{spelled_out(name)} {value}"


def spelled_out(name):
    """Return the name of a setting without underscores."""
    return name.replace("_", " ")
