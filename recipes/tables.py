"""The tables and figures of recipes/results/README.md, and the README's table of claims, from the
JSON files of the measurements.

    # rewrite what stands between the marks `<!-- table NAME -->` and `<!-- end -->`
    python recipes/tables.py

A new measurement: put its JSON file into recipes/results, where the names of the others show how,
or the rows of a study into trials.csv, and run this.
"""

import functools
import json
import operator
import re
from pathlib import Path

import _benchmarks
import _claims
import _cli
import _measured
import _paper
import pandas as pd
import zoo
from _cells import cell_of
from _markdown import markdown, table_of_rows
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
    _cli.choose_backend(parser)
    with _cli.errors_in_one_line(parser):
        texts = {file: rewritten(file.read_text()) for file in FILES}
        for study in studies():
            _measured.draw(study, RESULTS)
        curves().savefig(RESULTS / "trainings_h200.png")
        host = _benchmarks.draw(read("benchmark_host_cpu.json"))
        host.savefig(RESULTS / "benchmark_host_cpu.png")
        for file, text in texts.items():
            file.write_text(text)
    print(f"wrote {' and '.join(str(file) for file in FILES)}")


def rewritten(text):
    """A text with the tables between its marks made anew."""
    return MARKS.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def read(name):
    """What a file of the results holds."""
    return json.loads((RESULTS / name).read_text())


def read_all(pattern):
    """What the files of this name hold, in order of their names; a star stands for any text."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob(pattern))]


@functools.cache
def studies():
    """Return all studies that trials.csv has trials of."""
    known = read_trials(RESULTS / "trials.csv")
    found = [
        _measured.from_trials(known, name, family, DATA[family]) for name, family in _paper.STUDIES
    ]
    return [study for study in found if len(study.trials)]


@table_of_rows("claim of the paper | verdict | n")
def claims():
    """A row per claim of the paper: the verdicts of the studies by which it is judged, and their
    numbers of seeds."""
    summaries = read_all(DYNAMICS[0])
    parts = [_claims.judge_dynamics(found["runs"]) for found in summaries]
    depths = " and ".join(str(found["settings"]["depth"]) for found in summaries)
    seeds = min(len({row["seed"] for row in found["runs"]}) for found in summaries)
    where = f"[depth {depths}]({LINK}#gradients-and-weights)"
    yield _paper.DYNAMICS, f"{where}: {_claims.summary(parts)}", seeds
    for name, claim in _paper.CLAIMS.items():
        judged = [study for study in studies() if study.settings["study"] == name]
        verdicts = [
            f"[{KINDS[study.settings['recipe']]}]({LINK}#{study.name}): "
            f"{_claims.summary(_claims.judge(study.settings, study.cells()))}"
            for study in judged
        ]
        yield claim, "; ".join(verdicts), ", ".join({s.num_seeds: 0 for s in judged})


def study_sections():
    """Every study: its setting, its table, the parts of its claim."""
    return "\n\n".join(map(study_section, studies()))


def study_section(study):
    """One study."""
    dataset = " --dataset ag_news" * (study.settings["recipe"] == "ag_news")
    name = study.settings["study"]
    command = f"python recipes/study.py {name}{dataset} --scaled --data-dir DATA"
    return _measured.section(study, [f"study_{study.name}.png"], command)


@table_of_rows(
    "backend | depth | scheme | h | seed | iterations | first gradient | largest | last | mean "
    "weight | training loss | test accuracy | seconds"
)
def dynamics(pattern):
    """Gradients and weights of layer 2 in the first iterations."""
    names = (
        "h",
        "seed",
        "iterations",
        "first_gradient",
        "largest_gradient",
        "last_gradient",
        "mean_weight",
        "train_loss",
        "test_accuracy",
        "seconds",
    )
    for found in read_all(pattern):
        settings = found["settings"]
        network = (settings["backend"], settings["depth"], settings.get("scheme", "euler"))
        for row in found["runs"]:
            yield *network, *(row[name] for name in names)


@table_of_rows(
    "run | where | training examples | test examples | epochs | learning rate | best | last | "
    "training loss | seconds"
)
def trainings():
    """Single runs of cifar10.py and ag_news.py."""
    for run in [*read_all("cifar10_*.json"), *read_all("ag_news_*.json")]:
        settings, result, data = run["settings"], run["result"], run["data"]
        yield (
            f"{run['data_set']}, {network_of(run)}",
            f"{settings['backend']}, {run['device']}",
            data["train"]["examples"],
            data["test"]["examples"],
            result["epochs"],
            settings["learning_rate"],
            f"{result['best_test_accuracy']:.4f}",
            f"{result['last_test_accuracy']:.4f}",
            result["last_train_loss"],
            result["seconds"],
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


@table_of_rows("data | network | 1/sqrt(L) | largest h below tenfold | advice | growth at each h")
def growths():
    """How much gradients of untrained networks grow, and the advice."""
    for name in ("images", "texts"):
        for depth, advice in read(f"choose_h_{name}_torch.json")["suggestions"].items():
            growth = ", ".join(f"{float(h):.3g}: {g:.3g}" for h, g in advice["growths"].items())
            rule = advice["num_blocks"] ** -0.5
            yield name, depth, rule, advice["largest"], advice["h"], growth


@table_of_rows("rule | batch norm: signal | gradient | no norm: signal | gradient")
def rules():
    """How much signal and gradient grow over the blocks at the start, with each rule."""
    norms = [
        read(f"rule_growths_{norm}_torch.json")["growths"]["depth 110"]
        for norm in ("batch", "none")
    ]
    for rule in norms[0]:
        values = (growths[rule][what] for growths in norms for what in ("signal", "gradient"))
        yield _measured.label("h", rule), *values


@table_of_rows("depth | h | best test accuracy | n")
def advice():
    """Trainings at the advised h."""
    runs = pd.DataFrame(read("advice_h_torch.json")["runs"])
    for key, best in runs.groupby(["depth", "h"], sort=False).best_test_accuracy:
        yield *key, spread(best), len(best)


def robustness():
    """Networks of the study of depth on noisy and on attacked images."""
    runs = pd.json_normalize(read("robustness_scaled_torch.json")["runs"])
    names = [name for name in runs if name.startswith(("noise.", "pgd."))]
    header = ["depth", "h", "n", "clean"]
    header += [name.replace(".", " ", 1).replace("pgd", "PGD") for name in names[1:]]
    rows = [
        (*key, len(group), *(spread(group[name]) for name in names))
        for key, group in runs.groupby(["depth", "h"])
    ]
    return markdown(" | ".join(header), rows)


def spread(values):
    """Median and population standard deviation."""
    return f"{values.median():.3f} ± {values.std(ddof=0):.3f}"


@table_of_rows("network | gradient: output | input | bound | W | noise: input | output | bound | W")
def propositions():
    """Measured gradients and noise beside the bounds of the propositions."""
    for when, file in (("untrained", "init"), ("after 200 iterations", "trained")):
        found = read(f"propositions_depth110_{file}_torch.json")
        for name in found["gradients"]:
            h = "h = 1" if name.startswith(("h = 1", "h1.0")) else "h = 0.1"
            row = [f"{h}, {when}"]
            for kind, first, last in (("gradients", -1, 0), ("noise", 0, -1)):
                growth = found[kind][name]
                measured, bound = growth["measured"], growth["bound"]
                row += [measured[first], measured[last], bound[last], growth["W"]]
            yield row


EXAMPLES = (
    ("two moons: accuracy on noisy points", "two_moons", "noisy"),
    ("two moons: accuracy on clean points", "two_moons", "clean"),
    ("recurrent cell: first gradient", "euler_rnn", "first_gradient"),
    ("recurrent cell: test error", "euler_rnn", "test_error"),
)


@table_of_rows("measured | h = 1 | h = 0.1")
def examples():
    """The toy examples, h = 1 beside h = 0.1."""
    for text, name, *keys in EXAMPLES:
        found = read(f"{name}_torch.json")["results"]
        values = [functools.reduce(operator.getitem, keys, found[h]) for h in ("h = 1", "h = 0.1")]
        yield text, *values


@table_of_rows("network | learning rate | first gradient | best test accuracy")
def resnet50():
    """A ResNet50 of Keras after `eulerize`, the greatest h first."""
    for h, rows in reversed(read("eulerize_resnet_torch.json")["results"].items()):
        trials = pd.DataFrame(rows).rename(columns={"value": "best_test_accuracy"})
        for rate, found in trials.groupby("learning_rate", sort=False):
            yield f"ResNet50, {h}", rate, found.first_gradient.median(), cell_of(found)


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
    "resnet50": resnet50,
    "networks": zoo.table,
    "presets": zoo.presets,
    "cards": cards,
    "training steps": lambda: _benchmarks.steps(read_all("benchmark_[rv]?[sc]*_cpu.json")),
    "training steps gpu": lambda: _benchmarks.steps(read_all("benchmark_resnet_h200.json")),
    "host": lambda: _benchmarks.host(read_all("benchmark_host*.json")),
    "inference": lambda: _benchmarks.steps(read_all("benchmark_inference_*.json")),
    "rematerialization": lambda: _benchmarks.steps(read_all("benchmark_remat_*.json")),
    "parts of the step": lambda: _benchmarks.steps(read_all("benchmark_[al]*.json")),
}

if __name__ == "__main__":
    main()
