# SPDX-License-Identifier: Apache-2.0
"""Start a USB camera (usb_cam) and the depth node on its images.

    ros2 launch lightdepth_ros usb_cam.launch.py camera_info_url:=file:///home/me/camera.yaml \\
        output_resolution:=M rviz:=true

All arguments of depth.launch.py work too. Without a calibration there are no clouds, unless
horizontal_fov_deg is set in params_file. The driver is not installed with this package:
sudo apt install ros-$ROS_DISTRO-usb-cam
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

DEPTH_LAUNCH = Path(__file__).resolve().parent / 'depth.launch.py'
SHARED_MEMORY_LAUNCH = DEPTH_LAUNCH.with_name('shared_memory.launch.py')

ARGUMENTS = {
    'video_device': ('/dev/video0', 'Device of the camera.'),
    'image_width': ('640', 'Width of its image [px].'),
    'image_height': ('480', 'Height of its image [px].'),
    'framerate': ('30.0', 'Images a second to ask the camera for.'),
    'pixel_format': ('yuyv', 'Format, as the driver names it: yuyv, uyvy, mjpeg2rgb, ...'),
    'camera_info_url': ('', 'Calibration file, as file:///path/camera.yaml. Empty: none.'),
    'camera_name': ('camera', 'Name in the calibration file, and namespace of the topics.'),
    'frame_id': ('camera_optical_frame', 'Frame of the images: x right, y down, z forward.'),
}
"""Argument -> (default, what it does)."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start the driver and the depth node."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    camera = LaunchConfiguration('camera_name')
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DEPTH_LAUNCH)),
        launch_arguments=[
            ('image', ['/', camera, '/image_raw']),
            ('camera_info', ['/', camera, '/camera_info']),
            ('rviz_frame', LaunchConfiguration('frame_id')),
        ],
    )
    memory = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SHARED_MEMORY_LAUNCH)))
    return LaunchDescription([*declared, memory, OpaqueFunction(function=driver), depth])


def driver(context: LaunchContext) -> list[Node]:
    """Return the camera's driver; without its package the launch ends before anything runs."""
    require('usb_cam')
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    numbers = {
        'image_width': int(given['image_width']),
        'image_height': int(given['image_height']),
        'framerate': float(given['framerate']),
    }
    return [
        Node(
            package='usb_cam',
            executable='usb_cam_node_exe',
            name='usb_cam',
            namespace=given['camera_name'],
            parameters=[given | numbers],
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
