# SPDX-License-Identifier: Apache-2.0
"""The KITTI selection in the development data folder (`kitti/` with its manifest.csv).

Sensor depth is one Velodyne scan projected into the left colour camera (3 frames of "val": KITTI's
accumulated depth). Dense depth and labels of teachers lie in folders of their own and are found by
the frame's id; "val" and "stereo" have none. For KITTI as it is shipped, see kitti_raw.py,
kitti_depth.py and kitti_object.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from training.datasets import files
from training.datasets.frames import Frame, Frames
from training.datasets.kitti_calib import CAMERA_HEIGHT_M
from training.datasets.manifest import open_manifest

TREE = """  <data>/kitti/manifest.csv      columns id, split, image, depth, right, fx, fy, cx, cy
  <data>/kitti/<split>/image/*.jpg
  <data>/kitti/<split>/depth/*.png
  <data>/kitti/teacher_depth/<id>.png   (where a teacher has seen the frame)
  <data>/kitti/teacher_label/<id>.png
  <data>/kitti/teacher_soft/<id>.png"""

NEVER_TAUGHT = ('val', 'stereo')


def open_kitti(root: Path, split: str) -> Frames:
    """Open a split: train, extra, val, unlabelled, road or stereo."""
    folder = files.require_folder(root / 'kitti', f'kitti-{split}', TREE)
    dataset = open_manifest(folder / 'manifest.csv', split, f'kitti-{split}')
    frames = [replace(f, height_m=CAMERA_HEIGHT_M) for f in dataset.frames]
    if split not in NEVER_TAUGHT:
        frames = [with_teachers(f, folder) for f in frames]
    return Frames(dataset.name, frames)


def with_teachers(frame: Frame, folder: Path) -> Frame:
    """Add the teacher files that exist for this frame."""
    depth = folder / 'teacher_depth' / f'{frame.name}.png'
    label = folder / 'teacher_label' / f'{frame.name}.png'
    soft = folder / 'teacher_soft' / f'{frame.name}.png'
    return replace(
        frame,
        teacher_depth=partial(files.read_teacher_depth, depth) if depth.is_file() else None,
        label=partial(files.read_ids, files.TRAIN_IDS, label) if label.is_file() else None,
        soft_label=soft if soft.is_file() else None,
    )
