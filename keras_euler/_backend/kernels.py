"""Arithmetic of layers that takes Keras more passes over the data than the backend needs."""

import keras

FUSED_DTYPES = ("float32", "float16", "bfloat16")  # of TensorFlow's batch norm


def fused_batch_norm(x, variables, axis, epsilon, uses_batch):
    """Apply batch norm in one fused kernel; equivalent to `keras.layers.BatchNormalization`, which
    makes several passes over the data on torch and TensorFlow.

    Half precision is too narrow for statistics, and integers are normalized as floats, as in Keras.
    Torch's kernel rejects vectors, and batch statistics of fewer than two values per channel.
    TensorFlow's is for training on images and sequences with channels last.

    Args:
        x: Tensor.
        variables: Gamma, beta, mean and variance, vectors of the size of `axis`. The last two are
            only used if `uses_batch` is False.
        axis: The channel axis of `x`.
        epsilon: Added to the variance.
        uses_batch: Whether to normalize with the statistics of `x`.

    Returns:
        `(y, mean, variance)`: the output, in the dtype of a floating `x`, and the statistics that
        were used. The variance is biased, as in Keras; that of the kernels is unbiased, n / (n - 1)
        times as large. None if the backend has no kernel for these arguments.
    """
    backend, rank = keras.backend.backend(), len(x.shape)
    is_last = rank in (3, 4) and axis in (-1, rank - 1)
    if backend == "tensorflow":
        is_float = keras.backend.standardize_dtype(x.dtype) in FUSED_DTYPES
        has_kernel = uses_batch and is_float and is_last
    else:
        has_kernel = backend == "torch" and rank > 1
        has_kernel = has_kernel and not (uses_batch and x.numel() <= x.shape[axis])
    if not has_kernel:
        return None
    if is_last and rank == 3:  # as images of one row
        y, mean, variance = fused_batch_norm(x[:, None], variables, -1, epsilon, uses_batch)
        return y[:, 0], mean, variance
    arrays = [keras.ops.convert_to_tensor(variable) for variable in variables]
    if backend == "tensorflow":
        return _fused_of_tensorflow(x, *arrays[:2], epsilon)
    from keras_euler._backend import direct

    if not x.is_floating_point():
        x = x.float()
    axis = axis % x.ndim  # the exporter to ONNX does not take negative axes
    x = x.movedim(axis, 1)
    y, mean, variance = direct.normalize_images(x, arrays, epsilon, uses_batch)
    if uses_batch:
        size = x.numel() // x.shape[1]
        variance = variance * ((size - 1) / size)
    return y.movedim(1, axis), mean, variance


def _fused_of_tensorflow(x, gamma, beta, epsilon):
    """Apply batch norm with the statistics of images with channels last."""
    import tensorflow as tf

    none = tf.zeros((0,), "float32")
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.cast(gamma, "float32"),
        offset=tf.cast(beta, "float32"),
        mean=none,
        variance=none,
        epsilon=epsilon,
        exponential_avg_factor=1.0,
        data_format="NHWC",
        is_training=True,
    )
    size = tf.cast(tf.size(x) // tf.shape(x)[-1], "float32")
    return y, mean, variance * (tf.maximum(size - 1, 1) / size)


def is_compiling():
    """Return whether torch compiles the calls, which fails with views of images of any size."""
    import torch

    return torch.compiler.is_compiling()


def convolution(x, kernel, bias, strides, padding):
    """Convolve images or sequences in channels_last and add the bias, on torch, where Keras copies
    images twice between two memory layouts; equivalent to `keras.ops.conv` and an addition.

    Args:
        x: Tensor `(batch, height, width, channels)`, or `(batch, length, channels)`.
        kernel, bias, strides, padding: As for `convolve_images`.

    Returns:
        Tensor `(batch, height', width', filters)`, or `(batch, length', filters)`.
    """
    from keras_euler._backend import direct

    images = direct.convolve_images(direct.to_images(x), kernel, bias, strides, padding)
    return direct.from_images(images, x.ndim)


def store_filters_first(kernel):
    """Keep the variable of a kernel in memory as `convolution` hands it on, else torch copies it in
    every step.

    Args:
        kernel: Variable `(..., channels, filters)`.
    """
    value = kernel.value
    value.data = value.data.movedim(-1, 0).contiguous().movedim(0, -1)


def match_layouts(variables, references):
    """Keep variables of an optimizer in memory as the kernels of the same shape are.

    Args:
        variables: Those of the optimizer.
        references: Those of the model.
    """
    strides = {tuple(v.shape): v.value.stride() for v in references if len(v.shape) > 2}
    for variable in variables:
        own = variable.value.stride()
        if own != strides.get(tuple(variable.shape), own):
            store_filters_first(variable)


def keep_freed_memory():
    """Let glibc keep the memory that a step frees for the next one.

    Until a block of tens of MB was freed, it gives memory above 128 kB back to the system. A small
    deep network then has thousands of page faults per step, a tenth of its time.
    """
    import torch

    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def relu(x):
    """ReLU that may overwrite `x`, which the caller must own; equivalent to `keras.ops.relu`.

    On torch without gradients it works in place: new memory costs more than the ReLU.
    """
    if keras.backend.backend() != "torch":
        return keras.ops.relu(x)
    from keras_euler._backend import direct

    return direct.relu(x)


def halving_max_pool(x, axis):
    """Max pooling over 3 positions in steps of 2, padded by one on both sides; equivalent to the
    slices of `HalvingMaxPooling1D`, on torch. Keras would change the layout for all later layers.

    Args:
        x: Tensor of rank 3.
        axis: Axis of the positions: 1, with channels last, or 2.

    Returns:
        Tensor of rank 3, with half the positions.
    """
    from keras_euler._backend import direct

    if axis == 2:
        return direct.torch.max_pool1d(x, 3, 2, 1)
    y = direct.torch.max_pool2d(direct.to_images(x), (1, 3), (1, 2), (0, 1))
    return direct.from_images(y, 3)


def largest(x, k):
    """Return the positions of the `k` largest numbers along the last axis; of equal ones the first,
    unlike torch's top-k.

    Args:
        x: Tensor `(..., n)`.
        k: An integer, at most n.

    Returns:
        Integer tensor `(..., k)`.
    """
    if keras.backend.backend() != "torch":
        return keras.ops.top_k(x, k)[1]
    import torch

    return torch.sort(x, dim=-1, descending=True, stable=True).indices[..., :k]
