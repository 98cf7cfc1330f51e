"""What the image and the text models of KerasHub share."""

import inspect
import os
import re

import keras_hub

from keras_euler._backend import Traced
from keras_euler._version import __version__
from keras_euler.models.network import deserialized
from keras_euler.models.presets import list_presets
from keras_euler.models.weights import TOP

# Arguments of a network that its backbone, which ends with the features, does not have.
NOT_OF_BACKBONES = ("include_top", "weights", "replaced_layers", *TOP)


class FromZoo:
    """`from_preset` that knows the names of `keras_euler.list_presets()` beside what KerasHub takes. Abstract.

    A subclass has `network`, the class of the core, and `from_zoo(preset, load_weights, **kwargs)` of a `Preset`.
    """

    class _Presets:
        def __get__(self, instance, owner):
            presets = list_presets().items()
            return {name: {"description": p.description} for name, p in presets if p.network == owner.network.__name__}

    presets = _Presets()

    @classmethod
    def from_preset(cls, preset, *args, **kwargs):
        """As KerasHub's, of a folder or a handle, and of a name in `keras_euler.list_presets()`."""
        known = list_presets().get(preset) if isinstance(preset, str) else None
        if known is None:
            is_name = isinstance(preset, str) and re.fullmatch(r"euler_\w+", preset) and not os.path.exists(preset)
            if is_name:
                raise ValueError(f"There is no preset {preset!r}. There are {', '.join(cls.presets)}, and folders of presets.")
            return super().from_preset(preset, *args, **kwargs)
        if known.network != cls.network.__name__:
            raise ValueError(f"The preset {preset!r} is an {known.network}. Received: {cls.__name__}.from_preset.")
        return cls.from_zoo(known, *args, **kwargs)


class EulerBackbone(FromZoo, Traced, keras_hub.models.Backbone):
    """The layers of a network of the core but for its top, as a backbone of KerasHub's. Abstract.

    Attributes:
        arguments: Dict of what the network was built with.
    """

    def __init__(self, network, name=None, trainable=True):
        super().__init__(inputs=network.input, outputs=network.output, dtype=network.dtype_policy, name=name, trainable=trainable)
        owned = (*NOT_OF_BACKBONES, "name", "trainable", "dtype")
        self.arguments = {key: value for key, value in network.serialized_arguments().items() if key not in owned}
        self._replacements = network.serialized_replacements  # the function: layers may still change
        self.depth = network.depth
        self.h = network.h
        self.data_format = network.data_format

    def get_config(self):
        replaced = self._replacements(trainable=self.trainable)
        return {**super().get_config(), **self.arguments, "replaced_layers": replaced}

    @classmethod
    def from_config(cls, config):
        check_version(cls, config, {*inspect.signature(cls.network).parameters, *inspect.signature(cls).parameters})
        return super().from_config({**config, "replaced_layers": deserialized(config.get("replaced_layers"))})

    @classmethod
    def from_zoo(cls, preset, load_weights=True, **kwargs):
        arguments = {name: value for name, value in preset.arguments.items() if name not in TOP}
        backbone = cls(**{**arguments, **kwargs})
        if load_weights:
            own = {name: value for name, value in kwargs.items() if name not in ("name", "trainable", "dtype", "image_shape")}
            trained = cls.network(**{**arguments, **own}, include_top=False, weights=preset.name)
            backbone.set_weights(trained.get_weights())
        return backbone


class EulerTask(FromZoo):
    """A task of KerasHub's around an `EulerBackbone`. Abstract.

    A subclass has `head`, pairs of the name of each of its layers with weights after the backbone and that in the core's
    network, and `from_core`, the names of the network's arguments that it takes too.
    """

    @classmethod
    def from_zoo(cls, preset, load_weights=True, **kwargs):
        is_new = "num_classes" in kwargs  # then the head is not the trained one
        of_task, of_network = _arguments(cls), inspect.signature(cls.network).parameters
        of_backbone = {*of_network, "image_shape"} - {*NOT_OF_BACKBONES, "input_shape"}
        unknown = sorted(set(kwargs) - of_task - of_backbone)
        if unknown:
            known = ", ".join(sorted(of_task | of_backbone))
            raise TypeError(f"{cls.__name__} has no {', '.join(unknown)}. Its arguments are {known}.")
        inner = {name: kwargs.pop(name) for name in [*kwargs] if name in of_backbone - of_task or name == "dtype"}
        settings = {name: value for name, value in preset.arguments.items() if name in cls.from_core}
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls.from_preset(preset.name, load_weights, **inner)
        elif inner:
            raise TypeError(f"{', '.join(inner)} belongs to the backbone. Received: both. Pass it there, or no `backbone`.")
        if "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.for_backbone(preset, kwargs["backbone"])
        task = cls(**{**settings, **kwargs})
        if load_weights and not is_new:
            trained = cls.network(**preset.arguments, weights=preset.name)
            for name, core in cls.head:
                task.get_layer(name).set_weights(trained.get_layer(core).get_weights())
        return task

    @classmethod
    def from_config(cls, config):
        check_version(cls, config, _arguments(cls))
        return super().from_config(config)


def _arguments(cls):
    """Names of the arguments that a class takes, and those it passes on to the classes that it extends."""
    classes = [base for base in cls.__mro__ if base.__module__.startswith(("keras_euler", "keras_hub"))]
    parameters = [p for base in classes for p in inspect.signature(base.__init__).parameters.values()]
    named = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return named - {"self"} | {"name", "trainable", "dtype"}


def check_version(cls, config, known):
    """Raise a ValueError where a saved configuration has what this version of a class does not."""
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(
            f"{cls.__name__} of keras_euler {__version__} has no {', '.join(unknown)}: the preset was saved by "
            "another version. Install that one."
        )


def check_backbone(backbone, kind):
    """Raise a TypeError unless this is a backbone of that class."""
    if not isinstance(backbone, kind):
        raise TypeError(f"`backbone` must be an {kind.__name__}. Received: {type(backbone).__name__}.")
