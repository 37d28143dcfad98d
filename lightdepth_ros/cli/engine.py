# SPDX-License-Identifier: Apache-2.0
"""`lightdepth engine`: build, list, check and prune inference engines."""

from __future__ import annotations

import argparse
import datetime
import importlib
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from lightdepth_ros.backends import ENGINES, PRECISIONS
from lightdepth_ros.cli.engine_flags import parser
from lightdepth_ros.cli.model_flags import contracts
from lightdepth_ros.contract import load_contract
from lightdepth_ros.engines import EngineRequest, Report, cpu, probe
from lightdepth_ros.engines.cache import cache_dir, entries, prune
from lightdepth_ros.engines.checked import load_checked
from lightdepth_ros.engines.choose import candidates, remembered
from lightdepth_ros.errors import ConfigError, EngineError

__all__ = ['parser', 'run']


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
    print(cpu.summary())
    for path in contracts(args):
        for backend, precision in _to_check(args):
            try:
                engine, verdict = load_checked(
                    EngineRequest(path, backend, args.threads, precision, args.input, print)
                )
            except EngineError as error:
                if args.backend:
                    raise
                print(f'{path.stem}: {backend} {precision} not here: {error}')
                continue
            engine.close()
            failed = failed or not verdict.passed
            word = '[green]pass' if verdict.passed else '[red]FAIL'
            console.print(
                f'{word}[/] {path.stem}: {verdict.text}', highlight=False, soft_wrap=True
            )
    return int(failed)


def _to_check(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Return (backend, precision): the named one, or everything that backend `auto` may take."""
    return [(args.backend, args.precision)] if args.backend else candidates()


def run_list(args: argparse.Namespace, console: Console) -> int:
    """Show the CPU and the cache."""
    print(cpu.summary())
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
    for choice in remembered():
        print(choice.reason)
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
