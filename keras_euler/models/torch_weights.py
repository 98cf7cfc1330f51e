"""Fill a model from the arrays of a PyTorch checkpoint of the same network."""

import re

import keras
import numpy as np

# (pattern of the PyTorch name, its counterpart here), in the namings of the authors' code and of the common CIFAR ResNets.
LAYERS = (
    (r"(?:stack|layer)(\d+)\.(\d+)\.conv([12])", r"stage{0}_block{1}/conv{2}"),
    (r"(?:stack|layer)(\d+)\.(\d+)\.bn([12])", r"stage{0}_block{1}/norm{2}"),
    (r"(?:stack|layer)(\d+)\.(\d+)\.(?:shortcut|downsample)\.0", r"stage{0}_block{1}/shortcut_conv"),
    (r"(?:stack|layer)(\d+)\.(\d+)\.(?:shortcut|downsample)\.1", r"stage{0}_block{1}/shortcut_norm"),
    (r"conv1", r"stem_conv"),
    (r"bn1", r"stem_norm"),
    (r"linear|fc", r"logits"),
)
NORM_ARRAYS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
WEIGHT_ARRAYS = {"weight": "kernel", "bias": "bias"}
IGNORED = "num_batches_tracked"  # batch norm's counter, which has no counterpart


def load_torch_state_dict(model, state_dict):
    """Fill a model with the arrays of a PyTorch checkpoint of the same network.

    Understands the names of the paper's authors (`stack1.0.conv1.weight`) and of the common CIFAR ResNets
    (`layer1.0.conv1.weight`, shortcuts `shortcut.0` or `downsample.0`, `linear` or `fc`), with or without the `module.` that
    DataParallel puts before them. Every array is used exactly once; nothing is changed unless all fit. torch itself is not
    needed. A checkpoint with padding shortcuts (option A) needs a model with `shortcut="padding"`.

    Args:
        model: An `EulerResNet`.
        state_dict: Dict of name -> array or torch tensor.

    Raises:
        ValueError: An array that is missing, left over, of another shape, or not understood; each is named.
        TypeError: `state_dict` is not a dict of strings to arrays, or `model` no Keras model.

    Example:

    >>> model = keras_euler.EulerResNet(depth=8, norm=None, include_top=False)
    >>> arrays = {"conv1.weight": np.ones((16, 3, 3, 3)), "conv1.bias": np.ones(16)}
    >>> keras_euler.load_torch_state_dict(model, arrays)
    Traceback (most recent call last):
        ...
    ValueError: The checkpoint lacks arrays for 14 of the model's 16 variables: stage1_block1/conv1/kernel, ...
    """
    if not hasattr(state_dict, "items"):
        raise TypeError(f"`state_dict` must be a dict of name -> array. Received: {type(state_dict).__name__}.")
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: {type(model).__name__}.")
    variables = {variable.path: variable for variable in model.weights}
    values, sources = {}, {}
    for name, tensor in state_dict.items():
        if not isinstance(name, str):
            raise TypeError(f"The names in `state_dict` must be strings. Received: {name!r}.")
        if name.endswith(IGNORED):
            continue
        path = _path(name)
        if path not in variables:
            raise ValueError(
                f"The checkpoint's array {name!r} has no place in the model"
                + (f" (it would be {path})." if path else ".")
                + " Build the model with the checkpoint's depth, shortcut and norm."
            )
        if path in values:
            raise ValueError(f"The checkpoint has {path} twice: as {sources[path]!r} and as {name!r}.")
        value, expected = _keras_layout(_numpy(name, tensor)), tuple(variables[path].shape)
        if value.shape != expected:
            raise ValueError(
                f"The checkpoint's array {name!r} gives {path} the shape {value.shape}, "
                f"but the model's has {expected}. Build the model with the checkpoint's widths and num_classes."
            )
        values[path], sources[path] = value, name
    missing = [path for path in variables if path not in values]
    if missing:
        listed = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise ValueError(
            f"The checkpoint lacks arrays for {len(missing)} of the model's {len(variables)} variables: {listed}"
        )
    for path, value in values.items():
        variables[path].assign(value)


def _path(name):
    """`module.stack1.0.bn2.weight` -> `stage1_block1/norm2/gamma`; None for a name that is not understood."""
    layer, _, array = name.removeprefix("module.").rpartition(".")
    for pattern, template in LAYERS:
        match = re.fullmatch(pattern, layer)
        if match:
            stage_and_block = [int(group) + (i == 1) for i, group in enumerate(match.groups())]
            path = template.format(*stage_and_block)
            arrays = NORM_ARRAYS if "norm" in path else WEIGHT_ARRAYS
            return f"{path}/{arrays[array]}" if array in arrays else None
    return None


def _numpy(name, tensor):
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().float().numpy()
    value = np.asarray(tensor)
    if value.dtype.kind not in "fiu":
        raise ValueError(f"The checkpoint's {name!r} is not an array of numbers. Received: {type(tensor).__name__}.")
    return value.astype("float32")


def _keras_layout(value):
    """Convolutions (out, in, *size) -> (*size, in, out); dense (out, in) -> (in, out)."""
    return np.moveaxis(value, (0, 1), (-1, -2)) if value.ndim > 1 else value
