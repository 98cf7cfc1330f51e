"""Files of weights: in the package, in Keras' cache, or downloaded; verified before they are read."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import keras

ZOO = Path(__file__).parents[1] / "zoo"
CACHE = ("models", "keras_euler")


def weights_file(source, sha256):
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
        if not file.is_file() or _sha256(file) != sha256:
            raise ValueError(f"{file} is missing or damaged: its SHA-256 should be {sha256}. Install keras_euler anew.")
        return file
    name = Path(urlsplit(source).path).name
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    if not os.access(home, os.W_OK):
        home = Path(tempfile.gettempdir()) / ".keras"
    file = home.joinpath(*CACHE, name)
    if not file.is_file() or _sha256(file) != sha256:
        _download(source, sha256, home, file)
    return file


def _download(url, sha256, home, file):
    beside = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        keras.utils.get_file(
            beside.name,
            url,
            file_hash=sha256,
            hash_algorithm="sha256",
            cache_dir=home,
            cache_subdir=os.path.join(*CACHE),
        )
        os.replace(beside, file)
    except Exception as error:  # Keras raises Exception itself where a URL cannot be reached
        raise OSError(
            f"{url} can't be downloaded: {error}. Download it elsewhere and put it at {file} (SHA-256 "
            f"{sha256}). Where that folder cannot be written, set KERAS_HOME to one that can."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _sha256(file):
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def load_weights(network, file):
    """Fill a network from a file of weights, or raise a ValueError that names it.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It cannot be read, or is another network's.
    """
    expected = f"`weights` must be the name of a preset of {type(network).__name__} or the path of a file (.weights.h5 or .keras)."
    if not isinstance(file, (str, os.PathLike)):
        raise TypeError(f"{expected} Received: weights={file!r}.")
    if not Path(file).is_file():
        raise FileNotFoundError(
            f"{expected} Received: weights={str(file)!r}, which is neither. `keras_euler.list_presets()` has the names."
        )
    try:
        network.load_weights(file)
    except Exception as error:  # Keras and h5py raise whatever a damaged file makes of them
        raise ValueError(
            f"The weights in {file} can't be loaded into {network.name}: {' '.join(str(error).split())[:500]} "
            "The file is damaged, or of another model: of a network of other arguments, or one with layers before the network."
        ) from error
