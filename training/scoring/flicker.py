# SPDX-License-Identifier: Apache-2.0
"""How much depth changes from frame to frame where the world does not change.

Between two frames of a moving camera the true depth of a static point changes too, so plain
differences would call driving flicker. Here (definition: ours):

1. Optical flow (DIS, Kroeger et al., ECCV 2016) says where each point of frame A is in frame B;
   points whose backward flow does not return are dropped (occlusion, reflections).
2. Points on people, vehicles and sky, and points beyond 40 m, are dropped.
3. Frame A's predicted depth and the flow give the camera's motion (perspective-n-point, RANSAC).
   The motion tells which depth each point should have in frame B, had the network been consistent.
4. r = ln(predicted depth in B) - ln(expected depth in B), over all points left, RANSAC's outliers
   too: dropping them would hide wrong depth.
5. The pair's median r is the *common change* (the whole picture breathes); the median of |r -
   median r| is the *local flicker*. Both are relative depth changes; 0.01 is one percent.

The motion is fitted to the network's own depth, so an error that stays the same does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import nav7_table

NAV7_MOVING_OR_SKY = (2, 3, 6)
FAR_M = 40.0
STEP_PX = 8
"""One point every 8 image pixels: neighbours share an output pixel anyway."""
FLOW_HEIGHT_PX = 192
RETURN_PX = 1.0
"""Forward and backward flow must cancel to this many flow pixels."""
REPROJECTION_PX = 3.0
FEWEST_POINTS = 100
LEAST_MATCHED = 0.3
"""A pair in which a smaller share of points can be followed is not two consecutive frames."""


@dataclass(frozen=True)
class View:
    """One frame: rgb (H, W, 3) uint8, depth_m (H, W) float32 (NaN = unknown), static (H, W) bool.

    static marks the pixels whose world does not move.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    static: np.ndarray


@dataclass(frozen=True)
class PairFlicker:
    """common: median r; local: median |r - common|; points: how many were compared."""

    common: float
    local: float
    points: int


def static_mask(label_id: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: pixels that are neither person, vehicle nor sky, by train id."""
    return ~np.isin(nav7_table()[label_id], NAV7_MOVING_OR_SKY)


def follow(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow a grid of points from one (H, W, 3) uint8 image to the next.

    Returns (n, 2) pixel positions (u, v) in the first and in the second, of those points whose
    backward flow returns.
    """
    height, width = first.shape[:2]
    scale = min(1.0, FLOW_HEIGHT_PX / height)
    size = (round(width * scale), round(height * scale))
    a, b = (
        cv2.cvtColor(cv2.resize(i, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for i in (first, second)
    )
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, backward = flow.calc(a, b, None), flow.calc(b, a, None)
    step = max(1, round(STEP_PX * scale))
    v, u = (g.ravel() for g in np.mgrid[step // 2 : size[1] : step, step // 2 : size[0] : step])
    start = np.stack([u, v], 1).astype(np.float32)
    end = start + forward[v, u]
    returned = end + sample_at(backward, end)
    inside = ((end >= 0) & (end <= np.array(size) - 1)).all(1)
    keep = inside & (np.linalg.norm(returned - start, axis=1) < RETURN_PX)
    to_full = np.array([width / size[0], height / size[1]])
    return tuple((p[keep] + 0.5) * to_full - 0.5 for p in (start, end))  # type: ignore[return-value]


def sample_at(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Read a (H, W[, 2]) float32 image at (n, 2) positions, bilinearly; returns (n[, 2])."""
    u, v = np.ascontiguousarray(points.T, np.float32)[:, None]  # OpenCV wants rows, not vectors
    return cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]


def expected_depth(
    start: np.ndarray, depth_m: np.ndarray, end: np.ndarray, camera: Camera
) -> np.ndarray | None:
    """Return (n,) metres that points seen at `start` should have after the motion to `end`.

    start, end (n, 2) pixels; depth_m (n,) metres at `start`. None where no motion explains them.
    """
    ray = (start - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    xyz = np.column_stack([ray * depth_m[:, None], depth_m])
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    cv2.setRNGSeed(0)
    found, rotation, translation, _ = cv2.solvePnPRansac(
        xyz, end.astype(np.float64), matrix, None,
        iterationsCount=200, reprojectionError=REPROJECTION_PX, flags=cv2.SOLVEPNP_SQPNP,
    )  # fmt: skip
    if not found:
        return None
    moved = xyz @ cv2.Rodrigues(rotation)[0].T + translation.T
    return moved[:, 2]


def pair_flicker(first: View, second: View, camera: Camera) -> PairFlicker | None:
    """Measure one pair of consecutive frames; None where they are not consecutive or too bare."""
    start, end = follow(first.rgb, second.rgb)
    possible = (first.rgb.shape[0] // STEP_PX) * (first.rgb.shape[1] // STEP_PX)
    if len(start) < LEAST_MATCHED * possible:
        return None
    column, row = np.round(start).astype(int).T
    before = first.depth_m[row, column]
    after = sample_at(second.depth_m, end)
    use = first.static[row, column] & (before < FAR_M) & np.isfinite(after)  # NaN < 40 is False
    if use.sum() < FEWEST_POINTS:
        return None
    expected = expected_depth(start[use], before[use].astype(np.float64), end[use], camera)
    if expected is None:
        return None
    ahead = expected > 0.1
    residual = np.log(after[use][ahead] / expected[ahead])
    common = float(np.median(residual))
    return PairFlicker(common, float(np.median(np.abs(residual - common))), int(ahead.sum()))


def flicker_summary(pairs: Sequence[PairFlicker | None]) -> dict[str, float]:
    """Return means over the measured pairs, as shares of the depth, and how many there were."""
    measured = [p for p in pairs if p is not None]
    if not measured:
        return {'pairs': 0, 'skipped': len(pairs)}
    return {
        'pairs': len(measured),
        'skipped': len(pairs) - len(measured),
        'local': float(np.mean([p.local for p in measured])),
        'common': float(np.mean([abs(p.common) for p in measured])),
        'points_per_pair': float(np.mean([p.points for p in measured])),
    }
