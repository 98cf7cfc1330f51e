"""The networks' arithmetic in NumPy, float64, written from the formulas of the paper. The judge of every backend."""

import numpy as np

EPSILON = 1e-5


def convolve(x, kernel, bias=0.0, stride=1):
    """2-D convolution with size // 2 zeros on both sides: x (n, h, w, c), kernel (k, k, c, f)."""
    size = kernel.shape[0]
    pad = size // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijcf->nhwf", windows, kernel) + bias


def batch_norm(x, gamma, beta, mean, variance):
    """gamma * (x - mu) / sqrt(sigma^2 + epsilon) + beta."""
    return gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta


def group_norm(x, gamma, beta, groups):
    """The same with the statistics of each image's groups of channels."""
    n, h, w, c = x.shape
    grouped = x.reshape(n, h, w, groups, c // groups)
    mean = grouped.mean((1, 2, 4), keepdims=True)
    variance = grouped.var((1, 2, 4), keepdims=True)
    return gamma * ((grouped - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape) + beta


def relu(x):
    return np.maximum(x, 0)


class ResNet:
    """The image network of equation 3; `weights` maps a variable's path to its array.

    With `training` the batch's own statistics normalize, and `moving` collects the updated moving ones.
    """

    def __init__(self, weights, depth, h, norm="batch", shortcut="projection", preactivation=False, training=False):
        self.weights = {path: np.asarray(value, "float64") for path, value in weights.items()}
        self.blocks, self.h, self.norm_type, self.shortcut = (depth - 2) // 6, h, norm, shortcut
        self.preactivation, self.training, self.moving = preactivation, training, {}

    def __call__(self, x):
        x = self.conv("stem_conv", np.asarray(x, "float64"))
        if not self.preactivation:
            x = relu(self.norm("stem_norm", x))
        for stage in (1, 2, 3):
            for block in range(1, self.blocks + 1):
                x = self.block(f"stage{stage}_block{block}", x, 2 if stage > 1 and block == 1 else 1)
        if self.preactivation:
            x = relu(self.norm("final_norm", x))
        return x.mean((1, 2)) @ self.weights["logits/kernel"] + self.weights["logits/bias"]

    def block(self, name, x, stride):
        f = x
        if self.preactivation:
            f = self.conv(f"{name}/conv1", relu(self.norm(f"{name}/norm1", f)), stride)
            f = self.conv(f"{name}/conv2", relu(self.norm(f"{name}/norm2", f)))
        else:
            f = relu(self.norm(f"{name}/norm1", self.conv(f"{name}/conv1", f, stride)))
            f = self.norm(f"{name}/norm2", self.conv(f"{name}/conv2", f))
        if f.shape != x.shape and self.shortcut == "padding":
            zeros = (f.shape[-1] - x.shape[-1]) // 2
            x = np.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (zeros, zeros)))
        elif f.shape != x.shape:
            x = self.conv(f"{name}/shortcut_conv", x, stride)
            x = x if self.preactivation else self.norm(f"{name}/shortcut_norm", x)
        y = x + self.h * f
        return y if self.preactivation else relu(y)

    def conv(self, name, x, stride=1):
        return convolve(x, self.weights[f"{name}/kernel"], self.weights.get(f"{name}/bias", 0.0), stride)

    def norm(self, name, x):
        if self.norm_type is None:
            return x
        gamma, beta = self.weights[f"{name}/gamma"], self.weights[f"{name}/beta"]
        if self.norm_type != "batch":
            return group_norm(x, gamma, beta, {"group": 8, "layer": 1}[self.norm_type])
        mean, variance = self.weights[f"{name}/moving_mean"], self.weights[f"{name}/moving_variance"]
        if self.training:
            batch_mean, batch_variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            self.moving[f"{name}/moving_mean"] = 0.9 * mean + 0.1 * batch_mean
            self.moving[f"{name}/moving_variance"] = 0.9 * variance + 0.1 * batch_variance
            mean, variance = batch_mean, batch_variance
        return batch_norm(x, gamma, beta, mean, variance)
