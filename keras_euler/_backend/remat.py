"""Rematerialization: compute the inside of a block again in the backward pass instead of keeping
it, which trades time for memory.

Keras' own `RematScope` fails with layers that have a state: it updates moving statistics twice, or
not at all, and draws other random numbers. Here the inside is a function of the input and of the
values of all variables. What it assigns and the losses that it adds are further results.
"""

import keras

from keras_euler._backend.keras_private import casting, current_cast, global_seed


class Inside(keras.layers.Layer):
    """Call a function as Keras calls a layer: `training` reaches the layers within, also in the
    backward pass."""

    def __init__(self, function, dtype):
        super().__init__(dtype=dtype, autocast=False)
        self.function, self.built, self.cast = function, True, current_cast()

    def call(self, x, training=None):
        with casting(self.cast):  # of the block, also in the backward pass
            return self.function(x, training)


def rematerialize(block, function, x):
    """Return `function(x, True)` of a block, computed again when its gradient is taken.

    Args:
        block: The layer whose variables the function uses, and which gets the losses of layers
            within.
        function: Function of a tensor and `training` that returns a tensor.
        x: The tensor.
    """
    inside, backend = Inside(function, block.dtype_policy), keras.backend.backend()
    variables = block.variables + block.metrics_variables
    variables += global_seed() if backend != "jax" else []
    # TensorFlow would read a variable again, after it was assigned.
    read = keras.ops.copy if backend == "tensorflow" else keras.ops.convert_to_tensor
    with casting():
        values = [read(variable) for variable in variables]
    assigned = {}  # number of a variable -> its new value, from the first call

    def call(x, values):
        with casting():  # else they are cast to the dtype of the block
            mapping = list(zip(variables, values, strict=True))
            scope = keras.StatelessScope(mapping, collect_losses=True)
        with scope:
            before = [scope.get_current_value(variable) for variable in variables]
            y = inside(x, training=True)
        after = [scope.get_current_value(variable) for variable in variables]
        new = {i: value for i, value in enumerate(after) if value is not before[i]}
        return (y, *scope.losses), new

    def outputs(x, *floats):
        given = dict(zip(differentiable, floats, strict=False))
        found, new = call(x, [given.get(i, value) for i, value in enumerate(values)])
        if not is_done:
            assigned.update(new)
        return found

    is_done = False
    differentiable = [
        i for i, value in enumerate(values) if keras.backend.is_float_dtype(value.dtype)
    ]
    if backend == "jax":
        import jax

        found, assigned = jax.checkpoint(call)(x, values)
    elif backend == "tensorflow":
        import tensorflow as tf

        floats = [values[i] for i in differentiable]
        found = tf.recompute_grad(outputs)(x, *floats)
    else:
        from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

        # It stops by an error, for which Keras describes all tensors and keeps them in a cycle.
        with set_checkpoint_early_stop(False):
            found = checkpoint(outputs, x, use_reentrant=False)
    is_done = True
    y, *losses = found
    for loss in losses:
        block.add_loss(loss)
    for i, value in assigned.items():
        if variables[i].trainable and backend != "jax":
            raise NotImplementedError(
                f"A layer assigns its trainable variable {variables[i].path!r} in a call, which "
                f"remat=True cannot do again on {backend}. Use remat=False for {block.name!r}."
            )
        if backend == "torch":  # it assigns in place
            values[i], value = values[i].clone(), value.detach()
        variables[i].assign(value)
    assigned.clear()
    return y
