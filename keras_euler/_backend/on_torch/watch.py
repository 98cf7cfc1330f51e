"""What a model's calls depend on, compared with what it was."""

from operator import attrgetter, is_, itemgetter

import keras
import torch
from torch.nn.modules import module as modules

from keras_euler._backend.keras_private import all_layers

# Of the attributes that every layer has, those that its calls depend on.
OF_ALL = ("_dtype_policy", "_trainable", "_remat_mode", "activity_regularizer", "autocast")
OF_MODELS = ("_operations", "_functional", "_outputs_struct")
NOT_OF_CALLS = ("_initializer", "_regularizer", "_constraint")  # ends of names
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
KNOWN = ("keras", "keras_euler", "torch")  # packages
UNKNOWN = (keras.layers.Lambda, keras.layers.TorchModuleWrapper)


class Unchanged:
    """Lists, dicts and sets at one moment.

    Args:
        containers: List of them.
    """

    def __init__(self, containers):
        self._containers = list(containers)
        self._copies = [container.copy() for container in containers]

    def holds(self):
        """Whether they have the same items still."""
        try:
            return self._containers == self._copies
        # another variable in the place of one: the comparison of their values has no truth value
        except Exception:
            return False


class Structure(Unchanged):
    """Which layers and variables a model has at one moment.

    Args:
        model: The model.
        weights: Its weights.

    Attributes:
        layers: The model and all layers within it.
        variables: List of their variables.
        weights: As given.
    """

    def __init__(self, model, weights):
        self.layers, self.weights = all_layers(model), weights
        owned = [
            (layer._trainable_variables, layer._non_trainable_variables) for layer in self.layers
        ]
        self.variables = list(
            {id(v): v for lists in owned for variables in lists for v in variables}.values()
        )
        super().__init__(
            [
                *(layer._layers for layer in self.layers),
                *(variables for lists in owned for variables in lists),
            ]
        )

    def tensors(self):
        """The tensors of the variables."""
        return map(attrgetter("_value"), self.variables)

    def has_losses(self):
        """Whether a layer has losses of its own, or a variable a regularizer."""
        of_layers = any(
            any(map(attrgetter(name), self.layers))
            for name in ("_losses", "_loss_ids", "_losses_override")
        )
        return of_layers or any(variable.regularizer is not None for variable in self.variables)

    def parameters(self):
        """The tensors that torch knows as parameters of the layers and Keras doesn't: those
        assigned to attributes."""
        return (
            tensor
            for layer in self.layers
            for tensor in layer._parameters.values()
            if tensor is not None
        )


class Watch:
    """The layers of a model at one moment: attributes, weights and hooks.

    Args:
        structure: The `Structure` of the model.

    Attributes:
        problem: The name of a layer or function whose calls may depend on anything; None if there
            is none.
        tensors: The tensors that the layers hold, as weights or attributes.
    """

    def __init__(self, structure):
        ordinary = frozenset(vars(keras.layers.Layer()))
        self.problem, containers, attributes = None, [], []
        self._structure = structure
        self._hooks = [getattr(layer, name) for layer in structure.layers for name in HOOKS]
        self._weights = list(structure.tensors())
        self._addresses = list(map(torch.Tensor.data_ptr, self._weights))
        self.tensors = list(self._weights)
        for layer in structure.layers:
            is_model = isinstance(layer, keras.Model)
            names = (
                OF_MODELS
                if is_model
                else [
                    name
                    for name in vars(layer).keys() - ordinary
                    if not name.endswith(NOT_OF_CALLS)
                ]
            )
            get = itemgetter(*(name for name in (*names, *OF_ALL) if name in vars(layer)))
            values = get(vars(layer))
            attributes.append((get, vars(layer), values))
            self._check(*values, *(() if is_model else (layer,)), *getattr(layer, "operations", ()))
            containers += [value for value in values if isinstance(value, (list, dict, set))]
            self.tensors += [value for value in values if isinstance(value, torch.Tensor)]
            if (
                is_model and layer is not structure.layers[0]
            ):  # a user's class may have a call of its own
                self._check(type(layer).call, *([layer.call] * ("call" in vars(layer))))
            if layer.activity_regularizer is not None:  # it adds to the model's losses
                self.problem = layer.name
        self._lists = Unchanged(containers)
        self._attributes = [(get, owner) for get, owner, _ in attributes]
        self._values = [values for *_, values in attributes]
        self._dicts = [
            vars(layer) for layer in structure.layers if not isinstance(layer, keras.Model)
        ]
        self._sizes = list(map(len, self._dicts))

    def _check(self, *values):
        """Note those that run code of packages unknown."""
        for value in values:
            if callable(value) and not isinstance(value, keras.Model):
                package = (
                    value if hasattr(value, "__qualname__") else type(value)
                ).__module__.partition(".")[0]
                if isinstance(value, UNKNOWN) or package not in KNOWN:
                    self.problem = getattr(value, "name", str(value))

    def has_hooks(self):
        """Whether a layer, or torch for all of them, has hooks."""
        return any(self._hooks) or modules._has_any_global_hook()

    def holds(self):
        """Whether everything is as it was."""
        try:
            return (
                self._structure.holds()
                and all(map(is_, self._structure.tensors(), self._weights))
                and list(map(torch.Tensor.data_ptr, self._weights)) == self._addresses
                and [get(owner) for get, owner in self._attributes] == self._values
                and list(map(len, self._dicts)) == self._sizes
                and self._lists.holds()
            )
        except Exception:  # an attribute that is gone, or has no truth value when compared
            return False
