"""Small versions of the files of CIFAR-10-C and CIFAR-10.1."""

import json

import numpy as np
import pytest

from keras_euler.datasets import shifted

pytestmark = pytest.mark.once


def images(rng, n):
    return rng.integers(0, 256, (n, 32, 32, 3)).astype("uint8")


def test_severities_lie_one_after_the_other(tmp_path, rng):
    fog, labels = images(rng, 20), rng.integers(0, 10, 20)
    np.save(tmp_path / "labels.npy", labels.astype("uint8"))
    np.save(tmp_path / "fog.npy", fog)
    sets = shifted.find(tmp_path)
    assert list(sets) == [f"fog {severity}" for severity in range(1, 6)]
    x, y = sets["fog 3"]()
    np.testing.assert_array_equal(x, fog[8:12])
    np.testing.assert_array_equal(y, labels[8:12])
    assert y.dtype == np.int64


def test_new_images(tmp_path, rng):
    new = images(rng, 3)
    np.save(tmp_path / "cifar10.1_v6_data.npy", new)
    np.save(tmp_path / "cifar10.1_v6_labels.npy", np.array([1, 2, 3], "int32"))
    (x, y) = shifted.find(tmp_path)["CIFAR-10.1 v6"]()
    np.testing.assert_array_equal(x, new)
    assert y.tolist() == [1, 2, 3]


def test_prepared_by_tensorflow_datasets(tmp_path, monkeypatch, rng):
    folder = tmp_path / "cifar10_corrupted" / "brightness_2" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"name": "cifar10_corrupted"}))
    read = []

    def read_prepared(*args):
        read.append(args)
        return ((images(rng, 2), np.array([0, 1])),)

    monkeypatch.setattr(shifted._files, "read_prepared", read_prepared)
    sets = shifted.find(tmp_path)
    assert list(sets) == ["brightness 2"]
    x, _ = sets["brightness 2"]()
    assert x.shape == (2, 32, 32, 3)
    assert read == [(folder, "cifar10_corrupted", ("image", "label"), ("test",))]


@pytest.mark.parametrize("wrong", [-1, 10, 2.9, np.nan])
def test_labels_are_classes(wrong, tmp_path, rng):
    np.save(tmp_path / "cifar10.1_v6_data.npy", images(rng, 3))
    np.save(tmp_path / "cifar10.1_v6_labels.npy", np.array([1, wrong, 3]))
    [read] = shifted.find(tmp_path).values()
    with pytest.raises(ValueError, match="labels must be"):
        read()
