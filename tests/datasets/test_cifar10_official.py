"""keras_euler.datasets.cifar10: the official folder and archive, and their pickles."""

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


LABELS = [0] * ROWS


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
