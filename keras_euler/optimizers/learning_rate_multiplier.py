"""An optimizer with other learning rates for some variables, and the rule of arXiv 2512.21075 for
deep networks."""

import fnmatch
import math
from collections.abc import Iterator, Mapping

import keras

from keras_euler._backend import all_layers, group_updates
from keras_euler._checks import check_number
from keras_euler._types import Config, Tensor
from keras_euler.layers import EulerResidual
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
        multipliers: Dict of pattern -> finite number >= 0. A pattern is the path of a trainable
            variable, such as `"stage1_block1/conv1/kernel"`, with the wildcards of `fnmatch`: `*`
            stands for any characters. The first pattern that matches counts.
        name: Name of the optimizer.

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
    ) -> None:
        super().__init__(inner_optimizer, name)
        is_outer = type(self.inner_optimizer).apply is not keras.optimizers.Optimizer.apply
        if is_outer or isinstance(self.inner_optimizer, keras.optimizers.Nadam):
            raise ValueError(
                "`inner_optimizer` must be an optimizer that updates each variable by itself, "
                "such as SGD or Adam: not Nadam, and "
                f"none around other optimizers. Received: {type(self.inner_optimizer).__name__}."
            )
        if not isinstance(multipliers, Mapping) or not all(
            isinstance(pattern, str) for pattern in multipliers
        ):
            raise TypeError(
                f"`multipliers` must be a dict of pattern -> number. Received: "
                f"multipliers={multipliers!r}."
            )
        self.multipliers = {
            pattern: check_number(f"multipliers[{pattern!r}]", factor, 0)
            for pattern, factor in multipliers.items()
        }
        group_updates(self.inner_optimizer, self._groups)

    def build(self, variables: list[keras.Variable]) -> None:
        """Find the multiplier of each variable."""
        paths = [variable.path for variable in variables]
        for pattern in self.multipliers:
            if not any(fnmatch.fnmatchcase(path, pattern) for path in paths):
                shown = ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")
                raise ValueError(
                    f"`multipliers` must match paths of variables: {shown}. Received: "
                    f"{pattern!r}, which matches none."
                )
        self._multiplier_of = {
            self._var_key(variable): self._multiplier(variable.path) for variable in variables
        }
        super().build(variables)

    def _multiplier(self, path: str) -> float:
        return next(
            (
                factor
                for pattern, factor in self.multipliers.items()
                if fnmatch.fnmatchcase(path, pattern)
            ),
            1.0,
        )

    def _step(self, grads: list[Tensor], variables: list[keras.Variable] | None) -> None:
        """Apply the gradients with the inner optimizer, which updates variables of equal
        multipliers together."""
        self.inner_optimizer.apply(grads, variables)

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


def depth_multipliers(model: keras.Model) -> dict[str, float]:
    """Return `sqrt(L)` for the first layer of each block: a rule from the literature for learning
    rates that fit every depth.

    With `h = 1/sqrt(L)` for L blocks of two layers, all gradients of a block are proportional to h.
    A first step of rate `r` changes the output of a block's first layer by `h * r`, which vanishes
    with depth. With the rate `sqrt(L) * r` it changes by `r` at any depth. The abstract of arXiv
    2512.21075v1 names this loss, and a correction of the learning rate. Blocks of one layer need
    none (arXiv 2310.02244, 2309.16620). The price: all first layers together move the output of the
    network by up to `L * h * r = sqrt(L) * r`, so that the largest rate that trains may fall with
    depth. So it was in the one study here, of networks with batch norm, one seed and depths 20 and
    110 (`recipes/results/README.md`). There the best rate was the same at both depths without
    multipliers, and accuracies were no higher with them.

    Args:
        model: Built network of `EulerResidual` blocks with a constant `h = 1/sqrt(L)`, such as
            `EulerResNet(110, h="1/sqrt(L)")`. Freeze layers first: frozen ones get no multiplier.

    Returns:
        Dict of the paths of variables -> `sqrt(L)`, for `LearningRateMultiplier`.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: `model` is not built, has no `EulerResidual` blocks, another or a trained h, or
            blocks that do not have two layers with a kernel.

    Example:

    >>> model = EulerResNet(depth=8, h="1/sqrt(L)")  # L = 3
    >>> multipliers = depth_multipliers(model)
    >>> {path: round(multiplier, 3) for path, multiplier in multipliers.items()}
    {'stage1_block1/conv1/kernel': 1.732, 'stage2_block1/conv1/kernel': 1.732, ...}
    >>> optimizer = LearningRateMultiplier(keras.optimizers.SGD(0.1, momentum=0.9), multipliers)
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: {type(model).__name__}.")
    blocks = [layer for layer in all_layers(model) if isinstance(layer, EulerResidual)]
    if not blocks:
        raise ValueError(
            "`model` must have EulerResidual blocks, as EulerResNet and EulerVDCNN do. Received a "
            "model without any."
        )
    num_blocks = len(blocks)
    multipliers: dict[str, float] = {}
    for block in blocks:
        if not block.built:
            raise ValueError("`model` must be built: begin it with keras.Input, or call it once.")
        if block.trainable_h:
            raise ValueError(
                f"`model` must have a constant h. Received: trainable_h={block.trainable_h!r} in "
                f"{block.name}."
            )
        if not math.isclose(block.h, num_blocks**-0.5, rel_tol=1e-3):
            raise ValueError(
                f"`model` must have h = 1/sqrt(L) = {num_blocks**-0.5:.3g} in all {num_blocks} "
                f'blocks: pass h="1/sqrt(L)". '
                f"Received: h={block.h:g} in {block.name}."
            )
        layers = [
            layer for part in block.branch for layer in all_layers(part) if hasattr(layer, "kernel")
        ]
        if len(layers) != 2:
            raise ValueError(
                f"Every block must have two layers with a kernel. Received: {block.name} with "
                f"{len(layers)}."
            )
        multipliers |= {
            variable.path: num_blocks**0.5 for variable in layers[0].trainable_variables
        }
    return multipliers
