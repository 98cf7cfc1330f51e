"""Functions that need private names of Keras, each with the reason and a public fallback."""

import contextlib
import functools

import keras

# The mask of a tensor. The fallback `tensor._keras_mask` is that of Keras' guide. JAX arrays lack
# this attribute, and Keras keeps their masks elsewhere.
try:
    from keras.src.backend import get_keras_mask as mask_of
    from keras.src.backend import set_keras_mask as _set_mask
except ImportError:

    def mask_of(tensor):
        return getattr(tensor, "_keras_mask", None)

    def _set_mask(tensor, mask):
        tensor._keras_mask = mask


def inner_layers(layer):
    """Return the inner layers of a layer, one level deep. The fallback `layers` is public, but only
    models have it."""
    if hasattr(layer, "_flatten_layers"):
        return list(layer._flatten_layers(include_self=False, recursive=False))
    return list(getattr(layer, "layers", ()))


def all_layers(layer):
    """Return a layer and its inner layers at any depth, each once."""
    layers, remaining = {}, [layer]
    while remaining:
        inner = remaining.pop(0)
        if id(inner) not in layers:
            layers[id(inner)] = inner
            remaining += inner_layers(inner)
    return list(layers.values())


def training_state(model):
    """Return the arrays of a model during training on JAX, a dict of kind -> list, or None if the
    variables hold their values.

    The caller's fallback, the public `model.jax_state_sync()`, copies all of them back into the
    variables, which takes longer than a short step.
    """
    state = getattr(model, "_jax_state", None)
    return None if getattr(model, "_jax_state_synced", True) else state


def pass_mask(source, target):
    """Attach the mask of one tensor to another, as Keras does for the outputs of its layers."""
    mask = mask_of(source)
    if mask is not None:
        _set_mask(target, mask)


@contextlib.contextmanager
def masked(tensor, mask):
    """Attach a mask to a tensor during a `with` block. None keeps the tensor's own mask."""
    own = mask_of(tensor)
    if mask is not None:
        _set_mask(tensor, mask)
    try:
        yield
    finally:
        if mask is not None:
            _set_mask(tensor, own)


# Where a layer is called, as far as its tensors depend on it: the device and the dtypes, or None
# where it is not called with plain tensors: symbolic, stateless, rematerialized. The fallback says
# so everywhere.
try:
    from keras.src.backend import get_autocast_scope
    from keras.src.backend.common.global_state import get_global_attribute
    from keras.src.backend.common.remat import get_current_remat_mode
    from keras.src.backend.common.stateless_scope import in_stateless_scope
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope
    from keras.src.models.functional import Functional

    def call_scope():
        if in_symbolic_scope() or in_stateless_scope() or get_current_remat_mode() is not None:
            return None
        scope = get_autocast_scope()
        return (
            get_global_attribute("torch_device"),
            None if scope is None else scope.dtype,
            keras.config.floatx(),
        )
except ImportError:
    Functional = keras.Model

    def call_scope():
        return None


def group_updates(optimizer, groups):
    """Let a Keras optimizer update its variables in groups from now on.

    No public hook has the learning rate of a step on every backend: on torch update_step is not
    called. There is no fallback, so that a Keras without the private name is refused: the groups
    would be ignored silently.

    Args:
        optimizer: A Keras optimizer that updates each variable by itself: any but Nadam and those
            around other optimizers.
        groups: Function of gradients, variables and learning rate that yields such triples.

    Raises:
        NotImplementedError: This version of Keras updates variables in another way.
    """
    if not hasattr(type(optimizer), "_backend_update_step"):
        raise NotImplementedError(
            f"Learning rates of single variables are not possible with Keras {keras.__version__}."
        )
    optimizer._backend_update_step = functools.partial(_update_in_groups, optimizer, groups)


def _update_in_groups(optimizer, groups, grads, variables, learning_rate):
    for group in groups(grads, variables, learning_rate):
        type(optimizer)._backend_update_step(optimizer, *group)
