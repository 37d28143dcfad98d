# SPDX-License-Identifier: Apache-2.0
"""Miniature data sets in the layouts their makers ship, with geometry worked out by hand.

The KITTI camera sees 40x20 pixels with f = 100, centre (20, 10). The lidar looks forward along x,
0.27 m behind the camera; camera 2 sits 0.06 m left of camera 0, camera 3 0.48 m right of it.
The lidar point NEAR lies at (0.94, 0.5, 10) m of camera 0. So
  camera 2: u = (0.94 + 0.06) * 100 / 10 + 20 = 30, v = 0.5 * 100 / 10 + 10 = 15, depth 10 m;
  camera 3: u = (0.94 - 0.48) * 100 / 10 + 20 = 24.6, so pixel 25, v = 15.
FAR lies on the same ray of camera 2, at 12 m; BEHIND is behind the camera.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

KITTI_HW = (20, 40)
NEAR, FAR, BEHIND = (10.27, -0.94, -0.5), (12.27, -1.14, -0.6), (-5.0, 0.1, 0.1)
CAM_TO_CAM = """calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 100 0 20 6 0 100 10 0 0 0 1 0
P_rect_03: 100 0 20 -48 0 100 10 0 0 0 1 0
"""
VELO_TO_CAM = """calib_time: 15-Mar-2012 11:37:16
R: 0 -1 0 0 0 -1 1 0 0
T: 0 0 -0.27
"""
OBJECT_CALIB = """P0: 100 0 20 0 0 100 10 0 0 0 1 0
P2: 100 0 20 6 0 100 10 0 0 0 1 0.5
P3: 100 0 20 -48 0 100 10 0 0 0 1 0.5
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 -0.27

"""


def write_image(path: Path, array: np.ndarray) -> Path:
    """Write ids, uint16 values or RGB; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = array[..., ::-1] if array.ndim == 3 else array
    assert cv2.imwrite(str(path), stored)
    return path


def picture(hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return random RGB pixels."""
    return np.random.default_rng(seed).integers(0, 256, (*hw, 3), dtype=np.uint8)


def ids(hw: tuple[int, int], *values: int) -> np.ndarray:
    """Return an id image whose first pixels are `values` and whose rest is the last of them."""
    flat = np.full(hw[0] * hw[1], values[-1], np.uint8)
    flat[: len(values)] = values
    return flat.reshape(hw)


def depth_png(hw: tuple[int, int], pixels: dict[tuple[int, int], float]) -> np.ndarray:
    """Return a KITTI depth image with metres at the given (row, column)."""
    values = np.zeros(hw, np.uint16)
    for pixel, metres in pixels.items():
        values[pixel] = round(metres * 256)
    return values


def write_scan(path: Path, *points: tuple[float, float, float]) -> None:
    """Write a Velodyne file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.array([(*p, 0.5) for p in points], '<f4').tofile(path)


def kitti_raw(root: Path, frames: int = 2, drive: str = '2011_09_26_drive_0001_sync') -> Path:
    """Write one drive; the last frame has no scan. Returns root."""
    date = root / drive[:10]
    folder = date / drive
    for index in range(frames):
        for camera in (2, 3):
            image = folder / f'image_0{camera}' / 'data' / f'{index:010d}.png'
            write_image(image, picture(KITTI_HW, 10 * index + camera))
        if index < frames - 1:
            scan = folder / 'velodyne_points' / 'data' / f'{index:010d}.bin'
            write_scan(scan, FAR, NEAR, BEHIND)
    (date / 'calib_cam_to_cam.txt').write_text(CAM_TO_CAM)
    (date / 'calib_velo_to_cam.txt').write_text(VELO_TO_CAM)
    return root


def eigen_list(root: Path, split: str, *lines: str) -> None:
    """Write a split list where open_eigen looks for it."""
    (root / 'splits').mkdir(parents=True, exist_ok=True)
    (root / 'splits' / f'eigen_{split}_files.txt').write_text('\n'.join(lines) + '\n')


def cityscapes(root: Path, hw: tuple[int, int] = (8, 16)) -> Path:
    """Write one frame of split train: fx 2262.5, baseline 0.2 m, disparity 45.25 px at (3, 5)."""
    stem = 'aachen_000000_000019'

    def place(kind: str, ending: str) -> Path:
        return root / kind / 'train' / 'aachen' / f'{stem}_{ending}'

    write_image(place('leftImg8bit', 'leftImg8bit.png'), picture(hw, 1))
    write_image(place('rightImg8bit', 'rightImg8bit.png'), picture(hw, 2))
    write_image(place('gtFine', 'gtFine_labelIds.png'), ids(hw, 7, 26, 24, 1, 255, 23))
    disparity = np.zeros(hw, np.uint16)
    disparity[3, 5], disparity[0, 0] = 45.25 * 256 + 1, 1
    write_image(place('disparity', 'disparity.png'), disparity)
    camera = {
        'intrinsic': {'fx': 2262.5, 'fy': 2265.0, 'u0': 8.0, 'v0': 4.0},
        'extrinsic': {'baseline': 0.2, 'pitch': 0.03, 'x': 1.7},
    }
    path = place('camera', 'camera.json')
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(camera))
    return root


def write_manifest(folder: Path, columns: tuple[str, ...]) -> str:
    """Write three frames with the given truths; return the source that names them."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = [','.join(['id', 'image', 'fx', 'fy', 'cx', 'cy', *columns])]
    for k in range(3):
        grey = cv2.GaussianBlur(rng.integers(0, 256, (96, 160, 3), dtype=np.uint8), (0, 0), 3)
        cv2.imwrite(str(folder / f'{k}.png'), grey)
        depth = np.linspace(5, 40, 96)[::-1, None] * np.ones((96, 160)) * 256
        sparse = np.where(rng.random(depth.shape) < 0.1, depth, 0)
        cv2.imwrite(str(folder / f'depth{k}.png'), sparse.astype(np.uint16))
        cv2.imwrite(str(folder / f'teacher_depth{k}.png'), (depth * 1.1).astype(np.uint16))
        cv2.imwrite(str(folder / f'label{k}.png'), (depth < 20 * 256).astype(np.uint8) * 2)
        cells = [f'{c}{k}.png' for c in columns]
        rows.append(','.join([str(k), f'{k}.png', '100', '100', '79.5', '47.5', *cells]))
    (folder / 'manifest.csv').write_text('\n'.join(rows) + '\n')
    return f'manifest@{folder}'
