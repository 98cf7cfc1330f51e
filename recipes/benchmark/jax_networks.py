"""The paper's CIFAR ResNet and text network with a step factor, written directly in JAX: a
reference for `run.py`.

It is independent of Keras: pure functions of dictionaries of arrays, NHWC and NLC, and one jitted
training step that donates its state. Arrays have the names of keras_euler's variables
(`stage2_block1/conv1/kernel`). `blocks` is the number of residual blocks of each stage.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

LEARNING_RATE, MOMENTUM = 0.1, 0.9
BN_MOMENTUM, EPSILON = 0.9, 1e-5
MIXED = {"float32": jnp.float32, "mixed_bfloat16": jnp.bfloat16, "mixed_float16": jnp.float16}
# By rank: 2 for images, 1 for texts.
DIMENSIONS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}

RNG = np.random.default_rng(0)
INITIAL = {  # initial values by the last part of a name, else zeros; kernels are `(..., in, out)`
    "embeddings": RNG.standard_normal,
    "kernel": lambda shape: RNG.uniform(-1, 1, shape) * math.prod(shape[:-1]) ** -0.5,
    "gamma": np.ones,
    "moving_variance": np.ones,
}


class Layers:
    """Layers by name, for one training pass through a network.

    `arrays` are the parameters and moving statistics; missing ones are added. `new_statistics` are
    the updated moving statistics.
    """

    def __init__(self, arrays, dtype):
        self.arrays, self.dtype, self.new_statistics = arrays, dtype, {}

    def get(self, name, *shape):
        """Return the array of this name, and create it if it is missing."""
        if name not in self.arrays:
            self.arrays[name] = INITIAL.get(name.rpartition("/")[2], np.zeros)(shape).astype(
                "float32"
            )
        return self.arrays[name]

    def conv(self, x, name, size, width, stride=1):
        """Convolve, with padding `size // 2` on every side; only convolutions of texts with size 3
        have a bias."""
        rank, padding = x.ndim - 2, [(size // 2, size // 2)]
        kernel = self.get(f"{name}/kernel", *(size,) * rank, x.shape[-1], width).astype(self.dtype)
        y = jax.lax.conv_general_dilated(
            x, kernel, (stride,) * rank, padding * rank, dimension_numbers=DIMENSIONS[rank]
        )
        return (
            y + self.get(f"{name}/bias", width).astype(self.dtype) if rank == 1 and size == 3 else y
        )

    def dense(self, x, name, units, dtype):
        """Apply a dense layer in the given dtype: the last one uses float32."""
        kernel, bias = (
            self.get(f"{name}/kernel", x.shape[-1], units),
            self.get(f"{name}/bias", units),
        )
        return x.astype(dtype) @ kernel.astype(dtype) + bias.astype(dtype)

    def norm(self, x, name):
        """Apply batch norm in float32."""
        x, axes, channels = x.astype(jnp.float32), tuple(range(x.ndim - 1)), x.shape[-1]
        mean, variance = x.mean(axes), x.var(axes)
        for path, new in ((f"{name}/moving_mean", mean), (f"{name}/moving_variance", variance)):
            self.new_statistics[path] = (
                BN_MOMENTUM * self.get(path, channels) + (1 - BN_MOMENTUM) * new
            )
        scale = self.get(f"{name}/gamma", channels) * jax.lax.rsqrt(variance + EPSILON)
        return (x * scale + (self.get(f"{name}/beta", channels) - mean * scale)).astype(self.dtype)

    def block(self, x, name, width, stride, h):
        """`relu(S(x) + h * F(x))`, F = conv-BN-relu-conv-BN; S is a 1x1 conv and BN where the width
        changes."""
        f = jax.nn.relu(self.norm(self.conv(x, f"{name}/conv1", 3, width, stride), f"{name}/norm1"))
        f = self.norm(self.conv(f, f"{name}/conv2", 3, width), f"{name}/norm2")
        if x.shape[-1] != width:
            x = self.norm(
                self.conv(x, f"{name}/shortcut_conv", 1, width, stride), f"{name}/shortcut_norm"
            )
        return jax.nn.relu(x + h * f)

    def stages(self, x, widths, blocks, h):
        """Apply all blocks. After the first stage, a stride halves images and a max pool halves
        texts."""
        for stage, (width, num_blocks) in enumerate(zip(widths, blocks, strict=True), 1):
            stride = 2 if stage > 1 else 1
            if x.ndim == 3 and stage > 1:
                x, stride = max_pool(x, 3, 2, padding=1), 1
            for block in range(1, num_blocks + 1):
                x = self.block(
                    x, f"stage{stage}_block{block}", width, stride if block == 1 else 1, h
                )
        return x


def max_pool(x, size, stride, padding=0):
    """Apply max pooling over the positions of texts `(batch, length, channels)`, padded on both
    sides."""
    window, strides, paddings = (1, size, 1), (1, stride, 1), ((0, 0), (padding, padding), (0, 0))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, paddings)


def resnet(layers, images, blocks, h=0.1):
    """Return logits of images `(batch, 32, 32, 3)`: stem, three stages of blocks, global average
    pool, dense."""
    x = jax.nn.relu(
        layers.norm(layers.conv(images.astype(layers.dtype), "stem_conv", 3, 16), "stem_norm")
    )
    x = layers.stages(x, (16, 32, 64), blocks, h).astype(jnp.float32).mean((1, 2))  # (batch, 64)
    return layers.dense(x, "logits", 10, jnp.float32)


def vdcnn(layers, ids, blocks, h=0.1, num_classes=4, dense_units=1024, widths=(64, 128, 256, 512)):
    """Return logits of ids `(batch, multiple of 64)`: embedding, stem, four stages, max pool to 8
    positions, three dense layers."""
    table = jnp.asarray(layers.get("embedding/embeddings", 70, 16), layers.dtype)
    x = table.at[0].set(0)[ids]  # the padding is zero and gets no gradient
    x = layers.stages(layers.conv(x, "stem_conv", 3, widths[0]), widths, blocks, h)
    size = x.shape[1] // 8
    x = max_pool(x, size, size).reshape(len(x), -1)  # (batch, 8 * 512)
    for name in ("dense1", "dense2"):
        x = jax.nn.relu(layers.dense(x, name, dense_units, layers.dtype))
    return layers.dense(x, "logits", num_classes, jnp.float32)


class Trainer:
    """Train a network, a function of `Layers` and inputs, with SGD (learning rate 0.1, momentum
    0.9).

    `inputs` have the shape of an example; `dtype` is the name of a Keras dtype policy.
    """

    def __init__(self, network, inputs, dtype="float32"):
        self.network, self.dtype = network, MIXED[dtype]
        self.loss_scale = 1024.0 if dtype == "mixed_float16" else 1.0
        arrays = {}
        jax.eval_shape(lambda: network(Layers(arrays, self.dtype), inputs))
        arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
        statistics = {name: arrays.pop(name) for name in list(arrays) if "/moving_" in name}
        self.state = arrays, statistics, jax.tree.map(jnp.zeros_like, arrays)
        self.step = jax.jit(self._step, donate_argnums=0)

    def _step(self, state, inputs, labels):
        parameters, statistics, velocities = state

        def loss_function(parameters):
            layers = Layers(parameters | statistics, self.dtype)
            log_probabilities = jax.nn.log_softmax(self.network(layers, inputs))
            log_likelihoods = jnp.take_along_axis(log_probabilities, labels[:, None], axis=-1)
            return -self.loss_scale * log_likelihoods.mean(), layers.new_statistics

        (loss, statistics), gradients = jax.value_and_grad(loss_function, has_aux=True)(parameters)
        velocities = jax.tree.map(
            lambda v, g: MOMENTUM * v + g / self.loss_scale, velocities, gradients
        )
        parameters = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, parameters, velocities)
        return (parameters, statistics, velocities), loss / self.loss_scale

    def train_step(self, inputs, labels):
        """Dispatch one step on NumPy arrays; the loss stays on the device."""
        self.state, loss = self.step(self.state, inputs, labels)
        return loss
