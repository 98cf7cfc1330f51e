"""The networks of the package in a table, and a finished run as a preset of it.

    python recipes/zoo.py                            # the README's table: sizes, and what was measured
    python recipes/zoo.py --add runs/FOLDER --name euler_resnet_20_cifar10 --data "CIFAR-10 (JPEG q75)"

`--add` takes the folder of a run of cifar10.py or ag_news.py: its network's weights go into keras_euler/zoo, and what its
config.json and result.json say (command, device, accuracy after the last epoch) into keras_euler/zoo/presets.json. Further folders
are those of the same run with other seeds: the weights are the first one's, n and spread those of all.
"""

import argparse
import hashlib
import inspect
import json
import math
import re
import statistics
from pathlib import Path

import _harness
import ag_news
import cifar10

ZOO = Path(__file__).parents[1] / "keras_euler" / "zoo"
LARGEST = 10_000_000  # bytes; larger files belong on a server, as a URL in presets.json
HEADER = """\
| name | depth | blocks | parameters | multiply-adds | test accuracy |
|---|---|---|---|---|---|"""


def main(argv=None):
    """Run the recipe."""
    parser = argparse.ArgumentParser(
        prog="zoo.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--add", help="folders of finished runs to make a preset of", type=Path, nargs="+", metavar="FOLDER"
    )
    parser.add_argument("--name", help="the preset's name")
    parser.add_argument("--data", help="what the data set is called in the table")
    parser.add_argument("--zoo", help="folder of presets.json (default: the package's)", type=Path, default=ZOO)
    parser.add_argument("--backend", help="Keras backend", choices=_harness.BACKENDS)
    args = parser.parse_args(argv)
    if bool(args.add) != bool(args.name and args.data):
        parser.error("--add needs --name and --data, which are for it alone")
    if args.name and not re.fullmatch(r"[a-z0-9_]+", args.name):
        parser.error(f"--name must be of small letters, digits and _. Received: {args.name}")
    _harness.choose_backend(parser, args.backend)
    with _harness.errors_in_one_line(parser):
        if args.add:
            add(args.add, args.name, args.data, args.zoo)
        else:
            print(table())


def table():
    """The README's table, in Markdown: every prebuilt network, then every preset."""
    import keras_euler

    lines = [HEADER]
    for name, build in keras_euler.list_models().items():
        lines.append(_row(name, build(), ""))
    for name, preset in keras_euler.list_presets().items():
        measured = preset.metrics
        spread = "" if measured["spread"] is None else f" ± {measured['spread']:.3f}"
        accuracy = f"{measured['test_accuracy']:.3f}{spread} ({measured['data']}, n = {measured['n']})"
        lines.append(_row(name, getattr(keras_euler, preset.network)(**preset.arguments), accuracy))
    return "\n".join(lines)


def _row(name, model, accuracy):
    import keras_euler

    blocks = sum(isinstance(layer, keras_euler.EulerResidual) for layer in model.layers)
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    millions = keras_euler.analysis.multiply_adds(model) / 1e6
    return f"| `{name}` | {model.depth} | {blocks} | {parameters:,} | {millions:,.0f} M | {accuracy} |"


def add(folders, name, data, zoo):
    """Make a preset of a finished run, and of others that differ in their seed."""
    import keras
    from _run_folder import RunFolder

    import keras_euler

    runs = [_finished(folder) for folder in folders]
    config, result = runs[0]
    settings = config["settings"]
    for folder, (other, _) in zip(folders, runs, strict=True):
        if {**other["settings"], "seed": None} != {**settings, "seed": None} or other["data"] != config["data"]:
            raise ValueError(f"--add needs runs that differ in their seed alone. Received: {folders[0]} and {folder}.")
    seeds = [other["settings"]["seed"] for other, _ in runs]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--add needs runs of different seeds. Received: the seeds {', '.join(map(str, seeds))}.")
    presets = zoo / "presets.json"
    entries = json.loads(presets.read_text()) if presets.exists() else {}
    if name in entries:
        raise ValueError(f"--name: {name} is in {presets} already. Take it out there to make it anew.")
    recipe = cifar10 if "augmentation" in settings else ag_news
    kinds = (keras_euler.EulerResNet, keras_euler.EulerVDCNN)
    layers = keras.models.load_model(folders[0] / "model.keras")._flatten_layers()
    network = next(layer for layer in layers if isinstance(layer, kinds))
    zoo.mkdir(exist_ok=True)
    files = RunFolder(zoo)
    file = zoo / f"{name}.weights.h5"
    files.write(file.name, lambda path: _save_small(network, path))
    accuracies = [found["last_test_accuracy"] for _, found in runs]
    datasets = keras_euler.datasets
    entry = {
        "network": type(network).__name__,
        "arguments": _arguments(network),
        "description": f"Trained on {data}, {result['epochs']} epoch{'s' * (result['epochs'] > 1)}.",
        "weights": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "command": _command(recipe, settings),
        "metrics": {
            "test_accuracy": round(accuracies[0], 4),
            "test_examples": config["data"]["test"]["examples"],
            "n": len(runs),
            "spread": round(statistics.pstdev(accuracies), 4) if len(runs) > 1 else None,
            "data": data,
            "device": config["device"],
            "epochs": result["epochs"],
        },
        "class_names": (datasets.cifar10 if recipe is cifar10 else datasets.ag_news).CLASS_NAMES,
        "preprocessing": (
            {"mean": cifar10.PIXEL_MEAN, "stddev": cifar10.PIXEL_STDDEV}
            if recipe is cifar10
            else {"alphabet": settings["alphabet"]}
        ),
    }
    files.write_json(presets.name, {**entries, name: entry})
    print(f"wrote {file} ({file.stat().st_size:,} bytes)\nwrote {presets}")


def _finished(folder):
    """Configuration and result of a run."""
    from _run_folder import RunFolder

    run = RunFolder(folder)
    config, result = run.config(), run.result()
    if not result or result["diverged"]:
        raise ValueError(f"--add needs the folder of a finished run. Received: {folder}, whose result is {result}.")
    return config, result


def _save_small(network, path):
    network.save_weights(path)
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"--add: the weights take {size:,} bytes; a file of the package may take {LARGEST:,}.")


def _arguments(network):
    """Those that the weights depend on and that are no defaults; depth, h and the number of classes always."""
    from keras_euler.models.weights import FREE

    defaults = {name: value.default for name, value in inspect.signature(type(network)).parameters.items()}
    config = {name: value for name, value in network.get_config().items() if name not in FREE}
    always = ("depth", "h", "num_classes")
    return {name: value for name, value in config.items() if name in always or value != defaults[name]}


def _command(recipe, settings):
    """The command line of a run, from its settings."""
    parser = _harness.training_parser(recipe)
    words = [f"python recipes/{Path(recipe.__file__).name}"]
    for action in parser._actions:
        value = settings.get(action.dest)
        if action.dest not in settings or (value == action.default and action.dest not in ("h", "seed")):
            continue
        words.append(action.option_strings[0])
        if action.nargs != 0:
            words += [str(part) for part in (value if isinstance(value, list) else [value])]
    return " ".join(words)


if __name__ == "__main__":
    main()
