# SPDX-License-Identifier: Apache-2.0
"""The command line of the demo."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lightdepth_ros.backends import BACKENDS
from lightdepth_ros.cli.camera import add_camera_flags
from lightdepth_ros.contract import EXIT_STRIDE
from tools.demo_drive import FPS, OWN_FRAMES, SYNTHETIC_FRAMES

T = TypeVar('T', int, float)
RATE_HZ = 30.0
REAL_TIME_S = 5.0
START_TIMEOUT_S = 60.0


def arguments(description: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m tools.demo',
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group('the drive').add_mutually_exclusive_group()
    source.add_argument('--images', type=Path, metavar='DIR', help='Play a folder of pictures.')
    source.add_argument('--video', type=Path, metavar='FILE', help='Play a video.')
    parser.add_argument(
        '--frames',
        type=positive(int),
        metavar='N',
        help=f'Frames to play. Default: {SYNTHETIC_FRAMES}, or {OWN_FRAMES} of your own.',
    )
    parser.add_argument(
        '--fps',
        type=positive(float),
        default=FPS,
        metavar='HZ',
        help='Rate of the first pass, at most. Default: %(default)g.',
    )
    parser.add_argument(
        '--rate',
        type=positive(float),
        default=RATE_HZ,
        metavar='HZ',
        help=f'Rate of the second pass, {REAL_TIME_S:g} s long. Default: %(default)g.',
    )
    add_camera_flags(parser)
    parser.add_argument(
        '--fov-deg',
        type=float,
        default=0.0,
        metavar='DEG',
        help='Angle the camera sees from left to right. With no calibration at all one is '
        'assumed, and said: 81.4 for pictures of KITTI size, else 65.',
    )
    node = parser.add_argument_group('the node')
    node.add_argument('--output-resolution', choices=EXIT_STRIDE, default='L')
    node.add_argument('--backend', choices=BACKENDS, help='Default: as in config/depth.yaml.')
    node.add_argument('--model', type=Path, help='Contract JSON or folder. Default: the shipped.')
    node.add_argument(
        '--start-timeout',
        type=positive(float),
        default=START_TIMEOUT_S,
        metavar='S',
        help='How long the node may take to start (an engine may build itself). '
        'Default: %(default)g.',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('out/demo'), metavar='DIR', help='Default: %(default)s.'
    )
    return parser.parse_args()


def positive(kind: type[T]) -> Callable[[str], T]:
    """Return a reader of positive numbers for argparse."""

    def number(text: str) -> T:
        value = kind(text)
        if not 0 < value < float('inf'):
            raise argparse.ArgumentTypeError(f'{text} is not a positive number')
        return value

    return number
