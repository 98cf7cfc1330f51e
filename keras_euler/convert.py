"""Read PyTorch checkpoints and load them into a model of the same network."""

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_euler import _backend
from keras_euler._types import Array, PathLike
from keras_euler.models.euler_vdcnn import POSITIONS

__all__ = ["load_torch_state_dict", "read_state_dict"]

# Names of layers as in the authors' code and the common CIFAR ResNets -> names here.
LAYERS = {
    "conv1": "stem_conv",
    "bn1": "stem_norm",
    "linear": "logits",
    "fc": "logits",
    "embed": "embedding",
    "layers.0": "stem_conv",
    "fc_layers.0": "dense1",
    "fc_layers.2": "dense2",
    "fc_layers.4": "logits",
}
# The same within a block.
PARTS = {
    "conv1": "conv1",
    "bn1": "norm1",
    "conv2": "conv2",
    "bn2": "norm2",
    "shortcut.0": "shortcut_conv",
    "shortcut.1": "shortcut_norm",
    "downsample.0": "shortcut_conv",
    "downsample.1": "shortcut_norm",
    "downsample": "shortcut_conv",  # without a norm
}
NORM_ARRAYS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# Counters of batch norm and of torch's AveragedModel, which have no counterpart.
IGNORED = ("num_batches_tracked", "n_averaged")
# Names under which training scripts put the arrays.
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "ema")


def load_torch_state_dict(model: keras.Model, state_dict: Mapping[str, Any]) -> None:
    """Load the arrays of a PyTorch checkpoint into a model of the same network.

    It understands the names of the paper's authors (`stack1.0.conv1.weight`; for texts
    `layers.1.conv1.weight`) and of the common CIFAR ResNets (`layer1.0.conv1.weight`, shortcuts
    `shortcut.0` or `downsample.0`, `linear` or `fc`). It ignores a prefix that all names share,
    such as `model.`, and the prefixes `module.` and `_orig_mod.` of DataParallel and torch.compile.
    It uses every array exactly once, and changes nothing unless all fit. It does not need torch. A
    checkpoint with padding shortcuts (option A) needs a model with `shortcut="padding"`.

    Args:
        model: An `EulerResNet` or an `EulerVDCNN`.
        state_dict: Dict of name -> array or torch tensor, or a training script's checkpoint that
            holds one under a name such as `state_dict` or `model`.

    Raises:
        ValueError: An array is missing, left over, of another shape or not understood; the message
            names it.
        TypeError: `state_dict` is not a dict of strings to arrays, or `model` is neither of the two
            networks.

    Example:

    >>> model = keras_euler.EulerResNet(depth=8, norm=None, include_top=False)
    >>> arrays = {"conv1.weight": np.ones((16, 3, 3, 3)), "conv1.bias": np.ones(16)}
    >>> keras_euler.load_torch_state_dict(model, arrays)
    Traceback (most recent call last):
        ...
    ValueError: The checkpoint lacks arrays for 14 of the model's 16 variables: stage1_...
    """
    state_dict = _unwrapped(state_dict)
    if not isinstance(state_dict, Mapping) or not all(isinstance(n, str) for n in state_dict):
        raise TypeError(
            f"`state_dict` must be a dict of name -> array. Received: {type(state_dict).__name__}."
        )
    inner = [name for name, value in state_dict.items() if isinstance(value, Mapping)]
    if inner:
        raise ValueError(
            f"`state_dict` holds a dict under {', '.join(map(repr, inner))}. Pass the dict of the "
            f"arrays, such as checkpoint[{inner[0]!r}]."
        )
    names_of_layers = [layer.name for layer in getattr(model, "layers", ())]
    if "stem_conv" not in names_of_layers:
        raise TypeError(
            f"`model` must be an EulerResNet or an EulerVDCNN. Received: {type(model).__name__}."
        )
    places, example = [], "layer1.0.conv1.weight"
    if "embedding" in names_of_layers:
        places = [name for name in names_of_layers if re.match("stem_conv|stage", name)]
        example = "layers.1.conv1.weight"
    names = [name for name in state_dict if not name.endswith(IGNORED)]
    prefix = _shared_prefix(names, places)
    variables = {variable.path: variable for variable in model.weights}
    values: dict[str, Array] = {}
    sources: dict[str, str] = {}
    for name in names:
        path, tensor = _path(name.removeprefix(prefix), places), state_dict[name]
        if path is None:
            raise ValueError(
                f"The checkpoint's array {name!r} has no place in the model: its name is not "
                "understood. Leave it out if it is not of the network. Otherwise rename it like "
                f"{example!r}; `load_torch_state_dict` lists the names that it knows."
            )
        if path not in variables:
            raise ValueError(
                f"The checkpoint's array {name!r} has no place in the model (it would be {path}). "
                "Build the model with the checkpoint's depth, shortcut and norm."
            )
        if path in values:
            raise ValueError(
                f"The checkpoint has {path} twice: as {sources[path]!r} and as {name!r}."
            )
        value = _keras_layout(path, _numpy(name, tensor))
        if value.shape != (expected := tuple(variables[path].shape)):
            raise ValueError(
                f"The checkpoint's array {name!r} gives {path} the shape {value.shape}, but the "
                f"model's has {expected}. Build the model with the checkpoint's widths and "
                "num_classes, if it is of this architecture."
            )
        if path == "embedding/embeddings" and value[0].any():
            raise ValueError(
                f"The checkpoint's array {name!r} must have zeros in row 0, that of the padding "
                "(torch: padding_idx=0)."
            )
        values[path], sources[path] = value, name
    missing = [path for path in variables if path not in values]
    if missing:
        listed = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise ValueError(
            f"The checkpoint lacks arrays for {len(missing)} of the model's {len(variables)} "
            f"variables: {listed}"
        )
    for path, value in values.items():
        variables[path].assign(value)


def read_state_dict(path: PathLike) -> dict[str, Any]:
    """Read the arrays of a `.pth`, `.pt` or `.safetensors` file without running code in it.

    Args:
        path: The file. A `.safetensors` file needs the package safetensors, the others torch.

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
    try:
        with open(path, "rb"):  # Python's error is clearer than those of the readers
            pass
        if Path(path).suffix == ".safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
        state = _unwrapped(_backend.read_torch_file(path))
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
        return state
    except (ImportError, OSError):
        raise
    except Exception as error:  # the readers raise errors of many types for damaged files
        # torch's own message tells how to run the code in it.
        is_code = isinstance(error, pickle.UnpicklingError)
        reason = "it holds more than arrays, or is damaged" if is_code else error
        raise ValueError(
            f"{path} cannot be read as a file of arrays: {reason}. Expected "
            "torch.save(model.state_dict(), path) or a safetensors file."
        ) from error


def _unwrapped(checkpoint: Any) -> Any:
    """Return the innermost dict of a checkpoint that holds the arrays under one of
    `STATE_DICT_KEYS`."""
    while isinstance(checkpoint, dict):
        inner = [name for name in STATE_DICT_KEYS if hasattr(checkpoint.get(name), "items")]
        if not inner:
            break
        checkpoint = checkpoint[inner[0]]
    return checkpoint


def _shared_prefix(names: Sequence[str], places: Sequence[str]) -> str:
    """Return the shortest prefix of whole words without which most names are understood."""
    counts = {"": 0}
    for name in names:
        words = name.split(".")
        for number in range(len(words)):
            prefix = "".join(f"{word}." for word in words[:number])
            is_known = _path(name.removeprefix(prefix), places) is not None
            counts[prefix] = counts.get(prefix, 0) + is_known
    return min(counts, key=lambda prefix: (-counts[prefix], len(prefix)))


def _path(name: str, places: Sequence[str]) -> str | None:
    """Translate `stack1.0.bn2.weight` to `stage1_block1/norm2/gamma`; None for a name that is not
    understood.

    Args:
        name: The name of an array in PyTorch.
        places: For texts, the layers that `layers.{i}` counts: the stem, the blocks and the
            poolings between the stages. Empty for images.
    """
    layer, _, array = re.sub(r"^((_orig_mod|module)\.)+", "", name).rpartition(".")
    path = LAYERS.get(layer)
    pattern = r"layers\.(\d+)\.(.+)" if places else r"(?:stack|layer)(\d+)\.(\d+)\.(.+)"
    if match := re.fullmatch(pattern, layer):
        first, *second, part = match.groups()
        block = dict(enumerate(places)).get(int(first), layer)
        if second:  # PyTorch counts blocks from 0
            block = f"stage{first}_block{int(second[0]) + 1}"
        path = f"{block}/{PARTS[part]}" if part in PARTS else None
    if path is None:
        return None
    kernel = "embeddings" if path == "embedding" else "kernel"
    arrays = NORM_ARRAYS if "norm" in path else {"weight": kernel, "bias": "bias"}
    return f"{path}/{arrays[array]}" if array in arrays else None


def _keras_layout(path: str, value: Array) -> Array:
    """Transpose convolutions (out, in, *size) to (*size, in, out) and dense kernels (out, in) to
    (in, out)."""
    if path == "dense1/kernel" and value.ndim == 2 and value.shape[1] % POSITIONS == 0:
        # torch flattens (channels, positions), and this network (positions, channels).
        value = value.reshape(len(value), -1, POSITIONS).swapaxes(1, 2).reshape(value.shape)
    if value.ndim < 2 or path == "embedding/embeddings":
        return value
    return np.moveaxis(value, (0, 1), (-1, -2))


def _numpy(name: str, tensor: Any) -> Array:
    try:
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu()
            tensor = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        value = np.asarray(tensor)
    except (TypeError, NotImplementedError, RuntimeError) as error:  # sparse, quantized, meta
        raise ValueError(f"The checkpoint's {name!r} cannot be read: {error}.") from error
    if value.dtype.kind not in "fiu" and value.dtype.name != "bfloat16":
        raise ValueError(
            f"The checkpoint's {name!r} is not an array of real numbers. Received: "
            f"{type(tensor).__name__} of {value.dtype}."
        )
    return value.astype("float32")
