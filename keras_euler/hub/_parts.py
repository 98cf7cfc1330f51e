"""Base classes of the image and the text models of KerasHub."""

import inspect
import os
import re
from collections.abc import Iterable
from typing import Any, Self

import keras_hub

from keras_euler._backend import Traced
from keras_euler._types import Config, Mixin, PathLike
from keras_euler._version import __version__
from keras_euler.models.network import EulerNetwork, deserialized
from keras_euler.models.presets import Preset, list_presets
from keras_euler.models.weights import TOP_ARGUMENTS

# Arguments of a network that its backbone, which ends with the features, lacks.
NOT_OF_BACKBONES = ("include_top", "weights", "replaced_layers", *TOP_ARGUMENTS)


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
                    f"folder of a preset."
                )
            return super().from_preset(preset, *args, **kwargs)
        if known.network != cls.network.__name__:
            raise ValueError(
                f"The preset {preset!r} is an {known.network}. Received: "
                f"{cls.__name__}.from_preset."
            )
        return cls.from_zoo(known, *args, **kwargs)


class EulerBackbone(FromZoo, Traced, keras_hub.models.Backbone):
    """The layers of a network without its top, as a KerasHub backbone. Abstract.

    Attributes:
        arguments: Dict of the arguments of the network.
    """

    def __init__(
        self, network: EulerNetwork, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(
            inputs=network.input,
            outputs=network.output,
            dtype=network.dtype_policy,
            name=name,
            trainable=trainable,
        )
        owned = (*NOT_OF_BACKBONES, "name", "trainable", "dtype")
        self.arguments = {
            key: value for key, value in network.serialized_arguments().items() if key not in owned
        }
        self._replacements = (
            network.serialized_replacements
        )  # the method, because layers may still change
        self.depth = network.depth
        self.h = network.h
        self.data_format = network.data_format

    def get_config(self) -> Config:
        replaced = self._replacements(trainable=self.trainable)
        return {**super().get_config(), **self.arguments, "replaced_layers": replaced}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        check_version(
            cls,
            config,
            {*inspect.signature(cls.network).parameters, *inspect.signature(cls).parameters},
        )
        return super().from_config(
            {**config, "replaced_layers": deserialized(config.get("replaced_layers"))}
        )

    @classmethod
    def from_zoo(cls, preset: Preset, load_weights: bool = True, **kwargs: Any) -> Self:
        arguments = {
            name: value for name, value in preset.arguments.items() if name not in TOP_ARGUMENTS
        }
        backbone = cls(**{**arguments, **kwargs})
        if load_weights:
            own = {
                name: value
                for name, value in kwargs.items()
                if name not in ("name", "trainable", "dtype", "image_shape")
            }
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
        of_task, of_network = _arguments(cls), inspect.signature(cls.network).parameters
        of_backbone = {*of_network, "image_shape"} - {*NOT_OF_BACKBONES, "input_shape"}
        unknown = sorted(set(kwargs) - of_task - of_backbone)
        if unknown:
            known = ", ".join(sorted(of_task | of_backbone))
            raise TypeError(
                f"{cls.__name__} has no {', '.join(unknown)}. Its arguments are {known}."
            )
        inner = {
            name: kwargs.pop(name)
            for name in [*kwargs]
            if name in of_backbone - of_task or name == "dtype"
        }
        settings = {
            name: value for name, value in preset.arguments.items() if name in cls.network_arguments
        }
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls.from_preset(preset.name, load_weights, **inner)
        elif inner:
            raise TypeError(
                f"{', '.join(inner)} belongs to the backbone. Received: both. Pass it to the "
                f"backbone, or pass no `backbone`."
            )
        if "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.for_backbone(preset, kwargs["backbone"])
        task = cls(**{**settings, **kwargs})
        if load_weights and not is_new:
            trained = cls.network(**preset.arguments, weights=preset.name)
            for name, trained_name in cls.head:
                task.get_layer(name).set_weights(trained.get_layer(trained_name).get_weights())
        return task

    @classmethod
    def from_config(cls, config: Config) -> Self:
        check_version(cls, config, _arguments(cls))
        return super().from_config(config)


def _arguments(cls: Any) -> set[str]:
    """Return the names of the arguments of a class and of its base classes."""
    classes = [
        base for base in cls.__mro__ if base.__module__.startswith(("keras_euler", "keras_hub"))
    ]
    parameters = [
        p for base in classes for p in inspect.signature(base.__init__).parameters.values()
    ]
    named = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return named - {"self"} | {"name", "trainable", "dtype"}


def check_version(cls: type, config: Config, known: Iterable[str]) -> None:
    """Raise a ValueError if a saved configuration has arguments that this version of a class
    lacks."""
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"{cls.__name__} of keras_euler {__version__} has no {', '.join(unknown)}: the preset "
            f"was saved by "
            "another version. Install that version."
        )


def check_backbone(backbone: object, kind: type) -> None:
    """Raise a TypeError unless `backbone` is of the class `kind`."""
    if not isinstance(backbone, kind):
        raise TypeError(
            f"`backbone` must be an {kind.__name__}. Received: {type(backbone).__name__}."
        )
