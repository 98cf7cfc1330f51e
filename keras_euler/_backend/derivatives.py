"""Gradients and Jacobians with respect to activations."""

import keras

from keras_euler._backend.dtypes import float64_array


def gradients(function, arrays):
    """Compute the gradients of a number with respect to tensors, for which Keras has no portable
    function.

    Args:
        function: Function of a list of tensors that returns a scalar tensor.
        arrays: List of NumPy arrays, the point of the gradients.

    Returns:
        List of float64 arrays of the same shapes; zeros if the number does not depend on a tensor.
    """
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        results = jax.grad(function)(tensors)
    elif backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        results = tape.gradient(value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    else:
        import torch

        for tensor in tensors:
            tensor.requires_grad_()
        results = torch.autograd.grad(
            function(tensors), tensors, allow_unused=True, materialize_grads=True
        )
    return [float64_array(gradient) for gradient in results]


def linearized(function, x):
    """Return two functions that multiply by the Jacobian `J` of a function at `x`.

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
