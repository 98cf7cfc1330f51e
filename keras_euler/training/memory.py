"""What a run carries from step to step: variables, and numbers that callbacks remember."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_euler._types import Array
from keras_euler.training.run_folder import Memory


class CallbackNumbers:
    """The numbers that callbacks such as EarlyStopping change while they train.

    Args:
        callbacks: The callbacks.
        memory: Memory of a checkpoint with the numbers under `"callbacks"`, or None.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback], memory: Memory) -> None:
        self.callbacks, self.memory = callbacks, memory

    def begin(self) -> None:
        """Restore the numbers of the memory; call it after the callbacks have reset themselves at
        the start of training."""
        self._at_start = [_numbers(callback) for callback in self.callbacks]
        self.restore((self.memory or {}).get("callbacks", []))

    def restore(self, changes: list[dict[str, float]]) -> None:
        """Restore the result of `changes`; a number that it lacks has the value of the start."""
        for callback, before, numbers in zip(self.callbacks, self._at_start, changes, strict=False):
            vars(callback).update(before | numbers)

    def changes(self) -> list[dict[str, float]]:
        """Return the numbers that have changed since the start, a dict per callback."""
        return [
            {name: value for name, value in _numbers(callback).items() if value != before.get(name)}
            for callback, before in zip(self.callbacks, self._at_start, strict=True)
        ]


def state(model: keras.Model) -> list[keras.Variable]:
    """Return all variables whose values a run carries from step to step."""
    others = [
        value for value in vars(model).values() if isinstance(value, keras.optimizers.Optimizer)
    ]  # of a custom train_step
    optimizers = {id(optimizer): optimizer for optimizer in (model.optimizer, *others)}
    return [
        *model.variables,
        *(variable for optimizer in optimizers.values() for variable in optimizer.variables),
    ]


def values(variables: Sequence[keras.Variable]) -> list[Array]:
    """Return the values of variables as arrays that an .npz file can hold."""
    return [_savable(keras.ops.convert_to_numpy(variable)) for variable in variables]


def fits(variables: Sequence[keras.Variable], arrays: Sequence[Array]) -> bool:
    return [tuple(variable.shape) for variable in variables] == [array.shape for array in arrays]


def assign(variables: Sequence[keras.Variable], arrays: Sequence[Array], file: Path) -> None:
    """Assign the arrays of a file, or raise a ValueError if they have other shapes."""
    if not fits(variables, arrays):
        raise ValueError(
            f"The arrays in {file} do not fit this model and optimizer. Pass those of the run, or "
            f"another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _numbers(callback: keras.callbacks.Callback) -> dict[str, float]:
    """Return the public numbers among a callback's attributes; those that change are the state of
    EarlyStopping and the like."""
    attributes = {name: value for name, value in vars(callback).items() if not name.startswith("_")}
    attributes = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in attributes.items()
    }
    # Keras changes the sign of `min_delta` at every start, when it learns the direction of the
    # metric.
    return {
        name: value
        for name, value in attributes.items()
        if isinstance(value, (int, float)) and name != "min_delta"
    }


def _savable(array: Array) -> Array:
    # .npz files cannot hold low-precision floats that NumPy itself lacks.
    return (
        array.astype("float32")
        if array.dtype.kind == "V" or array.dtype.name == "bfloat16"
        else array
    )
