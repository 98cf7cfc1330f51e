"""The paper's text network: a very deep convolutional network over characters."""

from collections.abc import Sequence

import keras

from keras_euler._checks import check_choice, check_integer, check_rate
from keras_euler._types import Activation, DType, Initializer, PathLike, StepFactor
from keras_euler.layers import CharacterEmbedding, HalvingMaxPooling1D, KMaxPooling1D
from keras_euler.models.blocks import LayerMaker, checked_widths, residual_stages
from keras_euler.models.euler_model import EulerModel, chain

# Blocks of each stage. The authors call the last two depths 64 and 68.
BLOCKS = {
    9: (1, 1, 1, 1),
    17: (2, 2, 2, 2),
    29: (5, 5, 2, 2),
    49: (8, 8, 5, 3),
    65: (10, 10, 7, 5),
    69: (11, 11, 8, 4),
}
MIN_LENGTH = 64  # halved three times, it leaves the 8 positions that the head needs
POSITIONS = 8  # kept by the head
HEAD_POOLINGS = ("max", "k_max")
POOLINGS = {"avg": keras.layers.GlobalAveragePooling1D, "max": keras.layers.GlobalMaxPooling1D}


def EulerVDCNN(
    depth: int = 29,
    h: StepFactor = 0.1,
    num_classes: int = 4,
    sequence_length: int = 1024,
    vocabulary_size: int = 70,
    *,
    embedding_dim: int = 16,
    widths: Sequence[int] = (64, 128, 256, 512),
    norm: str | None = "batch",
    head_pooling: str = "max",
    dense_units: int = 1024,
    dropout: float = 0.0,
    shortcut: str = "projection",
    preactivation: bool = False,
    trainable_h: str | None = None,
    zero_gamma: bool = False,
    scheme: str = "euler",
    skip: float = 1.0,
    drop_path: float = 0.0,
    remat: bool = False,
    kernel_initializer: Initializer = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: Activation = None,
    data_format: str | None = None,
    dtype: DType = None,
    trainable: bool = True,
    weights: PathLike | None = None,
    name: str | None = None,
) -> EulerModel:
    """Residual network for texts whose blocks are explicit Euler steps, `x_{n+1} = I(x_n + h *
    F(x_n))`.

    This is the VDCNN of Conneau et al. (2017) in the version of the paper's authors. An embedding
    of the characters and a convolution of 3 characters precede four stages of blocks of two such
    convolutions each, with `widths` filters. A max pooling between the stages halves the length.
    The head keeps 8 positions per channel and has three dense layers. `h=1` is the ordinary
    network.

    `keras_euler.CharacterClassifier` encodes strings for it, by
    `datasets.text.encode_characters`. `fit`, `evaluate` and `predict` check arrays of
    ids: a compiled step would take a wrong id for NaN or for another id.

    Layers and variables have stable names: `embedding`, `stem_conv`, `stage2_block5`,
    `stage1_block1/conv1/kernel`, `dense1`.

    Args:
        depth: Number of convolutions and the first dense layer: 9, 17, 29, 49, 65 or 69.
        h: Step factor: a finite number >= 0; `"1/sqrt(L)"` or `"1/L"`, where L is the number of
            blocks; or one number per block.
        num_classes: Number of logits.
        sequence_length: Ids per text, at least 64.
        vocabulary_size: Number of ids, including 0, the padding:
            `datasets.text.vocabulary_size(alphabet)`.
        embedding_dim: Numbers per id; those of the padding are always zero.
        widths: Filters of the four stages.
        norm: `"batch"` (momentum 0.9, epsilon 1e-5), `"group"` (8 groups), `"layer"` (one group),
            or None.
        head_pooling: Which 8 numbers of each channel the head keeps: `"max"`, the largest of each
            eighth of the text (as the authors do), or `"k_max"`, the 8 largest in their order
            (Conneau et al.).
        dense_units: Units of the two hidden dense layers.
        dropout: Rate of the dropout after each hidden dense layer, at least 0 and below 1.
        shortcut: Where the width changes: `"projection"`, a 1x1 convolution and norm, or
            `"padding"`, channels of zeros.
        preactivation: Make F norm - relu - convolution twice, and I the identity (He et al. 2016b).
        trainable_h: Train `h`, starting from its value: `"scalar"` (ReZero) or `"channel"`
            (LayerScale); or None.
        zero_gamma: Start the branch's last gamma at zero. Needs a norm at the end of F.
        scheme, skip, drop_path, remat: As for `EulerResNet`.
        kernel_initializer: As for `EulerResNet`.
        include_top: False leaves out the head: its pooling and the dense layers.
        pooling: Without the top: `"avg"` or `"max"` over all positions, or None, which gives the
            features of each position.
        classifier_activation: Activation of the last dense layer. None: the outputs are logits.
        data_format: `"channels_last"` or `"channels_first"`, for the convolutions. Default: Keras'
            own setting.
        dtype: Dtype or policy, such as `"mixed_float16"`. The last dense layer gives float32.
        trainable: False freezes all layers.
        weights: None, the name of a preset (see `keras_euler.list_presets()`; it also fits without
            the top), or the path of a weights file.
        name: The model's name. Default: `euler_vdcnn_` and the depth.

    Returns:
        A functional `keras.Model`, which is saved, copied and changed like any other.

    Input shape: `(batch, sequence_length)`, integer ids. Output shape: `(batch, num_classes)`;
    without the top `(batch, positions, widths[-1])`, where positions are an eighth of the length,
    or with a pooling `(batch, widths[-1])`.

    Raises:
        ValueError: An argument is out of range; the message says what was received and what to
            pass. In use: an id is outside the vocabulary, the length differs, or a label is not a
            class.
        TypeError: An argument has the wrong type, or ids are not integers.
        OSError: The file of weights is missing.

    Example:

    >>> model = EulerVDCNN(depth=9, h=0.1, sequence_length=64, dense_units=32)
    >>> model.input_shape, model.output_shape
    ((None, 64), (None, 4))
    >>> model.predict(np.full((1, 64), 70))
    Traceback (most recent call last):
        ...
    ValueError: Ids must be in 0..69. Received: the id 70 at row 0, position 0.
    """
    arguments = dict(locals())
    blocks = blocks_per_stage(depth)
    hint = f"The three poolings leave an eighth of it, and the head needs {POSITIONS} positions."
    sequence_length = check_integer("sequence_length", sequence_length, MIN_LENGTH, hint)
    vocabulary_size = check_integer("vocabulary_size", vocabulary_size, 2, "Id 0 is the padding.")
    embedding_dim = check_integer("embedding_dim", embedding_dim, 1)
    check_choice("include_top", include_top, (True, False))
    check_choice("pooling", pooling, (*POOLINGS, None))
    if include_top and pooling:
        raise ValueError(
            "`pooling` is for include_top=False; the top has `head_pooling`. Received: "
            f"pooling={pooling!r}."
        )
    make = LayerMaker(1, norm, True, kernel_initializer, data_format, dtype)
    widths = checked_widths(widths, norm, 4)
    layers: list[keras.layers.Layer] = [
        CharacterEmbedding(vocabulary_size, embedding_dim, dtype=make.dtype, name="embedding")
    ]
    if make.data_format == "channels_first":
        layers.append(keras.layers.Permute((2, 1), dtype=make.dtype, name="to_channels_first"))
    layers += make.convolution(embedding_dim, widths[0], 3, name="stem_conv")  # no activation
    layers += residual_stages(
        make, blocks, widths, arguments, strides=1, between=HalvingMaxPooling1D
    )
    if include_top:
        layers += head(
            make,
            -(-sequence_length // 8),
            widths[-1],
            head_pooling=head_pooling,
            dense_units=dense_units,
            dropout=dropout,
            num_classes=num_classes,
            classifier_activation=classifier_activation,
        )
    elif pooling:
        layers.append(make.layer(POOLINGS[pooling], name="pool"))
    ids = keras.Input((sequence_length,), dtype="int32", name="ids")
    return chain(ids, layers, name or f"euler_vdcnn_{depth}", EulerVDCNN, arguments)


def blocks_per_stage(depth: int) -> tuple[int, ...]:
    if check_integer("depth", depth) not in BLOCKS:
        below = [known for known in BLOCKS if known < depth][-1:]
        nearest = below + [known for known in BLOCKS if known > depth][:1]
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, BLOCKS))}. Received: depth={depth}. The "
            f"nearest: {' or '.join(map(str, nearest))}."
        )
    return BLOCKS[depth]


def head(
    make: LayerMaker,
    positions: int,
    width: int,
    *,
    head_pooling: str,
    dense_units: int,
    dropout: float,
    num_classes: int,
    classifier_activation: Activation,
) -> list[keras.layers.Layer]:
    """Make the layers from the features to the logits: the pooling to 8 positions and three dense
    layers.

    Args:
        make: A `LayerMaker`.
        positions, width: Shape of the features.
        head_pooling, dense_units, dropout, num_classes, classifier_activation: As for `EulerVDCNN`.
    """
    check_choice("head_pooling", head_pooling, HEAD_POOLINGS)
    dense_units = check_integer("dense_units", dense_units, 1)
    dropout = check_rate("dropout", dropout)
    units = POSITIONS * width
    pool, size = KMaxPooling1D, POSITIONS
    if head_pooling == "max":
        pool = keras.layers.AdaptiveMaxPooling1D
        if positions % POSITIONS == 0:  # the usual case; faster than the general layer
            pool, size = keras.layers.MaxPooling1D, positions // POSITIONS
    layers = [
        make.layer(pool, size, name="head_pool"),
        # Flatten by positions in both data formats; torch flattens by channels (see
        # convert.py).
        make.layer(keras.layers.Flatten, name="flatten"),
    ]
    for i in (1, 2):
        layers.append(make.dense(units, dense_units, activation="relu", name=f"dense{i}"))
        if dropout:
            layers.append(keras.layers.Dropout(dropout, dtype=make.dtype, name=f"dropout{i}"))
        units = dense_units
    return [*layers, *make.logits(units, num_classes, classifier_activation)]
