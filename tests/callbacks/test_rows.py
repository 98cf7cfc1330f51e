"""The file of a log: what it never overwrites, and what remains after a full disk."""

import os
import resource
import signal

import pytest

from keras_euler.callbacks._rows import Rows

pytestmark = pytest.mark.once


def opened(path, columns, start):
    rows = Rows(path)
    rows.begin(columns, start)
    return rows


FOREIGN = {
    "table": b"name,age\nAda,36\n",
    "CSVLogger": b"epoch,accuracy,loss\n0,0.5,1.2\n",
    "total below its parts": b"iteration,a,b,total\n1,3,4,4.9\n",
    "words": b"iteration,a,total\n1,x,2\n",
    "no integer": b"epoch,a,total\n0.5,1,2\n",
    "no layers": b"iteration,total\n1,2\n",
    "short row": b"iteration,a,b,total\n1,2,3\n",
    "one line": b"iteration,a,total",
    "blank line": b"\n",
    "not UTF-8": "épocas,é,total\n".encode("latin-1"),
    "binary": bytes(range(256)),
    "a table of sums": b"epoch,jan,feb,total\n0,1,2,3\n",
    "log of another model": b"iteration,a,b,total\n1,3,4,5\n",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("start", [None, 0, 5])
def test_file_that_is_no_log_is_refused_and_left_as_it_is(tmp_path, name, start):
    path = tmp_path / "other.csv"
    path.write_bytes(FOREIGN[name])
    with pytest.raises(
        ValueError, match=r"other\.csv has other columns than this log.*Received: a file that"
    ):
        opened(path, ["iteration", "layer", "total"], start)
    assert path.read_bytes() == FOREIGN[name] and os.listdir(tmp_path) == ["other.csv"]


LOGS = {
    "header": "iteration,layer,total\n",
    "rows": "iteration,layer,total\n1,3,5\n",
    "torn line": "iteration,layer,total\n1,3",
    "empty": "",
}


@pytest.mark.parametrize("name", LOGS)
def test_own_log_is_begun_anew(tmp_path, name):
    path = tmp_path / "log.csv"
    path.write_text(LOGS[name])
    opened(path, ["iteration", "layer", "total"], 0)
    assert path.read_text() == "iteration,layer,total\n"


def test_own_log_is_known_by_position_whatever_numbers_keras_gives_the_layers(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,dense_3,total,dense_3_max,total_max\n0,1,1,2,2\n")
    rows = opened(path, ["epoch", "dense_12", "total", "dense_12_max", "total_max"], 1)
    assert rows.last == 0


def test_file_that_was_taken_away_or_changed(tmp_path):
    path = tmp_path / "rows.csv"
    rows = opened(path, ["iteration", "a"], 0)
    path.unlink()
    with pytest.warns(UserWarning, match=r"rows\.csv was changed between two rows of this log"):
        rows.append([[1, 1.5]])
    assert path.read_text() == "iteration,a\n1,1.5\n"
    opened(path, ["iteration", "a"], 2).append([[2, 2.5]])
    with pytest.warns(UserWarning, match="a path of its own"):
        rows.append([[2, 2.5]])


def test_full_disk_leaves_whole_lines(tmp_path):
    """A limit on the size of files simulates a full disk: both write a part and then fail."""
    rows = opened(tmp_path / "rows.csv", ["iteration", "a"], 0)
    rows.append([[1, 1.5], [2, float("nan")]])
    before = (tmp_path / "rows.csv").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, limits[1]))
        with pytest.raises(OSError, match=r"rows\.csv"):
            rows.append([[3, 1.0], [4, 2.0]])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "rows.csv").read_bytes() == before == b"iteration,a\n1,1.5\n2,nan\n"
    assert opened(tmp_path / "rows.csv", ["iteration", "a"], 2).last == 1
