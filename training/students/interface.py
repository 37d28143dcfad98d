# SPDX-License-Identifier: Apache-2.0
"""What every student gives: one ScaleOutput per exit, from the coarsest (XS) to the finest (L)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import nn

from lightdepth_ros.mount import MAP_CHANNELS, MAP_STRIDE

EXITS = ('XS', 'S', 'M', 'L')
"""Exits from coarse to fine; their strides 16, 8, 4, 2 stand in lightdepth_ros.contract."""


G_OFFSET, G_GAIN = 40.0, 25.0
"""The depth head's raw output r means G = 40 + 25 r: about e^r times 18 m. With numbers of order
one to predict, Adam needs hundreds of steps where raw G (0 to 100) needs thousands."""


class ScaleOutput(NamedTuple):
    """One exit's raw heads, each (N, channels, h, w) float.

    g          (N, 1, h, w): depth in G's space (model.losses.log_map); any real number is a
               positive depth.
    logits     (N, classes, h, w): class scores before softmax.
    log_scale  (N, 1, h, w): natural logarithm of the expected error of ln depth (scale of a
               Laplace law); None for a student trained without a confidence head.
    """

    g: torch.Tensor
    logits: torch.Tensor
    log_scale: torch.Tensor | None


class GroundEmbedding(nn.Module):
    """Adds to features where each cell lies relative to the level ground.

    A 1x1 convolution of the ground map (lightdepth_ros.mount), averaged to the
    features' stride. It starts at zero, so a trained student takes it on without a jolt. (The
    idea of telling depth networks the ground: Yang et al., "GEDepth", ICCV 2023; of telling
    convolutions the camera: Facil et al., "CAM-Convs", CVPR 2019.)
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.pool = stride // MAP_STRIDE
        self.conv = nn.Conv2d(MAP_CHANNELS, channels, 1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: torch.Tensor, ground: torch.Tensor) -> torch.Tensor:
        """x (N, C, h, w) at this stride; ground (N, 4, H / 16, W / 16) -> like x."""
        if self.pool > 1:
            ground = nn.functional.avg_pool2d(ground, self.pool)
        y: torch.Tensor = x + self.conv(ground)
        return y


class Student(Protocol):
    """A network with four exits whose finer decoders can be cut off."""

    exit: str

    def __call__(self, image: torch.Tensor, ground: torch.Tensor) -> list[ScaleOutput]:
        """Return the outputs of the kept exits, XS first.

        image: (N, 3, H, W) normalised RGB; ground: (N, 4, H / 16, W / 16), its ground map.
        """
        ...

    def detach(self, exit_name: str) -> nn.Module:
        """Return a copy that ends at `exit_name` and computes nothing finer."""
        ...


def kept_exits(exit_name: str) -> tuple[str, ...]:
    """Return the exits up to and including `exit_name`, coarse to fine."""
    if exit_name not in EXITS:
        raise ValueError(f'exit is {exit_name!r}; it must be one of {", ".join(EXITS)}')
    return EXITS[: EXITS.index(exit_name) + 1]


def split_heads(depth: torch.Tensor, semantic: torch.Tensor, confidence: bool) -> ScaleOutput:
    """Name the channels of the two heads and bring depth to G space.

    depth: (N, 1 or 2, h, w); semantic: (N, K, h, w). Float32 before the gain: bfloat16 would round
    G = 80 to steps of a half, 2 % of the depth.
    """
    g = G_OFFSET + G_GAIN * depth[:, :1].float()
    return ScaleOutput(g, semantic, depth[:, 1:2] if confidence else None)
