"""The file of a log on a full disk."""

import os
import resource
import signal
import stat

import pytest

from keras_euler.callbacks._rows import Rows


def test_what_is_no_regular_file_stays_what_it_is(tmp_path):
    """A pipe here; for root /dev/null can be replaced just so."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    rows = Rows(tmp_path / "pipe", ["iteration", "a"], 0)
    rows.append([[1, 1.5]])
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert os.read(reader, 100) == b"iteration,a\n1,1.5\n"
    os.close(reader)


def test_permissions_are_kept(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    path.chmod(0o640)
    Rows(path, ["iteration", "a"], 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and path.read_text() == "iteration,a\n"


def test_file_that_was_taken_away_or_changed(tmp_path):
    path = tmp_path / "rows.csv"
    rows = Rows(path, ["iteration", "a"], 0)
    path.unlink()
    with pytest.warns(UserWarning, match=r"rows\.csv was changed between two rows of this log"):
        rows.append([[1, 1.5]])
    assert path.read_text() == "iteration,a\n1,1.5\n"
    Rows(path, ["iteration", "a"], 2).append([[2, 2.5]])
    with pytest.warns(UserWarning, match="a path of its own"):
        rows.append([[2, 2.5]])


def test_full_disk_leaves_whole_lines(tmp_path):
    """A limit on the size of files stands for it: both write a part and then fail."""
    rows = Rows(tmp_path / "rows.csv", ["iteration", "a"], 0)
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
    assert Rows(tmp_path / "rows.csv", ["iteration", "a"], 2).last == 1
