"""Train a recurrent cell with Euler steps, s_{t+1} = s_t + h * F(s_t, x_t), on the adding problem
(the paper's future work).

    python recipes/euler_rnn.py                    # about two minutes on two CPU cores, no download
    python recipes/euler_rnn.py --quick            # shorter sequences, fewer epochs

An input is a sequence of random numbers in [0, 1], two of which are marked, and the target is their
sum. F is tanh of an affine map of state and input. The constant answer 1 has a mean squared error
of 0.167. For each h the recipe reports the norm of the first gradient of the recurrent kernel and
the mean squared error on test sequences, also in a JSON file.
"""

from dataclasses import dataclass
from pathlib import Path

import _cli
import numpy as np
from _settings import Options, setting


@dataclass(frozen=True)
class RnnOptions(Options):
    """The options of this recipe."""

    length: int = setting(50, "length of the sequences (with --quick 20)")
    epochs: int = setting(10, "epochs (with --quick 2)")
    out: Path = setting(Path("runs/euler_rnn.json"), "file of the results")


def main(argv=None):
    """Train a recurrent network with each h, print the table."""
    _cli.run_example(__doc__, RnnOptions, measure, argv, {"length": 20, "epochs": 2})


def measure(options):
    """Yield the first gradient and the test error with each h."""
    import keras

    import keras_euler

    train = adding(2000, options.length, options.seed)
    test = adding(500, options.length, options.seed + 1)
    for h in (1.0, 0.1):
        keras.utils.set_random_seed(options.seed)
        cell = euler_cell(32, h)
        model = keras.Sequential(
            [keras.Input((options.length, 2)), keras.layers.RNN(cell), keras.layers.Dense(1)]
        )
        recorder = keras_euler.GradientRecorder(keras.optimizers.Adam(0.003), capacity=10_000)
        model.compile(recorder, "mean_squared_error")
        model.fit(*train, batch_size=50, epochs=options.epochs, verbose=0)
        _, norms = recorder.recent()
        first = norms[0][recorder.paths.index(cell.recurrent.kernel.path)]
        error = model.evaluate(*test, verbose=0)
        result = {"first_gradient": float(first), "test_error": error}
        print(f"h = {h:g}: {result}", flush=True)
        yield f"h = {h:g}", result


def euler_cell(units, h):
    """Make a cell for `keras.layers.RNN` whose state takes Euler steps."""
    import keras

    import keras_euler

    class EulerCell(keras.layers.Layer):
        state_size = output_size = units

        def __init__(self):
            super().__init__(name="euler_cell")
            self.recurrent = keras.layers.Dense(
                units, kernel_initializer="orthogonal", name="recurrent"
            )
            self.project = keras.layers.Dense(units, use_bias=False, name="project")
            self.add = keras_euler.EulerAdd(h)

        def build(self, input_shape):
            self.recurrent.build((None, units))
            self.project.build(input_shape)
            self.add.build([(None, units)] * 2)

        def call(self, inputs, states):
            (state,) = states
            state = self.add([state, keras.ops.tanh(self.recurrent(state) + self.project(inputs))])
            return state, [state]

    return EulerCell()


def adding(num_sequences, length, seed):
    """Make sequences `(n, length, 2)` of numbers and marks, and the sums `(n, 1)` of the two marked
    numbers."""
    rng = np.random.default_rng(seed)
    numbers, marks = rng.uniform(size=(num_sequences, length)), np.zeros((num_sequences, length))
    for row in marks:
        row[rng.permutation(length)[:2]] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1).astype("float32"), sums.astype("float32")


if __name__ == "__main__":
    main()
