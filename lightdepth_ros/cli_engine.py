# SPDX-License-Identifier: Apache-2.0
"""`lightdepth engine`: build, list, check and prune inference engines."""

from __future__ import annotations

import argparse
import datetime
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lightdepth_ros.contract import EXIT_STRIDE, load_contract, shipped_contract
from lightdepth_ros.engine_cache import MAX_BYTES, MAX_FILES, cache_dir, entries, prune
from lightdepth_ros.engines import BACKENDS, ENGINES, PRECISIONS, Report, probe
from lightdepth_ros.errors import ConfigError, EngineError
from lightdepth_ros.golden import load_checked

DESCRIPTION = """\
Build, list, check and prune inference engines.

ONNX Runtime and OpenVINO load a model in well under a second and keep nothing. TensorRT builds
an engine for one GPU, one input size and one precision; it is kept in
$XDG_CACHE_HOME/lightdepth_ros and found again by everything it depends on, so a stale one is
never used. The node builds what it needs by itself: `build` only does it beforehand.
"""

EXAMPLES = """\
examples:
  lightdepth engine check                       every backend here against ONNX Runtime
  lightdepth engine build                       all four exits for the GPU of this machine
  lightdepth engine build --compute-capability 8.9 --exit L
                                                on a machine without a GPU, for an RTX 40 (needs
                                                tensorrt-rtx); copy the cache folder afterwards
  lightdepth engine list
  lightdepth engine prune --all
"""


def parser(prog: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    top = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = top.add_subparsers(dest='action', required=True, metavar='ACTION')
    build = actions.add_parser('build', help='build TensorRT engines into the cache')
    add_model_flags(build)
    add_size_flag(build)
    build.add_argument(
        '--precision',
        choices=('auto', *PRECISIONS['tensorrt']),
        default='auto',
        help=f'default: auto = {PRECISIONS["tensorrt"][0]}',
    )
    build.add_argument(
        '--compute-capability',
        metavar='X.Y',
        help='build for this kind of GPU instead of the one in this machine, which need not have '
        'one; tensorrt-rtx only. 7.5 = RTX 20, 8.6 = RTX 30, 8.9 = RTX 40, 12.0 = RTX 50',
    )
    check = actions.add_parser('check', help="compare engines' numbers with ONNX Runtime's")
    add_model_flags(check)
    add_size_flag(check)
    check.add_argument(
        '--backend', choices=BACKENDS, help='default: each one that is installed here'
    )
    check.add_argument(
        '--precision', default='auto', help='default: auto = the first one of the backend'
    )
    check.add_argument('--threads', type=int, default=1, help='CPU threads. Default: 1')
    actions.add_parser('list', help='show the cached engines')
    less = actions.add_parser('prune', help='delete engines that are damaged or long unused')
    less.add_argument(
        '--all', action='store_true', help='delete every engine, and what backend auto remembers'
    )
    less.add_argument(
        '--max-files', type=int, default=MAX_FILES, help=f'engines to keep. Default: {MAX_FILES}'
    )
    less.add_argument(
        '--max-mib',
        type=int,
        default=MAX_BYTES >> 20,
        help=f'space for them in MiB. Default: {MAX_BYTES >> 20}',
    )
    return top


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Add --model, --student and --exit, which `contracts` reads."""
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


def add_size_flag(parser: argparse.ArgumentParser) -> None:
    """Add --input WxH."""
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


def run(args: argparse.Namespace) -> int:
    """Do what the flags say; return the exit code."""
    console = Console()
    actions = {'build': run_build, 'check': run_check, 'list': run_list, 'prune': run_prune}
    return actions[args.action](args, console)


def run_build(args: argparse.Namespace, console: Console) -> int:
    """Build every engine that the node would build for these models."""
    probe_libraries()
    tensorrt: Any = importlib.import_module(ENGINES['tensorrt'])
    building: Any = importlib.import_module('lightdepth_ros.engines.tensorrt_build')
    flavours = building.FLAVOURS
    capability = args.compute_capability
    if capability is None:
        capability = tensorrt.probe().compute_capability
    else:
        flavours = ('tensorrt_rtx',)
    trt = building.import_tensorrt(flavours)
    precision = PRECISIONS['tensorrt'][0] if args.precision == 'auto' else args.precision
    report: Report = print
    for path in contracts(args):
        contract = load_contract(path)
        hw = args.input or contract.input_hw
        _check_size(hw, contract.divisor)
        for outputs in tensorrt.PREPARED:
            key = building.plan_key(trt, contract, precision, hw, outputs, capability)
            onnx_path = path.parent / contract.onnx_file
            plan = building.cached_plan(
                trt, onnx_path, key, report, cross=args.compute_capability is not None
            )
            print(f'{len(plan) / 2**20:6.1f} MiB  {key.file_name()}')
    print(f'in {cache_dir()}')
    return 0


def probe_libraries() -> None:
    """Raise EngineError with the install line unless TensorRT's Python parts are there."""
    try:
        probe('tensorrt')
    except EngineError as error:
        if isinstance(error.__cause__, ImportError):
            raise


def run_check(args: argparse.Namespace, console: Console) -> int:
    """Compare; the exit code is 1 if a comparison failed or a named backend cannot run."""
    failed = False
    for path in contracts(args):
        for backend in [args.backend] if args.backend else ENGINES:
            try:
                engine, verdict = load_checked(
                    path,
                    backend,
                    args.threads,
                    precision=args.precision if args.backend else 'auto',
                    input_hw=args.input,
                    report=print,
                )
            except EngineError as error:
                if args.backend:
                    raise
                print(f'{path.stem}: not here: {error}')
                continue
            engine.close()
            failed = failed or not verdict.passed
            word = '[green]pass' if verdict.passed else '[red]FAIL'
            console.print(
                f'{word}[/] {path.stem}: {verdict.text}', highlight=False, soft_wrap=True
            )
    return int(failed)


def run_list(args: argparse.Namespace, console: Console) -> int:
    """Show the cache."""
    found = entries()
    table = Table('exit', 'input', 'precision', 'outputs', 'made with', 'GPU', 'MiB', 'last used')
    for entry in found:
        if entry.key is None:
            print(f'cannot be used: {entry.path.name}: {entry.problem}')
            continue
        key = entry.key
        table.add_row(
            key.exit,
            f'{key.input_hw[1]}x{key.input_hw[0]}',
            key.precision,
            ' '.join(key.outputs),
            f'{key.flavour} {key.version}',
            f'sm {key.compute_capability}',
            f'{entry.size / 2**20:.1f}',
            datetime.datetime.fromtimestamp(entry.used_s).strftime('%Y-%m-%d %H:%M'),
        )
    if table.row_count:
        console.print(table)
    print(f'{table.row_count} engines in {cache_dir()}')
    return 0


def run_prune(args: argparse.Namespace, console: Console) -> int:
    """Delete what is damaged or beyond the bounds."""
    bounds: Sequence[int] = (0, 0) if args.all else (args.max_files, args.max_mib << 20)
    if min(bounds) < 0:
        raise ConfigError('--max-files and --max-mib must not be negative')
    deleted = prune(None, *bounds)
    if args.all:
        choices = list(cache_dir().glob('auto_*.json'))
        for path in choices:
            path.unlink(missing_ok=True)
        deleted += choices
    for path in deleted:
        print(f'deleted {path.name}')
    print(f'{len(deleted)} deleted, {len(entries())} engines kept')
    return 0


def _check_size(input_hw: tuple[int, int], divisor: int) -> None:
    if any(side % divisor for side in input_hw):
        raise ConfigError(
            f'--input is {input_hw[1]}x{input_hw[0]}; both must be multiples of {divisor}'
        )
