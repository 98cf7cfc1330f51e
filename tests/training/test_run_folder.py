"""The run folder: no partial files, whatever happens while they are written."""

import keras
import numpy as np
import pytest

from keras_euler.training import FolderInUse, RunFolder, write_atomically

pytestmark = pytest.mark.once

CONFIG = {"settings": {"h": 0.1}, "data": {"crc32": 5}, "versions": {"keras": "3"}}
ROWS = [{"epoch": 0, "train_loss": 1.5, "seconds": 2.0}]
ARRAYS = [np.arange(6.0).reshape(2, 3), np.array(7)]
SAVED = {
    "history": ROWS,
    "random": ((3, (1, 2), None), {7}, float("inf")),
    "variables": ARRAYS[:1] * 12,
    "nested": {"metrics": ARRAYS, 1: np.float32(0.1), "empty": {}},
}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    enter(folder)
    return folder


def enter(folder, config=CONFIG):
    with folder.owned(config):
        pass


def files(path):
    return sorted(file.name for file in path.iterdir() if file.name != ".lock")


def test_checkpoint_gives_back_history_and_arrays(folder):
    assert folder.load() is None
    folder.save(SAVED)
    folder.write_history(ROWS)
    loaded = folder.load()
    for name in ("variables", "nested"):
        keras.tree.map_structure(np.testing.assert_array_equal, loaded[name], SAVED[name])
    assert all(loaded[name] == SAVED[name] for name in ("history", "random"))
    assert (folder.path / "history.csv").read_text() == "epoch,train_loss,seconds\n0,1.5,2.0\n"


def test_failed_write_leaves_the_old_file_and_nothing_else(folder):
    folder.save(SAVED)
    before = {name: (folder.path / name).read_bytes() for name in files(folder.path)}

    def full_disk(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device: .*checkpoint.npz"):
        folder.write("checkpoint.npz", full_disk)
    assert {name: (folder.path / name).read_bytes() for name in files(folder.path)} == before


def test_torn_checkpoint_is_an_error_that_says_what_to_do(folder):
    folder.save(SAVED)
    content = folder.checkpoint.read_bytes()
    folder.checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=r"checkpoint.npz cannot be read .* Delete it to start over"
    ):
        folder.load()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"settings": {"h": 1.0}}, "h: 0.1 stored, 1.0 now"),
        ({"data": {"crc32": 6}}, "crc32: 5 stored, 6 now"),
    ],
)
def test_other_settings_or_data_are_refused(folder, change, difference):
    with pytest.raises(ValueError, match=difference):
        enter(folder, {**CONFIG, **change})
    enter(folder, {**CONFIG, "versions": {"keras": "4"}})


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match="is not an empty folder and holds no config.json"):
        enter(RunFolder(tmp_path))


def test_folder_has_one_owner_at_a_time(folder):
    other = RunFolder(folder.path)
    with (
        folder.owned(CONFIG),
        pytest.raises(FolderInUse, match=r"Another process is training in .*run. Wait for it"),
    ):
        enter(other)
    enter(other)


@pytest.mark.parametrize("text", ["", "7", "null", '["a", "b"]', "{"])
@pytest.mark.parametrize("name", ["config.json", "result.json", "checkpoint.npz"])
def test_damaged_file_is_one_sentence_and_stays(name, text, folder):
    folder.save(SAVED)
    (folder.path / name).write_text(text)
    read = {
        "config.json": lambda: enter(folder),
        "result.json": folder.result,
        "checkpoint.npz": folder.load,
    }
    with pytest.raises(ValueError, match=r"cannot be read .*(delete|Delete)") as error:
        read[name]()
    assert str(folder.path / name) in str(error.value)
    assert (folder.path / name).read_text() == text


def test_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "text.txt"
    write_atomically(file, lambda path: path.write_text("old"))

    def fail(path):
        path.write_text("ne")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(file, fail)
    assert file.read_text() == "old" and files(tmp_path) == ["text.txt"]


def test_result_without_its_checkpoint_is_none(folder):
    folder.write_json("result.json", {"diverged": False, "epochs": 1, "seconds": 1.0})
    assert folder.result() is None  # there is no state to load into the model: the run begins anew
