"""Base classes of the image and the text models of KerasHub."""

import inspect
from typing import Any, Self

import keras
import keras_hub

from keras_euler._backend import Direct
from keras_euler._types import Config, Mixin
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
            presets = list_presets().items()
            return {
                name: {"description": p.description}
                for name, p in presets
                if p.network == owner.network.__name__
            }

    presets = _Presets()

    @classmethod
    def from_preset(cls, preset: str, *args: Any, **kwargs: Any) -> Self:
        """Load a folder or handle as KerasHub does, or a name in `keras_euler.list_presets()`."""
        known = list_presets().get(preset)
        if known is None or known.network != cls.network.__name__:
            return super().from_preset(preset, *args, **kwargs)
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
            dtype=dtype,
            name=name,
            trainable=trainable,
        )
        # === Config ===
        block = next(layer for layer in network.layers if isinstance(layer, EulerResidual))
        parameters = inspect.signature(type(self).network).parameters
        own = (*NOT_OF_BACKBONES, "name", "trainable", "dtype")
        defaults = {n: p.default for n, p in parameters.items() if n not in own}
        self.arguments = {**defaults, **arguments}
        self.arguments.pop("weights", None)
        self.arguments["data_format"] = self.data_format = block.data_format
        self.depth, self.h = self.arguments["depth"], self.arguments["h"]

    def get_config(self) -> Config:
        config = {**super().get_config(), **self.arguments}
        if initializer := config.get("kernel_initializer"):
            initializer = keras.initializers.get(initializer)
            config["kernel_initializer"] = keras.initializers.serialize(initializer)
        return config

    @classmethod
    def from_zoo(cls, preset: Preset, load_weights: bool = True, **kwargs: Any) -> Self:
        arguments = {
            name: value for name, value in preset.arguments.items() if name not in TOP_ARGUMENTS
        }
        weights = preset.name if load_weights else None
        return cls(**{**arguments, "weights": weights, **kwargs})


class EulerTask(FromZoo):
    """A KerasHub task with an `EulerBackbone`. Abstract.

    A subclass defines `network_arguments`, the names of the network's arguments that it takes.
    """

    @classmethod
    def from_zoo(cls, preset: Preset, load_weights: bool = True, **kwargs: Any) -> Self:
        is_new = "num_classes" in kwargs  # then the trained head does not fit
        settings = {
            name: value for name, value in preset.arguments.items() if name in cls.network_arguments
        }
        if "backbone" not in kwargs:
            own = {n: kwargs.pop(n) for n in ("dtype", "image_shape") if n in kwargs}
            kwargs["backbone"] = cls.backbone_cls.from_zoo(preset, load_weights, **own)
        if "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.for_backbone(preset, kwargs["backbone"])
        task = cls(**{**settings, **kwargs})
        if load_weights and not is_new:
            backbone = task.backbone.get_weights()
            trained = cls.network(**preset.arguments, weights=preset.name).get_weights()
            task.set_weights([*backbone, *trained[len(backbone) :]])
        return task
