# SPDX-License-Identifier: Apache-2.0
"""`lightdepth bag`: the node's outputs for a recorded drive, without ROS."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from lightdepth_ros import __version__
from lightdepth_ros.bag.topics import CameraTopics, parse_camera, require_rosbags
from lightdepth_ros.camera import Camera
from lightdepth_ros.cli.config import add_config_flags, config_of
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.perception.camera_yaml import read_camera_yaml
from lightdepth_ros.perception.lens import Lens

SETTINGS = (
    'output_resolution',
    'publish_size',
    'fit',
    'student',
    'model',
    'backend',
    'precision',
    'threads',
    'input_width',
    'input_height',
    'depth_scale',
    'min_range_m',
    'max_range_m',
    'min_confidence',
    'temporal_filter',
    'point_filter',
    'horizontal_fov_deg',
    'image_kind',
    'image_bits',
    'mount',
    'camera_height_m',
    'camera_pitch_deg',
    'camera_roll_deg',
    'ground_frame',
)
DESCRIPTION = """\
Run depth_node's perception over a ROS 2 bag (MCAP or sqlite3) or a ROS 1 bag, and write what the
node would publish to a new bag: the same topics, types and stamps, and the same depth bit for bit.
It needs the library rosbags and no ROS. Every image is used; none is dropped for being late.

Killed, or out of disk? Run the same command again: it continues where it stopped. Until it is done
the work lies in OUT.part; OUT appears when it is complete. Play it together with the recording:

  ros2 bag play drive & ros2 bag play drive_depth
"""
EPILOG = """\
examples:
  lightdepth bag drive drive_depth
      One camera: its image and camera_info topics are found by themselves.
  lightdepth bag drive drive_depth --image-topic /cam/image_raw/compressed \\
      --params-file config/depth.yaml --outputs depth/image depth/camera_info --keep-tf
      Settings as on the robot, two outputs only, and the transforms copied.
  lightdepth bag drive drive_depth --camera front=/front/image_raw --camera rear=/rear/image_raw
      Two cameras: outputs are /front/depth/image, /rear/depth/image and so on.

All outputs together take about 3 MB a frame at 240x160: choose --outputs, or --compress.
The exit code is 0 only when no image was dropped.
"""


def parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of this subcommand."""
    result = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add('input', type=Path, metavar='IN', help='The bag: its folder, or its .mcap or .db3 file.')
    add('out', type=Path, metavar='OUT', help='The bag to write, a folder that does not exist.')
    _add_input_flags(result)
    _add_output_flags(result)
    add_config_flags(result, SETTINGS, {})
    return result


def _add_input_flags(result: argparse.ArgumentParser) -> None:
    add = result.add_argument_group('the camera').add_argument
    add(
        '--image-topic',
        default='',
        metavar='TOPIC',
        help='Image or CompressedImage topic. Default: the only one.',
    )
    add(
        '--camera-info-topic',
        default='',
        metavar='TOPIC',
        help='Default: camera_info beside the image topic.',
    )
    add(
        '--camera',
        action='append',
        default=[],
        metavar='NAME=IMAGE[,INFO]',
        help='One of several cameras, with the name that its outputs get; give it once for each.',
    )
    add('--camera-yaml', type=Path, metavar='FILE', help='Calibration, if the bag has none.')
    add(
        '--uncalibrated',
        action='store_true',
        help='Continue without calibration: depth only up to a constant factor, no clouds.',
    )


def _add_output_flags(result: argparse.ArgumentParser) -> None:
    add = result.add_argument_group('the new bag').add_argument
    add(
        '--outputs',
        nargs='+',
        default=['all'],
        metavar='TOPIC',
        help="Which of the node's topics to write, such as depth/image points. Default: all.",
    )
    add('--namespace', default='', metavar='NAME', help='Put before all output topics.')
    add('--keep-tf', action='store_true', help='Copy /tf and /tf_static too.')
    add('--keep', nargs='+', default=[], metavar='TOPIC', help='Copy these topics too, as is.')
    add('--storage', choices=('mcap', 'sqlite3'), default='mcap', help='Default: mcap.')
    add('--compress', action='store_true', help='Compress with zstd: slower, about half the size.')


def run(args: argparse.Namespace) -> int:
    """Write the bag; return 0, or 1 when an image was dropped."""
    require_rosbags()
    from lightdepth_ros.cli import bag_run as cli_bag_run  # needs rosbags

    config = config_of(args, SETTINGS, {})
    _check(args, config)
    request = cli_bag_run.Request(
        source=args.input,
        out=args.out,
        config=dataclasses.replace(config, camera_info_timeout_s=0.0, rate_limit_hz=0.0),
        named=_cameras(args),
        image_topic=args.image_topic,
        info_topic=args.camera_info_topic,
        view=_view(args),
        calibration=_calibration(args, config),
        outputs=tuple(args.outputs),
        prefix=_prefix(args.namespace),
        keep=tuple(args.keep) + (('/tf', '/tf_static') if args.keep_tf else ()),
        storage=args.storage,
        compress=args.compress,
    )
    return cli_bag_run.run(request, Console(highlight=False), identity(args, config))


def identity(args: argparse.Namespace, config: NodeConfig) -> dict[str, Any]:
    """Return what makes a job the same job when it is given again."""
    return {
        'version': __version__,
        **{name: str(value) for name, value in vars(args).items() if name not in SETTINGS},
        'params_file': '',  # its content counts, which is in the settings
        'settings': dataclasses.asdict(config),
        'out': args.out.name,
        'input': str(args.input.resolve()),
    }


def _check(args: argparse.Namespace, config: NodeConfig) -> None:
    if config.output_resolution == 'auto':
        raise ConfigError(
            'output_resolution auto follows the speed of the machine, which means nothing for a '
            'recording: set --output-resolution L, M, S or XS'
        )
    if args.camera and (args.image_topic or args.camera_info_topic):
        raise ConfigError(
            '--camera names several cameras with their topics; leave out --image-topic and '
            '--camera-info-topic'
        )
    sources = {
        '--camera-info-topic': bool(args.camera_info_topic),
        '--camera-yaml': args.camera_yaml is not None,
        '--uncalibrated': args.uncalibrated,
    }
    given = [flag for flag, there in sources.items() if there]
    if len(given) > 1:
        raise ConfigError(f'{" and ".join(given)} contradict each other; give one of them')


def _cameras(args: argparse.Namespace) -> tuple[CameraTopics, ...]:
    cameras = tuple(parse_camera(text) for text in args.camera)
    NodeConfig(cameras=tuple(c.name for c in cameras) or ('',))  # refuses names as the node does
    return cameras


def _view(args: argparse.Namespace) -> Callable[[str], Camera | Lens | None]:
    path: Path | None = args.camera_yaml
    if path is None:
        return lambda kind: None
    read_camera_yaml(path, 'raw')  # before anything long begins
    return lambda kind: read_camera_yaml(path, kind)


def _calibration(args: argparse.Namespace, config: NodeConfig) -> str:
    if args.uncalibrated or args.camera_yaml is not None:
        return 'none'
    return 'optional' if config.horizontal_fov_deg > 0 else 'needed'


def _prefix(namespace: str) -> str:
    name = namespace.strip('/')
    return f'/{name}/' if name else '/'
