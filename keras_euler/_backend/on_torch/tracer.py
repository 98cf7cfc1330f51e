"""The programs of one model, by kind of call."""

import weakref

import keras
import numpy as np
import torch

from keras_euler._backend.keras_private import call_scope, mask_of
from keras_euler._backend.on_torch.program import make_program
from keras_euler._backend.on_torch.recording import Recorder, Unrecordable
from keras_euler._backend.on_torch.watch import Structure, Watch

MAX_TRACES = 16
# A recording takes as long as about four calls. Where layers or shapes change so often that
# programs are hardly used, most calls are left alone.
COST, CREDIT, CREDIT_OF_PLAIN_CALL = 4, 40, 0.1
SEEN, UNRECORDABLE = "seen", "unrecordable"


class Tracer:
    """Calls a model: as always, recorded, or by a program.

    Attributes:
        model: Weak reference to the model.
        programs: Dict of kind of call -> program, or `SEEN` after the first call, or
            `UNRECORDABLE`.
        problem: Why the last recording was of no use; None if it was.
    """

    def __init__(self, model):
        self.programs, self.problem, self._credit = {}, None, CREDIT
        self.model, self._structure, self._watch = weakref.ref(model), None, None

    def structure(self, plain):
        """The `Structure` of the model; Keras walks through all layers for its weights, four times
        in a step of `fit`.

        Args:
            plain: Function that returns the weights.
        """
        if self._structure is None or not self._structure.holds():
            self._structure = Structure(self.model(), plain())
        return self._structure

    def call(self, plain, inputs, training):
        """The outputs of a model.

        Args:
            plain: Function that calls its layers.
            inputs: Structure of tensors, or an array.
            training: As for every layer.
        """
        if isinstance(inputs, np.ndarray):
            inputs = keras.ops.convert_to_tensor(inputs, dtype=self.model().inputs[0].dtype)
        tensors = [inputs] if type(inputs) is torch.Tensor else keras.tree.flatten(inputs)
        kind = _kind(tensors, inputs, training)
        if kind is None:
            return plain(inputs, training=training)
        watch = self._watch
        if watch is not None:
            if watch.has_hooks():
                return plain(inputs, training=training)
            if not watch.holds():
                self.programs, self._watch = {}, None
        program = self.programs.get(kind)
        if program is None:
            while len(self.programs) >= MAX_TRACES:
                self.programs.pop(next(iter(self.programs)), None)
            self.programs[kind] = SEEN
        elif program is SEEN and self._credit >= COST:
            self._credit -= COST
            return self._record(plain, inputs, training, kind, tensors)
        elif program is SEEN:
            self._credit += CREDIT_OF_PLAIN_CALL
        elif program is not UNRECORDABLE:
            self._credit = min(self._credit + 1, CREDIT)
            return program(tensors)
        return plain(inputs, training=training)

    def _record(self, plain, inputs, training, kind, tensors):
        if self._watch is None:
            self._watch = Watch(Structure(self.model(), []))
            if self._watch.has_hooks():
                return plain(inputs, training=training)
        self.problem, held = self._watch.problem, self._watch.tensors
        if self.problem:
            self.programs[kind] = UNRECORDABLE
            return plain(inputs, training=training)
        recorder = Recorder(tensors, held)
        with recorder:
            outputs = plain(
                inputs, training=training
            )  # an error, or Ctrl-C, leaves the kind to the next call
        self.programs[kind], self.problem = UNRECORDABLE, recorder.problem
        if self.problem is None:
            try:
                self.programs[kind] = _program(recorder, len(tensors), held, outputs)
            except Unrecordable as problem:
                self.problem = str(problem)
        return outputs


def _program(recorder, num_inputs, held, outputs):
    """Function from the list of input tensors to outputs of the recorded structure."""
    flat = keras.tree.flatten(outputs)
    if any(mask_of(tensor) is not None for tensor in flat):
        raise Unrecordable("a mask")
    numbers = [recorder.number(tensor) for tensor in flat]
    function = make_program(
        recorder, num_inputs, dict(enumerate(held, num_inputs)), numbers, torch.is_grad_enabled()
    )
    if outputs is flat[0]:
        return lambda tensors: function(*tensors)[0]
    structure = keras.tree.map_structure(lambda _: 0, outputs)
    return lambda tensors: keras.tree.pack_sequence_as(structure, function(*tensors))


def _kind(tensors, inputs, training):
    """What decides which functions are called, beside the model itself; None where they cannot be
    recorded."""
    if not all(
        type(tensor) is torch.Tensor and tensor.device.type != "meta" and mask_of(tensor) is None
        for tensor in tensors
    ):
        return None
    if training not in (None, True, False) or _is_transformed() or (scope := call_scope()) is None:
        return None
    device = tensors[0].device.type
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    kinds = [(t.shape, t.stride(), t.dtype, t.device, t.requires_grad) for t in tensors]
    modes = (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.backends.cudnn.enabled,
    )
    structure = (
        None
        if len(tensors) == 1 and inputs is tensors[0]
        else str(keras.tree.map_structure(lambda _: 0, inputs))
    )
    return training, structure, scope, autocast, modes, *kinds


def _is_transformed():
    """Whether torch does something else with a function than to call it: another mode, export,
    compilation, functorch, or
    checkpoints, which compare what is saved for gradients and stop in the middle of a call."""
    return (
        torch._C._len_torch_function_stack()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
    )
