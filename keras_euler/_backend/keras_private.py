"""What Keras has under private names only, each with the reason and a public fallback."""

import contextlib


def mask_of(tensor):
    """The mask that Keras has attached to a tensor, or None.

    Keras' guide reads `tensor._keras_mask`, the fallback here. JAX arrays have no such attribute: Keras keeps theirs elsewhere.
    """
    try:
        from keras.src.backend import get_keras_mask
    except ImportError:
        return getattr(tensor, "_keras_mask", None)
    return get_keras_mask(tensor)


def pass_mask(source, target):
    """Attach the mask of one tensor to another, as Keras does for the outputs of its layers."""
    mask = mask_of(source)
    if mask is not None:
        _set_mask(target, mask)


@contextlib.contextmanager
def masked(tensor, mask):
    """Attach a mask to a tensor for the time of a `with` block. None leaves the tensor its own."""
    own = mask_of(tensor)
    if mask is not None:
        _set_mask(tensor, mask)
    try:
        yield
    finally:
        if mask is not None:
            _set_mask(tensor, own)


def _set_mask(tensor, mask):
    try:
        from keras.src.backend import set_keras_mask
    except ImportError:
        tensor._keras_mask = mask
    else:
        set_keras_mask(tensor, mask)
