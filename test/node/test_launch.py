# SPDX-License-Identifier: Apache-2.0
"""depth.launch.py, run against recording stand-ins of launch and launch_ros (no ROS needed)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from launch_stage import Recorded, Stage, described, stage_for

from lightdepth_ros.config import settings
from tools.ros_env import ROOT

LAUNCH_FILE = ROOT / 'launch' / 'depth.launch.py'
EXIT_BAD_CONFIG = 2
"""As in lightdepth_ros/node/depth_node.py, which needs ROS."""
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
    assert node.remappings == [('image', 'image'), ('camera_info', 'camera_info')]


def test_a_number_that_is_none_is_refused_with_its_name(stage: Stage):
    with pytest.raises(RuntimeError, match="camera_height_m is 'low'; it must be a number"):
        started(stage, camera_height_m='low')


def test_every_argument_reaches_the_node(stage: Stage, tmp_path: Path):
    mine = tmp_path / 'mine.yaml'
    mine.touch()
    [node] = started(
        stage,
        namespace='front',
        use_sim_time='True',
        params_file=str(mine),
        autostart='false',
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
        str(mine),
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
    assert node.arguments == ['--ros-args', '--log-level', 'debug']
    assert dict(node.remappings) == {'image': '/cam/image_rect', 'camera_info': '/cam/camera_info'}


def test_every_parameter_of_the_node_is_an_argument_and_keeps_its_type(stage: Stage):
    texts = {
        name: 'a, b' if isinstance(value, tuple) else str(value).lower()
        for name, value in ((s.name, s.default) for s in settings())
    }
    topics = {'image': '{camera}/image', 'camera_info': '{camera}/info'}
    [node] = started(stage, **{name: text or 'x' for name, text in texts.items()}, **topics)
    _, said = node.parameters
    for setting in settings():
        expected = list if isinstance(setting.default, tuple) else type(setting.default)
        assert type(said[setting.name]) is expected, setting.name
    assert said['cameras'] == ['a', 'b']
    assert (said['threads'], said['max_range_m']) == (1, 80.0)


@pytest.mark.parametrize(
    ('name', 'text', 'sentence'),
    [
        ('threads', '1.5', "threads is '1.5'; it must be a whole number, such as 1"),
        ('max_range_m', 'far', "max_range_m is 'far'; it must be a number, such as 80.0"),
    ],
)
def test_an_argument_of_another_type_is_refused(stage: Stage, name, text, sentence):
    with pytest.raises(RuntimeError, match=re.escape(sentence)):
        started(stage, **{name: text})


@pytest.mark.parametrize(
    ('file', 'word', 'near'),
    [
        ('depth.launch.py', 'imgae:=/cam/image', 'image'),
        ('depth.launch.py', 'video_device:=/dev/video1', ''),
        ('usb_cam.launch.py', 'video_devise:=/dev/video1', 'video_device'),
        ('bag.launch.py', 'max_rangem:=3', 'max_range_m'),
    ],
)
def test_an_unknown_argument_is_refused_with_the_nearest_name(
    stage: Stage, monkeypatch, tmp_path, file, word, near
):
    (tmp_path / 'a').touch()
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'lightdepth_ros', file, word])
    stage.argv = [word]
    name = word.partition(':=')[0]
    with pytest.raises(RuntimeError, match=f'{file} has no argument {name}; did you mean {near}'):
        stage.started(LAUNCH_FILE.with_name(file), bag=str(tmp_path / 'a'))


def test_known_arguments_and_those_of_somebody_elses_launch_file_pass(stage: Stage, monkeypatch):
    words = ['video_device:=/dev/video1', 'max_range_m:=30', 'fastdds_profile:=none']
    for file, argv in (('usb_cam.launch.py', words), ('robot.launch.py', ['imgae:=x'])):
        monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', file, *argv])
        stage.argv = argv
        assert started(stage)


def test_a_log_level_that_is_none_is_refused(stage: Stage):
    with pytest.raises(RuntimeError, match="log_level is 'chatty'; it must be one of debug, info"):
        started(stage, log_level='chatty')


def test_a_parameter_file_that_is_not_there_is_refused(stage: Stage):
    with pytest.raises(RuntimeError, match=r'params_file is /nowhere\.yaml, which is not there'):
        started(stage, params_file='/nowhere.yaml')


def test_respawn_starts_a_node_again_that_ended_but_not_one_whose_parameter_is_wrong(stage: Stage):
    handler, node = started(stage, use_respawn='true')
    ended = handler.event_handler
    assert ended.target_action.name == node.name == 'depth_node'
    running, ending = (SimpleNamespace(is_shutdown=ends) for ends in (False, True))
    for code in (0, 1, -11):
        assert ended.on_exit(SimpleNamespace(returncode=code), ending) == []
        [timer] = ended.on_exit(SimpleNamespace(returncode=code), running)
        assert timer.period == 2.0
        assert [action.kind for action in timer.actions] == ['RegisterEventHandler', 'Node']
    [message] = ended.on_exit(SimpleNamespace(returncode=EXIT_BAD_CONFIG), running)
    assert (message.kind, 'not started again' in message.msg) == ('LogInfo', True)


def test_rviz_shows_the_nodes_own_raw_image_where_the_camera_sends_compressed_ones(stage: Stage):
    _, rviz = started(stage, rviz='true', image_transport='compressed', image='/cam/image')
    assert dict(rviz.remappings)['image'] == 'rgb/image'


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
