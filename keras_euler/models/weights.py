"""Files of weights: in the package, in Keras' cache or downloaded. They are verified before they
are read."""

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
import numpy as np

from keras_euler._types import Config, PathLike, StepFactor
from keras_euler.layers import EulerResidual
from keras_euler.models.step_factor import step_factors

ABANDONED = 3600  # seconds without a new byte after which a partial download may be deleted
ZOO = Path(__file__).parents[1] / "zoo"
CACHE = ("models", "keras_euler")
# Arguments that change neither the weights of a network nor what they compute: they may differ from
# those of the weights.
OVERRIDABLE_ARGUMENTS = (
    *("name", "dtype", "weights", "kernel_initializer", "data_format", "classifier_activation"),
    *(
        "zero_gamma",
        "dropout",
        "drop_path",
        "include_top",
        "input_shape",
        "trainable",
        "replaced_layers",
    ),
)
# Arguments of the top, which a network without it lacks.
TOP_ARGUMENTS = (
    "num_classes",
    "pooling",
    "head_pooling",
    "dense_units",
    "dropout",
    "classifier_activation",
)


def weights_file(source: str, sha256: str) -> Path:
    """Return the path of a preset's weights, verified; download them if they are missing.

    A download goes into Keras' home: `~/.keras` or KERAS_HOME, or, if that is not writable,
    `.keras` in the temporary folder. It is written under another name and renamed, so that several
    processes may download at once and a kill leaves no partial file.

    Args:
        source: Name of a file in the package, or a URL.
        sha256: The file's SHA-256, in hexadecimal digits.

    Raises:
        OSError: The download failed; the message says where to put the file by hand.
        ValueError: A file of the package is missing or damaged.
    """
    if "://" not in source:
        file = ZOO / source
        if not _has_checksum(file, sha256):
            raise ValueError(
                f"{file} is missing or damaged: its SHA-256 should be {sha256}. Reinstall "
                f"keras_euler."
            )
        return file
    name = Path(urlsplit(source).path).name
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    homes = [home, Path(tempfile.gettempdir()) / ".keras"]
    for file in (
        home.joinpath(*CACHE, name) for home in homes
    ):  # a folder that is not writable may still hold it
        if _has_checksum(file, sha256):
            return file
    home = next((home for home in homes if _is_writable(home.joinpath(*CACHE))), homes[-1])
    file = home.joinpath(*CACHE, name)
    _download(source, sha256, home, file)
    return file


def _is_writable(folder: Path) -> bool:
    """Return whether files can be created in a folder, or in its closest existing parent."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)


def _has_checksum(file: Path, sha256: str) -> bool:
    return file.is_file() and _sha256(file) == sha256


def _download(url: str, sha256: str, home: Path, file: Path) -> None:
    temporary = file.with_name(
        f".{uuid.uuid4().hex}.{file.name}"
    )  # not the process id, which threads share
    for old in file.parent.glob(f".*.{file.name}"):  # left by a kill
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED:
                old.unlink()
    try:
        keras.utils.get_file(
            temporary.name,
            url,
            file_hash=sha256,
            hash_algorithm="sha256",
            cache_dir=home,
            cache_subdir=os.path.join(*CACHE),
        )
        os.replace(temporary, file)
    except Exception as error:  # Keras raises a plain Exception if a URL cannot be reached
        hint = " (which is another file now)" * file.is_file()
        raise OSError(
            f"{url} cannot be downloaded: {error}. Download it elsewhere and put it at "
            f"{file}{hint} (SHA-256 "
            f"{sha256}). If that folder is not writable, set KERAS_HOME to one that is."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def different_arguments(
    network: keras.Model, given: Mapping[str, Any], trained: Mapping[str, Any]
) -> list[str]:
    """Compare the arguments of a network with those that weights were trained with; return a list
    of differences, in words.

    Args:
        network: The network; without its top, arguments of the top do not count.
        given: Dict of all its arguments.
        trained: Dict of the arguments of the weights; a missing one has its default.
    """
    base = next(
        cls for cls in type(network).__mro__ if cls.__name__ in ("EulerResNet", "EulerVDCNN")
    )
    expected = {
        name: parameter.default for name, parameter in inspect.signature(base).parameters.items()
    }
    ignored = (
        *OVERRIDABLE_ARGUMENTS,
        "sequence_length",
        *(() if given["include_top"] else TOP_ARGUMENTS),
    )
    pairs = {
        name: (given[name], value)
        for name, value in {**expected, **trained}.items()
        if name in given
    }
    num_blocks = sum(isinstance(layer, EulerResidual) for layer in network.layers)
    return [
        f"{name}={_plain(own)!r}, the weights have {_plain(other)!r}"
        for name, (own, other) in pairs.items()
        if name not in ignored
        and _plain(own) != _plain(other)
        and not (name == "h" and _are_same_steps(own, other, num_blocks))
    ]


def _are_same_steps(first: StepFactor, second: StepFactor, num_blocks: int) -> bool:
    """Return whether two values of `h`, such as a number and a rule, give the same step factors."""
    try:
        return step_factors(first, num_blocks) == step_factors(second, num_blocks)
    except ValueError:  # a list for another depth
        return False


def load_weights(network: keras.Model, given: Config, file: PathLike) -> None:
    """Load a file of weights into a network.

    Args:
        network: An `EulerResNet` or `EulerVDCNN`.
        given: Dict of its arguments.
        file: Path of a `.weights.h5` file, which has only arrays and no h, or of a `.keras` file,
            whose network must be the same.

    Raises:
        TypeError: `file` is not a path.
        FileNotFoundError: The file is missing.
        ValueError: The file cannot be read, belongs to another network, or has arrays that this
            network lacks or that are not finite.
    """
    expected = (
        f"`weights` must be the name of a preset of {type(network).__name__} or the path "
        f"of a file (.weights.h5 or .keras)."
    )
    if not isinstance(file, (str, os.PathLike)):
        raise TypeError(f"{expected} Received: weights={file!r}.")
    if not Path(file).is_file():
        raise FileNotFoundError(
            f"{expected} Received: weights={str(file)!r}, which is neither. "
            f"`keras_euler.list_presets()` has the names."
        )
    with _naming_the_file(network, file):
        names, trained = _read(file)
    different = [] if trained is None else different_arguments(network, given, trained)
    if different:
        raise ValueError(
            f"The weights in {file} are of another network. Received: {'; '.join(different)}."
        )
    with _naming_the_file(network, file), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about unchanged layers, before the error
        network.load_weights(file)
    if not given["include_top"]:
        names = [name for name in names if not name.startswith("layers/dense")]  # of the top
    if len(names) != len(network.weights):
        raise ValueError(
            f"The weights in {file} are of another network: they have {len(names)} arrays, "
            f"{network.name} has "
            f"{len(network.weights)}. Pass the arguments that the network was trained with."
        )
    broken = [
        weight.path
        for weight in network.weights
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all()
    ]
    if broken:
        raise ValueError(
            f"The weights in {file} are not finite, such as those of {broken[0]}: the training "
            f"diverged. Pass others."
        )


@contextlib.contextmanager
def _naming_the_file(network: keras.Model, file: PathLike) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Keras and h5py raise errors of many types for damaged files
        raise ValueError(
            f"The weights in {file} cannot be loaded into {network.name}: "
            f"{' '.join(str(error).split())[:300].rstrip('.')}. "
            "The file is damaged, or its model differs: the network has other arguments, or there "
            "are layers before it."
        ) from error


def _read(file: PathLike) -> tuple[list[str], Config | None]:
    """Return the names of the arrays in a file, and the arguments of a `.keras` file of one of the
    two networks, else None."""
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
        opened.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
    return [name for name in names if not name.startswith(("optimizer", "_optimizer"))], trained


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
