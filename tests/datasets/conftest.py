"""Fixtures of the data sets' tests: folders and files as published."""

import importlib.machinery
import json
import sys
import types

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
