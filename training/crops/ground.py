# SPDX-License-Identifier: Apache-2.0
"""Depth from labels alone: what stands on level ground is as far as the ground at its foot (ours).

A camera `height` metres above level ground sees the ground at depth Z in the row f * height / Z
below the horizon. So a picture with labels, whose camera's height and horizon are known roughly,
has depth on the road, and on whatever touches it. In canonical metres even the focal length
falls out: 600 * height / (rows below the horizon), see training.crops.truth.canonical. Slopes,
kerbs and a nodding car make it coarse (a tenth or two beyond 20 m); it is for cameras that no
teacher knows, where a student without it learns labels and never what depth looks like.
`level_ground` turns the same law round: depth of a road that does not obey it means nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY, UNLABELLED, nav7_table
from training.config import CANONICAL_FOCAL_PX
from training.datasets.sample import RoughMount, Sample

ROAD = CLASS_ID['road']
FLAT = [CLASS_ID[name] for name in ('road', 'sidewalk')]
NO_FOOT = [CLASS_ID[name] for name in ('terrain', 'traffic_light', 'traffic_sign')]
"""Neither level nor standing on the ground where they are seen to end."""
FARTHEST_ROAD_M = 80.0
"""How far away a straight road's label ends, on average: what lies between the topmost road pixel
and the horizon."""
HORIZON_SLACK = 0.035
"""Share of the image height by which a frame's own horizon may differ from its camera's."""
FARTHEST_M = 50.0
"""Canonical metres beyond which a row of error is too much."""
ASSUMED_FOCAL = 1.2
"""Focal length of an uncalibrated camera, in image widths. Any value gives the same canonical
metres below a given horizon; it decides the range of scales that crops are drawn from and, through
FARTHEST_ROAD_M, a few rows of the horizon."""
LEAST_ROW_SHARE = 0.15
"""Share of a row's middle half that must be drivable."""
TRUST = 0.33
"""Weight of such depth against a teacher's."""


def with_ground(sample: Sample) -> Sample:
    """Give a sample that has labels and a mount, but no depth, the depth of the ground."""
    if sample.mount is None or sample.label_id is None:
        return sample
    if sample.depth_m is not None or sample.teacher_depth_m is not None:
        return sample
    height, width = sample.label_id.shape
    focal = ASSUMED_FOCAL * width
    middle = (width - 1) / 2, (height - 1) / 2
    camera = sample.camera or Camera(width, height, focal, focal, *middle)
    depth = ground_depth(sample.label_id, sample.mount, camera.fy)
    return replace(sample, camera=camera, teacher_depth_m=depth, trust=TRUST)


def ground_m(rows_below: np.ndarray | float, height_m: float, focal_px: float) -> np.ndarray:
    """Return the depth in metres of level ground, any shape, so many rows below the horizon.

    0 at the horizon and above it. With the canonical focal length: canonical metres.
    """
    below = np.asarray(rows_below, np.float64)
    return np.where(below > 0, focal_px * height_m / np.maximum(below, 1e-3), 0)


def ground_depth(label_id: np.ndarray, mount: RoughMount, focal_px: float) -> np.ndarray:
    """Return (H, W) float32 metres on road and sidewalk and on what stands there; 0 = no value.

    label_id: (H, W) uint8, Cityscapes train ids; 255 = unlabelled.
    """
    horizon = horizon_row(label_id, mount, focal_px)
    row_m = ground_m(np.arange(label_id.shape[0]) - horizon, mount.height_m, focal_px)
    row_m[row_m > FARTHEST_M * focal_px / CANONICAL_FOCAL_PX] = 0
    group = nav7_table().astype(np.int16)[label_id]
    group[np.isin(label_id, NO_FOOT) | (label_id == UNLABELLED) | (label_id == SKY)] = -1
    flat = np.isin(label_id, FLAT)
    depth = np.where(flat, row_m[:, None], 0).astype(np.float32)
    for row in range(label_id.shape[0] - 2, -1, -1):  # upwards, from the foot of each thing
        goes_on = flat[row + 1] | (group[row] == group[row + 1])
        standing = ~flat[row] & (group[row] >= 0) & goes_on
        depth[row] = np.where(standing, depth[row + 1], depth[row])
    return depth


def horizon_row(label_id: np.ndarray, mount: RoughMount, focal_px: float) -> float:
    """Return the row of the horizon: the frame's own where its road tells, else the camera's."""
    height, width = label_id.shape
    usual = mount.horizon * height
    middle = label_id[int(0.3 * height) :, width // 4 : 3 * width // 4] == ROAD
    rows = np.flatnonzero(middle.sum(1) >= max(3, width // 100)) + int(0.3 * height)
    if not rows.size:
        return usual
    own = float(rows[0]) - focal_px * mount.height_m / FARTHEST_ROAD_M
    return own if abs(own - usual) <= HORIZON_SLACK * height else usual


def level_ground(depth_m: np.ndarray, drivable: np.ndarray) -> tuple[float, float] | None:
    """Fit 1 / depth = a * (row - horizon), which level ground obeys whatever the focal length.

    depth_m (H, W) metres, NaN = unknown; drivable (H, W) bool. Uses the median of each row that
    shows drivable ground in its middle half. Returns (RMS of the residual over the mean, the
    horizon as a share of the height), or None where fewer than a tenth of all rows show any. A
    horizon below the ground, or a residual of some tenths, means depth that means nothing.
    """
    height, width = depth_m.shape
    middle = np.s_[:, width // 4 : width - width // 4]
    known = drivable[middle] & (depth_m[middle] > 0)
    rows = np.flatnonzero(known.mean(1) > LEAST_ROW_SHARE)
    if rows.size < height / 10:
        return None
    inverse = np.array([1 / np.median(depth_m[middle][row][known[row]]) for row in rows])
    slope, start = np.polyfit(rows, inverse, 1)
    residual = np.sqrt(np.mean((slope * rows + start - inverse) ** 2)) / inverse.mean()
    return float(residual), float(-start / slope / height)
