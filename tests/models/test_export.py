"""Exported networks in other runtimes, with another number of examples than at export."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import fold
from tests.models.networks import NETWORKS, inputs, scramble

BACKEND = keras.backend.backend()
KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
# Of the exporters themselves: Keras' old tf2onnx, torch's tracing.
pytestmark = pytest.mark.filterwarnings("ignore")


def run_saved_model(path, x):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # a name, for else its variables are gone
    return loaded.serve(tf.constant(x)).numpy()


def run_onnx(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def run_litert(path, x):
    import tensorflow as tf

    runner = tf.lite.Interpreter(model_path=str(path)).get_signature_runner()
    (name,) = runner.get_input_details()
    (y,) = runner(**{name: x}).values()
    return y


def run_torch(path, x):
    import torch

    with torch.no_grad():
        return torch.export.load(path).module()(torch.from_numpy(x)).numpy()


# suffix of the file, what runs it, and on which backends Keras exports it with nothing else
# installed
FORMATS = {
    "tf_saved_model": ("", run_saved_model, ("tensorflow", "jax")),
    "onnx": (".onnx", run_onnx, ("tensorflow", "torch")),
    "litert": (".tflite", run_litert, ("tensorflow",)),
    "torch": (".pt2", run_torch, ("torch",)),
}


@pytest.mark.parametrize("kind", ["plain", "folded"])
@pytest.mark.parametrize("network", NETWORKS if BACKEND != "jax" else ["resnet"])
@pytest.mark.parametrize("format", [name for name in FORMATS if BACKEND in FORMATS[name][2]])
def test_exported_network_computes_the_same(format, network, kind, tmp_path, rng):
    if BACKEND == "torch" and KERAS < (3, 15):
        pytest.skip("Keras 3.15 is the first that exports from torch with nothing else installed")
    suffix, run, _ = FORMATS[format]
    model = NETWORKS[network]()
    scramble(model, rng)
    examples = [
        inputs(model, rng, n).astype("float32" if network == "resnet" else "int32") for n in (1, 3)
    ]
    if kind == "folded":
        model = fold(model)
    # ONNX wants a model that was called.
    expected = [keras.ops.convert_to_numpy(model(x)) for x in examples]
    kwargs = {}
    if format == "torch":
        import torch

        kwargs["dynamic_shapes"] = {0: torch.export.Dim("batch", min=1)}
    model.export(tmp_path / f"exported{suffix}", format=format, verbose=False, **kwargs)
    for x, y in zip(examples, expected, strict=True):
        np.testing.assert_allclose(run(tmp_path / f"exported{suffix}", x), y, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras exports no SavedModel on torch")
def test_classifier_of_strings_is_exported_from_ids(tmp_path, rng):
    network = NETWORKS["vdcnn"]()
    model = keras_euler.CharacterClassifier(network)
    model.export(tmp_path / "model", format="tf_saved_model", verbose=False)
    ids = keras_euler.datasets.text.encode_characters(["Wall St."], 64).astype("int32")
    expected = model.predict(["Wall St."], verbose=0)
    np.testing.assert_allclose(
        run_saved_model(tmp_path / "model", ids), expected, rtol=1e-4, atol=1e-5
    )
