# SPDX-License-Identifier: Apache-2.0
"""Play a recording with its own clock, and start the depth node on its images.

    ros2 launch lightdepth_ros bag.launch.py bag:=drive.mcap image:=/camera/image_raw \\
        camera_info:=/camera/camera_info rviz:=true

All arguments of depth.launch.py work too; image_transport:=compressed reads IMAGE/compressed.
To process every frame of a recording, use `lightdepth bag`: a node drops frames it has no time
for.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

DEPTH_LAUNCH = Path(__file__).resolve().parent / 'depth.launch.py'
SHARED_MEMORY_LAUNCH = DEPTH_LAUNCH.with_name('shared_memory.launch.py')

ARGUMENTS = {
    'rate': ('1.0', 'Speed: 1.0 as recorded, 0.5 half as fast.'),
    'delay': ('5.0', 'Seconds before the first message: the node loads its model meanwhile.'),
    'loop': ('false', 'Play it again and again.'),
}
"""Argument -> (default, what it does)."""
REQUIRED = {'bag': 'The recording: its folder, or an .mcap file.'}
"""Arguments without a default."""
TRUE = ('true', '1', 'yes', 'on')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the player and the depth node."""
    declared = [
        *(DeclareLaunchArgument(name, description=text) for name, text in REQUIRED.items()),
        *(
            DeclareLaunchArgument(name, default_value=default, description=description)
            for name, (default, description) in ARGUMENTS.items()
        ),
    ]
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DEPTH_LAUNCH)),
        launch_arguments=[('use_sim_time', 'true')],
    )
    memory = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SHARED_MEMORY_LAUNCH)))
    return LaunchDescription([*declared, memory, OpaqueFunction(function=player), depth])


def player(context: LaunchContext) -> list[ExecuteProcess]:
    """Return the player; a missing recording ends the launch before anything runs."""
    require('ros2bag')
    given = {name: LaunchConfiguration(name).perform(context) for name in ('bag', *ARGUMENTS)}
    if not Path(given['bag']).exists():
        raise RuntimeError(f'no recording at {given["bag"]}: give its path with bag:=PATH')
    command = ['ros2', 'bag', 'play', given['bag'], '--clock', '100']
    command += ['--rate', given['rate'], '--delay', given['delay']]
    if given['loop'].strip().lower() in TRUE:
        command.append('--loop')
    return [ExecuteProcess(cmd=command, output='screen')]


def require(package: str) -> None:
    """Raise RuntimeError, with the remedy, if a package is not installed."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        debian = f'ros-$ROS_DISTRO-{package.replace("_", "-")}'
        raise RuntimeError(f'{package} is not installed: sudo apt install {debian}') from error
