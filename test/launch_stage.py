# SPDX-License-Identifier: Apache-2.0
"""Recording stand-ins of launch and launch_ros: a launch file runs on them as far as it goes
without ROS, and what it would have started is looked at."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lightdepth_ros.shared_memory import TAKEN
from tools.ros_env import ROOT

LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))


class Recorded(SimpleNamespace):
    """An action: which class it stands for and what it was given."""


class MissingPackageError(KeyError):
    """Stands for ament_index_python's PackageNotFoundError."""


class Stage:
    """The stand-ins, and what a launch file did with them.

    values: launch arguments, given or by default. read: names of those that were read. begun:
    everything started so far. environment: what is set for all that comes later.
    argv: arguments on the command line of `ros2 launch`, as it hands them on.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.read: set[str] = set()
        self.begun: list[Recorded] = []
        self.environment: dict[str, str] = {}
        self.argv: list[str] = []
        self.packages = {'rviz2', 'usb_cam', 'realsense2_camera', 'ros2bag'}
        self.packages |= {'pointcloud_to_laserscan', 'depthimage_to_laserscan'}

    def modules(self) -> dict[str, ModuleType]:
        launch = module('launch', LaunchContext=object, LaunchDescription=list)
        launch.actions = module(
            'launch.actions',
            DeclareLaunchArgument=self.declare,
            ExecuteProcess=recorder('ExecuteProcess'),
            IncludeLaunchDescription=include,
            LogInfo=recorder('LogInfo'),
            OpaqueFunction=recorder('OpaqueFunction'),
            RegisterEventHandler=recorder('RegisterEventHandler'),
            TimerAction=recorder('TimerAction'),
            SetEnvironmentVariable=recorder('SetEnvironmentVariable'),
        )
        launch.event_handlers = module(
            'launch.event_handlers', OnProcessExit=recorder('OnProcessExit')
        )
        launch.substitutions = module('launch.substitutions', LaunchConfiguration=self.configured)
        sources = module('launch.launch_description_sources', PythonLaunchDescriptionSource=Path)
        actions = module('launch_ros.actions', Node=recorder('Node'))
        descriptions = module(
            'launch_ros.parameter_descriptions',
            ParameterValue=lambda value, value_type: value_type(value),
        )
        packages = module(
            'ament_index_python.packages',
            PackageNotFoundError=MissingPackageError,
            get_package_prefix=self.prefix,
        )
        parts = [
            launch,
            launch.actions,
            launch.event_handlers,
            launch.substitutions,
            sources,
            actions,
            descriptions,
        ]
        parts += [packages, module('launch_ros', actions=actions), module('ament_index_python')]
        return {part.__name__: part for part in parts}

    def declare(
        self, name: str, default_value: str | None = None, description: str = ''
    ) -> Recorded:
        assert default_value is None or isinstance(default_value, str)  # as launch wants it
        return Recorded(kind='Declare', name=name, default=default_value, description=description)

    def configured(self, name: str) -> SimpleNamespace:
        def perform(context: object) -> str:
            self.read.add(name)
            return self.values[name]  # KeyError: undeclared

        return SimpleNamespace(perform=perform)

    def prefix(self, package: str) -> str:
        if package not in self.packages:
            raise MissingPackageError(package)
        return '/opt/ros'

    def started(self, path: Path, **given: str) -> list[Recorded]:
        """Return what a launch file starts, in order, with these arguments; includes are gone
        into."""
        self.values.update(given)
        before = len(self.begun)
        for action in self._visit(path):
            self.begun.append(action)
        return self.begun[before:]

    def _visit(self, path: Path) -> Iterator[Recorded]:
        for action in described(path):
            if action.kind == 'Declare':
                assert action.default is not None or action.name in self.values, action.name
                self.values.setdefault(action.name, action.default)
            elif action.kind == 'OpaqueFunction':
                yield from self._begin(action.function(SimpleNamespace(argv=self.argv)))
            elif action.kind == 'Include':
                arguments = {name: self._text(value) for name, value in action.arguments}
                self.values.update(arguments)
                yield from self._visit(action.path)
            else:
                yield action

    def _begin(self, actions: list[Recorded]) -> Iterator[Recorded]:
        for action in actions:
            if action.kind == 'SetEnvironmentVariable':
                self.environment[action.name] = action.value
            else:
                yield Recorded(**vars(action), environment=dict(self.environment))

    def _text(self, value: Any) -> str:
        parts = value if isinstance(value, list) else [value]
        return ''.join(part if isinstance(part, str) else part.perform(None) for part in parts)


def recorder(kind: str) -> Any:
    return lambda **said: Recorded(kind=kind, **said)


def include(source: Path, launch_arguments: Sequence[tuple[str, Any]] = ()) -> Recorded:
    return Recorded(kind='Include', path=source, arguments=launch_arguments)


def module(name: str, **members: Any) -> ModuleType:
    result = ModuleType(name)
    vars(result).update(members)
    return result


def described(path: Path) -> list[Recorded]:
    """Return what generate_launch_description of a launch file gives."""
    return list(loaded(path).generate_launch_description())


def loaded(path: Path) -> Any:
    """Return a launch file as a module."""
    spec = importlib.util.spec_from_file_location(path.name.replace('.', '_'), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stage_for(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Put the stand-ins where launch files import from."""
    result = Stage()
    for name in TAKEN:
        monkeypatch.delenv(name, raising=False)
    for name, part in result.modules().items():
        monkeypatch.setitem(sys.modules, name, part)
    return result
