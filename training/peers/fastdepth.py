# SPDX-License-Identifier: Apache-2.0
"""FastDepth: Wofk, Ma, Yang, Karaman and Sze, ICRA 2019, before its pruning: MobileNet and a
decoder of five depthwise separable 5x5 convolutions with nearest upsampling and additive skips.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from training.peers.interface import check_single_exit, from_metres
from training.students.interface import EXITS, ScaleOutput

ENCODER = (
    # (channels, stride) of MobileNet's depthwise separable convolutions
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
DECODER = (512, 256, 128, 64, 32)
SKIP_AFTER = (0, 2, 4)
"""Encoder convolutions whose outputs (64, 128 and 256 channels at strides 2, 4 and 8) are added
to the decoder's."""


def conv_bn(inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a bias-free convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


def separable(inp: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a depthwise and a 1x1 convolution."""
    return nn.Sequential(conv_bn(inp, inp, kernel, stride, groups=inp), conv_bn(inp, out, 1))


class FastDepth(nn.Module):
    """MobileNet-NNConv5: one output, exit L, at the input's size, in metres. No classes."""

    def __init__(self) -> None:
        super().__init__()
        self.exit = EXITS[-1]
        self.stem = conv_bn(3, 32, 3, 2)
        inp, encoder = 32, []
        for out, stride in ENCODER:
            encoder.append(separable(inp, out, 3, stride))
            inp = out
        self.encoder = nn.ModuleList(encoder)
        decoder = []
        for out in DECODER:
            decoder.append(separable(inp, out, 5))
            inp = out
        self.decoder = nn.ModuleList(decoder)
        self.depth = conv_bn(inp, 1, 1)

    def forward(self, image: torch.Tensor) -> list[ScaleOutput]:
        """(N, 3, H, W) normalised RGB, sides multiples of 32 -> one output of that size."""
        return [from_metres(depth_m) for (depth_m,) in self.heads(image)]

    def heads(self, image: torch.Tensor) -> list[tuple[torch.Tensor]]:
        """Return the depth in metres."""
        x, skips = self.stem(image), {}
        for index, block in enumerate(self.encoder):
            x = block(x)
            if index in SKIP_AFTER:
                skips[x.shape[1]] = x
        for block in self.decoder:
            x = F.interpolate(block(x), scale_factor=2.0, mode='nearest')
            skip = skips.get(x.shape[1])
            if skip is not None:
                x = x + skip
        return [(self.depth(x),)]

    def detach(self, exit_name: str) -> FastDepth:
        """Return a copy; the only exit is L."""
        check_single_exit(exit_name, 'FastDepth')
        return copy.deepcopy(self)
