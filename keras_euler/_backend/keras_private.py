"""Functions that need private names of Keras, each with the reason and a public fallback."""

import contextlib
import functools
import operator

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


# Whether layers are called with tensors that have values and state, outside symbolic, stateless and
# rematerialized calls, the dtype to which variables are cast, and whether layers are made that are
# computed again in the backward pass. The fallbacks say no.
try:
    from keras.src.backend import get_autocast_scope
    from keras.src.backend.common.remat import get_current_remat_mode
    from keras.src.backend.common.stateless_scope import in_stateless_scope
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope

    def is_plain_call():
        return not (in_symbolic_scope() or in_stateless_scope() or get_current_remat_mode())

    def is_rematerialized():
        mode = get_current_remat_mode()
        return mode is not None and mode.mode == "full"

    def autocast_dtype():
        scope = get_autocast_scope()
        return None if scope is None else scope.dtype
except ImportError:

    def is_plain_call():
        return False

    def is_rematerialized():
        return False


# The cast of variables to the dtype of the layer that is called, None without one, and the state of
# Keras' global random numbers. The fallbacks change no cast, and know no numbers.
try:
    from keras.src.backend.common.global_state import get_global_attribute, set_global_attribute

    def current_cast():
        return get_global_attribute("autocast_scope")

    @contextlib.contextmanager
    def casting(cast=None):
        before = current_cast()
        set_global_attribute("autocast_scope", cast)
        try:
            yield
        finally:
            set_global_attribute("autocast_scope", before)

    def global_seed():
        generator = get_global_attribute("global_seed_generator")
        return [] if generator is None else [generator.state]
except ImportError:

    def current_cast():
        return None

    def casting(cast=None):
        return contextlib.nullcontext()

    def global_seed():
        return []


# Attributes of a layer of torch and of a variable, read at each call of a layer. `kernel` and
# `value`, the public ones, take several times as long.
KERNEL, TRAINABLE, MASK = "_kernel", "_trainable", "_keras_mask"
value_of = operator.attrgetter("_value")


def takes_training(layer):
    """Return whether the `call` of a layer or operation has an argument `training`."""
    return getattr(layer, "_call_has_training_arg", False)


def batches_seen(optimizer):
    """Return the variable that counts the batches of an optimizer, also where gradients accumulate;
    the public `iterations` counts updates."""
    return optimizer._iterations


def averages_of(optimizer):
    """Return the averages of the weights, which `keras.callbacks.SwapEMAWeights` looks for."""
    return optimizer._model_variables_moving_average


def policy_of(layer):
    """Return the dtype policy of a layer of torch; None if calling it does more than its `call`."""
    values = layer.__dict__
    if (
        values["_remat_mode"]
        or values["activity_regularizer"]
        or values["_forward_hooks"]
        or values["_forward_pre_hooks"]
        or values["_backward_hooks"]
        or values["_backward_pre_hooks"]
        or not values["built"]
        or "call" in values
    ):
        return None
    return values["_dtype_policy"]


def _are_defaults(kwargs):
    """Return whether keywords of a call say nothing: only None, and not for `training`."""
    return not kwargs or ("training" not in kwargs and all(v is None for v in kwargs.values()))


def run_graph(model, inputs, call, training):
    """Run the graph of a functional model with `call(operation, *args, **kwargs)` for each call.

    It does what Keras' own functional models do, and forgets each tensor after its last use. A
    `training` that is not None comes before that of the graph.
    """
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    last = {id(x): i for i, node in enumerate(nodes) for x in node.input_tensors}
    last.update(dict.fromkeys(map(id, model.outputs), len(nodes)))
    tensors = dict(zip(map(id, model.inputs), model._standardize_inputs(inputs), strict=True))
    for i, node in enumerate(nodes):
        if node.is_input:
            continue
        given = node.arguments
        if len(node.input_tensors) == len(given.args) == 1 and _are_defaults(given.kwargs):
            x = node.input_tensors[0]  # faster than the general case
            args, kwargs = (tensors[id(x)] if given.args[0] is x else [tensors[id(x)]],), {}
        else:
            args, kwargs = given.fill_in(tensors)
            if training is not None and "training" in kwargs:
                kwargs = {name: value for name, value in kwargs.items() if name != "training"}
        for x in node.input_tensors:
            if last[id(x)] == i:
                tensors.pop(id(x), None)
        outputs = call(node.operation, *args, **kwargs)
        del args, kwargs
        if last.get(id(node.outputs[0])) == len(nodes):
            # Gradients with respect to an output of the model pass through the tensor itself.
            getattr(outputs, "__dict__", {}).pop("_images", None)
        if len(node.outputs) == 1 and not isinstance(outputs, (list, tuple, dict)):
            tensors[id(node.outputs[0])] = outputs
        else:
            tensors.update(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))
    outputs = [tensors[id(x)] for x in model.outputs]
    if model.output is model.outputs[0]:
        return outputs[0]
    outputs = keras.tree.pack_sequence_as(model.output, outputs)
    return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs


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
