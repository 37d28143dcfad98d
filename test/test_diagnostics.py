# SPDX-License-Identifier: Apache-2.0
"""Health becomes diagnostic_msgs and JSON."""

import json

import pytest

pytest.importorskip('diagnostic_msgs', reason='needs the ROS 2 message packages')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from test_health import health

from lightdepth_ros.diagnostics import to_array, to_stats


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
