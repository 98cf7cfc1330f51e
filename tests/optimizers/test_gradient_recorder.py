"""The recorder compared with NumPy's gradients in every mode of training."""

import keras
import numpy as np
import pytest

from keras_euler import GradientRecorder
from tests import dense

BACKEND = keras.backend.backend()
SGD = keras.optimizers.SGD
SCHEDULE = keras.optimizers.schedules.ExponentialDecay

MODES = {
    "default": {},
    "eager": {"run_eagerly": True},
    "float16": {"dtype": "mixed_float16"},
    "bfloat16": {"dtype": "mixed_bfloat16"},
}
# Torch refuses the first, and for it the second is torch.compile, minutes of it.
if BACKEND != "torch":
    MODES |= {"two steps per execution": {"steps_per_execution": 2}, "jit": {"jit_compile": True}}
OPTIMIZERS = {
    "momentum": lambda rate: SGD(rate, momentum=0.9),
    "clipnorm": lambda rate: SGD(rate, clipnorm=1e-3),
    "accumulation": lambda rate: SGD(rate, gradient_accumulation_steps=2),
    "averages": lambda rate: SGD(rate, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "loss scale": lambda rate: SGD(rate, loss_scale_factor=8.0),
    "schedule": lambda rate: SGD(SCHEDULE(rate, 2, 0.5)),
    "adam": lambda rate: keras.optimizers.AdamW(rate),
}
CASES = [("default", optimizer) for optimizer in OPTIMIZERS]
CASES += [(mode, "momentum") for mode in MODES if mode != "default"]
CASES += [("float16", "accumulation"), ("float16", "clipnorm"), ("float16", "loss scale")]


def recorder(model):
    """The recorder, which `compile` wraps under mixed_float16."""
    optimizer = model.optimizer
    return optimizer if isinstance(optimizer, GradientRecorder) else optimizer.inner_optimizer


def train(model, epochs=2):
    return model.fit(dense.X, dense.Y, 8, epochs, verbose=0, shuffle=False)


def batches():
    return [(dense.X[i : i + 8], dense.Y[i : i + 8]) for i in range(0, 32, 8)]


@pytest.mark.parametrize(("mode", "optimizer"), CASES)
def test_norms_are_those_of_the_gradients_before_anything_is_done_to_them(mode, optimizer):
    """With a rate of 0 the weights are constant, so that the gradient of every batch is known."""
    model = dense.network(GradientRecorder(OPTIMIZERS[optimizer](0.0), capacity=5), **MODES[mode])
    expected = np.array([dense.norms(dense.weights(model), x, y) for x, y in batches()] * 2)
    train(model)
    iterations, norms = recorder(model).recent()
    assert iterations.tolist() == [4, 5, 6, 7, 8]
    tolerance = 3e-2 if "dtype" in MODES[mode] else 1e-5
    np.testing.assert_allclose(norms, expected[-5:], rtol=tolerance)
    statistics = recorder(model).statistics()
    assert list(statistics) == [variable.path for variable in model.trainable_variables] + ["total"]
    np.testing.assert_allclose(
        [s["mean"] for s in statistics.values()], expected.mean(axis=0), rtol=tolerance
    )
    np.testing.assert_allclose(
        [s["maximum"] for s in statistics.values()], expected.max(axis=0), rtol=tolerance
    )


def test_step_that_loss_scaling_skips_is_not_recorded():
    model = dense.network(GradientRecorder("sgd"), dtype="mixed_float16")
    x = np.concatenate([np.full((8, 6), np.inf, "float32"), dense.X[:8]])
    model.fit(x, dense.Y[:16], 8, verbose=0, shuffle=False)
    iterations, norms = recorder(model).recent()
    assert iterations.tolist() == [1] and np.isfinite(norms).all()


def test_embedding_whose_gradient_is_sparse_on_tensorflow():
    embedding = keras.layers.Embedding(7, 2, embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((3,)), embedding, keras.layers.GlobalAveragePooling1D()])
    model.compile(GradientRecorder(SGD(0.1)), lambda y, p: keras.ops.sum(p, axis=-1))
    model.fit(np.array([[1, 1, 2]]), np.zeros((1, 2)), verbose=0)
    # dL/dw: 2/3 for each of the two components of row 1, 1/3 for those of row 2
    np.testing.assert_allclose(
        recorder(model).recent()[1][0, 0], np.sqrt(2 * (4 + 1) / 9), rtol=1e-6
    )


def test_saved_and_loaded_with_the_model(tmp_path):
    model = dense.network(GradientRecorder(SGD(0.1, momentum=0.9), capacity=3))
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.capacity == 3 and loaded.optimizer.inner_optimizer.momentum == 0.9
    np.testing.assert_array_equal(loaded.optimizer.recent()[1], model.optimizer.recent()[1])
    assert list(loaded.optimizer.statistics().values()) == list(
        model.optimizer.statistics().values()
    )


BAD = [
    (
        lambda: GradientRecorder(None),
        TypeError,
        "`inner_optimizer` must be a Keras optimizer or its name. Received: None",
    ),
    (
        lambda: GradientRecorder("sgd", capacity=0),
        ValueError,
        "`capacity` must be an integer >= 1. Received: capacity=0",
    ),
    (lambda: GradientRecorder("sgd", capacity=1.5), TypeError, "Received: capacity=1.5"),
    (
        lambda: GradientRecorder(keras.optimizers.LossScaleOptimizer(SGD())),
        ValueError,
        r"Use LossScaleOptimizer\(GradientRecorder\(optimizer\)\)",
    ),
    (
        lambda: GradientRecorder("sgd").statistics(),
        ValueError,
        "No gradients have been recorded yet",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        make()
