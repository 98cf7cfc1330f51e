"""The devices of a run: their names, data parallelism, and package versions."""

import contextlib
import os
import platform
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from keras_euler._checks import check_integer
from keras_euler._types import Array
from keras_euler._version import __version__


def device_name() -> str:
    """Return the name of the GPU that Keras' backend uses, or of the CPU.

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
    """Return the model name of the CPU if the system provides it, else its architecture."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(
                line.split(":")[1].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def data_parallel(num_devices: int) -> Callable[[], AbstractContextManager[Any]]:
    """Prepare data-parallel training over several devices.

    Call it before anything else starts TensorFlow, which splits CPU devices only at its start.
    Build, compile and train the model in the scope.

    Args:
        num_devices: Number of GPUs, or of virtual devices on the CPU, an integer >= 1. With 1 the
            scope does nothing.

    Returns:
        A function without arguments that returns a new scope, a context manager.

    Raises:
        ValueError: Fewer devices are available, or the backend is torch, for which Keras has no
            data parallelism.

    Example:

    >>> scope = data_parallel(1)
    >>> with scope():
    ...     model = keras.Sequential([keras.layers.Dense(1)])
    """
    check_integer("num_devices", num_devices, 1)
    if num_devices == 1:
        return contextlib.nullcontext
    if keras.backend.backend() == "torch":
        raise ValueError(
            "Keras has no data parallelism on torch. Use the backend jax or tensorflow."
        )
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
    """Return the number of devices that share a training step in the current scope.

    Example:

    >>> num_replicas()
    1
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)


def check_one_process() -> None:
    """Raise a ValueError if a launcher has started several processes for one training, which would
    all write its folder."""
    size = os.environ.get("WORLD_SIZE", "")  # of torchrun and the like
    received = f"WORLD_SIZE={size}" if size.isdecimal() and int(size) > 1 else None
    if keras.backend.backend() == "jax":
        import jax

        if jax.process_count() > 1:
            received = f"{jax.process_count()} JAX processes"
    if received:
        raise ValueError(
            f"A training is one process, which uses several devices by `data_parallel` on jax or "
            f"tensorflow. Received: {received}. "
            "Start it without torchrun, or unset WORLD_SIZE if each process has a run folder of "
            "its own."
        )


def random_states() -> list[Array]:
    """Return the states of the backend's global random generators: on torch that of the CPU and of
    each GPU, else none."""
    if keras.backend.backend() != "torch":
        return []
    import torch

    return [state.numpy() for state in (torch.get_rng_state(), *torch.cuda.get_rng_state_all())]


def restore_random_states(states: list[Array]) -> None:
    """Restore the result of `random_states`; a GPU that is missing now is left out."""
    if states:
        import torch

        torch.set_rng_state(torch.from_numpy(states[0]))
        torch.cuda.set_rng_state_all(
            list(map(torch.from_numpy, states[1 : 1 + torch.cuda.device_count()]))
        )


def generator_states() -> list[Any]:
    """Return the states of the global generators of Python and of NumPy, as JSON-serializable
    values."""
    name, keys, *others = np.random.get_state(legacy=True)
    return [random.getstate(), [name, np.asarray(keys).tolist(), *others]]


def restore_generator_states(states: list[Any]) -> None:
    """Restore the result of `generator_states`."""
    (version, numbers, gauss), (name, keys, *others) = states
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state((name, np.array(keys, "uint32"), *others))


def keep_compiled_programs() -> None:
    """On JAX, keep compiled programs for the next process, in `jax_compilation_cache` of Keras'
    folder, unless a cache is configured."""
    if keras.backend.backend() == "jax":
        import jax

        if jax.config.jax_compilation_cache_dir is None:
            home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
            folder = os.path.join(os.path.abspath(home), "jax_compilation_cache")
            jax.config.update("jax_compilation_cache_dir", folder)
            if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
                jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def package_versions() -> dict[str, str]:
    """Return the versions of Python, keras_euler, Keras, NumPy and the backend.

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
        raise ValueError(
            f"{num_devices} devices are needed, but {len(names)} are available: {', '.join(names)}."
        )
