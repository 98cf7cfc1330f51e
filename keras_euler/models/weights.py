"""Load trained weights: those of a preset, or of a file."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_euler._types import Config, PathLike
from keras_euler.layers import EulerResidual
from keras_euler.models.presets import list_presets


def load_weights(model: keras.Model, network: Callable[..., keras.Model], given: Config) -> None:
    """Load the weights that an argument of a network names.

    Args:
        model: The model that `network` has built.
        network: `EulerResNet` or `EulerVDCNN`.
        given: Dict of its arguments. `weights` is the name of a preset, or the path of a
            `.weights.h5` file, which has only arrays and no h.

    Raises:
        TypeError: `weights` is not a name or path.
        FileNotFoundError: The file is missing.
        ValueError: The file cannot be read, is a `.keras` file, belongs to another network, or has
            arrays that this network lacks or that are not finite; or the preset is of another
            network.
    """
    file = given["weights"]
    expected = (
        f"`weights` must be the name of a preset of {network.__name__} or the path of a file "
        "(.weights.h5)."
    )
    if not isinstance(file, (str, os.PathLike)):
        raise TypeError(f"{expected} Received: weights={file!r}.")
    if preset := list_presets().get(os.fspath(file)):
        blocks = sum(isinstance(layer, EulerResidual) for layer in model.layers)
        preset.check(network, given, blocks)
        file = preset.file()
    if not Path(file).is_file():
        raise FileNotFoundError(
            f"{expected} Received: weights={str(file)!r}, which is neither. "
            "`keras_euler.list_presets()` has the names."
        )
    if Path(file).suffix == ".keras":
        raise ValueError(
            f"{file} holds the whole network, h included. Read it by keras.models.load_model."
        )
    try:
        names = _array_names(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about unchanged layers, before the error
            model.load_weights(file)
    except Exception as error:  # Keras and h5py raise errors of many types for damaged files
        raise ValueError(
            f"The weights in {file} cannot be loaded into {model.name}: "
            f"{' '.join(str(error).split())[:300].rstrip('.')}. The file is damaged, or its model "
            "differs: the network has other arguments, or there are layers before it."
        ) from error
    if not given["include_top"]:
        names = [name for name in names if not name.startswith("layers/dense")]  # of the top
    if len(names) != len(model.weights):
        raise ValueError(
            f"The weights in {file} are of another network. Received: they have {len(names)} "
            f"arrays, {model.name} has {len(model.weights)}. Pass the arguments that the network "
            "was trained with."
        )
    broken = [v.path for v in model.weights if not np.isfinite(keras.ops.convert_to_numpy(v)).all()]
    if broken:
        raise ValueError(
            f"The weights in {file} are not finite, such as those of {broken[0]}: the training "
            "diverged. Pass others."
        )


def _array_names(file: PathLike) -> list[str]:
    """Return the names of the arrays in a file, without those of an optimizer."""
    names: list[str] = []
    with h5py.File(file, "r") as opened:
        opened.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
    return [name for name in names if not name.startswith(("optimizer", "_optimizer"))]
