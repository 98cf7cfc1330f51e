"""What the loggers reject, and their messages."""

import pytest

from keras_euler import GradientLogger, GradientRecorder, WeightLogger
from tests import dense
from tests.callbacks.test_norm_loggers import BACKEND, train

pytestmark = pytest.mark.once

BAD = [
    (dict(layers=0), ValueError, "a layer with a kernel, from 1 to 3. Received: 0"),
    (dict(layers=4), ValueError, "Received: 4"),
    (
        dict(layers="block/aa"),
        ValueError,
        "Received: 'block/aa', which matches none of 3. Pass names such as block/a",
    ),
    (dict(layers=["x*"]), ValueError, r"Received: 'x\*', which matches none"),
    (
        dict(layers=[]),
        TypeError,
        "`layers` must be None or a non-empty list of names, patterns and positions",
    ),
    (dict(layers=[True]), TypeError, "must hold names, patterns or positions. Received: True"),
    (dict(layers=2.0), TypeError, "Received: layers=2.0"),
    (
        dict(per="batch"),
        ValueError,
        "`per` must be one of 'iteration', 'epoch'. Received: per='batch'",
    ),
    (dict(flush=0), ValueError, "`flush` must be an integer >= 1"),
]


@pytest.mark.parametrize("logger", [GradientLogger, WeightLogger])
@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_get_a_clear_error(tmp_path, logger, arguments, error, message):
    with pytest.raises(error, match=message):
        train(dense.network(GradientRecorder("sgd")), logger(tmp_path / "log.csv", **arguments))
    assert not (tmp_path / "log.csv").exists()


def test_missing_recorder_and_too_small_a_ring_say_what_to_write(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"Received: optimizer=SGD. Compile with model.compile\(keras_euler.GradientRec",
    ):
        train(dense.network("sgd"), GradientLogger(tmp_path / "g.csv"))
    if BACKEND != "torch":
        model = dense.network(GradientRecorder("sgd", capacity=2), steps_per_execution=3)
        with pytest.raises(
            ValueError, match=r"Use GradientRecorder\(optimizer, capacity=3\) or more"
        ):
            train(model, GradientLogger(tmp_path / "g.csv"))


@pytest.mark.parametrize("logger", [GradientLogger, WeightLogger])
@pytest.mark.parametrize("per", ["iteration", "epoch"])
def test_file_of_somebody_else_is_refused_before_anything_is_trained(tmp_path, logger, per):
    path, model = tmp_path / "other.csv", dense.network(GradientRecorder("sgd"))
    path.write_text("epoch,accuracy,loss\n0,0.5,1.2\n")
    with pytest.raises(
        ValueError, match=r"other\.csv has other columns than this log.*'epoch,accuracy,loss"
    ):
        train(model, logger(path, per=per))
    assert path.read_text() == "epoch,accuracy,loss\n0,0.5,1.2\n"
    assert not int(model.optimizer.iterations)


@pytest.mark.parametrize("logger", [GradientLogger, WeightLogger])
@pytest.mark.parametrize("per", ["iteration", "epoch"])
def test_log_of_other_layers_is_refused_and_left_as_it_is(tmp_path, logger, per):
    path = tmp_path / "log.csv"
    train(dense.network(GradientRecorder("sgd")), logger(path, per=per))
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match="has other columns than this log.*Delete it, or pass another path"
    ):
        train(dense.network(GradientRecorder("sgd")), logger(path, "c", per=per))
    assert path.read_bytes() == before
