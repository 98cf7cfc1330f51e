"""Every `floatx` and dtype policy in which plain Keras trains: training and records."""

import itertools

import keras
import numpy as np
import pytest

from keras_euler import GradientLogger, GradientRecorder, MultiStepDecay, WeightLogger
from tests import dense

BACKEND = keras.backend.backend()
# By XLA on TensorFlow it takes too long, and the dtypes are the same.
COMPILE = dict(jit_compile=BACKEND == "jax")
FLOATX = ["float32", "float64", "float16", "bfloat16"]
POLICIES = ["float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16", "float16"]
# On TensorFlow and JAX, which compile: every policy under float32, and the others under their own.
ALL = list(itertools.product(FLOATX, POLICIES))
if BACKEND != "torch":
    ALL = [(f, p) for f, p in ALL if f in ("float32", p)]
# Losses of Keras are float32 at most.
TOLERANCE = {"float64": 1e-6, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}

x, y = dense.X[:16], dense.Y[:16]


@pytest.fixture
def dtypes(request):
    """Sets `floatx` and the policy, which `_fresh_keras` restores, and lets JAX have float64. Gives
    the relative tolerance:
    Keras casts arrays to `floatx`.
    """
    floatx, policy = request.param
    is_jax_64 = BACKEND == "jax" and "float64" in request.param
    if is_jax_64:
        import jax

        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    yield policy, max(TOLERANCE[floatx], TOLERANCE[keras.config.dtype_policy().compute_dtype])
    if is_jax_64:
        jax.config.update("jax_enable_x64", False)


def for_dtypes(pairs):
    return pytest.mark.parametrize("dtypes", pairs, ids="-".join, indirect=True)


def numpy(tensor):
    """Convert to NumPy through float32, because NumPy cannot read TensorFlow's bfloat16 scalars."""
    dtype = "float64" if "float64" in str(tensor.dtype) else "float32"
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, dtype)).astype("float64")


def assert_equal_weights(model, other):
    for one, another in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(another))


def train(model, folder, epoch=0):
    """Train one epoch of two batches with logs; return the contents of the files."""
    folder.mkdir(exist_ok=True)
    gradients, weights, epochs = (folder / name for name in ("g.csv", "w.csv", "e.csv"))
    logs = [
        GradientLogger(gradients, flush=1),
        WeightLogger(weights, flush=2),
        GradientLogger(epochs, per="epoch"),
    ]
    model.fit(
        x,
        y,
        8,
        epoch + 1,
        0,
        [*logs, MultiStepDecay((9,), 0.5)],
        initial_epoch=epoch,
        shuffle=False,
    )
    return [
        np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        for path in (gradients, weights, epochs)
    ]


@for_dtypes(ALL)
def test_recorded_training_is_plain_training_with_the_norms_of_numpy(dtypes, tmp_path):
    policy, tolerance = dtypes
    plain = dense.network(keras.optimizers.SGD(0.125), policy, **COMPILE)
    plain.fit(x, y, 8, verbose=0, shuffle=False)
    model = dense.network(GradientRecorder(keras.optimizers.SGD(0.125)), policy, **COMPILE)
    expected = dense.norms([numpy(kernel) for kernel in model.weights], x[:8], y[:8])
    gradients, weights, epochs = train(model, tmp_path / "logs")
    assert_equal_weights(model, plain)
    recorder = (
        model.optimizer if hasattr(model.optimizer, "recent") else model.optimizer.inner_optimizer
    )
    recent = recorder.recent()[1]
    np.testing.assert_allclose(recent[0], expected, rtol=tolerance)
    np.testing.assert_allclose(gradients[:, 1:], recent, rtol=1e-6)
    np.testing.assert_allclose(epochs[0, 1:], [*recent.mean(0), *recent.max(0)], rtol=1e-6)
    np.testing.assert_allclose(
        weights[-1, 1:], dense.norms_of([numpy(kernel) for kernel in model.weights]), rtol=1e-6
    )
    assert weights[:, 0].tolist() == [0, 1, 2]
