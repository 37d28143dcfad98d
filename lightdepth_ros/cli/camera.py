# SPDX-License-Identifier: Apache-2.0
"""Command-line flags for the camera that took the pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.perception.camera_yaml import read_camera_yaml
from lightdepth_ros.perception.lens import ViewOf


def add_camera_flags(parser: argparse.ArgumentParser) -> None:
    """Add --fx --fy --cx --cy, --camera-yaml and --rectified (--fov-deg is a setting)."""
    group = parser.add_argument_group('the camera')
    group.add_argument('--fx', type=float, metavar='PX', help='Focal length in pixels.')
    group.add_argument('--fy', type=float, metavar='PX', help='The same, vertical. Default: fx.')
    group.add_argument('--cx', type=float, metavar='PX', help='Centre. Default: the middle.')
    group.add_argument('--cy', type=float, metavar='PX', help='Centre. Default: the middle.')
    group.add_argument(
        '--camera-yaml',
        type=Path,
        metavar='FILE',
        help='ROS calibration file. Its lens distortion is undone.',
    )
    group.add_argument(
        '--rectified',
        action='store_true',
        help='The pictures are rectified already: use P of --camera-yaml and no distortion.',
    )


def view_chooser(args: argparse.Namespace, horizontal_fov_deg: float) -> ViewOf | None:
    """Return what gives each picture its calibration; None = the camera is not known.

    Raises ConfigError where flags contradict each other, BadCameraError for a bad file.
    """
    given = [
        flag
        for flag, there in (
            ('--fx', args.fx is not None),
            ('--camera-yaml', args.camera_yaml is not None),
            ('--fov-deg', horizontal_fov_deg > 0),
        )
        if there
    ]
    if len(given) > 1:
        raise ConfigError(f'{" and ".join(given)} both say which camera it is; give only one')
    if args.fx is None and not (args.fy is args.cx is args.cy is None):
        raise ConfigError('--fy, --cx and --cy need --fx beside them')
    if args.rectified and args.camera_yaml is None:
        raise ConfigError('--rectified says which part of --camera-yaml counts; give that too')
    if args.camera_yaml is not None:
        view = read_camera_yaml(args.camera_yaml, 'rectified' if args.rectified else 'raw')
        return lambda hw: view
    if args.fx is not None:
        return lambda hw: _pinhole(args, hw)
    if horizontal_fov_deg > 0:
        return lambda hw: Camera.from_fov(hw[1], hw[0], horizontal_fov_deg)
    return None


def _pinhole(args: argparse.Namespace, hw: tuple[int, int]) -> Camera:
    height, width = hw
    fy = args.fx if args.fy is None else args.fy
    cx = (width - 1) / 2 if args.cx is None else args.cx
    cy = (height - 1) / 2 if args.cy is None else args.cy
    return Camera(width, height, args.fx, fy, cx, cy)
