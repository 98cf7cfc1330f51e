"""The torch functions that a model calls, recorded while it runs."""

import weakref
from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode

# Results that are no tensors: those of these functions, and all properties, depend on shapes and
# dtypes alone.
STATIC = {
    "size",
    "dim",
    "stride",
    "numel",
    "nelement",
    "ndimension",
    "element_size",
    "get_device",
    "__len__",
    "is_contiguous",
}
STATIC |= {
    "is_floating_point",
    "is_complex",
    "is_tensor",
    "result_type",
    "promote_types",
    "can_cast",
    "_set_grad_enabled",
}
# The values of a layer's own attributes that a call may hold beside tensors.
PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    type(None),
    type(Ellipsis),
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
)
CASTS = {
    "to",
    "contiguous",
    "type",
    "type_as",
    "bool",
    "int",
    "long",
    "float",
    "double",
    "half",
    "bfloat16",
    "cpu",
    "cuda",
}
REFUSED = ("rand", "dropout", "bernoulli", "multinomial", "requires_grad_", "__set__")


class Unrecordable(Exception):
    """The calls of a model cannot be repeated: what it does depends on more than shapes and
    dtypes."""


@dataclass(frozen=True)
class Ref:
    """A tensor by its number in a recording."""

    index: int


@dataclass
class Call:
    """One call of a torch function.

    Attributes:
        function: The function.
        args, kwargs: Its arguments, with a `Ref` for every tensor.
        outputs: Numbers of the tensors that come out.
        is_single: Whether one tensor comes out, not a sequence.
        grad: Whether gradients were enabled.
        in_place: Whether the function changes a tensor that it is given.
    """

    function: object
    args: tuple
    kwargs: dict
    outputs: list
    is_single: bool
    grad: bool
    in_place: bool

    @property
    def name(self):
        return getattr(self.function, "__name__", "")

    def refs(self):
        """Numbers of the tensors among the arguments, in order."""
        return [leaf.index for leaf in leaves((self.args, self.kwargs)) if isinstance(leaf, Ref)]

    def renumbered(self, number):
        """The pair of `args` and `kwargs` with other tensors: `number` is a function from the
        number of each to another's."""
        return map_leaves(
            lambda leaf: Ref(number(leaf.index)) if isinstance(leaf, Ref) else leaf,
            (self.args, self.kwargs),
        )


@dataclass
class Kind:
    """What is known of a recorded tensor."""

    shape: tuple
    strides: tuple
    requires_grad: bool

    @classmethod
    def of(cls, tensor):
        return cls(tuple(tensor.shape), tensor.stride(), tensor.requires_grad)


def leaves(structure):
    """What stands in nested lists, tuples and dicts."""
    if isinstance(structure, dict):
        structure = structure.values()
    elif not isinstance(structure, (list, tuple)):
        return [structure]
    return [leaf for item in structure for leaf in leaves(item)]


def map_leaves(function, structure):
    """The same nested lists, tuples and dicts of other leaves."""
    if isinstance(structure, dict):
        return {key: map_leaves(function, value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)) and not isinstance(structure, torch.Size):
        return (tuple if isinstance(structure, tuple) else list)(
            map_leaves(function, item) for item in structure
        )
    return function(structure)


class Recorder(TorchFunctionMode):
    """Records the torch functions that are called within a `with` block, which run as usual.

    Args:
        inputs: List of the tensors that go in; their numbers are 0, 1, ...
        known: Other tensors that the model holds from call to call, such as its weights; their
            numbers follow.

    Attributes:
        calls: List of `Call`.
        kinds: List of `Kind`, one for each number.
        problem: Why the calls cannot be repeated; None if they can.
    """

    def __init__(self, inputs, known):
        super().__init__()
        self.calls, self.kinds, self.problem = [], [], None
        self._numbers = {}  # id of a tensor -> its number and a weak reference, as ids come again
        for tensor in [*inputs, *known]:
            self._number(tensor)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        grad = torch.is_grad_enabled()
        try:
            refs = None if self.problem else map_leaves(self._ref, (tuple(args), kwargs))
        except Unrecordable as problem:
            self.problem = f"{problem} in {function}"
        outputs = function(*args, **kwargs)
        if self.problem is None:
            try:
                self._record(function, refs, outputs, (args, kwargs), grad)
            except Unrecordable as problem:
                self.problem = f"{problem} in {function}"
        return outputs

    def number(self, tensor):
        """The number of a tensor that was recorded."""
        number, reference = self._numbers.get(id(tensor), (None, None))
        if number is None or reference() is not tensor:
            raise Unrecordable("a tensor of unknown origin")
        if tensor.requires_grad != self.kinds[number].requires_grad:
            raise Unrecordable("a gradient of its own")
        return number

    def _number(self, tensor):
        self._numbers[id(tensor)] = len(self.kinds), weakref.ref(tensor)
        self.kinds.append(Kind.of(tensor))
        return len(self.kinds) - 1

    def _ref(self, leaf):
        if isinstance(leaf, torch.Tensor):
            return Ref(self.number(leaf))
        if isinstance(leaf, slice):
            _check_plain([leaf.start, leaf.stop, leaf.step])
        elif not isinstance(leaf, torch.Size):
            _check_plain([leaf])
        return leaf

    def _record(self, function, refs, outputs, given, grad):
        name = getattr(function, "__name__", "")
        found = (
            outputs
            if isinstance(outputs, (list, tuple)) and not isinstance(outputs, torch.Size)
            else [outputs]
        )
        if any(word in name for word in REFUSED):
            raise Unrecordable("a random number or a changed tensor")
        if not found or not all(
            type(tensor) in (torch.Tensor, torch.nn.Parameter) for tensor in found
        ):
            if name not in STATIC and name != "__get__":
                raise Unrecordable("a result that is no tensor")
            return
        same = any(tensor is leaf for tensor in found for leaf in leaves(given))
        if same and name in CASTS:
            return  # to what the tensor is already
        call = Call(
            function,
            *refs,
            [],
            found is not outputs,
            grad,
            same or "out" in given[1] or name == "__setitem__",
        )
        call.outputs.extend(map(self._number, found))
        self.calls.append(call)


def _check_plain(values):
    for value in values:
        if not isinstance(value, PLAIN):
            raise Unrecordable(f"an argument of {type(value)}")
