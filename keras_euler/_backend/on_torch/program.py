"""Straight-line Python code of recorded torch functions, with what cancels left out.

A pass is a function from calls to calls that keep every bit of the results.
"""

from collections import Counter, defaultdict
from typing import Any

import torch

from keras_euler._backend.on_torch.recording import Call, Kind, Ref, map_leaves

PERMUTATIONS = {"permute", "movedim", "moveaxis", "transpose", "swapaxes"}
ELEMENTWISE = {"relu", "relu_", "add", "sub", "subtract", "mul", "multiply", "to"}
# Torch's Python functions around these check what the recorded call has been through.
BARE: dict[Any, Any] = {
    torch.nn.functional.relu: lambda x, inplace=False: (
        torch.relu_ if inplace else torch.relu,
        (x,),
        {},
    )
}


def bare_batch_norm(
    x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """The kernel behind `torch.nn.functional.batch_norm`, with its arguments."""
    return (
        torch.batch_norm,
        (x, weight, bias, mean, variance, training, momentum, eps, torch.backends.cudnn.enabled),
        {},
    )


BARE[torch.nn.functional.batch_norm] = bare_batch_norm


def without_permutations(calls, kinds, grad, results):
    """Leave out permutations of axes that cancel, also where element-wise functions stand between
    them.

    A tensor that comes out of a permutation is kept as another tensor, its base, and the order of
    the axes. An element-wise function of such tensors is called with the bases; where anything else
    takes one, it is permuted.

    Args:
        calls: List of `Call`.
        kinds: List of `Kind` by number, to which those of new tensors are added.
        grad: Whether gradients are enabled where the calls begin.
        results: Numbers of the tensors that the calls are made for.

    Returns:
        The pair of the calls and the numbers of the results.
    """
    places, views, kept = {}, {}, []  # places: number -> number of the base, order

    def new(kind):
        kinds.append(kind)
        return len(kinds) - 1

    def permuted(number, grad):
        base, order = places.get(number, (number, None))
        if order is None:
            return base
        # With gradients, a view that several calls share would add theirs up in another order.
        if grad or (base, order, grad) not in views:
            views[base, order, grad] = view = new(kinds[number])
            kept.append(
                Call(torch.Tensor.permute, (Ref(base), *order), {}, [view], True, grad, False)
            )
        return views[base, order, grad]

    for call in calls:
        numbers = call.refs()
        if (
            call.grad == grad
            and call.name in PERMUTATIONS
            and len(numbers) == 1
            and _has_one_layout(kinds[numbers[0]].shape)
        ):
            base, order = places.get(numbers[0], (numbers[0], None))
            axes = _axes(call, len(kinds[numbers[0]].shape))
            order = axes if order is None else tuple(order[axis] for axis in axes)
            places[call.outputs[0]] = base, None if order == tuple(sorted(order)) else order
            continue
        orders = {
            places[number][1] if number in places else None
            for number in numbers
            if kinds[number].shape
        }
        if (
            call.grad == grad
            and call.name in ELEMENTWISE
            and len(orders) == 1
            and (order := orders.pop())
        ):
            output = call.outputs[0]
            inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
            bases = call.renumbered(lambda number: places.get(number, (number,))[0])
            moved = Call(call.function, *bases, [], True, grad, call.in_place)
            if _strides(moved, kinds) == tuple(kinds[output].strides[axis] for axis in inverse):
                kind = kinds[output]
                shape = tuple(kind.shape[axis] for axis in inverse)
                moved.outputs.append(
                    new(
                        Kind(
                            shape, tuple(kind.strides[axis] for axis in inverse), kind.requires_grad
                        )
                    )
                )
                places[output] = moved.outputs[0], order
                kept.append(moved)
                continue
        given = call.renumbered(lambda number, grad=call.grad: permuted(number, grad))
        kept.append(
            Call(call.function, *given, call.outputs, call.is_single, call.grad, call.in_place)
        )
    results = [permuted(number, grad) for number in results]
    return kept, results


def _has_one_layout(shape):
    """Whether the strides tell the order of the axes. Those of images of one pixel do not, and
    gradients may take another."""
    return sum(size > 1 for size in shape[1:]) > 1 or len(shape) < 3


def _axes(call, rank):
    """The order of the axes that comes out of a permutation."""
    sample = torch.empty(tuple(range(rank)), device="meta")  # every axis has a size of its own
    return tuple(
        call.function(
            *(sample if isinstance(arg, Ref) else arg for arg in call.args), **call.kwargs
        ).shape
    )


def _strides(call, kinds):
    """The strides of what comes out of a call of an element-wise function."""

    def sample(leaf):
        if not isinstance(leaf, Ref):
            return (
                torch.float32
                if isinstance(leaf, torch.dtype)
                else "meta"
                if isinstance(leaf, (str, torch.device))
                else leaf
            )
        return torch.empty_strided(
            kinds[leaf.index].shape, kinds[leaf.index].strides, device="meta"
        )

    args, kwargs = map_leaves(sample, (call.args, call.kwargs))
    return call.function(*args, **kwargs).stride()


def with_joined_statistics(calls, kinds):
    """Join the updates `s.copy_(s * a + new * c * b)` of moving statistics, each alone in using
    `s`, to a few calls at the end."""
    uses = Counter(number for call in calls for number in call.refs())
    makers = {number: call for call in calls for number in call.outputs}
    groups, gone = defaultdict(list), set()

    def scaled(number):
        """The pair of a tensor and the factor of which this number, used once, is the product."""
        call = makers.get(number)
        if (
            call is None
            or uses[number] > 1
            or call.name not in ("mul", "multiply")
            or len(call.args) != 2
            or call.kwargs
        ):
            return None
        tensor, factor = call.args
        return (
            (call, tensor.index, factor)
            if isinstance(tensor, Ref) and isinstance(factor, float)
            else None
        )

    for position, call in enumerate(calls):
        if call.name != "copy_" or not (
            len(call.args) == 2 and all(isinstance(arg, Ref) for arg in call.args)
        ):
            continue
        statistic, total = (arg.index for arg in call.args)
        add = makers.get(total)
        if (
            add is None
            or add.name != "add"
            or uses[total] > 1
            or len(add.refs()) != 2
            or len(add.args) != 2
            or add.kwargs
        ):
            continue
        old, new = map(scaled, add.refs())
        if (
            not (old and new)
            or old[1] != statistic
            or uses[statistic] != 2
            or uses[call.outputs[0]]
        ):
            continue
        found, factors = [call, add, old[0], new[0]], [new[2]]
        before = scaled(new[1])
        if before:
            found.append(before[0])
            factors.insert(0, before[2])
            new = before
        later = {number for one in calls[position:] for number in one.refs()}
        same = {
            (kinds[number].shape, kinds[number].requires_grad) for number in (statistic, new[1])
        }
        if new[1] in later or len(same) != 1 or kinds[statistic].requires_grad:
            continue
        groups[(old[2], *factors)].append((Ref(statistic), Ref(new[1])))
        gone.update(map(id, found))
    kept = [call for call in calls if id(call) not in gone]
    for (decay, *factors), pairs in groups.items():
        statistics, new = map(list, zip(*pairs, strict=True))
        for factor in factors:
            numbers = range(len(kinds), len(kinds) + len(new))
            kinds.extend(kinds[ref.index] for ref in new)
            kept.append(
                Call(torch._foreach_mul, (new, factor), {}, list(numbers), False, False, False)
            )
            new = list(map(Ref, numbers))
        kept.append(Call(torch._foreach_mul_, (statistics, decay), {}, [], False, False, True))
        kept.append(Call(torch._foreach_add_, (statistics, new), {}, [], False, False, True))
    return kept


def compiled(calls, num_inputs, held, results, grad):
    """A Python function of these calls.

    Args:
        calls: List of `Call`.
        num_inputs: How many tensors go in.
        held: Dict of number -> tensor for those that the model holds.
        results: Numbers of the tensors that come out.
        grad: Whether gradients are enabled where the function is called.

    Returns:
        Function of `num_inputs` tensors that returns the list of the results.
    """
    namespace, names = {"enable": torch.enable_grad, "disable": torch.no_grad}, {}
    last = {
        number: position
        for position, call in enumerate(calls)
        for number in [*call.refs(), *call.outputs]
    }

    def name(value):
        key = id(value)
        if key not in names:
            names[key] = f"c{len(names)}"
            namespace[names[key]] = value
        return names[key]

    def text(leaf):
        if isinstance(leaf, dict):
            return "{" + ", ".join(f"{key!r}: {text(value)}" for key, value in leaf.items()) + "}"
        if isinstance(leaf, (list, tuple)) and not isinstance(leaf, torch.Size):
            items = "".join(f"{text(item)}, " for item in leaf)
            return f"[{items}]" if isinstance(leaf, list) else f"({items})"
        if isinstance(leaf, Ref):
            return name(held[leaf.index]) if leaf.index in held else f"t{leaf.index}"
        return repr(leaf) if leaf is None or isinstance(leaf, (bool, int, str)) else name(leaf)

    lines = [f"def program({', '.join(f't{number}' for number in range(num_inputs))}):", " pass"]
    for position, call in enumerate(calls):
        function, args, kwargs = call.function, call.args, call.kwargs
        if function in BARE:
            function, args, kwargs = BARE[function](*args, **kwargs)
        given = ", ".join(
            [*map(text, args), *(f"{key}={text(value)}" for key, value in kwargs.items())]
        )
        outputs = "".join(f"t{number}, " for number in call.outputs)
        outputs = outputs.removesuffix(", ") if call.is_single else outputs
        line = f"{outputs}{' = ' * bool(outputs)}{name(function)}({given})"
        if call.grad != grad:
            line = f"with {'enable' if call.grad else 'disable'}(): {line}"
        lines.append(f" {line}")
        numbers = {*call.refs(), *call.outputs} - {*results, *held}
        free = sorted(f"t{number}" for number in numbers if last[number] == position)
        if free:
            lines.append(f" del {', '.join(free)}")
    lines.append(f" return [{', '.join(text(Ref(number)) for number in results)}]")
    exec(compile("\n".join(lines), "<traced program>", "exec"), namespace)
    return namespace["program"]


def make_program(recorder, num_inputs, held, results, grad):
    """The function of `compiled` for what was recorded; see there."""
    kinds = list(recorder.kinds)
    calls, results = without_permutations(recorder.calls, kinds, grad, results)
    return compiled(with_joined_statistics(calls, kinds), num_inputs, held, results, grad)
