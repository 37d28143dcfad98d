# SPDX-License-Identifier: Apache-2.0
"""IDD Lite in the development data folder: not calibrated, no depth.

Its images were squeezed from 16:9 to 320x227. They are stretched back to 404x227, so that pixels
are square like those of every other data set. `label/` holds IDD's 7 coarse classes, which are
nav7 ids already; `label19/` a teacher's 19 classes, narrowed to those that the true class allows.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from training.datasets import files
from training.datasets.folders import list_images, sister
from training.datasets.frames import Frame, Frames
from training.datasets.sample import GUESSED_HEIGHT_M, RoughMount

TREE = '  <data>/idd_lite/train/{image/*.jpg, label/*.png, label19/*.png}'

SQUARE_PIXELS_HW = (227, 404)
MOUNT = RoughMount(horizon=0.46, height_m=GUESSED_HEIGHT_M)
"""The horizon was read off the pictures."""


def open_idd(root: Path) -> Frames:
    """Open the training split, the only one there is."""
    images = list_images(root / 'idd_lite' / 'train' / 'image', 'idd-train', TREE)
    return Frames('idd-train', [idd_frame(image) for image in images])


def idd_frame(image: Path) -> Frame:
    """Return the frame of one image."""
    return Frame(
        name=image.stem,
        image=image,
        label=partial(files.read_ids, files.TRAIN_IDS, sister(image, 'label19')),
        nav7=partial(files.read_ids, files.NAV7_IDS, sister(image, 'label')),
        mount=MOUNT,
        resize_hw=SQUARE_PIXELS_HW,
    )
