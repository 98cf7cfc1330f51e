"""Where arrays enter a model: a compiled step can neither read strings nor refuse a bad id."""

import functools
import inspect

import numpy as np

METHODS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")


def prepares_arrays(cls):
    """Class decorator: what a user hands to the model passes `prepare_inputs`, and labels are checked.

    `prepare_inputs(x)` gets an array, a list or a string, and returns what the network takes or raises; it may come alone, in a
    list of one or in a dict. Tensors, data sets and generators pass as they are. Labels, one number per example, must be in
    `0..num_classes - 1` where the model has `num_classes` >= 2.
    """
    for name in METHODS:
        setattr(cls, name, _entering(getattr(cls, name)))
    call = cls.__call__

    @functools.wraps(call)
    def checked_call(self, *args, **kwargs):
        if args:
            args = (_prepared(self, args[0]), *args[1:])
        elif "inputs" in kwargs:
            kwargs["inputs"] = _prepared(self, kwargs["inputs"])
        return call(self, *args, **kwargs)

    cls.__call__ = checked_call
    return cls


def _entering(method):
    signature = inspect.signature(method)

    @functools.wraps(method)
    def entering(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        model, given = args[0], bound.arguments
        if "x" in given:
            given["x"] = _prepared(model, given["x"])
        if "y" in given:
            given["y"] = _checked_labels(model, given["y"])
        if isinstance(given.get("validation_data"), (tuple, list)):
            x, *rest = given["validation_data"]
            rest[:1] = [_checked_labels(model, labels) for labels in rest[:1]]
            given["validation_data"] = (_prepared(model, x), *rest)
        return method(*bound.args, **bound.kwargs)

    return entering


def _prepared(model, x):
    if isinstance(x, dict) and len(x) == 1:
        return _prepared(model, next(iter(x.values())))
    if isinstance(x, (list, tuple)) and len(x) == 1 and hasattr(x[0], "shape"):  # the list of all inputs
        return _prepared(model, x[0])
    if hasattr(x, "to_numpy"):  # a column of pandas
        x = x.to_numpy()
    if not isinstance(x, (np.ndarray, list, tuple, str)):
        return x
    x = model.prepare_inputs(x)
    if not len(x):
        raise ValueError("There must be at least one example. Received: none.")
    return x


def _checked_labels(model, labels):
    num_classes = getattr(model, "num_classes", None) or 0
    if not isinstance(labels, (np.ndarray, list)) or num_classes < 2:
        return labels
    labels = np.asarray(labels)
    is_sparse = labels.dtype.kind in "iuf" and (labels.ndim == 1 or labels.shape[1:] == (1,))
    if is_sparse and labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(f"Labels must be in 0..{num_classes - 1}. Received: {labels.min()}..{labels.max()}.")
    return labels
