# SPDX-License-Identifier: Apache-2.0
"""Run `lightdepth scale`: collect the pairs, fit, show, and write or refuse."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lightdepth_ros.cli.config import config_of
from lightdepth_ros.cli.scale import SETTINGS
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.scale.by_bag import from_bag
from lightdepth_ros.scale.by_height import from_ground
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

WAYS: dict[str, Callable[[argparse.Namespace, NodeConfig, Perception, Console], Gathered]] = {
    'tape': from_tapes,
    'bag': from_bag,
    'height': from_ground,
}
TILTED = 0.2
"""ln of how the error may change from near to far before it is said."""
BAND_POINTS = 50


def run(args: argparse.Namespace) -> int:
    """Measure and write; raise DataError, with the numbers, if the result cannot be trusted."""
    console = Console(highlight=False)
    config = config_of(args, SETTINGS, {})
    _check(args, config)
    config = dataclasses.replace(config, depth_scale=1.0, min_confidence=0.0, min_range_m=0.0)
    perception = load_perception(config, console.print)
    try:
        gathered = WAYS[args.way](args, config, perception, console)
    finally:
        perception.close()
    _conclude(args, config, gathered, console, perception.engine.contract.onnx_file)
    return 0


def _check(args: argparse.Namespace, config: NodeConfig) -> None:
    low, high = args.plausible
    if not 0 < low < high or not args.max_spread > 0:
        raise ConfigError(
            f'--plausible is {low:g} {high:g} and --max-spread {args.max_spread:g}; it must be '
            '0 < LOW < HIGH and a spread above 0'
        )
    if config.output_resolution == 'auto':
        raise ConfigError('--output-resolution auto has no meaning here: set L, M, S or XS')


def _conclude(
    args: argparse.Namespace,
    config: NodeConfig,
    gathered: Gathered,
    console: Console,
    model: str,
) -> None:
    pairs = gathered.pairs
    fit = fit_scale(pairs)
    for table in gathered.tables(fit.scale):
        console.print(table)
    if args.way == 'bag' and fit.points:
        console.print(band_table(pairs, fit.scale))
    _draw(args, gathered, fit.scale, console)
    limits = Limits(gathered.least_points, gathered.least_groups, args.max_spread, *args.plausible)
    check_fit(fit, limits, gathered.what, gathered.groups, gathered.remedy)
    for note in [*gathered.notes, *_notes(args, pairs, fit.scale)]:
        console.print(f'[yellow]{escape(note)}[/]')
    result = result_text(fit, gathered.what)
    lines = [
        f'Measured by `lightdepth scale {args.way}`:',
        result,
        *gathered.facts,
        f'for {model}, network input {config.input_width}x{config.input_height}, '
        f'fit {config.fit}.',
    ]
    write_yaml(args.out, fit.scale, lines)
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
