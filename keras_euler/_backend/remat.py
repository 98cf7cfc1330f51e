"""Rematerialization: compute the inside of a block again in the backward pass instead of keeping
it, which trades time for memory.

Keras' own `RematScope` fails with layers that have a state: it updates moving statistics twice, or
not at all, and draws other random numbers. Here the inside runs in a `keras.StatelessScope`: it
reads the same state both times, and what it assigns is assigned once.
"""

import keras


def rematerialize(function, x, variables):
    """Return `function(x)` for a function that is computed again when its gradient is taken.

    Args:
        function: Function of one tensor that returns a tensor, and reads and assigns variables.
        x: The tensor.
        variables: All variables that the function uses.
    """
    if keras.backend.backend() == "jax":
        return _on_jax(function, x, variables)
    updates = []  # triples of a variable, its value before and the one to assign

    def inside(x):
        with keras.StatelessScope([(variable, old) for variable, old, _ in updates]) as scope:
            y = function(x)
        if not updates:
            assigned = ((v, scope.get_current_value(v)) for v in variables)
            updates.extend((v, _copy(v), new) for v, new in assigned if new is not None)
        return y

    if keras.backend.backend() == "torch":
        from torch.utils.checkpoint import checkpoint

        y = checkpoint(inside, x, use_reentrant=False, preserve_rng_state=False)
    else:
        import tensorflow as tf

        y = tf.recompute_grad(inside)(x)
    for variable, _, new in updates:
        variable.assign(new)
    return y


def _copy(variable):
    """Return the value of a variable, which later assignments leave as it is."""
    return keras.ops.copy(keras.ops.stop_gradient(keras.ops.convert_to_tensor(variable)))


def _on_jax(function, x, variables):
    import jax

    updated = []

    def inside(x, values):
        with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
            before = [scope.get_current_value(v) for v in variables]
            y = function(x)
        after = [scope.get_current_value(v) for v in variables]
        changed = [i for i, new in enumerate(after) if new is not before[i]]
        updated[:] = [variables[i] for i in changed]
        return y, [after[i] for i in changed]

    y, values = jax.checkpoint(inside)(x, [variable.value for variable in variables])
    for variable, new in zip(updated, values, strict=True):
        variable.assign(new)
    return y
