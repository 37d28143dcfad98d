# SPDX-License-Identifier: Apache-2.0
"""The environment in which the demo and the tests run ROS processes: separate from any other ROS
system on the machine, on loopback only, with room for large messages.
"""

from __future__ import annotations

import fcntl
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lightdepth_ros import shared_memory

ROOT = Path(__file__).resolve().parents[1]
DOMAIN_IDS = range(1, 101)
"""Domain ids whose UDP ports lie below Linux's ephemeral ones; 0 is everybody's default."""

FOREIGN = (
    '_ROS_WHEELS_BOOTSTRAP_COMPLETE',
    'LD_LIBRARY_PATH',
    'PYTHONPATH',
    'RMW_IMPLEMENTATION',
    'COLCON_PREFIX_PATH',
)
"""Variables of another Python or ROS that would break the one in a virtual environment."""


def has_ros_wheels(prefix: Path) -> bool:
    """Tell whether the ROS wheels (requirements/ros.txt) are installed under `prefix`."""
    return (prefix / 'share/ament_index/resource_index/packages/rclpy').is_file()


def ros_environment(
    base: Mapping[str, str], prefix: Path = Path(sys.prefix), domain_id: int = 0
) -> dict[str, str]:
    """Return the variables for a process that runs ROS from `prefix`.

    With the ROS wheels in `prefix`, variables of another ROS installation are left out; without
    them the sourced installation is used as it is.
    """
    env = dict(base)
    if has_ros_wheels(prefix):
        env = {name: value for name, value in env.items() if name not in FOREIGN}
        env['AMENT_PREFIX_PATH'] = str(prefix)  # the wheels do not set it
    env['PATH'] = f'{prefix / "bin"}:{base.get("PATH", "")}'
    env['ROS_DOMAIN_ID'] = str(domain_id)
    env['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    env['PYTHONUNBUFFERED'] = '1'
    env |= shared_memory.variables(ROOT / 'config', {}, shared_memory.free_mb())
    return env


def claim_domain_id() -> int:
    """Return a ROS domain id that no other demo or test run on this machine uses meanwhile.

    A lock file per id is held until the process ends; the kernel frees it even after a crash.
    """
    for domain_id in random.sample(DOMAIN_IDS, len(DOMAIN_IDS)):
        path = Path(tempfile.gettempdir()) / f'lightdepth-ros-domain-{domain_id}.lock'
        try:
            file = path.open('a')
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            continue  # taken, or made by another user
        _claimed.append(file)
        return domain_id
    raise RuntimeError(f'all {len(DOMAIN_IDS)} ROS domain ids are in use by runs of this project')


_claimed: list[object] = []
"""Keeps the lock files open; closing one would give the id away."""


def node_executable() -> Path:
    """Return the installed depth node: of this Python's prefix, else of a sourced workspace.

    If there is none, the path where `pip install .` would put it is returned.
    """
    prefixes = [Path(sys.prefix), *map(Path, os.environ.get('AMENT_PREFIX_PATH', '').split(':'))]
    places = [prefix / 'lib' / 'lightdepth_ros' / 'depth_node' for prefix in prefixes]
    return next((path for path in places if path.is_file()), places[0])


def share_folder() -> Path:
    """Return where the same installation has its launch files and configuration."""
    return node_executable().parents[2] / 'share' / 'lightdepth_ros'
