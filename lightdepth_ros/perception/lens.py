# SPDX-License-Identifier: Apache-2.0
"""Removes lens distortion between raw pixels and the network input.

Formulas: plumb_bob is the model of Brown (Close-range camera calibration, 1971),
rational_polynomial its quotient form as OpenCV's calib3d documents it, equidistant the fisheye
polynomial of Kannala and Brandt (PAMI 2006). Names and coefficient orders are those of
sensor_msgs/CameraInfo. modified_brown_conrady is what librealsense projects with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError

COEFFICIENT_COUNTS = {
    'plumb_bob': (4, 5),
    'rational_polynomial': (8,),
    'equidistant': (4,),
    'modified_brown_conrady': (4, 5),
}
"""Distortion model -> how many coefficients it takes."""
ALIASES = {
    'brown_conrady': 'plumb_bob',
    'radtan': 'plumb_bob',
    'inverse_brown_conrady': 'modified_brown_conrady',
    'rational': 'rational_polynomial',
    'fisheye': 'equidistant',
    'kannala_brandt': 'equidistant',
    'kannala_brandt4': 'equidistant',
}
"""Names that drivers use for the same models (librealsense, Kalibr, OpenCV). librealsense's
`inverse` model is projected as the modified one."""


@dataclass(frozen=True)
class Lens:
    """A raw camera image: pinhole intrinsics plus distortion.

    camera        intrinsics K of the raw image. The undistorted view keeps the same K, so the
                  middle of the picture keeps its scale.
    model         'plumb_bob' (k1 k2 p1 p2 [k3]), 'rational_polynomial' (k1 k2 p1 p2 k3 k4 k5 k6),
                  'equidistant' (k1 k2 k3 k4) or 'modified_brown_conrady' (k1 k2 p1 p2 [k3]).
    coefficients  as in CameraInfo.d.
    """

    camera: Camera
    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = COEFFICIENT_COUNTS.get(self.model)
        if counts is None:
            raise BadCameraError(
                f'distortion model is {self.model!r}; supported are '
                f'{", ".join(COEFFICIENT_COUNTS)}. Feed the rectified image instead.'
            )
        finite = all(math.isfinite(c) for c in self.coefficients)
        if len(self.coefficients) not in counts or not finite:
            raise BadCameraError(
                f'{self.model} has the coefficients {self.coefficients}; it takes '
                f'{" or ".join(map(str, counts))} finite numbers. Calibrate the camera again.'
            )

    def distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map ideal rays x = X/Z, y = Y/Z to where the lens images them, in the same unit.

        NaN where the lens cannot see the ray: beyond the radius at which the polynomial turns
        back, it would show some other part of the picture there.
        """
        radius = np.hypot(x, y)
        factor = _radial_factor(self, radius)
        factor = np.where(radius < _turning_radius(self), factor, np.nan)
        if self.model == 'equidistant':
            return x * factor, y * factor
        p1, p2 = self.coefficients[2:4]
        r2 = radius * radius
        bent_x, bent_y = x * factor, y * factor
        if self.model == 'modified_brown_conrady':  # its second part acts on what the first left
            x, y = bent_x, bent_y
        cross = 2 * x * y
        return (
            bent_x + p1 * cross + p2 * (r2 + 2 * x * x),
            bent_y + p1 * (r2 + 2 * y * y) + p2 * cross,
        )


ViewOf = Callable[[tuple[int, int]], Camera | Lens]
"""(height, width) of a picture -> its calibration."""


def _radial_factor(lens: Lens, radius: np.ndarray) -> np.ndarray:
    """Return distorted radius / ideal radius, tangential terms left out."""
    factor: np.ndarray
    if lens.model == 'equidistant':
        theta = np.arctan(radius)
        bent = theta * _polynomial(theta * theta, lens.coefficients)
        factor = np.divide(bent, radius, out=np.ones_like(bent), where=radius > 0)
        return factor
    k1, k2, _, _, k3, k4, k5, k6 = (*lens.coefficients, *(0.0,) * 4)[:8]
    r2 = radius * radius
    with np.errstate(divide='ignore', invalid='ignore'):
        factor = _polynomial(r2, (k1, k2, k3)) / _polynomial(r2, (k4, k5, k6))
    return factor


def _polynomial(x: np.ndarray, k: tuple[float, ...]) -> np.ndarray:
    """Return 1 + k[0] x + k[1] x^2 + ..."""
    total = np.zeros_like(x)
    for coefficient in reversed(k):
        total = (total + coefficient) * x
    return total + 1


def _turning_radius(lens: Lens) -> float:
    """Return the smallest ideal radius at which the distorted radius stops growing, or inf."""
    radius = np.linspace(0.0, 10.0, 10001)
    with np.errstate(invalid='ignore'):
        growth = np.diff(radius * _radial_factor(lens, radius))
    backwards = np.flatnonzero(~(growth > 0))
    return float(radius[backwards[0]]) if backwards.size else math.inf


@dataclass(frozen=True)
class LensMap:
    """OpenCV's fixed-point remap tables, (H, W, 2) int16 and (H, W) uint16, and where they apply.

    inside  (H, W) bool, False where no raw pixel shows this ray; None = all inside.
    """

    whole_px: np.ndarray
    fraction: np.ndarray
    inside: np.ndarray | None

    def apply(self, raw: np.ndarray, out: np.ndarray, fill: int) -> None:
        """Write the undistorted view of `raw`, (H, W, 3) uint8, into `out`."""
        cv2.remap(
            raw,
            self.whole_px,
            self.fraction,
            cv2.INTER_LINEAR,
            dst=out,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill, fill, fill),
        )


@lru_cache(maxsize=8)
def lens_map(lens: Lens, target: Camera, halvings: int) -> LensMap:
    """Return the map from pixels of the pinhole camera `target` to raw pixels.

    halvings: how often the raw image will have been halved before the map is applied.
    """
    rays = target.rays().astype(np.float64)
    x, y = lens.distort(rays[..., 0], rays[..., 1])
    unit = 1 << halvings
    raw = lens.camera
    u = (raw.fx * x + raw.cx + 0.5) / unit - 0.5
    v = (raw.fy * y + raw.cy + 0.5) / unit - 0.5
    width, height = raw.width // unit, raw.height // unit
    inside = (u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)
    u = np.where(inside, u.clip(0, width - 1), -2.0)
    v = np.where(inside, v.clip(0, height - 1), -2.0)
    whole, fraction = cv2.convertMaps(u.astype(np.float32), v.astype(np.float32), cv2.CV_16SC2)
    return LensMap(whole, fraction, None if inside.all() else inside)


def straightened(rgb: np.ndarray, lens: Lens) -> np.ndarray:
    """Return a lens's picture, (H, W, 3) uint8, as its camera would see it without distortion."""
    out = np.empty_like(rgb)
    _whole_map(lens).apply(rgb, out, 0)
    return out


@lru_cache(maxsize=4)
def _whole_map(lens: Lens) -> LensMap:
    return lens_map(lens, lens.camera, 0)
