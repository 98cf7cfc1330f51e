"""Norms and moments of many tensors at once, on the device and across replicas."""

import functools

import keras

from keras_euler._backend.dtypes import wide_dtype
from keras_euler._backend.keras_private import training_state


def l2_norms(tensors):
    """Compute the L2 norms of many tensors: one fused call on torch, one kernel per tensor on
    TensorFlow, fused by XLA on JAX.

    It is equivalent to `keras.ops.norm` of each flattened tensor.

    Args:
        tensors: List of floating tensors of any shapes and dtypes, including TensorFlow's
            `IndexedSlices`. None counts as zeros.

    Returns:
        Tensor `(len(tensors),)`: float64 if one of the tensors is, else float32. A norm is inf if
        the sum of squares overflows: in float32 from norms of 1e19 on.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    dtype = wide_dtype(tensor.dtype for tensor in given)
    if not given:
        return keras.ops.zeros((len(tensors),), dtype)
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            norms = iter(
                torch._foreach_norm(
                    [tensor.detach() for tensor in given], 2, dtype=getattr(torch, dtype)
                )
            )
    else:
        floats = (keras.ops.cast(tensor, dtype) for tensor in given)
        norms = (keras.ops.sqrt(keras.ops.sum(keras.ops.square(tensor))) for tensor in floats)
    zero = keras.ops.zeros((), dtype)
    return keras.ops.stack([zero if tensor is None else next(norms) for tensor in tensors])


def moments(tensors):
    """Compute mean, standard deviation and share of zeros of many tensors, each over all entries of
    the tensor.

    Args:
        tensors: As for `l2_norms`. None counts as zeros.

    Returns:
        Tensor `(3, len(tensors))`: means, standard deviations (of the population), shares of zeros;
        dtype as for `l2_norms`.
    """
    dtype = wide_dtype(tensor.dtype for tensor in tensors if tensor is not None)
    zero, one = keras.ops.zeros((), dtype), keras.ops.ones((), dtype)
    rows = [(zero, zero, one) if tensor is None else _moments(tensor, dtype) for tensor in tensors]
    return keras.ops.stack([keras.ops.stack(column) for column in zip(*rows, strict=True)])


def _moments(tensor, dtype):
    tensor = keras.ops.cast(keras.ops.stop_gradient(tensor), dtype)
    zeros = keras.ops.mean(keras.ops.cast(tensor == 0, dtype))
    return keras.ops.mean(tensor), keras.ops.std(tensor), zeros


def norm_reader(model, variables, iterations, with_moments=False):
    """Return a compiled function without arguments that reads norms of variables without waiting
    for the device.

    Args:
        model: The model in training.
        variables: List of floating trainable variables of the model.
        iterations: An integer variable of the optimizer.
        with_moments: Whether to read the `moments` too.

    Returns:
        Function that returns `iterations`, the `l2_norms` of `variables`, and their `moments` if
        wanted, on the device.
    """
    measures = (l2_norms, moments) if with_moments else (l2_norms,)
    if keras.backend.backend() != "jax":

        def read():
            values = [variable.value for variable in variables]
            return keras.ops.copy(iterations.value), *(measure(values) for measure in measures)

        if keras.backend.backend() == "torch":
            return read
        import tensorflow as tf

        return tf.function(read)
    read, values = _jax_norms(measures), _jax_values(model, [iterations, *variables])

    def norms():
        first, *rest = values()
        return read(first, rest)

    return norms


def _jax_values(model, variables):
    """Return a function that reads the arrays of variables from the state that `fit` keeps between
    two steps.

    Reading the variables would first copy back all of them, with those of the optimizer, which
    takes longer than a short step.
    """
    places = {id(v): ("trainable_variables", i) for i, v in enumerate(model.trainable_variables)}
    places |= {id(v): ("optimizer_variables", i) for i, v in enumerate(model.optimizer.variables)}
    places = [places.get(id(variable)) for variable in variables]

    def values():
        state = training_state(model)
        if state and None not in places:
            return [state[kind][i] for kind, i in places]
        model.jax_state_sync()
        return [variable.value for variable in variables]

    return values


@functools.cache
def _jax_norms(measures):
    import jax

    # A copy of the number, because the next training step reuses the memory of its arrays.
    return jax.jit(
        lambda iterations, values: (iterations + 0, *(measure(values) for measure in measures))
    )


def sum_over_replicas(gradients):
    """Sum gradients over the replicas of TensorFlow's `MirroredStrategy`; on other backends a step
    has the whole gradient.

    Args:
        gradients: List of tensors, or None.

    Returns:
        List of tensors, or None.
    """
    if keras.backend.backend() != "tensorflow":
        return gradients
    import tensorflow as tf

    # Those of `IndexedSlices` may have a row several times.
    gradients = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    summed = iter(
        context.all_reduce(tf.distribute.ReduceOp.SUM, [g for g in gradients if g is not None])
    )
    return [None if gradient is None else next(summed) for gradient in gradients]
