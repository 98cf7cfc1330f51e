"""What every training recipe shares before keras is imported: flags, the backend, the run folder's name, errors as one line."""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import math
import os
import sys
from pathlib import Path

from _interrupts import Interruptible

BACKENDS = ("tensorflow", "jax", "torch")
INITIALIZERS = ("torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal")
DTYPES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")
# Where a run lies, what it shows and where its data are is no part of what it computes.
NOT_SETTINGS = ("out", "data_dir", "quick", "verbose")


def main(recipe, argv=None):
    """Run a training recipe from the command line; exits with status 2 and one line on a bad argument.

    Args:
        recipe: A module with a docstring, `DEFAULTS` and `QUICK` (dicts of settings), `MOST_NOISE` (a number),
            `add_arguments(parser)`, `load_data(args)` and `build_model(args)`.
        argv: Arguments; default those of the process.
    """
    parser = training_parser(recipe)
    args = parse(parser, recipe, argv)
    args.backend = choose_backend(parser, args.backend, args.devices)
    with errors_in_one_line(parser):
        import _training  # imports keras, hence only after the backend is chosen

        return _training.run(recipe, args)


@contextlib.contextmanager
def errors_in_one_line(parser, resumes=True):
    """End the process with status 2 and a sentence where an argument or a file is wrong, with 130 where it is interrupted."""
    try:
        with Interruptible():
            yield
    except KeyboardInterrupt:
        goes_on = " The same command goes on from the last finished epoch." if resumes else ""
        print(f"\nInterrupted.{goes_on}", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, ImportError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        parser.exit(2, f"{parser.prog}: error: {message}\n")


def parse(parser, recipe, argv=None):
    """Parse the arguments. `--quick` only changes defaults, so a flag beside it still holds."""
    args = parser.parse_args(argv)
    if args.quick:
        parser.set_defaults(**recipe.QUICK)
        if args.data_dir is None:
            parser.set_defaults(dataset="synthetic")
        args = parser.parse_args(argv)
    if args.dataset == "synthetic" and args.data_dir is not None:
        parser.error("--dataset synthetic takes no --data-dir: its examples are made")
    if not 0 <= args.label_noise <= 1:
        parser.error(f"--label-noise must be from 0 to 1. Received: {args.label_noise:g}.")
    if not 0 <= args.noise <= recipe.MOST_NOISE:
        bounds = f"from 0 to {recipe.MOST_NOISE}" if math.inf > recipe.MOST_NOISE else "finite and at least 0"
        parser.error(f"--noise must be {bounds}. Received: {args.noise:g}.")
    if args.log_per != parser.get_default("log_per") and args.log_gradients is None and args.log_weights is None:
        parser.error(f"--log-per {args.log_per} needs --log-gradients or --log-weights")
    if args.epochs < 1 or args.batch_size < 1 or args.devices < 1:
        parser.error("--epochs, --batch-size and --devices must be at least 1")
    return args


def training_parser(recipe):
    """The flags of every training recipe, and the recipe's own."""
    name = Path(recipe.__file__).stem
    parser = argparse.ArgumentParser(
        prog=f"{name}.py",
        description=recipe.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def add(group, flag, text, **kwargs):
        shown = "" if kwargs.get("action") or kwargs.get("default") is None else " (default: %(default)s)"
        group.add_argument(flag, help=text + shown, **kwargs)

    group = parser.add_argument_group("the network")
    add(group, "--depth", "number of layers with weights", type=int, default=recipe.DEFAULTS["depth"])
    add(
        group,
        "--h",
        "step factor: a number, 1/sqrt(L), 1/L, or one number per block with commas",
        type=step_factor,
        default=0.1,
    )
    add(group, "--norm", "normalization", choices=("batch", "group", "layer", "none"), default="batch")
    add(group, "--initializer", "first values of the kernels", choices=INITIALIZERS, default="torch")
    add(
        group,
        "--shortcut",
        "where the width changes: He et al.'s option B or A",
        choices=("projection", "padding"),
        default="projection",
    )
    add(group, "--preactivation", "normalization and ReLU before the convolutions", action="store_true")
    add(group, "--trainable-h", "train h, from its value on", choices=("none", "scalar", "channel"), default="none")
    add(group, "--zero-gamma", "start the branch's last gamma at zero", action="store_true")
    recipe.add_arguments(parser)

    group = parser.add_argument_group("training")
    add(group, "--epochs", "epochs", type=int, default=recipe.DEFAULTS["epochs"])
    add(group, "--batch-size", "examples per step", type=int, default=recipe.DEFAULTS["batch_size"])
    add(group, "--optimizer", "optimizer", choices=("sgd", "adam"), default="sgd")
    add(group, "--learning-rate", "base learning rate", type=float, default=recipe.DEFAULTS["learning_rate"])
    add(group, "--momentum", "momentum of sgd", type=float, default=0.9)
    add(
        group, "--milestones", "epochs at which the rate falls to a tenth", type=int, nargs="*",
        default=recipe.DEFAULTS["milestones"],
    )  # fmt: skip
    add(group, "--seed", "seed of everything random", type=int, default=7)

    group = parser.add_argument_group("data")
    add(
        group,
        "--dataset",
        "data set",
        choices=(recipe.DEFAULTS["dataset"], "synthetic"),
        default=recipe.DEFAULTS["dataset"],
    )
    add(group, "--data-dir", "folder or file of the data; without it they are downloaded", type=Path, metavar="PATH")
    add(group, "--label-noise", "flip this share of the training labels to other classes", type=float, default=0.0)
    add(group, "--train-size", "train on this many examples only", type=int, metavar="N")
    add(group, "--test-size", "test on this many examples only", type=int, metavar="N")

    group = parser.add_argument_group("the machine")
    add(
        group,
        "--backend",
        "Keras backend; default: KERAS_BACKEND, else keras.json's, else the first installed",
        choices=BACKENDS,
    )
    add(group, "--dtype", "dtype policy", choices=DTYPES, default="float32")
    add(
        group,
        "--jit",
        "compile the step; auto is Keras' own choice, on is XLA, on torch torch.compile (minutes)",
        choices=("auto", "on", "off"),
        default="auto",
    )
    add(
        group,
        "--devices",
        "train data parallel on this many GPUs, or virtual CPU devices",
        type=int,
        default=1,
        metavar="N",
    )

    group = parser.add_argument_group("logs")
    for what in ("gradients", "weights"):
        add(
            group,
            f"--log-{what}",
            f"write the norms of the {what} to {what}.csv: of all layers, or of those named: 2, stage1_block1/conv1, 'stage1_*'",
            type=_layer,
            nargs="*",
            metavar="LAYER",
        )
    add(group, "--log-per", "what a row of these files is", choices=("iteration", "epoch"), default="iteration")

    group = parser.add_argument_group("the run")
    add(group, "--out", "run folder; default: runs/ and a name made of the settings", type=Path, metavar="FOLDER")
    add(
        group,
        "--quick",
        "about a minute on two CPU cores, on synthetic data unless a data folder is given",
        action="store_true",
    )
    add(group, "--verbose", "progress: 1 bar, 2 a line per epoch, 0 none", type=int, choices=(0, 1, 2), default=1)
    return parser


def check_positive(parser, args, *names):
    """End the process with a sentence unless these numeric arguments are finite and more than 0."""
    for name in names:
        value = getattr(args, name)
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if number is not None and not 0 < number < math.inf:
                parser.error(f"--{name.replace('_', '-')} must be finite and more than 0. Received: {number:g}.")


def check_file(parser, path, suffix):
    """End the process with a sentence unless a file of this kind can be written to this path."""
    if not path.parent.is_dir() or path.is_dir() or path.suffix != suffix:
        parser.error(f"--out must be a file *{suffix} in a folder that is there. Received: {path}.")


def choose_backend(parser, backend, devices=1):
    """Fix the Keras backend before keras is imported, say which and why, and return its name."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    sources = {
        "--backend": backend,
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND"),
        "keras.json": _backend_of_keras_json(installed),
        "the first installed": next(iter(installed), None),
    }
    reason, name = next(((reason, name) for reason, name in sources.items() if name), (None, None))
    if name is None:
        parser.error("no backend is installed. Install one: pip install tensorflow, jax or torch")
    if name not in BACKENDS:
        parser.error(f"{reason}: unknown backend {name!r}. Choose from {', '.join(BACKENDS)}")
    if name not in installed:
        parser.error(f"{reason}: {name} is not installed. Install it: pip install {name}")
    if devices > 1 and name == "torch":
        parser.error("--devices: Keras has no data parallelism on torch. Use --backend jax or tensorflow")
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A second start of the same network skips the compilation.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_keras_home() / "jax_compilation_cache"))
    if devices > 1:
        flag = f"--xla_force_host_platform_device_count={devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    print(f"backend: {name} ({reason})")
    return name


def settings(args):
    """The part of the arguments that decides what a run computes, as a dict that JSON can hold."""
    return {name: value for name, value in sorted(vars(args).items()) if name not in NOT_SETTINGS}


def write_results(file, args, backend, results):
    """Write what a recipe without a run folder found, with the settings and versions behind it."""
    import _run_folder
    import _training

    summary = {"settings": settings(args) | {"backend": backend}, "versions": _training.versions()}
    _run_folder.RunFolder(file.parent).write_json(file.name, summary | {"results": results})


def network_arguments(args):
    """The arguments that all networks share, by their names in the package."""

    def none_or(value):
        return None if value in ("none", "torch") else value

    return dict(
        depth=args.depth,
        h=args.h,
        norm=none_or(args.norm),
        shortcut=args.shortcut,
        preactivation=args.preactivation,
        trainable_h=none_or(args.trainable_h),
        zero_gamma=args.zero_gamma,
        kernel_initializer=none_or(args.initializer),
    )


def run_folder(name, args):
    """`--out`, or a folder named by the settings: the same command finds its run again, another one has its own."""
    digest = hashlib.sha256(json.dumps(settings(args), sort_keys=True).encode()).hexdigest()[:8]
    h = str(args.h).replace("/", "_") if not isinstance(args.h, list) else "list"
    return args.out or Path("runs") / f"{name}-depth{args.depth}-h{h}-seed{args.seed}-{args.backend}-{digest}"


def step_factor(text):
    """What `--h` says: a number, a list of numbers, or the text of a rule."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return text  # a rule; the model says which there are
    return numbers if "," in text else numbers[0]


def _layer(text):
    return int(text) if text.isdecimal() else text


def _keras_home():
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def _backend_of_keras_json(installed):
    try:
        name = json.loads((_keras_home() / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return name if name in installed else None  # Keras writes this file by itself, installed or not
