# SPDX-License-Identifier: Apache-2.0
"""Depth + camera (+ colours, labels, confidence) -> an organised point cloud; no messages."""

from __future__ import annotations

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.prediction import Prediction

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

_FLOATS = POINT.itemsize // 4


def points(
    prediction: Prediction, rgb: np.ndarray | None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return the (h, w) POINT cloud of a prediction, pixel for pixel.

    x, y and z are NaN where the depth is not finite (unknown, sky, out of range). Without `rgb`,
    (h, w, 3) uint8, points are black; without labels they are 255, without confidence 255.
    `out`: an array that an earlier call returned, to be overwritten; ignored if its size differs.
    Raises BadCameraError for an uncalibrated camera.
    """
    if prediction.camera is None:
        raise BadCameraError(
            'a point cloud needs a calibrated camera: give its intrinsics or its field of view'
        )
    cloud = _buffer(prediction.camera, out)
    height, width = cloud.shape
    floats = cloud.view(np.float32).reshape(height, width, _FLOATS)
    depth_m = prediction.depth_m
    fill_positions(
        floats, prediction.camera, np.where(np.isfinite(depth_m), depth_m, np.float32(np.nan))
    )
    words = floats.view(np.uint32)
    words[..., 3] = 0 if rgb is None else packed_rgb(rgb)
    label, confidence = prediction.label_id, prediction.confidence
    cloud['label'] = UNLABELLED if label is None else label
    cloud['confidence'] = 255 if confidence is None else confidence
    return cloud


def fill_positions(out: np.ndarray, camera: Camera, z: np.ndarray) -> None:
    """Write x, y and z of (h, w) float32 depths `z` into the first words of (h, w, n) float32."""
    rays = camera.rays()
    origin_m = (camera.origin_x_m, camera.origin_y_m)
    for axis in (0, 1):  # one broadcast product over both axes would take five times as long
        np.multiply(rays[..., axis], z, out=out[..., axis])
        if origin_m[axis]:
            out[..., axis] += np.float32(origin_m[axis])
    out[..., 2] = z


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


def _buffer(camera: Camera, out: np.ndarray | None) -> np.ndarray:
    if out is not None and out.shape == camera.size_hw and out.dtype == POINT:
        return out
    return np.zeros(camera.size_hw, POINT)
