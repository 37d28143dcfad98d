# SPDX-License-Identifier: Apache-2.0
"""The paper's student: MobileNetV2 at width 0.35 and four pixel-shuffle decoder stages.

Source: Chiu et al., ICPR 2020, and the encoder of Sandler et al., "MobileNetV2", CVPR 2018.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn

from training.students.interface import (
    EXITS,
    GroundEmbedding,
    ScaleOutput,
    kept_exits,
    split_heads,
)

ENCODER_BLOCKS = (
    # (channels out, stride, channels of the hidden layer as a multiple of the input)
    (8, 1, 1),
    (8, 2, 6), (8, 1, 6),
    (16, 2, 6), (16, 1, 6), (16, 1, 6),
    (24, 2, 6), (24, 1, 6), (24, 1, 6), (24, 1, 6), (32, 1, 6), (32, 1, 6), (32, 1, 6),
    (56, 2, 6), (56, 1, 6), (56, 1, 6), (112, 1, 6),
)  # fmt: skip
SKIP_AFTER_BLOCK = (0, 2, 5, 9)
"""Blocks whose outputs feed the decoder, at strides 2, 4, 8 and 16 (8, 8, 16 and 24 channels)."""
GROUND_AFTER_BLOCK = {6: 16, 13: 32}
"""Blocks whose outputs are told where the ground is (ours), and their strides."""
STAGES = ((24, 4), (16, 3), (8, 3), (8, 2))
"""Width and number of inverted residuals of each decoder stage, XS first."""


def conv_bn(inp: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a bias-free convolution and batch norm (epsilon as in Keras)."""
    return nn.Sequential(
        nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
    )


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1; add the input if shapes allow."""

    def __init__(self, inp: int, out: int, stride: int = 1, expansion: int = 6) -> None:
        super().__init__()
        hidden = inp * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [conv_bn(inp, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(inplace=True)]
        layers += [conv_bn(hidden, out, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inp == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layers(x)
        return x + y if self.residual else y


class DecoderStage(nn.Module):
    """Pixel shuffle by 2, inverted residuals, two 1x1 heads; the skip joins afterwards."""

    def __init__(self, inp: int, width: int, blocks: int, classes: int, confidence: bool) -> None:
        super().__init__()
        self.confidence = confidence
        self.shuffle = nn.PixelShuffle(2)
        channels = [inp // 4] + [width] * blocks
        self.blocks = nn.Sequential(*(InvertedResidual(a, b) for a, b in pairwise(channels)))
        self.depth = nn.Conv2d(width, 2 if confidence else 1, 1)
        self.semantic = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ScaleOutput]:
        x = self.blocks(self.shuffle(x))
        return x, split_heads(self.depth(x), self.semantic(x), self.confidence)


class PaperStudent(nn.Module):
    """The paper's network; 323,016 parameters with 19 classes as Keras counts them.

    confidence: add one 1x1 output per stage for the expected error (ours; 60 parameters).
    """

    def __init__(self, classes: int = 19, confidence: bool = False) -> None:
        super().__init__()
        self.exit = EXITS[-1]
        self.stem = nn.Sequential(conv_bn(3, 16, 3, 2), nn.ReLU6(inplace=True))
        blocks, inp = [], 16
        for out, stride, expansion in ENCODER_BLOCKS:
            blocks.append(InvertedResidual(inp, out, stride, expansion))
            inp = out
        self.encoder = nn.ModuleList(blocks)
        self.ground = nn.ModuleDict(
            {
                str(index): GroundEmbedding(ENCODER_BLOCKS[index][0], stride)
                for index, stride in GROUND_AFTER_BLOCK.items()
            }
        )
        skips = [ENCODER_BLOCKS[i][0] for i in reversed(SKIP_AFTER_BLOCK)]
        stages = []
        for (width, count), skip in zip(STAGES, skips, strict=True):
            stages.append(DecoderStage(inp, width, count, classes, confidence))
            inp = width + skip
        self.stages = nn.ModuleList(stages)

    def forward(
        self, image: torch.Tensor, ground: torch.Tensor | None = None
    ) -> list[ScaleOutput]:
        """See Student.__call__. ground: None = the network as the paper has it."""
        x, skips = self.stem(image), []
        for index, block in enumerate(self.encoder):
            x = block(x)
            if index in GROUND_AFTER_BLOCK and ground is not None:
                x = self.ground[str(index)](x, ground)
            if index in SKIP_AFTER_BLOCK:
                skips.append(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x, out = stage(x)
            outputs.append(out)
            if index + 1 < len(self.stages):  # nothing uses the concatenation of the last stage
                x = torch.cat([x, skips[-1 - index]], 1)
        return outputs

    def detach(self, exit_name: str) -> PaperStudent:
        """Return a copy cut after `exit_name`: it holds and computes nothing finer."""
        student = copy.deepcopy(self)
        student.stages = student.stages[: len(kept_exits(exit_name))]
        student.exit = exit_name
        return student
