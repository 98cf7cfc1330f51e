"""A model saved on one backend loads on the others and gives the same outputs."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_euler
from tests.models.networks import vdcnn

READ = """
import sys, numpy as np, keras, keras_euler
folder = sys.argv[1]
data = np.load(f"{folder}/data.npz")
for name in ("resnet", "custom", "text"):
    model = keras.models.load_model(f"{folder}/{name}.keras")
    for training in (False, True):
        x = data["texts"].tolist() if name == "text" else data["x"]
        outputs = keras.ops.convert_to_numpy(model(x, training=training))
        difference = np.abs(outputs - data[f"{name}{training}"]).max()
        assert difference <= 1e-5, (name, training, difference)
print("equal on", keras.backend.backend())
"""


@pytest.mark.once
@pytest.mark.parametrize("other", ["tensorflow", "jax", "torch"])
def test_file_of_this_backend_opens_on(other, tmp_path, rng):
    if other == keras.backend.backend():
        pytest.skip("the same backend")
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    x = rng.normal(size=(4, 32, 32, 3)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    conv = keras.layers.Conv2D(3, 3, padding="same")
    custom = keras_euler.EulerResidual([conv], 0.5, activation="tanh", trainable_h="channel")(
        keras_euler.EulerAdd(0.3, trainable_h="scalar")([inputs, keras.ops.square(inputs)])
    )
    text = keras_euler.CharacterClassifier(vdcnn(h=0.3))
    models = {
        "resnet": keras_euler.EulerResNet(8, h=0.3),
        "custom": keras.Model(inputs, custom),
        "text": text,
    }
    texts = np.array(["Wall St. Bears Claw Back", "short", "", "four texts, for the batch norm"])
    arrays = {"x": x, "texts": texts}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
        for training in (False, True):
            arrays[f"{name}{training}"] = keras.ops.convert_to_numpy(
                model(texts if name == "text" else x, training=training)
            )
    np.savez(tmp_path / "data.npz", **arrays)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        env=dict(os.environ, KERAS_BACKEND=other, KERAS_EULER_EXPECTED_BACKEND=other),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"equal on {other}" in done.stdout, done.stderr
