# SPDX-License-Identifier: Apache-2.0
"""From PSMNet's matching score to disparity in pixels, and how sure it is of it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from training.teachers.psmnet_network import MAX_DISPARITY

CONFIDENT_FACTOR = 1.25
"""Confidence is the chance that depth is right within this factor, as in lightdepth_ros."""


def disparity_distribution(score: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """Enlarge the score (N, 1, d, h, w) to (N, 192, *size_hw) and softmax it over disparity."""
    size = (MAX_DISPARITY, *size_hw)
    full = F.interpolate(score.float(), size, mode='trilinear', align_corners=True)
    return F.softmax(full[:, 0], dim=1)


def summarise(
    score: torch.Tensor, size_hw: tuple[int, int], rows: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a score (1, 1, d, h, w) into (H, W) float32 disparity in px and uint8 confidence.

    `rows` image rows at a time: the distribution of a whole KITTI frame would take 370 MB.
    """
    disparity = np.empty(size_hw, np.float32)
    confidence = np.empty(size_hw, np.uint8)
    position = torch.linspace(0, score.shape[-2] - 1, size_hw[0], device=score.device)
    lower = position.floor().long().clamp(max=max(score.shape[-2] - 2, 0))
    upper = (lower + 1).clamp(max=score.shape[-2] - 1)
    share = (position - lower)[:, None]
    score = score.float()
    for top in range(0, size_hw[0], rows):
        part = slice(top, min(top + rows, size_hw[0]))
        low, high = score[..., lower[part], :], score[..., upper[part], :]
        block = torch.lerp(low, high, share[part])
        chances = disparity_distribution(block, (part.stop - top, size_hw[1]))[0]
        mean, mass = mean_and_mass(chances)
        disparity[part] = mean.cpu().numpy()
        confidence[part] = (mass * 255).round().clamp(0, 255).byte().cpu().numpy()
    return disparity, confidence


def mean_and_mass(chances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (H, W) mean disparity and the chance that depth is within a factor 1.25 of it.

    chances: (D, H, W), summing to 1; disparity k stands for the interval [k - 0.5, k + 0.5].
    """
    steps = torch.arange(len(chances), dtype=chances.dtype, device=chances.device)
    mean = torch.einsum('dhw,d->hw', chances, steps)
    below = torch.cat([torch.zeros_like(chances[:1]), chances.cumsum(0)])

    def chance_below(disparity: torch.Tensor) -> torch.Tensor:
        edge = (disparity + 0.5).clamp(0, len(chances))
        index = edge.long().clamp(max=len(chances) - 1)[None]
        return (below.gather(0, index) + (edge - index) * chances.gather(0, index))[0]

    return mean, chance_below(mean * CONFIDENT_FACTOR) - chance_below(mean / CONFIDENT_FACTOR)
