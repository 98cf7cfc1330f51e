"""One contestant of `benchmark.py`, alone in its process, so that its memory and its threads are its own.

`python _benchmark_worker.py SPEC` (JSON, written by `benchmark.py`) builds the network, takes the first step and
answers with one line of JSON; then every line on standard input asks for one round of `steps` training steps and is
answered with the seconds it took and the CPU seconds of all threads. On the end of input it answers with the peak
memory.
"""

import importlib.metadata
import json
import os
import platform
import resource
import sys
import tempfile
import time

import numpy as np

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def make_data(spec, channels_first, uint8=False):
    """Seeded inputs and labels for one round: ids, or images as normalized float32 or uint8 pixels."""
    generator = np.random.default_rng(0)
    size = spec["steps"] * spec["batch_size"]
    if spec["network"] == "vdcnn":
        return generator.integers(0, 70, (size, spec["sequence_length"])), generator.integers(0, 4, size)
    shape = (size, 3, 32, 32) if channels_first else (size, 32, 32, 3)
    labels = generator.integers(0, 10, size)
    if uint8:
        return generator.integers(0, 256, shape, dtype="uint8"), labels
    return generator.standard_normal(shape, dtype="float32"), labels


def keras_euler_images(spec, augmented, channels_first):
    """The image network, or that with uint8 pixels as input."""
    import keras

    import keras_euler

    network = keras_euler.EulerResNet(spec["depth"], h=spec["h"], dtype=spec["dtype"])
    if not augmented:
        return network
    inputs = keras.Input(network.input_shape[1:], dtype="uint8")
    x = keras_euler.RandomPadCrop(4)(inputs)
    x = keras.layers.RandomFlip("horizontal")(x)
    mean, variance = [255 * value for value in MEAN], [(255 * value) ** 2 for value in STD]
    x = keras.layers.Normalization(axis=1 if channels_first else -1, mean=mean, variance=variance)(x)
    return keras.Model(inputs, network(x))


def keras_euler_texts(spec, augmented, channels_first):
    """The text network, or that with fresh noise before it."""
    import keras

    import keras_euler

    length = spec["sequence_length"]
    network = keras_euler.EulerVDCNN(spec["depth"], h=spec["h"], sequence_length=length, dtype=spec["dtype"])
    if not augmented:
        return network
    inputs = keras.Input((length,), dtype="int32")
    return keras.Model(inputs, network(keras_euler.RandomCharacters(0.1)(inputs)))


def keras_euler_rounds(spec):
    """Rounds of `model.fit`: an epoch is `steps` batches, and Keras waits for the device before it ends."""
    import keras

    if spec["data_format"] != "auto":
        keras.config.set_image_data_format(spec["data_format"])
    channels_first = keras.config.image_data_format() == "channels_first"
    augmented = spec["contestant"] == "keras_euler + augmentation"
    build = {"resnet": keras_euler_images, "vdcnn": keras_euler_texts}[spec["network"]]
    network = build(spec, augmented, channels_first)
    optimizer, callbacks = keras.optimizers.SGD(0.1, momentum=0.9), []
    if spec["contestant"] == "keras_euler + logs of gradients and weights":
        import keras_euler

        folder = tempfile.mkdtemp()
        optimizer = keras_euler.GradientRecorder(optimizer)
        callbacks = [
            keras_euler.GradientLogger(os.path.join(folder, "gradients.csv")),
            keras_euler.WeightLogger(os.path.join(folder, "weights.csv")),
        ]
    network.dtype_policy = spec["dtype"]
    network.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile={"auto": "auto", "true": True, "false": False}[spec["jit_compile"]],
    )
    x, y = make_data(spec, channels_first, uint8=augmented)

    class EpochTimer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.start

    callbacks.append(EpochTimer())

    def train(num_steps):
        size = num_steps * spec["batch_size"]
        network.fit(x[:size], y[:size], spec["batch_size"], shuffle=False, verbose=0, callbacks=callbacks)
        return callbacks[-1].seconds

    return train


def prediction_rounds(spec):
    """Rounds of `model.predict`, of the network or of its folded form."""
    import keras

    import keras_euler

    if spec["data_format"] != "auto":
        keras.config.set_image_data_format(spec["data_format"])
    build = {"resnet": keras_euler_images, "vdcnn": keras_euler_texts}[spec["network"]]
    network = build(spec, False, False)
    if spec["contestant"] == "predict, folded":
        network = keras_euler.fold(network)
    x, _ = make_data(spec, keras.config.image_data_format() == "channels_first")

    def predict(num_steps):
        start = time.perf_counter()
        network.predict(x[: num_steps * spec["batch_size"]], spec["batch_size"], verbose=0)
        return time.perf_counter() - start

    return predict


def torch_evaluation_rounds(spec):
    """Rounds of the hand-written PyTorch network in eval mode, as it is or with its batch norms fused by torch's own function."""
    import _handwritten_torch
    import torch

    network = {"resnet": _handwritten_torch.ResNet, "vdcnn": _handwritten_torch.VDCNN}[spec["network"]]
    network = network(spec["depth"], spec["h"]).eval()
    if spec["contestant"] == "eval, fused":
        _handwritten_torch.fuse(network)
    x, _ = make_data(spec, channels_first=True)

    def predict(num_steps):
        start = time.perf_counter()
        with torch.inference_mode():
            for step in range(num_steps):
                batch = x[step * spec["batch_size"] : (step + 1) * spec["batch_size"]]
                network(torch.from_numpy(batch)).numpy()
        return time.perf_counter() - start

    return predict


def torch_rounds(spec):
    """Rounds of the hand-written PyTorch network."""
    import _handwritten_torch

    network = {"resnet": _handwritten_torch.ResNet, "vdcnn": _handwritten_torch.VDCNN}[spec["network"]]
    trainer = _handwritten_torch.Trainer(
        network(spec["depth"], spec["h"]), channels_last=spec["contestant"] == "channels_last", dtype=spec["dtype"]
    )
    return handwritten_rounds(spec, trainer, channels_first=True, wait=lambda: None)


def jax_rounds(spec):
    """Rounds of the hand-written JAX network."""
    import _handwritten_jax
    import _handwritten_jax_text
    import jax

    network = {"resnet": _handwritten_jax.ResNet, "vdcnn": _handwritten_jax_text.VDCNN}[spec["network"]]
    trainer = _handwritten_jax.Trainer(network(spec["depth"], spec["h"]), dtype=spec["dtype"])
    return handwritten_rounds(spec, trainer, channels_first=False, wait=lambda: jax.block_until_ready(trainer.state))


def handwritten_rounds(spec, trainer, channels_first, wait):
    """A function that trains a number of steps over the batches and gives the seconds, the device waited for."""
    x, y = make_data(spec, channels_first)

    def train(num_steps):
        start = time.perf_counter()
        for step in range(num_steps):
            batch = slice(step * spec["batch_size"], (step + 1) * spec["batch_size"])
            loss = trainer.train_step(x[batch], y[batch])
        float(loss)
        wait()
        return time.perf_counter() - start

    return train


def device_name(backend):
    """The GPU that the backend uses, or the CPU's model."""
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    elif backend == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return jax.devices()[0].device_kind
    else:
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def peak_memory_mb(backend):
    """Peak device memory on a GPU, else the process's peak resident size."""
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() / 2**20
    elif backend == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    maxrss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB


def main():
    """Answer on what was standard output; anything that a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    spec = json.loads(sys.argv[1])
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    handwritten = {"nchw": torch_rounds, "channels_last": torch_rounds, "handwritten": jax_rounds}
    handwritten |= dict.fromkeys(("eval", "eval, fused"), torch_evaluation_rounds)
    ours = dict.fromkeys(("predict", "predict, folded"), prediction_rounds)
    start = time.perf_counter()
    train = {**handwritten, **ours}.get(spec["contestant"], keras_euler_rounds)(spec)
    built = time.perf_counter()
    train(1)
    first_step = time.perf_counter() - built
    packages = ["numpy", spec["backend"]] + ([] if spec["contestant"] in handwritten else ["keras"])
    ready = {
        "build_s": built - start,
        "first_step_s": first_step,
        "device": device_name(spec["backend"]),
        "versions": {package: importlib.metadata.version(package) for package in packages},
    }
    print(json.dumps(ready), file=answers)
    for _ in sys.stdin:
        cpu = time.process_time()
        seconds = train(spec["steps"])
        print(json.dumps([seconds, time.process_time() - cpu]), file=answers)
    print(json.dumps(peak_memory_mb(spec["backend"])), file=answers)


if __name__ == "__main__":
    main()
