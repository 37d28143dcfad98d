# SPDX-License-Identifier: Apache-2.0
"""Clouds for costmaps: what to mark and what to clear; no messages.

Nav2's costmap layers drop points that are not finite, so free space up to the sky or beyond the
range has to be said with points: the clearing cloud puts them far away on the same rays.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.cloud import POINT
from lightdepth_ros.prediction import Prediction


def class_mask(names: Iterable[str]) -> np.ndarray:
    """Return (256,) bool by label id: True for the classes of these names; '' is no class."""
    mask = np.zeros(256, bool)
    for name in names:
        if name:
            mask[CLASS_ID[name]] = True
    return mask


def obstacle_points(cloud: np.ndarray, passable: np.ndarray) -> np.ndarray:
    """Return a copy of an (h, w) cloud.POINT array without positions where one may drive.

    passable: (256,) bool by label id; x y z become NaN there. Pixels without a label stay: what
    is not known to be ground may be an obstacle.
    """
    obstacles = _copy(cloud)
    _blank(obstacles, cloud, passable)
    return obstacles.view(POINT)[..., 0]


def clearing_points(
    cloud: np.ndarray, prediction: Prediction, far_m: float, ignored: np.ndarray
) -> np.ndarray:
    """Return a copy of a prediction's (h, w) cloud with points where it sees infinitely far.

    Pixels of depth +Inf get the point of their ray at depth `far_m`; unknown pixels and those
    nearer than the range stay NaN, and so do the classes `ignored`, (256,) bool by label id.
    """
    assert prediction.camera is not None  # there would be no cloud
    clearing = _copy(cloud)
    z = np.where(np.isposinf(prediction.depth_m), np.float32(far_m), clearing[..., 2])
    rays = prediction.camera.rays()
    origin_m = (prediction.camera.origin_x_m, prediction.camera.origin_y_m)
    for axis in (0, 1):
        np.multiply(rays[..., axis], z, out=clearing[..., axis])
        if origin_m[axis]:
            clearing[..., axis] += np.float32(origin_m[axis])
    clearing[..., 2] = z
    _blank(clearing, cloud, ignored)
    return clearing.view(POINT)[..., 0]


def _copy(cloud: np.ndarray) -> np.ndarray:
    """Copy (h, w) points as (h, w, 5) float32 words: NumPy copies structs field by field, which
    takes ten times as long."""
    words: np.ndarray = np.ascontiguousarray(cloud).view(np.float32)
    return words.reshape(*cloud.shape, POINT.itemsize // 4).copy()


def _blank(words: np.ndarray, cloud: np.ndarray, classes: np.ndarray) -> None:
    """Take the positions of these classes, (256,) bool, out of the copied `words` of `cloud`."""
    if not classes.any():
        return
    # A sum with NaN is three times as fast as writing NaN where a mask says so.
    unknown = cv2.LUT(
        np.ascontiguousarray(cloud['label']), np.where(classes, np.float32(np.nan), np.float32(0))
    )
    for axis in range(3):
        words[..., axis] += unknown
