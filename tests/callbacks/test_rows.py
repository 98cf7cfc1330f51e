"""The file of a log on a full disk."""

import resource
import signal

import pytest

from keras_euler.callbacks._rows import Rows


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
