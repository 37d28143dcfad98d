# SPDX-License-Identifier: Apache-2.0
"""Turn the depth node's output into a sensor_msgs/LaserScan; the node is started separately.

    ros2 launch lightdepth_ros laserscan.launch.py                   # from points_obstacles
    ros2 launch lightdepth_ros laserscan.launch.py source:=depth     # from depth/image

source:=cloud (pointcloud_to_laserscan) takes the nearest obstacle between two heights. Labels have
removed the ground, so it works on slopes and while the robot pitches. It needs calibration, and
the transform from scan_frame to the camera. source:=depth (depthimage_to_laserscan) takes the
nearest of a few rows around the camera's centre: cheaper, but only for a camera that looks level,
and ground in those rows is an obstacle. Neither package is installed with this one:
sudo apt install ros-$ROS_DISTRO-pointcloud-to-laserscan ros-$ROS_DISTRO-depthimage-to-laserscan
"""

from __future__ import annotations

import math

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = {
    'source': ('cloud', 'cloud: from points_obstacles. depth: from depth/image.'),
    'namespace': ('', 'Namespace of the depth node; with several cameras also its name.'),
    'use_sim_time': ('false', 'Use the clock of a simulation or a recording (/clock).'),
    'scan': ('scan', 'Topic of the scan.'),
    'scan_frame': ('', 'Frame of the scan, x forward and z up, never the optical one. Empty: '
                       'base_link for a cloud, camera_link for depth.'),
    'range_min': ('0.3', 'Nothing nearer is reported [m].'),
    'range_max': ('15.0', 'Nothing farther is reported [m].'),
    'scan_time': ('0.1', 'Seconds between scans, as told to their readers.'),
    'min_height': ('0.1', 'cloud: lowest point that counts, in scan_frame [m].'),
    'max_height': ('2.0', 'cloud: highest point that counts, in scan_frame [m].'),
    'fov_deg': ('43.0', 'cloud: angle that the scan covers [degree]. Rather less than the camera '
                        'sees: where no point comes from, the scan says free.'),
    'angle_increment_deg': ('0.5', 'cloud: angle between two rays [degree].'),
    'scan_height': ('10', 'depth: rows that are looked at [px].'),
}  # fmt: skip
"""Argument -> (default, what it does)."""
TRUE = ('true', '1', 'yes', 'on')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the converter that they ask for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Node]:
    """Return the converter for the arguments as given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    if given['source'] not in SOURCES:
        raise RuntimeError(f'source is {given["source"]!r}; it must be one of cloud, depth')
    return [SOURCES[given['source']](given)]


def from_cloud(given: dict[str, str]) -> Node:
    """Return pointcloud_to_laserscan on points_obstacles."""
    half_rad = math.radians(float(given['fov_deg'])) / 2
    parameters = {
        'target_frame': given['scan_frame'] or 'base_link',
        'transform_tolerance': 0.2,
        'min_height': float(given['min_height']),
        'max_height': float(given['max_height']),
        'angle_min': -half_rad,
        'angle_max': half_rad,
        'angle_increment': math.radians(float(given['angle_increment_deg'])),
        'use_inf': True,
    }
    topics = [('cloud_in', 'points_obstacles')]
    return converter('pointcloud_to_laserscan', parameters, topics, given)


def from_depth(given: dict[str, str]) -> Node:
    """Return depthimage_to_laserscan on depth/image."""
    parameters = {
        'output_frame': given['scan_frame'] or 'camera_link',
        'scan_height': int(given['scan_height']),
    }
    topics = [('depth', 'depth/image'), ('depth_camera_info', 'depth/camera_info')]
    return converter('depthimage_to_laserscan', parameters, topics, given)


SOURCES = {'cloud': from_cloud, 'depth': from_depth}


def converter(
    package: str,
    parameters: dict[str, bool | int | float | str],
    topics: list[tuple[str, str]],
    given: dict[str, str],
) -> Node:
    """Return the node of a converter; without its package the launch ends."""
    require(package)
    common = {name: float(given[name]) for name in ('range_min', 'range_max', 'scan_time')}
    sim_time = given['use_sim_time'].strip().lower() in TRUE
    return Node(
        package=package,
        executable=f'{package}_node',
        name=package,
        namespace=given['namespace'],
        parameters=[{**parameters, **common, 'use_sim_time': sim_time}],
        remappings=[*topics, ('scan', given['scan'])],
        output='screen',
    )


def require(package: str) -> None:
    """Raise RuntimeError, with the remedy, if a package is not installed."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        debian = f'ros-$ROS_DISTRO-{package.replace("_", "-")}'
        raise RuntimeError(f'{package} is not installed: sudo apt install {debian}') from error
