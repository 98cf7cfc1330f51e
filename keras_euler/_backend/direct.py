"""The torch functions of layers, and the calls of them. This module is imported on torch alone.

Images are (batch, channels, height, width) here, a view of the memory that Keras' channels_last
has, and a sequence is an image of one row: torch is slow with sequences in channels_last.
"""

import functools

import keras
import torch
from torch.utils.checkpoint import checkpoint

from keras_euler._backend.calls import call_layer, update_moving
from keras_euler._backend.keras_private import (
    KERNEL,
    MASK,
    TRAINABLE,
    autocast_dtype,
    policy_of,
    takes_training,
    value_of,
)

DTYPES = {name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")}
RELU = keras.activations.relu
ACTIVATIONS = (keras.activations.linear, RELU, None)  # of a convolution that is called directly


def to_images(x):
    """Return a tensor of torch in channels_last as a view of images (batch, channels, height,
    width), a sequence as images of one row: only images have the memory format channels_last."""
    return (x if x.ndim == 4 else x[:, None]).permute(0, 3, 1, 2)


def from_images(images, rank):
    """Return a view of images as a tensor in channels_last."""
    x = images.permute(0, 2, 3, 1)
    return x if rank == 4 else x[:, 0]


def convolve_images(x, kernel, bias, strides, padding):
    """Convolve the images of `to_images` and add the bias.

    Args:
        x: Tensor `(batch, channels, height, width)`.
        kernel: Tensor `(size, size, channels, filters)`, or `(size, channels, filters)`.
        bias: Tensor `(filters,)`, or None.
        strides: Integers, one per spatial axis.
        padding: Integers, one per spatial axis: zeros on **both** sides.
    """
    if kernel.ndim == 3:
        kernel, strides, padding = kernel[None], (1, *strides), (0, *padding)
    return torch.conv2d(x, kernel.permute(3, 2, 0, 1), bias, strides, padding)


def normalize_images(x, arrays, epsilon, uses_batch):
    """Apply torch's batch norm over axis 1; return the output and the statistics that were used,
    those of the batch unbiased. `arrays` are gamma, beta, mean and variance."""
    dtype = torch.float64 if x.dtype is torch.float64 else torch.float32
    if arrays[0].dtype is not dtype:
        arrays = [array.to(dtype) for array in arrays]
    gamma, beta, mean, variance = arrays
    if uses_batch:  # with momentum 1 torch leaves the batch's own statistics in these
        mean, variance = torch.zeros_like(gamma), torch.zeros_like(gamma)
    is_enabled = torch.backends.cudnn.enabled
    y = torch.batch_norm(x, gamma, beta, mean, variance, uses_batch, 1.0, epsilon, is_enabled)
    return y, mean, variance


def relu(x):
    """ReLU that may overwrite `x`, which the caller must own."""
    return torch.relu(x) if torch.is_grad_enabled() else torch.relu_(x)


def as_images(x):
    """Return a tensor in channels_last as images, those that it is a view of if it has them."""
    images = getattr(x, "_images", None)
    return to_images(x) if images is None else images


def are_images(x, num_pixels=1):
    """Whether a tensor in channels_last has one memory layout as images: with one pixel or channel
    it has several, and torch may take another one in the backward pass, or for views in another
    order."""
    shape = x.shape
    channels = shape[-1]
    has_pixels = x.numel() > shape[0] * channels * num_pixels
    return len(shape) in (3, 4) and channels > 1 and has_pixels and x.is_contiguous()


def takes_images(block, x):
    """Whether the layers of an `EulerResidual` are called with images."""
    num_pixels = 16 if block.shortcut else 1  # a stride may leave one
    is_euler = block.scheme == "euler" and block._modules["add"].data_format == "channels_last"
    return is_euler and are_images(x, num_pixels)


def view_of(images, rank):
    """Return a view of images as a tensor in channels_last."""
    x = from_images(images, rank)
    x._images = images  # so that the next block has no view of a view
    return x


def convolve(call, layer, x, training):
    values = layer.__dict__
    activation = values["activation"]
    if not values["_is_fast"] or values["lora_enabled"] or activation not in ACTIVATIONS:
        return None
    bias = call.tensor_of(values["bias"]) if values["use_bias"] else None
    kernel = call.tensor_of(values[KERNEL])
    y = convolve_images(x, kernel, bias, values["strides"], values["_zeros"])
    return relu(y) if activation is RELU else y


def normalize(call, layer, x, training):
    values = layer.__dict__
    uses_batch, size = bool(training and values[TRAINABLE]), x.numel() // x.shape[1]
    if not values["_is_plain"] or values["axis"] != -1 or (uses_batch and size < 2):
        return None
    arrays = [
        value_of(values[name]) for name in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    y, mean, variance = normalize_images(x, arrays, values["epsilon"], uses_batch)
    if uses_batch:
        momentum = values["momentum"]
        call.update_moving(values["moving_mean"], mean, momentum, 1.0)
        call.update_moving(values["moving_variance"], variance, momentum, (size - 1) / size)
    return y


def activate(call, layer, x, training):
    return torch.relu(x) if layer.activation is RELU else None


# By the attribute `direct` of a class of ours, or by a class of Keras.
OF_IMAGES = {"convolve": convolve, "normalize": normalize, keras.layers.Activation: activate}


@functools.cache
def kind_of(cls):
    """Return what stands for a class of layers in `OF_IMAGES`; None for a class of other
    packages."""
    is_of_keras = cls is getattr(keras.layers, cls.__name__, None)
    if issubclass(cls, keras.layers.Embedding) and is_of_keras:  # makes a mask outside its `call`
        return None
    return vars(cls).get("direct") or (cls if is_of_keras else None)


class DirectCall:
    """One call of a `Direct` model, in which layers of exactly known classes are called directly:
    by a function of `OF_IMAGES` or else by their `call`."""

    def __init__(self):
        self.scope = autocast_dtype()
        self.updates = {}  # id of a moving statistic -> arguments of `update_moving`
        # id of a policy -> dtype of the tensors and variables of its layers
        self.dtypes = {id(None): False}

    def __call__(self, layer, x, training):
        """Return the outputs of a layer, or None where Keras would do more than call it."""
        kind = kind_of(type(layer))
        if kind is None:
            return None
        tensors, dtype = x if type(x) is list else (x,), self.dtype(layer)
        if any(getattr(y, "dtype", None) is not dtype or hasattr(y, MASK) for y in tensors):
            return None
        if kind == "residual":
            if layer.remat and training:
                return self.rematerialized(layer, x)
            return self.residual(layer, x, training)
        if kind in OF_IMAGES and are_images(x):
            y = OF_IMAGES[kind](self, layer, as_images(x), training)
            if y is not None:
                return view_of(y, x.ndim)
        if kind == "normalize":  # it updates its statistics itself
            self.update_statistics()
        return layer.call(x, training=training) if takes_training(layer) else layer.call(x)

    def dtype(self, layer):
        """Return the dtype of the tensors with which calling a layer does no more than its `call`,
        or False."""
        policy = policy_of(layer)
        if id(policy) not in self.dtypes:
            is_plain = policy.compute_dtype == (self.scope or policy.variable_dtype)
            is_plain = is_plain and policy.quantization_mode is None
            self.dtypes[id(policy)] = is_plain and DTYPES.get(policy.compute_dtype, False)
        return self.dtypes[id(policy)]

    def residual(self, block, x, training):
        """Return the output of an `EulerResidual`."""
        add, rank = block._modules["add"], x.ndim
        if not takes_images(block, x):
            return block.direct_call(x, training)
        images = as_images(x)
        f = self.chain(block.branch, images, rank, training)
        s = self.chain(block.shortcut, images, rank, training) if block.shortcut else images
        if add.trainable_h == "channel" or not (self.dtype(add) is f.dtype is s.dtype):
            y = call_layer(add, [view_of(s, rank), view_of(f, rank)], training=training)
            return block.activated(y, training)
        y = add.call([s, f], training)
        if block.activation is RELU:
            return view_of(relu(y), rank)
        return block.activated(view_of(y, rank), training)

    def rematerialized(self, block, x):
        """Return the output of a block in training that is computed again in the backward pass;
        None if it has more state than moving statistics, or would be called as Keras does then."""
        layers = [*block.branch, *(block.shortcut or [])]
        is_simple = all(kind_of(type(layer)) in OF_IMAGES for layer in layers)
        is_simple = is_simple and not block.drop_path and self.scope is None
        if not (is_simple and takes_images(block, x)):
            return None
        first = [self]  # whose statistics are updated

        def inside(x):
            if first:
                return first.pop().residual(block, x, True)
            with keras.StatelessScope():
                return DirectCall().residual(block, x, True)

        return checkpoint(inside, x, use_reentrant=False, preserve_rng_state=False)

    def chain(self, layers, x, rank, training):
        """Call layers in order with images."""
        for layer in layers:
            function, y = OF_IMAGES.get(kind_of(type(layer))), None
            if function is not None and x.dtype is self.dtype(layer):
                y = function(self, layer, x, training)
            if y is None:
                y = call_layer(layer, view_of(x, rank), training=training)
                y = as_images(y)
            x = y
        return x

    def tensor_of(self, variable):
        """Return the tensor of a variable, cast as Keras does."""
        return value_of(variable) if self.scope is None else variable.value

    def update_moving(self, variable, new, momentum, factor):
        """Assign `momentum * variable + (1 - momentum) * factor * new` to a moving statistic: at
        the end, for the statistics of all layers together."""
        old = value_of(variable)
        if new.dtype is not old.dtype:
            update_moving(variable, new * factor, momentum)
            return
        if id(variable) in self.updates:  # a layer that is called several times
            self.update_statistics()
        self.updates[id(variable)] = old, new, momentum, factor

    def update_statistics(self):
        """Update the moving statistics."""
        groups = {}
        for old, new, *numbers in self.updates.values():
            groups.setdefault((*numbers, old.dtype, old.device), []).append((old, new))
        self.updates = {}
        with torch.no_grad():
            for (momentum, factor, *_), rows in groups.items():
                olds, news = zip(*rows, strict=True)
                old, new = torch.cat(olds), torch.cat(news) * factor
                updated = old * momentum + new * (1 - momentum)
                torch._foreach_copy_(olds, updated.split([len(old) for old in olds]))
