# SPDX-License-Identifier: Apache-2.0
"""Time one exit on this CPU and as older CPUs would run it: a row per instruction set and engine.

  python -m tools.bench_isa                                  as a table
  python -m tools.bench_isa --doc docs/performance.md        fills the section there
  python -m tools.bench_isa --exit S --levels AVX2 all --rounds 50

Each level is a process of its own, under `tools.cap_cpu`, in which all engines take turns. CPU ms
is the processor time of all threads for one image, median: other programs hardly disturb it, and
ratios are taken from it. x86-64 only.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.bench.matrix import machine
from lightdepth_ros.contract import EXIT_STRIDE, MODELS_DIR
from lightdepth_ros.engines import Engine, EngineRequest, load_engine
from lightdepth_ros.engines.golden import golden_ground, golden_image
from lightdepth_ros.errors import ConfigError, EngineError, LightdepthError
from tools.cap_cpu import LEVELS, cap
from tools.document import markdown_rows, write_section

SECTION = 'isa'
WARM_UP = 3
Key = tuple[str, str, int]
"""(engine, precision, threads)."""
SHOWN = ('AVX2', 'AVX512_CORE', 'AVX512_CORE_VNNI', 'all')
WORDS = {
    'AVX2': 'AVX2',
    'AVX512_CORE': 'AVX-512',
    'AVX512_CORE_VNNI': 'AVX-512, VNNI',
    'all': 'everything it has',
}
TITLES = (
    'instructions',
    'engine',
    'precision',
    'threads',
    'best ms',
    'median ms',
    'CPU ms',
    'gain',
    '',
)


def run_level(level: str, exit_name: str, rounds: int, threads: list[str]) -> dict[str, Any]:
    """Return {'machine', 'rounds', 'rows'} of one level, measured in a process of its own.

    Raises ConfigError where the level cannot be run here.
    """
    words = ['--exit', exit_name, '--rounds', str(rounds), '--threads', *threads]
    done = subprocess.run(
        [sys.executable, '-m', 'tools.bench_isa', '--worker', level, *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ConfigError(f'the benchmark failed at {level}: {done.stderr[-800:]}')
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def measure(level: str, exit_name: str, rounds: int, threads: list[str]) -> dict[str, Any]:
    """Cap this process at `level` and time every engine, precision and thread count in turns."""
    cap(level)
    engines = dict(load_all(exit_name, [int(count) for count in threads]))
    times: dict[Key, list[tuple[float, float]]] = {key: [] for key in engines}
    grounds = {
        key: golden_ground(engine.contract, engine.contract.input_hw)
        for key, (engine, _) in engines.items()
    }
    for index in range(WARM_UP + rounds):
        for key, (engine, image) in engines.items():
            started = time.perf_counter(), time.process_time()
            engine.run(image, ground=grounds[key])
            took = time.perf_counter() - started[0], time.process_time() - started[1]
            if index >= WARM_UP:
                times[key].append(took)
    rows = []
    for (backend, precision, count), found in times.items():
        wall, busy = (np.array(column) * 1e3 for column in zip(*found, strict=True))
        rows.append(
            {
                'backend': backend,
                'precision': precision,
                'threads': count,
                'best_ms': float(wall.min()),
                'median_ms': float(np.median(wall)),
                'cpu_ms': float(np.median(busy)),
            }
        )
    return {'machine': machine(), 'rounds': rounds, 'rows': rows}


def load_all(exit_name: str, threads: list[int]) -> Iterator[tuple[Key, tuple[Engine, Any]]]:
    """Yield (engine, precision, threads) with the engine and its image; what cannot run is left
    out."""
    name = f'lightdepth_plain_{exit_name}.json'
    for folder, is_int8 in ((MODELS_DIR, False), (MODELS_DIR / 'int8', True)):
        for backend, precision in (
            ('onnxruntime', 'fp32'),
            ('openvino', 'fp32'),
            ('openvino', 'bf16'),
        ):
            for count in threads:
                request = EngineRequest(folder / name, backend, count, precision=precision)
                try:
                    engine = load_engine(request)
                except EngineError:
                    continue
                computes = (
                    ('int8' if precision == 'fp32' else 'int8+bf16') if is_int8 else precision
                )
                yield (backend, computes, count), (engine, golden_image(engine.contract.input_hw))


def rows_of(level: str, report: dict[str, Any]) -> list[list[str]]:
    """Return the rows of the plain student; `gain` is over float32 in the same engine and threads.

    The last column marks the fastest for each thread count.
    """
    mine = report['rows']
    usual = {(r['backend'], r['threads']): r['cpu_ms'] for r in mine if r['precision'] == 'fp32'}
    best = {
        threads: min(r['cpu_ms'] for r in mine if r['threads'] == threads)
        for threads in {r['threads'] for r in mine}
    }
    found = []
    for row in mine:
        gain = usual[row['backend'], row['threads']] / row['cpu_ms']
        fastest = row['cpu_ms'] == best[row['threads']]
        found.append(
            [
                WORDS[level],
                row['backend'],
                row['precision'],
                str(row['threads']),
                f'{row["best_ms"]:.1f}',
                f'{row["median_ms"]:.1f}',
                f'{row["cpu_ms"]:.1f}',
                f'{gain:.2f}',
                'fastest' if fastest else '',
            ]
        )
    return found


def markdown(reports: dict[str, dict[str, Any]], command: str, note: str) -> str:
    """Return what stands in the document."""
    first = next(iter(reports.values()))
    where = first['machine']
    packages = ', '.join(f'{name} {version}' for name, version in where['packages'].items())
    rows = [row for level, report in reports.items() for row in rows_of(level, report)]
    return '\n'.join(
        [
            f'`{command}`',
            '',
            f'{where["date"]}, {where["cpu"]}, {where["cores"]} cores; {packages}. '
            f'{first["rounds"]} rounds a level, images in a row. CPU ms: processor '
            f'time of all threads, median; gain: of it, over float32 in the same engine. '
            f'{note}'.strip(),
            '',
            *markdown_rows(TITLES, rows),
        ]
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog='python -m tools.bench_isa',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument('--exit', choices=tuple(EXIT_STRIDE), default='L', help='Default: L')
    top.add_argument(
        '--levels', nargs='+', choices=tuple(LEVELS), default=SHOWN, help='Default: all four'
    )
    top.add_argument('--rounds', type=int, default=25, help='a level. Default: 25')
    top.add_argument('--threads', nargs='+', default=['1', '2'], metavar='N', help='Default: 1 2')
    top.add_argument('--worker', choices=tuple(LEVELS), help=argparse.SUPPRESS)
    top.add_argument('--note', default='', help='a sentence to stand beside the figures')
    top.add_argument('--doc', type=Path, help='document whose marked section is filled')
    return top


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    words = sys.argv[1:] if argv is None else argv
    args = parser().parse_args(words)
    if args.worker:
        print(json.dumps(measure(args.worker, args.exit, args.rounds, args.threads)))
        return 0
    try:
        reports = {
            level: run_level(level, args.exit, args.rounds, args.threads) for level in args.levels
        }
        text = markdown(
            reports, f'python -m tools.bench_isa {shlex.join(words)}'.strip(), args.note
        )
        print(text)
        if args.doc:
            write_section(args.doc, SECTION, text)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
