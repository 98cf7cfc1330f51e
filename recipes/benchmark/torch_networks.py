"""The paper's CIFAR ResNet and text network with a step factor, written directly in PyTorch: a
reference for `run.py`.

It is independent of Keras. NCHW and NCL as in the authors' code, with names that
`keras_euler.load_torch_state_dict` reads. `blocks` is the number of residual blocks of each stage.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

MIXED = {"float32": None, "mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}
# By rank: 2 for images, 1 for texts.
CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}


def conv3(rank, in_channels, out_channels, stride=1):
    """Make a convolution of size 3 with padding 1; only for texts it has a bias."""
    return CONVOLUTION[rank](in_channels, out_channels, 3, stride, padding=1, bias=rank == 1)


class Block(nn.Module):
    """`relu(S(x) + h * F(x))`, F = conv-BN-relu-conv-BN; S is a 1x1 conv and BN where the shape
    changes."""

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


def stages(rank, widths, blocks, h):
    """Yield the layers of every stage. After the first stage, a stride halves images and a max pool
    halves texts."""
    channels = widths[0]
    for stage, (width, num_blocks) in enumerate(zip(widths, blocks, strict=True)):
        layers = [nn.MaxPool1d(3, 2, padding=1)] if stage and rank == 1 else []
        layers.append(Block(rank, channels, width, 2 if stage and rank == 2 else 1, h))
        yield layers + [Block(rank, width, width, 1, h) for _ in range(num_blocks - 1)]
        channels = width


class ResNet(nn.Module):
    """Stem, three stages of blocks, global average pool, dense. Returns logits."""

    def __init__(self, blocks, h=0.1):
        super().__init__()
        self.conv1 = conv3(2, 3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.stack1, self.stack2, self.stack3 = (
            nn.Sequential(*layers) for layers in stages(2, (16, 32, 64), blocks, h)
        )
        self.linear = nn.Linear(64, 10)

    def forward(self, x):  # (batch, 3, 32, 32)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.stack3(self.stack2(self.stack1(x)))  # (batch, 64, 8, 8)
        return self.linear(x.mean(dim=(2, 3)))


class VDCNN(nn.Module):
    """Embedding, stem, four stages of blocks, max pool to 8 positions, three dense. Returns
    logits."""

    def __init__(self, blocks, h=0.1):
        super().__init__()
        self.embed = nn.Embedding(70, 16, padding_idx=0)
        widths = (64, 128, 256, 512)
        self.layers = nn.Sequential(
            conv3(1, 16, 64), *itertools.chain(*stages(1, widths, blocks, h))
        )
        self.pool = nn.AdaptiveMaxPool1d(8)
        self.fc_layers = nn.Sequential(
            nn.Linear(8 * 512, 1024),
            nn.ReLU(),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Linear(1024, 4),
        )

    def forward(self, ids):  # (batch, length)
        x = self.embed(ids).transpose(1, 2)  # (batch, 16, length)
        x = self.pool(self.layers(x))  # (batch, 512, 8)
        return self.fc_layers(x.flatten(1))


def fuse(network):
    """Fold the batch norms of a network in eval mode into the preceding convolutions, with torch's
    own function."""
    for module in list(network.modules()):
        for convolution, norm in (("conv1", "bn1"), ("conv2", "bn2")):
            if hasattr(module, norm):
                setattr(
                    module,
                    convolution,
                    fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)),
                )
                setattr(module, norm, nn.Identity())
        if len(getattr(module, "downsample", ())):
            module.downsample = nn.Sequential(fuse_conv_bn_eval(*module.downsample))


class Runner:
    """Train a network with SGD (learning rate 0.1, momentum 0.9), or predict with it.

    Both take NumPy arrays: images `(batch, 3, 32, 32)` or ids `(batch, length)` of dtype int64.
    """

    def __init__(self, network, channels_last=False, dtype="float32", device=None):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(self.device, memory_format=self.memory_format)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.compute_dtype = MIXED[dtype]
        self.scaler = torch.amp.GradScaler(self.device, enabled=dtype == "mixed_float16")

    def logits(self, inputs):
        """Return the network's output, computed in the chosen dtype."""
        inputs = torch.from_numpy(inputs).to(self.device, memory_format=self.memory_format)
        with torch.autocast(
            self.device, self.compute_dtype, enabled=self.compute_dtype is not None
        ):
            return self.network(inputs)

    def train_step(self, inputs, labels):
        """Take one step; the loss stays on the device."""
        loss = F.cross_entropy(
            self.logits(inputs).float(), torch.from_numpy(labels).to(self.device)
        )
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def predict(self, inputs):
        """Return logits as a NumPy array."""
        with torch.inference_mode():
            return self.logits(inputs).float().cpu().numpy()
