# SPDX-License-Identifier: Apache-2.0
"""Lidar scans as sparse depth images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from lightdepth_ros.errors import DataError

Convention = Literal['camera', 'eigen']
"""How a scan becomes a depth image.

'camera'  depth is Z in the camera's frame; pixel centres have integer coordinates from 0. This is
          what cameras and clouds mean by depth, so everything learns from it.
'eigen'   what the published Eigen-split numbers compare with: depth is the lidar's own forward
          coordinate (KITTI: about 0.27 m more than Z), and the pixel is one to the left and above,
          a MATLAB index read as such. Only for numbers that shall stand beside published ones.
"""

NEAREST_M = 0.1
"""Returns closer to the image plane than this are the vehicle itself or noise."""

VALUES_PER_POINT = 4


def read_scan(path: Path) -> np.ndarray:
    """Return (n, 3) float32 x y z in metres of a Velodyne .bin (float32 x y z reflectance)."""
    try:
        values = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f'cannot read the scan {path}: {error.strerror}') from error
    if values.size == 0 or values.size % (4 * VALUES_PER_POINT):
        raise DataError(
            f'{path} has {values.size} bytes; a scan has 16 for each point (x y z reflectance, '
            'float32): the file is cut off or no scan'
        )
    return values.view('<f4').reshape(-1, VALUES_PER_POINT)[:, :3]


def sparse_depth(
    points_m: np.ndarray,
    projection: np.ndarray,
    hw: tuple[int, int],
    convention: Convention = 'camera',
) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value: the nearest return of each pixel.

    points_m    (n, 3) in the lidar's frame; NaN points are dropped.
    projection  (3, 4), K [R | t]: its third row gives Z in the camera's frame.
    """
    points = points_m.astype(np.float64)
    image = points @ projection[:, :3].T + projection[:, 3]
    z = image[:, 2]
    with np.errstate(divide='ignore', invalid='ignore'):
        u, v = image[:, 0] / z, image[:, 1] / z
    shift = 0
    if convention == 'eigen':
        z, shift = points[:, 0], 1
    seen = (z > NEAREST_M) & (image[:, 2] > NEAREST_M) & np.isfinite(u) & np.isfinite(v)
    return nearest_per_pixel(u[seen] - shift, v[seen] - shift, z[seen], hw)


def nearest_per_pixel(
    u: np.ndarray, v: np.ndarray, z: np.ndarray, hw: tuple[int, int]
) -> np.ndarray:
    """Return (H, W) float32 with the smallest z of each pixel; u, v, z are (n,), 0 = no value."""
    column, row = np.floor(u + 0.5), np.floor(v + 0.5)
    inside = (column >= 0) & (column < hw[1]) & (row >= 0) & (row < hw[0])
    column, row, z = column[inside].astype(int), row[inside].astype(int), z[inside]
    far_first = np.argsort(-z, kind='stable')
    depth = np.zeros(hw, np.float32)
    depth[row[far_first], column[far_first]] = z[far_first]
    return depth


def read_projected(
    projection: np.ndarray, convention: Convention, path: Path, hw: tuple[int, int]
) -> np.ndarray:
    """Read a scan and project it: a Reader once its first three arguments are bound."""
    return sparse_depth(read_scan(path), projection, hw, convention)
