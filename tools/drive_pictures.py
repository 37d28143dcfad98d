# SPDX-License-Identifier: Apache-2.0
"""Pictures of the drive that `make demo` plays: an animation, and the cloud as RViz draws it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from lightdepth_ros import draw
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.perception import cloud, navigation
from lightdepth_ros.perception.perception import Perception
from tools import rviz_view
from tools.demo_drive import FPS, SYNTHETIC_FRAMES, SYNTHETIC_SEED
from tools.demo_pictures import beside, captioned, stacked
from training.datasets.synthetic import drive

DRIVE_HW = (320, 480)
EVERY = 3
"""Each third frame of the drive is in the animation, so it plays at the speed of the drive."""
STILL_FRAME = 40
STILL_HW = (540, 900)
TILE_HW = (224, 336)
MAX_BYTES = 1_500_000
GIF_OPTIONS = [
    cv2.IMWRITE_GIF_DITHER,
    3,
    cv2.IMWRITE_GIF_QUALITY,
    cv2.IMWRITE_GIF_COLORTABLE_SIZE_256,
]
"""Chosen by looking at all of them: no pattern of dots, and the smallest file."""


@dataclass(frozen=True)
class Shown:
    """What is drawn of one frame. clouds are (h, w), see rviz_view.picture."""

    rgb: np.ndarray
    depth_m: np.ndarray
    label_id: np.ndarray
    cloud: np.ndarray
    obstacles: np.ndarray


def frames(perception: Perception, count: int = SYNTHETIC_FRAMES) -> Iterator[Shown]:
    """Drive through the synthetic town and yield what the model sees of each EVERY-th frame."""
    ground = navigation.class_mask(NodeConfig().classes_ground)
    height, width = DRIVE_HW
    samples = drive(SYNTHETIC_SEED, count, FPS, height, width)
    for sample in islice(samples, 0, count, EVERY):
        frame = perception.predict(sample.rgb, sample.camera, ('depth', 'label', 'rgb'))
        seen = frame.prediction
        assert seen.label_id is not None
        points = cloud.points(seen, frame.rgb)
        marked = navigation.obstacle_points(seen, ground)
        yield Shown(sample.rgb, seen.depth_m, seen.label_id, points, marked)


def tiles(shown: Shown) -> np.ndarray:
    """Put camera, depth, labels and cloud of a frame into one picture, two by two."""
    height, width = TILE_HW
    size = (width, height)
    labels = draw.overlay_labels(shown.rgb, shown.label_id)
    parts = {
        'camera': cv2.resize(shown.rgb, size, interpolation=cv2.INTER_AREA),
        'depth': draw.depth_picture(shown.depth_m, TILE_HW)[:height],
        'labels': cv2.resize(labels, size, interpolation=cv2.INTER_AREA),
        'cloud': cv2.resize(
            rviz_view.picture(shown.cloud, None, (2 * height, 2 * width)),
            size,
            interpolation=cv2.INTER_AREA,
        ),
    }
    camera, depth, labels, points = [captioned(tile, name) for name, tile in parts.items()]
    return stacked([beside(camera, depth), beside(labels, points)])


def still(shown: Shown) -> np.ndarray:
    """Draw a frame's cloud and obstacles as RViz does."""
    return rviz_view.picture(shown.cloud, shown.obstacles, STILL_HW)


def gif(pictures: list[np.ndarray], limit: int = MAX_BYTES) -> bytes:
    """Encode pictures of one size as an endless animation of at most `limit` bytes.

    It is made smaller until it fits. Each picture is shown as long as EVERY frames of the drive.
    """
    animation = cv2.Animation()
    animation.durations = [round(1000 * EVERY / FPS)] * len(pictures)
    animation.loop_count = 0
    scale = 1.0
    while True:
        animation.frames = [
            cv2.resize(p[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for p in pictures
        ]
        _, coded = cv2.imencodeanimation('.gif', animation, GIF_OPTIONS)
        if len(coded) <= limit:
            return bytes(coded)
        scale *= 0.94
