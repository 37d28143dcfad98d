# SPDX-License-Identifier: Apache-2.0
"""Listens to /tf and /tf_static while somebody needs them. tf2_ros is not needed: pip has none."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from lightdepth_ros.errors import DataError
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # ROS as wheels
    TFMessage = None

QUEUE = 100
MOVING = QoSProfile(
    depth=QUEUE, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""Matches every publisher; a pose that is lost is interpolated."""
STATIC = QoSProfile(
    depth=QUEUE,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
MISSING = (
    'The package tf2_msgs is not installed, so no transform can be received. Install '
    'ros-$ROS_DISTRO-tf2-msgs, or set camera_height_m and mount to parameters'
)


class TfInput:
    """Fills a tree of frames from the two topics."""

    def __init__(self, node: Node, voice: Voice) -> None:
        self.transforms = Transforms(MISSING if TFMessage is None else '')
        self._node = node
        self._voice = voice
        self._subscriptions: list[Any] = []

    def follow(self, needed: bool) -> None:
        """Listen if it is needed, and else do not. What was heard is remembered."""
        if not needed:
            self.close()
        elif not self._subscriptions and TFMessage is not None:
            self._subscriptions = [
                self._node.create_subscription(TFMessage, topic, take, qos)
                for topic, take, qos in (
                    ('/tf', self.take_moving, MOVING),
                    ('/tf_static', self.take_static, STATIC),
                )
            ]

    def take_moving(self, message: Any) -> None:
        """Add what a message of /tf says."""
        self._take(message, static=False)

    def take_static(self, message: Any) -> None:
        """Add what a message of /tf_static says."""
        self._take(message, static=True)

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _take(self, message: Any, static: bool) -> None:
        try:
            self.transforms.add_message(message, static)
        except DataError as error:
            self._voice.warn_once(
                f'tf {str(error)[:60]}',
                f'a transform is left out: {error}. Correct its publisher.',
            )
