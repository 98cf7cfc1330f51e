"""The paper's image network at any depth."""

from collections.abc import Sequence

import keras

from keras_euler._checks import check_choice, check_integer
from keras_euler._types import Activation, DType, Initializer, PathLike, Shape, StepFactor
from keras_euler.models.blocks import LayerMaker, checked_widths, residual_stages
from keras_euler.models.euler_model import EulerModel, chain

POOLINGS = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    None: None,
}


def EulerResNet(
    depth: int = 110,
    h: StepFactor = 0.1,
    num_classes: int = 10,
    input_shape: Sequence[int | None] | None = None,
    *,
    widths: Sequence[int] = (16, 32, 64),
    norm: str | None = "batch",
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
    pooling: str | None = "avg",
    classifier_activation: Activation = None,
    data_format: str | None = None,
    dtype: DType = None,
    trainable: bool = True,
    weights: PathLike | None = None,
    name: str | None = None,
) -> EulerModel:
    """Residual network for images whose blocks are explicit Euler steps, `x_{n+1} = I(x_n + h *
    F(x_n))`.

    It has a 3x3 convolution, then three stages of `(depth - 2) / 6` blocks of two 3x3 convolutions
    each, with `widths` filters. The first block of stages 2 and 3 halves the resolution. `h=1` is
    the ordinary ResNet of He et al. (2016a) for CIFAR-10; the paper ("Towards Robust ResNet", IJCAI
    2019, section 4) takes `h=0.1`.

    Layers and variables have stable names: `stem_conv`, `stage2_block5`,
    `stage1_block1/conv1/kernel`. The paper's "layer 2" is `stage1_block1/conv1`.

    Args:
        depth: Number of layers with weights along the path, 6n + 2: 8, 14, 20, ..., 110, ..., 218,
            ...
        h: Step factor: a finite number >= 0; `"1/sqrt(L)"` or `"1/L"`, where L is the number of
            blocks; or one number per block.
        num_classes: Number of logits.
        input_shape: Shape of one image in the order of `data_format`. Default: 32 x 32 pixels of 3
            channels.
        widths: Filters of the three stages.
        norm: `"batch"` (momentum 0.9, epsilon 1e-5), `"group"` (8 groups), `"layer"` (one group),
            or None. Without a norm the stem and the convolutions of F have a bias.
        shortcut: The shortcut where width and resolution change: `"projection"`, a strided 1x1
            convolution and norm (the paper's, option B), or `"padding"`, every second pixel and
            channels of zeros (option A).
        preactivation: Make F norm - relu - convolution twice, and I the identity (He et al. 2016b).
        trainable_h: Train `h`, starting from its value: `"scalar"` (ReZero) or `"channel"`
            (LayerScale); or None.
        zero_gamma: Start the branch's last gamma at zero. Needs a norm at the end of F.
        scheme: Method of the step: `"euler"`, `"heun"` or `"rk4"`, as for `EulerResidual`; Euler's
            where the shape changes.
        skip: Factor `a` of the shortcut, a finite number >= 0: `x_{n+1} = I(a * x_n + h * F(x_n))`.
        drop_path: Rate of stochastic depth at the last block L, at least 0 and below 1: block l
            drops its branch with the rate `drop_path * l / L`, for each example, in training (Huang
            et al. 2016).
        remat: Compute the inside of the blocks again in the backward pass instead of keeping it,
            as for `EulerResidual`: less memory, more time.
        kernel_initializer: Initializer of all kernels, or its name; each layer gets a clone with
            its own seed. None is PyTorch's default, uniform in +-1/sqrt(fan_in). Biases are always
            uniform in that bound.
        include_top: False leaves the dense layer out.
        pooling: `"avg"`, `"max"` or, without the top, None, which gives the feature map.
        classifier_activation: Activation of the dense layer. None: the outputs are logits.
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras' own setting.
        dtype: Dtype or policy, such as `"mixed_float16"`. The dense layer gives float32. Inside
            another model, set the policy globally by
            `keras.config.set_dtype_policy("mixed_float16")`: Keras scales the loss by the policy of
            the outer model.
        trainable: False freezes all layers.
        weights: None, the name of a preset (see `keras_euler.list_presets()`; it also fits without
            the top), or the path of a weights file.
        name: The model's name. Default: `euler_resnet_` and the depth.

    Returns:
        A functional `keras.Model`, which is saved, copied and changed like any other.

    Input shape: `(batch, height, width, channels)`, or `(batch, channels, height, width)` with
    channels_first. Output shape: `(batch, num_classes)`; without the top `(batch, widths[-1])`, or
    the feature map.

    Raises:
        ValueError: An argument is out of range; the message says what was received and what to
            pass.
        TypeError: An argument has the wrong type.
        OSError: The file of weights is missing.

    Example:

    >>> model = EulerResNet(depth=20, h=0.1, name="resnet")
    >>> model.name, model.input_shape, model.output_shape
    ('resnet', (None, 32, 32, 3), (None, 10))
    >>> model.get_layer("stage2_block3").h
    0.1
    """
    arguments = dict(locals())
    blocks = blocks_per_stage(depth)
    check_choice("include_top", include_top, (True, False))
    check_choice("pooling", pooling, list(POOLINGS)[:2] if include_top else POOLINGS)
    make = LayerMaker(2, norm, False, kernel_initializer, data_format, dtype)
    is_last = make.data_format == "channels_last"
    shape = _image_shape(input_shape, is_last)
    widths = checked_widths(widths, norm, 3)
    layers = make.convolution(shape[-1 if is_last else 0], widths[0], 3, name="stem_conv")
    if not preactivation:
        layers += [*make.normalization("stem_norm"), *make.relu("stem_relu")]
    layers += residual_stages(make, [blocks] * 3, widths, arguments, strides=2)
    if pooling:
        layers.append(make.layer(POOLINGS[pooling], name="pool"))
    if include_top:
        layers += make.logits(widths[-1], num_classes, classifier_activation)
    images = keras.Input(shape, name="images")
    return chain(images, layers, name or f"euler_resnet_{depth}", EulerResNet, arguments)


def blocks_per_stage(depth: int) -> int:
    blocks, rest = divmod(check_integer("depth", depth) - 2, 6)
    if blocks < 1 or rest:
        below = max(6 * blocks + 2, 8)
        raise ValueError(
            f"`depth` must be 6n + 2. Received: depth={depth}. The nearest: {below} or {below + 6}."
        )
    return blocks


def _image_shape(input_shape: Sequence[int | None] | None, is_last: bool) -> Shape:
    """Return the shape as a tuple; `is_last` is whether channels come last."""
    if input_shape is None:
        input_shape = (32, 32, 3) if is_last else (3, 32, 32)
    is_shape = isinstance(input_shape, (list, tuple)) and len(input_shape) == 3
    if not is_shape or input_shape[-1 if is_last else 0] is None:
        axes = "(height, width, channels)" if is_last else "(channels, height, width)"
        raise ValueError(
            f"`input_shape` must be {axes} in this data format, and the number of channels must be "
            f"known. Received: input_shape={input_shape!r}."
        )
    return tuple(
        size if size is None else check_integer(f"input_shape[{i}]", size, 1)
        for i, size in enumerate(input_shape)
    )
