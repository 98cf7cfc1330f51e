"""The networks of the package in a table, and a finished run as a preset of it.

    python recipes/zoo.py  # a table of all networks: sizes, and what was measured
    python recipes/zoo.py --add runs/FOLDER --name euler_resnet_20_mine --data "CIFAR-10"

`--add` takes the folder of a run of cifar10.py or ag_news.py: its network's weights go into
keras_euler/zoo, and what its config.json and result.json say (command, device, accuracy after the
last epoch) into keras_euler/zoo/presets.json. Further folders are those of the same run with other
seeds: the weights are the first one's, n and spread those of all.
"""

import dataclasses
import hashlib
import inspect
import json
import math
import re
import shlex
import statistics
from dataclasses import dataclass
from pathlib import Path

import _cli
from _plan import RECIPES
from _settings import BACKENDS, EXISTING, Execution, flag, setting

ZOO = Path(__file__).parents[1] / "keras_euler" / "zoo"
LARGEST = 10_000_000  # bytes; larger files belong on a server, as a URL in presets.json
LIMITS = {
    "cifar10": "For the ten classes of CIFAR-10 at 32 x 32 pixels. Not for other photographs, "
    "which it assigns to one of the ten.",
    "synthetic": "For nothing but a test: it has seen generated examples alone.",
    "ag_news": "For English news headlines of four topics. Not for other languages or topics, "
    "which it assigns to one of the four.",
}
HEADER = """\
| name | depth | blocks | parameters | multiply-adds | test accuracy |
|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class ZooOptions:
    """The options of this recipe."""

    add: tuple = setting(
        (),
        "folders of finished runs to make a preset of",
        parse=EXISTING,
        many="+",
        metavar="FOLDER",
    )
    name: str | None = setting(None, "the preset's name", parse=str)
    data: str | None = setting(None, "what the data set is called in the table", parse=str)
    limits: str | None = setting(
        None, "what the network is not for (default: other data than its own)", parse=str
    )
    zoo: Path = setting(ZOO, "folder of presets.json (default: the package's)", parse=Path)
    backend: str | None = setting(None, "Keras backend", parse=str, choices=BACKENDS)


def main(argv=None):
    """Print the table, or add a preset."""
    parser = _cli.command(__doc__)
    own, options = _cli.parse(parser, [ZooOptions], argv)
    if options.add and not (options.name and options.data):
        parser.error("--add needs --name and --data")
    unused = (
        []
        if options.add
        else [name for name in ("name", "data", "limits", "zoo") if name in vars(own)]
    )
    if unused:
        parser.error(f"{flag(unused[0])} is for --add alone, which is missing")
    if options.name and not re.fullmatch(r"[a-z0-9_]+", options.name):
        parser.error(f"--name must be of small letters, digits and _. Received: {options.name}")
    _cli.choose_backend(parser, Execution(backend=options.backend))
    with _cli.errors_in_one_line(parser):
        if options.add:
            add(options.add, options.name, options.data, options.zoo, options.limits)
        else:
            print(table())


def table():
    """The README's table, in Markdown: every prebuilt network, then every preset."""
    import keras_euler

    lines = [HEADER]
    for name, build in keras_euler.list_models().items():
        lines.append(_row(name, int(name.rpartition("_")[2]), build(), ""))
    for name, preset in keras_euler.list_presets().items():
        model = getattr(keras_euler, preset.network)(**preset.arguments)
        lines.append(_row(name, preset.arguments["depth"], model, preset.accuracy))
    return "\n".join(lines)


def presets():
    """The README's table of presets, in Markdown."""
    from _measured import markdown

    import keras_euler

    rows = []
    for name, preset in keras_euler.list_presets().items():
        model = getattr(keras_euler, preset.network)(**preset.arguments)
        parameters = f"{sum(math.prod(weight.shape) for weight in model.trainable_weights):,}"
        accuracy = f"{preset.metrics['test_accuracy']:.3f} (n = {preset.metrics['n']})"
        data, depth = preset.metrics["data"], preset.arguments["depth"]
        use = f'`list_presets()["{name}"].load()`'
        rows.append((f"`{name}`", data, depth, parameters, preset.megabytes, accuracy, use))
    return markdown("preset | data | depth | parameters | MB | test accuracy | use", rows)


def _row(name, depth, model, accuracy):
    import keras_euler

    blocks = sum(isinstance(layer, keras_euler.EulerResidual) for layer in model.layers)
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    millions = keras_euler.analysis.multiply_adds(model) / 1e6
    return f"| `{name}` | {depth} | {blocks} | {parameters:,} | {millions:,.0f} M | {accuracy} |"


def add(folders, name, data, zoo, limits=None):
    """Make a preset of a finished run, and of others that differ in their seed."""
    import keras

    import keras_euler
    from keras_euler import training

    runs = [_finished(folder) for folder in folders]
    config, result = runs[0]
    settings = config["settings"]
    for folder, (other, _) in zip(folders, runs, strict=True):
        if {**other["settings"], "seed": None} != {**settings, "seed": None} or other[
            "data"
        ] != config["data"]:
            raise ValueError(
                f"--add needs runs that differ in their seed alone. Received: {folders[0]} and "
                f"{folder}."
            )
    seeds = [other["settings"]["seed"] for other, _ in runs]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"--add needs runs of different seeds. Received: the seeds "
            f"{', '.join(map(str, seeds))}."
        )
    presets = zoo / "presets.json"
    entries = json.loads(presets.read_text()) if presets.exists() else {}
    if name in entries:
        raise ValueError(f"--name: {name} is in {presets} already. Delete its entry to replace it.")
    family = "cifar10" if "augmentation" in settings else "ag_news"
    network = keras.models.load_model(folders[0] / "model.keras")
    while not network.name.startswith("euler_"):
        network = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    zoo.mkdir(exist_ok=True)
    file = zoo / f"{name}.weights.h5"
    training.write_atomically(file, lambda path: _save_small(network, path))
    accuracies = [found["last_test_accuracy"] for _, found in runs]
    dataset = getattr(keras_euler.datasets, family)
    entry = {
        "network": "EulerResNet" if family == "cifar10" else "EulerVDCNN",
        "arguments": _arguments(family, settings, len(dataset.CLASS_NAMES)),
        "description": f"Trained on {data}, {result['epochs']} "
        f"epoch{'s' * (result['epochs'] > 1)}.",
        "limits": limits or LIMITS[settings["dataset"]],
        "weights": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "command": _command(family, settings),
        "metrics": {
            "test_accuracy": round(accuracies[0], 4),
            "test_examples": config["data"]["test"]["examples"],
            "n": len(runs),
            "spread": round(statistics.pstdev(accuracies), 4) if len(runs) > 1 else None,
            "data": data,
            "device": config["device"],
            "epochs": result["epochs"],
        },
        "class_names": dataset.CLASS_NAMES,
        "preprocessing": (
            {"mean": dataset.MEAN, "stddev": dataset.STDDEV}
            if family == "cifar10"
            else {"alphabet": settings["alphabet"]}
        ),
    }
    text = json.dumps({**entries, name: entry}, indent=2) + "\n"
    training.write_atomically(presets, lambda path: path.write_text(text))
    print(f"wrote {file} ({file.stat().st_size:,} bytes)\nwrote {presets}")


def _finished(folder):
    """Configuration and result of a run."""
    from keras_euler.training import RunFolder

    run = RunFolder(folder)
    config, result = run.config(), run.result()
    if not result or result["diverged"]:
        raise ValueError(
            f"--add needs the folder of a finished run. Received: {folder}, whose result is "
            f"{result}."
        )
    return config, result


def _save_small(network, path):
    network.save_weights(path)
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(
            f"--add: the weights take {size:,} bytes; a file of the package may take {LARGEST:,}."
        )


def _arguments(family, settings, num_classes):
    """Return the arguments of the network of a run that are no defaults; depth, h and the number of
    classes always."""
    import keras_euler
    from keras_euler.models.presets import OVERRIDABLE_ARGUMENTS

    recipe = RECIPES[family]
    names = {field.name for field in dataclasses.fields(recipe.settings)}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
        if name in names
    }
    network, arguments = recipe.network(recipe.settings(**values))
    parameters = inspect.signature(getattr(keras_euler, network)).parameters
    arguments = {**arguments, "num_classes": num_classes}
    always = ("depth", "h", "num_classes")
    return {
        name: value
        for name, value in arguments.items()
        if name in always
        or (name not in OVERRIDABLE_ARGUMENTS and value != parameters[name].default)
    }


def _command(family, settings):
    """The command line of a run, from its settings."""
    words = ["python", f"recipes/{family}.py"]
    for one in dataclasses.fields(RECIPES[family].settings):
        value = settings.get(one.name)
        default = list(one.default) if isinstance(one.default, tuple) else one.default
        if one.name not in settings or (
            value == default and one.name not in ("depth", "h", "seed")
        ):
            continue
        if isinstance(value, bool):
            words.append(flag(one.name) if value else flag(f"no_{one.name}"))
        else:
            joined = one.name == "h" and isinstance(value, list)
            words += [
                flag(one.name),
                *(
                    [",".join(map(str, value))]
                    if joined
                    else map(str, value if isinstance(value, list) else [value])
                ),
            ]
    return shlex.join([*words, flag("backend"), settings["backend"]])


if __name__ == "__main__":
    main()
