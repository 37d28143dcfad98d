# SPDX-License-Identifier: Apache-2.0
"""PSMNet, stacked hourglass: Chang and Chen, "Pyramid Stereo Matching Network", CVPR 2018.

Written from the paper's sections 3.1-3.5 and its table 1. The attribute names are those of the
state dict of the authors' published weights, so that these load strictly. So are three choices
that the paper leaves open or states otherwise, settled by comparing disparities with lidar
(docs/lab/experiments_teachers.md): dilation 1 and 2 in the last two groups where the table has 2
and 4, no ReLU after a residual sum, and corner-aligned interpolation of the score.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

MAX_DISPARITY = 192
"""Disparities 0..191 px are told apart; a nearer object is seen wrongly (KITTI: under 2 m)."""
FEATURE_STRIDE = 4
POOLS = (64, 32, 16, 8)
"""Pooling windows of the spatial pyramid, in feature pixels."""


def conv_bn(conv: type[nn.Module], inputs: int, outputs: int, kernel: int, stride: int = 1,
            dilation: int = 1) -> nn.Sequential:  # fmt: skip
    """Return convolution (2-D or 3-D, size-keeping padding) and batch norm."""
    norm = nn.BatchNorm2d if conv is nn.Conv2d else nn.BatchNorm3d
    padding = dilation * (kernel // 2)
    layer = conv(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, norm(outputs))


def up_bn(inputs: int, outputs: int) -> nn.Sequential:
    """Return the 3-D transposed convolution that doubles every side, and batch norm."""
    layer = nn.ConvTranspose3d(inputs, outputs, 3, 2, 1, output_padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm3d(outputs))


def with_relu(*layers: nn.Module) -> nn.Sequential:
    """Return the layers with a ReLU after each."""
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU(inplace=True))))


def volume_conv(inputs: int = 32, outputs: int = 32, stride: int = 1) -> nn.Sequential:
    """Return a 3x3x3 convolution with batch norm."""
    return conv_bn(nn.Conv3d, inputs, outputs, 3, stride)


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., CVPR 2016), linear after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = with_relu(conv_bn(nn.Conv2d, inputs, outputs, 3, stride, dilation))
        self.conv2 = conv_bn(nn.Conv2d, outputs, outputs, 3, 1, dilation)
        same = inputs == outputs and stride == 1
        self.downsample = None if same else conv_bn(nn.Conv2d, inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.conv2(self.conv1(x)) + shortcut


def residual_group(
    inputs: int, outputs: int, blocks: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return `blocks` residual blocks; the first changes width and stride."""
    first = Residual(inputs, outputs, stride, dilation)
    rest = (Residual(outputs, outputs, 1, dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class Features(nn.Module):
    """Image (N, 3, H, W) -> features (N, 32, H/4, W/4), with a spatial pyramid of context."""

    def __init__(self) -> None:
        super().__init__()
        self.firstconv = with_relu(
            conv_bn(nn.Conv2d, 3, 32, 3, 2),
            conv_bn(nn.Conv2d, 32, 32, 3),
            conv_bn(nn.Conv2d, 32, 32, 3),
        )
        self.layer1 = residual_group(32, 32, 3)
        self.layer2 = residual_group(32, 64, 16, stride=2)
        self.layer3 = residual_group(64, 128, 3)
        self.layer4 = residual_group(128, 128, 3, dilation=2)
        for number, window in enumerate(POOLS, 1):
            context = nn.Sequential(
                nn.AvgPool2d(window), conv_bn(nn.Conv2d, 128, 32, 1), nn.ReLU(inplace=True)
            )
            setattr(self, f'branch{number}', context)
        self.lastconv = nn.Sequential(
            *with_relu(conv_bn(nn.Conv2d, 320, 128, 3)), nn.Conv2d(128, 32, 1, bias=False)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        fine = self.layer2(self.layer1(self.firstconv(image)))
        deep = self.layer4(self.layer3(fine))
        size = deep.shape[-2:]
        context = [
            F.interpolate(branch(deep), size, mode='bilinear', align_corners=True)
            for branch in (self.branch4, self.branch3, self.branch2, self.branch1)
        ]
        return self.lastconv(torch.cat([fine, deep, *context], 1))


class Hourglass(nn.Module):
    """One 3-D encoder-decoder of the stack, on (N, 32, D/4, H/4, W/4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = with_relu(volume_conv(32, 64, 2))
        self.conv2 = volume_conv(64, 64)
        self.conv3 = with_relu(volume_conv(64, 64, 2))
        self.conv4 = with_relu(volume_conv(64, 64))
        self.conv5 = up_bn(64, 64)
        self.conv6 = up_bn(64, 32)

    def forward(
        self, x: torch.Tensor, before: torch.Tensor | None, after: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return output, and the half-size activations on the way down and up.

        before: the first hourglass' way down, added on this one's way up; after: the previous
        one's way up, added on this one's way down. Both None in the first.
        """
        down = self.conv2(self.conv1(x))
        down = F.relu(down if after is None else down + after)
        up = self.conv5(self.conv4(self.conv3(down)))
        up = F.relu(up + (down if before is None else before))
        return self.conv6(up), down, up


def cost_volume(left: torch.Tensor, right: torch.Tensor, disparities: int) -> torch.Tensor:
    """Return (N, 2C, disparities, h, w): left features beside right ones shifted by 0, 1, ...

    Where the shift leaves the right image both halves are 0.
    """
    n, c, h, w = left.shape
    volume = left.new_zeros(n, 2 * c, disparities, h, w)
    for shift in range(min(disparities, w)):
        volume[:, :c, shift, :, shift:] = left[..., shift:]
        volume[:, c:, shift, :, shift:] = right[..., : w - shift]
    return volume


class PSMNet(nn.Module):
    """Left and right image (N, 3, H, W), H and W multiples of 16 -> matching score.

    forward gives the last hourglass' score (N, 1, 48, H/4, W/4), higher = better match;
    psmnet_disparity.py turns it into pixels. 5.22 M parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feature_extraction = Features()
        self.dres0 = with_relu(volume_conv(64), volume_conv())
        self.dres1 = nn.Sequential(*with_relu(volume_conv()), volume_conv())
        self.dres2, self.dres3, self.dres4 = Hourglass(), Hourglass(), Hourglass()
        self.classif1, self.classif2, self.classif3 = (self._score() for _ in range(3))

    @staticmethod
    def _score() -> nn.Sequential:
        last = nn.Conv3d(32, 1, 3, padding=1, bias=False)
        return nn.Sequential(*with_relu(volume_conv()), last)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        features = (self.feature_extraction(image) for image in (left, right))
        volume = cost_volume(*features, MAX_DISPARITY // FEATURE_STRIDE)
        base = self.dres0(volume)
        del volume  # the largest tensor: a third of the memory at the next step
        base = base + self.dres1(base)
        out, first_down, up = self.dres2(base, None, None)
        out = out + base
        score = self.classif1(out)
        out, _, up = self.dres3(out, first_down, up)
        out = out + base
        score = score + self.classif2(out)
        out, _, up = self.dres4(out, first_down, up)
        return score + self.classif3(out + base)
