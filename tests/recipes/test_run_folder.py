"""The run folder: whole files or none, whatever happens while they are written."""

import numpy as np
import pytest
from _run_folder import RunFolder

CONFIG = {"settings": {"h": 0.1}, "data": {"crc32": 5}, "versions": {"keras": "3"}}
ROWS = [{"epoch": 0, "train_loss": 1.5}]
ARRAYS = [np.arange(6.0).reshape(2, 3), np.array(7)]


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    folder.open(CONFIG)
    return folder


def test_checkpoint_gives_back_history_and_arrays(folder):
    assert folder.load_checkpoint() == ([], None)
    folder.save_checkpoint(ROWS, ARRAYS)
    rows, arrays = folder.load_checkpoint()
    assert rows == ROWS
    for a, b in zip(arrays, ARRAYS, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (folder.path / "history.csv").read_text() == "epoch,train_loss\n0,1.5\n"


def test_failed_write_leaves_the_old_file_and_nothing_else(folder):
    folder.save_checkpoint(ROWS, ARRAYS)
    before = {file.name: file.read_bytes() for file in folder.path.iterdir()}

    def full_disk(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device: .*checkpoint.npz"):
        folder.write("checkpoint.npz", full_disk)
    assert {file.name: file.read_bytes() for file in folder.path.iterdir()} == before


def test_leftover_of_a_killed_writer_is_removed(folder):
    (folder.path / ".123.checkpoint.npz").write_bytes(b"half")
    folder.open(CONFIG)
    assert folder.load_checkpoint() == ([], None)
    assert [file.name for file in folder.path.iterdir()] == ["config.json"]


def test_torn_checkpoint_is_an_error_that_says_what_to_do(folder):
    folder.save_checkpoint(ROWS, ARRAYS)
    content = folder.checkpoint.read_bytes()
    folder.checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"checkpoint.npz cannot be read .* Delete it to start the run anew"):
        folder.load_checkpoint()


@pytest.mark.parametrize(
    ("change", "difference"),
    [({"settings": {"h": 1.0}}, "h: 0.1 there, 1.0 now"), ({"data": {"crc32": 6}}, "crc32: 5 there, 6 now")],
)
def test_other_settings_or_data_are_refused(folder, change, difference):
    with pytest.raises(ValueError, match=difference):
        folder.open({**CONFIG, **change})
    folder.open({**CONFIG, "versions": {"keras": "4"}})  # only said


def test_leftover_of_the_first_write_is_no_foreign_file(tmp_path):
    (tmp_path / ".123.config.json").write_text("{")
    (tmp_path / ".keep.me").write_text("")
    with pytest.raises(ValueError, match="is not an empty folder"):
        RunFolder(tmp_path).open(CONFIG)
    (tmp_path / ".keep.me").unlink()
    RunFolder(tmp_path).open(CONFIG)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match="is not an empty folder and holds no config.json"):
        RunFolder(tmp_path).open(CONFIG)
