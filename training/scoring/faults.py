# SPDX-License-Identifier: Apache-2.0
"""Image faults a robot's camera has, and views of another focal length, as wrapped predictors.

A fault or a zoom turns one Predictor into another, so each is scored like the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.mount import Mount
from training.scoring.fullframe import FullFrame, Predictor

Fault = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 RGB -> the same shape and type, faulty; the same input gives the same output."""


def brightness(gain: float) -> Fault:
    """Multiply grey values, as a wrong exposure does; what exceeds 255 is lost."""
    return lambda rgb: cv2.convertScaleAbs(rgb, alpha=gain)


def blur(sigma_px: float) -> Fault:
    """Blur by a Gaussian: a camera out of focus."""
    return lambda rgb: cv2.GaussianBlur(rgb, (0, 0), sigma_px)


def noise(sigma: float) -> Fault:
    """Add Gaussian noise of `sigma` grey levels to every channel: a sensor at night."""

    def noisy(rgb: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(crc32(rgb.tobytes()))
        value = rgb + rng.normal(0, sigma, rgb.shape).astype(np.float32)
        return np.clip(np.round(value), 0, 255).astype(np.uint8)

    return noisy


def jpeg(quality: int) -> Fault:
    """Compress and decompress: image transport over a thin link."""

    def compressed(rgb: np.ndarray) -> np.ndarray:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    return compressed


FAULTS: dict[str, Fault] = {
    'brightness x 0.4': brightness(0.4),
    'brightness x 1.6': brightness(1.6),
    'blur, sigma 2 px': blur(2.0),
    'noise, sigma 15': noise(15.0),
    'JPEG, quality 15': jpeg(15),
}
"""Faults that `training.evaluate --robot` measures; pixels are those of the camera image."""


def faulty(predictor: Predictor, fault: Fault) -> Predictor:
    """Return the predictor seeing every image through `fault`."""
    return lambda rgb, camera, far_m, mount=None: predictor(fault(rgb), camera, far_m, mount)


def zoomed(predictor: Predictor, factor: float) -> Predictor:
    """Return the predictor seeing the middle 1/factor of each side, as a longer lens would.

    The image grows on the network's input, the metres do not change. The answer lies where the
    middle was; around it there is none.
    """

    def predict(
        rgb: np.ndarray, camera: Camera, far_m: float, mount: Mount | None = None
    ) -> FullFrame:
        height, width = round(camera.height / factor), round(camera.width / factor)
        y0, x0 = (camera.height - height) // 2, (camera.width - width) // 2
        middle = np.ascontiguousarray(rgb[y0 : y0 + height, x0 : x0 + width])
        inner = predictor(middle, camera.cropped(x0, y0, width, height), far_m, mount)
        window = np.s_[y0 : y0 + height, x0 : x0 + width]
        outer = FullFrame(
            np.full(camera.size_hw, np.nan, np.float32),
            np.full(camera.size_hw, UNLABELLED, np.uint8),
            np.full(camera.size_hw, np.nan, np.float32),
        )
        outer.depth_m[window] = inner.depth_m
        outer.label_id[window] = inner.label_id
        outer.confidence[window] = inner.confidence
        return outer

    return predict
