"""A recurrent cell as an Euler step, s_{t+1} = s_t + h * F(s_t, x_t), on the adding problem (the paper's future work).

    python recipes/euler_rnn.py                    # about two minutes on two CPU cores, no download

Sequences of random numbers in [0, 1], two of which are marked; the sum of the two is to be given at the end. F is tanh of an affine
map of state and input. Answering 1 always has a mean squared error of 0.167. Prints, for each h, the norm of the first
gradient of the recurrent kernel and the mean squared error on test sequences.
"""

import argparse

import _harness
import numpy as np


def main(argv=None):
    """Train a recurrent network with each h, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--h", type=float, nargs="+", default=[1.0, 0.1], help="default: 1.0 0.1")
    add("--length", type=int, default=50, help="of the sequences (default: %(default)s)")
    add("--epochs", type=int, default=10, help="default: %(default)s")
    add("--train-size", type=int, default=2000, help="sequences (default: %(default)s)")
    add("--seed", type=int, default=7, help="default: %(default)s")
    add("--backend", choices=_harness.BACKENDS, help="Keras backend")
    args = parser.parse_args(argv)
    if args.length < 2 or args.epochs < 1 or args.train_size < 1:
        parser.error("--length must be at least 2, --epochs and --train-size at least 1")
    backend = _harness.choose_backend(parser, args.backend)
    with _harness.errors_in_one_line(parser):
        import keras

        import keras_euler

        train, test = adding(args.train_size, args.length, args.seed), adding(500, args.length, args.seed + 1)
        print(f"{'h':>6} {'first gradient':>15} {'test error':>11}   ({backend}, length {args.length})")
        for h in args.h:
            keras.utils.set_random_seed(args.seed)
            cell = euler_cell(32, h)
            layers = [keras.Input((args.length, 2)), keras.layers.RNN(cell), keras.layers.Dense(1)]
            model = keras.Sequential(layers)
            recorder = keras_euler.GradientRecorder(keras.optimizers.Adam(0.003), capacity=10_000)
            model.compile(recorder, "mean_squared_error")
            model.fit(*train, batch_size=50, epochs=args.epochs, verbose=0)
            _, norms = recorder.recent()
            first = norms[0][recorder.paths.index(cell.recurrent.kernel.path)]
            print(f"{h:6g} {first:15.4g} {model.evaluate(*test, verbose=0):11.4f}", flush=True)


def euler_cell(units, h):
    """A cell for `keras.layers.RNN` whose state takes Euler steps."""
    import keras

    import keras_euler

    class EulerCell(keras.layers.Layer):
        state_size = output_size = units

        def __init__(self):
            super().__init__(name="euler_cell")
            self.recurrent = keras.layers.Dense(units, kernel_initializer="orthogonal", name="recurrent")
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
    """Sequences `(n, length, 2)` of numbers and marks, and the sums `(n, 1)` of the two marked numbers."""
    rng = np.random.default_rng(seed)
    numbers, marks = rng.uniform(size=(num_sequences, length)), np.zeros((num_sequences, length))
    for row in marks:
        row[rng.permutation(length)[:2]] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    return np.stack([numbers, marks], axis=-1).astype("float32"), sums.astype("float32")


if __name__ == "__main__":
    main()
