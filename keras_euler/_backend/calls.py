"""Calls of layers: on torch without the work that Keras repeats around each of them.

In a deep network on small images that work takes longer than the layers themselves. The same torch
functions run in the same order, so that outputs and gradients have the same bits, and nothing is
kept between two calls. `KERAS_EULER_DIRECT=0` in the environment switches this off.
"""

import functools
import os
import threading

import keras

from keras_euler._backend.keras_private import is_plain_call, run_graph, takes_training
from keras_euler._backend.kernels import keep_freed_memory, match_layouts


class _Local(threading.local):
    direct = None  # the `DirectCall` of this thread


_local = _Local()


class Direct:
    """Mixin of functional models: on torch their layers are called directly."""

    def call(self, inputs, training=None, mask=None, **kwargs):
        if mask is not None or kwargs or not _is_possible():
            return super().call(inputs, training=training, mask=mask, **kwargs)
        from keras_euler._backend.direct import DirectCall

        direct = DirectCall()
        outer, _local.direct = _local.direct, direct
        try:
            return run_graph(
                self, inputs, functools.partial(call_layer, training=training), training
            )
        finally:
            direct.update_statistics()
            _local.direct = outer

    @property
    def weights(self):
        return vars(self).get("_weights_of_step") or super().weights

    def train_step(self, *args, **kwargs):
        if keras.backend.backend() != "torch":
            return super().train_step(*args, **kwargs)
        vars(self)["_weights_of_step"] = super().weights  # Keras collects them three times
        try:
            return super().train_step(*args, **kwargs)
        finally:
            del vars(self)["_weights_of_step"]

    def make_train_function(self, force=False):
        if keras.backend.backend() == "torch":
            keep_freed_memory()
            if self.optimizer is not None:
                match_layouts(self.optimizer.variables, self.trainable_variables)
        return super().make_train_function(force)


def _is_possible():
    if keras.backend.backend() != "torch" or os.environ.get("KERAS_EULER_DIRECT") == "0":
        return False
    import torch

    has_hooks = torch.nn.modules.module._has_any_global_hook()
    return is_plain_call() and not (has_hooks or torch.compiler.is_compiling())


def call_layer(layer, *args, training=None, **kwargs):
    """Call a layer; within a `Direct` model by its torch functions if nothing else would happen.

    Args:
        layer: A layer or an operation.
        *args, **kwargs: Its arguments.
        training: Passed to a layer that takes it.
    """
    direct = _local.direct
    if direct is not None:
        if len(args) == 1 and kwargs in ({}, {"mask": None}):
            outputs = direct(layer, args[0], training)
            if outputs is not None:
                return outputs
        # The layer may read moving statistics, and hook its inputs or return them.
        direct.update_statistics()
        for x in keras.tree.flatten((args, kwargs)):
            getattr(x, "__dict__", {}).pop("_images", None)
    if training is not None and takes_training(layer):
        kwargs["training"] = training
    _local.direct = None  # what Keras does around a layer holds within it too
    try:
        return layer(*args, **kwargs)
    finally:
        _local.direct = direct


def call_chain(layers, x, training):
    """Call layers of one input in order, as `call_layer` does."""
    for layer in layers:
        x = call_layer(layer, x, training=training)
    return x


def update_moving(variable, new, momentum):
    """Assign `momentum * variable + (1 - momentum) * new` to a moving statistic."""
    old = keras.ops.cast(variable, new.dtype)
    variable.assign(old * momentum + new * (1 - momentum))
