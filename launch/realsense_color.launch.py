# SPDX-License-Identifier: Apache-2.0
"""Start the colour camera of a RealSense, its own depth off, and the depth node on its images.

    ros2 launch lightdepth_ros realsense_color.launch.py output_resolution:=M rviz:=true

All arguments of depth.launch.py work too. Topics and parameters are those of realsense2_camera
4.55 and later: /NAMESPACE/NAME/color/image_raw, rgb_camera.color_profile. The driver is not
installed with this package: sudo apt install ros-$ROS_DISTRO-realsense2-camera
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

DEPTH_LAUNCH = Path(__file__).resolve().parent / 'depth.launch.py'
SHARED_MEMORY_LAUNCH = DEPTH_LAUNCH.with_name('shared_memory.launch.py')

ARGUMENTS = {
    'camera_name': ('camera', 'Name of the driver; its frames begin with it.'),
    'camera_namespace': ('camera', 'Namespace of the driver.'),
    'serial_no': ('', 'Serial number of the camera. Empty: the only one.'),
    'color_profile': ('640x480x30', 'Width x height x images a second of the colour camera.'),
}
"""Argument -> (default, what it does)."""
OFF = ('enable_depth', 'enable_infra', 'enable_infra1', 'enable_infra2')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the driver and the depth node."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    camera = LaunchConfiguration('camera_name')
    topics = ['/', LaunchConfiguration('camera_namespace'), '/', camera, '/color/']
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DEPTH_LAUNCH)),
        launch_arguments=[
            ('image', [*topics, 'image_raw']),
            ('camera_info', [*topics, 'camera_info']),
            ('rviz_frame', [camera, '_color_optical_frame']),
        ],
    )
    memory = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SHARED_MEMORY_LAUNCH)))
    return LaunchDescription([*declared, memory, OpaqueFunction(function=driver), depth])


def driver(context: LaunchContext) -> list[Node]:
    """Return the camera's driver; without its package the launch ends before anything runs."""
    require('realsense2_camera')
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {
        'camera_name': given['camera_name'],
        'enable_color': True,
        'rgb_camera.color_profile': given['color_profile'],
        **dict.fromkeys(OFF, False),
    }
    if given['serial_no']:  # digits would be read as a number
        parameters['serial_no'] = ParameterValue(given['serial_no'], value_type=str)
    return [
        Node(
            package='realsense2_camera',
            executable='realsense2_camera_node',
            name=given['camera_name'],
            namespace=given['camera_namespace'],
            parameters=[parameters],
            output='screen',
        )
    ]


def require(package: str) -> None:
    """Raise RuntimeError, with the remedy, if a package is not installed."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        debian = f'ros-$ROS_DISTRO-{package.replace("_", "-")}'
        raise RuntimeError(f'{package} is not installed: sudo apt install {debian}') from error
