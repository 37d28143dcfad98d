# SPDX-License-Identifier: Apache-2.0
"""depth.launch.py, run against recording stand-ins of launch and launch_ros (no ROS needed)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from launch_stage import Recorded, Stage, described, stage_for

from tools.ros_env import ROOT

LAUNCH_FILE = ROOT / 'launch' / 'depth.launch.py'
NAV2_NAMES = ['namespace', 'use_sim_time', 'params_file', 'autostart', 'use_respawn', 'log_level']
OUR_NAMES = ['image', 'camera_info', 'output_resolution', 'backend', 'rviz']


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_for(monkeypatch)


def started(stage: Stage, **given: str) -> list[Recorded]:
    """Return the actions that the launch file starts with these arguments."""
    return stage.started(LAUNCH_FILE, **given)


def displays() -> list[dict]:
    config = yaml.safe_load((ROOT / 'config' / 'depth.rviz').read_text(encoding='utf-8'))
    return [d for d in config['Visualization Manager']['Displays'] if 'Topic' in d]


def test_arguments_are_named_as_in_nav2(stage: Stage):
    declared = {a.name for a in described(LAUNCH_FILE) if a.kind == 'Declare'}
    assert {*NAV2_NAMES, *OUR_NAMES} <= declared


def test_defaults_start_the_depth_node_alone_with_the_shipped_parameters(stage: Stage):
    [node] = started(stage)
    assert (node.package, node.executable, node.namespace) == ('lightdepth_ros', 'depth_node', '')
    file, said = node.parameters
    assert Path(file) == ROOT / 'config' / 'depth.yaml'
    assert said == {'use_sim_time': False, 'autostart': True}
    assert node.respawn is False
    assert node.remappings == [('image', 'image'), ('camera_info', 'camera_info')]


def test_a_number_that_is_none_is_refused_with_its_name(stage: Stage):
    with pytest.raises(RuntimeError, match="camera_height_m is 'low'; it must be a number"):
        started(stage, camera_height_m='low')


def test_every_argument_reaches_the_node(stage: Stage):
    [node] = started(
        stage,
        namespace='front',
        use_sim_time='True',
        params_file='/etc/mine.yaml',
        autostart='false',
        use_respawn='true',
        log_level='debug',
        image='/cam/image_rect',
        camera_info='/cam/camera_info',
        output_resolution='XS',
        backend='openvino',
        image_transport='compressed',
        model='/etc/mine',
        mount='tf',
        camera_height_m='0.35',
        camera_pitch_deg='10',
        camera_roll_deg='-1.5',
        ground_frame='floor',
    )
    assert node.namespace == 'front'
    assert node.parameters == [
        '/etc/mine.yaml',
        {
            'use_sim_time': True,
            'autostart': False,
            'output_resolution': 'XS',
            'backend': 'openvino',
            'image_transport': 'compressed',
            'model': '/etc/mine',
            'mount': 'tf',
            'ground_frame': 'floor',
            'camera_height_m': 0.35,
            'camera_pitch_deg': 10.0,
            'camera_roll_deg': -1.5,
        },
    ]
    assert node.respawn is True
    assert node.arguments == ['--ros-args', '--log-level', 'debug']
    assert dict(node.remappings) == {'image': '/cam/image_rect', 'camera_info': '/cam/camera_info'}


def test_arguments_that_become_parameters_are_parameters_of_the_node(stage: Stage):
    from lightdepth_ros.config import NodeConfig

    topics = {'image': '{camera}/image', 'camera_info': '{camera}/info'}
    words = {'output_resolution': 'S', 'image_transport': 'raw', 'model': 'm', 'backend': 'auto'}
    [node] = started(stage, cameras='a,b', **topics, **words)
    said = {k: v for k, v in node.parameters[1].items() if k != 'use_sim_time'}
    assert NodeConfig(**said | {'cameras': tuple(said['cameras'])}).cameras == ('a', 'b')


def test_several_cameras_that_would_share_one_topic_are_refused_with_the_remedy(stage: Stage):
    with pytest.raises(RuntimeError, match=r'image:=/\{camera\}/image'):
        started(stage, cameras='front,left', image='/cam/image')


def test_rviz_starts_with_a_config_that_exists_and_the_frame_asked_for(stage: Stage):
    _, rviz = started(stage, rviz='true', rviz_frame='front_optical', image='/cam/image')
    assert (rviz.kind, rviz.package) == ('Node', 'rviz2')
    options = dict(zip(rviz.arguments[::2], rviz.arguments[1::2], strict=True))
    assert Path(options['-d']).is_file()
    assert options['-f'] == 'front_optical'
    assert ('image', '/cam/image') in rviz.remappings


def test_rviz_shows_the_first_of_several_cameras(stage: Stage):
    topics = {d['Topic']['Value'] for d in displays()}
    given = {'image': '/{camera}/image_raw', 'camera_info': '/{camera}/camera_info'}
    _, rviz = started(stage, rviz='true', cameras='front,left', **given)
    shown = dict(rviz.remappings)
    assert shown['image'] == '/front/image_raw'
    assert {topic: shown[topic] for topic in topics - {'image'}} == {
        topic: f'front/{topic}' for topic in topics - {'image'}
    }


def test_a_missing_rviz_is_said_and_the_node_starts_all_the_same(stage: Stage):
    stage.packages.clear()
    node, message = started(stage, rviz='true')
    assert node.executable == 'depth_node'
    assert message.kind == 'LogInfo'
    assert 'rviz2' in message.msg


def test_the_executable_it_names_is_shipped_and_executable():
    wrapper = ROOT / 'scripts' / 'depth_node'
    assert os.access(wrapper, os.X_OK)
    assert wrapper.read_text(encoding='utf-8').startswith('#!/usr/bin/env python3\n')


def test_the_rviz_config_shows_topics_the_node_has_with_a_qos_that_fits():
    topics = [d['Topic'] for d in displays()]
    shown = {'points', 'points_obstacles', 'image', 'depth/image', 'semantic/color'}
    assert {t['Value'] for t in topics} == shown
    assert {t['Durability Policy'] for t in topics} == {'Volatile'}
    assert all(t['Reliability Policy'] == 'Best Effort' for t in topics if t['Value'] == 'image')


def test_the_shipped_parameter_file_parses_and_names_only_known_parameters():
    from lightdepth_ros.config import settings

    text = (ROOT / 'config' / 'depth.yaml').read_text(encoding='utf-8')
    [body] = yaml.safe_load(text).values()
    assert set(body['ros__parameters']) <= {s.name for s in settings()}
