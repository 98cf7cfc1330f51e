"""The base class of the random layers: a seeded generator, and a clear error inside `tf.data` on
other backends."""

from typing import Any

import keras

from keras_euler import _backend
from keras_euler._types import Config, Shape, Tensor


class RandomLayer(keras.layers.Layer):
    """Draw from a seeded generator and keep the shape of the input. Abstract.

    Args:
        seed: Integer, or None for a random one. The same seed gives the same sequence.
        **kwargs: As for every Keras layer.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        backend = keras.backend.backend()
        if backend != "tensorflow" and _backend.is_tensorflow_graph_tensor(inputs):
            raise ValueError(
                f"{type(self).__name__} runs on {backend} and cannot run inside "
                f"`tf.data.Dataset.map`. Received: inputs={inputs!r}. Put the layer into the "
                "model, before the network: it then runs in every training step, on the device."
            )
        return super().__call__(inputs, *args, **kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}
