"""A point within an epoch where a run goes on."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_euler._types import Array, Config
from keras_euler.training.batches import ShuffledBatches, ShuffledDataset
from keras_euler.training.memory import assign, fits, state
from keras_euler.training.run_folder import RunFolder


@dataclass(frozen=True)
class Position:
    """A point within an epoch where a run goes on.

    Attributes:
        run: The run folder.
        epoch: Number of the epoch, from 0.
        step: Number of steps of the epoch that are done.
        seconds: Time that they took.
        callbacks: Numbers of the callbacks.
        loggers: What the loggers of norms remember.
        variables: Values of the variables of model and optimizer.
        metrics: Values of the variables of the metrics.
        random: States of the backend's random generators.
        generators: States of the generators of Python and NumPy.
    """

    run: RunFolder
    epoch: int
    step: int
    seconds: float
    callbacks: list[dict[str, float]]
    loggers: list[Config]
    variables: list[Array]
    metrics: list[Array]
    random: list[Array]
    generators: list[Any]

    def assign_state(self, model: keras.Model) -> None:
        """Assign the variables of model and optimizer."""
        assign(state(model), self.variables, self.run.step_checkpoint)


def stored_position(
    model: keras.Model, run: RunFolder, epoch: int, batches: ShuffledBatches | ShuffledDataset
) -> Position | None:
    """Return the position of the checkpoint within this epoch, or None without one."""
    memory, arrays = run.load_step() or ({}, [])
    if not memory or memory.get("epoch") != epoch:
        return None
    names = ("epoch", "step", "seconds", "callbacks", "loggers", "generators")
    if not {*names, "ends"} <= memory.keys():
        print(
            f"note: {run.step_checkpoint} is of another version. The run goes on after its last "
            f"epoch."
        )
        return None
    places = {name: memory[name] for name in names}
    ends = memory["ends"]
    position = Position(
        run,
        **places,
        variables=arrays[: ends[0]],
        metrics=arrays[ends[0] : ends[1]],
        random=arrays[ends[1] :],
    )
    if not fits(
        model.metrics_variables, position.metrics
    ):  # TensorFlow builds metrics in the first step
        model.test_on_batch(*keras.utils.unpack_x_y_sample_weight(batches[0]))
    if not fits(model.metrics_variables, position.metrics):
        print(
            f"note: the metrics in {run.step_checkpoint} are not those of this model, which goes "
            f"on after its last epoch."
        )
        return None
    return position
