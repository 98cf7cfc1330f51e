"""What Keras cannot say portably, or only slowly. Each function here has a plain Keras twin that a test compares it with.

TensorFlow, JAX and torch are imported in this file alone, and only inside functions. XLA fuses by itself, so on JAX the plain
Keras layers are at the speed of a hand-written network.
"""

import contextlib
import functools

import keras
import numpy as np


def has_fused_batch_norm():
    """Whether `fused_batch_norm` is there: on torch, where Keras' own makes six passes over the data.

    (TensorFlow's fused kernel was tried on the CPU: no faster than Keras' own.)
    """
    return keras.backend.backend() == "torch"


def fused_batch_norm(x, gamma, beta, mean, variance, axis, epsilon, use_batch_statistics):
    """Batch norm by torch's one fused kernel; the twin of `keras.layers.BatchNormalization`.

    Args:
        x: Tensor of rank 2 or more.
        gamma, beta, mean, variance: Vectors of the size of `axis`, float32. `mean` and `variance` are the statistics to
            normalize with where `use_batch_statistics` is False, and are not read otherwise.
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
    y = torch.nn.functional.batch_norm(
        x, mean, variance, gamma, beta, training=use_batch_statistics, momentum=1.0, eps=epsilon
    )
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


def l2_norms(tensors):
    """L2 norms of many tensors at once; the twin of `keras.ops.norm` of each, flat. One fused call on torch, one kernel each on
    TensorFlow, fused by XLA on JAX.

    Args:
        tensors: List of floating tensors of any shapes and dtypes, TensorFlow's `IndexedSlices` too; None stands for zeros.

    Returns:
        Float32 tensor `(len(tensors),)`; inf where the sum of squares is beyond float32, for norms above 1e19.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    if not given:
        return keras.ops.zeros((len(tensors),), "float32")
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            norms = iter(torch._foreach_norm([tensor.detach() for tensor in given], 2, dtype=torch.float32))
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # l2_loss is sum(t ** 2) / 2 in one kernel.
        dense = (tf.cast(tf.convert_to_tensor(tensor), "float32") for tensor in given)
        norms = (tf.sqrt(2.0 * tf.nn.l2_loss(tensor)) for tensor in dense)
    else:
        floats = (keras.ops.cast(tensor, "float32") for tensor in given)
        norms = (keras.ops.sqrt(keras.ops.sum(keras.ops.square(tensor))) for tensor in floats)
    zero = keras.ops.zeros((), "float32")
    return keras.ops.stack([zero if tensor is None else next(norms) for tensor in tensors])


def norm_reader(variables, iterations):
    """A function without arguments that reads what the variables hold, compiled, and without waiting for the device.

    Args:
        variables: List of floating Keras variables.
        iterations: An integer Keras variable.

    Returns:
        Function that returns the pair of the value of `iterations` and the `l2_norms` of `variables`, on the device.
    """
    if keras.backend.backend() == "torch":
        return lambda: (iterations.value.clone(), l2_norms([variable.value for variable in variables]))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda: (tf.identity(iterations.value), l2_norms([v.value for v in variables])))
    read = _jax_norms()
    return lambda: read(iterations.value, [variable.value for variable in variables])


@functools.cache
def _jax_norms():
    import jax

    # A copy of the number, for the next training step takes the memory of its arrays.
    return jax.jit(lambda iterations, values: (iterations + 0, l2_norms(values)))


def sum_over_replicas(gradients):
    """What all replicas of TensorFlow's `MirroredStrategy` have of each gradient; on the other backends a step sees the whole.

    Args:
        gradients: List of tensors, or None.

    Returns:
        List of tensors, or None.
    """
    if keras.backend.backend() != "tensorflow":
        return gradients
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, [g for g in gradients if g is not None]))
    return [None if gradient is None else next(summed) for gradient in gradients]


def gradients(function, arrays):
    """Gradients of a number with respect to tensors; Keras has none that is the same on all backends.

    Args:
        function: Function of a list of tensors that returns a scalar tensor.
        arrays: List of NumPy arrays, where to take the gradients.

    Returns:
        List of NumPy arrays of the same shapes; zeros where the number does not depend on a tensor.
    """
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        found = jax.grad(function)(tensors)
    elif backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        found = tape.gradient(value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    else:
        import torch

        for tensor in tensors:
            tensor.requires_grad_()
        found = torch.autograd.grad(function(tensors), tensors, allow_unused=True, materialize_grads=True)
    return [keras.ops.convert_to_numpy(gradient) for gradient in found]


def linearized(function, x):
    """The Jacobian `J` of a function at `x`, as two functions that multiply by it.

    Args:
        function: Function from a tensor to a tensor.
        x: Tensor.

    Returns:
        The pair of `v -> J v` and `u -> J^T u`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        _, forward = jax.linearize(function, x)
        _, backward = jax.vjp(function, x)
        return forward, lambda u: backward(u)[0]
    if backend == "tensorflow":
        import tensorflow as tf

        def forward(v):
            with tf.autodiff.ForwardAccumulator(x, v) as accumulator:
                y = function(x)
            return accumulator.jvp(y, tf.UnconnectedGradients.ZERO)

        def backward(u):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return tape.gradient(y, x, u, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return tf.function(forward), tf.function(backward)
    import torch

    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y = function(x)
        u = torch.zeros_like(y, requires_grad=True)
        # J^T u is linear in u, so its gradient along v is J v.
        (pulled,) = torch.autograd.grad(y, x, u, create_graph=True)

    def forward(v):
        return torch.autograd.grad(pulled, u, v, retain_graph=True)[0]

    def backward(v):
        return torch.autograd.grad(y, x, v, retain_graph=True)[0]

    return forward, backward


def leave_gpu_to_keras():
    """Where Keras runs on another backend and TensorFlow only reads files, keep it from taking the GPU's memory."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # it already runs
            tf.config.set_visible_devices([], "GPU")


def read_torch_file(path):
    """What `torch.save` wrote, on the CPU; tensors and plain containers only, no code is run."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def is_tensorflow_tensor(x):
    """Whether this is a tensor of TensorFlow's, whatever the backend: data sets hand them to a preprocessor."""
    return type(x).__module__.startswith("tensorflow.")


def on_strings_of_tensorflow(function, strings, length):
    """`function` of a list of strings, on a tensor of strings in a TensorFlow graph: int32 `(*shape, length)`."""
    import tensorflow as tf

    if strings.dtype != tf.string:
        raise TypeError(f"Texts must be strings. Received: a tensor of {strings.dtype.name}.")

    def decoded(array):
        return function([text.decode("utf-8", "replace") for text in np.ravel(array)]).astype("int32")

    ids = tf.numpy_function(decoded, [strings], tf.int32)
    return tf.ensure_shape(tf.reshape(ids, tf.concat([tf.shape(strings), [length]], 0)), (*strings.shape, length))
