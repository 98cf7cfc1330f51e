"""The order of the examples is a function of the seed and the epoch."""

import keras
import numpy as np
import pytest

from keras_euler import training


@pytest.mark.once
def test_each_epoch_has_the_permutation_of_seed_and_epoch(tmp_path):
    rows, x = [], np.arange(10, dtype="float32")[:, None]

    class Seen(keras.layers.Layer):
        """Passes its inputs on and keeps them."""

        def call(self, inputs, training=False):
            if training:
                rows.extend(keras.ops.convert_to_numpy(inputs)[:, 0].tolist())
            return inputs

    model = keras.Sequential([keras.Input((1,)), Seen(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    training.fit(model, (x, x), None, tmp_path, epochs=2, batch_size=4, seed=7, verbose=0)
    expected = [np.random.default_rng([7, epoch]).permutation(10) for epoch in range(2)]
    assert rows == np.concatenate(expected).tolist() and (expected[0] != expected[1]).any()
