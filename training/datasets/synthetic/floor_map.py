# SPDX-License-Identifier: Apache-2.0
"""A picture of the ground from above, in (d, z): stains, patches, wheel tracks and shadows.

The renderer multiplies ground colours by it. Shadows here are soft and cheap: the footprint of a
thing, swept away from the sun to where its top's shadow falls, plus a dark rim of contact.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from training.datasets.synthetic import textures
from training.datasets.synthetic.light import Light
from training.datasets.synthetic.road import Road

CELL_M = 0.1
HALF_WIDTH_M = 25.6
LENGTH_M = 72.0
NEUTRAL = 160
SIZE_HW = (int(LENGTH_M / CELL_M), int(2 * HALF_WIDTH_M / CELL_M))


@lru_cache(maxsize=1)
def wheel_track() -> np.ndarray:
    """Return (rows, 9) uint8: how much light a polished wheel track keeps, 255 = all."""
    across = np.cos(np.linspace(-np.pi / 2, np.pi / 2, 9)) ** 2
    along = 0.06 + 0.03 * np.sin(np.arange(SIZE_HW[0]) / 37.0)
    return (255 * (1 - along[:, None] * across)).astype(np.uint8)


@lru_cache(maxsize=1)
def stain_field() -> np.ndarray:
    """Return (1024, 1024) uint8 stains around NEUTRAL."""
    rng = np.random.default_rng(11)
    coarse = cv2.resize(textures.noise(rng, 1.5), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    fine = np.tile(textures.noise(rng, 1.0), (4, 4))
    return np.clip(NEUTRAL * (1 + 0.07 * coarse + 0.035 * fine), 0, 255).astype(np.uint8)


def cells(d: np.ndarray, z: np.ndarray, z0: float) -> np.ndarray:
    """Return (..., 2) int32 map coordinates in sixteenths of a cell."""
    xy = np.stack([(np.asarray(d) + HALF_WIDTH_M) / CELL_M, (np.asarray(z) - z0) / CELL_M], -1)
    return np.clip(xy * 16, -30000 * 16, 30000 * 16).astype(np.int32)


def stains(rng: np.random.Generator, road: Road, z0: float) -> np.ndarray:
    """Return the unshadowed map with wheel tracks, repairs, cracks and manholes on the road."""
    at = rng.integers(0, 300, 2)
    base = stain_field()[at[0] : at[0] + SIZE_HW[0], at[1] : at[1] + SIZE_HW[1]].copy()
    half = road.half_width_m
    for d in np.arange(-half + 0.9, half, 1.75):
        ends = cells(np.array([d, d]), np.array([z0, z0 + LENGTH_M]), z0)
        lane = base[:, max(int(ends[0, 0]) // 16 - 4, 0) : int(ends[0, 0]) // 16 + 5]
        cv2.multiply(lane, wheel_track()[:, : lane.shape[1]], dst=lane, scale=1 / 255)
    for _ in range(int(rng.integers(0, 6))):
        d, z = rng.uniform(-half, half), z0 + rng.uniform(4, 60)
        size = rng.uniform(0.4, [3.0, 9.0])
        corners = cells(
            d + size[0] * np.array([0, 1, 1, 0]), z + size[1] * np.array([0, 0, 1, 1]), z0
        )
        cv2.fillConvexPoly(base, corners, NEUTRAL * rng.uniform(0.75, 1.1), cv2.LINE_8, 4)
    for _ in range(int(rng.integers(0, 5))):
        middle = cells(rng.uniform(-half, half), z0 + rng.uniform(4, 40), z0) // 16
        cv2.circle(base, middle, 3, NEUTRAL * 0.55, -1)
    for _ in range(int(rng.integers(0, 5))):
        d = np.clip(rng.uniform(-half, half) + np.cumsum(rng.normal(0, 0.25, 14)), -half, half)
        z = z0 + rng.uniform(3, 50) + np.cumsum(rng.uniform(0, 1, 14))
        cv2.polylines(base, [cells(d, z, z0) // 16], False, NEUTRAL * 0.72, 1)
    return base


def swept(boxes: np.ndarray, road: Road, light: Light) -> np.ndarray:
    """Return (n, 8, 2) in (d, z): four corners of each footprint, then of its top's shadow.

    boxes: (n, 6) x, z of the middle, half sizes across and along, yaw, height.
    """
    x, z, a, b, yaw, height = boxes.T
    across = np.stack([np.cos(yaw), -np.sin(yaw)], 1) * a[:, None]
    along = np.stack([np.sin(yaw), np.cos(yaw)], 1) * b[:, None]
    middle = np.stack([x, z], 1)
    turns = (-across - along, across - along, across + along, along - across)
    foot = np.stack([middle + turn for turn in turns], 1)
    sun = light.sun_dir
    reach = np.minimum(height / max(sun[1], 0.05), 25.0)
    away = reach[:, None, None] * np.array([-sun[0], -sun[2]])
    both = np.concatenate([foot, foot + away], 1)
    both[..., 0] -= road.centre(both[..., 1])
    return both


def draw_shadows(boxes: np.ndarray, road: Road, light: Light, z0: float) -> np.ndarray:
    """Return SIZE_HW uint8: 255 = open, darker = less light, from (n, 6) things."""
    sun = np.zeros(SIZE_HW, np.uint8)
    contact = np.zeros(SIZE_HW, np.uint8)
    near = boxes[(boxes[:, 1] > z0 - 15) & (boxes[:, 1] < z0 + LENGTH_M + 15)]
    outlines = swept(near, road, light)
    corners = cells(outlines[..., 0], outlines[..., 1], z0)
    for points, height in zip(corners, near[:, 5], strict=True):
        cv2.fillConvexPoly(sun, cv2.convexHull(points), 255, cv2.LINE_8, 4)
        if height > 0.4:
            cv2.fillConvexPoly(contact, points[:4], 255, cv2.LINE_8, 4)
    sun = cv2.blur(sun, (5, 5))
    contact = cv2.blur(contact, (9, 9))
    dark = cv2.addWeighted(sun, light.shadow * 0.62, contact, 0.5, 0)
    return cv2.bitwise_not(dark)


def draw(
    rng: np.random.Generator, boxes: np.ndarray, road: Road, light: Light, z0: float
) -> np.ndarray:
    """Return SIZE_HW uint8, NEUTRAL = unchanged, rows from z0 on, columns from -HALF_WIDTH_M."""
    shadows = draw_shadows(boxes, road, light, z0)
    return cv2.multiply(stains(rng, road, z0), shadows, scale=1 / 255)


def looked_up(table: np.ndarray, s: np.ndarray, t: np.ndarray, z0: float) -> np.ndarray:
    """Return (H, W) float32 factors for pixels at (s, t) = (d, z); 1 outside the map."""
    x = (s + np.float32(HALF_WIDTH_M)) * np.float32(1 / CELL_M)
    y = (t - np.float32(z0)) * np.float32(1 / CELL_M)
    found = cv2.remap(
        table, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=NEUTRAL
    )
    return found * np.float32(1 / NEUTRAL)
