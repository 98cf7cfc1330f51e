"""Fixtures of the data sets' tests: folders and files as published."""

import importlib.machinery
import io
import json
import pickle
import shutil
import struct
import sys
import types
import typing

import numpy as np
import pytest

# --- TensorFlow Datasets


@pytest.fixture
def tfds_folder():
    """Return a function that makes the version folder of a prepared data set, without its rows."""

    def make(root, name="cifar10", version="3.0.2", named=None):
        folder = root / name / version
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text(json.dumps({"name": named or name}))
        return folder

    return make


@pytest.fixture
def fake_tfds(monkeypatch):
    """A fake of TensorFlow Datasets without TensorFlow: `hold` sets its arrays, and `asked` records
    the calls."""
    asked, tensors, counts = [], {}, {}

    def hold(**splits):
        for name, arrays in splits.items():
            tensors[name] = {
                key: types.SimpleNamespace(numpy=lambda a=a: a) for key, a in arrays.items()
            }
            counts[name] = types.SimpleNamespace(num_examples=len(arrays["label"]))

    builder = types.SimpleNamespace(
        as_dataset=lambda split, **_: tensors[split],
        info=types.SimpleNamespace(splits=counts),
        data_dir=".",  # prepared, so that no network is looked for
        download_and_prepare=lambda: asked.append("download"),
    )
    module = types.ModuleType("tensorflow_datasets")
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    module.ReadConfig = lambda **_: None
    module.builder = lambda name: asked.append(name) or builder
    module.builder_from_directory = lambda folder: asked.append(folder) or builder
    hidden = types.ModuleType("tensorflow")
    hidden.config = types.SimpleNamespace(
        set_visible_devices=lambda devices, kind: asked.append((devices, kind))
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    monkeypatch.setitem(sys.modules, "tensorflow", hidden)
    return types.SimpleNamespace(asked=asked, counts=counts, hold=hold, builder=builder)


# --- the official files of CIFAR-10


class Official:
    """Both official folders of CIFAR-10 in the folder `root`, with synthetic images."""

    rows = 10_000
    kinds: typing.ClassVar = {
        "py": (
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
            "test_batch",
        )
    }
    folders: typing.ClassVar = {"py": "cifar-10-batches-py"}

    def __init__(self, root):
        self.root = root
        for kind, names in self.kinds.items():
            folder = self.folder(kind)
            folder.mkdir()
            (folder / "readme.html").write_text("not data")
            for file, name in enumerate(names):
                data, labels = self.batch(file)
                content = {"batch_label": name, "labels": labels.tolist(), "data": data}
                (folder / name).write_bytes(python2_pickle(content))

    def folder(self, kind):
        return self.root / self.folders[kind]

    @staticmethod
    def pixel(file, image, row, column, channel):
        """Return the value of the synthetic files at one place; `file` counts the six files."""
        return (60 * channel + 5 * row + column + 7 * image + 11 * file) % 256

    @classmethod
    def batch(cls, file):
        """Return one file's content as stored, channel by channel: uint8 (10000, 3072), and its
        labels."""
        channel, row, column = np.ogrid[:3, :32, :32]
        plane = cls.pixel(file, 0, row, column, channel).reshape(1, 3072).astype("uint8")
        image = np.arange(cls.rows)
        return plane + np.uint8(7) * image[:, None].astype("uint8"), (image + file) % 10


class Python2Pickler(pickle._Pickler):
    """Write strings like Python 2, which wrote the official files."""

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
    """The official folders of CIFAR-10, created once."""
    root = tmp_path_factory.mktemp("official")
    yield Official(root)
    shutil.rmtree(root)  # 370 MB, which pytest would keep


@pytest.fixture
def with_file(official, tmp_path):
    """Return a function that makes an official folder in which one file is replaced or missing."""
    folders = tmp_path / "with_file"

    def make(kind, name, content):
        folder = folders / official.folders[kind]
        folder.mkdir(parents=True)
        for other in official.kinds[kind]:
            (folder / other).symlink_to(official.folder(kind) / other)
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        return folder

    yield make
    shutil.rmtree(folders)  # 30 MB a test, which pytest would keep
