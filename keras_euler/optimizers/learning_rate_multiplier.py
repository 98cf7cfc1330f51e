"""An optimizer with other learning rates for some variables."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence

import keras

from keras_euler._backend import group_updates
from keras_euler._checks import check_number
from keras_euler._types import Config, Tensor
from keras_euler.optimizers.outer_optimizer import OuterOptimizer


@keras.saving.register_keras_serializable(package="keras_euler")
class LearningRateMultiplier(OuterOptimizer):
    """Train with another optimizer, whose learning rate is multiplied for some variables.

    A variable whose path matches a pattern has the rate `multiplier * learning_rate`, all others
    have `learning_rate`. Schedules, callbacks, clipping, averages and weight decay are those of the
    inner optimizer; the weight decay takes the rate without the multiplier.
    `GradientRecorder(LearningRateMultiplier(optimizer, ...))` records too.

    Args:
        inner_optimizer: The Keras optimizer that trains, or its name; one that updates each
            variable by itself, which all but Nadam do.
        multipliers: Dict of pattern -> finite number >= 0. A pattern is the end of the path of a
            trainable variable, such as `"stage1_block1/conv1/kernel"` or `"kernel"`, with the
            wildcards of `fnmatch`: `*` stands for any characters, a leading `*/` also for nothing.
            The first pattern that matches counts.
        name, paths: As for `OuterOptimizer`.

    Raises:
        TypeError: `inner_optimizer` is not an optimizer, or `multipliers` is not a dict of strings
            to numbers.
        ValueError: `inner_optimizer` is Nadam or an optimizer around others; a multiplier is
            negative or not finite; at build, a pattern matches no trainable variable.
        NotImplementedError: This version of Keras updates variables in a way that leaves no room
            for multipliers.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros", name="dense")]
    ... )
    >>> model.compile(
    ...     LearningRateMultiplier(keras.optimizers.SGD(0.25), {"*/bias": 2.0}), loss="mse"
    ... )
    >>> history = model.fit(
    ...     np.array([[1.0]]), np.array([[1.0]]), verbose=0
    ... )  # both gradients are -2
    >>> [keras.ops.convert_to_numpy(weight).tolist() for weight in model.weights]
    [[[0.5]], [1.0]]
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer | str,
        multipliers: Mapping[str, float],
        name: str | None = None,
        paths: Sequence[str] | None = None,
    ) -> None:
        super().__init__(inner_optimizer, name, paths)
        is_outer = type(self.inner_optimizer).apply is not keras.optimizers.Optimizer.apply
        if is_outer or isinstance(self.inner_optimizer, keras.optimizers.Nadam):
            raise ValueError(
                "`inner_optimizer` must be an optimizer that updates each variable by itself, such "
                "as SGD or Adam: not Nadam, and none around other optimizers. Received: "
                f"{type(self.inner_optimizer).__name__}."
            )
        if not isinstance(multipliers, Mapping) or not all(
            isinstance(pattern, str) for pattern in multipliers
        ):
            raise TypeError(
                "`multipliers` must be a dict of pattern -> number. Received: "
                f"multipliers={multipliers!r}."
            )
        self.multipliers = {
            pattern: check_number(f"multipliers[{pattern!r}]", factor, 0)
            for pattern, factor in multipliers.items()
        }
        group_updates(self.inner_optimizer, self._groups)

    def build(self, variables: list[keras.Variable]) -> None:
        """Find the multiplier of each variable."""
        self._name(variables)
        for pattern in self.multipliers:
            if not any(_matches(path, pattern) for path in self._paths):
                shown = ", ".join(self._paths[:3]) + (", ..." if len(self._paths) > 3 else "")
                raise ValueError(
                    f"`multipliers` must match paths of variables: {shown}. Received: {pattern!r}, "
                    "which matches none."
                )
        factors = [
            next((f for pattern, f in self.multipliers.items() if _matches(path, pattern)), 1.0)
            for path in self._paths
        ]
        keys = map(self._var_key, variables)
        self._multiplier_of = dict(zip(keys, factors, strict=True))
        super().build(variables)

    def _groups(
        self, grads: list[Tensor], variables: list[keras.Variable], learning_rate: Tensor
    ) -> Iterator[tuple[list[Tensor], list[keras.Variable], Tensor]]:
        factors = [self._multiplier_of[self._var_key(variable)] for variable in variables]
        for factor in dict.fromkeys(factors):
            rows = [i for i, other in enumerate(factors) if other == factor]
            rate = learning_rate if factor == 1 else learning_rate * factor
            yield [grads[i] for i in rows], [variables[i] for i in rows], rate

    def get_config(self) -> Config:
        return {**super().get_config(), "multipliers": self.multipliers}


def _matches(path: str, pattern: str) -> bool:
    """Return whether a pattern matches the end of a path. Keras drops the name of a model from the
    paths when a file is loaded, so that empty parts stand before it."""
    return fnmatch.fnmatchcase("/" * (pattern.count("/") + 1) + path, f"*/{pattern}")
