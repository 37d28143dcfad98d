# SPDX-License-Identifier: Apache-2.0
"""The table of everything the node publishes: topic, type, what it needs, how it is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np

from lightdepth_ros.classes import palette
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.draw import color_depth
from lightdepth_ros.perception.cloud import points
from lightdepth_ros.perception.heights import Plane, ground_of
from lightdepth_ros.perception.navigation import class_mask, clearing_points, obstacle_points
from lightdepth_ros.perception.point_filter import without_flying
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.stream import messages


class Result:
    """One frame's outputs with the header of its image.

    clouds: by topic, the messages that are written again and again; the caller keeps them from
    frame to frame.
    """

    def __init__(
        self,
        prediction: Prediction,
        rgb: np.ndarray | None,
        header: Any,
        config: NodeConfig,
        clouds: dict[str, messages.CloudMessage],
    ) -> None:
        self.prediction = prediction
        self.header = header
        self.config = config
        self._rgb = rgb
        self._clouds = clouds

    @cached_property
    def plane(self) -> Plane | None:
        """The ground below the camera, fitted once a frame; None = it is not known."""
        return ground_of(self.prediction, class_mask(self.config.classes_ground))

    @property
    def rgb(self) -> np.ndarray:
        """(h, w, 3) uint8; only for outputs that need 'rgb'."""
        assert self._rgb is not None
        return self._rgb

    @property
    def label_id(self) -> np.ndarray:
        """(h, w) uint8; only for outputs that need 'label'."""
        assert self.prediction.label_id is not None
        return self.prediction.label_id

    @property
    def confidence(self) -> np.ndarray:
        """(h, w) uint8; only for outputs that need 'confidence'."""
        assert self.prediction.confidence is not None
        return self.prediction.confidence

    @cached_property
    def solid(self) -> Prediction:
        """The prediction for clouds: NaN where its points would hang in the air."""
        return without_flying(self.prediction, self.config.point_filter)

    def cloud(self, topic: str, make: Callable[[np.ndarray | None], np.ndarray]) -> Any:
        """Return the PointCloud2 of a topic; make: see messages.CloudMessage.fill."""
        message = self._clouds.setdefault(topic, messages.CloudMessage())
        return message.fill(make, self.header)


class Output(NamedTuple):
    """One topic.

    needs          what Perception must compute for it (perception.PARTS).
    needs_camera   whether it makes no sense without calibration.
    build          makes the message.
    text           what it holds, for docs/topics.md.
    """

    topic: str
    message_type: str
    needs: frozenset[str]
    needs_camera: bool
    build: Callable[[Result], Any]
    text: str


DEPTH = frozenset({'depth', 'label'})
"""Labels come with every depth, because sky is +Inf: what a depth image holds must not depend on
who else listens."""
LABEL = frozenset({'label'})
CONFIDENCE = DEPTH | {'confidence'}
"""With depth and labels, which it does not need: engines prepare themselves for each new set of
outputs, up to a second with some, so subscribers that come and go must not make many sets."""
CLOUD = CONFIDENCE | {'rgb'}

COLORS = palette()[:, None]  # (256, 1, 3), as OpenCV's colour maps are


def _depth(result: Result) -> Any:
    return messages.depth_to_image(result.prediction.depth_m, result.header)


def _camera_info(result: Result) -> Any:
    prediction = result.prediction
    return messages.camera_to_info(prediction.camera, prediction.depth_m.shape, result.header)


def _rgb(result: Result) -> Any:
    return messages.rgb_to_image(result.rgb, result.header)


def _label(result: Result) -> Any:
    return messages.mono_to_image(result.label_id, result.header)


def _label_color(result: Result) -> Any:
    return messages.rgb_to_image(cv2.applyColorMap(result.label_id, COLORS), result.header)


def _points(result: Result) -> Any:
    return result.cloud('points', lambda out: points(result.solid, result.rgb, out))


def _depth_mm(result: Result) -> Any:
    return messages.depth_to_mm_image(result.prediction.depth_m, result.header)


def _preview(result: Result) -> Any:
    return messages.rgb_to_image(color_depth(result.prediction.depth_m), result.header)


def _confidence(result: Result) -> Any:
    return messages.mono_to_image(result.confidence, result.header)


def _obstacles(result: Result) -> Any:
    config, prediction = result.config, result.solid
    passable = class_mask((*config.classes_ground, *config.classes_ignore))
    ground, height_m = class_mask(config.classes_ground), config.obstacle_min_height_m
    return result.cloud(
        'points_obstacles',
        lambda out: obstacle_points(
            prediction, passable, out, ground=ground, plane=result.plane, min_height_m=height_m
        ),
    )


def _clearing(result: Result) -> Any:
    config, prediction = result.config, result.solid
    ignored, far_m = class_mask(config.classes_ignore), config.max_range_m
    return result.cloud(
        'points_clearing',
        lambda out: clearing_points(prediction, far_m, ignored, out, plane=result.plane),
    )


IMAGE = 'sensor_msgs/msg/Image'
CLOUD2 = 'sensor_msgs/msg/PointCloud2'
TOPICS = (
    Output(
        'depth/image',
        IMAGE,
        DEPTH,
        False,
        _depth,
        '32FC1, metres along the optical axis. NaN: unknown; +Inf: sky or beyond `max_range_m`; '
        '-Inf: nearer than `min_range_m`.',
    ),
    Output(
        'depth/image_mm',
        IMAGE,
        DEPTH,
        False,
        _depth_mm,
        '16UC1, the same in millimetres; 0: no reading (unknown, sky, out of range, beyond '
        '65.535 m).',
    ),
    Output(
        'depth/preview', IMAGE, DEPTH, False, _preview, 'rgb8, the same in colours, to look at.'
    ),
    Output(
        'depth/camera_info',
        'sensor_msgs/msg/CameraInfo',
        frozenset(),
        False,
        _camera_info,
        'Calibration of all outputs: size, K and P of the published pixels, no distortion. K is 0 '
        'without calibration.',
    ),
    Output(
        'rgb/image', IMAGE, frozenset({'rgb'}), False, _rgb, 'rgb8, the camera image at this size.'
    ),
    Output(
        'semantic/image',
        IMAGE,
        LABEL,
        False,
        _label,
        'mono8, Cityscapes train ids (0 road ... 18 bicycle); 255: unlabelled.',
    ),
    Output(
        'semantic/color',
        IMAGE,
        LABEL,
        False,
        _label_color,
        'rgb8, the same in the colours of Cityscapes, to look at.',
    ),
    Output(
        'semantic/confidence',
        IMAGE,
        CONFIDENCE,
        False,
        _confidence,
        'mono8, 0 to 255: how sure the network is of the depth.',
    ),
    Output(
        'points',
        CLOUD2,
        CLOUD,
        True,
        _points,
        'Organised cloud with x y z (m) rgb label confidence; x y z are NaN where depth is not '
        'finite, and where a point would hang in the air (`point_filter`). Needs calibration.',
    ),
    Output(
        'points_obstacles',
        CLOUD2,
        DEPTH,
        True,
        _obstacles,
        'x y z of `points` without `classes_ignore`, and without `classes_ground` as far as they '
        'lie on the ground (`obstacle_min_height_m`): what a costmap should mark.',
    ),
    Output(
        'points_clearing',
        CLOUD2,
        DEPTH,
        True,
        _clearing,
        'x y z of `points` without `classes_ignore`, and with a point at depth `max_range_m` '
        'where depth is +Inf: what a costmap should clear along.',
    ),
)
"""All outputs of a frame; they share one header and one height x width."""


def needed(wanted: Iterable[Output]) -> frozenset[str]:
    """Return what Perception must compute for these outputs."""
    return frozenset().union(*(output.needs for output in wanted))
