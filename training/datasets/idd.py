# SPDX-License-Identifier: Apache-2.0
"""IDD Lite in the development data folder: not calibrated, no depth.

Its images were squeezed from 16:9 to 320x227. They are stretched back to 404x227, so that pixels
are square like those of every other data set. `label/` holds IDD's 7 coarse classes, which are
nav7 ids already; `label19/` a teacher's 19 classes, narrowed to those that the true class allows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from lightdepth_ros.errors import DataError
from training.datasets import files
from training.datasets.folders import list_images, sister
from training.datasets.frames import Frame, Frames
from training.datasets.sample import GUESSED_HEIGHT_M, RoughMount

TREE = '  <data>/idd_lite/train/{image/*.jpg, label/*.png, label19/*.png}'

SQUARE_PIXELS_HW = (227, 404)
MOUNT = RoughMount(horizon=0.46, height_m=GUESSED_HEIGHT_M)
"""The horizon was read off the pictures."""
SEQUENCES_TOGETHER, TENS, TEN_ASIDE = 10, 8, 3


def open_idd(root: Path) -> Frames:
    """Open the training split, the only one there is."""
    return Frames('idd-train', idd_frames(root, 'idd-train'))


def open_idd_part(root: Path, part: str) -> Frames:
    """Open a part of the training split: "train", or "val", which shares no sequence with it.

    "val" comes without the teacher's fine labels.
    """
    name = f'idd-part-{part}'
    frames = [f for f in idd_frames(root, name) if is_aside(f) == (part == 'val')]
    return Frames(name, [replace(f, label=None) for f in frames] if part == 'val' else frames)


def is_aside(frame: Frame) -> bool:
    """Say whether a frame's sequence belongs to the part kept aside: one ten of every eight.

    Sequences are numbered; neighbours may be of one drive, so ten go together.
    """
    if not frame.place.isdecimal():
        raise DataError(
            f'{frame.name}: {frame.place!r} is no number of a sequence; IDD names its files '
            'SEQUENCE_FRAME, as in 100_178149.jpg'
        )
    return int(frame.place) // SEQUENCES_TOGETHER % TENS == TEN_ASIDE


def idd_frames(root: Path, name: str) -> list[Frame]:
    """Return all frames; `name` is for messages."""
    images = list_images(root / 'idd_lite' / 'train' / 'image', name, TREE)
    return [idd_frame(image) for image in images]


def idd_frame(image: Path) -> Frame:
    """Return the frame of one image."""
    return Frame(
        name=image.stem,
        image=image,
        label=partial(files.read_ids, files.TRAIN_IDS, sister(image, 'label19')),
        nav7=partial(files.read_ids, files.NAV7_IDS, sister(image, 'label')),
        mount=MOUNT,
        resize_hw=SQUARE_PIXELS_HW,
        place=image.stem.partition('_')[0],
    )
