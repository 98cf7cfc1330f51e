"""The devices of a run: their names, data parallelism, and package versions."""

import contextlib
import os
import platform
import random
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_euler._checks import check_integer
from keras_euler._version import __version__


def device_name() -> str:
    """Return the name of the GPU that Keras' backend uses, or of the CPU: its model if the system
    provides it, else its architecture.

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
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        if found:
            return found[1]
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
    is_jax = keras.backend.backend() == "jax"
    if is_jax:
        names = keras.distribution.list_devices()
    else:
        import tensorflow as tf

        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        if kind == "CPU":
            parts = [tf.config.LogicalDeviceConfiguration()] * num_devices
            (cpu,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(cpu, parts)
        names = [device.name for device in tf.config.list_logical_devices(kind)]
    if num_devices > len(names):
        raise ValueError(
            f"{num_devices} devices are needed, but {len(names)} are available: {', '.join(names)}."
        )
    if is_jax:
        return keras.distribution.DataParallel(devices=names[:num_devices]).scope
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
            "A training is one process, which uses several devices by `data_parallel` on jax or "
            f"tensorflow. Received: {received}. Start it without torchrun, or unset WORLD_SIZE if "
            "each process has a run folder of its own."
        )


def random_states() -> list[Any]:
    """Return the states of the global random generators: of Python, of NumPy, and on torch of the
    CPU and of each GPU."""
    states: list[Any] = [random.getstate(), np.random.get_state()]
    if keras.backend.backend() == "torch":
        import torch

        devices = (torch.get_rng_state(), *torch.cuda.get_rng_state_all())
        states += [state.numpy() for state in devices]
    return states


def restore_random_states(states: list[Any]) -> None:
    """Restore the result of `random_states`; a GPU that is missing now is left out."""
    python, numpy, *devices = states
    random.setstate(python)
    np.random.set_state(numpy)
    if devices:
        import torch

        cpu, *gpus = map(torch.from_numpy, devices)
        torch.set_rng_state(cpu)
        torch.cuda.set_rng_state_all(gpus[: torch.cuda.device_count()])


def keep_compiled_programs() -> None:
    """On JAX, keep compiled programs for the next process, in `jax_compilation_cache` of Keras'
    folder, unless a cache is configured."""
    if keras.backend.backend() == "jax":
        import jax

        if jax.config.jax_compilation_cache_dir is None:
            home = os.path.abspath(os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras")))
            jax.config.update("jax_compilation_cache_dir", f"{home}/jax_compilation_cache")
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
