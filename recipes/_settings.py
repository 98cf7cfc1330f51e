"""Frozen dataclasses of what a run computes and how it is carried out.

Flags, config.json, the identity of a run, the grid of a study and the columns of trials.csv are
derived from their fields. The package checks the values.
"""

import argparse
import functools
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from _rules import RULES

BACKENDS = ("tensorflow", "jax", "torch")
INITIALIZERS = ("torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")
SCHEMES = ("euler", "heun", "rk4")


def setting(default, help, parse=None, group="options", **kwargs):
    """Make a dataclass field that becomes a flag.

    Args:
        default: Value without the flag.
        help: Text for `--help`.
        parse: Function of an argument. Default: the type of `default`, or `str`.
        group: Title of the flag's group in `--help`.
        **kwargs: Further arguments of `ArgumentParser.add_argument`.
    """
    if isinstance(default, bool):
        kwargs["action"] = argparse.BooleanOptionalAction
    else:
        has_default = default not in (None, ())
        kwargs["type"] = parse or (type(default) if has_default else str)
        help += " (default: %(default)s)" * has_default
    return field(default=default, metadata={"group": group, "help": help, **kwargs})


network, training, data, logs, machine, run = (  # `setting` in a group
    functools.partial(setting, group=title)
    for title in ("the network", "training", "data", "logs", "the machine", "the run")
)


def like(name, default, **kwargs):
    """Make a field like that of `Settings`, with another default."""
    return field(default=default, metadata=Settings.__dataclass_fields__[name].metadata | kwargs)


def flag(name):
    """Return the flag of a field."""
    return f"--{name.replace('_', '-')}"


def existing(text):
    """Parse the path of a file or folder, which must exist."""
    if not Path(text).expanduser().exists():
        raise argparse.ArgumentTypeError(f"must be an existing file or folder. Received: {text}.")
    return Path(text)


def step_factor(text):
    """Parse the value of `--h`: a number, a tuple of numbers, or a rule."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return text
    return numbers if "," in text else numbers[0]


def layer(text):
    """Parse a layer: a position or a name."""
    return int(text) if text.isdecimal() else text


@dataclass(frozen=True)
class Settings:
    """Everything that determines what a training run computes. Images and texts have subclasses.
    The defaults are the paper's for images."""

    depth: int = network(110, "number of layers with weights")
    h: object = network(
        0.1,
        "step factor: a number, 1/sqrt(L), 1/L, one number per block with commas, or a rule of the "
        f"literature: {', '.join(RULES)}",
        step_factor,
    )
    norm: str = network("batch", "normalization", choices=("batch", "group", "layer", "none"))
    initializer: str = network("torch", "initial values of the kernels", choices=INITIALIZERS)
    shortcut: str = network(
        "projection",
        "shortcut where the width changes: He et al.'s option B or A",
        choices=("projection", "padding"),
    )
    preactivation: bool = network(False, "normalization and ReLU before the convolutions")
    trainable_h: str = network(
        "none", "train h, starting from its value", choices=("none", "scalar", "channel")
    )
    zero_gamma: bool = network(False, "start the branch's last gamma at zero")
    scheme: str = network(
        "euler", "method of the step in blocks that keep the shape", choices=SCHEMES
    )
    skip: float = network(1.0, "factor of the shortcut")
    drop_path: float = network(0.0, "rate of stochastic depth at the last block, growing linearly")
    widths: tuple = network((16, 32, 64), "filters of each stage", int, nargs="+")
    epochs: int = training(80, "epochs")
    batch_size: int = training(128, "examples per step")
    optimizer: str = training("sgd", "optimizer", choices=("sgd", "adam"))
    learning_rate: float = training(0.1, "base learning rate")
    momentum: float = training(0.9, "momentum of sgd")
    nesterov: bool = training(False, "Nesterov's momentum")
    weight_decay: float = training(
        0.0, "decoupled weight decay of kernels, not of norms, biases and h"
    )
    schedule: str = training(
        "steps",
        "learning rate: a tenth at each milestone, or a cosine to zero",
        choices=("steps", "cosine"),
    )
    warmup: int = training(0, "epochs in which the rate of the cosine rises from zero")
    label_smoothing: float = training(0.0, "share of each label that is spread over all classes")
    ema: float = training(
        0.0, "momentum of a moving average of the weights, which is tested and saved; 0: none"
    )
    milestones: tuple = training(
        (40, 60), "numbers of epochs after which the rate falls to a tenth", int, nargs="*"
    )
    seed: int = training(7, "seed of everything random")
    dtype: str = training("float32", "dtype policy", choices=DTYPES)
    dataset: str = data("cifar10", "data set", choices=("cifar10", "synthetic"))
    train_size: int | None = data(None, "train on this many examples only", int)
    test_size: int | None = data(None, "test on this many examples only", int)
    log_gradients: tuple | None = logs(
        None,
        "write gradient norms to gradients.csv, of all layers or of those named, such as 2, "
        "stage1_block1/conv1 or 'stage1_*'",
        layer,
        nargs="*",
        metavar="LAYER",
    )
    log_weights: tuple | None = logs(
        None, "write weight norms to weights.csv", layer, nargs="*", metavar="LAYER"
    )
    log_per: str = logs(
        "iteration", "period of a row in these files", choices=("iteration", "epoch")
    )

    def network_arguments(self):
        """Return the arguments that all networks share, by their names in the package."""
        names = [
            option.name for option in fields(Settings) if option.metadata["group"] == "the network"
        ]
        values = {name: getattr(self, name) for name in names}
        values["kernel_initializer"] = values.pop("initializer")
        values |= RULES.get(self.h, {}) if isinstance(self.h, str) else {}
        return {n: None if v in ("none", "torch") else v for n, v in values.items()}


@dataclass(frozen=True)
class ImageSettings(Settings):
    """The settings of a training of `EulerResNet`; the defaults are the paper's."""

    image_size: int = data(32, "average the pixels to N x N", choices=(8, 16, 32))
    augmentation: bool = data(True, "random crops and flips")
    noise: float = data(0.0, "standard deviation of Gaussian noise on normalized pixels")
    noise_mode: str = data(
        "training",
        "new noise at every step of training; also in testing; or once for each training image",
        choices=("training", "always", "static"),
    )


@dataclass(frozen=True)
class TextSettings(Settings):
    """The settings of a training of `EulerVDCNN`; the defaults are the paper's."""

    depth: int = like("depth", 29)
    widths: tuple = like("widths", (64, 128, 256, 512))
    embedding_dim: int = network(16, "numbers per character")
    head_pooling: str = network(
        "max",
        "the largest number of each eighth of a channel, or its 8 largest",
        choices=("max", "k_max"),
    )
    dense_units: int = network(1024, "units of the two hidden dense layers")
    dropout: float = network(0.0, "rate after each hidden dense layer")
    epochs: int = like("epochs", 15)
    batch_size: int = like("batch_size", 64)
    milestones: tuple = like("milestones", ())
    dataset: str = like("dataset", "ag_news", choices=("ag_news", "synthetic"))
    sequence_length: int = data(1024, "characters per text, truncated or padded")
    alphabet: str = data("authors", "symbols that have their own id", choices=("authors", "zhang"))
    noise: float = data(0.0, "fraction of the characters that become random letters")
    noise_mode: str = data(
        "static",
        "once for each training text, as the authors do; or new at every step of training; also in "
        "testing",
        choices=("static", "training", "always"),
    )


@dataclass(frozen=True)
class Options:
    """The options of recipes that are no trainings."""

    seed: int = setting(7, "seed")
    backend: str | None = setting(None, "Keras backend", choices=BACKENDS)


@dataclass(frozen=True)
class Execution:
    """How and where a run is carried out; this does not affect its result."""

    data_dir: Path | None = data(
        None, "folder or file of the data (default: download them)", existing, metavar="PATH"
    )
    backend: str | None = machine(
        None,
        "Keras backend (default: KERAS_BACKEND, else that of keras.json, else the first installed)",
        choices=BACKENDS,
    )
    jit: str = machine(
        "auto",
        "compile the step: auto is Keras' choice, on uses XLA, or torch.compile on torch (takes "
        "minutes)",
        choices=("auto", "on", "off"),
    )
    devices: int = machine(1, "number of GPUs, or virtual CPU devices, for data-parallel training")
    out: Path | None = run(
        None, "run folder (default: runs/ and a name made of the settings)", Path
    )
    checkpoint_steps: int | None = run(
        None, "write a checkpoint every N steps too, not only after each epoch", int
    )
    verbose: int = run(1, "progress: 1 a bar, 2 a line per epoch, 0 nothing", choices=(0, 1, 2))


def identity(settings, execution):
    """Return what identifies a run, as a JSON-serializable dict."""
    names = ("jit", "devices", "backend")
    values = {**asdict(settings), **{name: getattr(execution, name) for name in names}}
    return json.loads(json.dumps(values))


def run_folder(settings, execution):
    """Return `--out`, or a folder named after the settings, so that the same command finds its run
    again."""
    text = json.dumps(identity(settings, execution))
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    h = "list" if isinstance(settings.h, tuple) else str(settings.h).replace("/", "_")
    name = f"{settings.dataset}-depth{settings.depth}-h{h}-seed{settings.seed}"
    return execution.out or Path("runs") / f"{name}-{execution.backend}-{digest}"
