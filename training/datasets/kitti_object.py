# SPDX-License-Identifier: Apache-2.0
"""KITTI's object benchmark as it is shipped: left colour image, Velodyne scan, calibration.

Sensor depth is the scan projected into the left colour camera, nearest return per pixel; without
the velodyne folder, frames come without depth.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from training.datasets import lidar
from training.datasets.folders import list_images
from training.datasets.frames import Frame, Frames
from training.datasets.kitti_calib import CAMERA_HEIGHT_M, baseline_m, object_cameras

TREE = """  <root>/training/image_2/000000.png
  <root>/training/image_3/000000.png     (only for stereo)
  <root>/training/velodyne/000000.bin
  <root>/training/calib/000000.txt
  <root>/testing/...                     the same"""


def open_kitti_object(root: Path, split: str, stereo: bool = False) -> Frames:
    """Open training or testing; stereo: with the right-hand image."""
    name = f'kitti-object-{split}'
    images = list_images(root / split / 'image_2', name, TREE)
    return Frames(name, [object_frame(image, stereo) for image in images])


def object_frame(image: Path, stereo: bool) -> Frame:
    """Return the frame of one left image."""
    folder = image.parent.parent
    cameras = object_cameras(folder / 'calib' / f'{image.stem}.txt')
    scan = folder / 'velodyne' / f'{image.stem}.bin'
    read = partial(lidar.read_projected, cameras[2].from_lidar, 'camera', scan)
    return Frame(
        name=image.stem,
        image=image,
        intrinsics=cameras[2].intrinsics,
        height_m=CAMERA_HEIGHT_M,
        depth=read if scan.parent.is_dir() else None,
        right=folder / 'image_3' / image.name if stereo else None,
        baseline_m=baseline_m(cameras[2], cameras[3]) if stereo else None,
    )
