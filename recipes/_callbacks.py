"""What runs beside `fit`: the order of the data, the checkpoint after each epoch, the end of a run."""

import math
import time

import keras
import numpy as np
from _interrupts import raise_again

# What GradientLogger and WeightLogger add to the logs.
LOGGED = ("gradient_norm", "gradient_norm_max", "weight_norm")


class Batches(keras.utils.PyDataset):
    """Batches of arrays in an order that `SeededEpochs` sets.

    Args:
        x, y: Arrays of n rows.
        batch_size: Rows per batch; the last one has what is left.
    """

    def __init__(self, x, y, batch_size):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size
        self.order = np.arange(len(y))

    def __len__(self):
        return -(-len(self.y) // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.x[rows], self.y[rows]


class SeededEpochs(keras.callbacks.Callback):
    """Makes the order of the data and every random layer a function of (seed, epoch), so that a resumed run equals another.

    Keras saves no state of random layers, and `fit` shuffles by a global generator.
    """

    def __init__(self, batches, seed):
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch, logs=None):
        # SeedSequence mixes the numbers: torch adds seed and counter, so that neighbouring seeds would give the same draws.
        self.batches.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.batches.y))
        # Keras' dropout draws from torch's global generator.
        keras.utils.set_random_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))
        states = [variable for variable in self.model.variables if variable.name == "seed_generator_state"]
        for i, state in enumerate(states):
            layer_seed = np.random.SeedSequence([self.seed, epoch, i + 1]).generate_state(1)[0] >> 1
            state.assign(np.array([layer_seed, 0]).astype(keras.backend.standardize_dtype(state.dtype)))


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: one row of history, the whole state to disk, and an end where the loss is no number any more."""

    def __init__(self, folder, rows, after_epoch):
        super().__init__()
        self.folder, self.rows, self.after_epoch = folder, rows, after_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "epoch": epoch,
            "learning_rate": logs["learning_rate"],
            "train_loss": logs["loss"],
            "train_accuracy": logs["accuracy"],
            "test_loss": logs["val_loss"],
            "test_accuracy": logs["val_accuracy"],
            "seconds": time.perf_counter() - self.start,
        }
        row |= {name: logs[name] for name in LOGGED if name in logs}
        self.rows.append({name: float(value) if name != "epoch" else value for name, value in row.items()})
        arrays = [keras.ops.convert_to_numpy(variable) for variable in state(self.model)]
        arrays = [
            array.astype("float32") if array.dtype == "bfloat16" else array for array in arrays
        ]  # no .npz knows it
        self.folder.save_checkpoint(self.rows, arrays)
        if has_diverged(self.rows):
            self.model.stop_training = True
        self.after_epoch(self.rows)


class RaiseAgain(keras.callbacks.Callback):
    """Raises at the next step the interrupt that was dropped within the last one."""

    def _raise_again(self, *_, logs=None):
        raise_again()

    # Not at the end of a batch: a hook there makes Keras wait for the device.
    on_epoch_begin = on_train_batch_begin = on_test_batch_begin = on_epoch_end = _raise_again


def state(model):
    """Everything a run carries from one step to the next."""
    return [*model.variables, *model.optimizer.variables]


def has_diverged(rows):
    return bool(rows) and not math.isfinite(rows[-1]["train_loss"])
