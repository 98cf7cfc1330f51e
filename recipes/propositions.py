"""The paper's two propositions measured on a network: gradients and input noise block by block, beside their bounds.

    python recipes/propositions.py --quick                                          # depth 20, a minute on two CPU cores
    python recipes/propositions.py --depth 110 --data-dir DATA                      # at initialization
    python recipes/propositions.py --models runs/A/model.keras runs/B/model.keras --data-dir DATA      # after training

Networks are untrained ones, batch norm calibrated on the batch, or those of `model.keras` files of cifar10.py's run folders.
Beside the flags below it takes those of cifar10.py: --depth, --data-dir, --backend, --seed, --norm, ... Gradients and noise are
those of normalized images without augmentation; W is the largest over the blocks, of the worst image. The folder gets
gradients.png, noise.png and propositions.json.
"""

import argparse
import json
from pathlib import Path

import _harness
import cifar10


def main(argv=None):
    """Measure every network, print the tables, draw the figures."""
    own, rest = parse(argv)
    parser = _harness.training_parser(cifar10)
    parser.prog = "propositions.py"
    settings = _harness.parse(parser, cifar10, rest)
    backend = _harness.choose_backend(parser, settings.backend)
    with _harness.errors_in_one_line(parser, resumes=False):
        import _run_folder
        import _training
        from _interrupts import raise_again

        from keras_euler import analysis

        train, _ = cifar10.load_data(settings)
        x, y = _training._subset(train, own.examples, "--examples")
        x = ((x - cifar10.PIXEL_MEAN) / cifar10.PIXEL_STDDEV).astype("float32")
        folder = _run_folder.RunFolder(own.out)
        folder.path.mkdir(parents=True, exist_ok=True)
        gradients, noise = {}, {}
        for label, make in networks(own, rest, parser):
            raise_again()
            network = make(x)
            gradients[label] = analysis.gradient_growth(network, x, y, num_iterations=own.iterations)
            noise[label] = analysis.noise_growth(network, x, own.eps, num_iterations=own.iterations)
            print(f"\n=== {label}: gradients (Proposition 1)\n{gradients[label]}")
            print(f"\n=== {label}: noise of norm {own.eps:g} (Proposition 2)\n{noise[label]}", flush=True)
        settings = {"data": settings.dataset, "seed": settings.seed} if own.models else _harness.settings(settings)
        settings |= {"backend": backend, "examples": own.examples, "eps": own.eps, "iterations": own.iterations}
        settings |= (
            {"models": [f"{file.parent.name}/{file.name}" for file in own.models]} if own.models else {"h": own.h}
        )
        results = {
            kind: {label: columns(growth) for label, growth in found.items()}
            for kind, found in (("gradients", gradients), ("noise", noise))
        }
        summary = {"settings": settings, "data": _training.fingerprint((x, y)), "versions": _training.versions()}
        folder.write_json("propositions.json", summary | results)
        try:
            from keras_euler import plots

            folder.write("gradients.png", plots.growths(gradients, "gradient norm").savefig)
            folder.write("noise.png", plots.growths(noise, "distance of noisy and clean features").savefig)
        except ImportError as error:
            print(f"note: no figures. {error}")
        print(f"wrote {own.out}")


def parse(argv):
    """The recipe's own flags, and a list of cifar10.py's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--h", type=float, nargs="+", default=[1.0, 0.1], help="of untrained networks (default: 1.0 0.1)")
    add(
        "--models",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="model.keras files, instead of untrained ones",
    )
    add("--examples", type=int, default=16, help="images in the batch (default: %(default)s)")
    add("--eps", type=float, default=1.0, help="norm of an image's noise, in normalized pixels (default: %(default)s)")
    add("--iterations", type=int, default=20, help="of the power iteration (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/propositions"), metavar="FOLDER", help="default: %(default)s")
    add("--quick", action="store_true", help="depth 20 on synthetic data unless a folder is given")
    own, rest = parser.parse_known_args(argv)
    _harness.check_positive(parser, own, "examples", "eps", "iterations")
    if own.quick:
        rest = ["--quick", "--depth", "20", *rest]
    return own, rest


def networks(own, rest, parser):
    """Pairs of a label and a function from a batch to a network of normalized images."""
    import keras

    import keras_euler

    def untrained(h):
        def make(x):
            args = _harness.parse(parser, cifar10, [*rest, "--h", str(h)])
            keras.utils.set_random_seed(args.seed)
            network = keras_euler.EulerResNet(input_shape=(32, 32, 3), **_harness.network_arguments(args))
            keras_euler.analysis.calibrate_batch_norm(network, x)
            return network

        return make

    def trained(file):
        def make(x):
            model = keras.models.load_model(file)
            return next((layer for layer in model.layers if isinstance(layer, keras_euler.EulerResNet)), model)

        return make

    if own.models:
        labels = [trained_label(file) for file in own.models]
        if len(set(labels)) < len(labels):
            labels = [f"{file.parent.name}/{file.stem}" for file in own.models]
        return [(label, trained(file)) for label, file in zip(labels, own.models, strict=True)]
    return [(f"h = {h:g}", untrained(h)) for h in own.h]


def trained_label(file):
    """`h = 0.1, seed 7` where the run folder says so, else the name of folder and file."""
    try:
        settings = json.loads((file.parent / "config.json").read_text("utf-8"))["settings"]
        return f"h = {settings['h']:g}, seed {settings['seed']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{file.parent.name}/{file.stem}"


def columns(growth):
    """A `Growth` as a dict that JSON can hold."""
    rows = {name: getattr(growth, name) for name in ("measured", "bound", "branches", "shortcut_norms", "steps")}
    return {
        "blocks": growth.names,
        "W": growth.W,
        **{name: [None if v != v else v for v in map(float, row)] for name, row in rows.items()},
    }


if __name__ == "__main__":
    main()
