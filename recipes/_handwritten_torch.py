"""The paper's CIFAR ResNet with a step factor, written directly in PyTorch, for `benchmark.py` to compare with.

No keras here. NCHW as the authors run it; `channels_last=True` keeps the shapes and changes the memory format.
"""

import contextlib

import torch
import torch.nn.functional as F
from torch import nn

MIXED = {"float32": None, "mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}


def conv3x3(in_channels, out_channels, stride=1):
    """A 3x3 convolution that pads one pixel on every side, without bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    """`relu(S(x) + h * F(x))`, F = conv-BN-relu-conv-BN; S is a 1x1 conv and BN where the shape changes."""

    def __init__(self, in_channels, out_channels, stride, h):
        super().__init__()
        self.h = h
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, x):
        f = F.relu(self.bn1(self.conv1(x)))
        f = self.bn2(self.conv2(f))
        return F.relu(self.shortcut(x) + self.h * f)


class ResNet(nn.Module):
    """Depth 6n+2: stem, three stages of n blocks, global average pool, dense. Logits."""

    def __init__(self, depth, h=0.1, num_classes=10, widths=(16, 32, 64)):
        super().__init__()
        num_blocks = (depth - 2) // 6
        self.conv1 = conv3x3(3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels = widths[0]
        for stage, width in enumerate(widths, 1):
            blocks = []
            for block in range(num_blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(Block(channels, width, stride, h))
                channels = width
            setattr(self, f"stack{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x):  # (batch, 3, 32, 32)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.stack3(self.stack2(self.stack1(x)))  # (batch, 64, 8, 8)
        return self.linear(x.mean(dim=(2, 3)))


class Trainer:
    """The network with SGD (0.1, momentum 0.9); `train_step` takes NumPy arrays, images `(batch, 3, 32, 32)`."""

    def __init__(self, depth, h=0.1, channels_last=False, dtype="float32", device=None):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = ResNet(depth, h).to(self.device, memory_format=self.memory_format)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.compute_dtype = MIXED[dtype]
        self.scaler = torch.amp.GradScaler(self.device, enabled=dtype == "mixed_float16")

    def precision(self):
        """The autocast context of the chosen dtype, new each time."""
        if self.compute_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device, self.compute_dtype)

    def train_step(self, images, labels):
        """One step; the loss stays on the device."""
        images = torch.from_numpy(images).to(self.device, memory_format=self.memory_format)
        labels = torch.from_numpy(labels).to(self.device)
        with self.precision():
            loss = F.cross_entropy(self.network(images), labels)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()
