"""Evaluate a trained classifier: on clean test data, for each class, under noise and attack.

    python recipes/evaluate.py runs/FOLDER/model.keras --dataset cifar10 --data-dir DATA
    python recipes/evaluate.py euler_resnet_20_cifar10 --dataset cifar10
    python recipes/evaluate.py MODEL --dataset cifar10 --pgd 1 2 4 8 --backend torch
    python recipes/evaluate.py MODEL --dataset ag_news --noise 0.1 0.2 0.4

MODEL is a model.keras of cifar10.py or ag_news.py, or a preset (keras_euler.list_presets()). Noise
is Gaussian on normalized pixels, or the fraction of characters that become random letters. Images
are averaged to the pixels that MODEL takes. --pgd attacks each image by projected gradient descent
(pip install adversarial-robustness-toolbox); the paper claims robustness against noise, none
against attacks. The folder gets evaluation.json and evaluation.png; results of another model or of
other settings are not replaced.
"""

from dataclasses import dataclass
from pathlib import Path

import _attack
import _cli
import numpy as np
from _plan import family_of
from _settings import Options, existing, setting

LEVELS = {"cifar10": (0.1, 0.2, 0.5, 1.0), "ag_news": (0.05, 0.1, 0.2, 0.4)}
NOISE = {
    "cifar10": "standard deviation of the noise on normalized pixels",
    "ag_news": "fraction of characters replaced",
}


@dataclass(frozen=True)
class EvaluationOptions(Options):
    """The options of an evaluation."""

    data_dir: Path | None = setting(
        None, "folder or file of the data (default: download them)", existing
    )
    noise: tuple = setting(
        (), "levels of noise (default: 0.1 0.2 0.5 1, for texts 0.05 0.1 0.2 0.4)", float, nargs="*"
    )
    pgd: tuple = setting(
        (),
        "attack images by projected gradient descent: largest changes of a pixel's value in 0..255",
        float,
        nargs="+",
    )
    test_size: int | None = setting(None, "only the first N test examples", int)
    batch_size: int = setting(250, "examples per batch")
    out: Path | None = setting(
        None, "folder of the results (default: runs/evaluation- and the name of MODEL)", Path
    )


def main(argv=None):
    """Evaluate, print the tables, draw the figure."""
    parser = _cli.command(__doc__)
    parser.add_argument("model", metavar="MODEL", help="a model.keras, or the name of a preset")
    family = family_of(parser, argv)
    own, options = _cli.parse(parser, [EvaluationOptions], argv, family={"noise": LEVELS[family]})
    if options.pgd and options.backend != "torch":
        parser.error("--pgd needs --backend torch, which opens a model.keras of any backend")
    with _cli.errors_in_one_line(parser):
        from keras_euler import datasets, plots, training

        name = Path(own.model).parent.name or own.model
        folder = options.out or Path("runs") / f"evaluation-{name}"
        used = {**vars(options), "model": name, "dataset": family}
        _cli.refuse_to_replace(folder / "evaluation.json", used)
        model = load(own.model)
        x, y = getattr(datasets, family).load_data(options.data_dir)[1]
        x, y = x[: options.test_size], y[: options.test_size]
        if family == "cifar10":
            x = datasets.cifar10.resize(x, model.input_shape[1])
        predict = {"cifar10": predict_images, "ag_news": predict_texts}[family]
        size = model.output_shape[-1]
        predicted = predict(model, x, 0.0, options)
        confusion = np.bincount(y * size + predicted, minlength=size**2).reshape(size, size)
        by_class = np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
        names = model.class_names or [str(i) for i in range(size)]
        by_class = dict(zip(names, by_class.tolist(), strict=True))
        noise = {0.0: float(np.mean(y == predicted))}
        for level in options.noise:
            noise[level] = float(np.mean(y == predict(model, x, level, options)))
        attacked = {0.0: noise[0.0]} if options.pgd else {}
        for radius in options.pgd:
            predicted = _attack.predict_attacked(
                model, x, y, radius, options.batch_size, options.seed
            )
            attacked[radius] = float(np.mean(y == predicted))
        for what, found in (("", by_class), ("noise", noise), ("PGD", attacked)):
            for at, accuracy in found.items():
                print(f"{what} {at}: {accuracy:.4f}")
        _cli.write_results(
            folder / "evaluation.json",
            used,
            data=training.fingerprint((x, y)),
            accuracy=noise[0.0],
            class_accuracy=by_class,
            confusion=confusion.tolist(),
            noise={f"{level:g}": accuracy for level, accuracy in noise.items()},
            pgd={f"{radius:g}": accuracy for radius, accuracy in attacked.items()},
        )
        title = f"{name} on {len(y):,} examples of {family}"
        plots.evaluation(
            confusion, names, noise, title=title, noise_label=NOISE[family], attacked=attacked
        ).savefig(folder / "evaluation.png")
        print(f"wrote {folder}")


def load(name):
    """Load a preset or a file."""
    import keras

    import keras_euler

    presets = keras_euler.list_presets()
    if name in presets:
        return presets[name].load()
    if not Path(name).exists():
        raise ValueError(f"MODEL must be a file or one of {', '.join(presets)}. Received: {name}.")
    return keras.models.load_model(name, compile=False)


def predict_images(model, x, level, options):
    """Predict the classes of images with noise on normalized pixels."""
    import keras

    import keras_euler

    if level:
        layers = [keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)]
        noise = keras_euler.AdditiveGaussianNoise(
            level, "always", seed=options.seed, dtype="float32"
        )
        for layer in model.layers:
            layers += [layer, noise] if isinstance(layer, keras.layers.Normalization) else [layer]
        model = keras.Sequential(layers)
    return model.predict(x, batch_size=options.batch_size, verbose=0).argmax(-1)


def predict_texts(model, x, level, options):
    """Predict the classes of texts, a fraction of whose characters is replaced."""
    import keras_euler

    ids = keras_euler.corrupt_characters(model.prepare_inputs(x), level, options.seed)
    return model.predict(ids, batch_size=options.batch_size, verbose=0).argmax(-1)


if __name__ == "__main__":
    main()
