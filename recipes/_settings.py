"""What a run computes and how it is carried out, as frozen dataclasses.

Flags, config.json, the identity of a run, the grid of a study and the differences between two runs are all derived from
their fields. Values are checked here, before keras is imported: a wrong one is answered at once.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import ClassVar

BACKENDS = ("tensorflow", "jax", "torch")
INITIALIZERS = ("torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")
RULES = ("1/sqrt(L)", "1/L")
TEXT_BLOCKS = {9: 4, 17: 8, 29: 14, 49: 24, 65: 32, 69: 34}  # residual blocks by depth
NUM_GROUPS = {"group": 8}


def setting(default, help, **metadata):
    """A field that is a flag.

    Args:
        default: Its value without the flag.
        help: For `--help`.
        **metadata: Any of `group`, `choices`, `parse` (function of a word), `many` (number of words, `"*"` or `"+"`),
            `metavar`, and of a number `minimum`, `above`, `maximum`, `below`; of a path `suffix`.
    """
    return field(default=default, metadata={"help": help, **metadata})


def flag(name):
    """The flag of a field."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Options:
    """Base of all arguments of a command: its fields are checked by their metadata."""

    def __post_init__(self):
        for one in fields(self):
            check(one, getattr(self, one.name))


def check(one, value):
    """Raise a ValueError that names the flag unless the value of a field is what its metadata allow."""
    limits = one.metadata
    for part in value if isinstance(value, tuple) else (value,):
        if part is None:
            continue
        if "choices" in limits and part not in limits["choices"]:
            raise ValueError(f"{flag(one.name)} must be one of {', '.join(map(str, limits['choices']))}. Received: {part}.")
        bounds = [(words.format(f"{limits[name]:g}"), holds, limits[name]) for name, words, holds in BOUNDS if name in limits]
        wrong = [words for words, holds, bound in bounds if not holds(part, bound)]
        if bounds and not math.isfinite(part):
            wrong = ["finite"]
        if wrong:
            raise ValueError(f"{flag(one.name)} must be {' and '.join(wrong)}. Received: {part:g}.")
        if "suffix" in limits and (not part.parent.is_dir() or part.is_dir() or part.suffix != limits["suffix"]):
            raise ValueError(f"{flag(one.name)} must be a file *{limits['suffix']} in an existing folder. Received: {part}.")


BOUNDS = (
    ("minimum", "at least {}", lambda value, bound: value >= bound),
    ("above", "more than {}", lambda value, bound: value > bound),
    ("maximum", "at most {}", lambda value, bound: value <= bound),
    ("below", "less than {}", lambda value, bound: value < bound),
)


def step_factor(word):
    """The value of `--h`: a number, a tuple of numbers, or the text of a rule."""
    try:
        numbers = tuple(float(part) for part in word.split(","))
    except ValueError:
        return word
    return numbers if "," in word else numbers[0]


def layer(word):
    """A layer by position or name."""
    return int(word) if word.isdecimal() else word


NETWORK, TRAINING, DATA, LOGS, MACHINE = "the network", "training", "data", "logs", "the machine"


@dataclass(frozen=True)
class Settings(Options):
    """Everything that decides what a training run computes. Abstract: images and texts have their own."""

    depth: int = setting(0, "number of layers with weights", group=NETWORK)
    h: object = setting(
        0.1, "step factor: a number, 1/sqrt(L), 1/L, or one number per block with commas", group=NETWORK, parse=step_factor
    )
    norm: str = setting("batch", "normalization", group=NETWORK, choices=("batch", "group", "layer", "none"))
    initializer: str = setting("torch", "first values of the kernels", group=NETWORK, choices=INITIALIZERS)
    shortcut: str = setting(
        "projection", "where the width changes: He et al.'s option B or A", group=NETWORK, choices=("projection", "padding")
    )
    preactivation: bool = setting(False, "normalization and ReLU before the convolutions", group=NETWORK)
    trainable_h: str = setting("none", "train h, from its value on", group=NETWORK, choices=("none", "scalar", "channel"))
    zero_gamma: bool = setting(False, "start the branch's last gamma at zero", group=NETWORK)
    widths: tuple = setting((), "filters of each stage", group=NETWORK, parse=int, minimum=1)
    epochs: int = setting(0, "epochs", group=TRAINING, minimum=1)
    batch_size: int = setting(0, "examples per step", group=TRAINING, minimum=1)
    optimizer: str = setting("sgd", "optimizer", group=TRAINING, choices=("sgd", "adam"))
    learning_rate: float = setting(0.1, "base learning rate", group=TRAINING, above=0)
    momentum: float = setting(0.9, "momentum of sgd", group=TRAINING, minimum=0, maximum=1)
    milestones: tuple = setting((), "epochs at which the rate falls to a tenth", group=TRAINING, parse=int, many="*", minimum=0)
    seed: int = setting(7, "seed of everything random", group=TRAINING, minimum=0, maximum=2**31 - 1)
    dtype: str = setting("float32", "dtype policy", group=TRAINING, choices=DTYPES)
    dataset: str = setting("synthetic", "data set", group=DATA)
    label_noise: float = setting(0.0, "flip this share of the training labels to other classes", group=DATA, minimum=0, maximum=1)
    train_size: int | None = setting(None, "train on this many examples only", group=DATA, parse=int, minimum=1, metavar="N")
    test_size: int | None = setting(None, "test on this many examples only", group=DATA, parse=int, minimum=1, metavar="N")
    log_gradients: tuple | None = setting(
        None,
        "write the norms of the gradients to gradients.csv: of all layers, or of those named: 2, stage1_block1/conv1, 'stage1_*'",
        group=LOGS, parse=layer, many="*", metavar="LAYER",
    )  # fmt: skip
    log_weights: tuple | None = setting(None, "the norms of the weights", group=LOGS, parse=layer, many="*", metavar="LAYER")
    log_per: str = setting("iteration", "what a row of these files is", group=LOGS, choices=("iteration", "epoch"))

    family: ClassVar[str]  # the data set of the paper, by which runs and studies are named

    def __post_init__(self):
        super().__post_init__()
        num_blocks = self.num_blocks()
        if isinstance(self.h, str) and self.h not in RULES:
            raise ValueError(f"`h` must be a number, a list of numbers, or a rule: {' or '.join(RULES)}. Received: h={self.h!r}.")
        if isinstance(self.h, tuple) and len(self.h) != num_blocks:
            raise ValueError(
                f"`h` as a list must have one number for each of the {num_blocks} residual blocks. Received: {len(self.h)} numbers."
            )
        for h in self.h if isinstance(self.h, tuple) else (self.h,):
            if not isinstance(h, str) and not 0 <= h < math.inf:
                raise ValueError(f"`h` must be a finite number >= 0. Received: h={h!r}. Use h=1.0 for the ordinary ResNet.")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"`milestones` must increase. Received: milestones={self.milestones!r}.")
        stages = len(type(self).__dataclass_fields__["widths"].default)
        if len(self.widths) != stages:
            raise ValueError(f"--widths must be {stages} numbers, one per stage. Received: {len(self.widths)}.")
        groups = NUM_GROUPS.get(self.norm, 1)
        if any(width % groups for width in self.widths):
            raise ValueError(f"--widths must be multiples of {groups} with --norm {self.norm}. Received: {self.widths}.")
        if self.zero_gamma and (self.norm == "none" or self.preactivation):
            raise ValueError("--zero-gamma needs a norm at the end of the branch: no --norm none, no --preactivation.")
        if self.log_per == "epoch" and self.log_gradients is None and self.log_weights is None:
            raise ValueError("--log-per epoch needs --log-gradients or --log-weights")

    def num_blocks(self):
        """L, the number of residual blocks; raises a ValueError where the depth is none of the family's."""
        raise NotImplementedError

    def network_arguments(self):
        """The arguments that all networks share, by their names in the package."""
        none_or = {"none": None, "torch": None}
        names = ("depth", "h", "shortcut", "preactivation", "zero_gamma", "widths")
        optional = {"norm": self.norm, "trainable_h": self.trainable_h, "kernel_initializer": self.initializer}
        return {name: getattr(self, name) for name in names} | {n: none_or.get(v, v) for n, v in optional.items()}


@dataclass(frozen=True)
class ImageSettings(Settings):
    """A training of `EulerResNet`; the defaults are the paper's."""

    depth: int = setting(110, "number of layers with weights", group=NETWORK)
    widths: tuple = setting((16, 32, 64), "filters of each stage", group=NETWORK, parse=int, many=3, minimum=1)
    epochs: int = setting(80, "epochs", group=TRAINING, minimum=1)
    batch_size: int = setting(128, "examples per step", group=TRAINING, minimum=1)
    milestones: tuple = setting(
        (40, 60), "epochs at which the rate falls to a tenth", group=TRAINING, parse=int, many="*", minimum=0
    )
    dataset: str = setting("cifar10", "data set", group=DATA, choices=("cifar10", "synthetic"))
    image_size: int = setting(32, "average the pixels to N x N", group=DATA, choices=(8, 16, 32), metavar="N")
    augmentation: bool = setting(True, "no random crops and flips", group=DATA)
    noise: float = setting(0.0, "standard deviation of Gaussian noise on normalized pixels", group=DATA, minimum=0)
    noise_mode: str = setting(
        "training", "fresh noise in training, in testing too, or once for each training image",
        group=DATA, choices=("training", "always", "static"),
    )  # fmt: skip

    family: ClassVar[str] = "cifar10"

    def num_blocks(self):
        blocks, rest = divmod(self.depth - 2, 6)
        if blocks < 1 or rest:
            below = max(6 * blocks + 2, 8)
            nearest = f"{below} or {below + 6}" if self.depth > 8 else "8"
            raise ValueError(f"`depth` must be 6n + 2. Received: depth={self.depth}. The nearest: {nearest}.")
        return 3 * blocks


@dataclass(frozen=True)
class TextSettings(Settings):
    """A training of `EulerVDCNN`; the defaults are the paper's."""

    depth: int = setting(29, "number of layers with weights", group=NETWORK)
    widths: tuple = setting((64, 128, 256, 512), "filters of each stage", group=NETWORK, parse=int, many=4, minimum=1)
    embedding_dim: int = setting(16, "numbers per character", group=NETWORK, minimum=1)
    head_pooling: str = setting(
        "max", "the largest of each eighth, or the 8 largest, of a channel", group=NETWORK, choices=("max", "k_max")
    )
    dense_units: int = setting(1024, "units of the two hidden dense layers", group=NETWORK, minimum=1)
    dropout: float = setting(0.0, "rate after each of them", group=NETWORK, minimum=0, below=1)
    epochs: int = setting(15, "epochs", group=TRAINING, minimum=1)
    batch_size: int = setting(64, "examples per step", group=TRAINING, minimum=1)
    dataset: str = setting("ag_news", "data set", group=DATA, choices=("ag_news", "synthetic"))
    sequence_length: int = setting(1024, "characters of a text, cut or padded", group=DATA, minimum=64)
    alphabet: str = setting("authors", "symbols with ids of their own", group=DATA, choices=("authors", "zhang"))
    noise: float = setting(0.0, "share of the characters that become random letters", group=DATA, minimum=0, maximum=1)
    noise_mode: str = setting(
        "static", "once for each training text, as the authors do it; or fresh in training, or in testing too",
        group=DATA, choices=("static", "training", "always"),
    )  # fmt: skip

    family: ClassVar[str] = "ag_news"

    def num_blocks(self):
        if self.depth not in TEXT_BLOCKS:
            depths = ", ".join(map(str, TEXT_BLOCKS))
            raise ValueError(f"`depth` must be one of {depths}. Received: depth={self.depth}.")
        return TEXT_BLOCKS[self.depth]


@dataclass(frozen=True)
class Execution(Options):
    """How and where a run is carried out: no part of what it computes."""

    data_dir: Path | None = setting(
        None, "folder or file of the data; without it they are downloaded", parse=Path, group=DATA, metavar="PATH"
    )
    backend: str | None = setting(
        None, "Keras backend; default: KERAS_BACKEND, else keras.json's, else the first installed",
        parse=str, group=MACHINE, choices=BACKENDS,
    )  # fmt: skip
    jit: str = setting(
        "auto", "compile the step; auto is Keras' own choice, on is XLA, on torch torch.compile (minutes)",
        group=MACHINE, choices=("auto", "on", "off"),
    )  # fmt: skip
    devices: int = setting(
        1, "train data parallel on this many GPUs, or virtual CPU devices", group=MACHINE, minimum=1, metavar="N"
    )
    out: Path | None = setting(
        None, "run folder; default: runs/ and a name made of the settings", parse=Path, group="the run", metavar="FOLDER"
    )
    verbose: int = setting(1, "progress: 1 bar, 2 a line per epoch, 0 none", group="the run", choices=(0, 1, 2))

    def __post_init__(self):
        super().__post_init__()
        if self.data_dir is not None and not self.data_dir.expanduser().exists():
            raise ValueError(f"--data-dir must exist. Received: {self.data_dir}.")


def identity(settings, execution):
    """What tells one run from another, as a dict that JSON can hold."""
    return json.loads(json.dumps({**asdict(settings), "jit": execution.jit, "devices": execution.devices}))


def run_folder(settings, execution):
    """`--out`, or a folder named by the settings: the same command finds its run again, another one has its own."""
    text = json.dumps({**identity(settings, execution), "backend": execution.backend}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    h = "list" if isinstance(settings.h, tuple) else str(settings.h).replace("/", "_")
    name = f"{settings.family}-depth{settings.depth}-h{h}-seed{settings.seed}-{execution.backend}-{digest}"
    return execution.out or Path("runs") / name
