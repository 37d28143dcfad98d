# SPDX-License-Identifier: Apache-2.0
"""config/foxglove_layout.json shows what the demo records."""

import json
from typing import Any

from tools.demo_link import INPUTS, TOPIC_TYPES
from tools.ros_env import ROOT

LAYOUT = json.loads((ROOT / 'config' / 'foxglove_layout.json').read_text(encoding='utf-8'))
TYPES = {**INPUTS, **TOPIC_TYPES, '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray'}
"""What `make demo` records; the node publishes the diagnostics once a second."""


def panels_in(tree: Any) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    assert set(tree) == {'first', 'second', 'direction', 'splitPercentage'}
    assert tree['direction'] in ('row', 'column')
    assert 0 < tree['splitPercentage'] < 100
    return panels_in(tree['first']) + panels_in(tree['second'])


def topics_of(kind: str) -> list[str]:
    """Return the topics that all panels of a kind show."""
    found = []
    for name, config in LAYOUT['configById'].items():
        if name.split('!')[0] == kind:
            mode = config.get('imageMode', {})
            found += [mode[k] for k in ('imageTopic', 'calibrationTopic') if k in mode]
            found += [*config['topics']] if 'topics' in config else []
            found += [config['topicToRender']] if 'topicToRender' in config else []
    return found


def test_it_has_the_fields_of_a_layout_and_places_each_panel_once():
    assert set(LAYOUT) == {
        'configById', 'globalVariables', 'userNodes', 'playbackConfig', 'layout',
    }  # fmt: skip
    assert sorted(panels_in(LAYOUT['layout'])) == sorted(LAYOUT['configById'])


def test_every_topic_is_recorded_and_of_a_type_that_its_panel_draws():
    drawn = {
        'Image': {'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'},
        '3D': {'sensor_msgs/msg/PointCloud2'},
        'DiagnosticSummary': {'diagnostic_msgs/msg/DiagnosticArray'},
    }
    assert {name.split('!')[0] for name in LAYOUT['configById']} == set(drawn)
    for kind, types in drawn.items():
        assert {TYPES[topic] for topic in topics_of(kind)} == types


def test_it_shows_camera_depth_labels_obstacles_and_health():
    shown = {t for name in LAYOUT['configById'] for t in topics_of(name.split('!')[0])}
    wanted = {'/image', '/depth/preview', '/semantic/color', '/points_obstacles', '/diagnostics'}
    assert wanted <= shown
