# SPDX-License-Identifier: Apache-2.0
"""Topics are wired as their tables say; what is not installed is stood in for."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from std_msgs.msg import String

from lightdepth_ros.node import rclpy_workarounds, topics
from lightdepth_ros.node.rclpy_workarounds import Seldom
from lightdepth_ros.stream.outputs import TOPICS
from lightdepth_ros.stream.voice import Voice

VOICE = Voice(print, print)


class FakeBond:
    def __init__(self, topic, bond_id, node) -> None:
        self.id = (topic, bond_id)
        self.running = False

    def start(self) -> None:
        self.running = True


class FakeNode:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.opened: list[tuple] = []

    def get_name(self) -> str:
        return 'depth_node'

    def resolve_topic_name(self, topic: str) -> str:
        return f'/{topic}'

    def create_lifecycle_publisher(self, message_type, topic, qos, **_) -> None:
        self.opened.append((message_type, topic, qos))

    def get_logger(self):
        return SimpleNamespace(info=self.said.append)


def test_every_output_has_a_message_class():
    for output in TOPICS:
        message = topics.MESSAGE_TYPES[output.message_type]
        package, _, name = output.message_type.split('/')
        assert (message.__module__.split('.')[0], message.__name__) == (package, name)


class FakeLabelInfo:
    """Stands for vision_msgs.msg.LabelInfo where that is not installed."""


@pytest.mark.parametrize(('camera', 'prefix'), [('', ''), ('front', 'front/')])
def test_label_names_are_latched_label_info_where_vision_msgs_is_installed(
    monkeypatch, camera, prefix
):
    if topics.vision_msgs is None:
        monkeypatch.setattr(topics, 'vision_msgs', SimpleNamespace(LabelInfo=FakeLabelInfo))
    node = FakeNode()
    topics.open_label_info(node, camera, VOICE, Seldom())
    [(message_type, topic, qos)] = node.opened
    assert message_type is topics.vision_msgs.LabelInfo
    assert topic == f'{prefix}semantic/label_info'
    assert qos.reliability == ReliabilityPolicy.RELIABLE
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_label_names_are_a_latched_string_where_it_is_not(monkeypatch):
    monkeypatch.setattr(topics, 'vision_msgs', None)
    node = FakeNode()
    topics.open_label_info(node, '', VOICE, Seldom())
    [(message_type, _, qos)] = node.opened
    assert message_type is String
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_bond_is_that_of_nav2s_nodes(monkeypatch):
    monkeypatch.setattr(topics, 'bondpy', SimpleNamespace(Bond=FakeBond))
    bond = topics.open_bond(FakeNode())
    assert bond.id == ('bond', 'depth_node')
    assert (bond.heartbeat_period, bond.heartbeat_timeout) == (0.1, 4.0)
    assert bond.running


def test_missing_bondpy_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(topics, 'bondpy', None)
    node = FakeNode()
    assert topics.open_bond(node) is None
    assert 'bond_timeout to 0.0' in node.said[0]


def test_seldom_callbacks_execute_for_a_moment_after_each_opening(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(rclpy_workarounds.time, 'monotonic', lambda: clock[0])
    seldom, event = Seldom(), FakeNode()
    seldom.add_entity(event)
    assert not seldom.can_execute(event)
    for _ in range(2):
        seldom.open()
        assert seldom.can_execute(event)
        clock[0] += rclpy_workarounds.SELDOM_S / 2
        assert seldom.can_execute(event)
        clock[0] += rclpy_workarounds.SELDOM_S
        assert not seldom.can_execute(event)


def test_a_shutdown_that_comes_between_rclpys_question_and_its_act_is_no_error(monkeypatch):
    def too_late() -> None:
        raise rclpy_workarounds.RCL_ERRORS[0]('rcl_shutdown already called')

    monkeypatch.setattr(rclpy_workarounds.rclpy, 'try_shutdown', too_late)
    rclpy_workarounds.shut_down()
