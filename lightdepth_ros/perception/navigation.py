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
from lightdepth_ros.perception.cloud import finite_or_nan, interleaved, position_planes
from lightdepth_ros.perception.prediction import Prediction

POSITION = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4')])
"""As in cloud.POINT, and nothing else: a costmap reads positions alone, and a cloud of 240x160
fits into a shared memory segment of Fast DDS's default size, 512 KiB."""


def class_mask(names: Iterable[str]) -> np.ndarray:
    """Return (256,) bool by label id: True for the classes of these names; '' is no class."""
    mask = np.zeros(256, bool)
    for name in names:
        if name:
            mask[CLASS_ID[name]] = True
    return mask


def obstacle_points(
    prediction: Prediction, passable: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return the (h, w) POSITION of a prediction without where one may drive.

    passable: (256,) bool by label id; x y z are NaN there, and where the depth is not finite.
    Pixels without a label stay: what is not known to be ground may be an obstacle.
    `out`: as in cloud.points.
    """
    return _positions(prediction, finite_or_nan(prediction.depth_m), passable, out)


def clearing_points(
    prediction: Prediction, far_m: float, ignored: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return the (h, w) POSITION of a prediction, with points where it sees infinitely far.

    Pixels of depth +Inf get the point of their ray at depth `far_m`; unknown pixels and those
    nearer than the range are NaN, and so are the classes `ignored`, (256,) bool by label id.
    `out`: as in cloud.points.
    """
    z = prediction.depth_m.copy()
    np.putmask(z, z == np.inf, far_m)
    np.putmask(z, z == -np.inf, np.nan)
    return _positions(prediction, z, ignored, out)


def _positions(
    prediction: Prediction, z: np.ndarray, without: np.ndarray, out: np.ndarray | None
) -> np.ndarray:
    """Return the (h, w) POSITION at depths `z`, (h, w) float32, without some classes.

    The prediction has a camera: there is no cloud otherwise.
    """
    assert prediction.camera is not None
    if prediction.label_id is not None and without.any():
        # A sum with NaN is three times as fast as writing NaN where a mask says so.
        unknown = np.where(without, np.float32(np.nan), np.float32(0))
        z += cv2.LUT(np.ascontiguousarray(prediction.label_id), unknown)
    return interleaved(position_planes(prediction.camera, z), POSITION, out)
