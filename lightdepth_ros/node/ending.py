# SPDX-License-Identifier: Apache-2.0
"""How the process ends: by the first SIGINT or SIGTERM, undisturbed by later ones."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any, NoReturn

import rclpy

from lightdepth_ros.errors import ConfigError
from lightdepth_ros.folders import ros_log_folder

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Takes SIGINT and SIGTERM from Python, whose own handlers raise or kill wherever the process
    is: `ros2 launch` and systemd send a second one while a node is ending.

    rclpy's handlers, which `init` puts in front, shut ROS down; those of Python run after them and
    do nothing. What comes before rclpy is ready is remembered.
    """

    def __init__(self) -> None:
        self.asked = False
        for number in SIGNALS:
            signal.signal(number, self._note)

    def init(self, args: list[str] | None) -> bool:
        """Initialise rclpy; return whether the process should continue. Raises ConfigError for ROS
        arguments that make no sense."""
        folder, why = ros_log_folder(os.environ)
        if folder:
            os.environ['ROS_LOG_DIR'] = folder
        try:
            rclpy.init(args=args)
        except RuntimeError as error:  # what rclpy raises has no nearer name in public
            raise ConfigError(
                f'the ROS arguments cannot be used: {error}. Correct what follows --ros-args; '
                '--log-level takes debug, info, warn, error or fatal.'
            ) from error
        if why:
            rclpy.logging.get_logger('depth_node').warning(why)
        return not self.asked

    def _note(self, *_: Any) -> None:
        self.asked = True


def leave(code: int) -> NoReturn:
    """End the process at once, with everything closed, freed and printed.

    The interpreter's own way out runs the destructors of rclpy and of the DDS in any order. One
    exit in about forty ended with code -11 after its last message; that is the likely place.
    A node is part of a ring of references, so it is looked for: the DDS frees its shared memory
    (67 MB with config/fastdds.xml) with the last object, and nothing else ever would.
    """
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
