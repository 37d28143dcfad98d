# SPDX-License-Identifier: Apache-2.0
"""Range returns of surfaces that the camera cannot see."""

from __future__ import annotations

import cv2
import numpy as np

LIDAR_OFFSET_M = 0.10
"""KITTI's lidar sits 0.08 m above and 0.06 m beside the left colour camera."""
HIDDEN_RATIO = 1.2
NARROWEST_PX = 3


def hidden_returns(
    lidar_m: np.ndarray,
    focal_px: float,
    offset_m: float = LIDAR_OFFSET_M,
    ratio: float = HIDDEN_RATIO,
) -> np.ndarray:
    """Return (H, W) bool: lidar returns of surfaces that the camera cannot see.

    A lidar beside the camera looks past the edge of an object and hits what is behind it;
    projected into the image that return lies on the object, at most
    focal * offset / (object's depth) pixels inside its outline. So a return is hidden when another
    one within that distance of it is nearer by more than `ratio`. (On ground seen from 1.65 m
    neighbours differ by less: at most 1 + offset / 1.65.)

    lidar_m: (H, W) float32 metres, 0 = no value. offset_m: distance from lidar to camera, seen
    along the view.
    """
    nothing = np.float32(1e9)
    depth = np.where(lidar_m > 0, lidar_m, nothing)
    hidden = np.zeros(lidar_m.shape, bool)
    radius, largest = NARROWEST_PX, max(lidar_m.shape)
    while radius <= largest:
        objects = depth  # the narrowest window covers rounding and the size of a pixel
        if radius > NARROWEST_PX:
            objects = np.where(depth < focal_px * offset_m / radius, depth, nothing)
            if objects.min() == nothing:
                break
        window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        hidden |= lidar_m > ratio * cv2.erode(objects, window)
        radius = int(np.ceil(radius * 1.4))
    return hidden
