# SPDX-License-Identifier: Apache-2.0
"""The second part of the development data folder: `more/` (roads) and `robots/` (rooms).

`more/manifest.csv` has a column "place": a drive, a street or a scene. Two of its splits are cut
in two by place, so that what is measured was recorded where nobody learnt.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.datasets import files
from training.datasets.frames import Frame, Frames
from training.datasets.kitti_calib import CAMERA_HEIGHT_M
from training.datasets.manifest import open_manifest
from training.datasets.nuscenes_front import HEIGHT_M as NUSCENES_HEIGHT_M
from training.datasets.sample import RoughMount

TREE = """  <data>/more/manifest.csv     id, split, image, depth, label, place ...
  <data>/more/image/*.jpg      and the other files that its rows name
  <data>/more/soft/<id>.png    (where a teacher gave soft labels)"""
ROBOTS_TREE = '  <data>/robots/manifest.csv, image/*.jpg, depth/*.png'

KITTI_SPLITS = ('kitti', 'grey', 'semantics', 'stereo')
TRUE_LABELS = 'semantics'
ASIDE = {
    'rigs': ('PandaSet', 'KITTI-360'),
    'nuscenes': (
        'nuScenes mini n015-2018-10-08',
        'nuScenes mini n008-2018-08-27',
        'nuScenes mini n008-2018-08-28',
        'nuScenes mini n008-2018-08-30',
    ),
}
"""Beginnings of the places kept aside. One scene, of n015-2018-07-24, is in both splits: it is to
learn from in both. So is the only night."""

NUSCENES_MOUNT = RoughMount(horizon=0.51, height_m=NUSCENES_HEIGHT_M)
"""The horizon was read off the pictures. They show more of the road than nuscenes-front does."""


def open_more(root: Path, split: str, part: str = '') -> Frames:
    """Open a split: kitti, grey, semantics, stereo, rigs or nuscenes.

    part: "train" or "val" of a split in ASIDE, which share no place; '' = the whole split.
    """
    name = f'more-{split}-{part}' if part else f'more-{split}'
    folder = files.require_folder(root / 'more', name, TREE)
    frames = open_manifest(folder / 'manifest.csv', split, name).frames
    if part:
        frames = [f for f in frames if is_aside(f, split) == (part == 'val')]
    return Frames(name, [completed(f, split, folder) for f in frames])


def is_aside(frame: Frame, split: str) -> bool:
    """Say whether a frame's place is kept aside for validation."""
    return frame.place.startswith(ASIDE[split])


def completed(frame: Frame, split: str, folder: Path) -> Frame:
    """Add what the manifest does not say: soft labels, the height of the camera, its mount.

    Where labels are true, a teacher's soft ones are left out.
    """
    soft = folder / 'soft' / f'{frame.name}.png'
    return replace(
        frame,
        soft_label=soft if split != TRUE_LABELS and soft.is_file() else None,
        height_m=CAMERA_HEIGHT_M if split in KITTI_SPLITS else frame.height_m,
        mount=NUSCENES_MOUNT if split == 'nuscenes' else None,
    )


def open_robots(root: Path) -> Frames:
    """Open the indoor frames with metric depth; how high the camera was is not known."""
    folder = files.require_folder(root / 'robots', 'robots', ROBOTS_TREE)
    return open_manifest(folder / 'manifest.csv', name='robots')
