"""Random letters in place of characters, drawn at every step;
`datasets.text.corrupt_characters` draws them once."""

from typing import Any

import keras
from keras import ops

from keras_euler._checks import check_choice, check_number
from keras_euler._register import register
from keras_euler._types import Config, Tensor
from keras_euler.datasets.text import LETTERS, PADDING
from keras_euler.layers.gaussian_noise import WHEN_CHOICES
from keras_euler.layers.random_layer import RandomLayer


@register
class RandomCharacters(RandomLayer):
    """Replace each character with probability `rate` by a random letter, uniform in a..z.

    A letter is unchanged with probability `1 - rate * 25 / 26`, any other character with `1 -
    rate`. Padding, id 0, is never replaced. With `rate=0`, and in inference with `when="training"`,
    the layer returns its input.

    Args:
        rate: Probability of replacement, 0 to 1.
        when: `"training"` adds noise in training only, `"always"` in inference too.
        seed: Integer, or None for a random one. The same seed gives the same sequence of noise.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Call arguments:
        inputs: Tensor of integer ids, any shape and integer dtype; the ids of a..z are 1 to 26, as
            in both alphabets of `datasets.text`.
        training: Whether this is a training step.

    Input and output: any shape; shape and dtype are the same.

    Raises:
        ValueError: `rate` is outside [0, 1], or `when` is unknown.
        TypeError: `rate` is not a number, or the inputs are not integers.

    Example:

    >>> ids = np.array([[40, 40, 40, 0]], "int32")
    >>> noisy = keras.ops.convert_to_numpy(RandomCharacters(rate=1.0, seed=0)(ids, training=True))
    >>> bool((noisy[0, :3] <= 26).all()), int(noisy[0, 3])
    (True, 0)
    """

    def __init__(
        self, rate: float, when: str = "training", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = check_number("rate", rate, 0, 1)
        self.when = check_choice("when", when, WHEN_CHOICES)
        self.supports_masking = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if "int" not in dtype:
            raise TypeError(
                f"RandomCharacters takes integer ids. Received: inputs of {dtype}. Encode the "
                "texts first."
            )
        if self.rate == 0 or not (training or self.when == "always"):
            return inputs
        shape = ops.shape(inputs)
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        letters = keras.random.randint(
            shape, 1, LETTERS + 1, dtype="int32", seed=self.seed_generator
        )
        is_replaced = ops.logical_and(draws < self.rate, ops.not_equal(inputs, PADDING))
        return ops.where(is_replaced, ops.cast(letters, dtype), inputs)

    def compute_output_spec(self, inputs: Tensor, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)  # Keras would infer a float dtype

    def get_config(self) -> Config:
        return {**super().get_config(), "rate": self.rate, "when": self.when}
