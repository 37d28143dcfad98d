# SPDX-License-Identifier: Apache-2.0
"""The flags of `lightdepth scale` and of its three ways."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightdepth_ros.cli.camera import add_camera_flags
from lightdepth_ros.cli.config import add_config_flags

SETTINGS = (
    'output_resolution',
    'fit',
    'student',
    'model',
    'backend',
    'threads',
    'input_width',
    'input_height',
    'horizontal_fov_deg',
    'image_kind',
    'image_bits',
    'camera_height_m',
    'camera_pitch_deg',
    'camera_roll_deg',
)
DESCRIPTION = """\
Measure `depth_scale`, the factor that makes the metres of a network right for your camera and
your place, and write it as a parameter file for the node. Three ways, the best first:

  lightdepth scale bag      a recording with a lidar or a depth camera: thousands of points
  lightdepth scale tape     a few pictures of things whose distance you taped
  lightdepth scale height   the height of the camera over the ground, no other sensor

lightdepth scale bag --help explains one. A result that cannot be trusted is refused, with the
numbers and what to do.
"""
YAML = """
The file goes to the node, after its own parameter file:
  ros2 run lightdepth_ros depth_node --ros-args --params-file depth_scale.yaml
The factor holds for one network and one camera: measure again after changing either.
"""
TAPE = (
    """\
Fit depth_scale to taped distances. Put the tape from the lens to a thing that is 2 to 20 m away,
take a picture with this camera, and read the thing's pixel in any picture viewer.
One tape gives a factor; three or more, at different distances, give it with an uncertainty.
"""
    + YAML,
    """\
examples:
  lightdepth scale tape yard.png --camera-yaml cam.yaml --at 320,260=4.85 --at 500,240=9.20
  lightdepth scale tape yard.png --fx 615 --at 300,200,340,300=4.85     (a region: its median)
  lightdepth scale tape --pairs tapes.csv --camera-yaml cam.yaml
with tapes.csv holding lines such as  yard.png,320,260,4.85  or  gate.png,300,200,340,300,7.1
""",
)
BAG = (
    """\
Fit depth_scale to a recording with a lidar (a cloud topic) or a depth camera (a depth image
registered to the camera). The lidar is placed by the recording's /tf_static. Camera and lidar
must share a clock: at 10 m/s, 20 ms are 0.2 m. Needs the library rosbags, no ROS.
"""
    + YAML,
    """\
examples:
  lightdepth scale bag drive --points-topic /lidar/points
  lightdepth scale bag drive --image-topic /color/image_raw \\
      --depth-topic /aligned_depth_to_color/image_raw --far-m 6
""",
)
HEIGHT = (
    """\
Fit depth_scale to the camera's height over the ground: a plane is laid through the pixels that
the network itself labels as ground, in every picture. Measure from the lens straight down.
The pictures must show flat ground before the camera. The camera's pitch comes out too.
"""
    + YAML,
    """\
example:
  lightdepth scale height drive/ --height-m 1.65 --fx 721.5 --cx 609.6 --cy 172.9
""",
)


def parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of this subcommand and of its three ways."""
    raw = argparse.RawDescriptionHelpFormatter
    result = argparse.ArgumentParser(prog=prog, description=DESCRIPTION, formatter_class=raw)
    ways = result.add_subparsers(dest='way', required=True, metavar='WAY')
    for name, (text, examples), add_flags in (
        ('tape', TAPE, _add_tape),
        ('bag', BAG, _add_bag),
        ('height', HEIGHT, _add_height),
    ):
        first = text.split('.', maxsplit=1)[0]
        way = ways.add_parser(
            name, help=first, description=text, epilog=examples, formatter_class=raw
        )
        add_flags(way)
        _add_common(way, max_spread=0.15 if name == 'height' else 0.3)
    return result


def _add_tape(way: argparse.ArgumentParser) -> None:
    way.add_argument('image', nargs='?', type=Path, metavar='IMAGE')
    way.add_argument(
        '--at',
        action='append',
        default=[],
        metavar='U,V=METRES',
        help='A pixel, or a region U0,V0,U1,V1, and its distance. Give it once for each.',
    )
    way.add_argument('--pairs', type=Path, metavar='CSV', help='The same for several images.')
    way.add_argument(
        '--along-axis',
        action='store_true',
        help="Distances are along the camera's axis, not from the lens straight to the thing.",
    )
    add_camera_flags(way)


def _add_bag(way: argparse.ArgumentParser) -> None:
    add = way.add_argument
    add('bag', type=Path, help='Folder of the bag, or its .mcap or .db3 file.')
    add('--image-topic', default='', metavar='TOPIC', help='Default: the only one.')
    add('--camera-info-topic', default='', metavar='TOPIC', help='Default: beside the images.')
    add('--points-topic', default='', metavar='TOPIC', help='PointCloud2 of a lidar.')
    add('--depth-topic', default='', metavar='TOPIC', help='Registered depth, 32FC1 or 16UC1.')
    add('--frames', type=int, default=60, help='Number of images to use, roughly (60).')
    add('--tolerance-s', type=float, default=0.02, help='Largest time apart, seconds (0.02).')
    add('--near-m', type=float, default=1.0, help='Nearest depth to compare (1).')
    add('--far-m', type=float, default=40.0, help='Farthest depth to compare (40).')
    add(
        '--lidar-to-camera',
        type=float,
        nargs=7,
        default=(),
        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
        help='Pose of the lidar in the optical frame, where the bag has no /tf_static.',
    )


def _add_height(way: argparse.ArgumentParser) -> None:
    add = way.add_argument
    add('input', type=Path, metavar='IMAGE|FOLDER')
    add('--height-m', type=float, required=True, help='From the lens straight down, metres.')
    add('--far-m', type=float, default=20.0, help='Ground farther than this is not used (20).')
    add('--images', type=int, default=40, help='Most images to use (40).')
    add_camera_flags(way)


def _add_common(way: argparse.ArgumentParser, max_spread: float) -> None:
    result = way.add_argument_group('the result')
    add = result.add_argument
    add('--out', type=Path, default=Path('depth_scale.yaml'), help='Default: %(default)s.')
    add('--picture', type=Path, help='Picture of the points. Default: OUT with .png.')
    add(
        '--max-spread',
        type=float,
        default=max_spread,
        help='Refuse measurements that scatter more, as a share (%(default)s).',
    )
    add(
        '--plausible',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help='Refuse a factor outside. Default: 0.05 5 where the height of the camera is known, '
        'else 0.05 2.5, with a warning below 0.4.',
    )
    add_config_flags(way, SETTINGS, {})
