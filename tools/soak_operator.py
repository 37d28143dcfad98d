# SPDX-License-Identifier: Apache-2.0
"""The soak's consumers and operator: subscribes, sets parameters, asks for transitions, listens
to ~/stats. Nothing here waits without an end, so that a node that hangs is found out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rclpy
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from lightdepth_ros.node.topics import MESSAGE_TYPES
from lightdepth_ros.stream.outputs import TOPICS

NODE = '/depth_node'
EVERY = 'depth/camera_info'
"""Comes with every published frame and is small: who listens to it counts what was published."""
HISTORY = 1000
"""Messages of EVERY that either side keeps."""
OUTPUT_TYPES = {output.topic: MESSAGE_TYPES[output.message_type] for output in TOPICS}
PATIENCE_S = 60.0
"""Whatever takes longer is taken for a deadlock. The machine may be busy."""
MOST_UNANSWERED = 8
"""ROS keeps the newest 10 requests to a service; an older one would be lost without an answer."""
TRANSITIONS = {'configure': 1, 'cleanup': 2, 'activate': 3, 'deactivate': 4}
"""lifecycle_msgs/Transition ids."""

Heard = Callable[[str, Any], None]


class SoakError(Exception):
    """The node did not do in time what it must; the message says what."""


class Operator:
    """One ROS node with everything that is not the camera. Single-threaded: `spin` does it."""

    def __init__(self, hear: Heard) -> None:
        """hear: called with topic and message of every output that comes."""
        self._hear = hear
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('operator', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._subscriptions: dict[str, Any] = {}
        self._set = self._node.create_client(SetParameters, f'{NODE}/set_parameters')
        self._change = self._node.create_client(ChangeState, f'{NODE}/change_state')
        self._node.create_subscription(
            String, f'{NODE}/stats', self._on_stats, QoSProfile(depth=9)
        )
        self.stats: dict[str, Any] = {}
        """The newest statistics of the node."""
        self.stats_count = 0
        self.stats_at_s = time.perf_counter()
        self.longest_silence_s = 0.0
        """Longest time between two ~/stats; they are due once a second."""
        self.slowest_answer_s = 0.0
        self.answers = 0
        self.asked = 0
        self.wrong_answers: list[str] = []
        """Parameter changes that were answered otherwise than they had to be."""

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def spin(self, seconds: float) -> None:
        """Receive for a while. SoakError if the node has been silent for too long."""
        end_s = time.perf_counter() + seconds
        while (left_s := end_s - time.perf_counter()) > 0:
            self._executor.spin_once(timeout_sec=left_s)
        silent_s = time.perf_counter() - self.stats_at_s
        if silent_s > PATIENCE_S:
            raise SoakError(f'no ~/stats for {silent_s:.0f} s')

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Receive until something is true; SoakError if it does not come to be."""
        end_s = time.perf_counter() + PATIENCE_S
        while not done():
            if time.perf_counter() > end_s:
                raise SoakError(f'waited {PATIENCE_S:.0f} s in vain for {what}')
            self.spin(0.02)

    # Consumer

    @property
    def listening(self) -> set[str]:
        """The outputs that are subscribed."""
        return set(self._subscriptions)

    def listen(self, topic: str) -> None:
        """Subscribe to an output."""
        qos = QoSProfile(depth=HISTORY if topic == EVERY else 5)
        self._subscriptions[topic] = self._node.create_subscription(
            OUTPUT_TYPES[topic], topic, partial(self._hear, topic), qos
        )

    @property
    def matched(self) -> bool:
        """Whether the subscription that counts knows its publisher: then nothing passes it."""
        return bool(self._subscriptions[EVERY].get_publisher_count() > 0)

    def leave(self, topic: str) -> None:
        """End a subscription."""
        self._node.destroy_subscription(self._subscriptions.pop(topic))

    # Operator

    @property
    def unanswered(self) -> int:
        """How many requests wait for an answer."""
        return self.asked - self.answers

    def set(self, name: str, value: Any, accepted: bool) -> None:
        """Ask for a parameter change and go on; `accepted`: how it must be answered."""
        request = SetParameters.Request(parameters=[Parameter(name=name, value=_value(value))])

        def check(response: Any) -> None:
            result = response.results[0]
            if result.successful != accepted or bool(result.reason) == accepted:
                self.wrong_answers.append(f'{name}={value}: {result.successful} {result.reason}')

        self._ask(self._set, request, check)

    def transition(self, name: str) -> Callable[[], bool]:
        """Ask for a lifecycle transition; the result tells whether it has been done."""
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        answers: list[bool] = []
        self._ask(self._change, request, lambda response: answers.append(response.success))
        return lambda: answers == [True]

    @property
    def ready(self) -> bool:
        """Whether the node's services are there."""
        return bool(self._set.service_is_ready() and self._change.service_is_ready())

    def _ask(self, client: Any, request: Any, take: Callable[[Any], None]) -> None:
        asked_s = time.perf_counter()
        self.asked += 1

        def on_answer(future: Any) -> None:
            self.answers += 1
            self.slowest_answer_s = max(self.slowest_answer_s, time.perf_counter() - asked_s)
            take(future.result())

        client.call_async(request).add_done_callback(on_answer)

    def _on_stats(self, msg: Any) -> None:
        now_s = time.perf_counter()
        if self.stats_count:
            self.longest_silence_s = max(self.longest_silence_s, now_s - self.stats_at_s)
        self.stats, self.stats_at_s = json.loads(msg.data)[0], now_s
        self.stats_count += 1


def _value(value: bool | int | float | str) -> ParameterValue:
    numbers = {bool: (1, 'bool_value'), int: (2, 'integer_value'), float: (3, 'double_value')}
    kind, field = numbers.get(type(value), (4, 'string_value'))
    return ParameterValue(type=kind, **{field: value})
