# SPDX-License-Identifier: Apache-2.0
"""nuScenes front camera in the development data folder: 800x450, teacher labels, no depth.

The frames carry no calibration of their own; all share the camera below, whose focal length is
that of the nuScenes front camera at this size.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from training.datasets import files
from training.datasets.folders import list_images, sister
from training.datasets.frames import Frame, Frames
from training.datasets.sample import RoughMount

TREE = '  <data>/nuscenes_front/{image/*.jpg, teacher_label/*.png, teacher_soft/*.png}'

SIZE_HW = (450, 800)
FOCAL_PX = 633.0
HEIGHT_M = 1.51
"""nuScenes' own calibration of the front camera."""
MOUNT = RoughMount(horizon=0.444, height_m=HEIGHT_M)
"""The horizon was read off the pictures."""
INTRINSICS = (FOCAL_PX, FOCAL_PX, (SIZE_HW[1] - 1) / 2, (SIZE_HW[0] - 1) / 2)


def open_nuscenes_front(root: Path) -> Frames:
    """Open all frames."""
    images = list_images(root / 'nuscenes_front' / 'image', 'nuscenes-front', TREE)
    return Frames('nuscenes-front', [nuscenes_frame(image) for image in images])


def nuscenes_frame(image: Path) -> Frame:
    """Return the frame of one image. Soft labels need not be there."""
    soft = image.parent.parent / 'teacher_soft' / f'{image.stem}.png'
    return Frame(
        name=image.stem,
        image=image,
        intrinsics=INTRINSICS,
        label=partial(files.read_ids, files.TRAIN_IDS, sister(image, 'teacher_label')),
        size_hw=SIZE_HW,
        mount=MOUNT,
        soft_label=soft if soft.is_file() else None,
    )
