"""The networks' arithmetic in NumPy, float64, from the formulas of the paper: the reference for
every backend."""

import numpy as np

EPSILON = 1e-5
BLOCKS = {9: (1, 1, 1, 1), 17: (2, 2, 2, 2)}  # of the text network, per stage (PAPER.md)


def convolve(x, kernel, bias=0.0, stride=1):
    """Convolution with size // 2 zeros on both sides: images (n, h, w, c) by (k, k, c, f), texts
    (n, l, c) by (k, c, f)."""
    size, axes = kernel.shape[0], tuple(range(1, x.ndim - 1))
    pad = size // 2
    x = np.pad(x, [(pad, pad) if axis in axes else (0, 0) for axis in range(x.ndim)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (size,) * len(axes), axis=axes)
    if len(axes) == 1:
        return np.einsum("nlci,icf->nlf", windows[:, ::stride], kernel) + bias
    return np.einsum("nhwcij,ijcf->nhwf", windows[:, ::stride, ::stride], kernel) + bias


def batch_norm(x, gamma, beta, mean, variance):
    """gamma * (x - mu) / sqrt(sigma^2 + epsilon) + beta."""
    return gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta


def group_norm(x, gamma, beta, groups):
    """Normalize with the statistics of each example's groups of channels."""
    grouped = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean = grouped.mean((1, 3), keepdims=True)
    variance = grouped.var((1, 3), keepdims=True)
    return gamma * ((grouped - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape) + beta


def relu(x):
    return np.maximum(x, 0)


def halving_max(x):
    """The largest of x[2i - 1], x[2i], x[2i + 1], where they exist: (n, l, c) -> (n, ceil(l / 2),
    c)."""
    length = x.shape[1]
    return np.stack(
        [x[:, max(2 * i - 1, 0) : 2 * i + 2].max(1) for i in range(-(-length // 2))], axis=1
    )


def adaptive_max(x, positions=8):
    """Position i is the largest of floor(i l / positions) to ceil((i + 1) l / positions)."""
    length = x.shape[1]
    ends = [(i * length // positions, -(-(i + 1) * length // positions)) for i in range(positions)]
    return np.stack([x[:, start:end].max(1) for start, end in ends], axis=1)


def k_max(x, k=8):
    """The k largest of each channel, in their order."""
    rows = np.sort(np.argsort(-x, axis=1, kind="stable")[:, :k], axis=1)
    return np.take_along_axis(x, rows, axis=1)


class Network:
    """The block of equation 3, which both networks share; `weights` maps a variable's path to its
    array.

    With `training` the batch's own statistics normalize, and `moving` collects the updated moving
    ones. Blocks that keep the shape take Heun's step with `scheme="heun"`, and `skip` is the factor
    of all shortcuts.
    """

    def __init__(
        self,
        weights,
        depth,
        h,
        norm="batch",
        shortcut="projection",
        preactivation=False,
        training=False,
        scheme="euler",
        skip=1.0,
    ):
        self.weights = {path: np.asarray(value, "float64") for path, value in weights.items()}
        self.depth, self.h, self.norm_type, self.shortcut = depth, h, norm, shortcut
        self.preactivation, self.training, self.moving = preactivation, training, {}
        self.scheme, self.skip = scheme, skip

    def block(self, name, x, stride=1):
        f = self.branch(name, x, stride)
        if f.shape == x.shape and self.scheme == "heun":
            f = (f + self.branch(name, x + self.h * f)) / 2
        if f.shape != x.shape and self.shortcut == "padding":
            zeros = (f.shape[-1] - x.shape[-1]) // 2
            x = x[:, ::2, ::2] if stride == 2 else x
            x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(zeros, zeros)])
        elif f.shape != x.shape:
            x = self.conv(f"{name}/shortcut_conv", x, stride)
            x = x if self.preactivation else self.norm(f"{name}/shortcut_norm", x)
        y = self.skip * x + self.h * f
        return y if self.preactivation else relu(y)

    def branch(self, name, f, stride=1):
        if self.preactivation:
            f = self.conv(f"{name}/conv1", relu(self.norm(f"{name}/norm1", f)), stride)
            f = self.conv(f"{name}/conv2", relu(self.norm(f"{name}/norm2", f)))
        else:
            f = relu(self.norm(f"{name}/norm1", self.conv(f"{name}/conv1", f, stride)))
            f = self.norm(f"{name}/norm2", self.conv(f"{name}/conv2", f))
        return f

    def conv(self, name, x, stride=1):
        return convolve(
            x, self.weights[f"{name}/kernel"], self.weights.get(f"{name}/bias", 0.0), stride
        )

    def dense(self, name, x):
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

    def norm(self, name, x):
        if self.norm_type is None:
            return x
        gamma, beta = self.weights[f"{name}/gamma"], self.weights[f"{name}/beta"]
        if self.norm_type != "batch":
            return group_norm(x, gamma, beta, {"group": 8, "layer": 1}[self.norm_type])
        paths = f"{name}/moving_mean", f"{name}/moving_variance"
        mean, variance = (self.moving.get(path, self.weights[path]) for path in paths)
        if self.training:
            axes = tuple(range(x.ndim - 1))
            batch_mean, batch_variance = x.mean(axes), x.var(axes)
            self.moving[paths[0]] = 0.9 * mean + 0.1 * batch_mean
            self.moving[paths[1]] = 0.9 * variance + 0.1 * batch_variance
            mean, variance = batch_mean, batch_variance
        return batch_norm(x, gamma, beta, mean, variance)


class ResNet(Network):
    """The image network."""

    def __call__(self, x):
        x = self.conv("stem_conv", np.asarray(x, "float64"))
        if not self.preactivation:
            x = relu(self.norm("stem_norm", x))
        for stage in (1, 2, 3):
            for block in range(1, (self.depth - 2) // 6 + 1):
                x = self.block(
                    f"stage{stage}_block{block}", x, 2 if stage > 1 and block == 1 else 1
                )
        if self.preactivation:
            x = relu(self.norm("final_norm", x))
        return self.dense("logits", x.mean((1, 2)))


class VDCNN(Network):
    """The text network."""

    def __call__(self, ids, head_pool=adaptive_max):
        x = self.weights["embedding/embeddings"][ids] * (ids > 0)[..., None]
        x = self.conv("stem_conv", x)  # neither norm nor activation
        for stage, num_blocks in enumerate(BLOCKS[self.depth], start=1):
            x = x if stage == 1 else halving_max(x)
            for block in range(1, num_blocks + 1):
                x = self.block(f"stage{stage}_block{block}", x)
        if self.preactivation:
            x = relu(self.norm("final_norm", x))
        x = head_pool(x).reshape(len(x), -1)
        x = relu(self.dense("dense1", x))
        return self.dense("logits", relu(self.dense("dense2", x)))
