"""The tables and figures of recipes/results/README.md, and the README's table of claims, from the
JSON files of the measurements.

    # rewrite what stands between the marks `<!-- table NAME -->` and `<!-- end -->`
    python recipes/tables.py

A new measurement: put its JSON file into recipes/results, where the names of the others show how,
or the rows of a study into trials.csv, and run this.
"""

import functools
import json
import re
import statistics
from pathlib import Path

import _benchmarks
import _claims
import _cli
import _measured
import _paper
import zoo
from _measured import markdown
from _rules import RULES
from _settings import Execution
from _trials import read_trials

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "recipes" / "results"
DATA = {"cifar10": "CIFAR-10 (JPEG q75)", "ag_news": "AG-News (46 % of training rows)"}
KINDS = {"cifar10": "images", "ag_news": "texts"}
LINK = "recipes/results/README.md"
FILES = (RESULTS / "README.md", ROOT / "README.md")
MARKS = re.compile(r"(<!-- table ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
# Depths of the gradients, and of the same in two minutes.
DYNAMICS = ("gradient_dynamics_depth*/summary.json", "gradient_dynamics_quick_*.json")


def main(argv=None):
    """Rewrite the tables and draw the figures of the studies."""
    parser = _cli.command(__doc__)
    parser.parse_args(argv)
    _cli.choose_backend(parser, Execution())
    with _cli.errors_in_one_line(parser):
        texts = {file: rewritten(file.read_text()) for file in FILES}
        for study in studies():
            _measured.draw(study, RESULTS, ["best"])
        curves().savefig(RESULTS / "trainings_h200.png")
        for file, text in texts.items():
            file.write_text(text)
    print(f"wrote {' and '.join(str(file) for file in FILES)}")


def rewritten(text):
    """A text with the tables between its marks made anew."""
    return MARKS.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def read(name):
    """What a file of the results holds."""
    if not (RESULTS / name).is_file():
        raise FileNotFoundError(
            f"{RESULTS / name} is missing. Copy the file of the measurement to this name; see "
            f"CONTRIBUTING."
        )
    return json.loads((RESULTS / name).read_text())


def read_all(pattern):
    """What the files of this name hold, in order of their names; a star stands for any text."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob(pattern))]


@functools.cache
def studies():
    """Return all studies that trials.csv has trials of."""
    known = read_trials(RESULTS / "trials.csv")
    found = [
        _measured.from_trials(known, name, family, DATA[family])
        for name, family in _paper.SCALED_STUDIES
    ]
    return [study for study in found if len(study.trials)]


def claims():
    """A row per claim of the paper: the verdicts of the studies by which it is judged, and their
    numbers of seeds."""
    summaries = read_all(DYNAMICS[0])
    parts = [_claims.judge_dynamics(found["runs"]) for found in summaries]
    depths = " and ".join(str(found["settings"]["depth"]) for found in summaries)
    seeds = min(len({row["seed"] for row in found["runs"]}) for found in summaries)
    where = f"[depth {depths}]({LINK}#gradients-and-weights)"
    rows = [(_paper.DYNAMICS, f"{where}: {_claims.summary(parts)}", seeds)]
    for name, claim in _paper.CLAIMS.items():
        judged = [study for study in studies() if study.settings["study"] == name]
        verdicts = [
            f"[{KINDS[study.settings['recipe']]}]({LINK}#{study.name}): "
            f"{_claims.summary(_claims.judge(study.settings, study.cells()))}"
            for study in judged
        ]
        rows.append((claim, "; ".join(verdicts), ", ".join({s.num_seeds: 0 for s in judged})))
    return markdown("claim of the paper | verdict | n", rows)


def study_sections():
    """Every study: its setting, its table, the parts of its claim."""
    return "\n\n".join(map(study_section, studies()))


def study_section(study):
    """One study."""
    dataset = " --dataset ag_news" * (study.settings["recipe"] == "ag_news")
    name = study.settings["study"]
    command = f"python recipes/study.py {name}{dataset} --scaled --data-dir DATA"
    return _measured.section(study, [f"study_{study.name}.png"], command)


def dynamics(pattern):
    """Gradients and weights of layer 2 in the first iterations."""
    names = (
        "first_gradient",
        "largest_gradient",
        "last_gradient",
        "mean_weight",
        "train_loss",
        "test_accuracy",
        "seconds",
    )
    rows = []
    for found in read_all(pattern):
        settings = found["settings"]
        network = (settings["backend"], settings["depth"], settings.get("scheme", "euler"))
        rows += [
            (*network, row["h"], row["seed"], row["iterations"], *(row[name] for name in names))
            for row in found["runs"]
        ]
    header = "backend | depth | scheme | h | seed | iterations | first gradient | largest | last"
    return markdown(f"{header} | mean weight | training loss | test accuracy | seconds", rows)


def trainings():
    """Single runs of cifar10.py and ag_news.py."""
    rows = []
    for run in [*read_all("cifar10_*.json"), *read_all("ag_news_*.json")]:
        settings, result, data = run["settings"], run["result"], run["data"]
        what, where = (
            f"{run['data_set']}, {network_of(run)}",
            f"{settings['backend']}, {run['device']}",
        )
        sizes = (
            data["train"]["examples"],
            data["test"]["examples"],
            result["epochs"],
            settings["learning_rate"],
        )
        accuracies = (f"{result[f'{name}_test_accuracy']:.4f}" for name in ("best", "last"))
        rows.append(
            (what, where, *sizes, *accuracies, result["last_train_loss"], result["seconds"])
        )
    return markdown(
        "run | where | training examples | test examples | epochs | learning rate | best | last | "
        "training loss | seconds",
        rows,
    )


def network_of(run):
    """What a table and a figure call the network of a run."""
    return f"depth {run['settings']['depth']}, h = {run['settings']['h']:g}"


def curves():
    """The figure of test accuracy over the epochs on a GPU, with the paper's images and widths."""
    from keras_euler import plots

    runs = read_all("cifar10_*_h200_jax.json")
    lines = {
        network_of(run): [[float(row["test_accuracy"]) for row in run["history"]]] for run in runs
    }
    where = f"{runs[0]['data_set']}, {runs[0]['device']}"
    note = f"{where}. At depth 110 the time on the GPU ended before the 80 epochs."
    return plots.accuracy_curves({"Test accuracy over the epochs": lines}, note)


def growths():
    """How much gradients of untrained networks grow, and the advice."""
    rows = []
    for name, found in (
        ("images", read("choose_h_images_torch.json")),
        ("texts", read("choose_h_texts_torch.json")),
    ):
        for depth, advice in found["suggestions"].items():
            growth = ", ".join(
                f"{float(h):.3g}: {value:.3g}" for h, value in advice["growths"].items()
            )
            rows.append(
                (name, depth, advice["num_blocks"] ** -0.5, advice["largest"], advice["h"], growth)
            )
    return markdown(
        "data | network | 1/sqrt(L) | largest h below tenfold | advice | growth at each h", rows
    )


def rules():
    """How much signal and gradient grow over the blocks at the start, with each rule."""
    norms = [read(f"rule_growths_{norm}_torch.json")["growths"] for norm in ("batch", "none")]
    rows = []
    for rule in norms[0]["depth 110"]:
        found = [growths["depth 110"][rule] for growths in norms]
        numbers = [each[what] for each in found for what in ("signal", "gradient")]
        rows.append(("h = " * (rule not in RULES) + rule, *numbers))
    return markdown("rule | batch norm: signal | gradient | no norm: signal | gradient", rows)


def advice():
    """Trainings at the advised h."""
    runs, grouped = read("advice_h_torch.json")["runs"], {}
    for run in runs:
        grouped.setdefault((run["depth"], run["h"]), []).append(run["best_test_accuracy"])
    return markdown(
        "depth | h | best test accuracy | n",
        [(*key, spread(best), len(best)) for key, best in grouped.items()],
    )


def robustness():
    """Networks of the study of depth on noisy and on attacked images."""
    found, grouped = read("robustness_scaled_torch.json"), {}
    for run in found["runs"]:
        grouped.setdefault((run["depth"], f"{run['h']:g}"), []).append(
            [*run["noise"].values(), *run["pgd"].values()]
        )
    noise, radii = (found["settings"][kind] for kind in ("noise", "pgd"))
    header = [
        "depth",
        "h",
        "n",
        "clean",
        *(f"noise {level:g}" for level in noise),
        *(f"PGD {radius:g}" for radius in radii),
    ]
    rows = [
        (*key, len(runs), *map(spread, zip(*runs, strict=True)))
        for key, runs in sorted(grouped.items())
    ]
    return markdown(" | ".join(header), rows)


def spread(values):
    """Median and population standard deviation."""
    return f"{statistics.median(values):.3f} ± {statistics.pstdev(values):.3f}"


def propositions():
    """Measured gradients and noise beside the bounds of the propositions."""
    rows = []
    for when, file in (("untrained", "init"), ("after 200 iterations", "trained")):
        found = read(f"propositions_depth110_{file}_torch.json")
        for name, gradient in found["gradients"].items():
            noise = found["noise"][name]
            h = "h = 1" if name.startswith(("h = 1", "h1.0")) else "h = 0.1"
            ends = (
                gradient["measured"][-1],
                gradient["measured"][0],
                gradient["bound"][0],
                gradient["W"],
            )
            rows.append(
                (
                    f"{h}, {when}",
                    *ends,
                    noise["measured"][0],
                    noise["measured"][-1],
                    noise["bound"][-1],
                    noise["W"],
                )
            )
    return markdown(
        "network | gradient: output | input | bound | W | noise: input | output | bound | W", rows
    )


def examples():
    """The toy examples and ResNet50, h = 1 beside h = 0.1."""
    moons, cell, resnet = (
        read(f"{name}_torch.json")["results"]
        for name in ("two_moons", "euler_rnn", "eulerize_resnet")
    )
    return markdown(
        "measured | h = 1 | h = 0.1",
        [
            (text, *(value(found[h]) for h in ("h = 1", "h = 0.1")))
            for text, found, value in (
                ("two moons: accuracy on noisy points", moons, lambda run: run["noisy"]),
                ("two moons: accuracy on clean points", moons, lambda run: run["clean"]),
                ("recurrent cell: first gradient", cell, lambda run: run["first_gradient"]),
                ("recurrent cell: test error", cell, lambda run: run["test_error"]),
                (
                    "ResNet50: first gradient of the first convolution",
                    resnet,
                    lambda run: run["gradient_norm"][0],
                ),
                ("ResNet50: loss after 30 iterations", resnet, lambda run: run["loss"][-1]),
            )
        ],
    )


def cards():
    """The cards of the presets, with their accuracy under noise where it was measured."""
    from keras_euler import list_presets

    found = []
    for name, preset in list_presets().items():
        card = preset.card(metadata=False)
        for evaluation in read_all(f"evaluation_{name}_torch.json"):
            levels = evaluation["noise"].items()
            noise = ", ".join(f"{accuracy:.3f} at {level}" for level, accuracy in levels)
            card += f"\n- **Under noise**: {noise}"
        found.append(card)
    return "\n\n".join(found)


TABLES = {
    "claims": claims,
    "studies": study_sections,
    "dynamics": lambda: dynamics(DYNAMICS[0]),
    "dynamics quick": lambda: dynamics(DYNAMICS[1]),
    "trainings": trainings,
    "growths": growths,
    "rules": rules,
    "advice": advice,
    "robustness": robustness,
    "propositions": propositions,
    "examples": examples,
    "networks": zoo.table,
    "presets": zoo.presets,
    "cards": cards,
    "training steps": lambda: _benchmarks.steps(read_all("benchmark_[rv]*_cpu.json")),
    "training steps gpu": lambda: _benchmarks.steps(read_all("benchmark_resnet_h200.json")),
    "host": lambda: _benchmarks.host(read_all("benchmark_host*.json")),
    "inference": lambda: _benchmarks.steps(read_all("benchmark_inference_*.json")),
    "rematerialization": lambda: _benchmarks.steps(read_all("benchmark_remat_*.json")),
    "parts of the step": lambda: _benchmarks.steps(read_all("benchmark_[al]*.json")),
}

if __name__ == "__main__":
    main()
