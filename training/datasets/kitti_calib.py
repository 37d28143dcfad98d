# SPDX-License-Identifier: Apache-2.0
"""KITTI's calibration text files, and what follows from them.

Names are KITTI's (Geiger et al., IJRR 2013): `P_rect_02` projects from the rectified frame of
camera 0 into rectified camera 2; `R_rect_00` rectifies camera 0; velodyne to camera 0 is R, T.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightdepth_ros.errors import DataError

COLOUR_CAMERAS = (2, 3)
"""KITTI's left and right colour camera."""

CAMERA_HEIGHT_M = 1.65
"""Height of all four cameras over the ground, as KITTI's makers give it."""


def read_calibration(path: Path) -> dict[str, np.ndarray]:
    """Return the numbers of each line "key: values"; lines that hold no numbers are left out."""
    if not path.is_file():
        raise DataError(
            f'there is no calibration file {path}; KITTI ships it beside its drives ("calib" zip '
            'of the date, or the calib folder of the benchmark)'
        )
    values = {}
    for line in path.read_text().splitlines():
        key, _, text = line.partition(':')
        try:
            values[key.strip()] = np.array([float(word) for word in text.split()])
        except ValueError:  # calib_time holds a date
            continue
    return values


def matrix(
    values: dict[str, np.ndarray], key: str, shape: tuple[int, int], path: Path
) -> np.ndarray:
    """Return an entry as a matrix, or say what the file has instead."""
    if key not in values:
        raise DataError(f'{path} has no entry {key!r}; it has {", ".join(values)}')
    if values[key].size != shape[0] * shape[1]:
        raise DataError(
            f'{path}: {key} has {values[key].size} numbers; {shape[0]}x{shape[1]} are expected'
        )
    return values[key].reshape(shape)


@dataclass(frozen=True)
class KittiCamera:
    """One rectified colour camera.

    projection    (3, 4): rectified frame of camera 0 -> pixels (P_rect).
    from_lidar    (3, 4): Velodyne frame -> pixels.
    """

    projection: np.ndarray
    from_lidar: np.ndarray

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """Return (fx, fy, cx, cy) in pixels."""
        p = self.projection
        return float(p[0, 0]), float(p[1, 1]), float(p[0, 2]), float(p[1, 2])


def baseline_m(left: KittiCamera, right: KittiCamera) -> float:
    """Return the metres from the left to the right camera (P[0, 3] = -fx * x of the camera)."""
    p, q = left.projection, right.projection
    return float(p[0, 3] / p[0, 0] - q[0, 3] / q[0, 0])


def raw_cameras(date_folder: Path) -> dict[int, KittiCamera]:
    """Return the two colour cameras of a recording date, by KITTI's number."""
    cam_path, velo_path = (date_folder / f'calib_{n}_to_cam.txt' for n in ('cam', 'velo'))
    cam, velo = read_calibration(cam_path), read_calibration(velo_path)
    rectify, to_camera = np.eye(4), np.eye(4)
    rectify[:3, :3] = matrix(cam, 'R_rect_00', (3, 3), cam_path)
    to_camera[:3, :3] = matrix(velo, 'R', (3, 3), velo_path)
    to_camera[:3, 3] = matrix(velo, 'T', (3, 1), velo_path)[:, 0]
    cameras = {}
    for number in COLOUR_CAMERAS:
        p = matrix(cam, f'P_rect_0{number}', (3, 4), cam_path)
        cameras[number] = KittiCamera(p, p @ rectify @ to_camera)
    return cameras


def object_cameras(path: Path) -> dict[int, KittiCamera]:
    """Return the two colour cameras of one frame of the object benchmark."""
    values = read_calibration(path)
    rectify, to_camera = np.eye(4), np.eye(4)
    rectify[:3, :3] = matrix(values, 'R0_rect', (3, 3), path)
    to_camera[:3] = matrix(values, 'Tr_velo_to_cam', (3, 4), path)
    cameras = {}
    for number in COLOUR_CAMERAS:
        p = matrix(values, f'P{number}', (3, 4), path)
        cameras[number] = KittiCamera(p, p @ rectify @ to_camera)
    return cameras
