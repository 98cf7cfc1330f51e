"""Types that annotations share. Keras and its backends have no types that a checker can use; it
takes theirs for `Any`."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import NDArray

Array = NDArray[Any]
Tensor = Any  # of the backend, or symbolic
Shape = tuple[Any, ...]  # of integers, None where a size is unknown
Config = dict[str, Any]
PathLike = str | os.PathLike[str]
Texts = Sequence[str] | Array
Splits = tuple[tuple[Array, Array], tuple[Array, Array]]  # (x_train, y_train), (x_test, y_test)

PerBlock = float | Sequence[float] | Array
StepFactor = PerBlock | str
LayerOrLayers = keras.layers.Layer | Sequence[keras.layers.Layer]
Activation = str | Callable[[Any], Any] | None
Initializer = str | keras.initializers.Initializer | None
Loss = str | Callable[[Any, Any], Any] | None
DType = str | keras.DTypePolicy | None
Mixin: Any = object  # base of a class that uses attributes of the class it is mixed into
