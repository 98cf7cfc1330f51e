"""Functions that need private names of Keras, each with the reason and a public fallback."""

import contextlib

# The mask of a tensor. The fallback `tensor._keras_mask` is that of Keras' guide. JAX arrays lack this attribute, and Keras keeps
# their masks elsewhere.
try:
    from keras.src.backend import get_keras_mask as mask_of
    from keras.src.backend import set_keras_mask as _set_mask
except ImportError:

    def mask_of(tensor):
        return getattr(tensor, "_keras_mask", None)

    def _set_mask(tensor, mask):
        tensor._keras_mask = mask


def inner_layers(layer):
    """Return the inner layers of a layer, one level deep. The fallback `layers` is public, but only models have it."""
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
    """Return the arrays of a model during training on JAX, a dict of kind -> list, or None if the variables hold their values.

    The caller's fallback, the public `model.jax_state_sync()`, copies all of them back into the variables, which takes longer than
    a short step.
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
