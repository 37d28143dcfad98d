# SPDX-License-Identifier: Apache-2.0
"""The demo's end of the ROS graph: a camera driver, and a listener to everything the node says."""

from __future__ import annotations

import importlib
import struct
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import NodeNameNonExistentError
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.stream import outputs
from lightdepth_ros.stream.messages import (
    camera_to_info,
    cloud_to_points,
    image_to_array,
    rgb_to_image,
)
from tools.demo_drive import DriveFrame
from tools.demo_report import Answer

NODE = 'depth_node'
FRAME_ID = 'camera_optical_frame'
INPUTS = {'/image': 'sensor_msgs/msg/Image', '/camera_info': 'sensor_msgs/msg/CameraInfo'}
TYPICAL = (
    *('/depth/image', '/depth/camera_info', '/points'),
    *('/semantic/image', '/semantic/color', '/rgb/image'),
)
"""What a robot may use at once: nothing needs every form of the same depth."""
TOPIC_TYPES = {f'/{output.topic}': output.message_type for output in outputs.TOPICS}
"""What the node must publish for every frame. Everything else it publishes is recorded too."""
NOT_OURS = ('/rosout', '/parameter_events')

Heard = Callable[[str, str, int, bytes], None]
"""Called with topic, type name, arrival (ns since 1970) and the message as it came."""


class Link:
    """Publishes frames and keeps what comes back, by stamp. Single-threaded: `spin` does it."""

    def __init__(self) -> None:
        """Join the graph."""
        # Without rclpy's handlers Ctrl-C is an ordinary KeyboardInterrupt, which stops the node.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('lightdepth_demo')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.heard: Heard = ignore
        """Called for every message sent or received."""
        self.keep = True
        """Whether `answers` keeps what the messages say, or only that they came."""
        self._image = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._info = self._node.create_publisher(
            CameraInfo, 'camera_info', qos_profile_sensor_data
        )
        self.topics: dict[str, str] = {}
        """Topics that are listened to -> type name."""
        self.answers: dict[int, dict[str, bytes]] = {}
        """Stamp (ns) of a sent frame -> topic -> the answer, serialised."""
        self.latency_ms: dict[int, float] = {}
        """Stamp of a sent frame -> time until the last of the expected topics had come."""
        self.expected = frozenset(TOPIC_TYPES)
        """Topics that make an answer complete."""
        self._subscriptions: dict[str, Any] = {}
        self._last: dict[str, bytes] = {}
        self._sent_s: dict[int, float] = {}

    def listen(self) -> bool:
        """Subscribe to all that the node publishes by now; tell if TOPIC_TYPES are among it."""
        try:
            found = self._node.get_publisher_names_and_types_by_node(NODE, '/')
        except NodeNameNonExistentError:
            return False
        for topic, types in found:
            if topic not in NOT_OURS and topic not in self.topics:
                self._subscribe(topic, types[0])
        return set(TOPIC_TYPES) <= set(self.topics)

    def send(self, frame: DriveFrame) -> int:
        """Publish a frame and its calibration as a camera driver would; return its stamp (ns)."""
        stamp = self._node.get_clock().now()
        header = Header(stamp=stamp.to_msg(), frame_id=FRAME_ID)
        info = serialize_message(calibration(frame.view, header))
        image = serialize_message(rgb_to_image(frame.rgb, header))
        self.answers[stamp.nanoseconds] = {}
        self._sent_s[stamp.nanoseconds] = time.perf_counter()
        self._info.publish(info)
        self._image.publish(image)
        for (topic, kind), data in zip(INPUTS.items(), (image, info), strict=True):
            self.heard(topic, kind, stamp.nanoseconds, data)
        return int(stamp.nanoseconds)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Receive for `seconds`, or until something is true; tell whether it is."""
        end = time.perf_counter() + seconds
        while not until():
            left = end - time.perf_counter()
            if left <= 0:
                return until()
            self._executor.spin_once(timeout_sec=left)
        return True

    def record(self, heard: Heard) -> None:
        """From now on tell `heard` of every message; first, the last word of the topics that do
        not speak frame by frame, which may not speak again."""
        self.heard = heard
        for topic, data in self._last.items():
            heard(topic, self.topics[topic], time.time_ns(), data)

    def listen_only_to(self, topics: Collection[str]) -> None:
        """Unsubscribe from all other topics, so that the node need not compute them."""
        for topic in set(self._subscriptions) - set(topics):
            self._node.destroy_subscription(self._subscriptions.pop(topic))
        self.expected = frozenset(topics)

    def answered(self, stamp_ns: int) -> bool:
        """Tell whether every expected topic has come for a frame."""
        return stamp_ns in self.latency_ms

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _subscribe(self, topic: str, kind: str) -> None:
        self.topics[topic] = kind
        # As the publisher offers it, so that what is sent only once (transient local) comes too.
        offered = self._node.get_publishers_info_by_topic(topic)[0].qos_profile
        qos = QoSProfile(depth=10, reliability=offered.reliability, durability=offered.durability)
        callback = partial(self._receive, topic)
        self._subscriptions[topic] = self._node.create_subscription(
            message_class(kind), topic, callback, qos, raw=True
        )

    def _receive(self, topic: str, data: bytes) -> None:
        self.heard(topic, self.topics[topic], time.time_ns(), data)
        if topic not in TOPIC_TYPES:
            self._last[topic] = data
            return
        stamp_ns = stamp_of(data)
        answer = self.answers.get(stamp_ns)
        if answer is None:
            return  # a frame of the warm-up
        answer[topic] = data if self.keep else b''
        if stamp_ns not in self.latency_ms and self.expected <= answer.keys():
            self.latency_ms[stamp_ns] = (time.perf_counter() - self._sent_s[stamp_ns]) * 1e3


def ignore(topic: str, kind: str, time_ns: int, data: bytes) -> None:
    """Do nothing with a message."""


def stamp_of(data: bytes) -> int:
    """Return the header stamp, in ns, of a serialised message that begins with its header.

    CDR: 4 bytes that name the encoding, then sec (int32) and nanosec (uint32).
    """
    order = '<' if data[1] else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def message_class(kind: str) -> Any:
    """Return the Python class of `package/msg/Name`."""
    package, _, name = kind.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


def calibration(view: Camera | Lens, header: Header) -> CameraInfo:
    """Return the calibration of a raw image as a driver publishes it, distortion included."""
    camera = view.camera if isinstance(view, Lens) else view
    info = camera_to_info(camera, camera.size_hw, header)
    if isinstance(view, Lens):
        info.distortion_model = view.model
        info.d = [float(c) for c in view.coefficients]
    return info


def decode(answer: Mapping[str, bytes]) -> Answer:
    """Decode the serialised messages of one frame (topic -> bytes)."""
    info = deserialize_message(answer['/depth/camera_info'], CameraInfo)
    return Answer(
        image_to_array(deserialize_message(answer['/depth/image'], Image)),
        image_to_array(deserialize_message(answer['/semantic/image'], Image)),
        cloud_to_points(deserialize_message(answer['/points'], PointCloud2)),
        (info.height, info.width),
        info.k[0],
        info.header.frame_id,
    )
