"""The part that optimizers around another one have in common."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import keras

from keras_euler._backend import averages_of
from keras_euler._types import Config, Tensor


class OuterOptimizer(keras.optimizers.Optimizer):
    """Base class of optimizers that train with another one, the inner optimizer.

    Keras and its callbacks read and set learning rate, `iterations`, loss scale and weight averages
    on the outer optimizer; all of them belong to the inner one.

    Args:
        inner_optimizer: The Keras optimizer that trains, or its name.
        name: Name of the optimizer.
        paths: Names of the variables. Default: their paths when the optimizer is built. A saved
            optimizer keeps them, because Keras drops the name of a model from paths when a file is
            loaded.

    Raises:
        TypeError: `inner_optimizer` is not an optimizer.
        ValueError: `inner_optimizer` is a `LossScaleOptimizer` or of the same class.
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer | str,
        name: str | None = None,
        paths: Sequence[str] | None = None,
    ) -> None:
        inner_optimizer = keras.optimizers.get(inner_optimizer)
        if inner_optimizer is None:
            raise TypeError(
                "`inner_optimizer` must be a Keras optimizer or its name. Received: None."
            )
        if isinstance(inner_optimizer, (keras.optimizers.LossScaleOptimizer, type(self))):
            raise ValueError(
                "`inner_optimizer` must be the optimizer that trains, without loss scaling around "
                f"it and no other {type(self).__name__}. Received: "
                f"{type(inner_optimizer).__name__}. Use "
                f"LossScaleOptimizer({type(self).__name__}(optimizer)), which `compile` also makes "
                "under mixed_float16."
            )
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self._paths = tuple(paths or ())

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the variables of the inner optimizer."""
        self._name(variables)
        self.inner_optimizer.build(variables)
        super().build(variables)

    def _name(self, variables: list[keras.Variable]) -> None:
        """Name the variables by their paths, unless a saved optimizer has their names."""
        if len(self._paths) != len(variables):
            self._paths = tuple(variable.path for variable in variables)

    def apply(
        self, grads: Iterable[Tensor], trainable_variables: Iterable[keras.Variable] | None = None
    ) -> None:
        """Update the variables with their gradients. Variables are needed unless the optimizer is
        built."""
        grads = list(grads)
        if not grads:
            return
        variables = None if trainable_variables is None else list(trainable_variables)
        if variables is not None and not self.built:
            with keras.name_scope(self.name):
                self.build(variables)
        if self.built:  # else the inner optimizer says what is missing
            self._record(grads, variables or self._trainable_variables)
        self.inner_optimizer.apply(grads, variables)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor, keras.Variable]]) -> Any:
        """Update variables with their gradients, given as pairs; return the number of
        iterations."""
        super().apply_gradients(grads_and_vars)
        return self.iterations

    def _record(self, grads: Sequence[Tensor], variables: list[keras.Variable]) -> None:
        """What is done with the gradients before they are applied."""

    def exclude_from_weight_decay(
        self, var_list: list[keras.Variable] | None = None, var_names: list[str] | None = None
    ) -> None:
        """Exclude variables from the weight decay of the inner optimizer."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    @property
    def variables(self) -> list[keras.Variable]:
        return self._variables + self.inner_optimizer.variables

    @property
    def iterations(self) -> keras.Variable:
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def loss_scale_factor(self) -> float | None:
        return self.inner_optimizer.loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, factor: float | None) -> None:  # LossScaleOptimizer sets None
        # It is missing while the constructor of the base class runs.
        if hasattr(self, "inner_optimizer"):
            self.inner_optimizer.loss_scale_factor = factor

    @property  # for keras.callbacks.SwapEMAWeights
    def _model_variables_moving_average(self) -> list[keras.Variable]:
        return averages_of(self.inner_optimizer)

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> Config:
        return {
            "inner_optimizer": keras.optimizers.serialize(self.inner_optimizer),
            "name": self.name,
            "paths": list(self._paths) or None,
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> Self:
        config = dict(config)
        # Keras' `optimizers.deserialize` does not know Lamb.
        inner_optimizer = keras.saving.deserialize_keras_object(
            config.pop("inner_optimizer"), custom_objects
        )
        return cls(inner_optimizer, **config)
