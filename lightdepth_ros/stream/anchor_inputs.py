# SPDX-License-Identifier: Apache-2.0
"""Messages of range sensors as anchors of an image: nearest in time, moved by the transforms."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import RANGE_SENSORS
from lightdepth_ros.errors import BadCameraError, DataError, NoTransformError, TransformTimeError
from lightdepth_ros.perception.anchoring import Heard
from lightdepth_ros.perception.calibration import view_of
from lightdepth_ros.perception.ranges import MOST_READ, depth_xyz, project
from lightdepth_ros.stream.measurements import cloud_xyz, depth_image_m, scan_xyz
from lightdepth_ros.stream.transforms import Transforms

KEPT = 12
"""Messages remembered of each sensor."""
SLACK_NS = 200_000_000
"""How far a stamp may lie outside of what moving frames told."""
AT_ONCE_NS = SLACK_NS // 10
"""Between stamps so near hardly anything moves."""


class AnchorInputs:
    """The last messages of a camera's range sensors. Thread safe: callbacks add, a worker asks."""

    def __init__(self, transforms: Transforms) -> None:
        self._transforms = transforms
        self._lock = threading.Lock()
        self._kept: dict[str, deque[Any]] = {name: deque(maxlen=KEPT) for name in RANGE_SENSORS}
        self._depth_info: Any = None
        self.received = dict.fromkeys(RANGE_SENSORS, 0)
        """Messages that came from each sensor."""

    def add(self, source: str, message: Any) -> None:
        """Take a message of a sensor: sensor_msgs LaserScan, PointCloud2 or Image."""
        with self._lock:
            self._kept[source].append(message)
            self.received[source] += 1

    def add_depth_info(self, info: Any) -> None:
        """Take the calibration of the other depth camera."""
        self._depth_info = info

    def forget(self, source: str) -> None:
        """Drop what a sensor sent: it is not asked for any more."""
        with self._lock:
            self._kept[source].clear()

    def heard(
        self,
        source: str,
        camera: Camera,
        frame: str,
        stamp_ns: int,
        *,
        max_age_s: float,
        odom_frame: str,
    ) -> Heard:
        """Return what a sensor says about an image at `stamp_ns` of the optical frame `frame`.

        camera: of the prediction's grid. Motion between the two is undone where the transforms
        know `odom_frame`. Whatever is wrong is told as why_not: depth goes on without.
        """
        message, age_s = self._nearest(source, stamp_ns)
        if message is None:
            return Heard(source, None, why_not='no message has come')
        if abs(age_s) > max_age_s:
            return Heard(source, None, age_s, _too_old(age_s, max_age_s))
        try:
            xyz = self._points(source, message)
            pose = self._pose(frame, message.header, stamp_ns, odom_frame)
        except (DataError, BadCameraError) as error:
            return Heard(source, None, age_s, str(error))
        if not len(xyz):
            return Heard(source, None, age_s, 'its message holds no finite point')
        return Heard(source, project(xyz, pose, camera), age_s)

    def _nearest(self, source: str, stamp_ns: int) -> tuple[Any, float]:
        with self._lock:
            kept = list(self._kept[source])
        if not kept:
            return None, float('nan')
        message = min(kept, key=lambda m: abs(_stamp_ns(m.header) - stamp_ns))
        return message, (stamp_ns - _stamp_ns(message.header)) * 1e-9

    def _points(self, source: str, message: Any) -> np.ndarray:
        if source == 'scan':
            return scan_xyz(message, source)
        if source == 'cloud':
            return cloud_xyz(message, source, MOST_READ)
        return depth_xyz(depth_image_m(message, source), self._depth_camera(message))

    def _depth_camera(self, message: Any) -> Camera:
        info = self._depth_info
        view = None if info is None else view_of(info, 'rectified' if info.p[0] else 'raw')
        if view is None:
            raise DataError(
                'the other depth camera has no calibration: publish its camera_info on '
                'anchor/camera_info'
            )
        camera = view if isinstance(view, Camera) else view.camera
        if camera.size_hw != (message.height, message.width):
            raise DataError(
                f'the other depth image is {message.width}x{message.height}, its camera_info is '
                f'for {camera.width}x{camera.height}'
            )
        return camera

    def _pose(self, frame: str, header: Any, stamp_ns: int, odom_frame: str) -> np.ndarray:
        """Return T_camera_sensor, (4, 4): camera at `stamp_ns`, sensor at its own stamp."""
        there = header.frame_id
        tf, then_ns = self._transforms, _stamp_ns(header)
        at_once = abs(then_ns - stamp_ns) < AT_ONCE_NS
        if there == frame and at_once:
            return np.eye(4)
        try:
            t_odom_camera = tf.lookup(odom_frame, frame, stamp_ns, SLACK_NS)
            t_odom_sensor = tf.lookup(odom_frame, there, then_ns, SLACK_NS)
        except (NoTransformError, TransformTimeError) as error:
            if isinstance(error, TransformTimeError) and not at_once:
                raise
            return tf.lookup(frame, there, stamp_ns, SLACK_NS)
        pose: np.ndarray = np.linalg.inv(t_odom_camera) @ t_odom_sensor
        return pose


def _too_old(age_s: float, max_age_s: float) -> str:
    side = 'older' if age_s > 0 else 'newer'
    return (
        f'its nearest message is {abs(age_s):.2f} s {side} than the image; at most '
        f'{max_age_s:g} s are allowed (anchor_max_age_s). Are both clocks synchronised?'
    )


def _stamp_ns(header: Any) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)
