# SPDX-License-Identifier: Apache-2.0
"""Health becomes diagnostic_msgs and JSON."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs the ROS 2 message packages')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from test_health import health

from lightdepth_ros.node import diagnostics
from lightdepth_ros.node.diagnostics import to_array, to_stats


def test_status_has_level_message_device_and_every_number():
    array = to_array([health(last_error='step is 17')], Time(sec=5))
    assert array.header.stamp.sec == 5
    status = array.status[0]
    assert (status.level, status.name) == (DiagnosticStatus.OK, '/depth_node')
    assert status.hardware_id == 'CPU'
    values = {pair.key: pair.value for pair in status.values}
    assert values['received'] == '11'
    assert values['dropped: bad_image'] == '1'
    assert values['subscribers of depth/image'] == '1'
    assert values['latency_p50_ms'] == '20.0'
    assert values['calibration'].startswith('640x480')
    assert values['last error'] == 'step is 17'


def test_levels_are_those_of_diagnostic_msgs():
    levels = [
        to_array([health(**change)], Time()).status[0].level
        for change in ({}, {'state': 'inactive'}, {'silence': 'x'})
    ]
    assert levels == [DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR]


def test_stats_are_a_list_with_one_object_a_camera():
    cameras = json.loads(to_stats([health(name='front'), health(name='left')]).data)
    assert [camera['name'] for camera in cameras] == ['front', 'left']


def test_a_mismatch_is_forgotten_once_the_graph_has_not_shown_it_twice(monkeypatch):
    shown = iter([True, False, True, False, False])
    monkeypatch.setattr(diagnostics, 'misfit_on', lambda node, topic: next(shown))
    node = SimpleNamespace(create_publisher=lambda *_: None)
    reporter = diagnostics.Reporter(node)
    stream = SimpleNamespace(name='front', mismatches={'/points': 'why'})
    kept = []
    for _ in range(5):
        reporter._forget_mismatches(stream)
        kept.append('/points' in stream.mismatches)
    assert kept == [True, True, True, True, False]


@pytest.mark.ros
def test_only_endpoints_of_the_node_itself_count_as_a_misfit():
    def end(name: str, qos: QoSProfile):
        return SimpleNamespace(node_name=name, node_namespace='/', qos_profile=qos)

    def misfit(publisher: str, subscriber: str, asked: QoSProfile) -> bool:
        node = SimpleNamespace(
            get_name=lambda: 'depth_node',
            get_namespace=lambda: '/',
            get_publishers_info_by_topic=lambda topic: [end(publisher, volatile)],
            get_subscriptions_info_by_topic=lambda topic: [end(subscriber, asked)],
        )
        return diagnostics.misfit_on(node, '/points')

    volatile = QoSProfile(depth=1)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    assert misfit('depth_node', 'rviz', latched)
    assert misfit('camera', 'depth_node', latched)
    assert not misfit('depth_node', 'rviz', volatile)
    assert not misfit('camera', 'rviz', latched)
