# SPDX-License-Identifier: Apache-2.0
"""Our student: single-path 3x3 convolutions with ReLU, which a CPU runs closest to its ceiling.

In training each convolution is the sum of three linear branches (3x3, 1x1 and a scaled identity)
followed by one batch norm. All of them are linear, so `reparameterised()` folds them into one
biased 3x3 convolution. The branches are summed as kernels, not as feature maps: training costs
what the plain network costs. (The idea of training a plain network in a multi-branch form is from
Ding et al., "RepVGG", CVPR 2021; summing kernels instead of maps from Hu et al., "Online
convolutional re-parameterization", CVPR 2022.)
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from training.students.interface import (
    EXITS,
    GroundEmbedding,
    ScaleOutput,
    kept_exits,
    split_heads,
)


class BranchedConv(nn.Module):
    """3x3 + 1x1 + scaled identity, as one kernel; then batch norm and ReLU."""

    def __init__(self, inp: int, out: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.stride, self.dilation = stride, dilation
        self.kernel3 = nn.Parameter(torch.empty(out, inp, 3, 3))
        self.kernel1 = nn.Parameter(torch.zeros(out, inp))
        self.identity = nn.Parameter(torch.ones(out)) if inp == out else None
        self.norm = nn.BatchNorm2d(out)
        nn.init.kaiming_normal_(self.kernel3, nonlinearity='relu')

    def kernel(self) -> torch.Tensor:
        """Return the (out, in, 3, 3) kernel that equals the sum of the branches."""
        centre = self.kernel1
        if self.identity is not None:
            centre = centre + torch.diag(self.identity)
        return self.kernel3 + F.pad(centre[:, :, None, None], (1, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, self.kernel(), None, self.stride, self.dilation, self.dilation)
        return F.relu(self.norm(y), inplace=True)

    def fused(self) -> nn.Sequential:
        """Return the same function as one biased convolution and a ReLU (batch norm folded in)."""
        out, inp = self.kernel3.shape[:2]
        conv = nn.Conv2d(inp, out, 3, self.stride, self.dilation, self.dilation)
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        with torch.no_grad():
            conv.weight.copy_(self.kernel() * scale[:, None, None, None])
            conv.bias.copy_(norm.bias - norm.running_mean * scale)
        return nn.Sequential(conv, nn.ReLU(inplace=True))


class Heads(nn.Module):
    """Two 1x1 convolutions: G-space depth (with the expected error) and class scores."""

    def __init__(self, inp: int, classes: int, confidence: bool) -> None:
        super().__init__()
        self.confidence = confidence
        self.depth = nn.Conv2d(inp, 2 if confidence else 1, 1)
        self.semantic = nn.Conv2d(inp, classes, 1)

    def forward(self, x: torch.Tensor) -> ScaleOutput:
        return split_heads(self.depth(x), self.semantic(x), self.confidence)


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Double height and width by repeating pixels: exact in every runtime, and the cheapest."""
    return F.interpolate(x, scale_factor=2.0, mode='nearest')


class DecoderStage(nn.Module):
    """Bring coarse features to the skip's channels, double, add the skip, convolve; then heads.

    before: 'conv' (3x3), 'project' (1x1, where a 3x3 would cost a millisecond) or 'none'.
    """

    def __init__(
        self, inp: int, skip: int, out: int, heads: tuple[int, bool], before: str
    ) -> None:
        super().__init__()
        layers = {
            'none': nn.Identity,
            'project': lambda: nn.Conv2d(inp, skip, 1),
            'conv': lambda: BranchedConv(inp, skip),
        }
        self.before = layers[before]()
        self.after = BranchedConv(skip, out)
        self.heads = Heads(out, *heads)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> tuple[torch.Tensor, ScaleOutput]:
        x = self.after(upsample(self.before(x)) + skip)
        return x, self.heads(x)


class PlainStudent(nn.Module):
    """Plain student: 16 channels at stride 2, 32 at 4, 64 below; additive skips; four exits.

    Most layers sit at strides 16 and 32, where a 64-channel 3x3 costs 22 or 5.5 MMAC at 480x320.
    """

    def __init__(self, classes: int = 19, confidence: bool = True) -> None:
        super().__init__()
        self.exit = EXITS[-1]
        self.encoder = nn.ModuleList(
            [
                BranchedConv(3, 16, 2),
                BranchedConv(16, 32, 2),
                BranchedConv(32, 64, 2),
                nn.ModuleList([BranchedConv(64, 64, 2), BranchedConv(64, 64)]),
                nn.ModuleList(
                    [
                        BranchedConv(64, 64, 2),
                        BranchedConv(64, 64, dilation=2),
                        BranchedConv(64, 64, dilation=4),  # sees the whole 10x15 map
                    ]
                ),
            ]
        )
        self.ground = nn.ModuleList([GroundEmbedding(64, 16), GroundEmbedding(64, 32)])
        heads = (classes, confidence)
        self.stages = nn.ModuleList(
            [
                DecoderStage(64, 64, 64, heads, before='none'),
                DecoderStage(64, 64, 32, heads, before='conv'),
                DecoderStage(32, 32, 32, heads, before='none'),
                DecoderStage(32, 16, 16, heads, before='project'),
            ]
        )

    def forward(self, image: torch.Tensor, ground: torch.Tensor) -> list[ScaleOutput]:
        """See Student.__call__."""
        x, features = image, []
        for block in self.encoder[:3]:
            x = block(x)
            features.append(x)
        for block, embedding in zip(self.encoder[3:], self.ground, strict=True):
            x = embedding(block[0](x), ground)
            for layer in block[1:]:
                x = layer(x)
            features.append(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x, out = stage(x, features[-2 - index])
            outputs.append(out)
        return outputs

    def detach(self, exit_name: str) -> PlainStudent:
        """Return a copy cut after `exit_name`: it holds and computes nothing finer."""
        student = copy.deepcopy(self)
        student.stages = student.stages[: len(kept_exits(exit_name))]
        student.exit = exit_name
        return student

    def reparameterised(self) -> PlainStudent:
        """Return a copy in inference form: every branched convolution is one plain convolution."""
        student = copy.deepcopy(self).eval()
        for parent in list(student.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, BranchedConv):
                    setattr(parent, name, child.fused())
        return student
