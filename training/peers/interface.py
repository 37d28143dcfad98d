# SPDX-License-Identifier: Apache-2.0
"""How a compared network is put behind the students' interface.

The peers predict depth as their papers do: disparity as a share of the image width, or metres.
Both are turned into G's space, so that distillation, metrics and export treat them as students.
"""

from __future__ import annotations

import torch

from training.model.losses import log_map
from training.students.interface import EXITS, ScaleOutput, kept_exits

DISPARITY_M = 600.0 * 0.54
"""Metres times pixels of disparity at the canonical focal length, for KITTI's stereo baseline of
0.54 m: depth = f * B / disparity (the papers train with that camera pair)."""
SMALLEST_M = 1e-3


def from_disparity(share: torch.Tensor, logits: torch.Tensor | None = None) -> ScaleOutput:
    """Return the output of a head that predicts disparity, (N, 1, h, w), as a share of the width.

    logits: (N, classes, h, w), or None for a network without classes.
    """
    depth_m = DISPARITY_M / (share * share.shape[-1]).clamp_min(1e-3)
    return from_metres(depth_m, logits)


def from_metres(depth_m: torch.Tensor, logits: torch.Tensor | None = None) -> ScaleOutput:
    """Return the output of a head that predicts metres, (N, 1, h, w); at least a millimetre."""
    if logits is None:
        logits = depth_m.new_zeros((depth_m.shape[0], 0, *depth_m.shape[2:]))
    return ScaleOutput(log_map(depth_m.clamp_min(SMALLEST_M)), logits, None)


def check_single_exit(exit_name: str, network: str) -> None:
    """Raise ValueError for any exit but the finest: `network` has one output."""
    kept_exits(exit_name)
    if exit_name != EXITS[-1]:
        raise ValueError(f'{network} has one output, exit {EXITS[-1]}; it has no {exit_name}')
