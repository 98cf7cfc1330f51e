"""The functional model that networks, `eulerize`, `fold` and `block_features` return."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_euler._backend import Direct, all_layers
from keras_euler._checks import check_choice
from keras_euler._register import register
from keras_euler._types import Array, Config, Shape
from keras_euler.datasets.text import check_ids
from keras_euler.layers import CharacterEmbedding
from keras_euler.models.validation import check_numbers, validates_inputs
from keras_euler.models.weights import load_weights


@validates_inputs
@register
class EulerModel(Direct, keras.Model):
    """A functional `keras.Model` whose layers are called directly on torch.

    Keras saves, copies and clones it as any functional model, with all that was changed on its
    layers. On torch it leaves out the work that Keras repeats around each layer; the results have
    the same bits. `KERAS_EULER_DIRECT=0` in the environment switches that off.

    `fit`, `evaluate`, `predict` and their `*_on_batch` check arrays, columns of a table and lists:
    ids of characters must be in the vocabulary, and labels of a sparse cross entropy must be
    classes. Tensors and data sets are passed on as they are.

    Args:
        inputs, outputs: Structures of symbolic tensors.
        name, trainable: As for every Keras model.

    Example:

    >>> x = keras.Input((2,))
    >>> model = EulerModel(x, keras_euler.EulerResidual([keras.layers.Dense(2)])(x))
    >>> model(np.ones((1, 2), "float32")).shape == (1, 2)
    True
    """

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        for layer in all_layers(self):  # `compile` scales the loss by the policy of the model
            if layer.dtype_policy.name == "mixed_float16":
                self.dtype_policy = layer.dtype_policy

    def prepare_inputs(self, x: Any) -> Array:
        """Check ids of characters, for which a compiled step would take any number; check that
        images are numbers."""
        for layer in self.layers[:2]:
            if isinstance(layer, CharacterEmbedding):
                return check_ids(x, layer.input_dim, self.input_shape[1])
        return x if self.inputs[0].dtype == "string" else check_numbers(x)


def chain(
    inputs: keras.KerasTensor,
    layers: Iterable[keras.layers.Layer],
    name: str,
    network: Callable[..., keras.Model],
    arguments: Config,
) -> EulerModel:
    """Return the model of layers that are called in order, as the arguments of a network say."""
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    model = EulerModel(inputs, outputs, name=name)
    model.trainable = check_choice("trainable", arguments["trainable"], (True, False))
    if arguments["weights"] is not None:
        load_weights(model, network, arguments)
    return model
