"""Load PyTorch checkpoints into a network, in Python or by `python -m keras_euler.convert`."""

from keras_euler.convert.command import read_state_dict
from keras_euler.convert.state_dict import load_torch_state_dict

__all__ = ["load_torch_state_dict", "read_state_dict"]
