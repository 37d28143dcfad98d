# SPDX-License-Identifier: Apache-2.0
"""Choose a Fast DDS profile with room for images, for everything that is started after it.

    ros2 launch lightdepth_ros usb_cam.launch.py fastdds_profile:=none

The other launch files include this one first, so camera driver and depth node get the same
profile: it acts where images are sent. A profile that the environment names already stays.
"""

from __future__ import annotations

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.substitutions import LaunchConfiguration

CONFIG = Path(__file__).resolve().parents[1] / 'config'
SHARED_MEMORY = '/dev/shm'
PROFILES = {64: 'fastdds.xml', 16: 'fastdds_16mb.xml'}
PROCESSES = 4
OVERHEAD, EXTRA_MB = 1.05, 1.0
VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
TAKEN = (*VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')
"""All as in lightdepth_ros/shared_memory.py, which `ros2 launch` may not be able to import: the
package can live in a virtual environment."""

ARGUMENTS = {
    'fastdds_profile': (
        'auto',
        'Fast DDS profile of all that is started here: auto (what fits into /dev/shm), none, or '
        'the path of an XML file.',
    ),
}
"""Argument -> (default, what it does)."""


def generate_launch_description() -> LaunchDescription:
    """Declare the argument, then set the variables."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=profile)])


def profile(context: LaunchContext) -> list[LogInfo | SetEnvironmentVariable]:
    """Return the actions that set the profile, or say why there is none."""
    given = LaunchConfiguration('fastdds_profile').perform(context)
    if given == 'none' or any(name in os.environ for name in TAKEN):
        return []
    path = Path(given)
    if given == 'auto':
        free = free_mb()
        name = choose(free)
        if not name:
            return [LogInfo(msg=f'{SHARED_MEMORY} has {free:.0f} MB free, too few for images: '
                                'docker run --shm-size=256m gives a container more')]  # fmt: skip
        path = CONFIG / name
    elif not path.is_file():
        raise RuntimeError(f'fastdds_profile is {given}; it must be auto, none, or a file')
    return [SetEnvironmentVariable(name=name, value=str(path)) for name in VARIABLES]


def free_mb() -> float:
    """Return how much of /dev/shm is free."""
    try:
        state = os.statvfs(SHARED_MEMORY)
    except OSError:
        return 0.0
    return state.f_bavail * state.f_frsize / (1 << 20)


def choose(free: float) -> str:
    """Return the name of the profile that fits; '' if none does."""
    needed = {name: size_mb * OVERHEAD + EXTRA_MB for size_mb, name in PROFILES.items()}
    for name, size_mb in needed.items():
        if size_mb * PROCESSES <= free:
            return name
    *_, smallest = needed
    return smallest if needed[smallest] <= free else ''
