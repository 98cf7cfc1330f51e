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
import cifar10
from _run import subset
from _settings import Execution, ImageSettings, existing, identity, setting


@dataclass(frozen=True)
class PropositionOptions:
    """The options of this recipe in addition to the flags of a training."""

    h: tuple = setting((1.0, 0.1), "step factors of untrained networks", float, nargs="+")
    models: tuple = setting(
        (), "model.keras files instead of untrained networks", existing, nargs="+"
    )
    examples: int = setting(16, "number of images in the batch")
    eps: float = setting(1.0, "norm of an image's noise, in normalized pixels")
    iterations: int = setting(20, "number of power iterations")


def main(argv=None):
    """Measure every network, print the tables, draw the figures."""
    parser = _cli.command(__doc__)
    _, options, settings, execution = _cli.parse(
        parser,
        [PropositionOptions, ImageSettings, Execution],
        argv,
        ("augmentation",),
        quick={"depth": 20},
    )
    made = "models" if options.models else f"depth{settings.depth}"
    folder = execution.out or Path("runs") / f"propositions-{settings.dataset}-{made}"
    with _cli.errors_in_one_line(parser):
        from keras_euler import analysis, datasets, plots, training

        used = identity(settings, execution) | vars(options)
        file = folder / "propositions.json"
        _cli.refuse_to_replace(file, used)
        data, _ = cifar10.load_data(settings, execution.data_dir)
        x, y = subset(data, options.examples, "--examples")
        x = ((x - datasets.cifar10.MEAN) / datasets.cifar10.STDDEV).astype("float32")
        gradients, noise, iterations = {}, {}, {"num_iterations": options.iterations}
        for label, network in networks(options, settings, x):
            gradients[label] = analysis.gradient_growth(network, x, y, **iterations)
            noise[label] = analysis.noise_growth(network, x, options.eps, **iterations)
            print(f"\n=== {label}: gradients (Proposition 1)\n{gradients[label]}")
            print(f"\n=== {label}: noise (Proposition 2)\n{noise[label]}", flush=True)
        _cli.write_results(
            file,
            used,
            data=training.fingerprint((x, y)),
            gradients={label: columns(growth) for label, growth in gradients.items()},
            noise={label: columns(growth) for label, growth in noise.items()},
        )
        plots.growths(gradients, "gradient norm").savefig(folder / "gradients.png")
        figure = plots.growths(noise, "distance of noisy and clean features")
        figure.savefig(folder / "noise.png")
        print(f"wrote {folder}")


def networks(options, settings, x):
    """Yield pairs of a label and a network for normalized images."""
    import keras

    import keras_euler

    for h in () if options.models else options.h:
        keras.utils.set_random_seed(settings.seed)
        arguments = dataclasses.replace(settings, h=h).network_arguments()
        network = keras_euler.EulerResNet(
            input_shape=x.shape[1:], data_format="channels_last", **arguments
        )
        keras_euler.analysis.calibrate_batch_norm(network, x)
        yield f"h = {h:g}", network
    for file in options.models:
        model = keras.models.load_model(file)
        inner = (layer for layer in model.layers if isinstance(layer, keras.Model))
        yield f"{file.parent.name}/{file.stem}", next(inner, model)


def columns(growth):
    """Return a `Growth` as a JSON-serializable dict."""
    rows = {name: getattr(growth, name).tolist() for name in ("measured", "bound")}
    return {"blocks": growth.names, "W": growth.W, **rows}


if __name__ == "__main__":
    main()
