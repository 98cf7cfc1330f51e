"""Command lines from dataclasses: flags, the choice of the backend, and errors in one line. Keras
is imported late."""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import sys
from pathlib import Path

from _settings import BACKENDS, Execution, flag

# PyTorch's default wheel for Linux brings CUDA: gigabytes that a machine without a GPU does not
# need.
INSTALL = {
    "tensorflow": "pip install tensorflow",
    "jax": "pip install jax",
    "torch": "pip install torch, without a GPU with --index-url "
    "https://download.pytorch.org/whl/cpu",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def command(doc, epilog=None):
    """Return a parser for a recipe with this docstring."""
    name = Path(sys.argv[0]).name
    return Parser(
        prog=name if name.endswith(".py") else None,
        description=doc,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_flags(parser, cls, leave_out=()):
    """Add a flag for each field of a dataclass of `setting`s; a missing flag adds nothing to the
    namespace."""
    groups = {group.title: group for group in parser._action_groups}
    for option in dataclasses.fields(cls):
        limits, default = option.metadata, option.default
        if option.name in leave_out:
            continue
        title = limits.get("group")
        if title not in groups:
            groups[title] = parser.add_argument_group(title) if title else parser
        names, kwargs = (
            [flag(option.name)],
            {"dest": option.name, "default": argparse.SUPPRESS, "help": limits["help"]},
        )
        if isinstance(default, bool):
            kwargs["action"] = "store_false" if default else "store_true"
            names = [flag(f"no_{option.name}")] if default else names
        else:
            kwargs |= {"type": limits.get("parse", type(default)), "metavar": limits.get("metavar")}
            kwargs |= {name: limits[name] for name in ("choices",) if name in limits}
            if "many" in limits:
                kwargs["nargs"] = limits["many"]
            if default is not None and default != ():
                shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
                kwargs["help"] += f" (default: {shown})"
        groups[title].add_argument(*names, **kwargs)


def parse(parser, classes, argv=None, leave_out=(), quick=None, standard=None):
    """Parse the flags of dataclasses.

    Args:
        parser: A parser from `command`, which may have further arguments.
        classes: List of dataclasses.
        argv: Arguments. Default: those of the process.
        leave_out: Names of fields without a flag.
        quick: Dict of defaults under the flag `--quick`, which other flags override. None: there is
            no such flag.
        standard: Dict of defaults under the flag `--standard`, which the parser has.

    Returns:
        The namespace, and an instance of each class. Wrong arguments end the process with status 2
        and one line.
    """
    for cls in classes:
        add_flags(parser, cls, leave_out)
    if quick is not None:
        text = (
            "small run: a minute or two on two CPU cores, with synthetic data unless "
            "--data-dir is given"
        )
        parser.add_argument("--quick", action="store_true", help=text)
    namespace = parser.parse_args(argv)
    given = vars(namespace)
    defaults = {
        **((given.get("standard") and standard) or {}),
        **((given.get("quick") and quick) or {}),
    }
    if (
        given.get("quick")
        and given.get("data_dir") is None
        and any("dataset" in field_names(cls) for cls in classes)
    ):
        defaults = {"dataset": "synthetic", **defaults}
    try:
        return namespace, *(make(cls, {**defaults, **given}) for cls in classes)
    except ValueError as error:
        parser.error(str(error))


def make(cls, values):
    """Make an instance of a dataclass from the values of its fields, among others."""
    values = {n: values[n] for n in field_names(cls) if n in values}
    return cls(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})


def field_names(cls):
    """Return the names of the fields of a dataclass."""
    return [option.name for option in dataclasses.fields(cls)]


def choose_backend(parser, execution=None):
    """Choose the Keras backend before keras is imported, print the choice, and return the execution
    with it."""
    execution = execution or Execution()
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    sources = {
        "--backend": execution.backend,
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND"),
        "keras.json": _backend_of_keras_json(installed),
        "the first installed": next(iter(installed), None),
    }
    reason, name = next(((reason, name) for reason, name in sources.items() if name), (None, None))
    if name is None:
        parser.error(f"no backend is installed. Install one: {'; '.join(INSTALL.values())}")
    if name not in BACKENDS:
        parser.error(f"{reason}: unknown backend {name!r}. Choose from {', '.join(BACKENDS)}")
    if name not in installed:
        parser.error(f"{reason}: {name} is not installed. Install it: {INSTALL[name]}")
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # With this cache, a second start of the same network skips the compilation.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_keras_home() / "jax_compilation_cache"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if execution.devices > 1:
        virtual = f"--xla_force_host_platform_device_count={execution.devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {virtual}".strip()
    print(f"backend: {name} ({reason})")
    return dataclasses.replace(execution, backend=name)


@contextlib.contextmanager
def errors_in_one_line(parser, resumes=False):
    """End the process with status 2 and one line if an argument or a file is wrong, or with 130 if
    it is interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _silent_stderr():
            import keras

            from keras_euler.training import Interruptible

            if "KERAS_BACKEND" in os.environ:
                keras.utils.set_random_seed(
                    0
                )  # imports TensorFlow where it is installed, whatever the backend
        with Interruptible():
            yield
    except KeyboardInterrupt:
        hint = (
            " Run the same command again to resume after the last finished epoch."
            if resumes
            else ""
        )
        print(f"\nInterrupted.{hint}", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        is_of_system = isinstance(error, OSError) and error.filename and error.strerror
        message = (
            f"{error.filename}: {error.strerror}" if is_of_system else " ".join(str(error).split())
        )
        parser.error(message or type(error).__name__)


@contextlib.contextmanager
def _silent_stderr():
    """Discard what is written to stderr: at its import TensorFlow 2.21 writes lines that no log
    level stops."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def results_settings(options):
    """Return what identifies the results of a recipe without a run folder: its options and the
    backend."""
    given = {name: value for name, value in dataclasses.asdict(options).items() if name != "out"}
    return given | {"backend": os.environ.get("KERAS_BACKEND")}


def refuse_to_replace(file, settings, figure=None):
    """Raise unless `file`, and the figure beside it, are missing or were made with the same
    settings; then make their folder."""
    figure = figure or file
    settings = json.loads(json.dumps(settings, default=str))
    if not file.exists() and not figure.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        return
    try:
        stored = json.loads(file.read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        existing = figure if figure.exists() else file
        raise ValueError(
            f"{existing} exists and is not replaced: it has no results of this recipe. Pass "
            f"another --out."
        ) from None
    changed = [name for name in {**stored, **settings} if stored.get(name) != settings.get(name)]
    if changed:
        differences = "; ".join(
            f"{name}: {stored.get(name)} stored, {settings.get(name)} now" for name in changed
        )
        raise ValueError(
            f"{file} has results of other settings, which are not replaced ({differences}). Pass "
            f"another --out."
        )


def counted(number, noun):
    """Return `1 epoch` or `2 epochs`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def write_results(file, options, results):
    """Write the results of a recipe without a run folder, with its options and package versions."""
    from keras_euler import training

    summary = {
        "settings": results_settings(options),
        "versions": training.package_versions(),
        "results": results,
    }
    text = json.dumps(summary, indent=2, default=str) + "\n"
    training.write_atomically(file, lambda path: path.write_text(text))


def save_figure(file, draw):
    """Write a figure, or print a note if matplotlib is missing."""
    from keras_euler import training

    try:
        training.write_atomically(file, draw().savefig)
    except ImportError as error:
        print(f"note: no {file.name}. {error}")


def _keras_home():
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def _backend_of_keras_json(installed):
    try:
        name = json.loads((_keras_home() / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return name if name in installed else None  # Keras writes this file by itself, installed or not
