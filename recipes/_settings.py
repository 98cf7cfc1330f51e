"""Frozen dataclasses of what a run computes and how it is carried out.

Flags, config.json, the identity of a run, the grid of a study and the columns of trials.csv are
derived from their fields. A flag's `parse` knows what the command line alone knows; the package
checks the rest.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from _rules import RULES

BACKENDS = ("tensorflow", "jax", "torch")
INITIALIZERS = ("torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")
SCHEMES = ("euler", "heun", "rk4")


def setting(default, help, **metadata):
    """Make a dataclass field that becomes a flag.

    Args:
        default: Value without the flag.
        help: Text for `--help`.
        **metadata: Any of `group`, `choices`, `parse` (function of an argument), `many` (number of
            arguments, `"*"` or `"+"`) and `metavar`.
    """
    return field(default=default, metadata={"help": help, **metadata})


def flag(name):
    """Return the flag of a field."""
    return f"--{name.replace('_', '-')}"


def checked(kind, words, holds):
    """Return a function that parses an argument, and rejects it in words unless it holds."""

    def parse(text):
        value = kind(text)
        if not holds(value):
            raise argparse.ArgumentTypeError(f"must be {words}. Received: {text}.")
        return value

    parse.__name__ = kind.__name__
    return parse


COUNT = checked(int, "at least 1", lambda n: n >= 1)
SEED = checked(int, "from 0 to 2147483647", lambda n: 0 <= n < 2**31)
POSITIVE = checked(float, "a finite number above 0", lambda x: 0 < x < float("inf"))
NOT_NEGATIVE = checked(float, "a finite number >= 0", lambda x: 0 <= x < float("inf"))
FRACTION = checked(float, "from 0 to 1", lambda x: 0 <= x <= 1)
EXISTING = checked(Path, "an existing file or folder", lambda path: path.expanduser().exists())


def new_file(suffix):
    """Return a parser of the path of a file to write."""
    is_file = lambda path: path.suffix == suffix and not path.is_dir()  # noqa: E731
    return checked(Path, f"a file *{suffix}", is_file)


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


NETWORK, TRAINING, DATA, LOGS = "the network", "training", "data", "logs"
MACHINE, RUN = "the machine", "the run"
NETWORK_ARGUMENTS = (
    *("depth", "h", "norm", "shortcut", "preactivation", "trainable_h", "zero_gamma", "scheme"),
    *("skip", "drop_path", "widths"),
)


@dataclass(frozen=True)
class Settings:
    """Everything that determines what a training run computes. Abstract: images and texts have
    subclasses."""

    depth: int = setting(0, "number of layers with weights", group=NETWORK)
    h: object = setting(
        0.1,
        f"step factor: a number, 1/sqrt(L), 1/L, one number per block with commas, or a rule of "
        f"the literature: {', '.join(RULES)}",
        group=NETWORK,
        parse=step_factor,
    )
    norm: str = setting(
        "batch", "normalization", group=NETWORK, choices=("batch", "group", "layer", "none")
    )
    initializer: str = setting(
        "torch", "initial values of the kernels", group=NETWORK, choices=INITIALIZERS
    )
    shortcut: str = setting(
        "projection",
        "shortcut where the width changes: He et al.'s option B or A",
        group=NETWORK,
        choices=("projection", "padding"),
    )
    preactivation: bool = setting(
        False, "normalization and ReLU before the convolutions", group=NETWORK
    )
    trainable_h: str = setting(
        "none",
        "train h, starting from its value",
        group=NETWORK,
        choices=("none", "scalar", "channel"),
    )
    zero_gamma: bool = setting(False, "start the branch's last gamma at zero", group=NETWORK)
    scheme: str = setting(
        "euler", "method of the step in blocks that keep the shape", group=NETWORK, choices=SCHEMES
    )
    skip: float = setting(1.0, "factor of the shortcut", group=NETWORK)
    drop_path: float = setting(
        0.0, "rate of stochastic depth at the last block, growing linearly", group=NETWORK
    )
    widths: tuple = setting((), "filters of each stage", group=NETWORK)
    epochs: int = setting(0, "epochs", group=TRAINING)
    batch_size: int = setting(0, "examples per step", group=TRAINING)
    optimizer: str = setting("sgd", "optimizer", group=TRAINING, choices=("sgd", "adam"))
    learning_rate: float = setting(0.1, "base learning rate", group=TRAINING, parse=POSITIVE)
    momentum: float = setting(0.9, "momentum of sgd", group=TRAINING, parse=FRACTION)
    nesterov: bool = setting(False, "Nesterov's momentum", group=TRAINING)
    weight_decay: float = setting(
        0.0,
        "decoupled weight decay of kernels, not of norms, biases and h",
        group=TRAINING,
        parse=NOT_NEGATIVE,
    )
    schedule: str = setting(
        "steps",
        "learning rate: a tenth at each milestone, or a cosine to zero",
        group=TRAINING,
        choices=("steps", "cosine"),
    )
    warmup: int = setting(
        0, "epochs in which the rate of the cosine rises from zero", group=TRAINING
    )
    label_smoothing: float = setting(
        0.0, "share of each label that is spread over all classes", group=TRAINING, parse=FRACTION
    )
    ema: float = setting(
        0.0,
        "momentum of a moving average of the weights, which is tested and saved; 0: none",
        group=TRAINING,
        parse=checked(float, "from 0 to less than 1", lambda x: 0 <= x < 1),
    )
    milestones: tuple = setting(
        (),
        "numbers of epochs after which the rate falls to a tenth",
        group=TRAINING,
        parse=int,
        many="*",
    )
    seed: int = setting(7, "seed of everything random", group=TRAINING, parse=SEED)
    dtype: str = setting("float32", "dtype policy", group=TRAINING, choices=DTYPES)
    dataset: str = setting("synthetic", "data set", group=DATA)
    label_noise: float = setting(
        0.0,
        "flip this fraction of the training labels to other classes",
        group=DATA,
        parse=FRACTION,
    )
    train_size: int | None = setting(
        None, "train on this many examples only", group=DATA, parse=COUNT, metavar="N"
    )
    test_size: int | None = setting(
        None, "test on this many examples only", group=DATA, parse=COUNT, metavar="N"
    )
    log_gradients: tuple | None = setting(
        None,
        "write gradient norms to gradients.csv, of all layers or of those named, such as 2, "
        "stage1_block1/conv1 or 'stage1_*'",
        group=LOGS,
        parse=layer,
        many="*",
        metavar="LAYER",
    )
    log_weights: tuple | None = setting(
        None,
        "write weight norms to weights.csv",
        group=LOGS,
        parse=layer,
        many="*",
        metavar="LAYER",
    )
    log_per: str = setting(
        "iteration", "period of a row in these files", group=LOGS, choices=("iteration", "epoch")
    )

    def network_arguments(self):
        """Return the arguments that all networks share, by their names in the package."""
        values = {name: getattr(self, name) for name in NETWORK_ARGUMENTS}
        values["kernel_initializer"] = self.initializer
        values |= RULES.get(self.h, {}) if isinstance(self.h, str) else {}
        return {n: None if v in ("none", "torch") else v for n, v in values.items()}


@dataclass(frozen=True)
class ImageSettings(Settings):
    """The settings of a training of `EulerResNet`; the defaults are the paper's."""

    depth: int = setting(110, "number of layers with weights", group=NETWORK)
    widths: tuple = setting((16, 32, 64), "filters of each stage", group=NETWORK, parse=int, many=3)
    epochs: int = setting(80, "epochs", group=TRAINING, parse=COUNT)
    batch_size: int = setting(128, "examples per step", group=TRAINING, parse=COUNT)
    milestones: tuple = setting(
        (40, 60),
        "numbers of epochs after which the rate falls to a tenth",
        group=TRAINING,
        parse=int,
        many="*",
    )
    dataset: str = setting("cifar10", "data set", group=DATA, choices=("cifar10", "synthetic"))
    image_size: int = setting(
        32, "average the pixels to N x N", group=DATA, choices=(8, 16, 32), metavar="N"
    )
    augmentation: bool = setting(True, "no random crops and flips", group=DATA)
    noise: float = setting(
        0.0,
        "standard deviation of Gaussian noise on normalized pixels",
        group=DATA,
        parse=NOT_NEGATIVE,
    )
    noise_mode: str = setting(
        "training",
        "new noise at every step of training; also in testing; or once for each training image",
        group=DATA,
        choices=("training", "always", "static"),
    )


@dataclass(frozen=True)
class TextSettings(Settings):
    """The settings of a training of `EulerVDCNN`; the defaults are the paper's."""

    depth: int = setting(29, "number of layers with weights", group=NETWORK)
    widths: tuple = setting(
        (64, 128, 256, 512), "filters of each stage", group=NETWORK, parse=int, many=4
    )
    embedding_dim: int = setting(16, "numbers per character", group=NETWORK)
    head_pooling: str = setting(
        "max",
        "the largest number of each eighth of a channel, or its 8 largest",
        group=NETWORK,
        choices=("max", "k_max"),
    )
    dense_units: int = setting(1024, "units of the two hidden dense layers", group=NETWORK)
    dropout: float = setting(0.0, "rate after each hidden dense layer", group=NETWORK)
    epochs: int = setting(15, "epochs", group=TRAINING, parse=COUNT)
    batch_size: int = setting(64, "examples per step", group=TRAINING, parse=COUNT)
    dataset: str = setting("ag_news", "data set", group=DATA, choices=("ag_news", "synthetic"))
    sequence_length: int = setting(1024, "characters per text, truncated or padded", group=DATA)
    alphabet: str = setting(
        "authors", "symbols that have their own id", group=DATA, choices=("authors", "zhang")
    )
    noise: float = setting(
        0.0, "fraction of the characters that become random letters", group=DATA, parse=FRACTION
    )
    noise_mode: str = setting(
        "static",
        "once for each training text, as the authors do; or new at every step of "
        "training; also in testing",
        group=DATA,
        choices=("static", "training", "always"),
    )


@dataclass(frozen=True)
class Execution:
    """How and where a run is carried out; this does not affect its result."""

    data_dir: Path | None = setting(
        None,
        "folder or file of the data (default: download them)",
        parse=EXISTING,
        group=DATA,
        metavar="PATH",
    )
    backend: str | None = setting(
        None,
        "Keras backend (default: KERAS_BACKEND, else that of keras.json, else the first installed)",
        parse=str,
        group=MACHINE,
        choices=BACKENDS,
    )
    jit: str = setting(
        "auto",
        "compile the step: auto is Keras' choice, on uses XLA, or torch.compile on torch "
        "(takes minutes)",
        group=MACHINE,
        choices=("auto", "on", "off"),
    )
    devices: int = setting(
        1,
        "number of GPUs, or virtual CPU devices, for data-parallel training",
        group=MACHINE,
        parse=COUNT,
        metavar="N",
    )
    out: Path | None = setting(
        None,
        "run folder (default: runs/ and a name made of the settings)",
        parse=Path,
        group=RUN,
        metavar="FOLDER",
    )
    checkpoint_steps: int | None = setting(
        None,
        "write a checkpoint every N steps too, not only after each epoch",
        parse=COUNT,
        group=RUN,
        metavar="N",
    )
    verbose: int = setting(
        1, "progress: 1 a bar, 2 a line per epoch, 0 nothing", group=RUN, choices=(0, 1, 2)
    )


def identity(settings, execution):
    """Return what identifies a run, as a JSON-serializable dict."""
    values = {**asdict(settings), "jit": execution.jit, "devices": execution.devices}
    return json.loads(json.dumps(values))


def run_folder(settings, execution):
    """Return `--out`, or a folder named after the settings, so that the same command finds its run
    again."""
    text = json.dumps({**identity(settings, execution), "backend": execution.backend})
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    h = "list" if isinstance(settings.h, tuple) else str(settings.h).replace("/", "_")
    name = f"{settings.dataset}-depth{settings.depth}-h{h}-seed{settings.seed}"
    return execution.out or Path("runs") / f"{name}-{execution.backend}-{digest}"
