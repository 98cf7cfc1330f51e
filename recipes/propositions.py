"""Test the paper's two propositions on a network: gradients and input noise for each block, with
their bounds.

    python recipes/propositions.py --quick  # depth 20, a minute on two CPU cores
    python recipes/propositions.py --depth 110 --data-dir DATA  # at initialization
    python recipes/propositions.py --models runs/A/model.keras runs/B/model.keras --data-dir DATA
    # after training

The networks are untrained, with batch norm calibrated on the batch, or come from `model.keras`
files in run folders of cifar10.py. The flags of cifar10.py apply too: --depth, --data-dir,
--backend, --seed, --norm, ... The images are normalized and not augmented; W is the maximum over
blocks and images. The folder gets gradients.png, noise.png and propositions.json.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import _cli
import _predictors
import cifar10
from _run import check_together, subset
from _settings import (
    COUNT,
    EXISTING,
    NOT_NEGATIVE,
    POSITIVE,
    Execution,
    ImageSettings,
    identity,
    setting,
)


@dataclass(frozen=True)
class PropositionOptions:
    """The options of this recipe in addition to the flags of a training."""

    h: tuple = setting(
        (1.0, 0.1), "step factors of untrained networks", parse=NOT_NEGATIVE, many="+"
    )
    models: tuple = setting(
        (),
        "model.keras files instead of untrained networks",
        parse=EXISTING,
        many="+",
        metavar="FILE",
    )
    examples: int = setting(16, "number of images in the batch", parse=COUNT)
    eps: float = setting(1.0, "norm of an image's noise, in normalized pixels", parse=POSITIVE)
    iterations: int = setting(20, "number of power iterations", parse=COUNT)


def main(argv=None):
    """Measure every network, print the tables, draw the figures."""
    parser = _cli.command(__doc__)
    _cli.add_flags(parser, ImageSettings, ("h", "augmentation"))
    own, options, execution = _cli.parse(parser, [PropositionOptions, Execution], argv, quick={})
    quick = (
        {"depth": 20, **({"dataset": "synthetic"} if execution.data_dir is None else {})}
        if own.quick
        else {}
    )
    settings = _cli.make(
        ImageSettings, {**quick, **{n: v for n, v in vars(own).items() if n != "h"}}
    )
    check_together(parser, settings, execution)
    execution = _cli.choose_backend(parser, execution)
    made = "models" if options.models else f"depth{settings.depth}"
    folder = execution.out or Path("runs") / f"propositions-{settings.dataset}-{made}"
    with _cli.errors_in_one_line(parser):
        from keras_euler import analysis, datasets, plots, training

        used = (
            {"data": settings.dataset, "seed": settings.seed}
            if options.models
            else identity(settings, execution)
        )
        used |= {
            "backend": execution.backend,
            **{n: getattr(options, n) for n in ("examples", "eps", "iterations")},
        }
        models = [f"{file.parent.name}/{file.name}" for file in options.models]
        used |= {"models": models} if models else {"h": options.h}
        _cli.refuse_to_replace(folder / "propositions.json", used, folder / "gradients.png")
        x, y = subset(
            cifar10.load_data(settings, execution.data_dir)[0], options.examples, "--examples"
        )
        x = ((x - datasets.cifar10.MEAN) / datasets.cifar10.STDDEV).astype("float32")
        folder.mkdir(parents=True, exist_ok=True)
        gradients, noise = {}, {}
        for label, make in networks(options, settings):
            training.raise_pending_interrupt()
            network = make(x)
            gradients[label] = analysis.gradient_growth(
                network, x, y, num_iterations=options.iterations
            )
            noise[label] = analysis.noise_growth(
                network, x, options.eps, num_iterations=options.iterations
            )
            print(f"\n=== {label}: gradients (Proposition 1)\n{gradients[label]}")
            print(
                f"\n=== {label}: noise of norm {options.eps:g} (Proposition 2)\n{noise[label]}",
                flush=True,
            )
        summary = {
            "settings": used,
            "data": training.fingerprint((x, y)),
            "versions": training.package_versions(),
        }
        for kind, found in (("gradients", gradients), ("noise", noise)):
            summary[kind] = {label: columns(growth) for label, growth in found.items()}
        training.RunFolder(folder).write_json("propositions.json", summary)
        _cli.save_figure(
            folder / "gradients.png", lambda: plots.growths(gradients, "gradient norm")
        )
        _cli.save_figure(
            folder / "noise.png",
            lambda: plots.growths(noise, "distance of noisy and clean features"),
        )
        print(f"wrote {folder}")


def networks(options, settings):
    """Return pairs of a label and a function from a batch to a network for normalized images."""
    import keras

    import keras_euler

    def untrained(h):
        def make(x):
            keras.utils.set_random_seed(settings.seed)
            network = dataclasses.replace(settings, h=h).network_arguments()
            network = keras_euler.EulerResNet(
                input_shape=x.shape[1:], data_format="channels_last", **network
            )
            keras_euler.analysis.calibrate_batch_norm(network, x)
            return network

        return make

    def trained(file):
        def make(x):
            model = _predictors.load_model(file)
            inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
            return inner[0] if inner else model

        return make

    if not options.models:
        return [(f"h = {h:g}", untrained(h)) for h in options.h]
    labels = [trained_label(file) for file in options.models]
    if len(set(labels)) < len(labels):
        labels = [f"{file.parent.name}/{file.stem}" for file in options.models]
    return [(label, trained(file)) for label, file in zip(labels, options.models, strict=True)]


def trained_label(file):
    """Return a label such as `h = 0.1, seed 7` from the run folder, else the name of folder and
    file."""
    from keras_euler import training

    try:
        settings = training.RunFolder(file.parent).config()["settings"]
        return f"h = {settings['h']:g}, seed {settings['seed']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{file.parent.name}/{file.stem}"


def columns(growth):
    """Return a `Growth` as a JSON-serializable dict."""
    rows = {
        name: getattr(growth, name)
        for name in ("measured", "bound", "branches", "shortcut_norms", "steps")
    }
    rows = {name: [None if v != v else v for v in map(float, row)] for name, row in rows.items()}
    return {"blocks": growth.names, "W": growth.W, **rows}


if __name__ == "__main__":
    main()
