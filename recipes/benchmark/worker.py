"""One contestant of `run.py`, in its own process so that it shares neither memory nor threads."""

import functools
import importlib.metadata
import os
import pathlib
import platform
import re
import resource
import signal
import statistics
import sys
import time

import numpy as np


def make_data(spec, channels_first, uint8=False):
    """Make seeded inputs and labels for one round: ids, or images as normalized float32 or uint8
    pixels."""
    rng = np.random.default_rng(0)
    size = spec["steps"] * spec["batch_size"]
    if spec["network"] == "vdcnn":
        return rng.integers(0, 70, (size, spec["sequence_length"])), rng.integers(0, 4, size)
    image = (spec["image_size"],) * 2
    shape = (size, 3, *image) if channels_first else (size, *image, 3)
    images = (
        rng.integers(0, 256, shape, dtype="uint8")
        if uint8
        else rng.standard_normal(shape, dtype="float32")
    )
    return images, rng.integers(0, 10, size)


def keras_network(spec, input_shape, augmented, remat):
    """Build the network of keras_euler; `augmented` prepends the input pipeline."""
    import keras

    import keras_euler
    from keras_euler.datasets import cifar10

    arguments = dict(depth=spec["depth"], h=spec["h"], dtype=spec["dtype"], remat=remat)
    if spec["network"] == "vdcnn":
        network = keras_euler.EulerVDCNN(sequence_length=spec["sequence_length"], **arguments)
        dtype, pipeline = "int32", [keras_euler.RandomCharacters(0.1)]
    else:
        network = keras_euler.EulerResNet(input_shape=input_shape, **arguments)
        dtype, pipeline = (
            "uint8",
            [
                keras_euler.RandomPadCrop(4),
                keras.layers.RandomFlip("horizontal"),
                keras.layers.Normalization(
                    1 + input_shape.index(3), cifar10.MEAN, np.square(cifar10.STDDEV)
                ),
            ],
        )
    if not augmented:
        return network
    inputs = keras.Input(input_shape, dtype=dtype)
    return keras.Sequential([inputs, *pipeline, network])


def keras_rounds(spec, augmented=False, logged=False, predicts=False, folded=False, remat=False):
    """Return a function that times `model.fit`, where Keras waits for the device after an epoch, or
    `model.predict`."""
    import keras

    import keras_euler

    if spec["data_format"] != "auto":
        keras.config.set_image_data_format(spec["data_format"])
    x, y = make_data(spec, keras.config.image_data_format() == "channels_first", uint8=augmented)
    network = keras_network(spec, x.shape[1:], augmented, remat)
    network = keras_euler.fold(network) if folded else network
    optimizer, callbacks, times = keras.optimizers.SGD(0.1, momentum=0.9), [], []
    if logged:
        optimizer = keras_euler.GradientRecorder(optimizer)
        callbacks = [
            keras_euler.GradientLogger(f"gradients_{spec['backend']}.csv"),
            keras_euler.WeightLogger(f"weights_{spec['backend']}.csv"),
        ]
    network.dtype_policy = spec["dtype"]  # so that Keras scales the loss of mixed_float16
    network.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile={"auto": "auto", "true": True, "false": False}[spec["jit_compile"]],
    )

    def stamp(*_):
        times.append(time.perf_counter())

    callbacks.append(keras.callbacks.LambdaCallback(on_epoch_begin=stamp, on_epoch_end=stamp))

    def run(num_steps):
        size = num_steps * spec["batch_size"]
        if predicts:
            stamp()
            network.predict(x[:size], spec["batch_size"], verbose=0)
            stamp()
        else:
            network.fit(
                x[:size],
                y[:size],
                spec["batch_size"],
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
        return times[-1] - times[-2]

    return run


def rounds(spec, step, data, wait):
    """Return a function that takes a number of steps over the batches, waits for the device and
    returns the seconds."""

    def run(num_steps):
        start = time.perf_counter()
        for first in range(0, num_steps * spec["batch_size"], spec["batch_size"]):
            last = step(*(array[first : first + spec["batch_size"]] for array in data))
        wait(last)
        return time.perf_counter() - start

    return run


def torch_rounds(spec, channels_last=False, predicts=False, fused=False):
    """Return a function that times training steps or predictions of the PyTorch network, optionally
    with fused batch norm."""
    import torch_networks

    network = {"resnet": torch_networks.ResNet, "vdcnn": torch_networks.VDCNN}[spec["network"]]
    network = network(spec["blocks"], spec["h"]).train(not predicts)
    if fused:
        torch_networks.fuse(network)
    runner = torch_networks.Runner(network, channels_last, spec["dtype"])
    data = make_data(spec, channels_first=True)
    return (
        rounds(spec, runner.predict, data[:1], len)
        if predicts
        else rounds(spec, runner.train_step, data, float)
    )


def jax_rounds(spec):
    """Return a function that times training steps of the JAX network."""
    import jax
    import jax_networks

    network = {"resnet": jax_networks.resnet, "vdcnn": jax_networks.vdcnn}[spec["network"]]
    network = functools.partial(network, blocks=spec["blocks"], h=spec["h"])
    data = make_data(spec, channels_first=False)
    trainer = jax_networks.Trainer(network, data[0][:1], spec["dtype"])
    return rounds(spec, trainer.train_step, data, lambda _: jax.block_until_ready(trainer.state))


def layers_rounds(spec):
    """Epochs of `model.fit` in which the layers are called one by one."""
    os.environ["KERAS_EULER_DIRECT"] = "0"
    return keras_rounds(spec)


CONTESTANTS = {
    "keras_euler": keras_rounds,
    "keras_euler, KERAS_EULER_DIRECT=0": layers_rounds,
    "keras_euler, remat=True": functools.partial(keras_rounds, remat=True),
    "keras_euler + augmentation": functools.partial(keras_rounds, augmented=True),
    "keras_euler + logs of gradients and weights": functools.partial(keras_rounds, logged=True),
    "predict": functools.partial(keras_rounds, predicts=True),
    "predict, folded": functools.partial(keras_rounds, predicts=True, folded=True),
    "nchw": torch_rounds,
    "channels_last": functools.partial(torch_rounds, channels_last=True),
    "eval": functools.partial(torch_rounds, predicts=True),
    "eval, fused": functools.partial(torch_rounds, predicts=True, fused=True),
    "handwritten": jax_rounds,
}


def device(backend):
    """Return the name of the backend's GPU or else the CPU, its peak memory, and the versions of
    packages."""
    framework = sys.modules[backend]
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    name = model[1] if model else platform.processor() or platform.machine()
    unit = 1 if sys.platform == "darwin" else 2**10
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if backend == "torch" and framework.cuda.is_available():
        name, peak = framework.cuda.get_device_name(), framework.cuda.max_memory_allocated()
    elif backend == "jax" and framework.default_backend() != "cpu":
        gpu = framework.devices()[0]
        name, peak = gpu.device_kind, gpu.memory_stats()["peak_bytes_in_use"]
    elif backend == "tensorflow" and (gpus := framework.config.list_physical_devices("GPU")):
        config = framework.config.experimental
        name, peak = (
            config.get_device_details(gpus[0])["device_name"],
            config.get_memory_info("GPU:0")["peak"],
        )
    packages = [package for package in ("numpy", backend, "keras") if package in sys.modules]
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"device": name, "versions": versions, "peak_memory_mb": peak / 2**20}


def serve(connection, spec, log):
    """Build a contestant and take its first step, then one round per message "round"; at any other
    message send the result.

    Args:
        connection: Connection to `run.py`, which gets None after the first step and after each
            round.
        spec: The settings, which become part of the result.
        log: Path of the log, in a folder that the contestants share.
    """
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `run.py` ends its contestants
    # Several processes share a GPU, so none may take all of its memory.
    os.environ |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    os.environ |= {"KERAS_BACKEND": spec["backend"], "TF_CPP_MIN_LOG_LEVEL": "2"}
    if spec["host"]:
        os.environ |= dict.fromkeys(
            ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
        )
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if spec["second_start"]:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(log.parent)
    os.chdir(log.parent)  # the loggers write here
    start = time.perf_counter()
    run = CONTESTANTS[spec["contestant"]](spec)
    built = time.perf_counter()
    run(1)
    result = {**spec, "build_s": built - start, "first_step_s": time.perf_counter() - built}
    rounds = []
    connection.send(None)
    while connection.recv() == "round":
        cpu = time.process_time()
        rounds.append((run(spec["steps"]), time.process_time() - cpu))
        connection.send(None)
    measured = medians(rounds[1:], spec)  # the first round warms up
    connection.send(result | device(spec["backend"]) | measured)


def medians(rounds, spec):
    """Return the wall and processor time of a step in milliseconds, from the seconds of rounds."""
    if not rounds:
        return {}
    times, cpu_times = (
        [1e3 * seconds / spec["steps"] for seconds in kind] for kind in zip(*rounds, strict=True)
    )
    median = statistics.median(times)
    return {
        "step_ms": median,
        "step_ms_min": min(times),
        "step_ms_max": max(times),
        "rounds_ms": times,
        "cpu_ms": statistics.median(cpu_times),
        "cpu_ms_min": min(cpu_times),
        "cpu_rounds_ms": cpu_times,
        "examples_per_s": 1e3 * spec["batch_size"] / median,
    }
