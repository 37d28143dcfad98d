# SPDX-License-Identifier: Apache-2.0
"""Start the depth node, and RViz on request. Nothing here depends on the machine.

    ros2 launch lightdepth_ros depth.launch.py image:=/camera/image_raw \\
        camera_info:=/camera/camera_info output_resolution:=M rviz:=true

Every parameter of the node is an argument too, by its name; one that is left empty keeps the value
of `params_file`. The other launch files here include this one; each of its arguments works with
them too.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PACKAGE = 'lightdepth_ros'
CONFIG = Path(__file__).resolve().parents[1] / 'config'
SHARED_MEMORY_LAUNCH = Path(__file__).resolve().with_name('shared_memory.launch.py')

ARGUMENTS = {
    'namespace': ('', 'Namespace of the node and of its topics.'),
    'use_sim_time': ('false', 'Use the clock of a simulation or a recording (/clock).'),
    'params_file': (str(CONFIG / 'depth.yaml'), 'YAML file with the parameters of the node.'),
    'autostart': ('true', 'The node activates itself; false: a lifecycle manager does it.'),
    'use_respawn': ('false', 'Start the node again, after 2 s, if it ends.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
    'image': ('image', 'Topic of the camera image (sensor_msgs/Image); of several cameras with '
                       '{camera} in place of the name.'),
    'camera_info': ('camera_info', 'Topic of its calibration (sensor_msgs/CameraInfo), likewise.'),
    'rviz': ('false', 'Start RViz too, if it is installed.'),
    'rviz_frame': ('camera_optical_frame', 'Fixed frame of RViz: the frame_id of the images.'),
}  # fmt: skip
"""Argument -> (default, what it does). The first six are named as in Nav2's launch files."""

WRONG_PARAMETER = 2
"""Exit code of the node that no new start cures."""
RESPAWN_DELAY_S = 2.0
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
SHOWN = ('points', 'points_obstacles', 'depth/image', 'semantic/color')
"""Outputs that config/depth.rviz shows."""
TRUE = ('true', '1', 'yes', 'on')


def parameters() -> dict[str, tuple[Any, str]]:
    """Return parameter of the node -> (default, what it does), from config/depth.yaml."""
    text = (CONFIG / 'depth.yaml').read_text(encoding='utf-8')
    [body] = yaml.safe_load(text).values()
    comments: list[str] = []
    found = {}
    for line in text.partition('ros__parameters:')[2].splitlines():
        name, colon, _ = line.strip().partition(':')
        if line.strip().startswith('#'):
            comments.append(line.strip(' #'))
        elif colon:
            found[name] = (body['ros__parameters'][name], ' '.join(comments))
            comments = []
    return found


PARAMETERS = parameters()


def arguments() -> dict[str, tuple[str, str]]:
    """Return argument -> (default, what it does), parameters of the node included."""
    empty = 'Empty: as in params_file.'
    return {name: ('', f'{text} {empty}') for name, (_, text) in PARAMETERS.items()} | ARGUMENTS


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start what they ask for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments().items()
    ]
    memory = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SHARED_MEMORY_LAUNCH)))
    return LaunchDescription([*declared, memory, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Any]:
    """Return the actions for the arguments as given."""
    refuse_unknown(context.argv)
    given = {name: LaunchConfiguration(name).perform(context) for name in arguments()}
    if not Path(given['params_file']).is_file():
        raise RuntimeError(
            f'params_file is {given["params_file"]}, which is not there; give the path of a YAML '
            f'file, such as {CONFIG / "depth.yaml"}'
        )
    if given['log_level'] not in LOG_LEVELS:
        levels = ', '.join(LOG_LEVELS)
        raise RuntimeError(f'log_level is {given["log_level"]!r}; it must be one of {levels}')
    actions = started(given)
    if is_true(given['rviz']):
        actions.append(rviz(given))
    return actions


def refuse_unknown(argv: list[str] | None) -> None:
    """Raise RuntimeError for an argument on the command line that no file here declares: launch
    ignores those. If another launch file includes this one, its arguments are not known."""
    launched = [Path(word).name for word in sys.argv if word.endswith('.launch.py')]
    path = Path(__file__).with_name(launched[0]) if launched else Path()
    if not path.is_file():
        return
    known = {*arguments(), *declared_in(path), *declared_in(SHARED_MEMORY_LAUNCH)}
    for word in argv or []:
        name, is_argument, _ = word.partition(':=')
        if is_argument and name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.0)[0]
            raise RuntimeError(f'{path.name} has no argument {name}; did you mean {near}?')


def declared_in(path: Path) -> list[str]:
    """Return the arguments that a launch file here declares itself."""
    spec = importlib.util.spec_from_file_location('launched', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [*module.ARGUMENTS, *getattr(module, 'REQUIRED', ())]


def started(given: dict[str, str]) -> list[Any]:
    """Return the node; with use_respawn, also what restarts it.

    launch's own respawn would restart a node with a wrong parameter for ever.
    """
    node = depth_node(given)
    if not is_true(given['use_respawn']):
        return [node]

    def again(event: Any, context: LaunchContext) -> list[Any]:
        if context.is_shutdown:
            return []
        if event.returncode == WRONG_PARAMETER:
            return [LogInfo(msg='a parameter is wrong, see above: not started again')]
        return [TimerAction(period=RESPAWN_DELAY_S, actions=started(given))]

    ended = OnProcessExit(target_action=node, on_exit=again)
    return [RegisterEventHandler(event_handler=ended), node]


def depth_node(given: dict[str, str]) -> Node:
    """Return the node with its parameters: the file's, then what the arguments say."""
    said: dict[str, Any] = {'use_sim_time': is_true(given['use_sim_time'])}
    said |= {name: value(name, given[name]) for name in PARAMETERS if given[name].strip()}
    return Node(
        package=PACKAGE,
        executable='depth_node',
        name='depth_node',
        namespace=given['namespace'],
        parameters=[given['params_file'], said],
        remappings=remappings(given),
        arguments=['--ros-args', '--log-level', given['log_level']],
        output='screen',
        emulate_tty=True,
    )


def value(name: str, text: str) -> Any:
    """Return the text of an argument as the parameter's type; RuntimeError if it is none."""
    default = PARAMETERS[name][0]
    if isinstance(default, str):
        return text
    if isinstance(default, list):
        return [word.strip() for word in text.split(',') if word.strip()] or ['']
    if isinstance(default, bool):
        return is_true(text)
    try:
        return type(default)(text)
    except ValueError:
        kind = 'a whole number' if isinstance(default, int) else 'a number'
        raise RuntimeError(f'{name} is {text!r}; it must be {kind}, such as {default}') from None


def rviz(given: dict[str, str]) -> Node | LogInfo:
    """Return RViz, or a message if it is missing: a failing action would end the launch and leave
    the depth node running."""
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:
        return LogInfo(msg='rviz:=true, but the package rviz2 is not installed: going on without')
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=given['namespace'],
        parameters=[{'use_sim_time': is_true(given['use_sim_time'])}],
        remappings=[*remappings(given), *shown_of_first_camera(given), *shown_raw(given)],
        arguments=['-d', str(CONFIG / 'depth.rviz'), '-f', given['rviz_frame']],
        output='screen',
    )


def cameras(given: dict[str, str]) -> list[str]:
    """Return the names of several cameras; empty for one without a name."""
    return [name.strip() for name in given['cameras'].split(',') if name.strip()]


def remappings(given: dict[str, str]) -> list[tuple[str, str]]:
    """Return where the two input topics of each camera come from."""
    names = cameras(given)
    inputs = ('image', 'camera_info')
    for name in inputs:
        if len(names) > 1 and '{camera}' not in given[name]:
            raise RuntimeError(
                f'{name} is {given[name]!r} for the cameras {", ".join(names)}: they would all be '
                f'the same. Write {{camera}} in place of the name: {name}:=/{{camera}}/{name}'
            )
    if not names:
        return [(name, given[name]) for name in inputs]
    return [(f'{c}/{name}', given[name].replace('{camera}', c)) for c in names for name in inputs]


def shown_of_first_camera(given: dict[str, str]) -> list[tuple[str, str]]:
    """Return the remappings by which RViz shows the first of several cameras."""
    names = cameras(given)
    if not names:
        return []
    image = given['image'].replace('{camera}', names[0])
    return [('image', image), *((topic, f'{names[0]}/{topic}') for topic in SHOWN)]


def shown_raw(given: dict[str, str]) -> list[tuple[str, str]]:
    """Return the remapping by which RViz's camera display has a raw image to show where the camera
    sends compressed ones: the node's own rgb/image."""
    if given['image_transport'].strip() != 'compressed':
        return []
    first = [f'{name}/' for name in cameras(given)[:1]]
    return [('image', ''.join([*first, 'rgb/image']))]


def is_true(text: str) -> bool:
    """Read a launch argument as YAML would read a boolean."""
    return text.strip().lower() in TRUE
