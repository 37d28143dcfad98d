# SPDX-License-Identifier: Apache-2.0
"""`lightdepth bench`: how fast each engine is on this machine, and how near to its ceilings."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lightdepth_ros.backends import ENGINES
from lightdepth_ros.bench.matrix import Matrix, Peer, measure
from lightdepth_ros.bench.plot import write_chart
from lightdepth_ros.bench.report import Report, table, target_table, write_json
from lightdepth_ros.cli.model_flags import add_model_flags, contracts, teaching
from lightdepth_ros.errors import ConfigError

DESCRIPTION = """\
Time every exit with every engine, precision and thread count that works here.

All cases run in turns, round by round, each round in another order: on a busy machine the
milliseconds vary, their ratios hardly do. In its turn a case waits for 33 ms, as between the
images of a camera, runs once (`30 Hz`: its threads were asleep, caches are cold), and then five
times in a row (all other columns). `of matmul` is the share of the machine's own
float32 matrix product that a network reaches (more than 100 % is possible in bf16 and int8),
`of copy` the share of its memory bandwidth, both measured in the same rounds with as many
threads. `start s` is import to first prediction and `MiB` resident memory, in a new process.
"""

EXAMPLES = """\
examples:
  lightdepth bench                              two minutes on two cores
  lightdepth bench --exit L --backend openvino --threads 1 2 4
  lightdepth bench --plot chart.svg             with a chart (needs matplotlib)
beside the networks that the paper compares itself with, in a checkout with PyTorch:
  python -m tools.bench --peers
"""

TABLE_WIDTH = 200
"""Columns that the table needs; a narrower terminal wraps its lines, which beats cut words."""


def parser(prog: str, *, checkout: bool = False) -> argparse.ArgumentParser:
    """Return the command's argument parser; checkout: for tools/bench.py, which adds flags."""
    top = argparse.ArgumentParser(prog=prog, **teaching(DESCRIPTION, EXAMPLES))
    add_model_flags(top)
    top.add_argument(
        '--also', type=Path, action='append', default=[], metavar='CONTRACT.json',
        help='a model to time beside these, for example a quantised one; may be repeated',
    )  # fmt: skip
    top.add_argument(
        '--backend', choices=tuple(ENGINES), action='append', help='may be repeated. Default: all'
    )
    top.add_argument(
        '--precision', choices=('fp32', 'fp16', 'bf16'), action='append',
        help='may be repeated. Default: all',
    )  # fmt: skip
    top.add_argument(
        '--threads', type=int, nargs='+', default=sorted({1, len(os.sched_getaffinity(0))}),
        metavar='N', help='CPU thread counts. Default: %(default)s',
    )  # fmt: skip
    top.add_argument('--rounds', type=int, default=50, help='Default: 50')
    top.add_argument(
        '--no-start', action='store_true', help='do not start a process per case for start and MiB'
    )
    top.add_argument('--json', type=Path, metavar='FILE', help='write the raw results')
    top.add_argument('--plot', type=Path, metavar='FILE', help='draw charts (svg, png or pdf)')
    if not checkout:
        top.add_argument('--peers', action='store_true', help=argparse.SUPPRESS)
        top.add_argument('--doc', help=argparse.SUPPRESS)
    return top


def run(args: argparse.Namespace) -> int:
    """Measure, show and write."""
    if args.peers or args.doc:
        raise ConfigError(
            '--peers and --doc need a checkout of the repository: there, give the same flags to '
            '`python -m tools.bench`'
        )
    measured(args, ['lightdepth', *sys.argv[1:]])
    return 0


def measured(args: argparse.Namespace, words: Sequence[str], peers: Sequence[Peer] = ()) -> Report:
    """Measure what the flags ask for, show it, write --json and --plot, and return it.

    words: the command, for the report. peers: networks to time beside ours.
    """
    if args.rounds < 1 or min(args.threads) < 1:
        raise ConfigError('--rounds and --threads must be at least 1')
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    matrix = Matrix(
        contracts=[*contracts(args), *args.also],
        backends=args.backend or list(ENGINES),
        precisions=args.precision or ['fp32', 'fp16', 'bf16'],
        threads=sorted(set(args.threads)),
        input_hw=args.input,
        peers=peers,
        rounds=args.rounds,
        starts=not args.no_start,
    )
    report = measure(matrix, shlex.join(words), console)
    console.print(table(report))
    console.print(target_table(report))
    if not any(row.gmac for row in report.rows):
        print('GMAC and the matrix ceiling need the onnx package: pip install onnx')
    for name, reason in report.not_run.items():
        print(f'not run: {name}: {reason}')
    if args.json:
        write_json(report, args.json)
    if args.plot:
        write_chart(report, args.plot)
    return report
