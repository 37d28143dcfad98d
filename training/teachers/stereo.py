# SPDX-License-Identifier: Apache-2.0
"""What the stereo teachers share: disparity and depth, and what the right camera cannot see.

Limits of any rectified pair, with focal length f px and baseline B m:

* depth = f B / disparity, so an error of e px is an error of depth^2 e / (f B) metres: on KITTI
  (f B = 384 px m) half a pixel is 0.5 m at 20 m and 8 m at 80 m. Nothing at a disparity below
  `NEAREST_TO_ZERO_PX` gets a depth.
* A surface that a nearer one hides from the right camera, and the strip at the left border that
  lies outside the right image, have no match: `occluded` finds them.
"""

from __future__ import annotations

import cv2
import numpy as np

from lightdepth_ros.errors import DataError
from training.datasets.sample import Sample

NEAREST_TO_ZERO_PX = 0.5
"""A smaller disparity is within the matching error of infinity: no value."""


def require_pair(sample: Sample) -> tuple[np.ndarray, float]:
    """Return the right image (H, W, 3) uint8 and f B in pixel metres, or say what is missing."""
    right, baseline_m, camera = sample.right_rgb, sample.baseline_m, sample.camera
    if right is None or not baseline_m or baseline_m <= 0 or camera is None:
        raise DataError(
            f'{sample.name} has right image: {right is not None}, baseline: {baseline_m} m, '
            f'calibration: {camera is not None}; a stereo teacher needs all three. Open a data '
            'set of rectified pairs (kitti-stereo, kitti-raw-stereo, ...), or use a monocular '
            'teacher (transformers:FOLDER)'
        )
    if right.shape != sample.rgb.shape:
        raise DataError(
            f'{sample.name}: the left image is {sample.rgb.shape}, the right one {right.shape}; '
            'a rectified pair has one size'
        )
    return right, camera.fx * baseline_m


def depth_from_disparity(disparity_px: np.ndarray, focal_baseline: float) -> np.ndarray:
    """Turn (H, W) float px into (H, W) float32 metres; 0 = no value, also of the input.

    focal_baseline: fx in pixels times the baseline in metres.
    """
    known = disparity_px >= NEAREST_TO_ZERO_PX
    depth = np.zeros(disparity_px.shape, np.float32)
    np.divide(focal_baseline, disparity_px, out=depth, where=known, casting='unsafe')
    return depth


def occluded(disparity_px: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: left pixels that have no partner in the right image.

    A pixel at column x is seen by the right camera at x - d. It is hidden when another pixel of
    its row lands there, or beside it, with a disparity larger by more than 1 px and 3 % (steep
    surfaces and noise stay below that), and it is outside when x - d < 0. Uses the left
    disparity only, so a wrong disparity is not found.
    """
    height, width = disparity_px.shape
    target = np.rint(np.arange(width) - disparity_px).astype(np.int64)
    inside = (target >= 0) & (target < width)
    rows = np.broadcast_to(np.arange(height)[:, None], target.shape)
    winner = np.zeros((height, width), np.float32)
    np.maximum.at(winner, (rows[inside], target[inside]), disparity_px[inside])
    winner = cv2.dilate(winner, np.ones((1, 3), np.uint8))
    hidden = ~inside
    hidden[inside] = winner[rows[inside], target[inside]] > disparity_px[inside] * 1.03 + 1
    return hidden
