"""keras_euler.datasets.cifar10: constants, `resize`, `.npz` files and unknown files."""

import numpy as np
import pytest

from keras_euler.datasets import cifar10
from tests.small_sets import small

pytestmark = pytest.mark.once


def test_class_names_are_the_ten_of_cifar10():
    assert len(set(cifar10.CLASS_NAMES)) == 10
    assert cifar10.CLASS_NAMES[0] == "airplane" and cifar10.CLASS_NAMES[9] == "truck"


def test_mean_and_stddev_are_the_authors_in_units_of_pixels():
    np.testing.assert_allclose(cifar10.MEAN, np.multiply(255, (0.4914, 0.4822, 0.4465)), rtol=1e-15)
    np.testing.assert_allclose(
        cifar10.STDDEV, np.multiply(255, (0.2023, 0.1994, 0.2010)), rtol=1e-15
    )


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32])
def test_a_resized_pixel_is_the_mean_of_a_square_rounded_half_to_even(size, rng):
    images = rng.integers(0, 256, (3, 32, 32, 3), "uint8")
    images[2] = images[2] % 2  # means with halves
    side = 32 // size
    expected = np.zeros((3, size, size, 3), int)
    for i, row, column, colour in np.ndindex(expected.shape):
        square = images[
            i, row * side : (row + 1) * side, column * side : (column + 1) * side, colour
        ]
        # Python rounds half to even.
        expected[i, row, column, colour] = round(int(square.sum()) / side**2)
    resized = cifar10.resize(images, size)
    assert resized.dtype == np.uint8
    np.testing.assert_array_equal(resized, expected)


@pytest.mark.parametrize(
    "labels", [np.array([3, 1, 9, 0]), np.array([[3], [1], [9], [0]], "uint8")]
)
def test_an_npz_file_of_any_number_of_images_is_read(tmp_path, labels):
    arrays = small(y_train=labels)
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(tmp_path / "small.npz")
    assert np.array_equal(x_train, arrays["x_train"]) and np.array_equal(x_test, arrays["x_test"])
    assert x_train.dtype == x_test.dtype == np.uint8 and y_train.dtype == y_test.dtype == np.int64
    assert y_train.tolist() == [3, 1, 9, 0] and y_test.tolist() == [0, 1]


def test_a_folder_or_file_of_an_unknown_kind_lists_what_was_looked_for(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    for wrong, words in (
        (tmp_path / "absent", "does not exist"),
        (tmp_path / "empty", "must hold CIFAR-10 in a known layout"),
        (tmp_path, "must hold CIFAR-10 in a known layout"),
        (tmp_path / "photo.jpg", "must hold CIFAR-10 in a known layout"),
    ):
        with pytest.raises(FileNotFoundError) as raised:
            cifar10.load_data(wrong)
        for word in (words, str(wrong), "dataset_info.json", ".npz"):
            assert word in str(raised.value)
