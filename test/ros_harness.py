# SPDX-License-Identifier: Apache-2.0
"""Starts depth_node as a process of its own and talks to it over DDS, with hard time limits."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String

from lightdepth_ros.node.topics import MESSAGE_TYPES
from lightdepth_ros.stream.outputs import TOPICS
from tools.ros_env import ROOT, node_executable

PATIENCE_S = 60.0
"""No wait is longer. The machine may be busy; a passing test waits only as long as it must."""

GRACE_S = 5.0
"""How long a node may take to end before it is killed."""

TRANSITIONS = {'configure': 1, 'cleanup': 2, 'activate': 3, 'deactivate': 4, 'shutdown': 5}
"""lifecycle_msgs/Transition ids."""

OUTPUT_TYPES = {output.topic: MESSAGE_TYPES[output.message_type] for output in TOPICS}


def node_command() -> list[str]:
    """Return how to start the node: the installed executable if there is one."""
    installed = node_executable()
    if installed.is_file():
        return [str(installed)]
    return [sys.executable, '-m', 'lightdepth_ros.node.depth_node']


class NodeProcess:
    """depth_node as a process. Leaving the `with` block ends it, whatever has happened."""

    def __init__(
        self,
        env: dict[str, str],
        *ros_args: str,
        command: Sequence[str] | None = None,
        **parameters: Any,
    ) -> None:
        """command: starts the node; None = `node_command()`."""
        arguments = [*ros_args]
        for name, value in parameters.items():
            arguments += ['-p', f'{name}:={json.dumps(value)}']
        self._process = subprocess.Popen(
            [*(command or node_command()), '--ros-args', *arguments],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # a killed one leaves its shared memory
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)

    @property
    def log(self) -> str:
        """Everything the node has printed so far."""
        return ''.join(self._lines)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def shared_memory(self) -> set[Path]:
        """The files of Fast DDS's shared memory that the running node has mapped."""
        mapped = Path(f'/proc/{self.pid}/maps').read_text()
        return {Path(p) for p in re.findall(r'/dev/shm/fastrtps_[0-9a-f]{16}', mapped)}

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_for(self, text: str) -> None:
        """Wait until `text` was printed."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in self.log:
            if not self.running or time.monotonic() > end_s:
                self._reader.join(1)
                assert text in self.log, f'no {text!r} in the log of the node:\n{self.log}'
            time.sleep(0.02)

    def wait(self) -> int:
        """Return the exit code once the process has ended by itself."""
        code = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def stop(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal; return the exit code and how many seconds the process took to end."""
        started_s = time.monotonic()
        self._process.send_signal(number)
        return self.wait(), time.monotonic() - started_s

    def stop_again_and_again(self, numbers: Sequence[signal.Signals], every_s: float) -> int:
        """Send the signals in turn until the process has ended; return its exit code."""
        end_s = time.monotonic() + PATIENCE_S
        for number in itertools.cycle(numbers):
            if not self.running or time.monotonic() > end_s:
                break
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            time.sleep(every_s)
        return self.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)


class Peer:
    """A ROS node in the test: camera, consumer and operator of a depth node.

    namespace: of its topics. depth_node: full name of the node under test. camera: which of the
    node's statistics to read.
    """

    def __init__(
        self, namespace: str = '', depth_node: str = '/depth_node', camera: int = 0
    ) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('peer', namespace=namespace, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._depth_node = depth_node
        self._camera = camera
        camera_qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        self._image = self.node.create_publisher(Image, 'image', camera_qos)
        self._info = self.node.create_publisher(CameraInfo, 'camera_info', camera_qos)
        self._compressed = self.node.create_publisher(
            CompressedImage, 'image/compressed', camera_qos
        )
        self._subscriptions: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self.received: dict[str, list[Any]] = {}
        self._stamp_s = 1000
        self.listen_to(DiagnosticArray, '/diagnostics')
        self.listen_to(String, f'{self._depth_node}/stats')

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def spin_until(
        self, done: Callable[[], Any], what: str, patience_s: float = PATIENCE_S
    ) -> None:
        """Serve callbacks until `done()`; fail with `what` when patience ends."""
        end_s = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < end_s, f'waited {patience_s:.0f} s in vain for {what}'
            self._executor.spin_once(timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        """Serve callbacks for a while."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.02)

    # Consumer

    def listen_to(self, message_type: Any, topic: str) -> None:
        """Subscribe, reliably, to any topic."""
        got = self.received.setdefault(topic, [])
        self._subscriptions[topic] = self.node.create_subscription(
            message_type, topic, got.append, QoSProfile(depth=20)
        )

    def listen(self, *topics: str) -> None:
        """Subscribe to outputs and wait until the node knows it."""
        for topic in topics:
            self.listen_to(OUTPUT_TYPES[topic], topic)
        self.spin_until(
            lambda: all(self._publishers_of(topic) for topic in topics), f'publishers of {topics}'
        )
        self.spin_until(lambda: self._told_subscribers(topics), f'{topics} in the statistics')

    def unlisten(self) -> None:
        """End the subscriptions to all outputs and wait until the node knows it."""
        for topic in [t for t in self._subscriptions if t in OUTPUT_TYPES]:
            self.node.destroy_subscription(self._subscriptions.pop(topic))
        self.spin_until(
            lambda: not any(self.new_stats()['subscribers'].values()), 'no subscribers'
        )

    def _publishers_of(self, topic: str) -> int:
        return len(self.node.get_publishers_info_by_topic(topic))

    def _told_subscribers(self, topics: Iterable[str]) -> bool:
        subscribers = self.new_stats()['subscribers']
        return all(subscribers.get(topic) for topic in topics)

    def new_stats(self) -> dict[str, Any]:
        """Wait for the next ~/stats and return it."""
        got = self._next(f'{self._depth_node}/stats')
        stats: dict[str, Any] = json.loads(got[-1].data)[self._camera]
        return stats

    def new_diagnostics(self) -> Any:
        """Wait for the next status in /diagnostics and return it."""
        return self._next('/diagnostics')[-1].status[self._camera]

    def _next(self, topic: str) -> list[Any]:
        """Wait for a message that was sent after this call."""
        got = self.received[topic]
        self.spin_for(0.1)  # older ones may still be waiting to be taken
        got.clear()
        self.spin_until(lambda: got, topic)
        return got

    # Camera

    def header(self) -> Header:
        """Return a header with a stamp of its own."""
        self._stamp_s += 1
        header = Header(frame_id='camera_optical')
        header.stamp.sec, header.stamp.nanosec = self._stamp_s, 123_456_789
        return header

    def wait_for_subscriber(self) -> None:
        """Wait until the node has subscribed to image and camera_info as they are sent."""
        self.spin_until(
            lambda: (
                self._reliably(self._info)
                and (self._reliably(self._image) or self._reliably(self._compressed))
            ),
            'the node to subscribe',
        )

    def _reliably(self, publisher: Any) -> bool:
        """Return whether exactly one subscription is there, and a reliable one."""
        found = self.node.get_subscriptions_info_by_topic(publisher.topic_name)
        asked = [info.qos_profile.reliability for info in found]
        return asked == [ReliabilityPolicy.RELIABLE] and publisher.get_subscription_count() == 1

    def send(self, image: Image | CompressedImage, info: CameraInfo | None = None) -> None:
        """Publish an image, after its calibration if given."""
        if info is not None:
            self._info.publish(info)
            self.spin_for(0.02)  # topics are not ordered among each other
        publisher = self._image if isinstance(image, Image) else self._compressed
        publisher.publish(image)

    def results(self, topic: str, header: Header) -> list[Any]:
        """Return what has come on `topic` with exactly this header."""
        return [msg for msg in self.received[topic] if msg.header == header]

    def wait_for_result(self, topics: Iterable[str], header: Header) -> dict[str, Any]:
        """Wait until every topic has a message with this header; return them by topic."""
        topics = tuple(topics)
        self.spin_until(
            lambda: all(self.results(topic, header) for topic in topics),
            f'{topics} with stamp {header.stamp.sec}',
        )
        return {topic: self.results(topic, header)[0] for topic in topics}

    # Operator

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Call a service of the depth node and return its response."""
        client = self._clients.get(name)
        if client is None:
            client = self.node.create_client(service_type, f'{self._depth_node}/{name}')
            self._clients[name] = client
        self.spin_until(client.service_is_ready, f'service {name}')
        future = client.call_async(request)
        self.spin_until(future.done, f'an answer of {name}')
        return future.result()

    def transition(self, name: str) -> bool:
        """Ask for a lifecycle transition; return whether the node did it."""
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        return bool(self.call(ChangeState, 'change_state', request).success)

    def state(self) -> str:
        """Return the node's lifecycle state.

        Asked again every few seconds: a node that has just been found may answer before its
        answers can reach this process (DDS matches readers one by one), and such an answer is
        lost.
        """
        client = self.node.create_client(GetState, f'{self._depth_node}/get_state')
        self.spin_until(client.service_is_ready, 'service get_state')
        asked: list[Any] = []

        def answered() -> bool:
            if not asked or time.monotonic() - asked[-1][0] > 5:
                asked.append((time.monotonic(), client.call_async(GetState.Request())))
            return any(future.done() for _, future in asked)

        self.spin_until(answered, 'an answer of get_state')
        answer = next(future.result() for _, future in asked if future.done())
        self.node.destroy_client(client)
        return str(answer.current_state.label)

    def set_parameter(self, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter; return whether it was accepted, and the reason if not."""
        parameter = Parameter(name=name, value=_value(value))
        request = SetParameters.Request(parameters=[parameter])
        result = self.call(SetParameters, 'set_parameters', request).results[0]
        return bool(result.successful), str(result.reason)


def _value(value: bool | int | float | str) -> ParameterValue:
    numbers = {bool: (1, 'bool_value'), int: (2, 'integer_value'), float: (3, 'double_value')}
    kind, field = numbers.get(type(value), (4, 'string_value'))
    return ParameterValue(type=kind, **{field: value})
