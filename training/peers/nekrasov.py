# SPDX-License-Identifier: Apache-2.0
"""Nekrasov et al., "Real-time joint semantic segmentation and depth estimation using asymmetric
annotations", ICRA 2019: MobileNet-v2 with a light-weight RefineNet decoder and two heads.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from training.peers.interface import check_single_exit, from_metres
from training.students.interface import EXITS, ScaleOutput

ENCODER = (
    # (expansion, channels, blocks, stride of the first) as in MobileNet-v2 at width 1
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
WIDTH = 256
POOLINGS = 4
CLASSES = 6


def conv_bn(inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a bias-free convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    )


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1."""

    def __init__(self, inp: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inp * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [conv_bn(inp, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers, conv_bn(hidden, out, 1))
        self.residual = stride == 1 and inp == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


class ChainedPooling(nn.Module):
    """Chained residual pooling: 5x5 maxima and 1x1 convolutions in a row, all of them added."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(WIDTH, WIDTH, 1, groups=groups, bias=False) for _ in range(POOLINGS)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = x = F.relu(x)
        for conv in self.convs:
            x = conv(F.max_pool2d(x, 5, 1, 2))
            total = total + x
        return total


def head(out: int) -> nn.Sequential:
    """Return a depthwise 1x1 convolution with ReLU6 and a 3x3 one to `out` channels."""
    return nn.Sequential(
        nn.Conv2d(WIDTH, WIDTH, 1, groups=WIDTH, bias=False),
        nn.ReLU6(inplace=True),
        nn.Conv2d(WIDTH, out, 3, 1, 1),
    )


class Nekrasov(nn.Module):
    """One output, exit L, at stride 4: depth in metres and class scores."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.exit = EXITS[-1]
        self.stem = nn.Sequential(conv_bn(3, 32, 3, 2), nn.ReLU6(inplace=True))
        inp, groups = 32, []
        for expansion, out, count, stride in ENCODER:
            blocks = [InvertedResidual(inp, out, stride, expansion)]
            blocks += [InvertedResidual(out, out, 1, expansion) for _ in range(count - 1)]
            groups.append(nn.Sequential(*blocks))
            inp = out
        self.encoder = nn.ModuleList(groups)
        self.reduce = nn.ModuleList(
            nn.Conv2d(out, WIDTH, 1, bias=False) for _, out, _, _ in ENCODER[1:]
        )
        self.pool = nn.ModuleList(ChainedPooling(groups) for groups in (1, 1, 1, WIDTH))
        self.adapt = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 1, bias=False) for _ in range(3))
        self.depth = head(1)
        self.semantic = head(classes)

    def forward(self, image: torch.Tensor) -> list[ScaleOutput]:
        """(N, 3, H, W) normalised RGB of any size -> one output of about (H / 4, W / 4)."""
        return [from_metres(depth_m, logits) for depth_m, logits in self.heads(image)]

    def heads(self, image: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return depth in metres and class scores."""
        x, maps = self.stem(image), []
        for group in self.encoder:
            x = group(x)
            maps.append(x)
        reduced = [conv(x) for conv, x in zip(self.reduce, maps[1:], strict=True)]
        by_stride = [
            reduced[4] + reduced[5],  # 32
            reduced[2] + reduced[3],  # 16
            reduced[1],  # 8
            reduced[0],  # 4
        ]
        x = self.pool[0](by_stride[0])
        for adapt, pool, finer in zip(self.adapt, self.pool[1:], by_stride[1:], strict=True):
            x = F.interpolate(adapt(x), size=finer.shape[-2:], mode='bilinear', align_corners=True)
            x = pool(F.relu(x + finer))
        return [(self.depth(x), self.semantic(x))]

    def detach(self, exit_name: str) -> Nekrasov:
        """Return a copy; the only exit is L."""
        check_single_exit(exit_name, 'this network')
        return copy.deepcopy(self)
