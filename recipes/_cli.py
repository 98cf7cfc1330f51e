"""Command lines from dataclasses: flags, the choice of the backend, and errors in one line. Keras
is imported late."""

import argparse
import contextlib
import dataclasses
import importlib.util
import itertools
import json
import os
import sys
from pathlib import Path

from _settings import BACKENDS, flag


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def command(doc, epilog=None):
    """Return a parser for a recipe with this docstring."""
    return Parser(
        description=doc,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parse(parser, classes, argv=None, leave_out=(), quick=None, **defaults):
    """Parse the flags of dataclasses, and choose the backend if one of them is `backend`.

    Args:
        parser: A parser from `command`, which may have further arguments.
        classes: List of dataclasses; of fields with one name the first becomes the flag.
        argv: Arguments. Default: those of the process.
        leave_out: Names of fields without a flag.
        quick: Dict of defaults under the flag `--quick`. None: there is no such flag.
        **defaults: Dicts of defaults under other flags, which the parser has.

    Returns:
        The namespace, and an instance of each class. Wrong arguments end the process with status 2
        and one line.
    """
    known, groups = set(leave_out), {"options": parser}
    for option in itertools.chain(*map(dataclasses.fields, classes)):
        kwargs = dict(option.metadata)
        title = kwargs.pop("group")
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        if option.name not in known:
            groups[title].add_argument(flag(option.name), default=option.default, **kwargs)
            known.add(option.name)
    if quick is not None:
        defaults["quick"] = quick
        text = (
            "small run: a minute or two on two CPU cores, with synthetic data unless --data-dir is "
            "given"
        )
        parser.add_argument("--quick", action="store_true", help=text)
    given = vars(parser.parse_args(argv))
    for name, values in defaults.items():
        if given[name]:
            parser.set_defaults(**values)
    if given.get("quick") and not given.get("data_dir"):
        parser.set_defaults(dataset="synthetic")
    namespace = parser.parse_args(argv)
    if "backend" in namespace:
        namespace.backend = choose_backend(
            parser, namespace.backend, getattr(namespace, "devices", 1)
        )
    return namespace, *(make(cls, vars(namespace)) for cls in classes)


def make(cls, values):
    """Make an instance of a dataclass from the values of its fields, among others."""
    values = {n: values[n] for n in cls.__dataclass_fields__ if n in values}
    return cls(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})


def choose_backend(parser, backend=None, devices=1):
    """Choose the Keras backend before keras is imported, print the choice, and return it."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    config = Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json").expanduser()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        # Keras writes this file by itself, with TensorFlow whether it is installed or not.
        installed.sort(key=json.loads(config.read_text())["backend"].__ne__)
    name = backend or os.environ.get("KERAS_BACKEND") or (installed or BACKENDS)[0]
    if name not in BACKENDS:
        parser.error(f"unknown backend {name!r}. Choose from {', '.join(BACKENDS)}.")
    if name not in installed:
        parser.error(f"the backend {name} is not installed. Install it: pip install {name}")
    os.environ["KERAS_BACKEND"] = name
    if devices > 1:
        virtual = f"--xla_force_host_platform_device_count={devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {virtual}"
    print(f"backend: {name}")
    return name


@contextlib.contextmanager
def errors_in_one_line(parser):
    """End the process with status 2 and one line if an argument or a file is wrong, or with 130 if
    it is interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _silent_stderr():
            import keras

            from keras_euler.training import Interruptible

            if "KERAS_BACKEND" in os.environ:
                # Imports TensorFlow where it is installed, whatever the backend.
                keras.utils.set_random_seed(0)
        with Interruptible():
            yield
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to resume a training.", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        parser.error(" ".join(str(error).split()) or repr(error))


@contextlib.contextmanager
def _silent_stderr():
    """Discard what is written to stderr: at its import TensorFlow 2.21 writes lines that no log
    level stops."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def refuse_to_replace(file, settings):
    """Raise if a file has results of other settings."""
    settings = json.loads(json.dumps(settings, default=str))
    if not file.exists():
        if file.with_suffix(".png").exists():
            raise ValueError(f"{file.with_suffix('.png')} exists. Pass another --out.")
        return
    try:
        stored = json.loads(file.read_text())["settings"]
    except (ValueError, TypeError, KeyError):  # a file of somebody else
        stored = None
    if stored != settings:
        raise ValueError(
            f"{file} has results of other settings, which are not replaced. Pass another --out."
        )


def write_results(file, settings, **results):
    """Write the results of a recipe without a run folder, with its settings and package
    versions."""
    from keras_euler import training

    found = {"settings": settings, "versions": training.package_versions(), **results}
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=2, default=str) + "\n"
    training.write_atomically(file, lambda path: path.write_text(text))


def run_example(doc, cls, measure, argv, quick):
    """Run a recipe whose results are one JSON file.

    Args:
        doc: Its docstring.
        cls: Dataclass of its options, with `out` for the file.
        measure: Function of the options that yields pairs of a label and its results.
        argv: Arguments.
        quick: Dict of options under `--quick`.
    """
    parser = command(doc)
    _, options = parse(parser, [cls], argv, quick=quick)
    with errors_in_one_line(parser):
        refuse_to_replace(options.out, vars(options))
        write_results(options.out, vars(options), results=dict(measure(options)))
        print(f"wrote {options.out}")
