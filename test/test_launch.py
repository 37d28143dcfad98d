# SPDX-License-Identifier: Apache-2.0
"""The launch file, run against recording stand-ins of launch and launch_ros (no ROS needed)."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from tools.ros_env import ROOT

LAUNCH_FILE = ROOT / 'launch' / 'depth.launch.py'
NAV2_NAMES = ['namespace', 'use_sim_time', 'params_file', 'autostart', 'use_respawn', 'log_level']
OUR_NAMES = ['image', 'camera_info', 'output_resolution', 'backend', 'rviz']


class Recorded(SimpleNamespace):
    """An action: which class it stands for and what it was given."""


class MissingPackageError(KeyError):
    """Stands for ament_index_python's PackageNotFoundError."""


class Stage:
    """The stand-ins, and what the launch file did with them."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.packages = {'rviz2': '/opt/ros'}

    def modules(self) -> dict[str, ModuleType]:
        launch = module('launch', LaunchContext=object, LaunchDescription=list)
        launch.actions = module(
            'launch.actions',
            DeclareLaunchArgument=self.declare,
            LogInfo=lambda msg: Recorded(kind='LogInfo', msg=msg),
            OpaqueFunction=lambda function: Recorded(kind='OpaqueFunction', function=function),
        )
        launch.substitutions = module('launch.substitutions', LaunchConfiguration=self.configured)
        actions = module('launch_ros.actions', Node=lambda **said: Recorded(kind='Node', **said))
        packages = module(
            'ament_index_python.packages',
            PackageNotFoundError=MissingPackageError,
            get_package_prefix=self.prefix,
        )
        parts = [launch, launch.actions, launch.substitutions, actions, packages]
        parts += [module('launch_ros', actions=actions), module('ament_index_python')]
        return {part.__name__: part for part in parts}

    def declare(self, name: str, default_value: str, description: str) -> Recorded:
        assert isinstance(default_value, str)  # launch refuses anything else
        self.values.setdefault(name, default_value)
        return Recorded(kind='Declare', name=name, default=default_value, description=description)

    def configured(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(perform=lambda context: self.values[name])  # KeyError: undeclared

    def prefix(self, package: str) -> str:
        if package not in self.packages:
            raise MissingPackageError(package)
        return self.packages[package]


def module(name: str, **members: Any) -> ModuleType:
    result = ModuleType(name)
    vars(result).update(members)
    return result


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    result = Stage()
    for name, part in result.modules().items():
        monkeypatch.setitem(sys.modules, name, part)
    return result


def described() -> list[Recorded]:
    spec = importlib.util.spec_from_file_location('depth_launch', LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return list(loaded.generate_launch_description())


def started(stage: Stage, **given: str) -> list[Recorded]:
    """Return the actions that the launch file starts with these arguments."""
    stage.values.update(given)
    [opaque] = [a for a in described() if a.kind == 'OpaqueFunction']
    return list(opaque.function(None))


def test_every_argument_is_declared_with_a_description(stage: Stage):
    declared = {a.name: a for a in described() if a.kind == 'Declare'}
    assert {*NAV2_NAMES, *OUR_NAMES} <= set(declared)
    assert all(len(a.description) > 10 for a in declared.values())


def test_the_arguments_that_are_read_are_the_declared_ones(stage: Stage, monkeypatch):
    read: list[str] = []
    monkeypatch.setattr(
        sys.modules['launch.substitutions'],
        'LaunchConfiguration',
        lambda name: read.append(name) or stage.configured(name),
    )
    started(stage, rviz='true')
    assert set(read) == set(stage.values)


def test_defaults_start_the_depth_node_alone_with_the_shipped_parameters(stage: Stage):
    [node] = started(stage)
    assert (node.package, node.executable, node.namespace) == ('lightdepth_ros', 'depth_node', '')
    file, said = node.parameters
    assert Path(file) == ROOT / 'config' / 'depth.yaml'
    assert said == {'use_sim_time': False, 'autostart': True}
    assert node.respawn is False
    assert node.remappings == [('image', 'image'), ('camera_info', 'camera_info')]


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
    )
    assert node.namespace == 'front'
    assert node.parameters == [
        '/etc/mine.yaml',
        {
            'use_sim_time': True,
            'autostart': False,
            'output_resolution': 'XS',
            'backend': 'openvino',
        },
    ]
    assert node.respawn is True
    assert node.arguments == ['--ros-args', '--log-level', 'debug']
    assert dict(node.remappings) == {'image': '/cam/image_rect', 'camera_info': '/cam/camera_info'}


def test_rviz_starts_with_a_config_that_exists_and_the_frame_asked_for(stage: Stage):
    _, rviz = started(stage, rviz='true', rviz_frame='front_optical', image='/cam/image')
    assert (rviz.kind, rviz.package) == ('Node', 'rviz2')
    options = dict(zip(rviz.arguments[::2], rviz.arguments[1::2], strict=True))
    assert Path(options['-d']).is_file()
    assert options['-f'] == 'front_optical'
    assert ('image', '/cam/image') in rviz.remappings


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


def test_the_rviz_config_shows_topics_the_node_has():
    config = yaml.safe_load((ROOT / 'config' / 'depth.rviz').read_text(encoding='utf-8'))
    displays = config['Visualization Manager']['Displays']
    topics = {d['Topic']['Value'] for d in displays if 'Topic' in d}
    assert topics == {'points', 'image', 'depth/image', 'semantic/color'}


def test_the_shipped_parameter_file_parses_and_names_only_known_parameters():
    from lightdepth_ros.config import settings

    text = (ROOT / 'config' / 'depth.yaml').read_text(encoding='utf-8')
    [body] = yaml.safe_load(text).values()
    assert set(body['ros__parameters']) <= {s.name for s in settings()}
