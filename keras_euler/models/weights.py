"""Load trained weights: those of a preset, or of a file."""

import io
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_euler._types import Config, PathLike
from keras_euler.layers import EulerResidual
from keras_euler.models.presets import list_presets

# Of the configuration of a layer: what neither its weights nor its outputs depend on, but for the
# order of the axes.
IGNORED = (
    *("name", "dtype", "trainable", "seed", "build_config", "drop_path", "rate", "data_format"),
    *("axis", "shared_object_id", "registered_name", "module", "kernel_initializer"),
    *("bias_initializer", "gamma_initializer", "remat"),
)


def load_weights(model: keras.Model, network: Callable[..., keras.Model], given: Config) -> None:
    """Load the weights that an argument of a network names.

    Args:
        model: The model that `network` has built.
        network: `EulerResNet` or `EulerVDCNN`.
        given: Dict of its arguments. `weights` is the name of a preset, or the path of a
            `.weights.h5` file, which has only arrays and no h, or of a `.keras` file, whose network
            must be the same.

    Raises:
        TypeError: `weights` is not a name or path.
        FileNotFoundError: The file is missing.
        ValueError: The file cannot be read, belongs to another network, or has arrays that this
            network lacks or that are not finite; or the preset is of another network.
    """
    file = given["weights"]
    expected = (
        f"`weights` must be the name of a preset of {network.__name__} or the path of a file "
        "(.weights.h5 or .keras)."
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
    try:
        names = _array_names(file)
        different = _differences(file, model) if Path(file).suffix == ".keras" else []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about unchanged layers, before the error
            if not different:
                model.load_weights(file)
    except Exception as error:  # Keras and h5py raise errors of many types for damaged files
        raise ValueError(
            f"The weights in {file} cannot be loaded into {model.name}: "
            f"{' '.join(str(error).split())[:300].rstrip('.')}. The file is damaged, or its model "
            "differs: the network has other arguments, or there are layers before it."
        ) from error
    if not given["include_top"]:
        names = [name for name in names if not name.startswith("layers/dense")]  # of the top
    if not different and len(names) != len(model.weights):
        different = [f"they have {len(names)} arrays, {model.name} has {len(model.weights)}"]
    if different:
        raise ValueError(
            f"The weights in {file} are of another network. Received: {'; '.join(different[:3])}. "
            "Pass the arguments that the network was trained with."
        )
    broken = [v.path for v in model.weights if not np.isfinite(keras.ops.convert_to_numpy(v)).all()]
    if broken:
        raise ValueError(
            f"The weights in {file} are not finite, such as those of {broken[0]}: the training "
            "diverged. Pass others."
        )


def _array_names(file: PathLike) -> list[str]:
    """Return the names of the arrays in a file, without those of an optimizer."""
    source: PathLike | io.BytesIO = file
    if Path(file).suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    names: list[str] = []
    with h5py.File(source, "r") as opened:
        opened.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
    return [name for name in names if not name.startswith(("optimizer", "_optimizer"))]


def _differences(file: PathLike, model: keras.Model) -> list[str]:
    """Return what differs between the layers of a model and those of the model in a file."""
    trained = keras.models.load_model(file, compile=False)
    own, other = (m.layers[1:] for m in (model, trained))
    if len(own) < len(other) and model.output_shape != trained.output_shape:
        other = other[: len(own)]  # without the top
    if [layer.name for layer in own] != [layer.name for layer in other]:
        return [f"{len(own)} layers, the weights have {len(other)}: {trained.name}"]
    different = []
    for layer, like in zip(own, other, strict=True):
        config, trained_config = _plain(layer.get_config()), _plain(like.get_config())
        different += [
            f"{name}={value!r} in {layer.name}, the weights have {trained_config.get(name)!r}"
            for name, value in config.items()
            if value != trained_config.get(name) and (layer.name, name) != ("logits", "activation")
        ]
    return different


def _plain(config: Any) -> Any:
    """Return a configuration without what is ignored."""
    if isinstance(config, dict):
        return {name: _plain(value) for name, value in config.items() if name not in IGNORED}
    return list(map(_plain, config)) if isinstance(config, (list, tuple)) else config
