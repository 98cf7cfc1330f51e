"""Convert a PyTorch checkpoint to a Keras model.

    python -m keras_euler.convert checkpoint.pth --depth 56 --shortcut padding -o model.keras
    python -m keras_euler.convert authors.safetensors --depth 110 --h 0.1 -o model.keras
    python -m keras_euler.convert texts.pth --network vdcnn --depth 29 --h 0.1 -o weights.weights.h5

`keras_euler.load_torch_state_dict` lists the names of arrays that are understood. From a .pth file
only arrays are read, by torch; a .safetensors file needs the package safetensors. The arrays do not
contain h: pass it, unless it is 1, the ordinary ResNet.
"""

import argparse
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_euler import _backend
from keras_euler._types import PathLike
from keras_euler.convert.state_dict import unwrapped

SUFFIXES = (".keras", ".weights.h5")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exit with status 2 and one line if something is wrong."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.output.name.endswith(SUFFIXES):
        parser.error(f"-o must end in {' or '.join(SUFFIXES)}. Received: {args.output}")
    if not args.output.parent.is_dir() or args.output.is_dir():
        parser.error(f"-o must be a file in an existing folder. Received: {args.output}")
    try:
        model = _build(args)
        _load(model, read_state_dict(args.checkpoint))
        _save(model, args.output)
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: error: {' '.join(str(error).split())}\n")
    print(f"wrote {args.output}: {model.name}, {model.count_params():,} numbers, h = {args.h}")


def read_state_dict(path: PathLike) -> dict[str, Any]:
    """Read the arrays of a `.pth`, `.pt` or `.safetensors` file without running code in it.

    Args:
        path: The file.

    Returns:
        Dict of name -> array.

    Raises:
        ValueError: The file is damaged or holds something else.
        ImportError: torch or safetensors is missing.
        OSError: The file cannot be opened.

    Example:

    >>> from safetensors.numpy import save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "network.safetensors")
    ...     save_file({"conv1.weight": np.zeros((16, 3, 3, 3), "float32")}, path)
    ...     state_dict = read_state_dict(path)
    >>> {name: array.shape for name, array in state_dict.items()}
    {'conv1.weight': (16, 3, 3, 3)}
    """
    path = Path(path)
    with open(path, "rb"):
        pass  # Python's error is clearer than those of the readers
    if path.suffix == ".safetensors":
        try:
            from safetensors.numpy import load_file
        except ImportError as error:
            raise ImportError(
                f"{path} needs safetensors. Install it: pip install safetensors"
            ) from error
        return _decoded(path, lambda: load_file(path), "a safetensors file")
    expected = "a PyTorch checkpoint of arrays alone (torch.save(model.state_dict(), path))"
    state = unwrapped(_decoded(path, lambda: _backend.read_torch_file(path), expected))
    if not isinstance(state, dict):
        raise ValueError(f"{path} must be {expected}. Received: {type(state).__name__}.")
    return state


def _decoded(path: Path, read: Callable[[], Any], expected: str) -> Any:
    try:
        return read()
    except ImportError as error:
        raise ImportError(
            f"{path} needs torch. Install it: pip install torch, or save it as .safetensors."
        ) from error
    except Exception as error:  # the readers raise errors of many types for damaged files
        reason = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(
            error, pickle.UnpicklingError
        ):  # torch's own message tells how to run the code in it
            reason = [
                "it holds more than arrays (save only these, such as checkpoint['net']), or is "
                "damaged"
            ]
        elif isinstance(error, LookupError):
            reason = ["it has another format"]
        raise ValueError(f"{path} cannot be read as {expected}: {reason[0]}") from error


def _build(args: argparse.Namespace) -> keras.Model:
    from keras_euler.models import EulerResNet, EulerVDCNN

    shared = dict(
        depth=args.depth, h=args.h, shortcut=args.shortcut, preactivation=args.preactivation
    )
    shared["norm"] = None if args.norm == "none" else args.norm
    if args.widths:
        shared["widths"] = args.widths
    if args.network == "resnet":
        return EulerResNet(
            num_classes=10 if args.num_classes is None else args.num_classes, **shared
        )
    return EulerVDCNN(
        num_classes=4 if args.num_classes is None else args.num_classes,
        sequence_length=args.sequence_length,
        vocabulary_size=args.vocabulary_size,
        head_pooling=args.head_pooling,
        dense_units=args.dense_units,
        **shared,
    )


def _load(model: keras.Model, state_dict: dict[str, Any]) -> None:
    from keras_euler.convert.state_dict import load_torch_state_dict

    load_torch_state_dict(model, state_dict)


def _save(model: keras.Model, path: Path) -> None:
    """Write a temporary file and rename it, so that the file is complete or missing."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        (model.save if path.suffix == ".keras" else model.save_weights)(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _step_factor(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # a rule, which the model checks


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keras_euler.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def add(*flags: str, text: str, **kwargs: Any) -> None:
        shown = " (default: %(default)s)" if kwargs.get("default") is not None else ""
        parser.add_argument(*flags, help=text + shown, **kwargs)

    add("checkpoint", text="a .pth, .pt or .safetensors file", type=Path)
    add(
        "-o",
        "--output",
        text="file to write: a model (.keras) or its weights (.weights.h5)",
        type=Path,
        required=True,
    )
    add(
        "--network",
        text="resnet for images, vdcnn for texts",
        choices=("resnet", "vdcnn"),
        default="resnet",
    )
    add("--depth", text="number of layers with weights", type=int, required=True)
    add("--h", text="step factor of the training", type=_step_factor, default=1.0)
    add(
        "--shortcut",
        text="shortcut where the width changes",
        choices=("projection", "padding"),
        default="projection",
    )
    add(
        "--norm", text="normalization", choices=("batch", "group", "layer", "none"), default="batch"
    )
    parser.add_argument(
        "--preactivation",
        help="normalization and ReLU before the convolutions",
        action="store_true",
    )
    add("--widths", text="filters of each stage", type=int, nargs="+")
    add("--num-classes", text="number of classes; default: 10 for images, 4 for texts", type=int)
    add("--sequence-length", text="for texts: number of characters", type=int, default=1024)
    add("--vocabulary-size", text="for texts: number of ids", type=int, default=70)
    add(
        "--head-pooling",
        text="for texts: pooling before the dense layers",
        choices=("max", "k_max"),
        default="max",
    )
    add("--dense-units", text="for texts: units of the hidden dense layers", type=int, default=1024)
    return parser
