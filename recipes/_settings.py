"""Frozen dataclasses of what a run computes and how it is carried out.

Flags, config.json, the identity of a run, the grid of a study and the differences between two runs
are derived from their fields. Values are checked here, before keras is imported, so that errors
appear at once.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
INITIALIZERS = ("torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")
RULES = ("1/sqrt(L)", "1/L")
SCHEMES = ("euler", "heun", "rk4")
TEXT_BLOCKS = {9: 4, 17: 8, 29: 14, 49: 24, 65: 32, 69: 34}  # residual blocks by depth
NUM_GROUPS = {"group": 8}


def setting(default, help, **metadata):
    """Make a dataclass field that becomes a flag.

    Args:
        default: Value without the flag.
        help: Text for `--help`.
        **metadata: Any of `group`, `choices`, `parse` (function of an argument), `many` (number of
            arguments, `"*"` or `"+"`) and `metavar`; for numbers `minimum`, `above`, `maximum` and
            `below`; for paths `suffix` of a file to write, or `exists`. `newer` says that the field
            is newer than finished runs, so that its default is left out of their identity.
    """
    return field(default=default, metadata={"help": help, **metadata})


def flag(name):
    """Return the flag of a field."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Options:
    """Base class of the options of a command, which checks fields by their metadata."""

    def __post_init__(self):
        for option in fields(self):
            check(option, getattr(self, option.name))


def check(option, value):
    """Raise a ValueError that names the flag unless the metadata of a field allow its value."""
    limits = option.metadata
    for part in value if isinstance(value, tuple) else (value,):
        if part is None:
            continue
        if "choices" in limits and part not in limits["choices"]:
            raise ValueError(
                f"{flag(option.name)} must be one of {', '.join(map(str, limits['choices']))}. "
                f"Received: {part}."
            )
        bounds = [
            (text.format(f"{limits[name]:g}"), holds, limits[name])
            for name, text, holds in BOUNDS
            if name in limits
        ]
        wrong = [text for text, holds, bound in bounds if not holds(part, bound)]
        if bounds and not math.isfinite(part):
            wrong = ["finite"]
        if wrong:
            raise ValueError(
                f"{flag(option.name)} must be {' and '.join(wrong)}. Received: {part:g}."
            )
        if limits.get("exists") and not part.expanduser().exists():
            raise ValueError(f"{flag(option.name)} must exist. Received: {part}.")
        if "suffix" in limits and (
            not part.parent.is_dir() or part.is_dir() or part.suffix != limits["suffix"]
        ):
            raise ValueError(
                f"{flag(option.name)} must be a file *{limits['suffix']} in an existing folder. "
                f"Received: {part}."
            )


BOUNDS = (
    ("minimum", "at least {}", lambda value, bound: value >= bound),
    ("above", "more than {}", lambda value, bound: value > bound),
    ("maximum", "at most {}", lambda value, bound: value <= bound),
    ("below", "less than {}", lambda value, bound: value < bound),
)


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


NETWORK, TRAINING, DATA, LOGS, MACHINE = "the network", "training", "data", "logs", "the machine"


@dataclass(frozen=True)
class Settings(Options):
    """Everything that determines what a training run computes. Abstract: images and texts have
    subclasses."""

    depth: int = setting(0, "number of layers with weights", group=NETWORK)
    h: object = setting(
        0.1,
        "step factor: a number, 1/sqrt(L), 1/L, or one number per block with commas",
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
        "euler",
        "method of the step in blocks that keep the shape",
        group=NETWORK,
        choices=SCHEMES,
        newer=True,
    )
    skip: float = setting(1.0, "factor of the shortcut", group=NETWORK, minimum=0, newer=True)
    drop_path: float = setting(
        0.0,
        "rate of stochastic depth at the last block, growing linearly",
        group=NETWORK,
        minimum=0,
        below=1,
        newer=True,
    )
    widths: tuple = setting((), "filters of each stage", group=NETWORK, parse=int, minimum=1)
    epochs: int = setting(0, "epochs", group=TRAINING, minimum=1)
    batch_size: int = setting(0, "examples per step", group=TRAINING, minimum=1)
    optimizer: str = setting("sgd", "optimizer", group=TRAINING, choices=("sgd", "adam"))
    learning_rate: float = setting(0.1, "base learning rate", group=TRAINING, above=0)
    momentum: float = setting(0.9, "momentum of sgd", group=TRAINING, minimum=0, maximum=1)
    nesterov: bool = setting(False, "Nesterov's momentum", group=TRAINING, newer=True)
    weight_decay: float = setting(
        0.0,
        "decoupled weight decay of kernels, not of norms, biases and h",
        group=TRAINING,
        minimum=0,
        newer=True,
    )
    schedule: str = setting(
        "steps",
        "learning rate: a tenth at each milestone, or a cosine to zero",
        group=TRAINING,
        choices=("steps", "cosine"),
        newer=True,
    )
    warmup: int = setting(
        0,
        "epochs in which the rate of the cosine rises from zero",
        group=TRAINING,
        minimum=0,
        newer=True,
    )
    label_smoothing: float = setting(
        0.0,
        "share of each label that is spread over all classes",
        group=TRAINING,
        minimum=0,
        below=1,
        newer=True,
    )
    milestones: tuple = setting(
        (),
        "numbers of epochs after which the rate falls to a tenth",
        group=TRAINING,
        parse=int,
        many="*",
        minimum=0,
    )
    seed: int = setting(
        7, "seed of everything random", group=TRAINING, minimum=0, maximum=2**31 - 1
    )
    dtype: str = setting("float32", "dtype policy", group=TRAINING, choices=DTYPES)
    dataset: str = setting("synthetic", "data set", group=DATA)
    label_noise: float = setting(
        0.0,
        "flip this fraction of the training labels to other classes",
        group=DATA,
        minimum=0,
        maximum=1,
    )
    train_size: int | None = setting(
        None, "train on this many examples only", group=DATA, parse=int, minimum=1, metavar="N"
    )
    test_size: int | None = setting(
        None, "test on this many examples only", group=DATA, parse=int, minimum=1, metavar="N"
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

    def __post_init__(self):
        super().__post_init__()
        num_blocks = self.num_blocks()
        if isinstance(self.h, str) and self.h not in RULES:
            raise ValueError(
                f"`h` must be a number, a list of numbers, or a rule: {' or '.join(RULES)}. "
                f"Received: h={self.h!r}."
            )
        if isinstance(self.h, tuple) and len(self.h) != num_blocks:
            raise ValueError(
                f"`h` as a list must have one number for each of the {num_blocks} residual "
                f"blocks. Received: {len(self.h)} numbers."
            )
        for h in self.h if isinstance(self.h, tuple) else (self.h,):
            if not isinstance(h, str) and not 0 <= h < 3.4e38:
                raise ValueError(
                    f"`h` must be a finite number >= 0. Received: h={h!r}. Use h=1.0 for the "
                    f"ordinary ResNet."
                )
        if self.warmup and (self.schedule != "cosine" or self.warmup >= self.epochs):
            raise ValueError(
                f"--warmup needs --schedule cosine and fewer than --epochs {self.epochs}. "
                f"Received: {self.warmup}."
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(
                f"`milestones` must increase. Received: milestones={self.milestones!r}."
            )
        stages = len(type(self).__dataclass_fields__["widths"].default)
        if len(self.widths) != stages:
            raise ValueError(
                f"--widths must be {stages} numbers, one per stage. Received: {len(self.widths)}."
            )
        groups = NUM_GROUPS.get(self.norm, 1)
        if any(width % groups for width in self.widths):
            raise ValueError(
                f"--widths must be multiples of {groups} with --norm {self.norm}. Received: "
                f"{self.widths}."
            )
        if self.zero_gamma and (self.norm == "none" or self.preactivation):
            raise ValueError(
                "--zero-gamma needs a norm at the end of the branch: leave out --norm none and "
                "--preactivation."
            )
        if self.log_per == "epoch" and self.log_gradients is None and self.log_weights is None:
            raise ValueError("--log-per epoch needs --log-gradients or --log-weights")

    def num_blocks(self):
        """Return L, the number of residual blocks, or raise a ValueError if the depth is
        invalid."""
        raise NotImplementedError

    def network_arguments(self):
        """Return the arguments that all networks share, by their names in the package."""
        none_or = {"none": None, "torch": None}
        names = (
            "depth",
            "h",
            "shortcut",
            "preactivation",
            "zero_gamma",
            "scheme",
            "skip",
            "drop_path",
            "widths",
        )
        optional = {
            "norm": self.norm,
            "trainable_h": self.trainable_h,
            "kernel_initializer": self.initializer,
        }
        return {name: getattr(self, name) for name in names} | {
            n: none_or.get(v, v) for n, v in optional.items()
        }


@dataclass(frozen=True)
class ImageSettings(Settings):
    """The settings of a training of `EulerResNet`; the defaults are the paper's."""

    depth: int = setting(110, "number of layers with weights", group=NETWORK)
    widths: tuple = setting(
        (16, 32, 64), "filters of each stage", group=NETWORK, parse=int, many=3, minimum=1
    )
    epochs: int = setting(80, "epochs", group=TRAINING, minimum=1)
    batch_size: int = setting(128, "examples per step", group=TRAINING, minimum=1)
    milestones: tuple = setting(
        (40, 60),
        "numbers of epochs after which the rate falls to a tenth",
        group=TRAINING,
        parse=int,
        many="*",
        minimum=0,
    )
    dataset: str = setting("cifar10", "data set", group=DATA, choices=("cifar10", "synthetic"))
    image_size: int = setting(
        32, "average the pixels to N x N", group=DATA, choices=(8, 16, 32), metavar="N"
    )
    augmentation: bool = setting(True, "no random crops and flips", group=DATA)
    noise: float = setting(
        0.0, "standard deviation of Gaussian noise on normalized pixels", group=DATA, minimum=0
    )
    noise_mode: str = setting(
        "training",
        "new noise at every step of training; also in testing; or once for each training image",
        group=DATA,
        choices=("training", "always", "static"),
    )

    def num_blocks(self):
        blocks, rest = divmod(self.depth - 2, 6)
        if blocks < 1 or rest:
            below = max(6 * blocks + 2, 8)
            nearest = f"{below} or {below + 6}" if self.depth > 8 else "8"
            raise ValueError(
                f"`depth` must be 6n + 2. Received: depth={self.depth}. The nearest: {nearest}."
            )
        return 3 * blocks


@dataclass(frozen=True)
class TextSettings(Settings):
    """The settings of a training of `EulerVDCNN`; the defaults are the paper's."""

    depth: int = setting(29, "number of layers with weights", group=NETWORK)
    widths: tuple = setting(
        (64, 128, 256, 512), "filters of each stage", group=NETWORK, parse=int, many=4, minimum=1
    )
    embedding_dim: int = setting(16, "numbers per character", group=NETWORK, minimum=1)
    head_pooling: str = setting(
        "max",
        "the largest number of each eighth of a channel, or its 8 largest",
        group=NETWORK,
        choices=("max", "k_max"),
    )
    dense_units: int = setting(
        1024, "units of the two hidden dense layers", group=NETWORK, minimum=1
    )
    dropout: float = setting(
        0.0, "rate after each hidden dense layer", group=NETWORK, minimum=0, below=1
    )
    epochs: int = setting(15, "epochs", group=TRAINING, minimum=1)
    batch_size: int = setting(64, "examples per step", group=TRAINING, minimum=1)
    dataset: str = setting("ag_news", "data set", group=DATA, choices=("ag_news", "synthetic"))
    sequence_length: int = setting(
        1024, "characters per text, truncated or padded", group=DATA, minimum=64
    )
    alphabet: str = setting(
        "authors", "symbols that have their own id", group=DATA, choices=("authors", "zhang")
    )
    noise: float = setting(
        0.0,
        "fraction of the characters that become random letters",
        group=DATA,
        minimum=0,
        maximum=1,
    )
    noise_mode: str = setting(
        "static",
        "once for each training text, as the authors do; or new at every step of "
        "training; also in testing",
        group=DATA,
        choices=("static", "training", "always"),
    )

    def num_blocks(self):
        if self.depth not in TEXT_BLOCKS:
            depths = ", ".join(map(str, TEXT_BLOCKS))
            raise ValueError(f"`depth` must be one of {depths}. Received: depth={self.depth}.")
        return TEXT_BLOCKS[self.depth]


@dataclass(frozen=True)
class Execution(Options):
    """How and where a run is carried out; this does not affect its result."""

    data_dir: Path | None = setting(
        None,
        "folder or file of the data (default: download them)",
        parse=Path,
        group=DATA,
        metavar="PATH",
        exists=True,
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
        minimum=1,
        metavar="N",
    )
    out: Path | None = setting(
        None,
        "run folder (default: runs/ and a name made of the settings)",
        parse=Path,
        group="the run",
        metavar="FOLDER",
    )
    checkpoint_steps: int | None = setting(
        None,
        "write a checkpoint every N steps too, not only after each epoch",
        parse=int,
        minimum=1,
        group="the run",
        metavar="N",
    )
    verbose: int = setting(
        1, "progress: 1 a bar, 2 a line per epoch, 0 nothing", group="the run", choices=(0, 1, 2)
    )


def identity(settings, execution):
    """Return what identifies a run, as a JSON-serializable dict."""
    newer = newer_defaults(settings)
    values = {
        name: value
        for name, value in asdict(settings).items()
        if name not in newer or value != newer[name]
    }
    return json.loads(json.dumps({**values, "jit": execution.jit, "devices": execution.devices}))


def newer_defaults(cls):
    """Return a dict of the settings that are newer than finished runs -> their defaults."""
    return {option.name: option.default for option in fields(cls) if option.metadata.get("newer")}


def run_folder(settings, execution):
    """Return `--out`, or a folder named after the settings, so that the same command finds its run
    again."""
    text = json.dumps(
        {**identity(settings, execution), "backend": execution.backend}, sort_keys=True
    )
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    h = "list" if isinstance(settings.h, tuple) else str(settings.h).replace("/", "_")
    name = f"{settings.dataset}-depth{settings.depth}-h{h}-seed{settings.seed}"
    return execution.out or Path("runs") / f"{name}-{execution.backend}-{digest}"
