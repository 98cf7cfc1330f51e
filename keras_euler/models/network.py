"""The base class of the image and the text network: checks of arguments, graph and
configuration."""

import difflib
import inspect
import numbers
import random
from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_euler._backend import Traced
from keras_euler._checks import check_choice, check_integer, check_number, check_rate
from keras_euler._types import Config, PathLike
from keras_euler.layers.schemes import SCHEMES
from keras_euler.models.blocks import GROUPS, NORMS, SHORTCUTS
from keras_euler.models.presets import list_presets
from keras_euler.models.step_factor import step_factors
from keras_euler.models.weights import load_weights

DATA_FORMATS = ("channels_last", "channels_first")
SERIALIZE = {
    "kernel_initializer": lambda value: (
        None if value is None else keras.initializers.serialize(value)
    ),
    "classifier_activation": lambda value: keras.activations.serialize(
        keras.activations.get(value)
    ),
    "dtype": keras.dtype_policies.serialize,
}
# Names of the arguments in other libraries.
OTHER_NAMES = {
    **dict.fromkeys(("classes", "n_classes", "nb_classes", "num_labels"), "num_classes"),
    **dict.fromkeys(("filters", "channels"), "widths"),
    **{
        "dropout_rate": "dropout",
        "drop_path_rate": "drop_path",
        "step": "h",
        "normalization": "norm",
        "pretrained": "weights",
        "image_shape": "input_shape",
    },
}
OWNED_BY_KERAS = ("input_shape", "dtype", "trainable", "name")


class EulerNetwork(Traced, keras.Model):
    """A functional model that is a chain of layers, made from arguments. Abstract.

    Its configuration holds the arguments and, as `replaced_layers`, every layer that was changed
    afterwards: frozen, quantized or given another activation. A subclass validates its arguments
    with `validated_arguments` and defines `make_layers(arguments)`.

    Args:
        inputs: A `keras.Input`.
        arguments: Dict of the validated constructor arguments without `weights`.
        weights: Name of a preset, path of a file, or None.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        check_names(cls, kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self, inputs: keras.KerasTensor, arguments: Config, weights: PathLike | None
    ) -> None:
        outputs, replaced = inputs, dict(arguments["replaced_layers"] or {})
        for layer in self._made_layers(arguments):
            outputs = replaced.pop(layer.name, layer)(outputs)
        if replaced:
            raise ValueError(
                "`replaced_layers` must name layers of the network. "
                f"Received: {', '.join(map(repr, replaced))}. With these arguments they do not "
                f"exist; leave them out."
            )
        super().__init__(
            inputs=inputs, outputs=outputs, name=arguments["name"], trainable=arguments["trainable"]
        )
        self.dtype_policy = arguments[
            "dtype"
        ]  # without it, compile would not scale the loss under mixed_float16
        for name, value in arguments.items():
            if name not in (*OWNED_BY_KERAS, "replaced_layers"):
                setattr(self, name, value)
        self._argument_names = tuple(arguments)
        preset = list_presets().get(weights) if isinstance(weights, str) else None
        if preset:
            preset.check(self, arguments)
        if weights is not None:
            load_weights(self, arguments, preset.file() if preset else weights)

    @classmethod
    def _made_layers(cls, arguments: Config) -> list[keras.layers.Layer]:
        """Return the unbuilt layers that `arguments` make."""
        layers = cls.make_layers(arguments)
        for layer in layers:
            layer.trainable = arguments["trainable"]
        return layers

    def _arguments(self) -> Config:
        """Return a dict of the constructor arguments without `replaced_layers` and `weights`."""
        names = [
            name
            for name in self._argument_names
            if name not in ("input_shape", "dtype", "replaced_layers")
        ]
        arguments = {name: getattr(self, name) for name in names} | {"dtype": self.dtype_policy}
        if "input_shape" in self._argument_names:
            arguments["input_shape"] = self.input_shape[1:]
        return arguments

    def serialized_arguments(self) -> Config:
        """Return a dict of the serialized constructor arguments without `replaced_layers` and
        `weights`."""
        arguments = self._arguments()
        return arguments | {
            name: serialize(arguments[name]) for name, serialize in SERIALIZE.items()
        }

    def serialized_replacements(self, **arguments: Any) -> Config | None:
        """Return the changed layers, as a dict from name to configuration, or None.

        Args:
            **arguments: Arguments to compare with instead of the network's own.
        """
        random_state = random.getstate()  # new initializers draw their seeds from it
        made = self._made_layers(self._arguments() | arguments)
        random.setstate(random_state)
        replaced = {}
        for old, layer in zip(made, self.layers[1:], strict=True):
            config = keras.saving.serialize_keras_object(layer)
            if _comparable(config) != _comparable(keras.saving.serialize_keras_object(old)):
                replaced[old.name] = config
        return replaced or None

    def get_config(self) -> Config:
        replaced = self.serialized_replacements()
        # A saved network has its own weights.
        return {**self.serialized_arguments(), "replaced_layers": replaced, "weights": None}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> Self:
        layers = deserialized(config.get("replaced_layers"), custom_objects)
        return super().from_config({**config, "replaced_layers": layers}, custom_objects)


def check_names(cls: type, kwargs: Config) -> None:
    """Raise a TypeError that names the right keyword argument of a class if one is unknown."""
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    unknown = [name for name in kwargs if name not in parameters]
    if unknown and not any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    ):
        name = unknown[0]
        close = (
            [OTHER_NAMES[name]]
            if OTHER_NAMES.get(name) in parameters
            else difflib.get_close_matches(name, parameters, 1)
        )
        hint = (
            f"Did you mean `{close[0]}`?"
            if close
            else f"Arguments are: {', '.join([*parameters][1:])}."
        )
        raise TypeError(f"{cls.__name__} has no argument `{name}`. {hint}")


def deserialized(
    layers: Config | None, custom_objects: Config | None = None
) -> dict[str, keras.layers.Layer] | None:
    """Return a dict from name to layer, from the result of
    `EulerNetwork.serialized_replacements`."""
    if layers is None:
        return None
    deserialize = keras.saving.deserialize_keras_object
    return {name: deserialize(layer, custom_objects) for name, layer in layers.items()}


def _comparable(config: Any) -> Any:
    """Return a serialized layer without the properties of one object: its build shape and the id of
    a shared object."""
    if isinstance(config, dict):
        marks = ("build_config", "shared_object_id")
        return {name: _comparable(value) for name, value in config.items() if name not in marks}
    return [_comparable(value) for value in config] if isinstance(config, (list, tuple)) else config


def validated_arguments(arguments: Config, num_blocks: int, num_stages: int) -> Config:
    """Return the constructor arguments, with the shared ones validated and converted."""
    given = dict(arguments)
    h_per_block = step_factors(given["h"], num_blocks)
    if isinstance(given["h"], numbers.Real):
        given["h"] = float(given["h"])
    elif not isinstance(given["h"], str):
        given["h"] = h_per_block
    given["num_classes"] = check_integer("num_classes", given["num_classes"], 1)
    for flag in ("preactivation", "zero_gamma", "include_top", "trainable"):
        check_choice(flag, given[flag], (True, False))
    check_choice("norm", given["norm"], NORMS)
    check_choice("shortcut", given["shortcut"], SHORTCUTS)
    check_choice("scheme", given["scheme"], SCHEMES)
    given["skip"] = check_number("skip", given["skip"], 0)
    given["drop_path"] = check_rate("drop_path", given["drop_path"])
    given["data_format"] = given["data_format"] or keras.config.image_data_format()
    check_choice("data_format", given["data_format"], DATA_FORMATS)
    given["widths"] = _widths(given["widths"], given["norm"], num_stages)
    if given["zero_gamma"] and (given["norm"] is None or given["preactivation"]):
        raise ValueError(
            "`zero_gamma` needs a norm at the end of the branch. "
            f"Received: zero_gamma=True, norm={given['norm']!r}, "
            f"preactivation={given['preactivation']!r}. "
            "Use h=0 with trainable_h='scalar' for a branch that starts at zero."
        )
    given["dtype"] = keras.dtype_policies.get(given["dtype"])
    if given["kernel_initializer"] is not None:
        given["kernel_initializer"] = keras.initializers.get(given["kernel_initializer"])
    _check_replaced_layers(given["replaced_layers"])
    return given


def _check_replaced_layers(layers: Any) -> None:
    problem = (
        "`replaced_layers` must be a dict from a layer's name to the Keras layer that takes "
        "its place."
    )
    if layers is None:
        return
    if not isinstance(layers, dict) or not all(
        isinstance(layer, keras.layers.Layer) for layer in layers.values()
    ):
        raise TypeError(f"{problem} Received: replaced_layers={layers!r}.")
    if len({id(layer) for layer in layers.values()}) < len(layers):
        raise ValueError(f"{problem} Received: one layer for two names. Pass a layer for each.")


def _widths(widths: Sequence[int], norm: str | None, num_stages: int) -> tuple[int, ...]:
    if not isinstance(widths, (list, tuple)) or len(widths) != num_stages:
        raise ValueError(
            f"`widths` must be {num_stages} numbers of filters, one per stage. Received: "
            f"widths={widths!r}."
        )
    widths = tuple(check_integer("widths", width, 1) for width in widths)
    groups = GROUPS.get(norm or "", 1)
    if any(width % groups for width in widths):
        raise ValueError(
            f"With norm={norm!r} each width must be a multiple of {groups}. Received: "
            f"widths={widths!r}."
        )
    return widths
