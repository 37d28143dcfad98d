# SPDX-License-Identifier: Apache-2.0
"""The node's topics: names, types, QoS, publishers and subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from lightdepth_ros.outputs import OUTPUTS
from lightdepth_ros.stream import Stream
from lightdepth_ros.voice import Voice

MESSAGE_TYPES = {
    'sensor_msgs/msg/Image': Image,
    'sensor_msgs/msg/CameraInfo': CameraInfo,
    'sensor_msgs/msg/PointCloud2': PointCloud2,
}
INPUTS = {
    'raw': ('', Image, 'sensor_msgs/msg/Image'),
    'compressed': ('/compressed', CompressedImage, 'sensor_msgs/msg/CompressedImage'),
}
"""image_transport -> (suffix of the topic, message class, its name)."""
NEWEST_ONLY = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""Matches reliable and best effort cameras, and never queues."""
RELIABLE = QoSProfile(
    depth=2, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
"""Reaches reliable and best effort consumers."""
OVERRIDABLE = QoSOverridingOptions(
    policy_kinds=(
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
)


class OpenPublisher:
    """A publisher that falls silent, instead of raising, once ROS is being shut down."""

    def __init__(self, publisher: Any, ok: Any) -> None:
        self.publisher = publisher
        self._ok = ok

    def get_subscription_count(self) -> int:
        """Return how many subscriptions are matched."""
        try:
            return int(self.publisher.get_subscription_count())
        except (_rclpy.RCLError, _rclpy.InvalidHandle):
            if self._ok():
                raise
            return 0

    def publish(self, msg: Any) -> None:
        """Send a message."""
        try:
            self.publisher.publish(msg)
        except (_rclpy.RCLError, _rclpy.InvalidHandle):
            if self._ok():
                raise


def open_stream(node: LifecycleNode, transport: str, voice: Voice) -> Stream:
    """Create the publishers of a camera and return its stream. transport: key of INPUTS."""
    suffix, _, image_type = INPUTS[transport]
    publishers = {
        output.topic: OpenPublisher(
            node.create_lifecycle_publisher(
                MESSAGE_TYPES[output.message_type],
                output.topic,
                RELIABLE,
                qos_overriding_options=OVERRIDABLE,
            ),
            node.context.ok,
        )
        for output in OUTPUTS
    }
    return Stream(
        name=node.get_fully_qualified_name(),
        image_topic=node.resolve_topic_name('image') + suffix,
        image_type=image_type,
        info_topic=node.resolve_topic_name('camera_info'),
        publishers=publishers,
        voice=voice,
        clock_ns=lambda: int(node.get_clock().now().nanoseconds),
    )


def close_stream(node: LifecycleNode, stream: Stream) -> None:
    """Destroy the publishers that `open_stream` created."""
    for publisher in stream.publishers.values():
        if isinstance(publisher, OpenPublisher):
            node.destroy_lifecycle_publisher(publisher.publisher)


def subscribe(
    node: LifecycleNode, stream: Stream, transport: str, on_image: Callable[[Any], None]
) -> list[Any]:
    """Subscribe to a camera's image and camera_info; return the subscriptions."""
    topics = (
        (INPUTS[transport][1], stream.image_topic, on_image),
        (CameraInfo, stream.info_topic, stream.calibration.update),
    )
    return [
        node.create_subscription(
            message_type, topic, callback, NEWEST_ONLY, qos_overriding_options=OVERRIDABLE
        )
        for message_type, topic, callback in topics
    ]
