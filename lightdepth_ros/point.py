# SPDX-License-Identifier: Apache-2.0
"""One point of a cloud: its fields, and how its colour is packed."""

from __future__ import annotations

import cv2
import numpy as np

POINT = np.dtype(
    {
        'names': ['x', 'y', 'z', 'rgb', 'label', 'confidence'],
        'formats': ['<f4', '<f4', '<f4', '<f4', 'u1', 'u1'],
        'offsets': [0, 4, 8, 12, 16, 17],
        'itemsize': 20,
    }
)
"""x, y, z in metres in the camera's optical frame (x right, y down, z forward; REP-103).
rgb: the bits of (r << 16 | g << 8 | b) in a float32, as PCL packs colours.
label: Cityscapes train id, 255 = unlabelled. confidence: 0..255 as in Prediction."""


def packed_rgb(rgb: np.ndarray) -> np.ndarray:
    """Turn (h, w, 3) uint8 RGB into (h, w) uint32 of r << 16 | g << 8 | b."""
    packed: np.ndarray = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA).view('<u4')[..., 0] & 0xFFFFFF
    return packed


def unpacked_rgb(cloud: np.ndarray) -> np.ndarray:
    """Return the (..., 3) uint8 RGB of points."""
    words = np.ascontiguousarray(cloud['rgb']).view('<u4')
    return np.stack([words >> 16 & 255, words >> 8 & 255, words & 255], axis=-1).astype(np.uint8)


def finite_points(cloud: np.ndarray) -> np.ndarray:
    """Return the (n,) points of a cloud that have a position."""
    kept: np.ndarray = cloud[np.isfinite(cloud['z'])]
    return kept
