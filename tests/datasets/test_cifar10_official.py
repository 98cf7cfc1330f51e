"""keras_euler.datasets.cifar10: the official folder and archive, and their pickles."""

import codecs
import os
import pickle
import tarfile

import numpy as np
import pytest

from keras_euler.datasets import cifar10

pytestmark = pytest.mark.once

ARCHIVES = {"py": "cifar-10-python.tar.gz"}
ROWS = 10_000


def assert_official(official, splits):
    (x_train, y_train), (x_test, y_test) = splits
    assert (x_train.shape, x_train.dtype) == ((50_000, 32, 32, 3), np.uint8)
    assert (x_test.shape, x_test.dtype) == ((10_000, 32, 32, 3), np.uint8)
    assert (y_train.shape, y_train.dtype, y_test.shape, y_test.dtype) == (
        (50_000,),
        np.int64,
        (10_000,),
        np.int64,
    )
    for file in range(6):
        x, y = (x_test, y_test) if file == 5 else (x_train[ROWS * file :], y_train[ROWS * file :])
        assert np.array_equal(y[:ROWS], (np.arange(ROWS) + file) % 10)
        image, row, column, channel = np.ogrid[:20, :32, :32, :3]
        assert np.array_equal(x[:20], official.pixel(file, image, row, column, channel))
        assert np.array_equal(x[ROWS - 1], official.pixel(file, ROWS - 1, row, column, channel)[0])


def test_the_official_folder_is_read_plane_by_plane(official):
    assert_official(official, cifar10.load_data(official.folder("py")))


def test_a_folder_that_holds_the_official_folder_may_be_given_as_a_string(official):
    assert_official(official, cifar10.load_data(str(official.root)))


@pytest.mark.parametrize("inner", [True, False])
def test_the_official_archive_is_read_without_unpacking(official, tmp_path, inner):
    kind = "py"
    with tarfile.open(tmp_path / ARCHIVES[kind], "w:gz", compresslevel=1) as archive:
        for name in sorted(os.listdir(official.folder(kind)), reverse=True):
            archive.add(official.folder(kind) / name, f"{official.folders[kind]}/{name}")
    assert_official(official, cifar10.load_data(tmp_path / ARCHIVES[kind] if inner else tmp_path))
    assert os.listdir(tmp_path) == [ARCHIVES[kind]]


def test_batches_written_by_python_3_are_read_too(official, with_file):
    """In protocol 2, Python 3 writes bytes as calls of `_codecs.encode`; protocol 4 is its
    default."""
    contents = []
    for file, protocol in ((0, 2), (5, 4)):
        data, labels = official.batch(file)
        contents.append(pickle.dumps({"data": data, "labels": labels.tolist()}, protocol))
    folder = with_file("py", "data_batch_1", contents[0])
    (folder / "test_batch").unlink()
    (folder / "test_batch").write_bytes(contents[1])
    assert_official(official, cifar10.load_data(folder))


PIXELS = np.zeros((ROWS, 3072), "uint8")
LABELS = [0] * ROWS


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("py", b"", "cannot be read as a pickle of a CIFAR-10 batch: EOFError"),
        ("py", b"<html>not found</html>", "cannot be read as a pickle of a CIFAR-10 batch"),
        (
            "py",
            pickle.dumps({"data": PIXELS[:1], "labels": LABELS})[:-9],
            "cannot be read as a pickle",
        ),
        ("py", [1, 2], "must hold a dictionary with the keys data and labels. Received: list"),
        ("py", {"data": PIXELS}, "must hold a dictionary with the keys data and labels"),
        ("py", {"data": PIXELS[1:], "labels": LABELS}, "Received: uint8 (9999, 3072)"),
        ("py", {"data": PIXELS[:, 1:], "labels": LABELS}, "Received: uint8 (10000, 3071)"),
        ("py", {"data": PIXELS.astype("int8"), "labels": LABELS}, "Received: int8 (10000, 3072)"),
        ("py", {"data": [1], "labels": LABELS}, "data must be uint8 (10000, 3072). Received: list"),
        ("py", {"data": PIXELS, "labels": LABELS[1:]}, "labels must be 10,000 integers"),
        ("py", {"data": PIXELS, "labels": [[1, 2], [3]]}, "labels must be 10,000 integers"),
        ("py", {"data": PIXELS, "labels": [0.5] * ROWS}, "labels must be 10,000 integers"),
        ("py", {"data": PIXELS, "labels": [-1] * ROWS}, "labels must be in 0..9. Received: -1..-1"),
    ],
)
def test_a_damaged_file_is_named_with_what_was_found(official, with_file, kind, content, words):
    name = official.kinds[kind][0]
    folder = with_file(kind, name, content if isinstance(content, bytes) else pickle.dumps(content))
    with pytest.raises(ValueError) as raised:
        cifar10.load_data(folder)
    assert str(folder / name) in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_missing_file_is_named(official, with_file, kind):
    name = official.kinds[kind][2]
    with pytest.raises(FileNotFoundError, match=f"lacks {name}. Expected six files"):
        cifar10.load_data(with_file(kind, name, None))


class Reduced:
    """An object that pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("wrap", "refused"),
    [
        (lambda victim: Reduced(os.makedirs, victim), "os.makedirs"),
        (
            lambda victim: {
                "data": Reduced(exec, f"import os; os.mkdir({victim!r})"),
                "labels": [],
            },
            "builtins.exec",
        ),
        (
            lambda victim: np.array([Reduced(os.mkdir, victim)], dtype=object),
            f"{os.mkdir.__module__}.mkdir",
        ),
        (lambda victim: Reduced(np.memmap, victim, "uint8", "w+", 0, (1,)), "numpy.memmap"),
    ],
)
def test_code_in_a_pickle_is_refused_and_never_runs(with_file, tmp_path, wrap, refused):
    victim = tmp_path / "victim"
    content = pickle.dumps(wrap(str(victim)))
    pickle.loads(content)
    assert victim.exists()  # so it is code that a plain pickle.load runs
    victim.rmdir() if victim.is_dir() else victim.unlink()
    with pytest.raises(ValueError) as raised:
        cifar10.load_data(with_file("py", "data_batch_1", content))
    assert not victim.exists()
    assert "data_batch_1" in str(raised.value) and refused in str(raised.value)
    assert isinstance(raised.value.__cause__, pickle.UnpicklingError)


def test_a_pickle_can_reach_no_codec_but_text_encodings(with_file):
    with pytest.raises(ValueError, match=r"data_batch_1 cannot be read"):
        cifar10.load_data(
            with_file("py", "data_batch_1", pickle.dumps(Reduced(codecs.encode, "a", "rot13")))
        )


def test_a_damaged_archive_is_named(official, tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(official.folder("py") / "data_batch_1", "data_batch_1")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"cifar-10-python.tar.gz cannot be read as a gzipped tar archive"
        ):
            cifar10.load_data(path)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz lacks data_batch_2"):
        cifar10.load_data(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    (tmp_path / "hello.txt").write_text("hello")
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.add(tmp_path / "hello.txt", "hello.txt")
    with pytest.raises(ValueError, match=r"other.tgz lacks data_batch_1"):
        cifar10.load_data(tmp_path / "other.tgz")
