"""Evaluate a trained classifier: on clean test data, for each class, under noise and attack, and on
shifted test sets.

    python recipes/evaluate.py runs/FOLDER/model.keras --dataset cifar10 --data-dir DATA
    python recipes/evaluate.py euler_resnet_20_cifar10 --dataset cifar10 --shifted CIFAR-10-C
    python recipes/evaluate.py MODEL --dataset cifar10 --pgd 1 2 4 8 --backend torch
    python recipes/evaluate.py MODEL --dataset ag_news --noise 0.1 0.2 0.4

MODEL is a model.keras of cifar10.py or ag_news.py, or a preset (keras_euler.list_presets()). Noise
is Gaussian on normalized pixels, or the fraction of characters that become random letters.
--shifted is a folder with CIFAR-10-C or CIFAR-10.1, as published or prepared by TensorFlow
Datasets. Images are averaged to the pixels that MODEL takes. --pgd attacks each image by projected
gradient descent (pip install adversarial-robustness-toolbox); the paper claims robustness against
noise, none against attacks. The folder gets evaluation.json and evaluation.png; results of another
model or of other settings are not replaced.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import _attack
import _cli
import numpy as np
from _plan import family_of
from _predictors import images_predictor, load, on_pixels, texts_predictor
from _settings import BACKENDS, COUNT, EXISTING, POSITIVE, SEED, Execution, checked, setting

PIXELS = checked(float, "above 0 and at most 255", lambda x: 0 < x <= 255)
LEVELS = {"cifar10": (0.1, 0.2, 0.5, 1.0), "ag_news": (0.05, 0.1, 0.2, 0.4)}
NOISE = {
    "cifar10": "standard deviation of the noise on normalized pixels",
    "ag_news": "fraction of characters replaced",
}


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of an evaluation."""

    data_dir: Path | None = setting(
        None, "folder or file of the data (default: download them)", parse=EXISTING, metavar="PATH"
    )
    noise: tuple | None = setting(
        None,
        "levels of noise (default: 0.1 0.2 0.5 1, for texts 0.05 0.1 0.2 0.4)",
        parse=POSITIVE,
        many="*",
    )
    pgd: tuple = setting(
        (),
        "attack images by projected gradient descent; N is the largest change of a "
        "pixel's value in 0..255",
        parse=PIXELS,
        many="+",
        metavar="N",
    )
    shifted: Path | None = setting(
        None, "folder of CIFAR-10-C or CIFAR-10.1", parse=EXISTING, metavar="FOLDER"
    )
    test_size: int | None = setting(
        None, "only the first N test examples", parse=COUNT, metavar="N"
    )
    batch_size: int = setting(250, "examples per batch", parse=COUNT)
    seed: int = setting(7, "seed of the noise and of the attack", parse=SEED)
    backend: str | None = setting(None, "Keras backend", parse=str, choices=BACKENDS)
    out: Path | None = setting(
        None,
        "folder of the results (default: runs/evaluation- and the name of MODEL)",
        parse=Path,
        metavar="FOLDER",
    )
    model: str = ""
    dataset: str = ""
    quick: bool = False


def main(argv=None):
    """Evaluate, print the tables, draw the figure."""
    options, parser = parse(argv)
    options = dataclasses.replace(
        options, backend=_cli.choose_backend(parser, Execution(backend=options.backend)).backend
    )
    if options.pgd and options.backend != "torch":
        parser.error(
            f"--pgd needs --backend torch, which opens a model.keras of any backend. Received: "
            f"{options.backend}."
        )
    with _cli.errors_in_one_line(parser):
        from keras_euler import plots, training

        versions = training.package_versions() | (_attack.version() if options.pgd else {})
        name = name_of(options.model)
        out = (
            options.out
            or Path("runs") / f"evaluation-{name.removesuffix('/model.keras').replace('/', '-')}"
        )
        used = {
            n: v
            for n, v in _cli.results_settings(options).items()
            if n not in ("data_dir", "quick")
        }
        used |= {"model": name, "shifted": options.shifted and options.shifted.name}
        if not options.pgd:  # evaluations that are older than the flag have none
            del used["pgd"]
        if is_synthetic(options):
            used["dataset"] = "synthetic"
        _cli.refuse_to_replace(out / "evaluation.json", used, out / "evaluation.png")
        model, class_names = load(options.model)
        if is_synthetic(options) and class_names is not None:
            raise ValueError(
                "--quick takes synthetic test data, which say nothing about this network. "
                f"Run: python recipes/evaluate.py {options.model} --dataset {options.dataset} "
                "--test-size 500 --data-dir DATA"
            )
        sets = shifted_sets(options)
        x, y = test_data(options, model)
        out.mkdir(parents=True, exist_ok=True)
        if options.dataset == "cifar10":
            model = on_pixels(model)
            predict = images_predictor(model, options)
        else:
            predict = texts_predictor(model, options)
        confusion = confusion_matrix(y, predict(x, 0.0), model.output_shape[-1])
        if class_names is None or len(class_names) != len(confusion):
            class_names = [str(i) for i in range(len(confusion))]
        print_classes(confusion, class_names)
        noise = {0.0: float(np.trace(confusion) / confusion.sum())}
        for level in options.noise:
            noise[level] = accuracy(y, predict(x, level))
            print(f"noise {level:<6g}  {noise[level]:.4f}", flush=True)
        attacked = {}
        for radius in sorted(options.pgd):
            attacked[radius] = accuracy(
                y, _attack.predict_attacked(model, x, y, radius, options.batch_size, options.seed)
            )
            print(f"PGD {radius:<8g}  {attacked[radius]:.4f}", flush=True)
        shifted = {}
        for title, read in sets.items():
            images, labels = read()
            rows = slice(options.test_size)
            shifted[title] = accuracy(labels[rows], predict(images[rows], 0.0))
            print(f"{title:<24}{shifted[title]:.4f}", flush=True)
        print_means(shifted)
        results = {
            "settings": used,
            "versions": versions,
            "data": training.fingerprint((x, y)),
            "accuracy": noise[0.0],
            "class_accuracy": dict(zip(class_names, class_accuracy(confusion), strict=True)),
            "confusion": confusion.tolist(),
            "noise": {f"{level:g}": value for level, value in noise.items()},
            **(
                {"pgd": {f"{radius:g}": value for radius, value in attacked.items()}}
                if attacked
                else {}
            ),
            "shifted": shifted,
        }
        training.RunFolder(out).write_json("evaluation.json", results)
        named = dict(
            title=f"{name} on {len(y):,} examples of {used['dataset']}",
            noise_label=NOISE[options.dataset],
        )
        if attacked:
            attacked = {0.0: noise[0.0], **attacked}
        levels = noise if options.noise else None

        def figure():
            return plots.evaluation(
                confusion, class_names, levels, shifted, attacked=attacked, **named
            )

        _cli.save_figure(out / "evaluation.png", figure)
        print(f"wrote {out}")


def parse(argv):
    """Return the options and their parser."""
    parser = _cli.command(__doc__)
    parser.add_argument("model", metavar="MODEL", help="a model.keras, or the name of a preset")
    family = family_of(parser, argv)
    quick = {"test_size": 500}
    _cli.add_flags(parser, EvaluationOptions, ("model", "dataset", "quick"))
    (own,) = _cli.parse(parser, [], argv, quick=quick)
    values = {"noise": LEVELS[family], **(quick if own.quick else {}), **vars(own)}
    options = _cli.make(EvaluationOptions, values)
    if options.model.endswith(".keras") and not Path(options.model).is_file():
        parser.error(
            f"MODEL must be a .keras file or the name of a preset. Received: {options.model}, "
            f"which does not exist."
        )
    if family == "ag_news" and max(options.noise, default=0) > 1:
        parser.error(f"--noise of texts must be at most 1. Received: {max(options.noise):g}.")
    if options.pgd and family != "cifar10":
        parser.error("--pgd is for --dataset cifar10")
    if options.shifted and family != "cifar10":
        parser.error("--shifted is for --dataset cifar10")
    return options, parser


def name_of(model):
    """Return the name of a preset, or the folder and the name of a file."""
    file = Path(model)
    return f"{file.resolve().parent.name}/{file.name}" if file.is_file() else model


def is_synthetic(options):
    """Return whether the test data are synthetic."""
    return options.quick and options.data_dir is None


def test_data(options, model):
    """Load the test images or texts, and their labels."""
    from keras_euler import datasets

    kind = {"cifar10": datasets.cifar10, "ag_news": datasets.ag_news}[options.dataset]
    if is_synthetic(options):
        _, (x, y) = (
            datasets.synthetic.images()
            if options.dataset == "cifar10"
            else datasets.synthetic.texts()
        )
    else:
        _, (x, y) = kind.load_data(options.data_dir)
    num_classes = model.output_shape[-1]
    if len(model.output_shape) != 2 or y.max() >= num_classes:
        raise ValueError(
            f"MODEL must give one number for each of the {int(y.max()) + 1} classes. Received: "
            f"the output {model.output_shape}."
        )
    return x[: options.test_size], y[: options.test_size]


def shifted_sets(options):
    """Return a dict of name -> function that reads a shifted test set; it is empty without the
    flag."""
    from keras_euler.datasets import shifted

    return shifted.find(options.shifted) if options.shifted else {}


def confusion_matrix(y, predicted, num_classes):
    """Return an array `(num_classes, num_classes)`: the number of examples of class i that were
    classified as j."""
    matrix = np.zeros((num_classes, num_classes), "int64")
    np.add.at(matrix, (y, predicted), 1)
    return matrix


def class_accuracy(confusion):
    """Return the accuracy of each class; None for a class without examples."""
    return [float(row[i] / row.sum()) if row.sum() else None for i, row in enumerate(confusion)]


def accuracy(y, predicted):
    """Return the fraction of correct predictions."""
    return float(np.mean(y == predicted))


def print_means(shifted):
    """Print the mean accuracy over the severities of each corruption, and over all corruptions."""
    kinds = {}
    for name, value in shifted.items():
        kind, _, severity = name.rpartition(" ")
        if severity.isdigit():
            kinds.setdefault(kind, []).append(value)
    means = {kind: float(np.mean(values)) for kind, values in kinds.items()}
    for kind, mean in means.items():
        print(f"{kind + ', mean':<24}{mean:.4f}")
    if means:
        print(f"{'mean of corruptions':<24}{np.mean(list(means.values())):.4f}", flush=True)


def print_classes(confusion, class_names):
    """Print the accuracy of each class, and the class that it is most often mistaken for."""
    print(f"{'class':<16}{'examples':>9}{'accuracy':>10}  most often mistaken for")
    for i, (name, fraction) in enumerate(zip(class_names, class_accuracy(confusion), strict=True)):
        others = np.where(np.arange(len(confusion)) == i, -1, confusion[i])
        most = class_names[int(others.argmax())] if others.max() > 0 else ""
        shown = "" if fraction is None else f"{fraction:.4f}"
        print(f"{name:<16}{confusion[i].sum():>9}{shown:>10}  {most}")
    print(
        f"{'all':<16}{confusion.sum():>9}{np.trace(confusion) / confusion.sum():>10.4f}", flush=True
    )


if __name__ == "__main__":
    main()
