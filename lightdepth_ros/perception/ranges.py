# SPDX-License-Identifier: Apache-2.0
"""Points of a range sensor -> anchors in a prediction: moved, projected, thinned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.anchor import AnchorPoints
from lightdepth_ros.perception.occlusion import HIDDEN_RATIO, LIDAR_OFFSET_M, hidden_returns

MOST_READ, MOST_USED = 16_000, 3_000
"""Points of one message that are looked at, and that become anchors."""
NEAREST_M = 0.05
RATIO_PER_METRE = 0.6
"""On ground, neighbours seen from beside differ more the farther the sensor is from the camera."""
NOTHING = AnchorPoints(*np.zeros((3, 0), np.float32))


def project(xyz_m: np.ndarray, t_camera_sensor: np.ndarray, camera: Camera) -> AnchorPoints:
    """Return the anchors that (n, 3) points of a sensor give in the picture of `camera`.

    t_camera_sensor: (4, 4), the sensor's pose in the optical frame (x right, y down, z ahead).
    Where several points meet in a pixel the nearest stays. Returns of what the camera cannot see
    are dropped by `hidden_returns`, whose parallax is the sensor's distance from the camera.
    """
    step = -(-len(xyz_m) // MOST_READ) or 1
    points = xyz_m[::step] @ t_camera_sensor[:3, :3].T + t_camera_sensor[:3, 3]
    with np.errstate(invalid='ignore'):
        points = points[points[:, 2] > NEAREST_M]
    x, y, z = points.T
    u = (x - camera.origin_x_m) / z * camera.fx + camera.cx
    v = (y - camera.origin_y_m) / z * camera.fy + camera.cy
    with np.errstate(invalid='ignore'):
        inside = (np.abs(u - (camera.width - 1) / 2) < camera.width / 2) & np.isfinite(z)
        inside &= np.abs(v - (camera.height - 1) / 2) < camera.height / 2
    u, v, z = u[inside], v[inside], z[inside]
    if not len(z):
        return NOTHING
    kept = _visible(u, v, z, float(np.linalg.norm(t_camera_sensor[:3, 3])), camera)
    kept = kept[:: -(-len(kept) // MOST_USED)]
    return AnchorPoints(*(a[kept].astype(np.float32) for a in (u, v, z)))


def _visible(
    u: np.ndarray, v: np.ndarray, z: np.ndarray, offset_m: float, camera: Camera
) -> np.ndarray:
    """Return the indices of points that are the nearest of their pixel and not hidden."""
    pixel = np.rint(v).astype(np.int64) * camera.width + np.rint(u).astype(np.int64)
    order = np.argsort(-z.astype(np.float32))
    nearest = np.full(camera.height * camera.width, -1)
    nearest[pixel[order]] = order  # the nearest is written last
    kept = nearest[nearest >= 0]
    depth = np.zeros((camera.height, camera.width), np.float32)
    depth.ravel()[pixel[kept]] = z[kept]
    offset_m = max(offset_m, LIDAR_OFFSET_M / 10)
    ratio = HIDDEN_RATIO + RATIO_PER_METRE * max(0.0, offset_m - LIDAR_OFFSET_M)
    hidden = hidden_returns(depth, camera.focal_px, offset_m, ratio)
    found: np.ndarray = kept[~hidden.ravel()[pixel[kept]]]
    return found


def depth_xyz(depth_m: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the (n, 3) float64 points of a depth image, (H, W) float32 metres, 0 = no value, in
    the frame of its camera; of large images a grid of about MOST_READ / 2 pixels."""
    step = max(1, int(np.sqrt(depth_m.size / (MOST_READ / 2))))
    rays = camera.rays()[::step, ::step]
    depth = depth_m[::step, ::step].astype(np.float64)
    seen = np.isfinite(depth) & (depth > 0)
    z = depth[seen]
    x = rays[..., 0][seen] * z + camera.origin_x_m
    return np.stack([x, rays[..., 1][seen] * z + camera.origin_y_m, z], 1)


def joined(parts: Sequence[AnchorPoints]) -> AnchorPoints:
    """Return the points of several sources together."""
    if not parts:
        return NOTHING
    return AnchorPoints(*(np.concatenate([getattr(p, k) for p in parts]) for k in _FIELDS))


_FIELDS = ('u', 'v', 'depth_m')
