# SPDX-License-Identifier: Apache-2.0
"""`lightdepth scale`: measures the factor by which the node's depths must be multiplied.

Gathers true and predicted distances in one of three ways, fits, shows, and writes or refuses.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from lightdepth_ros.bag.topics import require_rosbags
from lightdepth_ros.cli.camera import view_chooser
from lightdepth_ros.cli.config import config_of
from lightdepth_ros.cli.scale_flags import SETTINGS, parser
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import ModelContract
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.navigation import class_mask
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.scale.by_height import from_ground, some_images
from lightdepth_ros.scale.by_tape import from_tapes
from lightdepth_ros.scale.fit import Limits, Pairs, check_fit, fit_scale
from lightdepth_ros.scale.gathered import Gathered
from lightdepth_ros.scale.report import (
    band_table,
    result_text,
    tilt_with_distance,
    write_picture,
    write_yaml,
)
from lightdepth_ros.scale.tape import Tape, parse_tape, read_tapes

__all__ = ['parser', 'run']

TILTED = 0.2
"""ln of how the error may change from near to far before it is said."""
BAND_POINTS = 50
UNTOLD = (
    'The network was not told where the camera stands; one factor makes up for that at one height '
    'and pitch only. Better: give --camera-height-m (and --camera-pitch-deg) here, and the node '
    'the same.'
)
LEAST_FACTOR, MOST_KNOWN, MOST_UNKNOWN = 0.05, 5.0, 2.5
"""Factors that are believed; the largest with and without a known height of the camera."""
LOW = 0.4
"""A lower factor needs a low camera."""


def run(args: argparse.Namespace) -> int:
    """Measure and write; raises DataError with the numbers for a result not to be trusted."""
    console = Console(highlight=False)
    config = config_of(args, SETTINGS, {})
    _check(args, config)
    if config.mount == 'tf' and config.fixed_mount is None:
        raise ConfigError(
            'mount is tf, which is not followed here: give --camera-height-m and '
            '--camera-pitch-deg as the transforms have them; the node shows them in /diagnostics'
        )
    config = dataclasses.replace(config, depth_scale=1.0, min_confidence=0.0, min_range_m=0.0)
    perception = load_perception(config, console.print)
    try:
        gathered = _gather(args, config, perception, console)
    finally:
        perception.close()
    _conclude(args, config, gathered, console, perception.engine.contract)
    return 0


def _gather(
    args: argparse.Namespace, config: NodeConfig, perception: Perception, console: Console
) -> Gathered:
    """Turn the flags of a way into values and gather its pairs."""
    if args.way == 'bag':
        return _from_bag(args, config, perception, console)
    if args.way == 'tape':
        view_of = view_chooser(args, config.horizontal_fov_deg)
        return from_tapes(_tapes(args), view_of, perception, along_axis=args.along_axis)
    return _from_ground(args, config, perception, console)


def _tapes(args: argparse.Namespace) -> list[Tape]:
    tapes = read_tapes(args.pairs) if args.pairs else []
    if args.at and args.image is None:
        raise ConfigError('--at needs the IMAGE that it is in')
    tapes += [parse_tape(args.image, text) for text in args.at]
    if not tapes:
        raise ConfigError('give distances: IMAGE --at U,V=METRES, or --pairs FILE.csv')
    return tapes


def _from_ground(
    args: argparse.Namespace, config: NodeConfig, perception: Perception, console: Console
) -> Gathered:
    if not 0.02 < args.height_m < 100 or args.images < 1:
        raise ConfigError(f'--height-m is {args.height_m:g}; it must be from 0.02 to 100 m')
    view_of = view_chooser(args, config.horizontal_fov_deg)
    if view_of is None:
        raise ConfigError(
            'a plane needs the camera: give --camera-yaml, or --fx, or --fov-deg DEGREES'
        )
    images = some_images(args.input, args.images)
    shown = track(images, 'looking for the ground', console=console)
    ground = class_mask(config.classes_ground)
    return from_ground(shown, view_of, perception, args.height_m, args.far_m, ground)


def _from_bag(
    args: argparse.Namespace, config: NodeConfig, perception: Perception, console: Console
) -> Gathered:
    if bool(args.points_topic) == bool(args.depth_topic):
        raise ConfigError('give --points-topic (a lidar) or --depth-topic (a depth camera)')
    if args.frames < 1 or not 0 < args.near_m < args.far_m:
        raise ConfigError('--frames must be at least 1, and 0 < --near-m < --far-m')
    require_rosbags()
    from lightdepth_ros.scale.bag import Measured
    from lightdepth_ros.scale.by_bag import from_bag

    measured = Measured(
        args.image_topic,
        args.points_topic,
        args.depth_topic,
        args.tolerance_s,
        args.frames,
        args.near_m,
        args.far_m,
        camera_info=args.camera_info_topic,
        image_kind=config.image_kind,
        image_bits=config.image_bits,
        lidar_to_camera=tuple(args.lidar_to_camera),
    )
    return from_bag(args.bag, measured, perception, console)


def _check(args: argparse.Namespace, config: NodeConfig) -> None:
    low, high = plausible(args, config)
    if not 0 < low < high or not args.max_spread > 0:
        raise ConfigError(
            f'--plausible is {low:g} {high:g} and --max-spread {args.max_spread:g}; it must be '
            '0 < LOW < HIGH and a spread above 0'
        )
    if config.output_resolution == 'auto':
        raise ConfigError('--output-resolution auto has no meaning here: set L, M, S or XS')


def plausible(args: argparse.Namespace, config: NodeConfig) -> tuple[float, float]:
    """Return the range of factors that are believed.

    A network that guesses the height of a car's camera needs 0.3 for one at half a metre: low
    factors are normal for robots, and with a known height so are high ones.
    """
    if args.plausible:
        low, high = args.plausible
        return low, high
    return LEAST_FACTOR, MOST_KNOWN if _height_known(args, config) else MOST_UNKNOWN


def _height_known(args: argparse.Namespace, config: NodeConfig) -> bool:
    return args.way == 'height' or config.fixed_mount is not None


def _low(args: argparse.Namespace, config: NodeConfig, scale: float) -> list[str]:
    if args.plausible or scale >= LOW or _height_known(args, config):
        return []
    return [
        f'A factor of {scale:.2f} is right for a camera far below the height of a car, and else a '
        'mistake: centimetres for metres, or another focal length. Set camera_height_m if the '
        'camera is low, and compare a known distance.'
    ]


def _conclude(
    args: argparse.Namespace,
    config: NodeConfig,
    gathered: Gathered,
    console: Console,
    contract: ModelContract,
) -> None:
    pairs = gathered.pairs
    fit = fit_scale(pairs)
    for table in gathered.tables(fit.scale):
        console.print(table)
    if args.way == 'bag' and fit.points:
        console.print(band_table(pairs, fit.scale))
    _draw(args, gathered, fit.scale, console)
    limits = Limits(
        gathered.least_points, gathered.least_groups, args.max_spread, *plausible(args, config)
    )
    check_fit(fit, limits, gathered.what, gathered.groups, gathered.remedy)
    mount = config.fixed_mount if contract.takes_ground else None
    notes = [*gathered.notes, *_notes(args, pairs, fit.scale), *_low(args, config, fit.scale)]
    if contract.takes_ground and mount is None:
        notes.append(UNTOLD)
    for note in notes:
        console.print(f'[yellow]{escape(note)}[/]')
    result = result_text(fit, gathered.what)
    lines = [
        f'Measured by `lightdepth scale {args.way}`:',
        result,
        *gathered.facts,
        f'for {contract.onnx_file}, network input {config.input_width}x{config.input_height}, '
        f'fit {config.fit}.',
    ]
    write_yaml(args.out, fit.scale, lines, mount)
    console.print(f'[green]{result}[/]')
    console.print(f'Written to {escape(str(args.out))}: give it to the node with --params-file.')


def _draw(args: argparse.Namespace, gathered: Gathered, scale: float, console: Console) -> None:
    if not gathered.pairs.true_m.size:
        return
    path: Path = args.picture or args.out.with_suffix('.png')
    write_picture(path, gathered.tiles(scale))
    console.print(f'The points used: {escape(str(path))}')


def _notes(args: argparse.Namespace, pairs: Pairs, scale: float) -> list[str]:
    tilt = tilt_with_distance(pairs, scale, BAND_POINTS) if args.way == 'bag' else 0.0
    if abs(tilt) < TILTED:
        return []
    where = 'far' if tilt > 0 else 'near'
    return [
        f'The error changes with distance by {abs(tilt):.0%} (too far at the {where} end): one '
        'factor cannot undo that. Check the focal length, the pose of the lidar, and whether '
        'the scenes are like those that the network was trained on.'
    ]
