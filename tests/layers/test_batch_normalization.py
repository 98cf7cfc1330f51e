"""Our batch norm compared with Keras' own: the same numbers in every mode, fused or not."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler.layers import BatchNormalization

ARRAY = keras.ops.convert_to_numpy


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 4, 5, 3), -1), ((6, 3, 4, 5), 1), ((9, 3), -1), ((6, 7, 3), -1)]
)
def test_equals_its_plain_keras_twin(shape, axis, training, rng):
    x, target = rng.normal(2, 3, size=(2, *shape)).astype("float32")
    layers = [
        BatchNormalization(axis),
        keras.layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-5),
    ]
    values = [rng.uniform(0.5, 1.5, size=3) for _ in range(4)]
    results = []
    for layer in layers:
        inputs = keras.Input(shape[1:])
        model = keras.Model(inputs, layer(inputs))
        layer.set_weights(values)
        outputs = ARRAY(layer(x, training=training))
        layer.set_weights(values)
        layer.trainable = training
        model.compile(keras.optimizers.SGD(0.1), "mse")
        if training:  # gradients of gamma and beta, and the moving statistics
            model.fit(x, target, batch_size=len(x), verbose=0)
        results.append([outputs, *layer.get_weights()])
    for ours, twin in zip(*results, strict=True):
        np.testing.assert_allclose(ours, twin, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_the_input_as_through_the_twin(rng):
    x, target = rng.normal(size=(2, 32, 4)).astype("float32")
    kernels = []
    for norm in (BatchNormalization(), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(4, kernel_initializer="identity"), norm]
        )
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(x, target, batch_size=32, epochs=3, verbose=0)
        kernels.append(model.get_weights()[0])
    np.testing.assert_allclose(*kernels, rtol=1e-4, atol=1e-5)
    assert np.abs(kernels[0] - np.eye(4)).max() > 0.01


def test_moving_statistics_are_the_biased_ones_at_momentum_0_9(rng):
    x = rng.normal(3, 2, size=(5, 2)).astype("float32")
    layer = BatchNormalization()
    layer(x, training=True)
    np.testing.assert_allclose(ARRAY(layer.moving_mean), 0.1 * x.mean(0), rtol=1e-5)
    # Not n / (n - 1) of it.
    np.testing.assert_allclose(ARRAY(layer.moving_variance), 0.9 + 0.1 * x.var(0), rtol=1e-5)


def test_a_last_batch_of_one_trains_at_one_pixel(rng):
    """Three stages leave one pixel of a 4 x 4 image; Keras normalizes one value per channel to
    zero, and so to beta."""
    model = keras_euler.EulerResNet(8, input_shape=(4, 4, 3), num_classes=3)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(
        rng.normal(size=(3, 4, 4, 3)), np.arange(3), batch_size=2, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()


def test_frozen_layer_uses_and_keeps_its_moving_statistics(rng):
    x = rng.normal(5, 2, size=(64, 3)).astype("float32")
    layer = BatchNormalization()
    layer.trainable = False
    np.testing.assert_allclose(ARRAY(layer(x, training=True)), x / np.sqrt(1 + 1e-5), rtol=1e-5)
    np.testing.assert_array_equal(ARRAY(layer.moving_mean), 0)
