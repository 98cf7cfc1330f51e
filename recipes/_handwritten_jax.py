"""The paper's CIFAR ResNet with a step factor, written directly in JAX: what `benchmark.py` compares keras_euler with.

No keras here. Pure functions over dictionaries of arrays, NHWC, one jitted train step that donates its state.
Parameters are named as keras_euler names its variables (`stage2_block1/conv1/kernel`). The text network is in
`_handwritten_jax_text.py`, of the same layers and with the same step.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp

LEARNING_RATE, MOMENTUM = 0.1, 0.9
BN_MOMENTUM, EPSILON = 0.9, 1e-5
MIXED = {"float32": jnp.float32, "mixed_bfloat16": jnp.bfloat16, "mixed_float16": jnp.float16}
LOSS_SCALE = {"float32": 1.0, "mixed_bfloat16": 1.0, "mixed_float16": 1024.0}
DIMENSIONS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}  # by rank: 2 for images, 1 for texts


class Start:
    """The first `parameters` and `statistics`, layer by layer: uniform in +-1/sqrt(fan_in), as PyTorch starts them."""

    def __init__(self, seed):
        self.key = jax.random.key(seed)
        self.parameters, self.statistics = {}, {}

    def draw(self, sample, shape, **kwargs):
        """An array of `jax.random.uniform` or `normal`."""
        self.key, key = jax.random.split(self.key)
        return sample(key, shape, **kwargs)

    def kernel(self, name, shape, bias):
        """Of a convolution `(*size, in, out)` or a dense layer `(in, out)`."""
        bound = math.prod(shape[:-1]) ** -0.5
        self.parameters[f"{name}/kernel"] = self.draw(jax.random.uniform, shape, minval=-bound, maxval=bound)
        if bias:
            self.parameters[f"{name}/bias"] = self.draw(jax.random.uniform, shape[-1:], minval=-bound, maxval=bound)

    def norm(self, name, channels):
        """Of batch norm."""
        self.parameters |= {f"{name}/gamma": jnp.ones(channels), f"{name}/beta": jnp.zeros(channels)}
        self.statistics |= {f"{name}/moving_mean": jnp.zeros(channels), f"{name}/moving_variance": jnp.ones(channels)}

    def block(self, name, rank, channels, width):
        """Of a block; only the convolutions of texts have a bias."""
        for i, in_channels in ((1, channels), (2, width)):
            self.kernel(f"{name}/conv{i}", (3,) * rank + (in_channels, width), bias=rank == 1)
            self.norm(f"{name}/norm{i}", width)
        if channels != width:
            self.kernel(f"{name}/shortcut_conv", (1,) * rank + (channels, width), bias=False)
            self.norm(f"{name}/shortcut_norm", width)


class Layers:
    """The layers by their names, for one pass through a network; `new_statistics` are those after it."""

    def __init__(self, parameters, statistics, training, dtype):
        self.parameters, self.statistics, self.new_statistics = parameters, statistics, dict(statistics)
        self.training, self.dtype = training, dtype

    def biased(self, x, name):
        """With the layer's bias, where it has one."""
        bias = self.parameters.get(f"{name}/bias")
        return x if bias is None else x + bias.astype(x.dtype)

    def conv(self, x, name, stride=1):
        """Padded by size // 2 on every side."""
        kernel = self.parameters[f"{name}/kernel"].astype(self.dtype)
        rank, padding = kernel.ndim - 2, kernel.shape[0] // 2
        y = jax.lax.conv_general_dilated(
            x, kernel, (stride,) * rank, [(padding, padding)] * rank, dimension_numbers=DIMENSIONS[rank]
        )
        return self.biased(y, name)

    def dense(self, x, name, dtype):
        """In a dtype of its own: the last layer stays in float32."""
        return self.biased(x.astype(dtype) @ self.parameters[f"{name}/kernel"].astype(dtype), name)

    def norm(self, x, name):
        """Batch norm, in float32."""
        moving = [self.statistics[f"{name}/moving_{kind}"] for kind in ("mean", "variance")]
        x = x.astype(jnp.float32)
        mean, variance = moving
        if self.training:
            axes = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axes), x.var(axes)
            for kind, old, new in zip(("mean", "variance"), moving, (mean, variance), strict=True):
                self.new_statistics[f"{name}/moving_{kind}"] = BN_MOMENTUM * old + (1 - BN_MOMENTUM) * new
        scale = self.parameters[f"{name}/gamma"] * jax.lax.rsqrt(variance + EPSILON)
        return (x * scale + (self.parameters[f"{name}/beta"] - mean * scale)).astype(self.dtype)

    def block(self, x, name, stride, h):
        """`relu(S(x) + h * F(x))`, F = conv-BN-relu-conv-BN; S is a 1x1 conv and BN where the width changes."""
        f = jax.nn.relu(self.norm(self.conv(x, f"{name}/conv1", stride), f"{name}/norm1"))
        f = self.norm(self.conv(f, f"{name}/conv2"), f"{name}/norm2")
        if f"{name}/shortcut_conv/kernel" in self.parameters:
            x = self.norm(self.conv(x, f"{name}/shortcut_conv", stride), f"{name}/shortcut_norm")
        return jax.nn.relu(x + h * f)


@dataclasses.dataclass(frozen=True)
class ResNet:
    """Depth 6n+2: stem, three stages of n blocks, global average pool, dense. Logits."""

    depth: int
    h: float = 0.1
    num_classes: int = 10
    widths: tuple = (16, 32, 64)

    def blocks(self):
        """`(name, channels that come in, width, stride)` of every block."""
        channels = self.widths[0]
        for stage, width in enumerate(self.widths, 1):
            for block in range(1, (self.depth - 2) // 6 + 1):
                yield f"stage{stage}_block{block}", channels, width, 2 if stage > 1 and block == 1 else 1
                channels = width

    def start(self, seed=0):
        """`(parameters, statistics)`."""
        start = Start(seed)
        start.kernel("stem_conv", (3, 3, 3, self.widths[0]), bias=False)
        start.norm("stem_norm", self.widths[0])
        for name, channels, width, _ in self.blocks():
            start.block(name, 2, channels, width)
        start.kernel("logits", (self.widths[-1], self.num_classes), bias=True)
        return start.parameters, start.statistics

    def logits(self, layers, images):
        """Of images `(batch, 32, 32, 3)`."""
        x = jax.nn.relu(layers.norm(layers.conv(images.astype(layers.dtype), "stem_conv"), "stem_norm"))
        for name, _, _, stride in self.blocks():
            x = layers.block(x, name, stride, self.h)
        x = x.astype(jnp.float32).mean((1, 2))  # (batch, 64)
        return layers.dense(x, "logits", jnp.float32)


def forward(network, parameters, statistics, inputs, training=True, dtype=jnp.float32):
    """`(logits, new statistics)`."""
    layers = Layers(parameters, statistics, training, dtype)
    return network.logits(layers, inputs), layers.new_statistics


@functools.partial(jax.jit, static_argnames=("network", "dtype"), donate_argnums=0)
def _train_step(state, inputs, labels, network, dtype):
    parameters, statistics, velocities = state
    scale = LOSS_SCALE[dtype]

    def loss_function(parameters):
        logits, new_statistics = forward(network, parameters, statistics, inputs, True, MIXED[dtype])
        log_likelihoods = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)
        return -scale * log_likelihoods.mean(), new_statistics

    (loss, statistics), gradients = jax.value_and_grad(loss_function, has_aux=True)(parameters)
    velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g / scale, velocities, gradients)
    parameters = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, parameters, velocities)
    return (parameters, statistics, velocities), loss / scale


class Trainer:
    """A network with SGD (0.1, momentum 0.9); `train_step` takes NumPy arrays, what its `logits` takes and labels."""

    def __init__(self, network, dtype="float32"):
        self.settings = {"network": network, "dtype": dtype}
        parameters, statistics = network.start()
        self.state = (parameters, statistics, jax.tree.map(jnp.zeros_like, parameters))

    def train_step(self, inputs, labels):
        """One step, dispatched; the loss stays on the device."""
        self.state, loss = _train_step(self.state, inputs, labels, **self.settings)
        return loss
