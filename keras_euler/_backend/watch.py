"""What a model's calls depend on, compared with what it was. Imported on torch alone."""

from operator import attrgetter, is_, itemgetter

import keras
import torch
from torch.nn.modules import module as modules

from keras_euler._backend.keras_private import all_layers

# Of the attributes that every layer has, those that its calls depend on.
OF_ALL = ("_dtype_policy", "_trainable", "_layers", "_trainable_variables", "_non_trainable_variables", "activity_regularizer")
OF_ALL += ("autocast", "_remat_mode")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
OF_MODELS = ("_operations", "_functional", "_outputs_struct")
KNOWN = ("keras", "keras_euler", "torch")  # packages
UNKNOWN = (keras.layers.Lambda, keras.layers.TorchModuleWrapper)
CONTAINERS = (list, dict, set)


class Watch:
    """The layers of a model at one moment.

    Args:
        model: The model.

    Attributes:
        problem: The name of a layer or function whose calls may depend on anything; None if there is none.
        tensors: The tensors that the layers hold, as weights or attributes.
    """

    def __init__(self, model):
        ordinary = frozenset(vars(keras.layers.Layer()))
        layers = all_layers(model)
        self.problem, self.tensors = None, []
        self._attributes, self._values, self._containers, self._sizes = [], [], [], []
        self._hooks = [getattr(layer, name) for layer in layers for name in HOOKS]
        self._dicts = [vars(layer) for layer in layers if not isinstance(layer, keras.Model)]
        self._variables = {}
        for layer in layers:
            names = OF_MODELS if isinstance(layer, keras.Model) else vars(layer).keys() - ordinary
            self._add(layer, [name for name in (*names, *OF_ALL) if name in vars(layer)])
        for operation in [operation for layer in layers for operation in getattr(layer, "operations", ())]:
            self._check(operation, type(operation))
        self._variables = list(self._variables.values())
        weights = [variable._value for variable in self._variables]
        self._weights = weights, list(map(torch.Tensor.data_ptr, weights))
        self._sizes = list(map(len, self._dicts))
        self.tensors += weights

    def _add(self, layer, names):
        if not isinstance(layer, keras.Model):
            self._check(layer, type(layer))
        get = itemgetter(*names)
        values = get(vars(layer))
        self._attributes.append((get, vars(layer)))
        self._values.append(values)
        for value in values:
            if isinstance(value, CONTAINERS):
                self._containers.append((value, value.copy()))
            elif isinstance(value, torch.Tensor):
                self.tensors.append(value)
            elif callable(value) and not isinstance(value, (keras.layers.Layer, type)):
                self._check(value, value if hasattr(value, "__qualname__") else type(value))
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            self._variables[id(variable)] = variable
        if layer._losses:
            self.problem = layer.name

    def _check(self, value, kind):
        if isinstance(value, UNKNOWN) or kind.__module__.partition(".")[0] not in KNOWN:
            self.problem = getattr(value, "name", str(value))

    def has_hooks(self):
        """Whether a layer, or torch for all of them, has hooks."""
        return any(self._hooks) or modules._has_any_global_hook()

    def holds(self):
        """Whether everything is as it was."""
        weights, addresses = self._weights
        try:
            return (
                all(map(is_, map(attrgetter("_value"), self._variables), weights))
                and list(map(torch.Tensor.data_ptr, weights)) == addresses
                and [get(attributes) for get, attributes in self._attributes] == self._values
                and list(map(len, self._dicts)) == self._sizes
                and all([container == copy for container, copy in self._containers])
            )
        except Exception:  # an attribute that is gone, or has no truth value when compared
            return False
