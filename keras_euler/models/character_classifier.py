"""A model that takes strings: it encodes their characters for a network of ids."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_euler import _backend
from keras_euler._checks import as_array
from keras_euler._register import register
from keras_euler._types import Array, Config, Tensor, Texts
from keras_euler.datasets.text import check_ids, check_texts, encode_characters, vocabulary_size
from keras_euler.models.validation import (
    Classes,
    check_class_names,
    last_activation,
    most_probable,
    prepared_inputs,
    validates_inputs,
)


@validates_inputs
@register
class CharacterClassifier(keras.Model):
    """A network of character ids that takes strings: in a call, `fit`, `evaluate` and `predict`.

    `datasets.text.encode_characters` turns strings into ids, in NumPy, before the compiled
    step. The model therefore works on every backend and is saved with its network as a `.keras`
    file. It takes lists, columns of a table and other sequences of strings, or arrays of ids; data
    sets and generators must give ids. (Keras' `TextVectorization` needs TensorFlow on all backends
    and numbers the characters differently.)

    Args:
        network: A built Keras model from ids `(batch, length)` to `(batch, num_classes)`, such as
            an `EulerVDCNN`, alone or after a `RandomCharacters`.
        alphabet: `"authors"`, `"zhang"`, or a string of symbols, as for `encode_characters`.
        class_names: One name per class, for `classify`, or None.
        **kwargs: `name` and `trainable`, as for every Keras model.

    Input shape: n strings, or ids `(n, length)`. Output shape: that of the network.

    Raises:
        ValueError: The alphabet has too many ids for the network or its input's dtype, the number
            of names is wrong, or the network's output is not `(batch, num_classes)`. In use: an id
            is outside the alphabet, or a label is not a class.
        TypeError: `network` is not a built model. In use: a text is not a string, or a label is not
            a number.

    Example:

    >>> network = keras_euler.EulerVDCNN(depth=9, sequence_length=64, dense_units=32)
    >>> model = CharacterClassifier(
    ...     network, class_names=["World", "Sports", "Business", "Sci/Tech"]
    ... )
    >>> model.predict(["Wall St. Bears Claw Back", ""], verbose=0).shape
    (2, 4)
    >>> [(name, probability)] = model.classify(["Wall St. Bears Claw Back"])
    >>> name in model.class_names, 0.25 <= probability <= 1
    (True, True)
    """

    def __init__(
        self,
        network: keras.Model,
        alphabet: str = "authors",
        class_names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if (
            not isinstance(network, keras.Model)
            or not network.built
            or len(network.input_shape) != 2
        ):
            raise TypeError(
                "`network` must be a built Keras model of ids (batch, length). Received: "
                f"network={network!r}."
            )
        if len(network.output_shape) != 2:
            raise ValueError(
                "`network` must give (batch, num_classes). Received: the output shape "
                f"{network.output_shape}."
            )
        num_classes, num_ids = network.output_shape[-1], vocabulary_size(alphabet)
        tables = [
            layer.input_dim
            for layer in _backend.all_layers(network)
            if isinstance(layer, keras.layers.Embedding)
        ]
        if tables and max(tables) < num_ids:  # smaller tables may hold positions
            raise ValueError(
                f"The alphabet needs a network of vocabulary_size={num_ids}. Received: one of "
                f"vocabulary_size={max(tables)}."
            )
        dtype = network.inputs[0].dtype
        if keras.backend.is_int_dtype(dtype) and num_ids - 1 > np.iinfo(dtype).max:
            raise ValueError(
                f"The alphabet needs ids up to {num_ids - 1}, and `network` takes {dtype}. Give it "
                "a keras.Input of dtype='int32'."
            )
        class_names = check_class_names(class_names, num_classes)

        inputs = keras.Input(network.input_shape[1:], dtype=dtype, name="ids")
        super().__init__(inputs=inputs, outputs=network(inputs), **kwargs)
        # `compile` scales the loss by it under mixed_float16.
        self.dtype_policy = network.dtype_policy
        self.network = network
        self.alphabet = alphabet
        self.class_names = class_names

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        return super().__call__(prepared_inputs(self, inputs), *args, **kwargs)

    def classify(self, texts: Texts, **kwargs: Any) -> Classes:
        """Return the most probable class of each text and its probability.

        Args:
            texts: List or array of n strings.
            **kwargs: As for `predict`: `batch_size` and the like.

        Returns:
            List of n pairs: the name of the class, or its number without `class_names`, and the
            probability from 0 to 1.
        """
        texts = check_texts(texts)
        if not texts:
            return []
        outputs = self.predict(texts, **{"verbose": 0, **kwargs})
        return most_probable(outputs, self.class_names, last_activation(self.network))

    def prepare_inputs(self, x: Any) -> Array:
        """Encode strings as ids; check ids."""
        length = self.network.input_shape[1]
        if isinstance(x, str) or as_array("x", x).dtype.kind in "OUST":
            return encode_characters(x, length, self.alphabet)
        return check_ids(x, vocabulary_size(self.alphabet), length)

    def get_config(self) -> Config:
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "alphabet": self.alphabet,
            "class_names": self.class_names,
            "trainable": self.trainable,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(
            **{**config, "network": keras.saving.deserialize_keras_object(config["network"])}
        )
