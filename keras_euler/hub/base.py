"""Base classes of the image and the text models of KerasHub."""

import inspect
import os
import re
from typing import Any, Self

import keras
import keras_hub

from keras_euler._backend import Direct
from keras_euler._types import Config, Mixin, PathLike
from keras_euler.layers import EulerResidual
from keras_euler.models.presets import TOP_ARGUMENTS, Preset, list_presets

# Arguments of a network that its backbone, which ends with the features, lacks.
NOT_OF_BACKBONES = ("include_top", "weights", "classifier_activation", "dropout", *TOP_ARGUMENTS)


class FromZoo(Mixin):
    """Add the names of `keras_euler.list_presets()` to KerasHub's `from_preset`. Abstract.

    A subclass defines `network`, `EulerResNet` or `EulerVDCNN`, and `from_zoo(preset, load_weights,
    **kwargs)` for a `Preset`.
    """

    class _Presets:
        def __get__(self, instance: object, owner: Any) -> dict[str, dict[str, str]]:
            return {
                name: {"description": preset.description}
                for name, preset in list_presets().items()
                if preset.network == owner.network.__name__
            }

    presets = _Presets()

    @classmethod
    def from_preset(cls, preset: PathLike, *args: Any, **kwargs: Any) -> Self:
        """Load a folder or handle as KerasHub does, or a name in `keras_euler.list_presets()`."""
        known = list_presets().get(preset) if isinstance(preset, str) else None
        if known is None:
            is_name = (
                isinstance(preset, str)
                and re.fullmatch(r"euler_\w+", preset)
                and not os.path.exists(preset)
            )
            if is_name:
                raise ValueError(
                    f"There is no preset {preset!r}. Pass one of {', '.join(cls.presets)}, or a "
                    "folder of a preset."
                )
            return super().from_preset(preset, *args, **kwargs)
        if known.network != cls.network.__name__:
            raise ValueError(
                f"The preset {preset!r} is an {known.network}. Received: "
                f"{cls.__name__}.from_preset."
            )
        return cls.from_zoo(known, *args, **kwargs)


class EulerBackbone(FromZoo, Direct, keras_hub.models.Backbone):
    """The layers of a network without its top, as a KerasHub backbone. Abstract.

    A subclass defines `network`, `EulerResNet` or `EulerVDCNN`.

    Args:
        arguments: Dict of the arguments of the network, except those of its top, `name`,
            `trainable` and `dtype`.
        name, trainable, dtype: As for every Keras model.
    """

    def __init__(
        self, arguments: Config, name: str | None, trainable: bool, dtype: Any = None
    ) -> None:
        # === Layers and functional model ===
        network = type(self).network(
            **arguments, include_top=False, pooling=None, trainable=trainable, dtype=dtype
        )
        super().__init__(
            inputs=network.input,
            outputs=network.output,
            dtype=keras.dtype_policies.get(dtype),
            name=name,
            trainable=trainable,
        )
        # === Config ===
        parameters = inspect.signature(type(self).network).parameters
        own = (*NOT_OF_BACKBONES, "name", "trainable", "dtype")
        defaults = {n: p.default for n, p in parameters.items() if n not in own}
        self.arguments = {**defaults, **arguments}
        block = next(layer for layer in network.layers if isinstance(layer, EulerResidual))
        self.arguments["data_format"] = self.data_format = block.data_format
        self.depth, self.h = self.arguments["depth"], self.arguments["h"]

    def get_config(self) -> Config:
        initializer = self.arguments["kernel_initializer"]
        initializer = initializer and keras.initializers.serialize(
            keras.initializers.get(initializer)
        )
        return {**super().get_config(), **self.arguments, "kernel_initializer": initializer}

    @classmethod
    def from_zoo(cls, preset: Preset, load_weights: bool = True, **kwargs: Any) -> Self:
        arguments = {
            name: value for name, value in preset.arguments.items() if name not in TOP_ARGUMENTS
        }
        backbone = cls(**{**arguments, **kwargs})
        if load_weights:
            without = ("name", "trainable", "dtype", "image_shape")
            own = {name: value for name, value in kwargs.items() if name not in without}
            trained = cls.network(**{**arguments, **own}, include_top=False, weights=preset.name)
            backbone.set_weights(trained.get_weights())
        return backbone


class EulerTask(FromZoo):
    """A KerasHub task with an `EulerBackbone`. Abstract.

    A subclass defines `head`, pairs of names of the layers after the backbone, in the task and in
    the network. It also defines `network_arguments`, the names of the network's arguments that it
    takes.
    """

    @classmethod
    def from_zoo(cls, preset: Preset, load_weights: bool = True, **kwargs: Any) -> Self:
        is_new = "num_classes" in kwargs  # then the trained head does not fit
        of_backbone = {n: kwargs.pop(n) for n in ("dtype", "image_shape") if n in kwargs}
        settings = {
            name: value for name, value in preset.arguments.items() if name in cls.network_arguments
        }
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls.from_preset(
                preset.name, load_weights, **of_backbone
            )
        elif of_backbone:
            raise TypeError(
                f"{', '.join(of_backbone)} belongs to the backbone. Received: both. Pass it to the "
                "backbone, or pass no `backbone`."
            )
        if "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.for_backbone(preset, kwargs["backbone"])
        task = cls(**{**settings, **kwargs})
        if load_weights and not is_new:
            trained = cls.network(**preset.arguments, weights=preset.name)
            for name, trained_name in cls.head:
                task.get_layer(name).set_weights(trained.get_layer(trained_name).get_weights())
        return task


def check_backbone(backbone: object, kind: type) -> None:
    """Raise a TypeError unless `backbone` is of the class `kind`."""
    if not isinstance(backbone, kind):
        raise TypeError(
            f"`backbone` must be an {kind.__name__}. Received: {type(backbone).__name__}."
        )
