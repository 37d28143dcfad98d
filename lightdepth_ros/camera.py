# SPDX-License-Identifier: Apache-2.0
"""A pinhole camera in pixels: how it changes under crops and scaling, and its viewing rays."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lightdepth_ros.errors import BadCameraError


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a rectified pinhole camera for an image of `height` x `width` pixels.

    Pixel centres have integer coordinates: the middle of the top left pixel is (0, 0), as in
    OpenCV and sensor_msgs/CameraInfo. `fx fy cx cy` are in pixels of this very image size.
    `origin_x_m origin_y_m`: where the optical centre lies in the frame that points are given in.
    Zero, but for the second camera of a rectified stereo pair, whose frame is the first one's.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    origin_x_m: float = 0.0
    origin_y_m: float = 0.0

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise BadCameraError(
                f'the camera image is {self.width}x{self.height}; both sides must be positive'
            )
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(math.isfinite(n) for n in numbers) or self.fx <= 0 or self.fy <= 0:
            raise BadCameraError(
                f'focal length fx={self.fx}, fy={self.fy}, centre {self.cx}, {self.cy}: they '
                'must be finite and the focal lengths positive. A camera_info with K=0 means '
                '"not calibrated": calibrate the camera.'
            )
        if not (math.isfinite(self.origin_x_m) and math.isfinite(self.origin_y_m)):
            raise BadCameraError(
                f'the optical centre is at {self.origin_x_m}, {self.origin_y_m} m; it must be '
                'finite. Correct the fourth column of P in camera_info.'
            )

    @classmethod
    def from_fov(cls, width: int, height: int, horizontal_fov_deg: float) -> Camera:
        """Return an ideal camera with square pixels, centred, seeing `horizontal_fov_deg`
        across."""
        if not 1.0 <= horizontal_fov_deg < 180.0:
            raise BadCameraError(
                f'horizontal field of view is {horizontal_fov_deg} degrees; '
                'it must lie in [1, 180)'
            )
        focal_px = width / 2 / math.tan(math.radians(horizontal_fov_deg) / 2)
        return cls(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Image size as (height, width)."""
        return self.height, self.width

    @property
    def focal_px(self) -> float:
        """One focal length in pixels: the geometric mean of fx and fy (equal when pixels are
        square)."""
        return math.sqrt(self.fx * self.fy)

    @property
    def horizontal_fov_deg(self) -> float:
        """Angle seen across the image, in degrees."""
        left = math.atan((self.cx + 0.5) / self.fx)
        right = math.atan((self.width - 0.5 - self.cx) / self.fx)
        return math.degrees(left + right)

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera of the same view resampled to `width` x `height`.

        Pixel centres move by the half-pixel rule cx' = (cx + 0.5) * s - 0.5 (REP-118 consumers and
        OpenCV's resize both follow it).
        """
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def cropped(self, x0: int, y0: int, width: int, height: int) -> Camera:
        """Return the camera of the window whose top left pixel is (x0, y0).

        The window may reach beyond the image (negative x0 or y0): that is padding.
        """
        return replace(self, width=width, height=height, cx=self.cx - x0, cy=self.cy - y0)

    def rays(self) -> np.ndarray:
        """Return (height, width, 2) float32, x/z and y/z of every pixel; cached, read-only."""
        return _rays(self)


@lru_cache(maxsize=16)
def _rays(camera: Camera) -> np.ndarray:
    u = (np.arange(camera.width, dtype=np.float32) - camera.cx) / camera.fx
    v = (np.arange(camera.height, dtype=np.float32) - camera.cy) / camera.fy
    rays = np.empty((camera.height, camera.width, 2), np.float32)
    rays[..., 0] = u
    rays[..., 1] = v[:, None]
    rays.flags.writeable = False
    return rays
