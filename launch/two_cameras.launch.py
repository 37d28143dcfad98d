# SPDX-License-Identifier: Apache-2.0
"""Start one depth node for two cameras (or more) that share its model, in turn.

    ros2 launch lightdepth_ros two_cameras.launch.py cameras:=front,left \\
        image:=/{camera}/image_raw camera_info:=/{camera}/camera_info

Outputs lie below the names: /front/points, /left/points. All arguments of depth.launch.py work
too; rviz:=true shows the first camera. The drivers are started elsewhere. For two processes, each
with its own model, start depth.launch.py twice, each in a namespace.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

DEPTH_LAUNCH = Path(__file__).resolve().parent / 'depth.launch.py'

ARGUMENTS = {
    'cameras': ('front,left', 'Names of the cameras, separated by commas.'),
    'image': ('/{camera}/image_raw', 'Topic of the images, with {camera} in place of the name.'),
    'camera_info': ('/{camera}/camera_info', 'Topic of the calibrations, likewise.'),
}
"""Argument -> (default, what it does)."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the node."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DEPTH_LAUNCH)),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in ARGUMENTS],
    )
    return LaunchDescription([*declared, depth])
