"""The paper's CIFAR ResNet with a step factor, written directly in JAX: what `benchmark.py` compares keras_euler with.

No keras here. Pure functions over dictionaries of arrays, NHWC, one jitted train step that donates its state.
Parameters are named as keras_euler names its layers (`stage2_block1/conv1/kernel`).
"""

import functools

import jax
import jax.numpy as jnp

WIDTHS = (16, 32, 64)
LEARNING_RATE, MOMENTUM = 0.1, 0.9
BN_MOMENTUM, EPSILON = 0.9, 1e-5
MIXED = {"float32": jnp.float32, "mixed_bfloat16": jnp.bfloat16, "mixed_float16": jnp.float16}
LOSS_SCALE = {"float32": 1.0, "mixed_bfloat16": 1.0, "mixed_float16": 1024.0}


def blocks(depth):
    """`(name, width, stride)` of every block of the network of depth 6n+2."""
    for stage, width in enumerate(WIDTHS, 1):
        for block in range(1, (depth - 2) // 6 + 1):
            yield f"stage{stage}_block{block}", width, 2 if stage > 1 and block == 1 else 1


def init(depth, num_classes=10, seed=0):
    """`(parameters, statistics)`: kernels uniform in +-1/sqrt(fan_in), as PyTorch starts them."""
    key = jax.random.key(seed)
    parameters, statistics = {}, {}

    def uniform(name, shape, fan_in):
        nonlocal key
        key, draw = jax.random.split(key)
        parameters[name] = jax.random.uniform(draw, shape, minval=-(fan_in**-0.5), maxval=fan_in**-0.5)

    def conv_norm(conv, norm, size, in_channels, out_channels):
        uniform(f"{conv}/kernel", (size, size, in_channels, out_channels), size * size * in_channels)
        parameters[f"{norm}/gamma"], parameters[f"{norm}/beta"] = jnp.ones(out_channels), jnp.zeros(out_channels)
        statistics[f"{norm}/moving_mean"] = jnp.zeros(out_channels)
        statistics[f"{norm}/moving_variance"] = jnp.ones(out_channels)

    channels = WIDTHS[0]
    conv_norm("stem_conv", "stem_norm", 3, 3, channels)
    for name, width, stride in blocks(depth):
        conv_norm(f"{name}/conv1", f"{name}/norm1", 3, channels, width)
        conv_norm(f"{name}/conv2", f"{name}/norm2", 3, width, width)
        if stride == 2:
            conv_norm(f"{name}/shortcut_conv", f"{name}/shortcut_norm", 1, channels, width)
        channels = width
    uniform("logits/kernel", (channels, num_classes), channels)
    uniform("logits/bias", (num_classes,), channels)
    return parameters, statistics


def forward(parameters, statistics, images, depth, h=0.1, training=True, dtype=jnp.float32):
    """`(logits, new statistics)` for images `(batch, 32, 32, 3)`."""
    new_statistics = dict(statistics)

    def conv(x, name, stride=1):
        kernel = parameters[f"{name}/kernel"].astype(dtype)
        padding = kernel.shape[0] // 2
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def norm(x, name):
        moving = [statistics[f"{name}/moving_{kind}"] for kind in ("mean", "variance")]
        x = x.astype(jnp.float32)
        mean, variance = moving
        if training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            for kind, old, new in zip(("mean", "variance"), moving, (mean, variance), strict=True):
                new_statistics[f"{name}/moving_{kind}"] = BN_MOMENTUM * old + (1 - BN_MOMENTUM) * new
        scale = parameters[f"{name}/gamma"] * jax.lax.rsqrt(variance + EPSILON)
        return (x * scale + (parameters[f"{name}/beta"] - mean * scale)).astype(dtype)

    x = jax.nn.relu(norm(conv(images.astype(dtype), "stem_conv"), "stem_norm"))
    for name, _, stride in blocks(depth):
        f = jax.nn.relu(norm(conv(x, f"{name}/conv1", stride), f"{name}/norm1"))
        f = norm(conv(f, f"{name}/conv2"), f"{name}/norm2")
        if stride == 2:
            x = norm(conv(x, f"{name}/shortcut_conv", stride), f"{name}/shortcut_norm")
        x = jax.nn.relu(x + h * f)
    x = x.astype(jnp.float32).mean((1, 2))  # (batch, 64)
    return x @ parameters["logits/kernel"] + parameters["logits/bias"], new_statistics


@functools.partial(jax.jit, static_argnames=("depth", "h", "dtype"), donate_argnums=0)
def _train_step(state, images, labels, depth, h, dtype):
    parameters, statistics, velocities = state
    scale = LOSS_SCALE[dtype]

    def loss_function(parameters):
        logits, new_statistics = forward(parameters, statistics, images, depth, h, True, MIXED[dtype])
        log_likelihoods = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)
        return -scale * log_likelihoods.mean(), new_statistics

    (loss, statistics), gradients = jax.value_and_grad(loss_function, has_aux=True)(parameters)
    velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g / scale, velocities, gradients)
    parameters = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, parameters, velocities)
    return (parameters, statistics, velocities), loss / scale


class Trainer:
    """The network with SGD (0.1, momentum 0.9); `train_step` takes NumPy arrays, images `(batch, 32, 32, 3)`."""

    def __init__(self, depth, h=0.1, dtype="float32"):
        self.settings = {"depth": depth, "h": h, "dtype": dtype}
        parameters, statistics = init(depth)
        self.state = (parameters, statistics, jax.tree.map(jnp.zeros_like, parameters))

    def train_step(self, images, labels):
        """One step, dispatched; the loss stays on the device."""
        self.state, loss = _train_step(self.state, images, labels, **self.settings)
        return loss
