# SPDX-License-Identifier: Apache-2.0
"""Fast DDS's shared memory: which of the shipped profiles fits this machine, and which one runs.

Every process of a ROS system takes a segment of its own from /dev/shm when it starts. One that
does not fit is not made smaller: the process gets none, sends everything over UDP, and loses
images. A container's /dev/shm is 64 MB unless it is told otherwise. No ROS here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

MB = 1 << 20
FOLDER = Path('/dev/shm')  # where POSIX shared memory is
PROFILES = {64: 'fastdds.xml', 16: 'fastdds_16mb.xml'}
"""Segment [MB] -> file in config/ that asks for it; the largest first."""
PROCESSES = 4
"""So many must find room: camera driver, this node, a consumer, and a tool."""
OVERHEAD, EXTRA_MB = 1.05, 1.0
"""A process takes a little more than the profile says (measured: 17.3 MB for 16, 67.6 for 64)."""
VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
"""Where Fast DDS looks for its profile: Humble and Jazzy read the first, Kilted the second."""
TAKEN = (*VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')
"""Variables with which a user has already chosen."""


def free_mb(folder: Path = FOLDER) -> float:
    """Return how much can still be taken from /dev/shm; 0 if there is none."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0.0
    return state.f_bavail * state.f_frsize / MB


def choose(free: float) -> str:
    """Return the name of the shipped profile for `free` MB; '' if none fits."""
    needed = {name: size_mb * OVERHEAD + EXTRA_MB for size_mb, name in PROFILES.items()}
    for name, size_mb in needed.items():
        if size_mb * PROCESSES <= free:
            return name
    *_, smallest = needed
    return smallest if needed[smallest] <= free else ''


def variables(config: Path, base: Mapping[str, str], free: float) -> dict[str, str]:
    """Return what to set in the environment of ROS processes.

    config: folder of the profiles. base: the environment as it is; where it holds one of TAKEN,
    nothing is set.
    """
    name = choose(free)
    if not name or any(variable in base for variable in TAKEN):
        return {}
    return dict.fromkeys(VARIABLES, str(config / name))


def own_segments_mb(process: str = 'self') -> list[float]:
    """Return the sizes of the segments that a running process really has."""
    maps = Path(f'/proc/{process}/maps')
    try:
        text = maps.read_text(encoding='utf-8', errors='replace')
    except OSError:  # not Linux
        return []
    paths = set(re.findall(rf'{FOLDER}/fastrtps_[0-9a-f]{{16}}(?= |$)', text, re.MULTILINE))
    return sorted(_size_mb(Path(path)) for path in paths)


def _size_mb(path: Path) -> float:
    try:
        return path.stat().st_size / MB
    except OSError:  # ended meanwhile
        return 0.0


def report(env: Mapping[str, str], segments_mb: list[float], free: float) -> tuple[bool, str]:
    """Say which segment the process has; False: it is too small for images.

    env: its environment. segments_mb: of `own_segments_mb`.
    """
    profile = next((env[name] for name in VARIABLES if env.get(name)), '')
    largest = max(segments_mb, default=0.0)
    fitting = choose(free)
    if profile and not Path(profile).is_file():
        return False, (
            f'the Fast DDS profile {profile} is not there, so large messages may be lost. Correct '
            f'{VARIABLES[0]}.'
        )
    if largest >= 1:
        return True, f'Fast DDS shared memory: {largest:.0f} MB ({profile or "own setting"})'
    what = f'no shared memory from {profile}' if profile else 'only 0.5 MB of shared memory'
    remedy = (
        f'start camera driver and node with config/{fitting}'
        if fitting
        else 'give the container more (docker run --shm-size=256m, or --ipc=host)'
    )
    return not profile, (
        f'Fast DDS has {what} here, and {FOLDER} has {free:.0f} MB free: images that are sent '
        f'best effort may be lost. To change it, {remedy}.'
    )
