# SPDX-License-Identifier: Apache-2.0
"""Cityscapes as it is shipped: images, fine labels, stereo disparity and its cameras.

Disparity PNG (uint16): 0 = no value, else disparity = (value - 1) / 256 pixels; depth along Z is
fx * baseline / disparity (the data set's documentation). It comes from semi-global matching:
dense, but smooth at edges and coarse far away (at 50 m a quarter of a pixel is 1.3 m).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.errors import DataError
from training.datasets import files
from training.datasets.frames import Frame, Frames

TREE = """  <root>/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
  <root>/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png   (optional)
  <root>/disparity/train/aachen/aachen_000000_000019_disparity.png      (optional, with camera)
  <root>/camera/train/aachen/aachen_000000_000019_camera.json           (optional)
  <root>/rightImg8bit/train/aachen/aachen_000000_000019_rightImg8bit.png (only for stereo)"""

TO_TRAIN_ID = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip
"""Cityscapes label id -> train id; the other ids up to 33, and 255 (licence plate), are void."""

LABEL_TABLE = files.id_table(dict.fromkeys([*range(34), 255], UNLABELLED) | TO_TRAIN_ID)

LEFT = 'leftImg8bit'


@dataclass(frozen=True)
class StereoCamera:
    """Intrinsics (fx, fy, cx, cy) in pixels and the metres between the two cameras."""

    intrinsics: tuple[float, float, float, float]
    baseline_m: float


def open_cityscapes(root: Path, split: str, stereo: bool = False) -> Frames:
    """Open train, val or test; stereo: with the right-hand image."""
    name = f'cityscapes-{split}'
    folder = files.require_folder(root / LEFT / split, name, TREE)
    images = sorted(folder.glob(f'*/*_{LEFT}.png'))
    if not images:
        raise DataError(f'{name}: no image lies in {folder}. A right tree looks like\n{TREE}')
    return Frames(name, [cityscapes_frame(image, root, stereo) for image in images])


def cityscapes_frame(image: Path, root: Path, stereo: bool) -> Frame:
    """Return the frame of one left image with the truths whose folders are there."""
    split, city, name = image.relative_to(root / LEFT).parts
    stem = name.removesuffix(f'_{LEFT}.png')

    def partner(kind: str, ending: str) -> Path:
        return root / kind / split / city / f'{stem}_{ending}'

    camera = depth = None
    has_depth = (root / 'disparity' / split).is_dir()
    if has_depth or stereo or (root / 'camera' / split).is_dir():
        camera = read_camera(partner('camera', 'camera.json'))
    if camera and has_depth:
        depth = partial(read_disparity_depth, camera, partner('disparity', 'disparity.png'))
    label = partial(files.read_ids, LABEL_TABLE, partner('gtFine', 'gtFine_labelIds.png'))
    return Frame(
        name=stem,
        image=image,
        intrinsics=camera.intrinsics if camera else None,
        depth=depth,
        label=label if (root / 'gtFine' / split).is_dir() else None,
        right=partner('rightImg8bit', 'rightImg8bit.png') if stereo else None,
        baseline_m=camera.baseline_m if camera and stereo else None,
    )


def read_camera(path: Path) -> StereoCamera:
    """Read a camera JSON of the package camera_trainvaltest."""
    try:
        data = json.loads(path.read_text())
        k = [float(data['intrinsic'][key]) for key in ('fx', 'fy', 'u0', 'v0')]
        return StereoCamera((k[0], k[1], k[2], k[3]), float(data['extrinsic']['baseline']))
    except OSError as error:
        raise DataError(
            f'cannot read the camera {path} ({error.strerror}): disparity needs it. It is part of '
            'the package camera_trainvaltest'
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{path} is no Cityscapes camera ({error!r}): it has intrinsic fx, fy, u0, v0 and '
            'extrinsic baseline'
        ) from error


def read_disparity_depth(camera: StereoCamera, path: Path, hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32 metres along Z, 0 = no value, of a disparity PNG."""
    raw = files.decode(path, cv2.IMREAD_UNCHANGED)
    files.check_size(raw, hw, path)
    if raw.dtype != np.uint16:
        raise DataError(f'{path} is {raw.dtype}; a disparity PNG has one uint16 channel')
    disparity_px = (raw.astype(np.float32) - 1) / 256
    depth = np.zeros(hw, np.float32)
    known = disparity_px > 0
    depth[known] = camera.intrinsics[0] * camera.baseline_m / disparity_px[known]
    return depth
