# SPDX-License-Identifier: Apache-2.0
"""The demo's pictures: camera, depth, labels and the cloud from above, side by side.

All of it is drawn from what came over DDS, not from what the demo knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lightdepth_ros import draw
from lightdepth_ros.perception.preprocess import Preprocessor
from tools.demo_drive import DriveFrame
from tools.demo_report import Answer

PANEL_WIDTH = 720
GAP_PX = 8
TEXT_SCALE = 0.5
WIDE = 2.0
"""Width / height from which a picture counts as wide."""


def side_by_side(frame: DriveFrame, answer: Answer) -> np.ndarray:
    """Draw the four panels: (H, W, 3) uint8 RGB. Wide pictures go above each other, with the
    cloud beside them; others two by two."""
    seen = what_the_network_saw(frame, answer.depth_m.shape)
    height, width = seen.shape[:2]
    depth = captioned(draw.depth_picture(answer.depth_m, (height, width)), 'depth')
    labels = captioned(draw.label_picture(seen, answer.label_id), 'labels')
    camera = captioned(seen, f'camera: {frame.name}')
    wide = width > WIDE * height
    left = stacked([camera, depth, labels] if wide else [camera, labels])
    cloud_height = left.shape[0] if wide else left.shape[0] - depth.shape[0] - GAP_PX
    cloud = captioned(draw.cloud_picture(answer.cloud, (cloud_height, width)), 'cloud from above')
    return beside(left, cloud if wide else stacked([depth, cloud]))


def what_the_network_saw(frame: DriveFrame, hw: tuple[int, int]) -> np.ndarray:
    """Return the part of the picture that an (h, w) output covers, PANEL_WIDTH wide."""
    height, width = hw
    size_hw = (round(PANEL_WIDTH * height / width), PANEL_WIDTH)
    preprocessor = Preprocessor(size_hw, 'crop', divisor=1, stride=1)
    picture: np.ndarray = preprocessor.prepare(frame.rgb, frame.view).batch[0]
    return picture


def stacked(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Put pictures of one width below each other."""
    gap = np.full((GAP_PX, pictures[0].shape[1], 3), draw.PAPER, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.vstack(parts[:-1])


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Put two pictures of one height next to each other."""
    gap = np.full((left.shape[0], GAP_PX, 3), draw.PAPER, np.uint8)
    return np.hstack([left, gap, right])


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """Write a caption on a dark plate into the top left corner; the picture is changed."""
    (width, height), _ = cv2.getTextSize(text, draw.FONT, TEXT_SCALE, 1)
    plate = picture[: height + 12, : width + 16]
    plate[:] = plate // 4
    at = (8, height + 5)
    cv2.putText(picture, text, at, draw.FONT, TEXT_SCALE, draw.INK, 1, cv2.LINE_AA)
    return picture
