"""Layers by their variables: which there are, and which a user means."""

import difflib
import fnmatch
import math
import numbers


class Layers:
    """The layers that own some variables, by name: what stands before the last "/" of a variable's path.

    Args:
        paths: Paths of the variables, such as `stage1_block1/conv1/kernel`.
        shapes: Their shapes.
        wanted: Which layers: None for all; or a list, or one, of: a name (`"stage1_block1/conv1"`), a pattern with `*`, `?` or
            `[...]` (`"stage1_*/conv1"`), or an integer: the position, from 1, among the layers with a kernel (a variable of two axes or more).

    Attributes:
        names: Names of the chosen layers, in the order of the variables.

    Raises:
        ValueError: There is no such layer.
        TypeError: `wanted` is something else.
    """

    def __init__(self, paths, shapes, wanted=None):
        owners, with_kernel, seen = {}, [], set()
        for index, (path, shape) in enumerate(zip(paths, shapes, strict=True)):
            name = path.rpartition("/")[0] or path
            number = 1
            while (path, number) in seen:  # two nested models may hold layers of the same name
                number += 1
            seen.add((path, number))
            name = name if number == 1 else f"{name}#{number}"
            owners.setdefault(name, []).append(index)
            if len(shape) >= 2 and name not in with_kernel:
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


def _matching(item, names, with_kernel):
    if isinstance(item, bool) or not isinstance(item, (str, numbers.Integral)):
        raise TypeError(f"`layers` must hold names, patterns or positions. Received: {item!r}.")
    if isinstance(item, numbers.Integral):
        if not 1 <= item <= len(with_kernel):
            raise ValueError(
                f"`layers`: positions count the {len(with_kernel)} layers with a kernel from 1. Received: {item}."
            )
        return [with_kernel[item - 1]]
    matching = [item] if item in names else fnmatch.filter(names, item)
    if not matching:
        similar = difflib.get_close_matches(item, names, 3, 0.4) or names[:3]
        raise ValueError(
            f"`layers`: no layer with trainable variables matches {item!r}. There are {len(names)}, such as {', '.join(similar)}."
        )
    return matching
