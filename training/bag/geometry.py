# SPDX-License-Identifier: Apache-2.0
"""One recorded image, made into a pinhole image, and the depth that belongs to its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import DataError
from lightdepth_ros.perception.calibration import view_of
from lightdepth_ros.perception.lens import Lens, lens_map
from training.datasets.lidar import sparse_depth


@dataclass(frozen=True)
class View:
    """Calibration of the images of a topic.

    camera      pinhole intrinsics of the images that are written; None = not calibrated.
    lens        distortion that is taken out of each image and depth image; None = none.
    shift_px    P[0, 3] of a rectified right-hand camera: its frame is the left camera's, so its
                pixels lie at (fx X + shift_px) / Z + cx. 0 for every other camera.
    """

    camera: Camera | None
    lens: Lens | None = None
    shift_px: float = 0.0

    @property
    def projection(self) -> np.ndarray:
        """Return (3, 4): metres in the image's frame -> pixels."""
        c = self.camera
        assert c is not None
        return np.array(
            [[c.fx, 0, c.cx, self.shift_px], [0, c.fy, c.cy, 0], [0, 0, 1, 0]], np.float64
        )


def view_from(info: Any, kind: str) -> View:
    """Return the View of a camera_info; kind 'raw' or 'rectified'. Raises BadCameraError."""
    view = view_of(info, kind)
    if isinstance(view, Lens):
        return View(view.camera, view)
    shift = float(info.p[3]) / max(1, int(info.binning_x)) if kind == 'rectified' else 0.0
    return View(view, None, shift)


def pinhole_rgb(rgb: np.ndarray, view: View) -> np.ndarray:
    """Return the image without lens distortion, same size; black where the lens saw nothing."""
    check_size(rgb.shape[:2], view)
    if view.lens is None or view.camera is None:
        return rgb
    out = np.empty_like(rgb)
    lens_map(view.lens, view.camera, 0).apply(np.ascontiguousarray(rgb), out, 0)
    return out


def check_size(hw: tuple[int, ...], view: View) -> None:
    """Refuse images of another size than the calibration's."""
    if view.camera is not None and view.camera.size_hw != hw:
        raise DataError(
            f'the images are {hw[1]}x{hw[0]}, but camera_info is for '
            f'{view.camera.width}x{view.camera.height}: name the camera_info that belongs to them '
            'with --camera-info-topic'
        )


def pinhole_depth(depth_m: np.ndarray, view: View, hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value, of a registered depth image.

    A depth image of another size but the same aspect is resampled (nearest neighbour); then the
    lens distortion is taken out as of the image.
    """
    height, width = depth_m.shape
    if abs(width * hw[0] - height * hw[1]) > max(hw):
        raise DataError(
            f'depth images are {width}x{height} and images {hw[1]}x{hw[0]}: the aspects differ, '
            'so they do not show the same view. Record depth registered to the camera'
        )
    if depth_m.shape != hw:
        depth_m = cv2.resize(depth_m, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    if view.lens is None or view.camera is None:
        return depth_m
    rays = view.camera.rays().astype(np.float64)
    x, y = view.lens.distort(rays[..., 0], rays[..., 1])
    raw = view.lens.camera
    u = np.nan_to_num(raw.fx * x + raw.cx, nan=-9).astype(np.float32)
    v = np.nan_to_num(raw.fy * y + raw.cy, nan=-9).astype(np.float32)
    return cv2.remap(depth_m, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)


def lidar_depth(
    xyz_m: np.ndarray, t_camera_lidar: np.ndarray, view: View, hw: tuple[int, int]
) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value: the nearest return of each pixel.

    xyz_m (n, 3) in the lidar's frame; t_camera_lidar (4, 4) into the camera's optical frame
    (x right, y down, z forward).
    """
    return sparse_depth(xyz_m, view.projection @ t_camera_lidar, hw)
