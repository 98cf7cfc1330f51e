"""Trained networks by name: what they are, where their weights come from, and what was measured. The data lie in `zoo/`."""

import json
from dataclasses import dataclass

import keras

from keras_euler.models.weights import ZOO, different_arguments, weights_file


@dataclass(frozen=True)
class Preset:
    """A trained network of this project.

    Attributes:
        name: What `weights` of the network takes.
        network: `"EulerResNet"` or `"EulerVDCNN"`.
        arguments: Dict of the arguments it is built with.
        description: What it was trained on and how, in words.
        weights: The file, in the package, or the URL.
        sha256: Of the file, in hexadecimal digits.
        command: What trained it.
        metrics: Dict: `test_accuracy` after the last epoch, `test_examples`, `n` trainings, their `spread` (None for one), `data`,
            `device`, `epochs`.
        class_names: Name of each class.
        preprocessing: Of images: dict of `mean` and `stddev` per channel, in units of 0..255; of texts: dict of `alphabet`.

    Example:

    >>> preset = list_presets()["euler_vdcnn_9_ag_news"]
    >>> preset.network, preset.class_names
    ('EulerVDCNN', ('World', 'Sports', 'Business', 'Sci/Tech'))
    """

    name: str
    network: str
    arguments: dict
    description: str
    weights: str
    sha256: str
    command: str
    metrics: dict
    class_names: tuple
    preprocessing: dict

    def file(self):
        """Path of the weights, verified; downloaded where they must be."""
        return weights_file(self.weights, self.sha256)

    def load(self):
        """The trained model of raw inputs: an `ImageClassifier` of uint8 pixels, or a `CharacterClassifier` of strings."""
        network = _class_of(self.network)(**self.arguments, weights=self.name)
        if "alphabet" in self.preprocessing:
            classifier = _class_of("CharacterClassifier")
            return classifier(network, self.preprocessing["alphabet"], self.class_names, name=self.name)
        images = keras.Input(network.input_shape[1:], dtype="uint8", name="images")
        return _class_of("ImageClassifier")([images, self.normalization(network.data_format), network], name=self.name)

    def normalization(self, data_format="channels_last"):
        """The layer that images pass before the network: `(x - mean) / stddev`."""
        mean, stddev = self.preprocessing["mean"], self.preprocessing["stddev"]
        axis = 1 if data_format == "channels_first" else -1
        variance = [s**2 for s in stddev]
        return keras.layers.Normalization(axis=axis, mean=mean, variance=variance, dtype="float32", name="normalization")

    def check(self, network, arguments):
        """Raise a ValueError unless `network`, built with these arguments, is the one of the weights, with or without its top."""
        if self.network not in [cls.__name__ for cls in type(network).__mro__]:
            raise ValueError(
                f"The preset {self.name!r} is an {self.network}. Received: an {type(network).__name__} of weights={self.name!r}."
            )
        different = different_arguments(network, arguments, self.arguments)
        if different:
            raise ValueError(
                f"The preset {self.name!r} is of another network. Received: {'; '.join(different)}. Pass the preset's "
                "arguments; for another number of classes include_top=False and a head of your own."
            )


def list_presets():
    """The trained networks: a dict of name -> `Preset`.

    A name is what `weights` of `EulerResNet` and `EulerVDCNN` takes; `load()` gives the whole model of raw inputs.

    Example:

    >>> preset = list_presets()["euler_resnet_20_cifar10"]
    >>> preset.network, preset.arguments["depth"], preset.arguments["h"]
    ('EulerResNet', 20, 0.1)
    >>> preset.load().predict(np.zeros((1, 32, 32, 3), "uint8"), verbose=0).shape
    (1, 10)
    """
    table = json.loads((ZOO / "presets.json").read_text())
    return {name: Preset(name=name, **{**entry, "class_names": tuple(entry["class_names"])}) for name, entry in table.items()}


def _class_of(name):
    from keras_euler import models  # which needs this module

    return getattr(models, name)
