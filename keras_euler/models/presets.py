"""Trained networks by name: what they are, where their weights come from, and what was measured.
The data lie in `zoo/`."""

import fnmatch
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_euler.models.step_factor import step_factors

ZOO = Path(__file__).parents[1] / "zoo"
# Arguments that change neither the weights of a network nor what they compute.
OVERRIDABLE_ARGUMENTS = (
    "name",
    "dtype",
    "weights",
    "kernel_initializer",
    "data_format",
    "classifier_activation",
    "zero_gamma",
    "dropout",
    "drop_path",
    "include_top",
    "input_shape",
    "sequence_length",
    "trainable",
    "remat",
)
# Arguments of the top, which a network without it lacks.
TOP_ARGUMENTS = ("num_classes", "pooling", "head_pooling", "dense_units")
CARD = """\
### {0.name}

{0.description}

- **Network**: `keras_euler.{0.network}({arguments})`
- **Test accuracy**: {0.accuracy}
- **Trained by**: `{0.command}` on one {0.metrics[device]}
- **Use**: `keras_euler.list_presets()["{0.name}"].load()`
- **Weights**: {0.megabytes:.1f} MB, SHA-256 `{0.sha256}`
- **Classes**: {classes}
- **Limits**: {0.limits}"""
METADATA = """\
---
license: apache-2.0
library_name: keras
pipeline_tag: {task}
tags: [keras-euler]
datasets: [{dataset}]
metrics: [accuracy]
model-index:
- name: {0.name}
  results:
  - task: {{type: {task}}}
    dataset: {{type: {dataset}, name: {data}}}
    metrics: [{{type: accuracy, value: {0.metrics[test_accuracy]}}}]
---

"""


@dataclass(frozen=True)
class Preset:
    """A trained network of this project.

    Attributes:
        name: What `weights` of the network takes.
        network: `"EulerResNet"` or `"EulerVDCNN"`.
        arguments: Dict of the arguments it is built with.
        description: What it was trained on and for how long.
        limits: What the network is not for.
        weights: Name of the file in the package.
        sha256: Of the file, in hexadecimal digits.
        command: What trained it.
        metrics: Dict: `test_accuracy` after the last epoch, `test_examples`, `n` trainings, their
            `spread` (None for one), `data`, `device`, `epochs`.
        class_names: Name of each class.
        preprocessing: Of images: dict of `mean` and `stddev` per channel, in units of 0..255; of
            texts: dict of `alphabet`.

    Example:

    >>> preset = list_presets()["euler_vdcnn_9_ag_news"]
    >>> preset.network, preset.class_names
    ('EulerVDCNN', ('World', 'Sports', 'Business', 'Sci/Tech'))
    """

    name: str
    network: str
    arguments: dict[str, Any]
    description: str
    limits: str
    weights: str
    sha256: str
    command: str
    metrics: dict[str, Any]
    class_names: tuple[str, ...]
    preprocessing: dict[str, Any]

    @property
    def accuracy(self) -> str:
        """The measured test accuracy, with its spread, the data and the number of trainings."""
        measured = self.metrics
        spread = "" if measured["spread"] is None else f" ± {measured['spread']:.3f}"
        return f"{measured['test_accuracy']:.3f}{spread} ({measured['data']}, n = {measured['n']})"

    @property
    def megabytes(self) -> float:
        """Size of the file of the weights, in millions of bytes."""
        return (ZOO / self.weights).stat().st_size / 1e6

    def card(self, metadata: bool = True) -> str:
        """The model card, in Markdown: data, command, accuracy and limits.

        Args:
            metadata: Whether it begins with the YAML block that model hubs read.

        Example:

        >>> print(list_presets()["euler_resnet_20_cifar10"].card(metadata=False).splitlines()[5])
        - **Test accuracy**: 0.860 (CIFAR-10 (JPEG q75), n = 1)
        """
        is_text = "alphabet" in self.preprocessing
        header = METADATA.format(
            self,
            task="text-classification" if is_text else "image-classification",
            dataset="ag_news" if is_text else "cifar10",
            data=json.dumps(self.metrics["data"]),
        )
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        card = CARD.format(self, arguments=arguments, classes=", ".join(self.class_names))
        return header * metadata + card

    def file(self) -> Path:
        """Path of the weights in the package, verified by their SHA-256."""
        file = ZOO / self.weights
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != self.sha256:
            raise ValueError(
                f"{file} is missing or damaged: its SHA-256 should be {self.sha256}. Reinstall "
                "keras_euler."
            )
        return file

    def load(self) -> keras.Model:
        """The trained model of raw inputs: an `ImageClassifier` of uint8 pixels, or a
        `CharacterClassifier` of strings."""
        from keras_euler import models  # which needs this module

        network = getattr(models, self.network)(**self.arguments, weights=self.name)
        if "alphabet" in self.preprocessing:
            alphabet = self.preprocessing["alphabet"]
            return models.CharacterClassifier(network, alphabet, self.class_names, name=self.name)
        images = keras.Input(network.input_shape[1:], dtype="uint8", name="images")
        layers = [images, self.normalization(), network]
        return models.ImageClassifier(layers, self.class_names, name=self.name)

    def normalization(self) -> keras.layers.Layer:
        """The layer that normalizes images before the network: `(x - mean) / stddev`."""
        mean, stddev = self.preprocessing["mean"], self.preprocessing["stddev"]
        axis = 1 if keras.config.image_data_format() == "channels_first" else -1
        variance = [s**2 for s in stddev]
        return keras.layers.Normalization(
            axis=axis, mean=mean, variance=variance, dtype="float32", name="normalization"
        )

    def check(
        self, network: Callable[..., keras.Model], given: Mapping[str, Any], num_blocks: int
    ) -> None:
        """Raise a ValueError unless the weights are those of `network`, called with the arguments
        `given`, with or without its top."""
        if self.network != network.__name__:
            raise ValueError(
                f"The preset {self.name!r} is an {self.network}. Received: an {network.__name__} "
                f"of weights={self.name!r}."
            )
        parameters = inspect.signature(network).parameters
        trained = {**{name: p.default for name, p in parameters.items()}, **self.arguments}
        ignored = (*OVERRIDABLE_ARGUMENTS, *(() if given["include_top"] else TOP_ARGUMENTS))

        def plain(name: str, value: Any) -> Any:
            is_h = name == "h"
            return step_factors(value, num_blocks) if is_h else keras.tree.lists_to_tuples(value)

        different = [
            f"{name}={value!r}, the weights have {trained[name]!r}"
            for name, value in given.items()
            if name not in ignored and plain(name, value) != plain(name, trained[name])
        ]
        if different:
            raise ValueError(
                f"The preset {self.name!r} is of another network. Received: "
                f"{'; '.join(different)}. Pass the preset's arguments; for another number of "
                "classes include_top=False and a head of your own."
            )


def list_presets(pattern: str = "*") -> dict[str, Preset]:
    """The trained networks: a dict of name -> `Preset`.

    A name is what `weights` of `EulerResNet` and `EulerVDCNN` takes; `load()` gives the whole model
    of raw inputs.

    Args:
        pattern: The names to list, with `*` for any characters.

    Raises:
        TypeError: The pattern is not a string.

    Example:

    >>> preset = list_presets()["euler_resnet_20_cifar10"]
    >>> preset.network, preset.arguments["depth"], preset.arguments["h"]
    ('EulerResNet', 20, 0.1)
    >>> preset.load().predict(np.zeros((1, 32, 32, 3), "uint8"), verbose=0).shape
    (1, 10)
    >>> list(list_presets("*ag_news"))
    ['euler_vdcnn_9_ag_news']
    """
    table = json.loads((ZOO / "presets.json").read_text())
    return {
        name: Preset(name=name, **{**table[name], "class_names": tuple(table[name]["class_names"])})
        for name in fnmatch.filter(table, pattern)
    }
