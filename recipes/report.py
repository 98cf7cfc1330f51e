"""The paper's figures and a report of its claims, from what studies have measured so far.

    python recipes/report.py runs/depth-cifar10  # the folder of a study
    # all of them; the noise on real images
    python recipes/report.py runs/* --out report --data-dir DATA
    # a storage with all its studies
    python recipes/report.py postgresql://user:password@host/studies
    # the rows committed here
    python recipes/report.py recipes/results/studies_scaled_cpu_torch.json

Studies need not be finished. The folder gets report.md, report.json, and PNGs: of every study the
median and standard deviation over seeds of the best test accuracy and of the last, with failed
trainings as crosses (figures 3 to 6, 8, 9, 12, 14 to 16); accuracy over epochs by learning rate
(figure 13); what noisy inputs look like (figure 17). gradient_dynamics.py draws figures 2, 10 and
11.
"""

import json
import re
import statistics
from pathlib import Path

import _claims
import _cli
import _paper
from _measured import (
    cells,
    described_cuts,
    figures_of,
    label,
    ordinary_first,
    read,
    read_json,
    seeds_of,
    spelled_out,
)
from _plan import ROLES

# What the noise on characters is shown on.
TEXT = "a residual block is one explicit euler step; a small step makes very deep networks robust"
PINNED = {"h = 1": 0, "h = 0.1": 1}  # red and blue, as the paper has them
RULES = f"""
A training has failed where it diverged, or where its best test accuracy stayed below
{_claims.FAILED:g} times chance. A claim is judged where each point has at least
{_claims.LEAST_SEEDS} seeds. ± is the population standard deviation over seeds."""
ENDINGS = {"best": "best test accuracy over the epochs", "last": "test accuracy of the last epoch"}


def main(argv=None):
    """Read the storages, write figures and report."""
    parser = _cli.command(__doc__)
    add = parser.add_argument
    add(
        "storages",
        nargs="+",
        metavar="STORAGE",
        help="folders of studies, database URLs, or files report.json",
    )
    add("--out", type=Path, default=Path("report"), metavar="FOLDER", help="default: %(default)s")
    add("--data-dir", type=Path, metavar="PATH", help="real images and texts for figure 17")
    add(
        "--data",
        metavar="NAME",
        help="what the data set is called here, such as 'CIFAR-10 (JPEG q75)'",
    )
    add(
        "--dynamics",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="folders of gradient_dynamics.py",
    )
    args = parser.parse_args(argv)
    missing = [
        source for source in args.storages if "://" not in source and not Path(source).exists()
    ]
    if missing:
        parser.error(
            f"STORAGE must be the folder of a study, a database URL or a report.json. Received: "
            f"{missing[0]}, which does not exist."
        )
    with _cli.errors_in_one_line(parser):
        studies = [
            study for storage in args.storages for study in read(storage, len(args.storages) > 1)
        ]
        if not studies:
            raise ValueError(
                "There is no study in what was given. Pass the folder of a study, or its "
                "--storage URL."
            )
        names = [study["name"] for study in studies]
        for i, study in enumerate(studies):  # of several folders: figures are named by it
            study["name"] += f"-{names[:i].count(names[i]) + 1}" if names[i] in names[:i] else ""
            study["data"] = args.data or study.get("data") or study["plan"]["data"]
        refuse_to_replace(args.out / "report.json", studies)
        args.out.mkdir(parents=True, exist_ok=True)
        summaries = {
            folder: read_json(folder / "summary.json", dict, ("settings", "runs"))
            for folder in args.dynamics
        }
        text = [
            "# What was measured of the paper",
            RULES,
            *overview(studies, summaries),
            *dynamics(summaries),
        ]
        for study in studies:
            text += section(study, draw(study, args.out))
        text += noisy_inputs(args.data_dir, args.out)
        (args.out / "report.json").write_text(json.dumps(studies, indent=1) + "\n")
        (args.out / "report.md").write_text("\n".join(text) + "\n")
        print(f"wrote {args.out / 'report.md'}, {args.out / 'report.json'} and the figures")


def refuse_to_replace(file, studies):
    """Raise a ValueError unless `file` is missing or reports on these studies, or on some of
    them."""
    stored = (
        {study["name"] for study in read_json(file, list, ("name", "plan"))}
        if file.exists()
        else set()
    )
    others = stored - {study["name"] for study in studies}
    if others:
        raise ValueError(
            f"{file} reports on other studies: {', '.join(sorted(others))}. Pass another --out."
        )


def draw(study, folder):
    """Write the figures of a study; return their names."""
    table = cells(study)
    figures = {ending: figure(study, ending) for ending in ENDINGS} if table else {}
    if study["plan"]["study"] == "learning-rate" and table:
        figures["over_epochs"] = over_epochs(study["plan"], table, described_cuts(study))
    for ending, drawn in figures.items():
        drawn.savefig(folder / f"{file_name(study)}_{ending}.png")
    return [f"{file_name(study)}_{ending}.png" for ending in figures]


def figure(study, ending="best"):
    """The figure of a study: the best test accuracy, or the last, against its axis, a plot per
    panel, the ordinary h first.

    Where the axis has one value, the panels' setting takes its place.
    """
    from keras_euler import plots

    plan, table, panels = study["plan"], cells(study), {}
    turned = plan.get("panel") and len({x for _, _, x in table}) == 1
    for (panel, line, x), cell in ordinary_first(plan, table):
        values = list(zip(getattr(cell, ending), cell.failed, strict=True))
        x, setting, value = (panel, plan["axis"], x) if turned else (x, plan.get("panel"), panel)
        title = "" if setting is None else label(setting, value)
        panels.setdefault(title, {}).setdefault(label(plan["line"], line), {})[x] = values
    numbers = all(
        isinstance(x, float) and x > 0
        for lines in panels.values()
        for points in lines.values()
        for x in points
    )
    axis = plan["panel"] if turned else plan["axis"]
    drawn = plots.accuracies(
        panels, spelled_out(axis), f"{study['data']}. {described_cuts(study)}", numbers, PINNED
    )
    drawn.suptitle(f"{study['name']}: {ENDINGS[ending]}", fontsize="medium")
    return drawn


def over_epochs(plan, table, note):
    """Figure 13: test accuracy over the epochs, a plot for each depth and h, a line for each
    learning rate."""
    from keras_euler import plots

    panels = {}
    for (panel, line, x), cell in ordinary_first(plan, table):
        title = ", ".join(
            label(plan[role], v) for role, v in (("panel", panel), ("line", line)) if v is not None
        )
        failed = f", {sum(cell.failed)} of {cell.n} failed" if any(cell.failed) else ""
        panels.setdefault(title, {})[f"{label(plan['axis'], x)}{failed}"] = cell.curves
    return plots.accuracy_curves(panels, note)


def overview(studies, summaries):
    """Markdown lines: each claim of the paper with the verdicts on its parts."""
    lines = [
        "\n## The claims\n",
        "| claim | study | setting | n | verdicts |",
        "| --- | --- | --- | --- | --- |",
    ]
    parts = [_claims.judge_dynamics(summary["runs"]) for summary in summaries.values()]
    how = "; ".join(
        f"depth {s['settings']['depth']}, {s['runs'][0]['iterations']} iterations"
        for s in summaries.values()
    )
    seeds = ", ".join(str(len({row["seed"] for row in s["runs"]})) for s in summaries.values())
    verdict = verdicts(parts) if parts else f"{verdicts(parts)}: no --dynamics FOLDER is given"
    lines += [f"| {_paper.DYNAMICS} | gradient_dynamics.py | {how} | {seeds} | {verdict} |"]
    for name, claim in _paper.CLAIMS.items():
        those = [study for study in studies if study["plan"]["study"] == name] or [None]
        for study in those:
            judged = _claims.judge(study["plan"], cells(study)) if study else []
            how = (
                (study["name"], described_cuts(study), seeds_of(study)) if study else (name, "", "")
            )
            missing = [part for part in judged if part.shown is None]
            why = (
                ""
                if judged and not missing
                else why_missing(missing[0], study)
                if missing
                else "no such study is given"
            )
            lines.append(
                f"| {claim} | {' | '.join(how)} | {verdicts(judged)}{why and f': {why}'} |"
            )
    return lines


def why_missing(part, study):
    """Return why a part of a claim is not yet measured."""
    if part.evidence or not study["rows"]:
        return part.evidence or "no trial is finished"
    return (
        f"a point of it has fewer than {_claims.LEAST_SEEDS} finished seeds, or is not in this "
        f"study"
    )


def verdicts(parts):
    """A summary of the verdicts on the parts of a claim."""
    measured = [part.shown for part in parts if part.shown is not None]
    if not measured:
        return "not yet measured"
    several = f"{sum(measured)} of {len(measured)} parts shown"
    missing = (
        f", {len(parts) - len(measured)} not yet measured" if len(measured) < len(parts) else ""
    )
    return ("shown" if all(measured) else several if any(measured) else "not shown") + missing


def section(study, figures):
    """Markdown lines of a study: setting, claim with verdicts, table, figures."""
    plan, table = study["plan"], cells(study)
    states = ", ".join(f"{count} {state}" for state, count in sorted(study["trials"].items()))
    devices = ", ".join(sorted({row["device"] or "unknown" for row in study["rows"]})) or "none yet"
    lines = [
        f"\n## {study['name']}\n",
        f"{figures_of(plan)}. Trials: {states}. Data: {study['data']}. Backend: "
        f"{plan['settings']['backend']}. Device: {devices}.",
        f"{described_cuts(study)}\n",
        *best_of_search(study),
        *different_data(study),
        *(f"Failed: {params}: {error}\n" for params, error in study["errors"].items()),
    ]
    if plan["study"] in _paper.CLAIMS:
        lines += [
            f"The paper: {_paper.CLAIMS[plan['study']]}\n",
            "| part | verdict | p | measured |",
            "| --- | --- | --- | --- |",
        ]
        shown_before = set()
        for part in _claims.judge(plan, table):
            evidence = part.evidence if part.shown is not None else why_missing(part, study)
            evidence = "as above" if part.evidence and part.evidence in shown_before else evidence
            lines.append(f"| {part.text} | **{part.verdict}** | {part.p or ''} | {evidence} |")
            shown_before.add(part.evidence)
    roles = [role for role in ROLES if role in plan]
    lines += [
        "",
        "| "
        + " | ".join(spelled_out(plan[role]) for role in roles)
        + " | n | best, median | ± | last, median | ± | failed |",
    ]
    lines += ["| --- " * (len(roles) + 6) + "|"]
    for key, cell in table.items():
        values = [
            f"{part:.4g}" if isinstance(part, float) else str(part)
            for part in key
            if part is not None
        ]
        last = statistics.median(cell.last), statistics.pstdev(cell.last)
        numbers = [f"{number:.3f}" for number in (cell.median, cell.spread, *last)]
        lines.append(
            "| " + " | ".join([*values, str(cell.n), *numbers, str(sum(cell.failed))]) + " |"
        )
    return lines + [""] + [f"![{name}]({name})" for name in figures]


def dynamics(summaries):
    """Claim 1, from the summaries of gradient_dynamics.py."""
    lines = ["\n## Gradients and weights of layer 2 (figures 2, 10 and 11)\n"]
    lines += [
        "The paper, depth 218: mean weight norm 51.12 and 105.63 for h = 1, 4.54 and 4.10 for h = "
        "0.1.\n"
    ]
    if not summaries:
        return [*lines, "**not yet measured** here (gradient_dynamics.py, then --dynamics FOLDER)"]
    names = ("first_gradient", "largest_gradient", "mean_weight", "train_loss")
    for summary in summaries.values():
        depth = summary["settings"]["depth"]
        lines += [
            "| depth | h | seed | iterations | first gradient | largest | mean weight | training "
            "loss |"
        ]
        lines += ["| --- " * 8 + "|"]
        for row in summary["runs"]:
            numbers = ["no number" if row[name] is None else f"{row[name]:.4g}" for name in names]
            parts = [depth, row["h"], row["seed"], row["iterations"], *numbers]
            lines.append("| " + " | ".join(map(str, parts)) + " |")
        part = _claims.judge_dynamics(summary["runs"])
        lines.append(f"\nDepth {depth}: {part.text}: **{part.verdict}** ({part.evidence})\n")
    return lines


def noisy_inputs(data_dir, folder):
    """Figure 17: the same inputs at every level of noise."""
    from keras_euler import corrupt_characters, datasets, plots

    images, texts = test_inputs(datasets.cifar10, data_dir), test_inputs(datasets.ag_news, data_dir)
    if data_dir and images is texts is None:
        raise ValueError(
            f"--data-dir must hold CIFAR-10 or AG-News, as the training recipes take them. "
            f"Received: {data_dir}."
        )
    synthetic = [name for name, found in (("images", images), ("text", texts)) if found is None]
    images = datasets.synthetic.images(8, 4)[1][0] if images is None else images
    text = TEXT if texts is None else texts[0]
    plots.noisy_images(images[:4], _paper.IMAGE_NOISE, datasets.cifar10.STDDEV).savefig(
        folder / "noisy_images.png"
    )
    ids = datasets.text.encode_characters([text], len(text))
    lines = [
        "\n## What noisy inputs look like (figure 17)\n",
        *(
            [f"Synthetic {' and '.join(synthetic)}: no --data-dir with real ones.\n"]
            if synthetic
            else []
        ),
        "![noisy images](noisy_images.png)\n",
        "| level | text |",
        "| --- | --- |",
    ]
    for level in _paper.TEXT_NOISE:
        (noisy,) = datasets.text.decode_characters(corrupt_characters(ids, level, 0))
        lines.append(f"| {level:g} | {noisy.replace('|', ' ')} |")
    return lines


def test_inputs(kind, data_dir):
    """Images or texts of the test set, None where the folder has none."""
    try:
        return kind.load_data(data_dir)[1][0] if data_dir else None
    except (OSError, ValueError):
        return None


def best_of_search(study):
    """The best trial of a search, as a list of at most one line."""
    plan = study["plan"]
    if "search" not in plan or not study["rows"]:
        return []
    best = max(study["rows"], key=lambda row: row["best_test_accuracy"])
    return [
        f"A search. Best: {plan['axis']} = {best[plan['axis']]:.4g}, test accuracy "
        f"{best['best_test_accuracy']:.4f}.\n"
    ]


def different_data(study):
    """A warning where trials with the same settings were trained on other data, as a list of at
    most one line."""
    found = {json.dumps(row["data"]["test"]) for row in study["rows"] if row.get("data")}
    return (
        [f"**The trials were tested on {len(found)} different data sets.**\n"]
        if len(found) > 1
        else []
    )


def file_name(study):
    """The study's name as part of a file's."""
    return re.sub(r"[^\w.-]", "_", study["name"])


if __name__ == "__main__":
    main()
