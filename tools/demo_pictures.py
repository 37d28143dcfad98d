# SPDX-License-Identifier: Apache-2.0
"""The demo's pictures: camera, depth, labels and the cloud from above, side by side.

All of it is drawn from what came over DDS, not from what the demo knows.
"""

from __future__ import annotations

import cv2
import numpy as np

from lightdepth_ros import draw
from lightdepth_ros.preprocess import Preprocessor
from tools.demo_drive import DriveFrame
from tools.demo_report import Answer

PANEL_WIDTH = 720
GAP_PX = 8


def side_by_side(frame: DriveFrame, answer: Answer) -> np.ndarray:
    """Draw the four panels, two by two: (H, W, 3) uint8 RGB."""
    seen = what_the_network_saw(frame, answer.depth_m.shape)
    size_hw = (seen.shape[0], seen.shape[1])
    top = beside(seen, draw.depth_picture(answer.depth_m, size_hw))
    labels = draw.label_picture(seen, answer.label_id)
    bottom = beside(labels, draw.cloud_picture(answer.cloud, (labels.shape[0], size_hw[1])))
    gap = np.full((GAP_PX, top.shape[1], 3), draw.PAPER, np.uint8)
    return np.vstack([top, gap, bottom])


def what_the_network_saw(frame: DriveFrame, hw: tuple[int, int]) -> np.ndarray:
    """Return the part of the picture that an (h, w) output covers, PANEL_WIDTH wide."""
    height, width = hw
    size_hw = (round(PANEL_WIDTH * height / width), PANEL_WIDTH)
    preprocessor = Preprocessor(size_hw, 'crop', divisor=1, stride=1)
    picture: np.ndarray = preprocessor.prepare(frame.rgb, frame.view).batch[0]
    return picture


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Put two pictures next to each other, the shorter one filled up at the bottom."""
    height = max(left.shape[0], right.shape[0])
    gap = np.full((height, GAP_PX, 3), draw.PAPER, np.uint8)
    return np.hstack([filled(left, height), gap, filled(right, height)])


def filled(picture: np.ndarray, height: int) -> np.ndarray:
    """Add rows of the background colour below a picture."""
    missing = height - picture.shape[0]
    color = draw.PAPER
    return cv2.copyMakeBorder(picture, 0, missing, 0, 0, cv2.BORDER_CONSTANT, value=color)
