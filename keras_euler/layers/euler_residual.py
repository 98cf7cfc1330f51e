"""A residual block as one explicit Euler step, from the layers of its branch and its shortcut."""

from typing import Any, Self

import keras
from keras.layers import Layer

from keras_euler import _backend
from keras_euler._checks import check_choice
from keras_euler._register import register
from keras_euler._types import Activation, Config, LayerOrLayers, Shape, Tensor
from keras_euler.layers.euler_add import ARGUMENTS, EulerAdd
from keras_euler.layers.schemes import SCHEMES, Scheme, weighted_sum


@register
class EulerResidual(Layer):
    """A residual block as one explicit Euler step: `y = I(S(x) + h * F(x))` (equation 3 of the
    paper).

    `x` is the input, `F` the branch, `S` the shortcut, `h` the step factor, `I` the activation. `h
    = 1` is the ordinary residual block; a small `h` keeps the gradients of very deep networks from
    exploding (Proposition 1) and the noise of the input from growing (Proposition 2).

    With another `scheme` the block is one step of that Runge-Kutta method instead, `y = I(a * x + h
    * sum_i b_i k_i)` with the stages `k_i = F(x + h * sum_j a_ij k_j)`. All stages share the
    weights of `F`. Heun's method, of order 2, is `x + h/2 * (F(x) + F(x + h * F(x)))`. A block with
    a `shortcut` of its own always takes Euler's step. Batch normalization in `F` normalizes each
    stage in training with that stage's statistics, and updates its moving statistics at every
    stage. In inference all stages share them.

    Args:
        branch: `F`: a Keras layer, or a list of layers that run in order.
        h: Finite number >= 0; the initial value if `trainable_h` is given.
        shortcut: `S`: a Keras layer or a list of layers. None is the identity.
        activation: `I`: name or function, as for every Keras layer. None is the identity, which the
            paper's analysis uses.
        trainable_h: None: `h` is a constant. `"scalar"`: one weight (ReZero, SkipInit with `h=0`).
            `"channel"`: one weight per channel (LayerScale).
        data_format: `"channels_last"` or `"channels_first"`: where `trainable_h="channel"` finds
            the channels.
        scheme: `"euler"`, `"heun"` (order 2, twice the cost) or `"rk4"` (order 4, four times the
            cost).
        skip: `a`, the factor of the shortcut `S(x)`, as for `EulerAdd`.
        drop_path: Probability in [0, 1) to drop the branch of an example in training, as for
            `EulerAdd`; with another scheme all stages of the step together.
        seed: Seed of `drop_path`.
        remat: Compute the inside of the block again in the backward pass instead of keeping it:
            less memory for about a third more time. In float32 the result is that of the block
            without it, moving statistics, random numbers and losses of layers included. A block
            that gets a mask keeps its inside. Second derivatives on TensorFlow and `torch.func`
            need a block without it.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Call arguments:
        inputs: Tensor `(batch, ...)`.
        training: Passed on to the layers of `F` and `S`.
        mask: Mask of `inputs`. Default: the mask that the previous layer has attached. The output's
            mask is that of the same layers with `keras.layers.Add`: None if one of the two paths
            drops it.

    Input shape: `(batch, ...)`, as the branch takes it. Output shape: that of branch and shortcut.

    Raises:
        ValueError: `h`, `trainable_h`, `data_format`, `scheme`, `skip` or `drop_path` is invalid;
            at build, the two paths have different shapes.
        TypeError: `branch` or `shortcut` is not made of Keras layers; or `h`, `skip` or `drop_path`
            is not a number.

    Example:

    >>> block = EulerResidual(
    ...     [keras.layers.Dense(3, kernel_initializer="ones", use_bias=False)], h=0.5
    ... )
    >>> keras.ops.convert_to_numpy(block(np.ones((1, 3), "float32"))).tolist()
    [[2.5, 2.5, 2.5]]
    >>> heun = EulerResidual(block.branch, h=0.5, scheme="heun")
    >>> keras.ops.convert_to_numpy(heun(np.ones((1, 3), "float32"))).tolist()
    [[3.625, 3.625, 3.625]]
    """

    direct = "residual"

    def __init__(
        self,
        branch: LayerOrLayers,
        h: float = 0.1,
        shortcut: LayerOrLayers | None = None,
        activation: Activation = None,
        trainable_h: str | None = None,
        data_format: str | None = None,
        scheme: str = "euler",
        skip: float = 1.0,
        drop_path: float = 0.0,
        seed: int | None = None,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        add = kwargs.pop("add", {})  # from a saved block: changed arguments of its EulerAdd
        super().__init__(**kwargs)
        self.branch = _as_layers("branch", branch)
        self.shortcut = None if shortcut is None else _as_layers("shortcut", shortcut)
        self.activation = keras.activations.get(activation)
        self.scheme = check_choice("scheme", scheme, SCHEMES)
        self.remat = check_choice("remat", remat, (True, False))
        settings = {"name": "add", "dtype": self.dtype_policy, **add}
        self.add = EulerAdd(h, trainable_h, data_format, skip, drop_path, seed, **settings)

    @property
    def h(self) -> float:
        """The step factor; its initial value if it is trained."""
        return self.add.h

    @property
    def trainable_h(self) -> str | None:
        """None, `"scalar"` or `"channel"`."""
        return self.add.trainable_h

    @property
    def data_format(self) -> str:
        """`"channels_last"` or `"channels_first"`."""
        return self.add.data_format

    @property
    def skip(self) -> float:
        """The factor of the shortcut."""
        return self.add.skip

    @property
    def drop_path(self) -> float:
        """The probability that the branch of an example is dropped in training."""
        return self.add.drop_path

    @property
    def seed(self) -> int | None:
        """The seed of `drop_path`."""
        return self.add.seed

    @property
    def num_stages(self) -> int:
        """The number of times that a step computes the branch."""
        return len(self._tableau[1])

    @property
    def _tableau(self) -> Scheme:
        return SCHEMES["euler" if self.shortcut else self.scheme]

    def build(self, input_shape: Shape) -> None:
        branch = self._build_chain(self.branch, input_shape)
        self.add.build([self._build_chain(self.shortcut or [], input_shape), branch])

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        if self.remat and training and mask is None and keras.ops.is_tensor(inputs):
            return _backend.rematerialize(self, self.direct_call, inputs)
        with _backend.masked(inputs, mask):
            y = self._sum(inputs, training)
        outputs = self.activated(y, training)
        if not isinstance(self.activation, Layer):
            _backend.pass_mask(y, outputs)
        return outputs

    def direct_call(self, inputs: Tensor, training: bool | None) -> Tensor:
        """Return what `call` does for inputs without a mask."""
        return self.activated(self._sum(inputs, training), training)

    def _sum(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        f = self.increment(inputs, training)
        x = _backend.call_chain(self.shortcut, inputs, training) if self.shortcut else inputs
        return _backend.call_layer(self.add, [x, f], training=training)

    def activated(self, y: Tensor, training: bool | None) -> Tensor:
        """Return `I(y)`."""
        if isinstance(self.activation, Layer):
            return _backend.call_layer(self.activation, y, training=training)
        return self.activation(y)

    def increment(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Return what the step multiplies by h: `F(x)` with Euler's method, else the weighted sum
        of the stages."""
        rows, weights = self._tableau
        stages: list[Tensor] = []  # k_i = F(x + h sum_j a_ij k_j)
        for row in rows:
            stage = x
            if stages:
                stage = self.add.step(x, weighted_sum(row, stages))
                _backend.pass_mask(x, stage)
            # `training` by name: the context of Keras is gone when torch computes the block again.
            stages.append(_backend.call_chain(self.branch, stage, training))
        if len(stages) == 1:
            return stages[0]
        f = weighted_sum(weights, stages)
        _backend.pass_mask(stages[0], f)
        return f

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor = None) -> Tensor:
        """The mask of the output for symbolic inputs; None for others, whose mask `call`
        attaches."""
        if not isinstance(inputs, keras.KerasTensor) or previous_mask is None:
            return None
        with _backend.masked(x := keras.KerasTensor(inputs.shape, inputs.dtype), previous_mask):
            y = self._sum(x)
        mask = _backend.mask_of(self.activation(y) if isinstance(self.activation, Layer) else y)
        try:
            if mask is not None:
                keras.Function([previous_mask], [mask])
        except ValueError:  # it depends on tensors inside the block, which the outer graph lacks
            return None
        return mask

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self._build_chain(self.branch, input_shape)

    def _build_chain(self, layers: list[Layer], shape: Shape) -> Shape:
        """Build the layers that are not built yet, and return the output shape."""
        for layer in layers:
            if type(layer).compute_output_shape is Layer.compute_output_shape:
                # Only a symbolic call tells the shape.
                shape = layer(keras.KerasTensor(shape, self.compute_dtype)).shape
                continue
            if not layer.built:
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
        return tuple(shape)

    def get_config(self) -> Config:
        added = self.add.get_config()
        arguments = {name: added[name] for name in ARGUMENTS}
        initial = EulerAdd(**arguments, name="add", dtype=self.dtype_policy).get_config()
        changed = {name: value for name, value in added.items() if value != initial.get(name)}
        config = {
            **super().get_config(),
            **arguments,
            "branch": _serialized(self.branch),
            "shortcut": self.shortcut and _serialized(self.shortcut),
            "activation": keras.activations.serialize(self.activation),
            "scheme": self.scheme,
            "remat": self.remat,
        }
        return {**config, "add": changed} if changed else config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        layers = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("branch", "shortcut")
        }
        return cls(**{**config, **layers})


def _as_layers(name: str, value: LayerOrLayers) -> list[Layer]:
    layers = list(value) if isinstance(value, (list, tuple)) else [value]
    if not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(
            f"`{name}` must be a Keras layer or a non-empty list of Keras layers. Received: "
            f"{name}={value!r}."
        )
    return layers


def _serialized(layers: list[Layer]) -> list[Config]:
    """Return the configurations of inner layers, which the block builds again."""
    configs = [keras.saving.serialize_keras_object(layer) for layer in layers]
    for config in configs:
        if set(config.get("build_config") or ()) == {"input_shape"}:
            del config["build_config"]
    return configs
