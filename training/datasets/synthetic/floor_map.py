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
def leaf_field() -> np.ndarray:
    """Return uint8 with a period of SIZE: 255 where leaves keep the sun out, 0 in the gaps."""
    field = np.tile(textures.noise(np.random.default_rng(12), 0.8), (4, 2))
    return np.where(field > -0.5, 255, 0).astype(np.uint8)


def leaf_gaps(first_row: int) -> np.ndarray:
    """Return SIZE_HW of `leaf_field` from a row on."""
    return leaf_field()[first_row : first_row + SIZE_HW[0], : SIZE_HW[1]]


@lru_cache(maxsize=1)
def stain_field() -> np.ndarray:
    """Return (1024, 1024) uint8 stains around NEUTRAL."""
    rng = np.random.default_rng(11)
    coarse = cv2.resize(textures.noise(rng, 1.5), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    fine = np.tile(textures.noise(rng, 1.0), (4, 4))
    return np.clip(NEUTRAL * (1 + 0.07 * coarse + 0.035 * fine), 0, 255).astype(np.uint8)


def cells(d: np.ndarray, z: np.ndarray, z0: float = 0.0) -> np.ndarray:
    """Return (..., 2) int32 map coordinates in sixteenths of a cell."""
    xy = np.stack([(np.asarray(d) + HALF_WIDTH_M) / CELL_M, (np.asarray(z) - z0) / CELL_M], -1)
    return np.clip(xy * 16, -30000 * 16, 30000 * 16).astype(np.int32)


def draw_stains(rng: np.random.Generator, road: Road, length_m: float) -> np.ndarray:
    """Return (rows, columns) uint8 from z = 0 to length_m + LENGTH_M, NEUTRAL = unchanged.

    Stains everywhere; on the road wheel tracks, repairs, manholes and cracks.
    """
    rows = int((length_m + LENGTH_M) / CELL_M) + 1
    field, at = stain_field(), rng.integers(0, 500, 2)
    base = field[(at[0] + np.arange(rows)) % 1024, at[1] : at[1] + SIZE_HW[1]]
    half = road.half_width_m
    for d in np.arange(-half + 0.9, half, 1.75):
        column = int((d + HALF_WIDTH_M) / CELL_M)
        lane = base[:, max(column - 4, 0) : column + 5]
        track = wheel_track()[np.arange(rows) % SIZE_HW[0], : lane.shape[1]]
        cv2.multiply(lane, track, dst=lane, scale=1 / 255)
    share = rows / SIZE_HW[0]
    for _ in range(int(rng.integers(0, 6) * share)):
        d, z = rng.uniform(-half, half), rng.uniform(4, rows * CELL_M)
        size = rng.uniform(0.4, [3.0, 9.0])
        corners = cells(d + size[0] * np.array([0, 1, 1, 0]), z + size[1] * np.array([0, 0, 1, 1]))
        cv2.fillConvexPoly(base, corners, NEUTRAL * rng.uniform(0.75, 1.1), cv2.LINE_8, 4)
    for _ in range(int(rng.integers(0, 5) * share)):
        middle = cells(rng.uniform(-half, half), rng.uniform(4, rows * CELL_M)) // 16
        cv2.circle(base, middle, 3, NEUTRAL * 0.55, -1)
    for _ in range(int(rng.integers(0, 5) * share)):
        d = np.clip(rng.uniform(-half, half) + np.cumsum(rng.normal(0, 0.25, 14)), -half, half)
        z = rng.uniform(3, rows * CELL_M) + np.cumsum(rng.uniform(0, 1, 14))
        cv2.polylines(base, [cells(d, z) // 16], False, NEUTRAL * 0.72, 1)
    return base


def swept(boxes: np.ndarray, road: Road, light: Light) -> np.ndarray:
    """Return (n, 8, 2) in (d, z): four corners of each footprint, then of its top's shadow.

    boxes: (n, 7) x, z of the middle, half sizes across and along, yaw, height, leafy (0 or 1).
    """
    x, z, a, b, yaw, height, _ = boxes.T
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
    """Return SIZE_HW uint8: 255 = open, darker = less light, from (n, 7) things."""
    sun = np.zeros(SIZE_HW, np.uint8)
    dappled = np.zeros(SIZE_HW, np.uint8)
    contact = np.zeros(SIZE_HW, np.uint8)
    near = boxes[(boxes[:, 1] > z0 - 15) & (boxes[:, 1] < z0 + LENGTH_M + 15)]
    outlines = swept(near, road, light)
    corners = cells(outlines[..., 0], outlines[..., 1], z0)
    for points, (height, leafy) in zip(corners, near[:, 5:], strict=True):
        mask = dappled if leafy else sun
        cv2.fillConvexPoly(mask, cv2.convexHull(points), 255, cv2.LINE_8, 4)
        if height > 0.4:
            cv2.fillConvexPoly(contact, points[:4], 255, cv2.LINE_8, 4)
    cv2.bitwise_and(dappled, leaf_gaps(round(z0 / CELL_M) % textures.SIZE), dst=dappled)
    sun = cv2.blur(cv2.bitwise_or(sun, dappled), (5, 5))
    contact = cv2.blur(contact, (9, 9))
    dark = cv2.addWeighted(sun, light.shadow, contact, 0.4, 0)
    dark = cv2.min(dark, 200)
    return cv2.bitwise_not(dark)


def cell_floor(z: float) -> float:
    """Return the start of the cell that holds z, so that maps of all frames share a grid."""
    return float(np.floor(z / CELL_M) * CELL_M)


def draw(stains: np.ndarray, boxes: np.ndarray, road: Road, light: Light, z0: float) -> np.ndarray:
    """Return SIZE_HW uint8, NEUTRAL = unchanged: rows from z0 (a `cell_floor`) on.

    stains: from `draw_stains`. boxes: (n, 7), see `swept`.
    """
    first = round(z0 / CELL_M)
    base = stains[first : first + SIZE_HW[0]]
    return cv2.multiply(base, draw_shadows(boxes, road, light, z0), scale=1 / 255)


def looked_up(table: np.ndarray, s: np.ndarray, t: np.ndarray, z0: float) -> np.ndarray:
    """Return (H, W) float32 factors for pixels at (s, t) = (d, z); 1 outside the map."""
    x = (s + np.float32(HALF_WIDTH_M)) * np.float32(1 / CELL_M)
    y = (t - np.float32(z0)) * np.float32(1 / CELL_M)
    found = cv2.remap(
        table, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=NEUTRAL
    )
    return found * np.float32(1 / NEUTRAL)
