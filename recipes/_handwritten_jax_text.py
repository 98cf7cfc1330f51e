"""The paper's text network with a step factor, written directly in JAX: what `benchmark.py` compares keras_euler with.

NLC, of the layers and with the train step of `_handwritten_jax.py`.
"""

import dataclasses

import _handwritten_jax
import jax
import jax.numpy as jnp
from _handwritten_blocks import BLOCKS


def max_pool(x, size, stride, padding):
    """Over the positions of texts `(batch, length, channels)`, padded on both sides."""
    window, strides, paddings = (1, size, 1), (1, stride, 1), ((0, 0), (padding, padding), (0, 0))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, paddings)


@dataclasses.dataclass(frozen=True)
class VDCNN:
    """Embedding, stem, four stages of blocks with a max pool between them, 8 positions, three dense. Logits."""

    depth: int
    h: float = 0.1
    num_classes: int = 4
    vocabulary_size: int = 70
    dense_units: int = 1024
    widths: tuple = (64, 128, 256, 512)

    def blocks(self):
        """`(name, channels that come in, width, whether a max pool comes before)` of every block."""
        channels = self.widths[0]
        for stage, (width, num_blocks) in enumerate(zip(self.widths, BLOCKS[self.depth], strict=True), 1):
            for block in range(1, num_blocks + 1):
                yield f"stage{stage}_block{block}", channels, width, stage > 1 and block == 1
                channels = width

    def start(self, seed=0):
        """`(parameters, statistics)`."""
        start = _handwritten_jax.Start(seed)
        embeddings = start.draw(jax.random.normal, (self.vocabulary_size, 16))
        start.parameters["embedding/embeddings"] = embeddings.at[0].set(0)  # the padding
        start.kernel("stem_conv", (3, 16, self.widths[0]), bias=True)
        for name, channels, width, _ in self.blocks():
            start.block(name, 1, channels, width)
        units = (8 * self.widths[-1], self.dense_units, self.dense_units, self.num_classes)
        for name, *shape in zip(("dense1", "dense2", "logits"), units[:-1], units[1:], strict=True):
            start.kernel(name, shape, bias=True)
        return start.parameters, start.statistics

    def logits(self, layers, ids):
        """Of ids `(batch, length)`, the length a multiple of 64."""
        table = layers.parameters["embedding/embeddings"].at[0].set(0)  # no gradient for the padding
        x = layers.conv(table.astype(layers.dtype)[ids], "stem_conv")
        for name, _, _, pools in self.blocks():
            if pools:
                x = max_pool(x, 3, 2, padding=1)
            x = layers.block(x, name, 1, self.h)
        size = x.shape[1] // 8
        x = max_pool(x, size, size, padding=0).reshape(len(x), -1)  # (batch, 8 * 512)
        for name in ("dense1", "dense2"):
            x = jax.nn.relu(layers.dense(x, name, layers.dtype))
        return layers.dense(x, "logits", jnp.float32)
