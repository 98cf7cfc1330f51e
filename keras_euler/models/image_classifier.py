"""A Sequential model of raw pixels that rejects images of another scale."""

import os
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_euler._register import register
from keras_euler._types import Array, ArrayLike, Config, PathLike, Tensor
from keras_euler.models.validation import (
    Classes,
    check_class_names,
    check_numbers,
    last_activation,
    most_probable,
    prepared_inputs,
    validates_inputs,
)


@validates_inputs
@register
class ImageClassifier(keras.Sequential):
    """A `keras.Sequential` model of raw images, with pixels in 0..255, that rejects images of
    another scale.

    Keras casts inputs to the dtype of the model's `Input`: a plain model of uint8 pixels sees `x /
    255` as black images and gives the same answer for all. This model raises an error instead, in
    `fit`, `evaluate`, `predict`, their `*_on_batch` and a call. Of arrays it accepts whole numbers
    in 0..255 of any dtype, and uint8 pixels reach the device as uint8. Of tensors, which may have
    no values yet, and batches of data sets it checks the dtype: if the `Input` is of integers,
    theirs must be, too. `keras.models.clone_model` gives a plain Sequential model.

    Args:
        layers: List of layers that begins with a `keras.Input` and includes the normalization.
        class_names: One name per class, for `classify`, or None.
        **kwargs: `name` and `trainable`, as for `keras.Sequential`.

    Input and output shape: those of the layers.

    Raises:
        ValueError: Pixels are scaled to at most 1, or are not whole numbers in 0..255 although the
            `Input` is of integers, or are a tensor of floats then; or a label is not a class; or
            the number of names is wrong.
        TypeError: Images are not numbers.

    Example:

    >>> layers = [
    ...     keras.Input((32, 32, 3), dtype="uint8"),
    ...     keras.layers.Rescaling(1 / 255),
    ...     keras_euler.EulerResNet(depth=8),
    ... ]
    >>> model = ImageClassifier(layers)
    >>> images = np.full((2, 32, 32, 3), 128, "uint8")
    >>> model.predict(images, verbose=0).shape
    (2, 10)
    >>> model.predict(images / 255, verbose=0)
    Traceback (most recent call last):
        ...
    ValueError: Images must be raw pixels, whole numbers in 0..255. Received: float64 values ...
    """

    def __init__(
        self,
        layers: Sequence[keras.layers.Layer] | None = None,
        class_names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(layers, **kwargs)
        if class_names is not None:
            if not self.built:
                raise ValueError(
                    "`layers` must begin with a keras.Input so that `class_names` can name its "
                    "outputs. Received: none."
                )
            class_names = check_class_names(class_names, self.output_shape[-1])
        self.class_names = class_names

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        inputs = prepared_inputs(self, inputs)
        for x in keras.tree.flatten(inputs):
            dtype = keras.backend.standardize_dtype(x.dtype)
            if self._of_integers() and not keras.backend.is_int_dtype(dtype):
                raise ValueError(
                    "Images must be raw pixels, whole numbers in 0..255. Received: a tensor of "
                    f"{dtype}. Pass the pixels as uint8, in tensors and data sets, too."
                )
        return super().__call__(inputs, *args, **kwargs)

    def classify(self, images: PathLike | Sequence[PathLike] | ArrayLike, **kwargs: Any) -> Classes:
        """Return the most probable class of each image and its probability.

        Args:
            images: The path of an image file, or a list of paths; such images are cropped to the
                model's aspect ratio and resized. Or an array of raw pixels of the model's size, one
                image or n: uint8, or floats in 0..255, which are rounded.
            **kwargs: As for `predict`: `batch_size` and the like.

        Returns:
            List of n pairs: the name of the class, or its number without `class_names`, and the
            probability from 0 to 1.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is not an image, or an array has another size or scale.
            ImportError: Pillow is missing, which reads files.

        Example:

        >>> model = keras_euler.list_presets()["euler_resnet_20_cifar10"].load()
        >>> black = np.zeros((32, 32, 3), "uint8")
        >>> [(name, probability)] = model.classify(black)
        >>> name in model.class_names, 0.1 <= probability <= 1
        (True, True)
        """
        shape = self.input_shape[1:]
        if isinstance(images, (str, os.PathLike)):
            images = [images]
        if isinstance(images, (list, tuple)):
            if not images:
                return []
            if all(isinstance(image, (str, os.PathLike)) for image in images):
                images = np.stack([read_image(image, shape) for image in images])
        images = check_numbers(images)
        if images.dtype.kind == "f":
            images = np.rint(check_pixels(images, must_be_whole=False))
        given = images.shape
        images = images[None] if images.ndim == len(shape) else images
        fits = images.ndim == len(shape) + 1 and all(
            size in (None, found) for size, found in zip(shape, images.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"Images must have the shape {shape}, or (n, {str(shape)[1:]}. Received: an array "
                f"of the shape {given}. Only files may have any size."
            )
        if not len(images):
            return []
        outputs = self.predict(images, **{"verbose": 0, **kwargs})
        return most_probable(outputs, self.class_names, last_activation(self))

    def get_config(self) -> Config:
        return {**super().get_config(), "class_names": self.class_names}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> Self:
        model, class_names = super().from_config(config, custom_objects), config.get("class_names")
        model.class_names = None if class_names is None else tuple(class_names)
        return model

    def prepare_inputs(self, x: Any) -> Array:
        """Check images; if the `Input` is of integers, convert pixels of another dtype."""
        x = check_pixels(x, must_be_whole=self._of_integers())
        return x.astype(self.inputs[0].dtype, copy=False) if self._of_integers() else x

    def _of_integers(self) -> bool:
        return keras.backend.is_int_dtype(self.inputs[0].dtype)


def read_image(path: PathLike, shape: Sequence[int | None]) -> Array:
    """Read an image file as uint8 of this shape: the middle of the image in the right aspect ratio,
    resized.

    Args:
        path: A PNG, JPEG or other file that Pillow reads.
        shape: Height, width and channels; a height or width of None keeps that of the file.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file is not an image, or `shape` is not that of images with 1, 3 or 4
            channels last.
        ImportError: Pillow is missing.
    """
    modes: dict[int | None, str] = {1: "L", 3: "RGB", 4: "RGBA"}
    if len(shape) != 3 or shape[-1] not in modes:
        raise ValueError(
            "Files need a model of images (height, width, channels). Received: a model of "
            f"{tuple(shape)}."
        )
    name = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"The image {name!r} does not exist. Pass the path of a file, or an array of pixels."
        )
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("Image files need Pillow. Install it: pip install pillow") from error
    height, width, channels = shape
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
        if image.mode == "F" or (image.mode == "I" and opened.format != "PNG"):
            raise ValueError("its pixels of 32 bits have no known scale")
        if image.mode.startswith("I"):  # 16 bits: 65535 = 257 * 255
            image = Image.fromarray(np.rint(np.asarray(image) / 257).astype("uint8"))
        image = image.convert(modes[channels])
        if height and width:
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    except Exception as error:  # Pillow raises errors of many types
        reason = "its format is unknown" if "cannot identify" in str(error) else error
        raise ValueError(f"{name!r} cannot be read as an image: {reason}.") from error
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def check_pixels(x: Any, must_be_whole: bool = True) -> Array:
    """Return images as an array, or raise if they are scaled: if no number is above 1, unless all
    are 0.

    With `must_be_whole` each number must be whole and in 0..255, as a cast to uint8 requires.
    """
    x = check_numbers(x)
    if x.dtype == np.uint8 or not x.size:
        return x
    low, high = x.min(), x.max()
    is_scaled = x.dtype.kind not in "iu" and low >= -1 and high <= 1 and (low, high) != (0, 0)
    if is_scaled or (must_be_whole and not (low >= 0 and high <= 255 and (x % 1 == 0).all())):
        wanted = "whole numbers in 0..255" if must_be_whole else "numbers from 0 to 255"
        raise ValueError(
            f"Images must be raw pixels, {wanted}. Received: {x.dtype} values from {low:g} to "
            f"{high:g}. Pass the pixels as they are, such as uint8 from a file: the model scales "
            "and normalizes them."
        )
    return x
