"""The networks of the package in a table, and a finished run as a preset of it.

    python recipes/zoo.py  # a table of all networks: sizes, and what was measured
    python recipes/zoo.py --add runs/FOLDER --name euler_resnet_20_mine --data "CIFAR-10"

`--add` takes the folder of a run of cifar10.py or ag_news.py: its network's weights go into
keras_euler/zoo, and what its config.json and result.json say (command, device, accuracy after the
last epoch) into keras_euler/zoo/presets.json.
"""

import hashlib
import inspect
import json
import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import _cli
from _markdown import table_of_rows
from _plan import RECIPES
from _settings import BACKENDS, existing, flag, setting

ZOO = Path(__file__).parents[1] / "keras_euler" / "zoo"
LIMITS = {
    "cifar10": "For the ten classes of CIFAR-10 at 32 x 32 pixels. Not for other photographs, "
    "which it assigns to one of the ten.",
    "synthetic": "For nothing but a test: it has seen generated examples alone.",
    "ag_news": "For English news of four topics, title and description together. Not for other "
    "languages or topics, which it assigns to one of the four.",
}


@dataclass(frozen=True)
class ZooOptions:
    """The options of this recipe."""

    add: Path | None = setting(None, "folder of a finished run, for a preset", existing)
    name: str | None = setting(None, "the preset's name")
    data: str | None = setting(None, "what the data set is called in the table")
    zoo: Path = setting(ZOO, "folder of presets.json")
    backend: str | None = setting(None, "Keras backend", choices=BACKENDS)


def main(argv=None):
    """Print the table, or add a preset."""
    parser = _cli.command(__doc__)
    _, options = _cli.parse(parser, [ZooOptions], argv)
    if options.add and not (options.name and options.data):
        parser.error("--add needs --name and --data")
    with _cli.errors_in_one_line(parser):
        if options.add:
            add(options.add, options.name, options.data, options.zoo)
        else:
            print(table())


@table_of_rows("name | depth | blocks | parameters | multiply-adds | test accuracy")
def table():
    """The table of the results, in Markdown: every prebuilt network, then every preset."""
    import keras_euler

    networks = [
        (name, int(name.rpartition("_")[2]), build(), "")
        for name, build in keras_euler.list_models().items()
    ]
    networks += [
        (name, preset.arguments["depth"], _network(preset), preset.accuracy)
        for name, preset in keras_euler.list_presets().items()
    ]
    for name, depth, model, accuracy in networks:
        blocks = sum(isinstance(layer, keras_euler.EulerResidual) for layer in model.layers)
        millions = f"{keras_euler.analysis.multiply_adds(model) / 1e6:,.0f} M"
        yield f"`{name}`", depth, blocks, _parameters(model), millions, accuracy


@table_of_rows("preset | data | depth | parameters | MB | test accuracy | use")
def presets():
    """The README's table of presets, in Markdown."""
    import keras_euler

    for name, preset in keras_euler.list_presets().items():
        metrics = preset.metrics
        yield (
            f"`{name}`",
            metrics["data"],
            preset.arguments["depth"],
            _parameters(_network(preset)),
            preset.megabytes,
            f"{metrics['test_accuracy']:.3f} (n = {metrics['n']})",
            f'`list_presets()["{name}"].load()`',
        )


def _network(preset):
    import keras_euler

    return getattr(keras_euler, preset.network)(**preset.arguments)


def _parameters(model):
    return f"{sum(math.prod(weight.shape) for weight in model.trainable_weights):,}"


def add(folder, name, data, zoo):
    """Make a preset of a finished run."""
    import keras

    import keras_euler
    from keras_euler import training
    from keras_euler.models.presets import OVERRIDABLE_ARGUMENTS

    run = training.RunFolder(folder)
    config, result = run.config(), run.result()
    if not result or result["diverged"]:
        raise ValueError(f"--add needs the folder of a finished run. Received: {folder}.")
    family = "cifar10" if "augmentation" in config["settings"] else "ag_news"
    dataset, recipe = getattr(keras_euler.datasets, family), RECIPES[family]
    settings = _cli.make(recipe.settings, config["settings"])
    network, arguments = recipe.network(settings)
    arguments["num_classes"] = len(dataset.CLASS_NAMES)
    parameters = inspect.signature(getattr(keras_euler, network)).parameters
    # What a user may override, but for the size of the inputs that it was trained on.
    left_out = {*OVERRIDABLE_ARGUMENTS} - {"input_shape", "sequence_length"}
    model = keras.models.load_model(folder / "model.keras")
    while not model.name.startswith("euler_"):
        model = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    presets = zoo / "presets.json"
    entries = json.loads(presets.read_text()) if presets.exists() else {}
    if not re.fullmatch("[a-z0-9_]+", name) or name in entries:
        raise ValueError(f"--name must be a new name of a-z, 0-9 and _. Received: {name}.")
    zoo.mkdir(exist_ok=True)
    file = zoo / f"{name}.weights.h5"
    training.write_atomically(file, model.save_weights)
    entry = {
        "network": network,
        "arguments": {
            n: value
            for n, value in arguments.items()
            if n in ("depth", "h", "num_classes")
            or (n not in left_out and value != parameters[n].default)
        },
        "description": f"Trained on {data}, {result['epochs']} epochs.",
        "limits": LIMITS[settings.dataset],
        "weights": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "command": _command(family, settings, config["settings"]["backend"]),
        "metrics": {
            "test_accuracy": round(result["last_test_accuracy"], 4),
            "test_examples": config["data"]["test"]["examples"],
            "n": 1,
            "spread": None,
            "data": data,
            "device": config["device"],
            "epochs": result["epochs"],
        },
        "class_names": dataset.CLASS_NAMES,
        "preprocessing": (
            {"mean": dataset.MEAN, "stddev": dataset.STDDEV}
            if family == "cifar10"
            else {"alphabet": settings.alphabet}
        ),
    }
    training.RunFolder(zoo).write_json(presets.name, {**entries, name: entry})
    print(f"wrote {presets}")


def _command(family, settings, backend):
    """The command line of a run, from its settings."""
    words, default = ["python", f"recipes/{family}.py"], type(settings)()
    for name, value in vars(settings).items():
        if value == getattr(default, name) and name not in ("depth", "h", "seed"):
            continue
        if name == "h" and isinstance(value, tuple):
            value = ",".join(map(str, value))
        if isinstance(value, bool):
            words.append(flag(name if value else f"no_{name}"))
        else:
            words += [flag(name), *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join([*words, "--backend", backend])


if __name__ == "__main__":
    main()
