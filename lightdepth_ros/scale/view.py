# SPDX-License-Identifier: Apache-2.0
"""Predictions for measuring: where in the camera image each output pixel looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.perception.prediction import Prediction


@dataclass(frozen=True)
class Seen:
    """One image with its prediction at (h, w).

    source_uv   (h, w, 2) float64: the pixel of the camera image (as recorded, distorted) that
                each output pixel looks at; NaN where a lens sees nothing.
    calibrated  whether the prediction's camera is the real one; else only source_uv is right.
    """

    name: str
    prediction: Prediction
    camera: Camera
    rgb: np.ndarray
    source_uv: np.ndarray
    calibrated: bool

    @property
    def range_factor(self) -> np.ndarray:
        """(h, w) straight distance from the lens over depth along the axis; 1 if uncalibrated."""
        if not self.calibrated:
            return np.ones(self.prediction.depth_m.shape, np.float32)
        rays = self.camera.rays()
        factor: np.ndarray = np.sqrt(1 + rays[..., 0] ** 2 + rays[..., 1] ** 2)
        return factor


def look(perception: Perception, name: str, rgb: np.ndarray, view: Camera | Lens | None) -> Seen:
    """Predict depth and labels of (H, W, 3) uint8 RGB. Raises BadImageError, BadCameraError."""
    outputs = ('depth', 'label', 'rgb')
    frame = perception.predict(rgb, view, outputs)
    assert frame.rgb is not None
    known = view
    camera = frame.prediction.camera
    if known is None or camera is None:  # any camera shows where the pixels come from
        known = Camera.from_fov(rgb.shape[1], rgb.shape[0], 60.0)
        camera = perception.predict(rgb, known, ('rgb',)).prediction.camera
        assert camera is not None
    uv = source_pixels(camera, known)
    return Seen(name, frame.prediction, camera, frame.rgb, uv, view is not None)


def source_pixels(camera: Camera, view: Camera | Lens) -> np.ndarray:
    """Return (h, w, 2): the pixel of the image of `view` for each pixel of `camera`."""
    rays = camera.rays().astype(np.float64)
    x, y = rays[..., 0], rays[..., 1]
    source = view.camera if isinstance(view, Lens) else view
    if isinstance(view, Lens):
        x, y = view.distort(x, y)
    return np.stack([source.fx * x + source.cx, source.fy * y + source.cy], axis=-1)
