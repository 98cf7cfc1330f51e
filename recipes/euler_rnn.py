"""A recurrent cell as an Euler step, s_{t+1} = s_t + h * F(s_t, x_t), on the adding problem (the paper's future work).

    python recipes/euler_rnn.py                    # about two minutes on two CPU cores, no download
    python recipes/euler_rnn.py --quick            # shorter sequences, fewer epochs

Sequences of random numbers in [0, 1], two of which are marked; the sum of the two is to be given at the end. F is tanh of an
affine map of state and input. Answering 1 always has a mean squared error of 0.167. Prints, for each h, the norm of the
first gradient of the recurrent kernel and the mean squared error on test sequences; both go into a JSON file too.
"""

import argparse
from pathlib import Path

import _harness
import numpy as np


def main(argv=None):
    """Train a recurrent network with each h, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--h", type=float, nargs="+", default=[1.0, 0.1], help="default: 1.0 0.1")
    add("--length", type=int, help="of the sequences (default: 50; with --quick 20)")
    add("--epochs", type=int, help="default: 10; with --quick 2")
    add("--train-size", type=int, default=2000, help="sequences (default: %(default)s)")
    add("--seed", type=int, default=7, help="default: %(default)s")
    add("--backend", choices=_harness.BACKENDS, help="Keras backend")
    add("--out", type=Path, default=Path("euler_rnn.json"), metavar="FILE", help="default: %(default)s")
    add("--quick", action="store_true", help="short")
    args = parser.parse_args(argv)
    args.length = (20 if args.quick else 50) if args.length is None else args.length
    args.epochs = (2 if args.quick else 10) if args.epochs is None else args.epochs
    if args.length < 2:
        parser.error(f"--length must be at least 2. Received: {args.length}.")
    _harness.check_positive(parser, args, "epochs", "train_size")
    _harness.check_file(parser, args.out, ".json")
    backend = _harness.choose_backend(parser, args.backend)
    with _harness.errors_in_one_line(parser, resumes=False):
        import keras
        from _callbacks import RaiseAgain

        import keras_euler

        train, test = adding(args.train_size, args.length, args.seed), adding(500, args.length, args.seed + 1)
        print(f"{'h':>6} {'first gradient':>15} {'test error':>11}   ({backend}, length {args.length})")
        found = {}
        for h in args.h:
            keras.utils.set_random_seed(args.seed)
            cell = euler_cell(32, h)
            layers = [keras.Input((args.length, 2)), keras.layers.RNN(cell), keras.layers.Dense(1)]
            model = keras.Sequential(layers)
            recorder = keras_euler.GradientRecorder(keras.optimizers.Adam(0.003), capacity=10_000)
            model.compile(recorder, "mean_squared_error")
            model.fit(*train, batch_size=50, epochs=args.epochs, verbose=0, callbacks=[RaiseAgain()])
            _, norms = recorder.recent()
            first = norms[0][recorder.paths.index(cell.recurrent.kernel.path)]
            error = model.evaluate(*test, verbose=0)
            print(f"{h:6g} {first:15.4g} {error:11.4f}", flush=True)
            found[f"h = {h:g}"] = {"first_gradient": float(first), "test_error": error}
        _harness.write_results(args.out, args, backend, found)
        print(f"wrote {args.out}")


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
