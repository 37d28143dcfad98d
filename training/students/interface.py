# SPDX-License-Identifier: Apache-2.0
"""What every student gives: one ScaleOutput per exit, from the coarsest (XS) to the finest (L)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import nn

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


class Student(Protocol):
    """A network with four exits whose finer decoders can be cut off."""

    exit: str

    def __call__(self, image: torch.Tensor) -> list[ScaleOutput]:
        """Take (N, 3, H, W) normalised RGB; return the outputs of the kept exits, XS first."""
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
