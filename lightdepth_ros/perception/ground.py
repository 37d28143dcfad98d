# SPDX-License-Identifier: Apache-2.0
"""The ground plane in a prediction: how high the camera is over it, and how it is tilted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ROUNDS = 12
TUKEY = 4.685
"""Of Tukey's biweight, in sigmas: 95 % efficient for normal errors; what is farther off counts
nothing."""
MIN_SIGMA = 0.005
MAD_TO_SIGMA = 1.4826
"""Median absolute deviation -> standard deviation, for normally distributed errors."""


@dataclass(frozen=True)
class Ground:
    """A plane seen from the camera's optical frame (x right, y down, z forward).

    height_m  from the plane to the optical centre, in the prediction's metres.
    normal    unit vector towards the ground.
    spread    robust standard deviation of ln(predicted / plane's depth).
    points    how many pixels lie on it within 3 spreads.
    used      (h, w) bool, these pixels.
    """

    height_m: float
    normal: tuple[float, float, float]
    spread: float
    points: int
    used: np.ndarray

    @property
    def pitch_deg(self) -> float:
        """How far the camera looks down, in degrees; negative = up."""
        return math.degrees(math.atan2(self.normal[2], self.normal[1]))

    @property
    def roll_deg(self) -> float:
        """How far the ground drops to the right in the picture, in degrees."""
        return math.degrees(math.atan2(self.normal[0], self.normal[1]))


def robust_sigma(values: np.ndarray) -> float:
    """Return a standard deviation that half of the values cannot spoil (from the MAD)."""
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def fit_ground(depth_m: np.ndarray, rays: np.ndarray, ground: np.ndarray) -> Ground | None:
    """Fit a plane to the pixels `ground`, (h, w) bool; None with fewer than 3 of them.

    depth_m (h, w); rays (h, w, 2), x/z and y/z. A point d (x, y, 1) lies on the plane n X = h
    when d (a . (x, y, 1)) = 1 with a = n / h. Depth errors grow with depth, so what is made small
    is ln of the left side: linear least squares of the left side minus 1 to begin with, then
    Gauss-Newton steps with Tukey's weights.
    """
    if np.count_nonzero(ground) < 3:
        return None
    depth = depth_m[ground].astype(np.float64)
    rows = np.concatenate([rays[ground], np.ones((depth.size, 1))], axis=1)
    a = np.linalg.lstsq(rows * depth[:, None], np.ones(depth.size), rcond=None)[0]
    for _ in range(ROUNDS):
        inverse = rows @ a
        good = inverse > 1e-9
        residual = np.where(good, np.log(depth * np.where(good, inverse, 1)), np.inf)
        sigma = max(robust_sigma(residual[good]), MIN_SIGMA) if good.any() else MIN_SIGMA
        share = np.clip(residual / (TUKEY * sigma), -1, 1)
        weight = 1 - share**2  # the square root of Tukey's
        jacobian = rows / np.where(good, inverse, 1)[:, None]
        target = np.where(good, residual, 0)
        step = np.linalg.lstsq(jacobian * weight[:, None], -target * weight, rcond=None)[0]
        a = a + step
    return _ground(a, depth, rows, ground)


def _ground(a: np.ndarray, depth: np.ndarray, rows: np.ndarray, ground: np.ndarray) -> Ground:
    length = float(np.linalg.norm(a))
    with np.errstate(invalid='ignore', divide='ignore'):
        residual = np.log(depth * (rows @ a))
    spread = robust_sigma(residual[np.isfinite(residual)])
    near = np.abs(np.nan_to_num(residual, nan=np.inf)) <= 3 * max(spread, MIN_SIGMA)
    used = np.zeros(ground.shape, bool)
    used[ground] = near
    x, y, z = (float(value) for value in a / length)
    return Ground(1 / length, (x, y, z), spread, int(near.sum()), used)
