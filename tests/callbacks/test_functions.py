"""Loggers that pass rows to a function."""

import keras
import numpy as np
import pytest

from keras_euler import GradientLogger, GradientRecorder, WeightLogger
from keras_euler.callbacks import read_log
from tests import dense
from tests.callbacks.test_norm_loggers import Interrupted, train

SGD = keras.optimizers.SGD


class Calls(list):
    """A function that remembers its calls."""

    def __call__(self, step, norms):
        assert type(step) is int and all(type(norm) is float for norm in norms.values())
        self.append((step, norms))


def rows_of(path):
    """Read a log as the calls that a function gets."""
    (_, steps), *columns = read_log(path).items()
    return [
        (int(step), {name: values[i] for name, values in columns}) for i, step in enumerate(steps)
    ]


def assert_equal_rows(calls, rows):
    """The file has seven digits."""
    assert [step for step, _ in calls] == [step for step, _ in rows]
    assert [list(norms) for _, norms in calls] == [list(norms) for _, norms in rows]
    found, expected = ([list(norms.values()) for _, norms in those] for those in (calls, rows))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("per", ["iteration", "epoch"])
@pytest.mark.parametrize("moments", [False, True])
def test_function_gets_the_rows_of_the_file(tmp_path, per, moments):
    model = dense.network(GradientRecorder(SGD(0.1), moments=moments))
    gradients, weights = Calls(), Calls()
    outputs = {"g.csv": gradients, "w.csv": weights}
    both = [output for pair in outputs.items() for output in (tmp_path / pair[0], pair[1])]
    gradient_loggers = [GradientLogger(output, per=per) for output in both[:2]]
    train(
        model,
        *gradient_loggers,
        *(WeightLogger(output, per=per, moments=moments) for output in both[2:]),
    )
    for name, calls in outputs.items():
        assert_equal_rows(calls, rows_of(tmp_path / name))


def test_continued_training_gets_each_row_once():
    model, gradients, weights = dense.network(GradientRecorder(SGD(0.1))), Calls(), Calls()
    train(model, GradientLogger(gradients), WeightLogger(weights), epochs=1)
    train(model, GradientLogger(gradients), WeightLogger(weights), epochs=2, start=1)
    assert [step for step, _ in gradients] == list(range(1, 9))
    assert [step for step, _ in weights] == list(range(9))


def test_rows_that_an_interrupt_left_unread_come_from_the_ring():
    model, calls = dense.network(GradientRecorder(SGD(0.1))), Calls()
    logger = GradientLogger(calls)
    train(model, logger, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        train(model, logger, Interrupted(), epochs=2, start=1)
    assert [step for step, _ in calls] == [1, 2, 3, 4]
    train(model, logger, epochs=2, start=1)
    assert [step for step, _ in calls] == list(range(1, 12))


def test_new_training_of_the_same_logger_begins_anew():
    gradients, weights = Calls(), Calls()
    loggers = GradientLogger(gradients), WeightLogger(weights)
    for _ in range(2):
        train(dense.network(GradientRecorder(SGD(0.1))), *loggers, epochs=1)
    assert [step for step, _ in gradients] == [1, 2, 3, 4] * 2
    assert [step for step, _ in weights] == [0, 1, 2, 3, 4] * 2


def test_error_of_the_function_ends_the_training():
    def fail(step, norms):
        raise OSError("no connection")

    with pytest.raises(OSError, match="no connection"):
        train(dense.network(GradientRecorder(SGD(0.1))), GradientLogger(fail))
