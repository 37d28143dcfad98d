# SPDX-License-Identifier: Apache-2.0
"""Which points of a prediction lie where nothing is, told from exact depth."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lightdepth_ros.camera import Camera

JUMP = 1.25
"""Within AROUND output pixels the truth jumps by more than this factor: an edge."""
AROUND = 1.5
GAP = 0.1
"""A flying point is further than this in ln depth from everything that is really there."""
SMOOTH_PX = 25
"""The error of whole surfaces, taken out first, is a mean over this many output pixels."""
SKY_M = 200.0
"""Where the truth has no value, which in rendered scenes is the sky."""


class Truth(NamedTuple):
    """Per output pixel, (h, w) bool: has a depth; lies at an edge of the truth; is flying."""

    finite: np.ndarray
    at_edge: np.ndarray
    flying: np.ndarray


def classify(depth_m: np.ndarray, camera: Camera, truth_m: np.ndarray, truth: Camera) -> Truth:
    """Tell what the points of a prediction are.

    depth_m: (h, w) float32 metres with `camera`; only finite ones are points. truth_m: (H, W)
    float32 metres, 0 = sky, with `truth`. A point is flying where it lies at an edge, between the
    nearest and the farthest true depth around it, and GAP away from all of them. Before, the error
    that it shares with its surroundings is taken out: a surface at a wrong distance is no edge.
    """
    scale = truth.fx / camera.fx
    reach = max(1, round(AROUND * scale))
    log_truth = np.log(np.where(truth_m > 0, np.minimum(truth_m, SKY_M), SKY_M)).astype(np.float32)
    u = np.rint((np.arange(camera.width) - camera.cx) * scale + truth.cx).astype(int)
    v = np.rint((np.arange(camera.height) - camera.cy) * scale + truth.cy).astype(int)
    at = np.ix_(np.clip(v, 0, truth.height - 1), np.clip(u, 0, truth.width - 1))
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    low, high = cv2.erode(log_truth, square)[at], cv2.dilate(log_truth, square)[at]
    at_edge = high - low > np.log(JUMP)
    finite = np.isfinite(depth_m) & (depth_m > 0)
    log = np.log(np.where(finite, depth_m, 1))
    log -= _shared(log - log_truth[at], finite & ~at_edge)
    nearest = _least_difference(log, log_truth, at, reach)
    between = (log > low) & (log < high)
    return Truth(finite, at_edge, finite & at_edge & between & (nearest > GAP))


def _shared(error: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the mean of `error` over the known pixels around each pixel."""
    size = (SMOOTH_PX, SMOOTH_PX)
    weight = cv2.blur(known.astype(np.float32), size)
    total = cv2.blur(np.where(known, np.clip(error, -0.7, 0.7), 0).astype(np.float32), size)
    everywhere = float(np.median(error[known])) if known.any() else 0.0
    return np.where(weight > 0.02, total / np.maximum(weight, 1e-6), everywhere)


def _least_difference(
    log: np.ndarray, log_truth: np.ndarray, at: tuple[np.ndarray, ...], reach: int
) -> np.ndarray:
    padded = cv2.copyMakeBorder(log_truth, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    least = np.full(log.shape, np.inf)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            least = np.minimum(least, np.abs(log - padded[at[0] + dy, at[1] + dx]))
    return least
