# SPDX-License-Identifier: Apache-2.0
"""Which lidar returns of a frame serve as anchors, and how good depth is at the others.

The truth of a frame is one scan. A part of it is given to the robot's anchoring; only what is held
back is scored, so nothing is scored on what it was told.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.anchor import AnchorPoints
from lightdepth_ros.perception.occlusion import hidden_returns
from lightdepth_ros.perception.prediction import Prediction

BEAMS_DEG = {
    1: (-1.0,),
    4: (-12.0, -8.0, -4.0, -1.0),
    16: tuple(np.linspace(-15.0, 0.0, 16)),
}
"""Elevations of the beams of a lidar of so many, as seen from it."""
BEAM_HALF_DEG = 0.15
ALL_BEAMS, SHARE_OF_ALL = 64, 0.8
"""Of all 64 beams a random fifth is held back."""
LIDAR_UP_M = 0.08
"""KITTI's lidar over its left colour camera."""
FAR_M = 80.0
ROW = 1024


@dataclass(frozen=True)
class Choice:
    """Which returns are anchors: `count` of them at random, those of `count` beams, or none but
    the ground (kind 'ground').

    outliers  share of anchors whose depth is replaced by one drawn evenly in ln from 1 to 80 m.
    turned_deg  the lidar's pose is wrong by this angle: half about x, half about y.
    """

    kind: str
    count: int
    outliers: float = 0.0
    turned_deg: float = 0.0

    @property
    def text(self) -> str:
        """The choice in words."""
        if self.kind == 'ground':
            return 'the ground, height known'
        noun = 'beam' if self.kind == 'beams' else 'point'
        words = f'{self.count} {noun}{"s" if self.count > 1 else ""}'
        if self.outliers:
            words += f', {self.outliers:.0%} outliers'
        if self.turned_deg:
            words += f', pose wrong by {self.turned_deg:g} degrees'
        return words


@dataclass(frozen=True)
class Held:
    """Truth that is held back, on the prediction's grid.

    u, v       (n,) float32 pixels of the prediction.
    depth_m    (n,) float64 metres.
    distant    (n,) bool, 0.5 m or more from every anchor.
    """

    u: np.ndarray
    v: np.ndarray
    depth_m: np.ndarray
    distant: np.ndarray


def split(
    truth_m: np.ndarray, camera: Camera, grid: Camera, choice: Choice, rng: np.random.Generator
) -> tuple[AnchorPoints, Held]:
    """Split a frame's scan, (H, W) float32 metres with 0 = no value, into anchors and the rest.

    camera: of the truth's pixels; grid: of the prediction's. Anchors that hide behind others are
    dropped, as on a robot; truth is not filtered. What lies outside of the grid is left out.
    """
    v, u = np.nonzero((truth_m > 0) & (truth_m <= FAR_M))
    depth = truth_m[v, u]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], 1)
    chosen = np.zeros(len(depth), bool)
    chosen[_choose(depth, rays, choice, rng)] = True
    anchors = np.zeros(truth_m.shape, np.float32)
    anchors[v[chosen], u[chosen]] = depth[chosen]
    seen = chosen & ~hidden_returns(anchors, camera.focal_px)[v, u]
    scale = grid.fx / camera.fx
    at = np.stack([(u - camera.cx) * scale + grid.cx, (v - camera.cy) * scale + grid.cy], 1)
    inside = ((at > -0.5) & (at < (grid.width - 0.5, grid.height - 0.5))).all(1)
    held = inside & ~chosen
    distant = _distant(rays * depth[:, None], depth, held, chosen)
    points = np.column_stack([rays[seen & inside], depth[seen & inside]])
    u_held, v_held = at[held].T.astype(np.float32)
    truth = Held(u_held, v_held, depth[held].astype(np.float64), distant)
    return _told(points, grid, choice, rng), truth


def _choose(
    depth: np.ndarray, rays: np.ndarray, choice: Choice, rng: np.random.Generator
) -> np.ndarray:
    if choice.kind == 'ground':
        return np.zeros(0, int)
    if choice.kind == 'points':
        return rng.choice(len(depth), min(choice.count, len(depth)), replace=False)
    if choice.count == ALL_BEAMS:
        return np.flatnonzero(rng.random(len(depth)) < SHARE_OF_ALL)
    up = -(rays[:, 1] * depth + LIDAR_UP_M)
    elevation = np.degrees(np.arctan2(up, np.hypot(rays[:, 0], 1) * depth))
    off = np.abs(elevation[:, None] - np.array(BEAMS_DEG[choice.count])).min(1)
    return np.flatnonzero(off < BEAM_HALF_DEG)


def _distant(
    across: np.ndarray, depth: np.ndarray, held: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Return (n held,) bool: no anchor within half a metre."""
    from scipy.spatial import cKDTree

    place = np.column_stack([across, depth])
    near, _ = cKDTree(place[chosen]).query(place[held], distance_upper_bound=0.5)
    return np.isinf(near)


def _told(
    points: np.ndarray, grid: Camera, choice: Choice, rng: np.random.Generator
) -> AnchorPoints:
    """Return (n, 3) rays and depth as anchors, with the faults that `choice` names."""
    x, y, z = points.T.astype(np.float64)
    lie = rng.random(len(z)) < choice.outliers
    z = np.where(lie, np.exp(rng.uniform(0, np.log(FAR_M), len(z))), z)
    if choice.turned_deg:
        half = np.radians(choice.turned_deg / 2)
        turn, _ = cv2.Rodrigues(np.array([half, half, 0.0]))
        x, y, z = turn @ np.stack([x * z, y * z, z])
        x, y = x / z, y / z
    u, v = x * grid.fx + grid.cx, y * grid.fy + grid.cy
    return AnchorPoints(*(a.astype(np.float32) for a in (u, v, z)))


def answer(prediction: Prediction, held: Held) -> tuple[np.ndarray, np.ndarray | None]:
    """Return depth, (n,) metres at most FAR_M, and confidence, 0..1 or None, where truth is held
    back: by the rule of fullframe.full_size, at these pixels alone."""
    known = ~np.isnan(prediction.depth_m)
    weight = known.astype(np.float32)
    depth = np.clip(np.where(known, prediction.depth_m, 1), 1e-6, FAR_M)
    total = np.maximum(_sample(weight, held), 1e-6)
    log = _sample(np.log(depth) * weight, held) / total
    if prediction.confidence is None:
        return np.exp(log).astype(np.float64), None
    return np.exp(log).astype(np.float64), _sample(
        prediction.confidence.astype(np.float32) / 255, held
    )


def _sample(image: np.ndarray, held: Held) -> np.ndarray:
    rows = -(-len(held.u) // ROW)  # remap takes no side of 32767 or more
    at = [np.resize(a, (rows, ROW)) for a in (held.u, held.v)]
    read = cv2.remap(image, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return read.ravel()[: len(held.u)]
