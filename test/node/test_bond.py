# SPDX-License-Identifier: Apache-2.0
"""The node keeps a bond with Nav2's lifecycle manager while it is active, and only if managed."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

import rclpy
from std_msgs.msg import String
from tiny_model import make_tiny_model

from lightdepth_ros.node import topics
from lightdepth_ros.node.depth_node import DepthNode

pytestmark = pytest.mark.ros


class FakeBond:
    """Stands for bondpy.bondpy.Bond (4.1.3): publishes when it starts and when it ends."""

    def __init__(self, topic: str, bond_id: str, node: Any) -> None:
        self.name = (topic, bond_id)
        self.life = ['made']
        self.publisher = node.create_publisher(String, topic, 1)

    def start(self) -> None:
        self.life.append('started')
        self.publisher.publish(String(data='alive'))

    def shutdown(self) -> None:
        self.publisher.publish(String(data='dead'))
        self.publisher.destroy()
        self.life.append('shut down')


@pytest.fixture
def bonds(monkeypatch: pytest.MonkeyPatch) -> list[FakeBond]:
    """All bonds that are made, by a stand-in of bondpy."""
    if topics.bondpy is not None:
        pytest.skip('bondpy is installed: the test with the genuine one runs instead')
    made: list[FakeBond] = []

    def bond(*arguments: Any) -> FakeBond:
        made.append(FakeBond(*arguments))
        return made[-1]

    monkeypatch.setattr(topics, 'bondpy', SimpleNamespace(Bond=bond))
    return made


def node(model: str, autostart: bool) -> Iterator[DepthNode]:
    start = str(autostart).lower()
    rclpy.init(args=['--ros-args', '-p', f'model:={model}', '-p', f'autostart:={start}'])
    made = DepthNode()
    yield made
    made.close()
    made.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def model(tmp_path) -> str:
    make_tiny_model(tmp_path, 'L', student='plain')
    return str(tmp_path)


@pytest.fixture
def managed(model: str) -> Iterator[DepthNode]:
    yield from node(model, autostart=False)


@pytest.fixture
def independent(model: str) -> Iterator[DepthNode]:
    yield from node(model, autostart=True)


def test_managed_node_is_bound_from_activation_to_deactivation(managed, bonds):
    managed.trigger_configure()
    assert bonds == []
    managed.trigger_activate()
    [bond] = bonds
    assert bond.name == ('bond', 'depth_node')
    assert bond.life == ['made', 'started']
    managed.trigger_deactivate()
    assert bond.life == ['made', 'started', 'shut down']
    managed.trigger_activate()
    assert bonds[1].life == ['made', 'started']


def test_shutting_down_ends_the_bond(managed, bonds):
    managed.trigger_configure()
    managed.trigger_activate()
    managed.trigger_shutdown()
    assert bonds[0].life[-1] == 'shut down'


def test_bond_does_not_stand_in_the_way_after_ros_was_shut_down(managed, bonds):
    managed.trigger_configure()
    managed.trigger_activate()
    rclpy.shutdown()  # as after SIGINT
    managed.close()
    assert bonds[0].life[-1] == 'shut down'


def test_node_that_starts_itself_has_no_bond(independent, bonds):
    assert independent.start()
    assert bonds == []


def test_genuine_bond_beats_while_the_node_is_active(managed):
    pytest.importorskip('bondpy', reason='no bondpy: it is not to be had as a wheel')
    status = pytest.importorskip('bond.msg').Status
    heard: list[Any] = []
    managed.create_subscription(status, 'bond', heard.append, 10)
    managed.trigger_configure()
    managed.trigger_activate()
    for _ in range(50):
        rclpy.spin_once(managed, timeout_sec=0.1)
    assert any(msg.id == 'depth_node' and msg.active for msg in heard)
