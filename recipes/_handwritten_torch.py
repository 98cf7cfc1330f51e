"""The paper's CIFAR ResNet and text network with a step factor, written directly in PyTorch, for `benchmark.py` to compare with.

No keras here. NCHW and NCL as the authors run them, in names that `keras_euler.load_torch_state_dict` reads; `channels_last=True`
keeps the shapes of images and changes the memory format.
"""

import contextlib

import torch
import torch.nn.functional as F
from _handwritten_blocks import BLOCKS
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

MIXED = {"float32": None, "mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}
# By rank: 2 for images, 1 for texts.
CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}


def conv3(rank, in_channels, out_channels, stride=1):
    """A convolution of size 3 that pads one zero on every side; only that of texts has a bias."""
    return CONVOLUTION[rank](in_channels, out_channels, 3, stride, padding=1, bias=rank == 1)


class Block(nn.Module):
    """`relu(S(x) + h * F(x))`, F = conv-BN-relu-conv-BN; S is a 1x1 conv and BN where the shape changes."""

    def __init__(self, rank, in_channels, out_channels, stride, h):
        super().__init__()
        self.h = h
        self.conv1 = conv3(rank, in_channels, out_channels, stride)
        self.bn1 = NORM[rank](out_channels)
        self.conv2 = conv3(rank, out_channels, out_channels)
        self.bn2 = NORM[rank](out_channels)
        self.downsample = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            projection = CONVOLUTION[rank](in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, NORM[rank](out_channels))

    def forward(self, x):
        f = F.relu(self.bn1(self.conv1(x)))
        f = self.bn2(self.conv2(f))
        return F.relu(self.downsample(x) + self.h * f)


class ResNet(nn.Module):
    """Depth 6n+2: stem, three stages of n blocks, global average pool, dense. Logits."""

    def __init__(self, depth, h=0.1, num_classes=10, widths=(16, 32, 64)):
        super().__init__()
        num_blocks = (depth - 2) // 6
        self.conv1 = conv3(2, 3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels = widths[0]
        for stage, width in enumerate(widths, 1):
            blocks = []
            for block in range(num_blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(Block(2, channels, width, stride, h))
                channels = width
            setattr(self, f"stack{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x):  # (batch, 3, 32, 32)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.stack3(self.stack2(self.stack1(x)))  # (batch, 64, 8, 8)
        return self.linear(x.mean(dim=(2, 3)))


class VDCNN(nn.Module):
    """Embedding, stem, four stages of blocks with a max pool between them, 8 positions, three dense. Logits."""

    def __init__(self, depth, h=0.1, num_classes=4, vocabulary_size=70, dense_units=1024, widths=(64, 128, 256, 512)):
        super().__init__()
        self.embed = nn.Embedding(vocabulary_size, 16, padding_idx=0)
        layers = [conv3(1, 16, widths[0])]
        channels = widths[0]
        for stage, (width, num_blocks) in enumerate(zip(widths, BLOCKS[depth], strict=True), 1):
            if stage > 1:
                layers.append(nn.MaxPool1d(3, 2, padding=1))
            for _ in range(num_blocks):
                layers.append(Block(1, channels, width, 1, h))
                channels = width
        self.layers = nn.Sequential(*layers)
        self.pool = nn.AdaptiveMaxPool1d(8)
        hidden = [nn.Linear(8 * channels, dense_units), nn.ReLU(), nn.Linear(dense_units, dense_units), nn.ReLU()]
        self.fc_layers = nn.Sequential(*hidden, nn.Linear(dense_units, num_classes))

    def forward(self, ids):  # (batch, length)
        x = self.embed(ids).transpose(1, 2)  # (batch, 16, length)
        x = self.pool(self.layers(x))  # (batch, 512, 8)
        return self.fc_layers(x.flatten(1))


def fuse(network):
    """Fold the batch norms of a network in eval mode into the convolutions before them, by torch's own function."""
    for block in [network, *(module for module in network.modules() if isinstance(module, Block))]:
        for convolution, norm in (("conv1", "bn1"), ("conv2", "bn2")):
            if hasattr(block, norm):
                fused = fuse_conv_bn_eval(getattr(block, convolution), getattr(block, norm))
                setattr(block, convolution, fused)
                setattr(block, norm, nn.Identity())
        if len(getattr(block, "downsample", ())):
            block.downsample = nn.Sequential(fuse_conv_bn_eval(*block.downsample))


class Trainer:
    """A network with SGD (0.1, momentum 0.9).

    `train_step` takes NumPy arrays: images `(batch, 3, 32, 32)`, or ids `(batch, length)`, int64; and labels.
    """

    def __init__(self, network, channels_last=False, dtype="float32", device=None):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(self.device, memory_format=self.memory_format)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.compute_dtype = MIXED[dtype]
        self.scaler = torch.amp.GradScaler(self.device, enabled=dtype == "mixed_float16")

    def precision(self):
        """The autocast context of the chosen dtype, new each time."""
        if self.compute_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device, self.compute_dtype)

    def train_step(self, inputs, labels):
        """One step; the loss stays on the device."""
        inputs = torch.from_numpy(inputs).to(self.device, memory_format=self.memory_format)
        labels = torch.from_numpy(labels).to(self.device)
        with self.precision():
            loss = F.cross_entropy(self.network(inputs), labels)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()
