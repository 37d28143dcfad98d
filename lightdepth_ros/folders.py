# SPDX-License-Identifier: Apache-2.0
"""Where caches and logs go, also for a user without a home: `docker run --user` makes such."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path


def cache_home() -> Path:
    """Return $XDG_CACHE_HOME, else ~/.cache, else a folder of this user's own in /tmp."""
    given = Path(os.environ.get('XDG_CACHE_HOME', ''))
    if given.is_absolute():
        return given
    home = home_folder()
    return own_temporary() if home is None else home / '.cache'


def home_folder() -> Path | None:
    """Return the user's home, None for a user who has none: no HOME, not in the passwd file."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def ros_log_folder(env: Mapping[str, str]) -> tuple[str, str]:
    """Return ('', '') if ROS can write its logs where it wants to; otherwise where to let it write
    them (for ROS_LOG_DIR), and a sentence that says so."""
    home = home_folder()
    wanted = env.get('ROS_LOG_DIR') or (env['ROS_HOME'] + '/log' if env.get('ROS_HOME') else '')
    if not wanted and env.get('HOME') and home is not None:
        wanted = str(home / '.ros' / 'log')
    if wanted and _can_write(Path(wanted)):
        return '', ''
    instead = own_temporary() / 'ros_log'
    why = f'{wanted} cannot be written' if wanted else 'there is no HOME'
    return str(instead), f'{why}, so logs go to {instead}. Set ROS_LOG_DIR to keep them elsewhere.'


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@lru_cache(maxsize=1)
def own_temporary() -> Path:
    """Return a folder in /tmp that nobody else can write to; the same one at the next start."""
    folder = Path(tempfile.gettempdir()) / f'lightdepth_ros-{os.getuid()}'
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix='lightdepth_ros-'))
    private = stat.S_ISDIR(state.st_mode) and state.st_mode & 0o077 == 0
    if private and state.st_uid == os.getuid():
        return folder
    return Path(tempfile.mkdtemp(prefix='lightdepth_ros-'))  # somebody else was there first
