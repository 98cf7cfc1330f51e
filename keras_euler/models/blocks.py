"""The branch F and the shortcut S of a residual block, and their layers.

They follow two defaults of PyTorch that Keras lacks: padding on both sides, and the initial values
of the weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.layers import Layer

from keras_euler._checks import check_choice, check_data_format, check_integer, check_rate
from keras_euler._types import Activation, Config, DType, Initializer, LayerOrLayers
from keras_euler.layers import BatchNormalization, Conv1D, Conv2D, EulerResidual, PaddingShortcut
from keras_euler.models.step_factor import step_factors

GROUPS = {"group": 8, "layer": 1}
NORMS = ("batch", *GROUPS, None)
SHORTCUTS = ("projection", "padding")
# Arguments of a network that its blocks share.
BLOCK_ARGUMENTS = [
    "shortcut",
    "preactivation",
    "trainable_h",
    "zero_gamma",
    "scheme",
    "skip",
    "remat",
]
EPSILON = 1e-5
CONVOLUTION = {1: Conv1D, 2: Conv2D}
ZERO_PADDING = {1: keras.layers.ZeroPadding1D, 2: keras.layers.ZeroPadding2D}


class LayerMaker:
    """Make the layers of one network, which share these settings.

    Args:
        rank: 2 for images, 1 for text.
        norm: `"batch"`, `"group"` (8 groups), `"layer"` (one group) or None.
        use_bias: Whether a convolution before a norm has a bias; without a norm it always has one.
        kernel_initializer: A Keras initializer or its name, or None for PyTorch's default.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras' own setting.
        dtype: As for every Keras layer.
    """

    def __init__(
        self,
        rank: int,
        norm: str | None,
        use_bias: bool,
        kernel_initializer: Initializer,
        data_format: str | None,
        dtype: DType,
    ) -> None:
        self.rank = rank
        self.norm = check_choice("norm", norm, NORMS)
        self.use_bias = use_bias or norm is None
        self.kernel_initializer = kernel_initializer and keras.initializers.get(kernel_initializer)
        self.data_format = check_data_format(data_format)
        self.dtype = keras.dtype_policies.get(dtype)
        self.num_kernels = 0

    def layer(self, kind: Callable[..., Layer], *args: Any, **kwargs: Any) -> Any:
        """Make a layer with the data format and the dtype of the network."""
        return kind(*args, data_format=self.data_format, dtype=self.dtype, **kwargs)

    def convolution(
        self,
        channels: int,
        filters: int,
        size: int,
        strides: int = 1,
        use_bias: bool | None = None,
        name: str | None = None,
    ) -> list[Layer]:
        """Make a convolution from `channels` to `filters` that pads size // 2 zeros on **both**
        sides, as PyTorch does."""
        pad = []
        if strides > 1 and size > 1:  # Keras' "same" would pad one side only
            pad = [self.layer(ZERO_PADDING[self.rank], size // 2, name=f"{name}_padding")]
        convolution = self.layer(
            CONVOLUTION[self.rank],
            filters,
            size,
            strides=strides,
            padding="valid" if strides > 1 else "same",
            use_bias=self.use_bias if use_bias is None else use_bias,
            kernel_initializer=self.initializer(),
            bias_initializer=bias_initializer(channels * size**self.rank),
            name=name,
        )
        return [*pad, convolution]

    def dense(self, channels: int, units: int, dtype: DType = None, **kwargs: Any) -> Layer:
        """Make a dense layer."""
        return keras.layers.Dense(
            units,
            kernel_initializer=self.initializer(),
            bias_initializer=bias_initializer(channels),
            dtype=dtype or self.dtype,
            **kwargs,
        )

    def logits(self, channels: int, num_classes: int, activation: Activation) -> list[Layer]:
        """Make the last dense layer: a list of one layer. It gives float32 in half precision."""
        num_classes = check_integer("num_classes", num_classes, 1)
        half = self.dtype.compute_dtype in ("float16", "bfloat16")
        dtype = "float32" if half else self.dtype
        return [self.dense(channels, num_classes, dtype, activation=activation, name="logits")]

    def normalization(self, name: str, gamma_initializer: str = "ones") -> list[Layer]:
        """Make the norm: a list of one layer, or an empty list without a norm."""
        if self.norm is None:
            return []
        axis = 1 if self.data_format == "channels_first" else -1
        settings = dict(
            axis=axis,
            epsilon=EPSILON,
            gamma_initializer=gamma_initializer,
            dtype=self.dtype,
            name=name,
        )
        if self.norm == "batch":
            return [BatchNormalization(**settings)]
        return [keras.layers.GroupNormalization(GROUPS[self.norm], **settings)]

    def relu(self, name: str) -> list[Layer]:
        """Make the activation: a list of one layer."""
        return [keras.layers.Activation("relu", dtype=self.dtype, name=name)]

    def initializer(self) -> keras.initializers.Initializer:
        """Make a new kernel initializer for each layer: one object used twice draws the same
        numbers twice."""
        self.num_kernels += 1
        if self.kernel_initializer is None:
            return keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")
        if not isinstance(self.kernel_initializer, keras.initializers.Initializer):
            return self.kernel_initializer
        config = self.kernel_initializer.get_config()
        seed = config.get("seed")
        if isinstance(seed, dict):  # the configuration of a SeedGenerator
            seed = seed["config"]["seed"]
        if seed is not None:
            config["seed"] = seed + self.num_kernels
        return self.kernel_initializer.from_config(config)


def bias_initializer(fan_in: int) -> keras.initializers.Initializer:
    """Make PyTorch's bias initializer: uniform in +-1/sqrt(fan_in), with the fan_in of the kernel
    beside it."""
    bound = fan_in**-0.5
    return keras.initializers.RandomUniform(-bound, bound)


def residual_stages(
    make: LayerMaker,
    blocks_per_stage: Sequence[int],
    widths: Sequence[int],
    arguments: Config,
    strides: int,
    between: type[Layer] | None = None,
) -> list[Layer]:
    """Make the layers of all stages, in order, and with preactivation a final norm and activation.

    Args:
        make: A `LayerMaker`.
        blocks_per_stage: Number of blocks of each stage.
        widths: Filters of each stage; the input has as many channels as the first.
        arguments: Dict of the network's arguments. `drop_path` is the rate of the last block, which
            grows linearly with the number of the block (Huang et al. 2016).
        strides: Strides of the first block of every stage but the first.
        between: Class of the layer after every stage but the last, or None.
    """
    num_blocks = sum(blocks_per_stage)
    drop_path = check_rate("drop_path", arguments["drop_path"])
    block = {name: arguments[name] for name in BLOCK_ARGUMENTS}
    next_h = iter(step_factors(arguments["h"], num_blocks))
    next_rate = iter([drop_path * n / num_blocks for n in range(1, num_blocks + 1)])
    channels, layers = widths[0], []
    for stage, (filters, blocks) in enumerate(zip(widths, blocks_per_stage, strict=True), start=1):
        if stage > 1 and between:
            layers.append(make.layer(between, name=f"stage{stage - 1}_pool"))
        for number in range(1, blocks + 1):
            stride = strides if stage > 1 and number == 1 else 1
            name = f"stage{stage}_block{number}"
            step = residual_block(
                make,
                channels,
                filters,
                stride,
                name=name,
                h=next(next_h),
                drop_path=next(next_rate),
                **block,
            )
            layers.append(step)
            channels = filters
    if block["preactivation"]:
        layers += [*make.normalization("final_norm"), *make.relu("final_relu")]
    return layers


def checked_widths(widths: Sequence[int], norm: str | None, num_stages: int) -> tuple[int, ...]:
    """Return the filters of each stage, or raise unless they fit the norm and number of stages."""
    if not isinstance(widths, (list, tuple)) or len(widths) != num_stages:
        raise ValueError(
            f"`widths` must be {num_stages} numbers of filters, one per stage. Received: "
            f"widths={widths!r}."
        )
    widths = tuple(check_integer("widths", width, 1) for width in widths)
    groups = GROUPS.get(norm or "", 1)
    if any(width % groups for width in widths):
        raise ValueError(
            f"With norm={norm!r} each width must be a multiple of {groups}. Received: "
            f"widths={widths!r}."
        )
    return widths


def residual_block(
    make: LayerMaker,
    channels: int,
    filters: int,
    strides: int,
    *,
    shortcut: str,
    preactivation: bool,
    zero_gamma: bool,
    name: str,
    **step: Any,
) -> EulerResidual:
    """Make a block from `channels` to `filters`, an `EulerResidual`.

    F is conv - norm - relu - conv - norm and I is ReLU (He et al. 2016a). With `preactivation`, F
    is norm - relu - conv twice and I is the identity (He et al. 2016b). `step` has the arguments of
    the block that its layers do not depend on, such as `h`.
    """
    check_choice("shortcut", shortcut, SHORTCUTS)
    check_choice("preactivation", preactivation, (True, False))
    check_choice("zero_gamma", zero_gamma, (True, False))
    if zero_gamma and (make.norm is None or preactivation):
        raise ValueError(
            "`zero_gamma` needs a norm at the end of the branch. Received: zero_gamma=True, "
            f"norm={make.norm!r}, preactivation={preactivation!r}. Use h=0 with "
            "trainable_h='scalar' for a branch that starts at zero."
        )
    gamma = "zeros" if zero_gamma else "ones"
    conv1 = make.convolution(channels, filters, 3, strides, name="conv1")
    conv2 = make.convolution(filters, filters, 3, name="conv2")
    norm1, norm2 = make.normalization("norm1"), make.normalization("norm2", gamma)
    if preactivation:
        branch = [*norm1, *make.relu("relu1"), *conv1, *norm2, *make.relu("relu2"), *conv2]
    else:
        branch = [*conv1, *norm1, *make.relu("relu1"), *conv2, *norm2]
    return make.layer(
        EulerResidual,
        branch,
        shortcut=_shortcut(make, channels, filters, strides, shortcut, preactivation),
        activation=None if preactivation else "relu",
        name=name,
        **step,
    )


def _shortcut(
    make: LayerMaker, channels: int, filters: int, strides: int, shortcut: str, preactivation: bool
) -> LayerOrLayers | None:
    if channels == filters and strides == 1:
        return None
    if shortcut == "padding":
        return make.layer(PaddingShortcut, filters, strides, name="shortcut_padding")
    convolution = make.convolution(
        channels, filters, 1, strides, use_bias=False, name="shortcut_conv"
    )
    return [*convolution, *([] if preactivation else make.normalization("shortcut_norm"))]
