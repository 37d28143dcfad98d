# SPDX-License-Identifier: Apache-2.0
"""Start the depth node, and RViz on request. Nothing here depends on the machine.

    ros2 launch lightdepth_ros depth.launch.py image:=/camera/image_raw \\
        camera_info:=/camera/camera_info output_resolution:=M rviz:=true

Arguments that are left empty keep the value of `params_file`. The other launch files here include
this one; each of its arguments works with them too.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
)
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
    'image_transport': ('', 'raw, or compressed to read TOPIC/compressed. Empty: as in the '
                            'parameter file.'),
    'cameras': ('', 'Names of several cameras for one node, as front,left. Empty: as in the '
                    'parameter file.'),
    'model': ('', 'Path of your own model: contract JSON or folder. Empty: as in the parameter '
                  'file.'),
    'output_resolution': ('', 'L, M, S or XS: 1/2 to 1/16 of the network input. Empty: as in the '
                              'parameter file.'),
    'backend': ('', 'Inference library; see docs/parameters.md. Empty: as in the parameter file.'),
    'mount': ('', 'unknown, parameters or tf: where the height and tilt of the camera come from. '
                  'Empty: as in the parameter file.'),
    'camera_height_m': ('', 'Height of the lens over the ground [m]. Empty: as in the parameter '
                            'file.'),
    'camera_pitch_deg': ('', 'How far the camera looks down [degree]. Empty: likewise.'),
    'camera_roll_deg': ('', 'How far its right side is tilted down [degree]. Empty: likewise.'),
    'ground_frame': ('', 'For mount tf: the level frame on the ground. Empty: likewise.'),
    'rviz': ('false', 'Start RViz too, if it is installed.'),
    'rviz_frame': ('camera_optical_frame', 'Fixed frame of RViz: the frame_id of the images.'),
}  # fmt: skip
"""Argument -> (default, what it does). The first six are named as in Nav2's launch files."""

PASSED_ON = (
    'output_resolution', 'backend', 'image_transport', 'model', 'mount', 'ground_frame',
)  # fmt: skip
"""Arguments that are parameters of the node, if given."""
NUMBERS = ('camera_height_m', 'camera_pitch_deg', 'camera_roll_deg')
"""Likewise, those that are numbers."""
SHOWN = ('points', 'points_obstacles', 'depth/image', 'semantic/color')
"""Outputs that config/depth.rviz shows."""
TRUE = ('true', '1', 'yes', 'on')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start what they ask for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    memory = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SHARED_MEMORY_LAUNCH)))
    return LaunchDescription([*declared, memory, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Node | LogInfo]:
    """Return the actions for the arguments as given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    actions: list[Node | LogInfo] = [depth_node(given)]
    if is_true(given['rviz']):
        actions.append(rviz(given))
    return actions


def depth_node(given: dict[str, str]) -> Node:
    """Return the node with its parameters: the file's, then what the arguments say."""
    said: dict[str, bool | str | float | list[str]] = {
        name: is_true(given[name]) for name in ('use_sim_time', 'autostart')
    }
    said |= {name: given[name] for name in PASSED_ON if given[name]}
    said |= {name: number(name, given[name]) for name in NUMBERS if given[name]}
    if cameras(given):
        said['cameras'] = cameras(given)
    return Node(
        package=PACKAGE,
        executable='depth_node',
        name='depth_node',
        namespace=given['namespace'],
        parameters=[given['params_file'], said],
        remappings=remappings(given),
        arguments=['--ros-args', '--log-level', given['log_level']],
        respawn=is_true(given['use_respawn']),
        respawn_delay=2.0,
        output='screen',
        emulate_tty=True,
    )


def rviz(given: dict[str, str]) -> Node | LogInfo:
    """Return RViz, or a message where it is missing: a failing action would end the launch and
    leave the depth node running."""
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:
        return LogInfo(msg='rviz:=true, but the package rviz2 is not installed: going on without')
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=given['namespace'],
        parameters=[{'use_sim_time': is_true(given['use_sim_time'])}],
        remappings=[*remappings(given), *shown_of_first_camera(given)],
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


def number(name: str, text: str) -> float:
    """Read a launch argument as a number; RuntimeError for anything else."""
    try:
        return float(text)
    except ValueError:
        raise RuntimeError(f'{name} is {text!r}; it must be a number, such as 0.35') from None


def is_true(text: str) -> bool:
    """Read a launch argument as YAML would read a boolean."""
    return text.strip().lower() in TRUE
