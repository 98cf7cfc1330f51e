"""The run folder: no partial files, whatever happens while they are written."""

import json

import numpy as np
import pytest

from keras_euler.training import FolderInUse, RunFolder, write_atomically

CONFIG = {"settings": {"h": 0.1}, "data": {"crc32": 5}, "versions": {"keras": "3"}}
ROWS = [{"epoch": 0, "train_loss": 1.5, "seconds": 2.0}]
ARRAYS = [np.arange(6.0).reshape(2, 3), np.array(7)]


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
    assert folder.load_checkpoint() == ([], None, None)
    folder.save_checkpoint(ROWS, ARRAYS, {"stopped": False})
    rows, arrays, memory = folder.load_checkpoint()
    assert rows == ROWS == folder.history() and memory == {"stopped": False}
    for a, b in zip(arrays, ARRAYS, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (folder.path / "history.csv").read_text() == "epoch,train_loss,seconds\n0,1.5,2.0\n"


def test_failed_write_leaves_the_old_file_and_nothing_else(folder):
    folder.save_checkpoint(ROWS, ARRAYS)
    before = {name: (folder.path / name).read_bytes() for name in files(folder.path)}

    def full_disk(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device: .*checkpoint.npz"):
        folder.write("checkpoint.npz", full_disk)
    assert {name: (folder.path / name).read_bytes() for name in files(folder.path)} == before


def test_leftover_of_a_killed_writer_is_removed(folder):
    (folder.path / ".123.checkpoint.npz").write_bytes(b"half")
    enter(folder)
    assert folder.load_checkpoint() == ([], None, None)
    assert files(folder.path) == ["config.json"]


def test_torn_checkpoint_is_an_error_that_says_what_to_do(folder):
    folder.save_checkpoint(ROWS, ARRAYS)
    content = folder.checkpoint.read_bytes()
    folder.checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=r"checkpoint.npz cannot be read .* Delete it to start over"
    ):
        folder.load_checkpoint()


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


def test_leftover_of_the_first_write_is_no_foreign_file(tmp_path):
    (tmp_path / ".123.config.json").write_text("{")
    (tmp_path / ".keep.me").write_text("")
    with pytest.raises(ValueError, match="is not an empty folder"):
        enter(RunFolder(tmp_path))
    (tmp_path / ".keep.me").unlink()
    enter(RunFolder(tmp_path))
    assert files(tmp_path) == ["config.json"]


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


DAMAGED = {
    ("config.json", "[]"): "holds list, not an object",
    ("config.json", "null"): "holds NoneType, not an object",
    ("config.json", '["a", "b"]'): "holds list, not an object",
    ("config.json", '{"settings": [1], "data": {}}'): "'settings' is not an object",
    ("config.json", ""): "is damaged",
    ("result.json", "{}"): "it lacks diverged, epochs, seconds",
    ("result.json", "7"): "holds int, not an object",
    (
        "result.json",
        '{"diverged": false, "epochs": "x", "seconds": null}',
    ): "its values are not those of a result",
}


@pytest.mark.parametrize(("name", "text"), DAMAGED)
def test_damaged_file_is_one_sentence_and_stays(name, text, folder):
    (folder.path / name).write_text(text)
    folder.save_checkpoint(ROWS, ARRAYS)
    with pytest.raises(ValueError, match=DAMAGED[name, text]) as error:
        enter(folder) if name == "config.json" else folder.result()
    advice = {
        "config.json": "delete the folder to start over",
        "result.json": "Delete it: the next call writes it",
    }[name]
    assert str(folder.path / name) in str(error.value) and advice in str(error.value)
    assert (folder.path / name).read_text() == text


@pytest.mark.parametrize(
    "history",
    [
        {"epoch": 0},
        [{"epoch": 0}],
        [7],
        [{**ROWS[0], "epoch": "0"}],
        [{**ROWS[0], "epoch": 3}],
        2 * ROWS,
        None,
    ],
)
def test_checkpoint_with_another_history_is_damaged(folder, history):
    np.savez(
        folder.checkpoint,
        history=np.array(json.dumps(history)),
        memory=np.array("null"),
        array0=np.zeros(2),
    )
    with pytest.raises(
        ValueError, match="its history is not that of a training.*Delete it to start over"
    ):
        folder.load_checkpoint()


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
