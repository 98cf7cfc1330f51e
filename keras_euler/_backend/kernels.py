"""Layers' arithmetic that Keras does with more passes over the data than the backend needs."""

import keras


def has_fused_batch_norm(x, axis, use_batch_statistics):
    """Whether `fused_batch_norm` takes these arguments: on torch, where Keras' own makes six passes over the data.

    Torch's kernel refuses batch statistics of fewer than two values per channel, and vectors.
    (TensorFlow's fused kernel was tried on the CPU: no faster than Keras' own.)
    """
    if keras.backend.backend() != "torch" or x.ndim < 2:
        return False
    return not use_batch_statistics or x.numel() > x.shape[axis]


def fused_batch_norm(x, gamma, beta, mean, variance, axis, epsilon, use_batch_statistics):
    """Batch norm by torch's one fused kernel; the twin of `keras.layers.BatchNormalization`.

    Args:
        x: Tensor of floats, of rank 2 or more.
        gamma, beta, mean, variance: Vectors of the size of `axis`, float64 for a float64 `x`, else float32. `mean` and
            `variance` are the statistics to normalize with where `use_batch_statistics` is False, and are not read otherwise.
        axis: The channel axis of `x`.
        epsilon: Added to the variance.
        use_batch_statistics: Normalize with the statistics of `x` itself.

    Returns:
        `(y, mean, variance)`: the output, in the dtype of `x`, and the statistics that were used. The variance is the
        biased one, which is what Keras keeps; torch's own running variance is the unbiased one, n / (n - 1) of it.
    """
    import torch

    if x.ndim == 3 and axis in (-1, 2):  # as rows of pixels: torch is slow with sequences in channels_last
        y, mean, variance = fused_batch_norm(x[:, None], gamma, beta, mean, variance, -1, epsilon, use_batch_statistics)
        return y[:, 0], mean, variance
    axis = axis % x.ndim  # the exporter to ONNX takes no negative one
    x = x.movedim(axis, 1)
    if use_batch_statistics:  # with momentum 1 torch leaves the batch's own statistics in these
        mean, variance = torch.zeros_like(gamma), torch.zeros_like(gamma)
    y = torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, training=use_batch_statistics, momentum=1.0, eps=epsilon)
    if use_batch_statistics:
        size = x.numel() // x.shape[1]
        variance = variance * ((size - 1) / size)
    return y.movedim(1, axis), mean, variance


def has_fast_convolution():
    """Whether `convolution` is there: on torch, where Keras copies images twice between two layouts in memory."""
    return keras.backend.backend() == "torch"


def convolution(x, kernel, bias, strides, padding):
    """Convolution of images or sequences in channels_last, with its bias; the twin of `keras.ops.conv` and an addition.

    Args:
        x: Tensor `(batch, height, width, channels)`, or `(batch, length, channels)`.
        kernel: Tensor `(size, size, channels, filters)`, or `(size, channels, filters)`.
        bias: Tensor `(filters,)`, or None.
        strides: Integers, one per spatial axis.
        padding: Integers, one per spatial axis: zeros on **both** sides.

    Returns:
        Tensor `(batch, height', width', filters)`, or `(batch, length', filters)`.
    """
    import torch

    if x.ndim == 3:  # as an image of one row: torch has the memory format channels_last for images only
        return convolution(x[:, None], kernel[None], bias, (1, *strides), (0, *padding))[:, 0]

    # A permuted view of channels_last images is what torch itself calls the channels_last memory format.
    y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, strides, padding)
    return y.permute(0, 2, 3, 1)


def store_filters_first(kernel):
    """Keep the variable of a kernel in memory as `convolution` hands it on, else torch copies it in every step.

    Args:
        kernel: Variable `(..., channels, filters)`.
    """
    value = kernel.value
    value.data = value.data.movedim(-1, 0).contiguous().movedim(0, -1)


def relu(x):
    """ReLU of a tensor that nobody else holds; the twin of `keras.ops.relu`.

    On torch it takes the memory of `x` where no gradients are taken: a pass over new memory costs more than the ReLU.
    """
    if keras.backend.backend() == "torch":
        import torch

        if not torch.is_grad_enabled():
            return torch.relu_(x)
    return keras.ops.relu(x)


def has_fast_pooling():
    """Whether `halving_max_pool` is there: on torch, where Keras copies to another layout, in which all later layers then stay."""
    return keras.backend.backend() == "torch"


def halving_max_pool(x, axis):
    """Max pooling over 3 positions in steps of 2, padded by one on both sides; the twin of `HalvingMaxPooling1D`'s slices.

    Args:
        x: Tensor of rank 3.
        axis: Of the positions: 1, with the channels last, or 2.

    Returns:
        Tensor of rank 3, with half the positions.
    """
    import torch

    if axis == 2:
        return torch.nn.functional.max_pool1d(x, 3, 2, 1)
    rows = x[:, None].permute(0, 3, 1, 2)  # as images of one row, see `convolution`
    return torch.nn.functional.max_pool2d(rows, (1, 3), (1, 2), (0, 1)).permute(0, 2, 3, 1)[:, 0]


def largest(x, k):
    """Positions of the `k` largest numbers along the last axis; of equal ones the first, which torch's top-k does not promise.

    Args:
        x: Tensor `(..., n)`.
        k: An integer of at most n.

    Returns:
        Integer tensor `(..., k)`.
    """
    if keras.backend.backend() != "torch":
        return keras.ops.top_k(x, k)[1]
    import torch

    return torch.sort(x, dim=-1, descending=True, stable=True).indices[..., :k]
