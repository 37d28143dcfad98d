# SPDX-License-Identifier: Apache-2.0
"""PyDNet: Poggi, Aleotti, Tosi and Mattoccia, "Towards real-time unsupervised monocular depth
estimation on CPU", IROS 2018. A pyramid of six levels, each with a small decoder of its own.

The sixth level has 192 channels: with them the count is the published 1.97 M (1,971,624); the 196
of the paper's text would give 1,993,664.
"""

from __future__ import annotations

import copy
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from training.peers.interface import from_disparity
from training.students.interface import EXITS, ScaleOutput, kept_exits

ENCODER_CHANNELS = (16, 32, 64, 96, 128, 192)
DECODER_CHANNELS = (96, 64, 32, 8)
LARGEST_DISPARITY = 0.3
"""As a share of the image width."""


class Level(nn.Module):
    """Two 3x3 convolutions, the first with stride 2."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inp, out, 3, 2, 1)
        self.same = nn.Conv2d(out, out, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(self.same(F.leaky_relu(self.down(x), 0.2)), 0.2)


class Decoder(nn.Module):
    """Four 3x3 convolutions on a level's features and what the coarser level sends up."""

    def __init__(self, inp: int, from_below: bool) -> None:
        super().__init__()
        out = DECODER_CHANNELS[-1]
        self.up = nn.ConvTranspose2d(out, out, 2, 2) if from_below else None
        channels = (inp + out if from_below else inp, *DECODER_CHANNELS)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, 1, 1) for a, b in itertools.pairwise(channels)
        )

    def forward(self, x: torch.Tensor, below: torch.Tensor | None) -> torch.Tensor:
        if self.up is not None and below is not None:
            x = torch.cat([x, F.leaky_relu(self.up(below), 0.2)], 1)
        for conv in self.convs[:-1]:
            x = F.leaky_relu(conv(x), 0.2)
        return self.convs[-1](x)


class PyDNet(nn.Module):
    """The exits XS, S, M and L are the levels at strides 16, 8, 4 and 2. No classes."""

    def __init__(self) -> None:
        super().__init__()
        self.exit = EXITS[-1]
        channels = (3, *ENCODER_CHANNELS)
        self.levels = nn.ModuleList(Level(a, b) for a, b in itertools.pairwise(channels))
        coarsest = len(ENCODER_CHANNELS) - 1
        self.decoders = nn.ModuleList(
            Decoder(ENCODER_CHANNELS[i], from_below=i < coarsest) for i in range(coarsest, -1, -1)
        )

    def forward(self, image: torch.Tensor) -> list[ScaleOutput]:
        """(N, 3, H, W) normalised RGB, sides multiples of 64 -> outputs of the kept exits."""
        return [from_disparity(share) for (share,) in self.heads(image)]

    def heads(self, image: torch.Tensor) -> list[tuple[torch.Tensor]]:
        """Return the disparities as the paper has them: shares of the width, coarse to fine."""
        features = []
        for level in self.levels:
            image = level(image)
            features.append(image)
        outputs, below = [], None
        for index, decoder in enumerate(self.decoders):
            below = decoder(features[-1 - index], below)
            if index >= len(self.levels) - len(EXITS):
                outputs.append((LARGEST_DISPARITY * torch.sigmoid(below[:, :1]),))
        return outputs

    def detach(self, exit_name: str) -> PyDNet:
        """Return a copy that ends at `exit_name`; the encoder is whole in all of them."""
        network = copy.deepcopy(self)
        kept = len(self.levels) - len(EXITS) + len(kept_exits(exit_name))
        network.decoders = network.decoders[:kept]
        network.exit = exit_name
        return network
