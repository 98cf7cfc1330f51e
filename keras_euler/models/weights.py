"""Files of weights: in the package, in Keras' cache, or downloaded; verified before they are read."""

import contextlib
import hashlib
import inspect
import io
import json
import os
import tempfile
import time
import uuid
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h5py
import keras

from keras_euler._types import Config, PathLike, StepFactor
from keras_euler.layers import EulerResidual
from keras_euler.models.step_factor import step_factors

LEFTOVER = 3600  # seconds without a byte after which a download is nobody's
ZOO = Path(__file__).parents[1] / "zoo"
CACHE = ("models", "keras_euler")
# Arguments that change neither which weights a network has nor what they compute.
FREE = (
    *("name", "dtype", "weights", "kernel_initializer", "data_format", "classifier_activation"),
    *("zero_gamma", "dropout", "include_top", "input_shape", "trainable", "replaced_layers"),
)
# What a network without its top does not have.
TOP = ("num_classes", "pooling", "head_pooling", "dense_units", "dropout", "classifier_activation")


def weights_file(source: str, sha256: str) -> Path:
    """The file of a preset's weights, downloaded where it must be, with the expected content.

    A download goes into Keras' home (`~/.keras`, or KERAS_HOME; where that cannot be written, Keras' place in the temporary
    folder), beside the file and renamed: several processes may download at once, and a kill leaves no torn file.

    Args:
        source: Name of a file of the package, or a URL.
        sha256: What the file must have, in hexadecimal digits.

    Raises:
        OSError: The download failed; the message says where the file may be put by hand.
        ValueError: A file of the package has another content.
    """
    if "://" not in source:
        file = ZOO / source
        if not _is(file, sha256):
            raise ValueError(f"{file} is missing or damaged: its SHA-256 should be {sha256}. Install keras_euler anew.")
        return file
    name = Path(urlsplit(source).path).name
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    homes = [home, Path(tempfile.gettempdir()) / ".keras"]
    for file in (home.joinpath(*CACHE, name) for home in homes):  # one that can't be written may hold it too
        if _is(file, sha256):
            return file
    home = next((home for home in homes if _can_be_written(home.joinpath(*CACHE))), homes[-1])
    file = home.joinpath(*CACHE, name)
    _download(source, sha256, home, file)
    return file


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or in that of its parents which is there."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(there, os.W_OK)


def _is(file: Path, sha256: str) -> bool:
    return file.is_file() and _sha256(file) == sha256


def _download(url: str, sha256: str, home: Path, file: Path) -> None:
    beside = file.with_name(f".{uuid.uuid4().hex}.{file.name}")  # threads share a process
    for old in file.parent.glob(f".*.{file.name}"):  # what a kill left
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > LEFTOVER:
                old.unlink()
    try:
        keras.utils.get_file(
            beside.name, url, file_hash=sha256, hash_algorithm="sha256", cache_dir=home, cache_subdir=os.path.join(*CACHE)
        )
        os.replace(beside, file)
    except Exception as error:  # Keras raises Exception itself where a URL cannot be reached
        other = " (there is another file now)" * file.is_file()
        raise OSError(
            f"{url} can't be downloaded: {error}. Download it elsewhere and put it at {file}{other} (SHA-256 "
            f"{sha256}). Where that folder cannot be written, set KERAS_HOME to one that can."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def different_arguments(network: keras.Model, given: Mapping[str, Any], trained: Mapping[str, Any]) -> list[str]:
    """How arguments of a network differ from those that weights were trained with, as a list of words.

    Args:
        network: The network; without its top, arguments of that do not count.
        given: Dict of all of its arguments.
        trained: Dict of those of the weights; what isn't there has its default.
    """
    base = next(cls for cls in type(network).__mro__ if cls.__name__ in ("EulerResNet", "EulerVDCNN"))
    expected = {name: parameter.default for name, parameter in inspect.signature(base).parameters.items()}
    ignored = (*FREE, "sequence_length", *(() if given["include_top"] else TOP))
    pairs = {name: (given[name], value) for name, value in {**expected, **trained}.items() if name in given}
    num_blocks = sum(isinstance(layer, EulerResidual) for layer in network.layers)
    return [
        f"{name}={_plain(one)!r}, the weights have {_plain(other)!r}"
        for name, (one, other) in pairs.items()
        if name not in ignored and _plain(one) != _plain(other) and not (name == "h" and _are_same_steps(one, other, num_blocks))
    ]


def _are_same_steps(one: StepFactor, other: StepFactor, num_blocks: int) -> bool:
    """Whether two ways to write h say the same, such as a number and a rule."""
    try:
        return step_factors(one, num_blocks) == step_factors(other, num_blocks)
    except ValueError:  # a list for another depth
        return False


def load_weights(network: keras.Model, given: Config, file: PathLike) -> None:
    """Fill a network from a file of weights, or raise a ValueError that names it.

    Args:
        network: An `EulerResNet` or `EulerVDCNN`.
        given: Dict of its arguments.
        file: Path of a `.weights.h5`, which has the arrays alone, not h; or of a `.keras` file, whose network must be the same.

    Raises:
        TypeError: `file` is no path.
        FileNotFoundError: The file is not there.
        ValueError: It cannot be read, is another network's, or has arrays that this one has not.
    """
    expected = f"`weights` must be the name of a preset of {type(network).__name__} or the path of a file (.weights.h5 or .keras)."
    if not isinstance(file, (str, os.PathLike)):
        raise TypeError(f"{expected} Received: weights={file!r}.")
    if not Path(file).is_file():
        raise FileNotFoundError(
            f"{expected} Received: weights={str(file)!r}, which is neither. `keras_euler.list_presets()` has the names."
        )
    with _of_another_model(network, file):
        names, trained = _read(file)
    different = [] if trained is None else different_arguments(network, given, trained)
    if different:
        raise ValueError(f"The weights in {file} are of another network. Received: {'; '.join(different)}.")
    with _of_another_model(network, file), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of layers that stay as they are, before the error
        network.load_weights(file)
    if not given["include_top"]:
        names = [name for name in names if not name.startswith("layers/dense")]  # the top's
    if len(names) != len(network.weights):
        raise ValueError(
            f"The weights in {file} are of another network: they are {len(names)} arrays, {network.name} has "
            f"{len(network.weights)}. Pass the arguments that the network was trained with."
        )


@contextlib.contextmanager
def _of_another_model(network: keras.Model, file: PathLike) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Keras and h5py raise whatever a damaged file makes of them
        raise ValueError(
            f"The weights in {file} can't be loaded into {network.name}: {' '.join(str(error).split())[:300]} "
            "The file is damaged, or of another model: of a network of other arguments, or one with layers before the network."
        ) from error


def _read(file: PathLike) -> tuple[list[str], Config | None]:
    """Names of the arrays in a file of weights, and of a `.keras` file of a network of ours its arguments, else None."""
    trained: Config | None = None
    source: PathLike | io.BytesIO = file
    if Path(file).suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            model = json.loads(archive.read("config.json"))
            source = io.BytesIO(archive.read("model.weights.h5"))
        if model.get("registered_name") in ("keras_euler>EulerResNet", "keras_euler>EulerVDCNN"):
            trained = model["config"]
    names: list[str] = []
    with h5py.File(source, "r") as opened:
        opened.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return [name for name in names if not name.startswith(("optimizer", "_optimizer"))], trained


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
