"""The devices of a run: their names, data parallelism, and the package versions that a result depends on."""

import contextlib
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from keras_euler._checks import check_integer
from keras_euler._version import __version__


def device_name() -> str:
    """The name of the GPU that Keras' backend uses, or of the CPU.

    Example:

    >>> bool(device_name())
    True
    """
    backend = keras.backend.backend()
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
    return cpu_name()


def cpu_name() -> str:
    """The model name of the CPU where the system tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def data_parallel(num_devices: int) -> Callable[[], AbstractContextManager[Any]]:
    """Prepare data-parallel training over several devices.

    Call it before anything else starts TensorFlow: CPU devices are split only then. Build, compile and train the model within
    the scope.

    Args:
        num_devices: Integer >= 1: GPUs, or virtual devices on the CPU. 1 gives a scope that does nothing.

    Returns:
        A function that makes a new scope, a context manager.

    Raises:
        ValueError: Fewer devices are available, or the backend is torch, for which Keras has no data parallelism.

    Example:

    >>> scope = data_parallel(1)
    >>> with scope():
    ...     model = keras.Sequential([keras.layers.Dense(1)])
    """
    check_integer("num_devices", num_devices, 1)
    if num_devices == 1:
        return contextlib.nullcontext
    if keras.backend.backend() == "torch":
        raise ValueError("Keras has no data parallelism on torch. Use the backend jax or tensorflow.")
    if keras.backend.backend() == "jax":
        names = keras.distribution.list_devices()
        _check_available(num_devices, names)
        return keras.distribution.DataParallel(devices=names[:num_devices]).scope
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        parts = [tf.config.LogicalDeviceConfiguration()] * num_devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    _check_available(num_devices, names)
    return tf.distribute.MirroredStrategy(names[:num_devices]).scope


def num_replicas() -> int:
    """The number of devices that share a training step in the present scope.

    Example:

    >>> num_replicas()
    1
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)


def package_versions() -> dict[str, str]:
    """The versions of Python, keras_euler, Keras, NumPy and the backend.

    Example:

    >>> sorted(set(package_versions()) & {"keras", "numpy", "python"})
    ['keras', 'numpy', 'python']
    """
    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        "keras_euler": __version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        backend: __import__(backend).__version__,
    }


def _check_available(num_devices: int, names: list[str]) -> None:
    if num_devices > len(names):
        raise ValueError(f"{num_devices} devices are wanted, but there are {len(names)}: {', '.join(names)}.")
