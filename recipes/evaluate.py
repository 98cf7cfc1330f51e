"""Evaluate a trained classifier: on clean test data, for each class, under the paper's noise, and on shifted test sets.

    python recipes/evaluate.py runs/FOLDER/model.keras --dataset cifar10 --data-dir DATA
    python recipes/evaluate.py euler_resnet_20_cifar10 --dataset cifar10 --data-dir DATA --shifted CIFAR-10-C
    python recipes/evaluate.py runs/FOLDER/model.keras --dataset ag_news --data-dir DATA --noise 0.1 0.2 0.4

MODEL is a model.keras of cifar10.py or ag_news.py, or a preset (keras_euler.list_presets()). Noise is Gaussian on normalized
pixels, or the fraction of characters that become random letters. --shifted is a folder with CIFAR-10-C or CIFAR-10.1, as
published or prepared by TensorFlow Datasets. Images are averaged to the pixels that MODEL takes. The folder gets evaluation.json
and evaluation.png; results of another model or of other settings are not replaced.
"""

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import _cli
import numpy as np
from _plan import family_of
from _settings import BACKENDS, Execution, Options, setting

LEVELS = {"cifar10": (0.1, 0.2, 0.5, 1.0), "ag_news": (0.05, 0.1, 0.2, 0.4)}
NOISE = {"cifar10": "standard deviation of the noise on normalized pixels", "ag_news": "fraction of characters replaced"}


@dataclass(frozen=True)
class EvaluationOptions(Options):
    """The options of an evaluation."""

    data_dir: Path | None = setting(
        None, "folder or file of the data (default: download them)", parse=Path, metavar="PATH", exists=True
    )
    noise: tuple | None = setting(
        None, "levels of noise (default: 0.1 0.2 0.5 1, for texts 0.05 0.1 0.2 0.4)", parse=float, many="*", above=0
    )
    shifted: Path | None = setting(None, "folder of CIFAR-10-C or CIFAR-10.1", parse=Path, metavar="FOLDER", exists=True)
    test_size: int | None = setting(None, "only the first N test examples", parse=int, minimum=1, metavar="N")
    batch_size: int = setting(250, "examples per batch", minimum=1)
    seed: int = setting(7, "seed of the noise", minimum=0, maximum=2**31 - 1)
    backend: str | None = setting(None, "Keras backend", parse=str, choices=BACKENDS)
    out: Path | None = setting(
        None, "folder of the results (default: runs/evaluation- and the name of MODEL)", parse=Path, metavar="FOLDER"
    )
    model: str = ""
    dataset: str = ""
    quick: bool = False


def main(argv=None):
    """Evaluate, print the tables, draw the figure."""
    options, parser = parse(argv)
    options = dataclasses.replace(options, backend=_cli.choose_backend(parser, Execution(backend=options.backend)).backend)
    with _cli.errors_in_one_line(parser):
        from keras_euler import plots, training

        name = name_of(options.model)
        out = options.out or Path("runs") / f"evaluation-{name.removesuffix('/model.keras').replace('/', '-')}"
        used = {n: v for n, v in _cli.results_settings(options).items() if n not in ("data_dir", "quick")}
        used |= {"model": name, "shifted": options.shifted and options.shifted.name}
        if is_synthetic(options):
            used["dataset"] = "synthetic"
            print("note: --quick takes synthetic test data, which say nothing about a network of real ones. Pass --data-dir.")
        _cli.refuse_to_replace(out / "evaluation.json", used, out / "evaluation.png")
        model, class_names = load(options.model)
        sets = shifted_sets(options)
        x, y = test_data(options, model)
        out.mkdir(parents=True, exist_ok=True)
        predict = images_predictor(model, options) if options.dataset == "cifar10" else texts_predictor(model, options)
        confusion = confusion_matrix(y, predict(x, 0.0), model.output_shape[-1])
        if class_names is None or len(class_names) != len(confusion):
            class_names = [str(i) for i in range(len(confusion))]
        print_classes(confusion, class_names)
        noise = {0.0: float(np.trace(confusion) / confusion.sum())}
        for level in options.noise:
            noise[level] = accuracy(y, predict(x, level))
            print(f"noise {level:<6g}  {noise[level]:.4f}", flush=True)
        shifted = {}
        for name, read in sets.items():
            images, labels = read()
            rows = slice(options.test_size)
            shifted[name] = accuracy(labels[rows], predict(images[rows], 0.0))
            print(f"{name:<24}{shifted[name]:.4f}", flush=True)
        print_means(shifted)
        results = {
            "settings": used,
            "versions": training.package_versions(),
            "data": training.fingerprint((x, y)),
            "accuracy": noise[0.0],
            "class_accuracy": dict(zip(class_names, class_accuracy(confusion), strict=True)),
            "confusion": confusion.tolist(),
            "noise": {f"{level:g}": value for level, value in noise.items()},
            "shifted": shifted,
        }
        training.RunFolder(out).write_json("evaluation.json", results)
        named = dict(title=f"{name} on {len(y):,} examples of {used['dataset']}", noise_label=NOISE[options.dataset])
        levels = noise if options.noise else None
        figure = lambda: plots.evaluation(confusion, class_names, levels, shifted, **named)  # noqa: E731
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
    options = _cli.make(parser, EvaluationOptions, values)
    if options.model.endswith(".keras") and not Path(options.model).is_file():
        parser.error(f"MODEL must be a .keras file or the name of a preset. Received: {options.model}, which does not exist.")
    if family == "ag_news" and max(options.noise, default=0) > 1:
        parser.error(f"--noise of texts must be at most 1. Received: {max(options.noise):g}.")
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


def load(name):
    """Load the model; return it with the names of its classes, or None."""
    import keras_euler

    preset = keras_euler.list_presets().get(name)
    if preset:
        return preset.load(), preset.class_names
    if not Path(name).is_file():
        raise FileNotFoundError(f"MODEL must be a .keras file or one of {', '.join(keras_euler.list_presets())}. Received: {name}")
    model = load_model(name)
    return model, getattr(model, "class_names", None)


def load_model(file):
    """Load a .keras file, or raise a ValueError that says what is wrong with it."""
    import keras

    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is no .keras file, or is truncated. Train again, or copy the file again.")
    try:
        return keras.models.load_model(file, compile=False)  # Keras' safe mode rejects code in the file
    except Exception as error:  # Keras raises errors of many types for damaged files
        reason = " ".join(str(error).split())[:300]
        if "keras_hub" in reason or "Could not locate class" in reason:
            reason = f"it has layers of another package; pass no KerasHub model, but a preset or a run's model.keras ({reason})"
        raise ValueError(f"{file} cannot be read as a .keras file: {reason}") from error


def test_data(options, model):
    """Load the test images or texts, and their labels."""
    from keras_euler import datasets

    kind = {"cifar10": datasets.cifar10, "ag_news": datasets.ag_news}[options.dataset]
    if is_synthetic(options):
        _, (x, y) = datasets.synthetic.images() if options.dataset == "cifar10" else datasets.synthetic.texts()
    else:
        _, (x, y) = kind.load_data(options.data_dir)
    num_classes = model.output_shape[-1]
    if len(model.output_shape) != 2 or y.max() >= num_classes:
        raise ValueError(
            f"MODEL must give one number for each of the {int(y.max()) + 1} classes. Received: the output {model.output_shape}."
        )
    return x[: options.test_size], y[: options.test_size]


def images_predictor(model, options):
    """Return a function from images and a level of noise to the predicted classes."""
    import keras

    from keras_euler.datasets.cifar10 import MEAN, STDDEV, resize

    scaling = (keras.layers.Normalization, keras.layers.Rescaling)
    inputs = model.inputs[0]
    size = inputs.shape[1]
    if tuple(inputs.shape[1:]) not in [(size, size, 3) for size in (8, 16, 32)]:
        raise ValueError(f"MODEL must take images (n, 32, 32, 3), or of 16 or 8 pixels. Received: {tuple(inputs.shape)}.")
    if keras.backend.is_float_dtype(inputs.dtype) and not any(isinstance(layer, scaling) for layer in model.layers):
        print("note: MODEL has no layer that scales pixels, so they are normalized like in cifar10.py")
        variance = [stddev**2 for stddev in STDDEV]
        scale = keras.layers.Normalization(mean=MEAN, variance=variance, dtype="float32")
        model = keras.Sequential([keras.Input(inputs.shape[1:]), scale, model])
    models = {0.0: model, **{level: with_noise(model, level, options.seed) for level in options.noise}}

    def predict(x, level):
        return models[level].predict(resize(x, size), batch_size=options.batch_size, verbose=0).argmax(-1)

    return predict


def with_noise(model, level, seed):
    """Return the model with noise on normalized pixels: after its Normalization, or at its inputs if it has none."""
    import keras

    import keras_euler

    noise = keras_euler.AdditiveGaussianNoise(level, "always", seed=seed, dtype="float32")
    normalizations = []

    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        if normalizations or not isinstance(layer, keras.layers.Normalization):
            return y
        normalizations.append(layer)
        return noise(y)

    graph = keras.Model(model.inputs, model.outputs)  # the calls of a Sequential model cannot be walked
    noisy = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)
    if normalizations:
        return noisy
    inputs = model.inputs[0]
    is_nested = any(isinstance(layer, keras.layers.Normalization) for layer in model._flatten_layers())
    if is_nested or not keras.backend.is_float_dtype(inputs.dtype):
        raise ValueError(
            "MODEL must have a Normalization layer in its graph so that noise can be added. Pass --noise without levels."
        )
    return keras.Sequential([keras.Input(inputs.shape[1:], dtype=inputs.dtype), noise, model])


def texts_predictor(model, options):
    """Return a function from texts and a fraction of characters to replace to the predicted classes."""
    import keras_euler

    if not isinstance(model, keras_euler.CharacterClassifier):
        raise ValueError(f"MODEL must be a CharacterClassifier of ag_news.py. Received: {type(model).__name__}.")

    def predict(x, level):
        ids = keras_euler.corrupt_characters(model.prepare_inputs(x), level, options.seed)
        return model.predict(ids, batch_size=options.batch_size, verbose=0).argmax(-1)

    return predict


def shifted_sets(options):
    """Return a dict of name -> function that reads a shifted test set; it is empty without the flag."""
    from keras_euler.datasets import shifted

    return shifted.find(options.shifted) if options.shifted else {}


def confusion_matrix(y, predicted, num_classes):
    """Return an array `(num_classes, num_classes)`: the number of examples of class i that were classified as j."""
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
    print(f"{'all':<16}{confusion.sum():>9}{np.trace(confusion) / confusion.sum():>10.4f}", flush=True)


if __name__ == "__main__":
    main()
