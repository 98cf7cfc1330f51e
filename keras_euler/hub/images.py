"""EulerResNet as a KerasHub image classifier."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import keras_hub
import numpy as np

from keras_euler._register import register
from keras_euler._types import Array, ArrayLike, Config, DType, StepFactor, Tensor
from keras_euler.hub.base import EulerBackbone, EulerTask, FromZoo, check_backbone
from keras_euler.models import EulerResNet, Preset
from keras_euler.models.image_classifier import check_pixels
from keras_euler.models.validation import check_numbers, validates_inputs


@register
class EulerResNetBackbone(EulerBackbone):
    """The blocks of an `EulerResNet`, from normalized images to the feature map.

    As every KerasHub backbone, it is saved and copied by its arguments and weights, without what
    was changed on its layers: save a changed network as an `EulerResNet`.

    Args:
        depth: As for `EulerResNet`: 6n + 2.
        h: As for `EulerResNet`.
        image_shape: Shape of one image in the order of `data_format`. Default: 32 x 32 pixels of 3
            channels.
        name, trainable, dtype: As for every Keras model.
        **kwargs: The other arguments of `EulerResNet` except those of its top: `widths`, `norm`,
            `shortcut`, `preactivation`, `trainable_h`, `zero_gamma`, `scheme`, `skip`, `drop_path`,
            `kernel_initializer` and `data_format`.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, height / 4, width / 4,
    widths[-1])`.

    Raises:
        ValueError, TypeError: As `EulerResNet`.

    Example:

    >>> backbone = EulerResNetBackbone(depth=8, h=0.1)
    >>> backbone.output_shape
    (None, 8, 8, 64)
    """

    network = EulerResNet

    def __init__(
        self,
        depth: int = 110,
        h: StepFactor = 0.1,
        image_shape: Sequence[int | None] | None = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: DType = None,
        **kwargs: Any,
    ) -> None:
        arguments = {"depth": depth, "h": h, "input_shape": image_shape, **kwargs}
        super().__init__(arguments, name, trainable, dtype)
        self.arguments.pop("input_shape")
        self.arguments["image_shape"] = self.image_shape = self.input_shape[1:]


@register
class EulerResNetImageConverter(keras_hub.layers.ImageConverter):
    """KerasHub's `ImageConverter` for `EulerResNetBackbone`: normalize uint8 images and resize them
    if necessary.

    Example:

    >>> converter = EulerResNetImageConverter(image_size=(32, 32), scale=1 / 255)
    >>> tuple(converter(np.zeros((1, 40, 40, 3), "uint8")).shape)
    (1, 32, 32, 3)
    """

    backbone_cls = EulerResNetBackbone

    def call(self, inputs: Tensor) -> Tensor:
        expected = np.size(self.scale)
        received = inputs.shape[-3 if self.data_format == "channels_first" else -1]
        if expected > 1 and received not in (None, expected):
            raise ValueError(
                f"Images must have {expected} channels. Received: an array of the shape "
                f"{tuple(inputs.shape)}."
            )
        return super().call(inputs)

    def get_config(self) -> Config:
        return {**super().get_config(), "data_format": self.data_format}


@register
class EulerResNetImageClassifierPreprocessor(FromZoo, keras_hub.models.ImageClassifierPreprocessor):
    """KerasHub's `ImageClassifierPreprocessor` with an `EulerResNetImageConverter`.

    Example:

    >>> preprocessor = EulerResNetImageClassifierPreprocessor.from_preset("euler_resnet_20_cifar10")
    >>> tuple(preprocessor(np.zeros((1, 32, 32, 3), "uint8")).shape)
    (1, 32, 32, 3)
    """

    network = EulerResNet
    backbone_cls = EulerResNetBackbone
    image_converter_cls = EulerResNetImageConverter

    @classmethod
    def for_backbone(cls, preset: Preset, backbone: EulerResNetBackbone) -> Self:
        """Make the preprocessor of a preset for the image size of a backbone."""
        shape = backbone.image_shape
        return cls.from_zoo(
            preset, image_size=shape[1:] if backbone.data_format == "channels_first" else shape[:2]
        )

    @classmethod
    def from_zoo(
        cls, preset: Preset, image_size: Sequence[int] | None = None, **kwargs: Any
    ) -> Self:
        mean, stddev = preset.preprocessing["mean"], preset.preprocessing["stddev"]
        converter = EulerResNetImageConverter(
            image_size=tuple(image_size or preset.arguments.get("input_shape", (32, 32, 3))[:2]),
            scale=[1 / s for s in stddev],
            offset=[-m / s for m, s in zip(mean, stddev, strict=True)],
        )
        return cls(**{"image_converter": converter, **kwargs})


@validates_inputs
@register
class EulerResNetImageClassifier(EulerTask, keras_hub.models.ImageClassifier):
    """KerasHub's `ImageClassifier` around an `EulerResNetBackbone`: `fit`, `evaluate` and `predict`
    take raw images.

    Args:
        backbone: An `EulerResNetBackbone`.
        num_classes: Number of logits.
        preprocessor: An `EulerResNetImageClassifierPreprocessor`, or None for normalized images.
        head_dtype: Dtype of the logits; float32 by default, also with a backbone of another dtype.
        **kwargs: Arguments of `keras_hub.models.ImageClassifier`, such as `pooling`, `activation`
            and `dropout`.

    Raises:
        ValueError, TypeError: As KerasHub's. In use: images are scaled to at most 1 although the
            preprocessor scales them, or a label is not a class.

    Example:

    >>> classifier = EulerResNetImageClassifier.from_preset("euler_resnet_20_cifar10")
    >>> classifier.predict(np.zeros((2, 32, 32, 3), "uint8"), verbose=0).shape
    (2, 10)
    """

    network = EulerResNet
    backbone_cls = EulerResNetBackbone
    preprocessor_cls = EulerResNetImageClassifierPreprocessor
    network_arguments = ("num_classes", "pooling")
    head = (("predictions", "logits"),)

    def __init__(
        self,
        backbone: EulerResNetBackbone,
        num_classes: int,
        preprocessor: keras.layers.Layer | None = None,
        head_dtype: str = "float32",
        **kwargs: Any,
    ) -> None:
        check_backbone(backbone, EulerResNetBackbone)
        super().__init__(
            backbone, num_classes, preprocessor=preprocessor, head_dtype=head_dtype, **kwargs
        )

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Call the network on what the preprocessor returns: raw pixels are refused."""
        for x in keras.tree.flatten(inputs):
            dtype = keras.backend.standardize_dtype(getattr(x, "dtype", "float32"))
            if self._scales and not keras.backend.is_float_dtype(dtype):
                raise ValueError(
                    f"A direct call takes what `preprocessor` returns. Received: {dtype} pixels. "
                    "Call `predict`, or call the model on preprocessor(x)."
                )
        return super().__call__(inputs, *args, **kwargs)

    @property
    def _scales(self) -> bool:
        """Whether the preprocessor scales pixels."""
        converter = getattr(getattr(self, "preprocessor", None), "image_converter", None)
        return converter is not None and converter.scale is not None

    def prepare_inputs(self, x: ArrayLike) -> Array:
        """Check images, so that they are not scaled twice and no gray one is taken for three
        channels."""
        x = check_pixels(x, must_be_whole=False) if self._scales else check_numbers(x)
        axis = -3 if self.backbone.data_format == "channels_first" else -1
        channels = self.backbone.input_shape[axis]
        if x.ndim not in (3, 4) or x.shape[axis] != channels:
            raise ValueError(
                f"Images must have {channels} channels. Received: an array of the shape {x.shape}."
            )
        return x
