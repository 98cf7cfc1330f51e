"""keras_euler.datasets.cifar10."""

import codecs
import io
import os
import pickle
import shutil
import struct
import tarfile
import typing

import numpy as np
import pytest

from keras_euler.datasets import cifar10
from tests.small_sets import small

FILES = {
    "py": ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"),
    "bin": (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
}
FOLDERS = {"py": "cifar-10-batches-py", "bin": "cifar-10-batches-bin"}
ARCHIVES = {"py": "cifar-10-python.tar.gz", "bin": "cifar-10-binary.tar.gz"}
ROWS = 10_000


def pixel(file, image, row, column, channel):
    """The value that the made files hold at one place; `file` counts the six files."""
    return (60 * channel + 5 * row + column + 7 * image + 11 * file) % 256


def batch(file):
    """One file's content as stored, channel by channel: uint8 (10000, 3072), and its labels."""
    channel, row, column = np.ogrid[:3, :32, :32]
    plane = pixel(file, 0, row, column, channel).reshape(1, 3072).astype("uint8")
    return plane + np.uint8(7) * np.arange(ROWS)[:, None].astype("uint8"), (np.arange(ROWS) + file) % 10


class Python2Pickler(pickle._Pickler):
    """Writes every string as Python 2 did, which wrote the official files."""

    def save_string(self, text):
        content = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch: typing.ClassVar = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}


def python2_pickle(value):
    stream = io.BytesIO()
    Python2Pickler(stream, 2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """A folder that holds both official folders."""
    root = tmp_path_factory.mktemp("official")
    for kind, names in FILES.items():
        folder = root / FOLDERS[kind]
        folder.mkdir()
        (folder / "readme.html").write_text("not data")
        for file, name in enumerate(names):
            data, labels = batch(file)
            if kind == "bin":
                np.c_[labels.astype("uint8"), data].tofile(folder / name)
            else:
                content = {"batch_label": name, "labels": labels.tolist(), "data": data}
                (folder / name).write_bytes(python2_pickle(content))
    yield root
    shutil.rmtree(root)  # 370 MB, which pytest would keep


@pytest.fixture
def with_file(official, tmp_path):
    """A function that makes an official folder in which one file is another."""
    folders = tmp_path / "with_file"

    def make(kind, name, content):
        folder = folders / FOLDERS[kind]
        folder.mkdir(parents=True)
        for other in FILES[kind]:
            (folder / other).symlink_to(official / FOLDERS[kind] / other)
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        return folder

    yield make
    shutil.rmtree(folders)  # 30 MB a test, which pytest would keep


def assert_official(splits):
    (x_train, y_train), (x_test, y_test) = splits
    assert (x_train.shape, x_train.dtype) == ((50_000, 32, 32, 3), np.uint8)
    assert (x_test.shape, x_test.dtype) == ((10_000, 32, 32, 3), np.uint8)
    assert (y_train.shape, y_train.dtype, y_test.shape, y_test.dtype) == ((50_000,), np.int64, (10_000,), np.int64)
    for file in range(6):
        x, y = (x_test, y_test) if file == 5 else (x_train[ROWS * file :], y_train[ROWS * file :])
        assert np.array_equal(y[:ROWS], (np.arange(ROWS) + file) % 10)
        image, row, column, channel = np.ogrid[:20, :32, :32, :3]
        assert np.array_equal(x[:20], pixel(file, image, row, column, channel))
        assert np.array_equal(x[ROWS - 1], pixel(file, ROWS - 1, row, column, channel)[0])


def test_class_names_are_the_ten_of_cifar10():
    assert len(set(cifar10.CLASS_NAMES)) == 10
    assert cifar10.CLASS_NAMES[0] == "airplane" and cifar10.CLASS_NAMES[9] == "truck"


def test_the_official_folder_is_read_plane_by_plane(official):
    assert_official(cifar10.load_data(official / FOLDERS["bin"]))


def test_a_folder_that_holds_the_official_folder_may_be_given_as_a_string(official):
    assert_official(cifar10.load_data(str(official)))  # it holds both; the pickles come first


@pytest.mark.parametrize("kind", FILES)
def test_the_official_archive_is_read_without_unpacking(official, tmp_path, kind):
    with tarfile.open(tmp_path / ARCHIVES[kind], "w:gz", compresslevel=1) as archive:
        for name in sorted(os.listdir(official / FOLDERS[kind]), reverse=True):
            archive.add(official / FOLDERS[kind] / name, f"{FOLDERS[kind]}/{name}")
    assert_official(cifar10.load_data(tmp_path / ARCHIVES[kind] if kind == "py" else tmp_path))
    assert os.listdir(tmp_path) == [ARCHIVES[kind]]


def test_batches_written_by_python_3_are_read_too(with_file):
    """In protocol 2 Python 3 hides bytes in calls of `_codecs.encode`; protocol 4 is its default."""
    contents = []
    for file, protocol in ((0, 2), (5, 4)):
        data, labels = batch(file)
        contents.append(pickle.dumps({"data": data, "labels": labels.tolist()}, protocol))
    folder = with_file("py", "data_batch_1", contents[0])
    (folder / "test_batch").unlink()
    (folder / "test_batch").write_bytes(contents[1])
    assert_official(cifar10.load_data(folder))


PIXELS = np.zeros((ROWS, 3072), "uint8")
LABELS = [0] * ROWS


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("bin", bytes(ROWS * 3073 - 1), "Expected 30,730,000 bytes (10,000 rows of 3,073). Received 30,729,999 bytes"),
        ("bin", bytes(ROWS * 3073 + 1), "Received 30,730,001 bytes"),
        ("bin", b"", "Received 0 bytes"),
        ("bin", bytes([10]) + bytes(ROWS * 3073 - 1), "labels must be in 0..9. Received: 0..10"),
        ("py", b"", "can't be read as a pickle of a CIFAR-10 batch: EOFError"),
        ("py", b"<html>not found</html>", "can't be read as a pickle of a CIFAR-10 batch"),
        ("py", pickle.dumps({"data": PIXELS[:1], "labels": LABELS})[:-9], "can't be read as a pickle"),
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
def test_a_damaged_file_is_named_with_what_was_found(with_file, kind, content, words):
    name = FILES[kind][0]
    folder = with_file(kind, name, content if isinstance(content, bytes) else pickle.dumps(content))
    with pytest.raises(ValueError) as raised:
        cifar10.load_data(folder)
    assert str(folder / name) in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("kind", FILES)
def test_a_missing_file_is_named(with_file, kind):
    name = FILES[kind][2]
    with pytest.raises(FileNotFoundError, match=f"lacks {name}. Expected six files"):
        cifar10.load_data(with_file(kind, name, None))


class Reduced:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("wrap", "refused"),
    [
        (lambda victim: Reduced(os.makedirs, victim), "os.makedirs"),
        (lambda victim: {"data": Reduced(exec, f"import os; os.mkdir({victim!r})"), "labels": []}, "builtins.exec"),
        (lambda victim: np.array([Reduced(os.mkdir, victim)], dtype=object), f"{os.mkdir.__module__}.mkdir"),
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
    with pytest.raises(ValueError, match=r"data_batch_1 can't be read"):
        cifar10.load_data(with_file("py", "data_batch_1", pickle.dumps(Reduced(codecs.encode, "a", "rot13"))))


def test_a_damaged_archive_is_named(official, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(official / FOLDERS["bin"] / "data_batch_1.bin", "data_batch_1.bin")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cifar-10-binary.tar.gz can't be read as a gzipped tar archive"):
            cifar10.load_data(path)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"cifar-10-binary.tar.gz lacks data_batch_2.bin"):
        cifar10.load_data(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    (tmp_path / "hello.txt").write_text("hello")
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.add(tmp_path / "hello.txt", "hello.txt")
    with pytest.raises(ValueError, match=r"other.tgz holds no CIFAR-10"):
        cifar10.load_data(tmp_path / "other.tgz")


@pytest.mark.parametrize("labels", [np.array([3, 1, 9, 0]), np.array([[3], [1], [9], [0]], "uint8")])
def test_an_npz_file_of_any_number_of_images_is_read(tmp_path, labels):
    arrays = small(y_train=labels)
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(tmp_path / "small.npz")
    assert np.array_equal(x_train, arrays["x_train"]) and np.array_equal(x_test, arrays["x_test"])
    assert x_train.dtype == x_test.dtype == np.uint8 and y_train.dtype == y_test.dtype == np.int64
    assert y_train.tolist() == [3, 1, 9, 0] and y_test.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_test": None}, "must hold the arrays x_train, y_train, x_test, y_test. Received: x_train, y_train, x_test"),
        ({"x_train": np.zeros((4, 32, 32, 3))}, "train: images must be uint8 (n, 32, 32, 3), n > 0. Received: float64"),
        ({"x_test": np.zeros((2, 3, 32, 32), "uint8")}, "test: images must be uint8 (n, 32, 32, 3)"),
        ({"x_test": np.zeros((0, 32, 32, 3), "uint8"), "y_test": np.zeros(0, int)}, "Received: uint8 (0, 32, 32, 3)"),
        ({"x_test": np.array([None])}, "can't be read as an .npz file of plain arrays"),
        ({"y_train": np.arange(3)}, "train: labels must be 4 integers. Received: int64 (3,)"),
        ({"y_train": np.eye(4, dtype=int)}, "train: labels must be 4 integers. Received: int64 (4, 4)"),
        ({"y_train": np.arange(4.0)}, "train: labels must be 4 integers. Received: float64 (4,)"),
        ({"y_train": np.arange(4) + 7}, "train: labels must be in 0..9. Received: 7..10"),
        ({"y_test": np.arange(2) - 1}, "test: labels must be in 0..9. Received: -1..0"),
    ],
)
def test_an_npz_file_with_wrong_arrays_is_refused(tmp_path, changes, words):
    np.savez(tmp_path / "wrong.npz", **small(**changes))
    with pytest.raises(ValueError) as raised:
        cifar10.load_data(tmp_path / "wrong.npz")
    assert str(tmp_path / "wrong.npz") in str(raised.value)
    assert words in str(raised.value)


def test_a_damaged_npz_file_is_named(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez_compressed(path, **small())
    whole = path.read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    flipped = whole[:300] + bytes([whole[300] ^ 255]) + whole[301:]
    for content in (whole[:-50], flipped, b"", b"no archive", (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cut.npz can't be read as an .npz file of plain arrays") as raised:
            cifar10.load_data(path)
        assert raised.value.__cause__ is not None


def test_a_folder_or_file_of_an_unknown_kind_lists_what_was_looked_for(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    for wrong, error, words in (
        (tmp_path / "absent", FileNotFoundError, "isn't there"),
        (tmp_path / "empty", FileNotFoundError, "an empty folder"),
        (tmp_path, ValueError, "a folder without CIFAR-10 in a known layout"),
        (tmp_path / "photo.jpg", ValueError, "a file of an unknown kind"),
    ):
        with pytest.raises(error) as raised:
            cifar10.load_data(wrong)
        for word in (words, str(wrong), "dataset_info.json", *FOLDERS.values(), *ARCHIVES.values(), ".npz"):
            assert word in str(raised.value)


def test_data_dir_must_be_a_path():
    with pytest.raises(TypeError, match=r"`data_dir` must be a string or a path. Received: data_dir=3"):
        cifar10.load_data(3)
