"""What the image and the text network share: the checks of their arguments and their configuration."""

import numbers

import keras

from keras_euler._checks import check_choice, check_integer
from keras_euler.models.blocks import GROUPS, NORMS, SHORTCUTS
from keras_euler.models.presets import list_presets
from keras_euler.models.step_factor import step_factors
from keras_euler.models.weights import load_weights

DATA_FORMATS = ("channels_last", "channels_first")
SERIALIZE = {
    "kernel_initializer": lambda value: None if value is None else keras.initializers.serialize(value),
    "classifier_activation": lambda value: keras.activations.serialize(keras.activations.get(value)),
    "dtype": keras.dtype_policies.serialize,
}


class EulerNetwork(keras.Model):
    """A functional model that knows the arguments it was made from. Abstract.

    A subclass checks its arguments by `checked`, makes the layers, and ends its `__init__` with `remember`.
    """

    def remember(self, arguments, weights):
        """Keep the constructor's arguments as attributes and for `get_config`; load `weights`: a preset's name, a path or None."""
        self.dtype_policy = arguments["dtype"]  # without it, compile would not scale the loss under mixed_float16
        for name, value in arguments.items():
            if name not in ("input_shape", "dtype", "name"):  # those Keras keeps
                setattr(self, name, value)
        self._argument_names = tuple(arguments)
        preset = list_presets().get(weights) if isinstance(weights, str) else None
        if preset:
            preset.check(self, arguments)
        if weights is not None:
            load_weights(self, arguments, preset.file() if preset else weights)

    def get_config(self):
        config = {name: getattr(self, name) for name in self._argument_names if name not in ("input_shape", "dtype")}
        if "input_shape" in self._argument_names:
            config["input_shape"] = self.input_shape[1:]
        config["dtype"] = self.dtype_policy
        for name, serialize in SERIALIZE.items():
            config[name] = serialize(config[name])
        config["weights"] = None  # where the first values came from; a saved model brings its own
        return config


def checked(arguments, num_blocks, num_stages):
    """Return the constructor's arguments with the shared ones checked and in the form in which they are kept, and h per block."""
    given = dict(arguments)
    h_per_block = step_factors(given["h"], num_blocks)
    if isinstance(given["h"], numbers.Real):
        given["h"] = float(given["h"])
    elif not isinstance(given["h"], str):
        given["h"] = h_per_block
    given["num_classes"] = check_integer("num_classes", given["num_classes"], 1)
    for flag in ("preactivation", "zero_gamma", "include_top"):
        check_choice(flag, given[flag], (True, False))
    check_choice("norm", given["norm"], NORMS)
    check_choice("shortcut", given["shortcut"], SHORTCUTS)
    given["data_format"] = given["data_format"] or keras.config.image_data_format()
    check_choice("data_format", given["data_format"], DATA_FORMATS)
    given["widths"] = _widths(given["widths"], given["norm"], num_stages)
    if given["zero_gamma"] and (given["norm"] is None or given["preactivation"]):
        raise ValueError(
            "`zero_gamma` needs a norm at the end of the branch. "
            f"Received: zero_gamma=True, norm={given['norm']!r}, preactivation={given['preactivation']!r}. "
            "Use h=0 with trainable_h='scalar' for a branch that starts at zero."
        )
    given["dtype"] = keras.dtype_policies.get(given["dtype"])
    if given["kernel_initializer"] is not None:
        given["kernel_initializer"] = keras.initializers.get(given["kernel_initializer"])
    return given, h_per_block


def _widths(widths, norm, num_stages):
    if not isinstance(widths, (list, tuple)) or len(widths) != num_stages:
        raise ValueError(
            f"`widths` must be {num_stages} numbers of filters, one per stage. Received: widths={widths!r}."
        )
    widths = tuple(check_integer("widths", width, 1) for width in widths)
    groups = GROUPS.get(norm, 1)
    if any(width % groups for width in widths):
        raise ValueError(f"With norm={norm!r} each width must be a multiple of {groups}. Received: widths={widths!r}.")
    return widths
