"""CIFAR-10 from TensorFlow Datasets: prepared folders and downloads."""

import os
import pathlib
import sys

import keras
import numpy as np
import pytest

from keras_euler.datasets import cifar10
from tests.small_sets import small

pytestmark = pytest.mark.once


@pytest.fixture
def fake_tfds(fake_tfds):
    """Replace TensorFlow Datasets by a fake with a few images."""
    arrays = small()
    fake_tfds.hold(
        **{
            name: {"image": arrays[f"x_{name}"], "label": arrays[f"y_{name}"]}
            for name in ("train", "test")
        }
    )
    return fake_tfds


def test_a_tfds_folder_may_be_given_by_its_root_its_set_or_its_newest_version(
    fake_tfds, tfds_folder, tmp_path
):
    tfds_folder(tmp_path, version="3.0.2")
    newest = tfds_folder(tmp_path, version="3.0.10")
    for data_dir in (tmp_path, tmp_path / "cifar10", newest):
        fake_tfds.asked.clear()
        (x_train, y_train), (_, y_test) = cifar10.load_data(data_dir)
        assert newest in fake_tfds.asked and "download" not in fake_tfds.asked
        assert x_train.shape == (4, 32, 32, 3)
        assert y_train.tolist() == [0, 1, 2, 3] and y_test.tolist() == [0, 1]


def test_tensorflow_leaves_the_gpu_alone_unless_it_is_the_backend(fake_tfds, tfds_folder, tmp_path):
    cifar10.load_data(tfds_folder(tmp_path))
    assert (([], "GPU") in fake_tfds.asked) == (keras.backend.backend() != "tensorflow")


def test_a_tfds_folder_of_another_set_is_refused(tfds_folder, tmp_path):
    with pytest.raises(ValueError, match=r"must hold the data set cifar10. Received: 'mnist'"):
        cifar10.load_data(tfds_folder(tmp_path, named="mnist"))
    (tmp_path / "cifar10/3.0.2/dataset_info.json").write_text("{")
    with pytest.raises(ValueError, match=r"3.0.2 cannot be read as a prepared"):
        cifar10.load_data(tmp_path)


def test_without_tfds_its_folder_names_the_extra(monkeypatch, tfds_folder, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[datasets\]"'):
        cifar10.load_data(tfds_folder(tmp_path))


def test_without_a_folder_tfds_downloads(fake_tfds):
    (x_train, _), _ = cifar10.load_data()
    assert fake_tfds.asked[-2:] == ["cifar10", "download"]
    assert len(x_train) == 4


def test_without_a_folder_and_without_tfds_keras_downloads(monkeypatch):
    arrays = small(y_train=np.array([[3], [1], [9], [0]], "uint8"))
    splits = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: splits)
    (_, y_train), _ = cifar10.load_data()
    assert y_train.tolist() == [3, 1, 9, 0] and y_train.dtype == np.int64


def test_the_real_images_have_the_known_counts_and_colours():
    pytest.importorskip("tensorflow_datasets", reason="tensorflow_datasets is not installed")
    data = os.environ.get("KERAS_EULER_DATA")
    if not data:
        pytest.skip("KERAS_EULER_DATA is not set: the folder that holds tfds/cifar10")
    root = pathlib.Path(data, "tfds")
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(root)
    assert (x_train.shape, x_train.dtype) == ((50_000, 32, 32, 3), np.uint8)
    assert (x_test.shape, x_test.dtype) == ((10_000, 32, 32, 3), np.uint8)
    assert np.bincount(y_train).tolist() == [5000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    # The known mean of the training pixels; the copy here may be recompressed as JPEG, which shifts
    # colours a little.
    np.testing.assert_allclose(
        x_train[::5].mean((0, 1, 2)) / 255, (0.4914, 0.4822, 0.4465), atol=0.01
    )
    (names,) = root.glob("cifar10/*/label.labels.txt")
    assert tuple(names.read_text().split()) == cifar10.CLASS_NAMES
