"""EulerVDCNN as a KerasHub text classifier."""

from typing import Any, Self

import keras
import keras_hub
import numpy as np

from keras_euler import _backend
from keras_euler._checks import check_integer
from keras_euler._register import register
from keras_euler._types import Activation, Array, Config, DType, StepFactor, Texts
from keras_euler.datasets.text import check_ids, check_texts, encode_characters, vocabulary_size
from keras_euler.hub.base import EulerBackbone, EulerTask, FromZoo, check_backbone
from keras_euler.models import EulerVDCNN, Preset
from keras_euler.models.blocks import LayerMaker
from keras_euler.models.euler_vdcnn import head
from keras_euler.models.validation import validates_inputs


@register
class EulerVDCNNBackbone(EulerBackbone):
    """The blocks of an `EulerVDCNN`, from ids of characters to the features of each position.

    It is saved and copied as `EulerResNetBackbone` says, by its arguments and weights.

    Args:
        depth: As for `EulerVDCNN`: 9, 17, 29, 49, 65 or 69.
        h: As for `EulerVDCNN`.
        name, trainable, dtype: As for every Keras model.
        **kwargs: The other arguments of `EulerVDCNN` except those of its top: `sequence_length`,
            `vocabulary_size`, `embedding_dim`, `widths`, `norm`, `shortcut`, `preactivation`,
            `trainable_h`, `zero_gamma`, `scheme`, `skip`, `drop_path`, `kernel_initializer`,
            and `data_format`.

    Input shape: `(batch, sequence_length)`, integer ids. Output shape: `(batch, sequence_length /
    8, widths[-1])`.

    Raises:
        ValueError, TypeError: As `EulerVDCNN`.

    Example:

    >>> backbone = EulerVDCNNBackbone(depth=9, sequence_length=64)
    >>> backbone.output_shape
    (None, 8, 512)
    """

    network = EulerVDCNN

    def __init__(
        self,
        depth: int = 29,
        h: StepFactor = 0.1,
        name: str | None = None,
        trainable: bool = True,
        dtype: DType = None,
        **kwargs: Any,
    ) -> None:
        super().__init__({"depth": depth, "h": h, **kwargs}, name, trainable, dtype)


@register
class EulerVDCNNTextClassifierPreprocessor(FromZoo, keras_hub.models.TextClassifierPreprocessor):
    """Encode strings as ids of characters, like `datasets.text.encode_characters`.

    Args:
        sequence_length: Ids per text; longer texts are truncated, shorter ones padded.
        alphabet: `"authors"`, `"zhang"`, or a string of symbols.
        **kwargs: As for every Keras layer, such as `name`.

    Call arguments:
        x: One string, or n strings: a list, an array, a column of a table, another sequence or a
            TensorFlow tensor.
        y, sample_weight: Labels and weights, which are passed on.

    Output shape: `(sequence_length,)` or `(n, sequence_length)`, int32; with `y` a pair with it.

    Raises:
        TypeError: A text is not a string.
        ValueError: `sequence_length` or `alphabet` is invalid.

    Example:

    >>> preprocessor = EulerVDCNNTextClassifierPreprocessor(sequence_length=8)
    >>> np.asarray(preprocessor(["abc"])).tolist()
    [[1, 2, 3, 0, 0, 0, 0, 0]]
    """

    network = EulerVDCNN
    backbone_cls = EulerVDCNNBackbone
    tokenizer_cls = None

    def __init__(
        self, sequence_length: int = 1024, alphabet: str = "authors", **kwargs: Any
    ) -> None:
        for of_keras_hub in ("tokenizer", "truncate"):
            kwargs.pop(of_keras_hub, None)
        check_integer("sequence_length", sequence_length, 1)
        vocabulary_size(alphabet)
        super().__init__(tokenizer=None, sequence_length=sequence_length, **kwargs)
        self.alphabet = alphabet

    def build(self, input_shape: Any) -> None:
        self.built = True  # KerasHub's build would make a packer of segments

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        if _backend.is_tensorflow_tensor(x):
            ids = _backend.on_strings_of_tensorflow(self._encoded, x, self.sequence_length)
        else:
            ids = self._encoded([x])[0] if isinstance(x, str) else self._encoded(x)
        return keras.utils.pack_x_y_sample_weight(ids, y, sample_weight)

    def _encoded(self, texts: Texts) -> Array:
        return encode_characters(texts, self.sequence_length, self.alphabet)

    def get_config(self) -> Config:
        return {**super().get_config(), "alphabet": self.alphabet}

    @classmethod
    def for_backbone(cls, preset: Preset, backbone: EulerVDCNNBackbone) -> Self:
        """Make the preprocessor of a preset for the text length of a backbone."""
        return cls.from_zoo(preset, sequence_length=backbone.arguments["sequence_length"])

    @classmethod
    def from_zoo(cls, preset: Preset, **kwargs: Any) -> Self:
        length = preset.arguments.get("sequence_length", 1024)
        return cls(**{"sequence_length": length, **preset.preprocessing, **kwargs})


@validates_inputs
@register
class EulerVDCNNTextClassifier(EulerTask, keras_hub.models.TextClassifier):
    """KerasHub's `TextClassifier` with an `EulerVDCNNBackbone` and the head of `EulerVDCNN`: its
    methods take strings.

    Args:
        backbone: An `EulerVDCNNBackbone`.
        num_classes: Number of logits.
        preprocessor: An `EulerVDCNNTextClassifierPreprocessor`, or None for ids.
        head_pooling, dense_units, dropout: As for `EulerVDCNN`.
        activation: Activation of the last dense layer. None: the outputs are logits.
        **kwargs: `name` and `compile`, as for every KerasHub task.

    Raises:
        ValueError, TypeError: An argument is out of range or has the wrong type. In use: a text is
            not a string, or a label is not a class.

    Example:

    >>> backbone = EulerVDCNNBackbone(depth=9, sequence_length=64)
    >>> preprocessor = EulerVDCNNTextClassifierPreprocessor(sequence_length=64)
    >>> classifier = EulerVDCNNTextClassifier(
    ...     backbone, num_classes=4, preprocessor=preprocessor, dense_units=16
    ... )
    >>> classifier.predict(["Wall St. Bears Claw Back", "Goal!"], verbose=0).shape
    (2, 4)
    """

    network = EulerVDCNN
    backbone_cls = EulerVDCNNBackbone
    preprocessor_cls = EulerVDCNNTextClassifierPreprocessor
    network_arguments = ("num_classes", "head_pooling", "dense_units", "dropout")
    head = tuple((name, name) for name in ("dense1", "dense2", "logits"))

    def __init__(
        self,
        backbone: EulerVDCNNBackbone,
        num_classes: int,
        preprocessor: keras.layers.Layer | None = None,
        head_pooling: str = "max",
        dense_units: int = 1024,
        dropout: float = 0.0,
        activation: Activation = None,
        **kwargs: Any,
    ) -> None:
        check_backbone(backbone, EulerVDCNNBackbone)
        if isinstance(preprocessor, EulerVDCNNTextClassifierPreprocessor):
            provided = preprocessor.sequence_length, vocabulary_size(preprocessor.alphabet)
            expected = backbone.arguments["sequence_length"], backbone.arguments["vocabulary_size"]
            if provided[0] != expected[0] or provided[1] > expected[1]:
                raise ValueError(
                    f"`preprocessor` must give {expected[0]} ids below {expected[1]}, as the "
                    f"backbone takes. Received: one of {provided[0]} ids below {provided[1]}."
                )
        settings: Config = dict(
            num_classes=num_classes,
            head_pooling=head_pooling,
            dense_units=dense_units,
            dropout=dropout,
        )
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        axes = backbone.output_shape[1:]
        positions, width = axes[::-1] if backbone.data_format == "channels_first" else axes
        make = LayerMaker(1, None, True, None, backbone.data_format, backbone.dtype_policy)

        # === Functional Model ===
        inputs = backbone.input
        x = backbone(inputs)
        for layer in head(make, positions, width, **settings, classifier_activation=activation):
            x = layer(x)
        super().__init__(inputs=inputs, outputs=x, **kwargs)

        # === Config ===
        self.activation = keras.activations.get(activation)
        for name, value in settings.items():
            setattr(self, name, value)

    def prepare_inputs(self, x: Any) -> Array:
        """Check strings, or ids if there is no preprocessor."""
        if self.preprocessor is None:
            return check_ids(
                x,
                self.backbone.arguments["vocabulary_size"],
                self.backbone.arguments["sequence_length"],
            )
        return np.array(check_texts(x), object)

    def get_config(self) -> Config:
        settings = {name: getattr(self, name) for name in self.network_arguments}
        return {
            **super().get_config(),
            **settings,
            "activation": keras.activations.serialize(self.activation),
        }
