# SPDX-License-Identifier: Apache-2.0
"""A fine picture of the ground near the camera, from above: stains, painted lines, shadows."""

from __future__ import annotations

import cv2
import numpy as np

from training.datasets.synthetic import floor_map
from training.datasets.synthetic.floor_map import NEUTRAL
from training.datasets.synthetic.light import Light
from training.datasets.synthetic.robots.kit import Kit, turned

CELL_M = 0.05
HALF_WIDTH_M, BEHIND_M = 12.8, 2.0
SIZE_HW = (720, 512)
CORNERS = np.array([(-1.0, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)])


def pixels(xz: np.ndarray) -> np.ndarray:
    """Return (..., 2) int32 map coordinates of (x, z), in sixteenths of a cell."""
    moved = (np.asarray(xz) + np.array([HALF_WIDTH_M, BEHIND_M])) / CELL_M
    return np.clip(moved * 16, -16000, 30000).astype(np.int32)


def draw(kit: Kit, casters: np.ndarray, light: Light, wear: float) -> np.ndarray:
    """Return SIZE_HW uint8, NEUTRAL = unchanged: what the colours of the ground are times.

    casters: (n, 7) as in kit.Kit. wear: 0 = clean .. 1 = stained.
    """
    rng = kit.rng
    y, x = rng.integers(0, 1024 - 512, 2)
    field = floor_map.stain_field().take(np.arange(SIZE_HW[0]) + y, 0, mode='wrap')
    stains = field[:, x : x + SIZE_HW[1]]
    base = cv2.addWeighted(stains, wear, stains, 0, NEUTRAL * (1 - wear))
    for x0, z0, x1, z1 in kit.marks:
        ends = pixels(np.array([(x0, z0), (x1, z1)])) // 16
        cv2.line(base, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 245, 2)
    return cv2.multiply(base, shadows(casters, light), scale=1 / 255)


def shadows(casters: np.ndarray, light: Light) -> np.ndarray:
    """Return SIZE_HW uint8: 255 = open; darker in the shadow of the sun and round each foot."""
    reach_m = np.hypot(casters[:, 2], casters[:, 3]) + 12
    near = casters[
        (np.abs(casters[:, 0]) < HALF_WIDTH_M + reach_m)
        & (casters[:, 1] < 36 + reach_m) & (casters[:, 1] > -BEHIND_M - reach_m)
    ]  # fmt: skip
    sun, contact = np.zeros(SIZE_HW, np.uint8), np.zeros(SIZE_HW, np.uint8)
    half = np.stack([near[:, 2], 0 * near[:, 2], near[:, 3]], 1)
    foot = turned(CORNERS[None] * half[:, None], near[:, 4])[..., [0, 2]] + near[:, None, :2]
    away = -light.sun_dir[[0, 2]] / max(light.sun_dir[1], 0.08)
    top = foot + np.minimum(near[:, 5], 20.0)[:, None, None] * away
    both = pixels(np.concatenate([foot, top], 1))
    for points, (height, leafy) in zip(both, near[:, 5:], strict=True):
        cv2.fillConvexPoly(sun, cv2.convexHull(points), 170 if leafy else 255, cv2.LINE_8, 4)
        if not leafy and height > 0.05:
            cv2.fillConvexPoly(contact, points[:4], 255, cv2.LINE_8, 4)
    sun, contact = cv2.blur(sun, (5, 5)), cv2.blur(contact, (7, 7))
    dark = cv2.min(cv2.addWeighted(sun, light.shadow, contact, 0.4, 0), 200)
    return cv2.bitwise_not(dark)


def looked_up(table: np.ndarray, s: np.ndarray, t: np.ndarray, outside: int) -> np.ndarray:
    """Return (H, W) float32 factors for pixels at (s, t) = (x, z) metres."""
    x = (s + np.float32(HALF_WIDTH_M)) * np.float32(1 / CELL_M)
    y = (t + np.float32(BEHIND_M)) * np.float32(1 / CELL_M)
    found = cv2.remap(
        table, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )
    return found * np.float32(1 / NEUTRAL)
