"""A functional model whose calls on torch are traced; on the other backends, which compile, a plain
one."""

import os

import keras

from keras_euler._backend.keras_private import Functional, call_scope


def is_traced():
    """Whether models are traced: on torch, unless it is switched off or torch itself compiles or
    exports."""
    if keras.backend.backend() != "torch" or os.environ.get("KERAS_EULER_TRACE") == "0":
        return False
    import torch

    return not torch.compiler.is_compiling()


class Traced:
    """Mixin of functional models: on torch the call runs as one program of torch functions.
    Abstract.

    In a deep network on small images, Keras' own work around each layer takes longer than the
    layer. Here the second call of a kind (`training`, shapes, dtypes, layouts, devices and the
    like) records the torch functions that the layers call, and later calls call the same functions
    in the same order: outputs and gradients have the same bits. When a layer, its attributes,
    weights or dtype change, the programs are dropped and made anew.

    The layers are called as always where they cannot be recorded: random ones in training, layers
    of other packages, `Lambda`, masks, hooks, and within export, symbolic calls and torch's own
    transformations. `KERAS_EULER_TRACE=0` in the environment switches tracing off.
    """

    def call(self, inputs, training=None, mask=None, **kwargs):
        plain = super().call
        if mask is not None or kwargs or not is_traced():
            return plain(inputs, training=training, mask=mask, **kwargs)
        if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
            inputs = inputs[0]
        return self._tracer().call(plain, inputs, training)

    @property
    def weights(self):
        if not (self.built and is_traced()):
            return super().weights
        return list(self._structure().weights)

    def zero_grad(self, set_to_none=True):
        if set_to_none and self.built and is_traced():
            structure = self._structure()
            for tensor in (*structure.tensors(), *structure.parameters()):
                tensor.grad = None
        else:
            super().zero_grad(set_to_none)

    @property
    def losses(self):
        return [] if self._has_no_losses() else super().losses

    def _clear_losses(self):  # a method of every Keras layer
        if not self._has_no_losses():
            super()._clear_losses()

    def _has_no_losses(self):
        """Whether no layer has losses and no variable a regularizer; Keras walks through all of
        them to find none."""
        if not (self.built and is_traced()) or call_scope() is None:
            return False
        return not self._structure().has_losses()

    def _structure(self):
        return self._tracer().structure(lambda: super(Traced, self).weights)

    def _tracer(self):
        tracer = self.__dict__.get(
            "_own_tracer"
        )  # not an attribute that Keras tracks, saves or copies
        if (
            tracer is None or tracer.model() is not self
        ):  # shallow copies, such as those of torch's DataParallel, have it too
            from keras_euler._backend.on_torch.tracer import Tracer

            tracer = self.__dict__["_own_tracer"] = Tracer(self)
        return tracer


class TracedModel(Traced, keras.Model):
    """A functional `keras.Model` that is traced. Files and copies of it are plain ones, which need
    no keras_euler."""

    def __reduce__(self):
        function, arguments = super().__reduce__()
        return getattr(Functional, function.__name__), arguments


TracedModel.__name__ = TracedModel.__qualname__ = Functional.__name__
TracedModel.__module__ = Functional.__module__


def functional_model(inputs, outputs, **kwargs):
    """A `keras.Model` of symbolic tensors, traced on torch.

    Args:
        inputs, outputs: Structures of symbolic tensors.
        **kwargs: As for `keras.Model`.
    """
    return (TracedModel if keras.backend.backend() == "torch" else keras.Model)(
        inputs, outputs, **kwargs
    )
