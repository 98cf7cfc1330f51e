"""Layers by their variables: which there are, and which a user means."""

import difflib
import fnmatch
import math
import numbers

import keras

from keras_euler._backend import inner_layers

# Other columns of the logs.
RESERVED = ("iteration", "epoch", "total")


class Layers:
    """The layers of a model that own some of its variables.

    A layer's name is its own after those of the layers around it, with `/` between (`stage1_block1/conv1`); models within
    models add nothing to it. (A variable's `path` says almost the same, but loading a model changes it.) A name that comes
    again gets `#2`.

    Args:
        model: A built Keras model.
        variables: List of its variables.
        wanted: None for all layers; or a list, or one, of: a name (`"stage1_block1/conv1"`), a pattern with `*`, `?` or `[...]`
            (`"stage1_*/conv1"`), or an integer: the position, from 1, among the layers with a kernel (a variable of two or
            more axes).

    Attributes:
        names: Names of the chosen layers, in the order of the variables.

    Raises:
        ValueError: There is no such layer.
        TypeError: `wanted` is something else.
    """

    def __init__(self, model, variables, wanted=None):
        owner_of = _owners(model)
        owners, with_kernel, names = {}, [], {}
        for index, variable in enumerate(variables):
            owner = name, _ = owner_of[id(variable)]
            if owner not in names:
                repeats = sum(other.partition("#")[0] == name for other in (*RESERVED, *names.values()))
                names[owner] = f"{name}#{repeats + 1}" if repeats else name
            name = names[owner]
            owners.setdefault(name, []).append(index)
            if len(variable.shape) >= 2 and name not in with_kernel:
                with_kernel.append(name)
        if wanted is None:
            chosen = set(owners)
        else:
            wanted = [wanted] if isinstance(wanted, (str, numbers.Integral)) else wanted
            if not isinstance(wanted, (list, tuple)) or not wanted:
                raise TypeError(f"`layers` must be None or a list of names and positions. Received: layers={wanted!r}.")
            chosen = {name for item in wanted for name in _matching(item, list(owners), with_kernel)}
        self.names = [name for name in owners if name in chosen]
        self._indices = [owners[name] for name in self.names]

    def norms(self, norms):
        """L2 norms of the chosen layers and of all variables together.

        Args:
            norms: Those of the variables, one number each.

        Returns:
            List of floats, one per name, and the total.
        """
        norms = [float(norm) for norm in norms]
        return [math.hypot(*(norms[i] for i in indices)) for indices in self._indices] + [math.hypot(*norms)]


def _owners(layer, prefix=""):
    """`{id of a variable: (name, id) of the layer that owns it}`."""
    owners = {id(variable): (prefix or variable.name, id(layer)) for variable in layer.variables}
    for part in inner_layers(layer):
        name = prefix if isinstance(part, keras.Model) else f"{prefix}/{part.name}".removeprefix("/")
        owners |= _owners(part, name)
    return owners


def _matching(item, names, with_kernel):
    if isinstance(item, bool) or not isinstance(item, (str, numbers.Integral)):
        raise TypeError(f"`layers` must hold names, patterns or positions. Received: {item!r}.")
    if isinstance(item, numbers.Integral):
        if not 1 <= item <= len(with_kernel):
            raise ValueError(f"`layers`: positions count the {len(with_kernel)} layers with a kernel from 1. Received: {item}.")
        return [with_kernel[item - 1]]
    matching = [item] if item in names else fnmatch.filter(names, item)
    if not matching:
        similar = difflib.get_close_matches(item, names, 3, 0.4) or names[:3]
        raise ValueError(
            f"`layers`: no layer with trainable variables matches {item!r}. There are {len(names)}, such as {', '.join(similar)}."
        )
    return matching
