"""Rules of the literature for residual branches, as values of `--h`.

ReZero: Bachlechner et al. 2020. SkipInit: De and Smith 2020. Fixup: Zhang et al. 2019. LayerScale:
Touvron et al. 2021. `1/sqrt(L)` (Stable ResNet) and `1/L` are values of `h` in the package itself.
"""

RULES = {
    "rezero": {"h": 0.0, "trainable_h": "scalar"},
    "skipinit": {"h": 0.0, "trainable_h": "scalar", "norm": None, "preactivation": True},
    "fixup": {"h": 1.0, "trainable_h": "scalar", "norm": None},
    "layerscale": {"h": 1e-5, "trainable_h": "channel"},
}


def initialize_fixup(model, seed):
    """Give a network Fixup's initial values, in place.

    The first kernel of each branch is drawn with the standard deviation of He et al. (2015) times
    L^(-1/2), the second one is zero, and so are the last layer and all biases. Fixup has one bias
    for all channels; these networks have one per channel.

    Args:
        model: A model that contains a network with `norm=None`.
        seed: Seed of the kernels.
    """
    import keras

    from keras_euler import EulerResidual

    layers = list(model._flatten_layers())
    blocks = [layer for layer in layers if isinstance(layer, EulerResidual)]
    zeros = [weight for layer in layers if layer.name == "logits" for weight in layer.weights]
    for i, block in enumerate(blocks):
        first, second = (layer for layer in block.branch if hasattr(layer, "kernel"))
        he_normal = keras.initializers.VarianceScaling(
            2.0 / len(blocks), "fan_out", "untruncated_normal", seed + i
        )
        first.kernel.assign(he_normal(first.kernel.shape))
        zeros += [first.bias, second.kernel, second.bias]
    for variable in zeros:
        variable.assign(keras.ops.zeros_like(variable))
