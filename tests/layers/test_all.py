"""What every layer inherits: Keras' own test of layers (configuration, saving, symbolic and eager
calls, training, mixed precision), and the dtypes of its policy. Add new layers to `LAYERS`."""

import keras
import numpy as np
import pytest
from keras.src import testing

from keras_euler import layers

IMAGES, TEXTS, IDS = (2, 6, 6, 4), (2, 8, 4), (2, 8)
HALVED = {"images": (2, 3, 3, 8), "texts": (2, 4, 4)}


def branch(filters=4, **kwargs):
    """Layers of a residual branch."""
    return [layers.Conv2D(filters, 3, padding="same", **kwargs), layers.BatchNormalization()]


# The class, its arguments (or a function that makes them), the shapes of inputs and outputs.
LAYERS = {
    "noise": (layers.AdditiveGaussianNoise, {"stddev": 0.1, "seed": 3}, IMAGES, IMAGES),
    "batch norm": (layers.BatchNormalization, {}, IMAGES, IMAGES),
    "embedding": (layers.CharacterEmbedding, {"input_dim": 9, "output_dim": 4}, IDS, TEXTS),
    "conv1d": (layers.Conv1D, {"filters": 3, "kernel_size": 3}, TEXTS, (2, 6, 3)),
    "conv2d": (layers.Conv2D, {"filters": 3, "kernel_size": 3}, IMAGES, (2, 4, 4, 3)),
    "add": (layers.EulerAdd, {"h": 0.5}, (IMAGES, IMAGES), IMAGES),
    "residual": (
        layers.EulerResidual,
        lambda: {"branch": branch(), "activation": "relu", "trainable_h": "channel"},
        IMAGES,
        IMAGES,
    ),
    "residual, one layer": (
        layers.EulerResidual,
        lambda: {"branch": keras.Sequential(branch()), "scheme": "heun", "skip": 0.9},
        IMAGES,
        IMAGES,
    ),
    "residual, shortcut": (
        layers.EulerResidual,
        lambda: {"branch": branch(8, strides=2), "shortcut": layers.PaddingShortcut(8, 2)},
        IMAGES,
        HALVED["images"],
    ),
    "residual, drop path": (
        layers.EulerResidual,
        lambda: {"branch": keras.layers.Dense(4), "drop_path": 0.5, "seed": 3},
        TEXTS,
        TEXTS,
    ),
    "halving": (layers.HalvingMaxPooling1D, {}, TEXTS, HALVED["texts"]),
    "k max": (layers.KMaxPooling1D, {"k": 3}, TEXTS, (2, 3, 4)),
    "padding": (layers.PaddingShortcut, {"filters": 8, "strides": 2}, IMAGES, HALVED["images"]),
    "characters": (layers.RandomCharacters, {"rate": 0.5, "seed": 3}, IDS, IDS),
    "crop": (layers.RandomPadCrop, {"padding": 1, "seed": 3}, IMAGES, IMAGES),
}
KINDS = {"embedding": "int32", "characters": "int32"}


def made(name):
    """Return a new layer."""
    cls, arguments, *_ = LAYERS[name]
    return cls(**(arguments() if callable(arguments) else arguments))


def test_every_public_layer_is_in_the_list():
    classes = {value for value in vars(layers).values() if isinstance(value, type)}
    assert classes == {cls for cls, *_ in LAYERS.values()}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of Keras' own loop
def test_layer_passes_the_test_of_keras(name):
    cls, arguments, inputs, outputs = LAYERS[name]
    testing.TestCase().run_layer_test(
        cls,
        arguments() if callable(arguments) else arguments,
        input_shape=inputs,
        input_dtype=("float32",) * 2 if name == "add" else KINDS.get(name, "float32"),
        expected_output_shape=outputs,
        # Layers inside of a block have their own policies.
        run_mixed_precision_check=name not in KINDS and cls is not layers.EulerResidual,
        run_training_check=name not in KINDS,
    )


@pytest.mark.parametrize("name", LAYERS)
def test_file_gives_the_layer_back(name, tmp_path, rng):
    _, _, shape, _ = LAYERS[name]
    shapes = shape if isinstance(shape[0], tuple) else (shape,)
    dtype = KINDS.get(name, "float32")
    inputs = [keras.Input(one[1:], dtype=dtype) for one in shapes]
    model = keras.Model(inputs, made(name)(inputs if len(inputs) > 1 else inputs[0]))
    model.set_weights([w + rng.uniform(0.1, 0.2, w.shape) for w in model.get_weights()])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = [rng.uniform(0, 9, one).astype(dtype) for one in shapes]
    np.testing.assert_array_equal(*(one.predict(x, verbose=0) for one in (model, loaded)))
