"""The networks of the paper by name."""

import functools

from keras_euler.models.euler_resnet import EulerResNet
from keras_euler.models.euler_vdcnn import BLOCKS, EulerVDCNN

DEPTHS = {"euler_resnet": (EulerResNet, (20, 32, 38, 44, 56, 110, 134, 152, 182, 218)), "euler_vdcnn": (EulerVDCNN, tuple(BLOCKS))}


def list_models():
    """The prebuilt networks: a dict of name -> builder, images before texts, in order of depth.

    A builder takes the arguments of its class after the depth, which the name has: `h` is its first.

    Example:

    >>> builders = list_models()
    >>> list(builders)[0], list(builders)[-1]
    ('euler_resnet_20', 'euler_vdcnn_69')
    >>> builders["euler_resnet_20"](h=0.1).depth
    20
    """
    return {
        f"{family}_{depth}": functools.partial(network, depth) for family, (network, depths) in DEPTHS.items() for depth in depths
    }
