# SPDX-License-Identifier: Apache-2.0
"""The node's ear for /tf, with stand-ins for the node and for tf2_msgs, which pip has not."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from lightdepth_ros.errors import NoTransformError
from lightdepth_ros.node import tf
from lightdepth_ros.stream.voice import Voice


class Node:
    """What TfInput needs of a node: it publishes to whoever subscribed."""

    def __init__(self) -> None:
        self.open: dict[str, object] = {}

    def create_subscription(self, message_type, topic, take, qos):
        assert message_type is TFMessage
        self.open[topic] = take, qos
        return topic

    def destroy_subscription(self, topic) -> None:
        del self.open[topic]

    def publish(self, topic: str, *parts) -> None:
        self.open[topic][0](Message(transforms=list(parts)))


class TFMessage:
    """Stands for tf2_msgs.msg.TFMessage."""


def part(parent, child, z, sec=0, w=1.0):
    return Message(
        header=Message(frame_id=parent, stamp=Message(sec=sec, nanosec=0)),
        child_frame_id=child,
        transform=Message(
            translation=Message(x=0.0, y=0.0, z=z), rotation=Message(x=0.0, y=0.0, z=0.0, w=w)
        ),
    )


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setattr(tf, 'TFMessage', TFMessage)
    said: list[str] = []
    node = Node()
    return node, tf.TfInput(node, Voice(said.append, said.append)), said


def test_both_topics_are_heard_while_needed_and_only_then(heard):
    node, ear, _ = heard
    ear.follow(False)
    assert node.open == {}
    ear.follow(True)
    ear.follow(True)
    assert set(node.open) == {'/tf', '/tf_static'}
    ear.follow(False)
    assert node.open == {}


def test_static_holds_for_good_and_moving_at_its_stamp(heard):
    node, ear, _ = heard
    ear.follow(True)
    node.publish('/tf_static', part('base', 'camera', 0.5))
    node.publish('/tf', part('floor', 'base', 0.0, 10), part('floor', 'base', 1.0, 12))
    height_m = ear.transforms.lookup('floor', 'camera', 11 * 10**9)[2, 3]
    np.testing.assert_allclose(height_m, 1.0)


def test_one_bad_transform_is_said_and_the_others_of_its_message_count(heard):
    node, ear, said = heard
    ear.follow(True)
    for _ in range(2):
        node.publish('/tf', part('a', 'b', 1.0, w=0.0), part('base', 'camera', 0.5))
    assert ear.transforms.frames() == ['base', 'camera']
    assert len(said) == 1
    assert 'a transform is left out' in said[0]


def test_without_tf2_msgs_nothing_is_heard_and_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(tf, 'TFMessage', None)
    node = Node()
    ear = tf.TfInput(node, Voice(print, print))
    ear.follow(True)
    assert node.open == {}
    with pytest.raises(NoTransformError, match=r'Install ros-\$ROS_DISTRO-tf2-msgs'):
        ear.transforms.lookup('base_footprint', 'camera')
