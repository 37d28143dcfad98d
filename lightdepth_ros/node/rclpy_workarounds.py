# SPDX-License-Identifier: Apache-2.0
"""Every workaround for rclpy, each with the versions and the report it is for.

How the process ends is in ending.py.

A workaround goes when the oldest supported ROS 2 (Humble, rclpy 3.3) no longer needs it.
"""

from __future__ import annotations

import contextlib
import functools
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription

from lightdepth_ros.errors import LightdepthError

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble; renamed in Iron by ros2/rclpy#1058
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = [
    'NUMBERED',
    'RCL_ERRORS',
    'OpenPublisher',
    'PublisherEventCallbacks',
    'QuietNode',
    'Seldom',
    'SubscriptionEventCallbacks',
    'shut_down',
    'spin',
    'survive_illegal_transitions',
    'told',
]

NUMBERED = hasattr(Subscription, 'CallbackType')
"""Whether rclpy gives the sequence number of a message. Humble's does not: ros2/rclpy#922."""

RCL_ERRORS = (_rclpy.RCLError, _rclpy.InvalidHandle)
"""What any call raises once SIGINT or SIGTERM has shut ROS down under it (Humble to Jazzy,
ros2/rclpy#1077): rclpy's own signal handler leaves no time between the signal and the shutdown.
rclpy has no public name for these classes."""

SELDOM_S = 0.02

Transition = TypeVar('Transition', bound=Callable[..., Any])


class Seldom(MutuallyExclusiveCallbackGroup):  # type: ignore[misc]  # rclpy has no types
    """Callbacks that may wait a second: those of QoS mismatches, two for each publisher.

    rclpy's executor (Humble to Jazzy, ros2/ros2#1395) polls every one of them after every message,
    a seventh of what it costs to listen to a camera. It passes over those that may not execute,
    and their events wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self._until_s = 0.0

    def open(self) -> None:
        """Let the callbacks execute for the next SELDOM_S seconds."""
        self._until_s = time.monotonic() + SELDOM_S

    def can_execute(self, entity: Any) -> bool:
        """See rclpy."""
        return time.monotonic() < self._until_s and bool(super().can_execute(entity))


class OpenPublisher:
    """A publisher that falls silent, instead of raising RCL_ERRORS, once ROS is shut down."""

    def __init__(self, publisher: Any, ok: Any) -> None:
        self.publisher = publisher
        self._ok = ok

    def get_subscription_count(self) -> int:
        """Return how many subscriptions are matched."""
        try:
            return int(self.publisher.get_subscription_count())
        except RCL_ERRORS:
            if self._ok():
                raise
            return 0

    def publish(self, msg: Any) -> None:
        """Send a message."""
        try:
            self.publisher.publish(msg)
        except RCL_ERRORS:
            if self._ok():
                raise

    def destroy(self) -> None:
        """Free the publisher."""
        self.publisher.destroy()


class QuietNode:
    """A node as bondpy sees it: its heartbeat, in a thread of its own, and its last message
    fall silent once ROS is shut down, for the reason of RCL_ERRORS."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def create_publisher(self, *arguments: Any) -> OpenPublisher:
        """Return an OpenPublisher instead of a publisher."""
        return OpenPublisher(self._node.create_publisher(*arguments), self._node.context.ok)


def told(transition: Transition) -> Transition:
    """Log what a transition raises: rclpy (Humble to Jazzy) only sees that it failed."""

    @functools.wraps(transition)
    def telling(self: LifecycleNode, *arguments: Any) -> Any:
        try:
            return transition(self, *arguments)
        except LightdepthError as error:
            self.get_logger().error(str(error))
            raise
        except Exception:
            if self.context.ok():  # otherwise ROS is only shutting down
                self.get_logger().error(f'{transition.__name__}: {traceback.format_exc()}')
            raise

    return telling  # type: ignore[return-value]  # the same for every caller


def survive_illegal_transitions(node: LifecycleNode) -> None:
    """Answer an illegal transition request with "no", where rclpy would raise out of spin.

    Humble to Jazzy: ros2/rclpy#1209. rclpy offers no hook for it, hence the private name.
    """
    service = node._service_change_state
    handle = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return handle(request, response)
        except _rclpy.RCLError as error:
            node.get_logger().warning(f'transition refused: {error}')
            response.success = False
            return response

    service.callback = answer


def spin(node: LifecycleNode) -> None:
    """Serve the node until ROS is shut down.

    An RCLError that leaves a callback ends rclpy's spin (Humble to Jazzy, by design); here it is
    logged, and the node continues.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok():
        try:
            executor.spin()
        except _rclpy.RCLError as error:
            node.get_logger().warning(f'a ROS call failed: {error}')


def shut_down() -> None:
    """Shut ROS down, unless that is done or being done.

    rclpy.try_shutdown asks first and then acts; a signal handler that shuts down in between makes
    it raise (seen in Jazzy, rclpy 7.1.6, with a signal while a model is loaded).
    """
    with contextlib.suppress(_rclpy.RCLError):
        rclpy.try_shutdown()
