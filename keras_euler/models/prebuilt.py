"""The networks of the paper by name."""

import fnmatch
import functools
from collections.abc import Callable

from keras_euler.models.euler_model import EulerModel
from keras_euler.models.euler_resnet import EulerResNet
from keras_euler.models.euler_vdcnn import BLOCKS, EulerVDCNN

DEPTHS: dict[str, tuple[Callable[..., EulerModel], tuple[int, ...]]] = {
    "euler_resnet": (EulerResNet, (20, 32, 38, 44, 56, 110, 134, 152, 182, 218)),
    "euler_vdcnn": (EulerVDCNN, tuple(BLOCKS)),
}


def list_models(pattern: str = "*") -> dict[str, Callable[..., EulerModel]]:
    """The prebuilt networks: a dict of name -> builder, images before texts, in order of depth.

    A builder takes the arguments of its network but for the depth, which the name has: `h` is its
    first.

    Args:
        pattern: The names to list, with `*` for any characters.

    Raises:
        TypeError: The pattern is not a string.

    Example:

    >>> list(list_models("euler_vdcnn_*"))[:3]
    ['euler_vdcnn_9', 'euler_vdcnn_17', 'euler_vdcnn_29']
    >>> list_models()["euler_resnet_20"](h=0.1).output_shape
    (None, 10)
    """
    builders: dict[str, Callable[..., EulerModel]] = {
        f"{family}_{depth}": functools.partial(network, depth)
        for family, (network, depths) in DEPTHS.items()
        for depth in depths
    }
    return {name: builders[name] for name in fnmatch.filter(builders, pattern)}
