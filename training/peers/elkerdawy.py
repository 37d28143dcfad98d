# SPDX-License-Identifier: Apache-2.0
"""Elkerdawy, Zhang and Ray, "Lightweight monocular depth estimation model by joint end-to-end
filter pruning", ICIP 2019: monodepth's VGG network (Godard et al., CVPR 2017) with most filters
pruned away. The channel list is that of the released model.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from training.peers.interface import from_disparity
from training.students.interface import EXITS, ScaleOutput, kept_exits

ENCODER = (
    # (kernel, channels of the first convolution, of the second, which has stride 2)
    (7, 14, 20), (5, 27, 33), (3, 40, 68), (3, 94, 108), (3, 168, 209), (3, 157, 192), (3, 25, 21),
)  # fmt: skip
UP = (17, 155, 101, 41, 27, 15, 6)
MERGE = (512, 512, 256, 128, 64, 32, 16)
"""Channels of the decoder's convolutions after upsampling and after merging, coarse to fine."""
LARGEST_DISPARITY = 0.3
"""As a share of the image width."""


def conv(inp: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution with bias and ELU."""
    return nn.Sequential(nn.Conv2d(inp, out, kernel, stride, kernel // 2), nn.ELU(inplace=True))


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Double height and width by repeating pixels."""
    return F.interpolate(x, scale_factor=2.0, mode='nearest')


class Stage(nn.Module):
    """Upsample, convolve, merge with the skip and the coarser disparity, perhaps predict."""

    def __init__(self, inp: int, skip: int, up: int, merge: int, *, takes: bool, gives: bool):
        super().__init__()
        self.up = conv(inp, up)
        self.merge = conv(up + skip + (2 if takes else 0), merge)
        self.disparity = nn.Conv2d(merge, 2, 3, 1, 1) if gives else None

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor | None, disparity: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        parts = [self.up(upsample(x))]
        parts += [] if skip is None else [skip]
        parts += [] if disparity is None else [upsample(disparity)]
        x = self.merge(torch.cat(parts, 1))
        if self.disparity is None:
            return x, None
        return x, LARGEST_DISPARITY * torch.sigmoid(self.disparity(x))


class Elkerdawy(nn.Module):
    """The exits XS, S, M and L are its disparities at strides 8, 4, 2 and 1. No classes."""

    def __init__(self) -> None:
        super().__init__()
        self.exit = EXITS[-1]
        inp, encoder = 3, []
        for kernel, first, second in ENCODER:
            encoder.append(nn.Sequential(conv(inp, first, kernel), conv(first, second, kernel, 2)))
            inp = second
        self.encoder = nn.ModuleList(encoder)
        skips = [channels for _, _, channels in reversed(ENCODER[:-1])] + [0]
        first = len(UP) - len(EXITS)
        stages = []
        for index, (skip, up, merge) in enumerate(zip(skips, UP, MERGE, strict=True)):
            stages.append(Stage(inp, skip, up, merge, takes=index > first, gives=index >= first))
            inp = merge
        self.stages = nn.ModuleList(stages)

    def forward(self, image: torch.Tensor) -> list[ScaleOutput]:
        """(N, 3, H, W) normalised RGB, sides multiples of 128 -> outputs of the kept exits."""
        return [from_disparity(share) for (share,) in self.heads(image)]

    def heads(self, image: torch.Tensor) -> list[tuple[torch.Tensor]]:
        """Return the left disparities as shares of the width, coarse to fine."""
        x, features = image, []
        for block in self.encoder:
            x = block(x)
            features.append(x)
        skips: list[torch.Tensor | None] = [*reversed(features[:-1]), None]
        outputs, disparity = [], None
        for stage, skip in zip(self.stages, skips, strict=False):
            x, disparity = stage(x, skip, disparity)
            if disparity is not None:
                outputs.append((disparity[:, :1],))
        return outputs

    def detach(self, exit_name: str) -> Elkerdawy:
        """Return a copy that ends at `exit_name`."""
        network = copy.deepcopy(self)
        kept = len(UP) - len(EXITS) + len(kept_exits(exit_name))
        network.stages = network.stages[:kept]
        network.exit = exit_name
        return network
