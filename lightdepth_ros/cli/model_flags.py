# SPDX-License-Identifier: Apache-2.0
"""Flags that `lightdepth engine` and `lightdepth bench` share: which models, at which size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lightdepth_ros.contract import EXIT_STRIDE, shipped_contract


def teaching(description: str, examples: str) -> dict[str, Any]:
    """Return what an argument parser needs to show both texts line by line as they are."""
    return {
        'description': description,
        'epilog': examples,
        'formatter_class': argparse.RawDescriptionHelpFormatter,
    }


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Add --model, --student and --exit, which `contracts` reads, and --input WxH."""
    parser.add_argument(
        '--model',
        type=Path,
        action='append',
        metavar='CONTRACT.json',
        help='contract of a model of your own; may be repeated. Default: the shipped ones',
    )
    parser.add_argument(
        '--student',
        choices=('plain', 'paper'),
        default='plain',
        help='which of the shipped networks. Default: plain',
    )
    parser.add_argument(
        '--exit',
        choices=tuple(EXIT_STRIDE),
        action='append',
        help='output resolution; may be repeated. Default: all four',
    )
    parser.add_argument(
        '--input',
        type=size_hw,
        metavar='WxH',
        help='network input in pixels, multiples of 32, for example 640x384. '
        "Default: the model's, 480x320",
    )


def size_hw(text: str) -> tuple[int, int]:
    """Read '480x320' (width x height) as (320, 480)."""
    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f'{text!r} is not a size; write for example 480x320')
    return int(height), int(width)


def contracts(args: argparse.Namespace) -> list[Path]:
    """Return the contracts that the flags of `add_model_flags` name."""
    if args.model:
        return list(args.model)
    return [shipped_contract(args.student, name) for name in args.exit or EXIT_STRIDE]
