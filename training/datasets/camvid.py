# SPDX-License-Identifier: Apache-2.0
"""CamVid in the development data folder: 480x360, not calibrated, no depth.

`label/` holds the 11 CamVid classes drawn by people; they give `nav7_id`. `label19/` (train only)
holds a teacher's 19 classes, narrowed to those that the true class allows; it gives `label_id`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from lightdepth_ros.classes import UNLABELLED
from training.datasets import files
from training.datasets.folders import list_images, sister
from training.datasets.frames import Frame, Frames
from training.datasets.sample import GUESSED_HEIGHT_M, RoughMount

TREE = """  <data>/camvid/train/{image/*.jpg, label/*.png, label19/*.png}
  <data>/camvid/val/{image/*.jpg, label/*.png}"""

TO_NAV7 = {3: 0, 4: 1, 9: 2, 10: 2, 8: 3, 2: 4, 6: 4, 7: 4, 1: 5, 5: 5, 0: 6, 11: UNLABELLED}
"""CamVid id -> nav7 id. CamVid: 0 Sky 1 Building 2 Pole 3 Road 4 Pavement 5 Tree 6 SignSymbol
7 Fence 8 Car 9 Pedestrian 10 Bicyclist 11 void."""
MOUNT = RoughMount(horizon=0.495, height_m=GUESSED_HEIGHT_M)
"""The horizon was read off the pictures."""
SEQUENCE_ASIDE = '0006R0'
"""The drive that training may leave out, so that labels are scored on streets it never saw. File
names begin with the drive: train has 0001TP, 0006R0 and 0016E5; all of val is 0016E5 too."""


def open_camvid(root: Path, split: str) -> Frames:
    """Open the split train or val."""
    name = f'camvid-{split}'
    return Frames(name, split_frames(root, split, name))


def open_other_sequences(root: Path) -> Frames:
    """Open the frames of train that are not of the sequence kept aside."""
    frames = split_frames(root, 'train', 'camvid-other-train')
    return Frames('camvid-other-train', [f for f in frames if f.place != SEQUENCE_ASIDE])


def open_sequence_aside(root: Path) -> Frames:
    """Open the sequence kept aside, from train and val, without fine labels."""
    name = 'camvid-seq-val'
    frames = split_frames(root, 'train', name) + split_frames(root, 'val', name)
    aside = [replace(f, label=None) for f in frames if f.place == SEQUENCE_ASIDE]
    return Frames(name, aside)


def split_frames(root: Path, split: str, name: str) -> list[Frame]:
    """Return the frames of the split train or val; `name` is for messages."""
    images = list_images(root / 'camvid' / split / 'image', name, TREE)
    return [camvid_frame(image, fine=split == 'train') for image in images]


def camvid_frame(image: Path, fine: bool) -> Frame:
    """Return the frame of one image; `fine`: with the 19-class labels."""
    coarse = partial(files.read_ids, files.id_table(TO_NAV7), sister(image, 'label'))
    label = partial(files.read_ids, files.TRAIN_IDS, sister(image, 'label19')) if fine else None
    return Frame(
        name=image.stem,
        image=image,
        label=label,
        nav7=coarse,
        mount=MOUNT,
        place=image.stem.partition('_')[0],
    )
