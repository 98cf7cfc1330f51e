"""Networks made of Euler steps, and what fills and describes them."""

from keras_euler.models.euler_resnet import EulerResNet, list_models
from keras_euler.models.torch_weights import load_torch_state_dict

__all__ = ["EulerResNet", "list_models", "load_torch_state_dict"]
