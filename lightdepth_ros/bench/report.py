# SPDX-License-Identifier: Apache-2.0
"""The benchmark's results as a table and as JSON, and the figures to reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lightdepth_ros.files import write_files


@dataclass(frozen=True)
class Row:
    """One timed case. Shares are of the ceilings with as many threads, 1 = all; None = unknown.

    ratio: its median over that of the reference row; paced_ratio: the same of `paced_ms`.
    """

    name: str
    exit: str
    backend: str
    precision: str
    threads: int
    input_hw: tuple[int, int]
    best_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    images_s: float
    paced_ms: float
    ratio: float
    paced_ratio: float
    gmac: float | None = None
    nodes: int | None = None
    matmul_share: float | None = None
    copy_share: float | None = None
    first_s: float | None = None
    memory_mib: float | None = None
    parameters: int | None = None
    rmse_m: float | None = None
    protocol: str = ''


@dataclass(frozen=True)
class Report:
    """Everything one run found out. `not_run` names the cases that cannot run here, and why."""

    command: str
    machine: dict[str, Any]
    rounds: int
    reference: str
    ceilings: dict[str, float]
    rows: list[Row]
    overhead_ms: dict[str, float]
    not_run: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A figure to reach. found: None = not measured in this run."""

    name: str
    bound: float
    at_least: bool
    unit: str
    found: Callable[[Report], float | None]


Column = tuple[str, Callable[[Row], str]]


def _number(value: float | None, digits: int = 1) -> str:
    return '' if value is None else f'{value:.{digits}f}'


def _percent(value: float | None) -> str:
    return '' if value is None else f'{value:.0%}'


COLUMNS: tuple[Column, ...] = (
    ('network', lambda r: r.name),
    ('exit', lambda r: r.exit),
    ('input', lambda r: f'{r.input_hw[1]}x{r.input_hw[0]}'),
    ('engine', lambda r: r.backend),
    ('precision', lambda r: r.precision),
    ('threads', lambda r: str(r.threads)),
    ('ratio', lambda r: _number(r.ratio, 2)),
    ('best ms', lambda r: _number(r.best_ms)),
    ('median', lambda r: _number(r.median_ms)),
    ('p95', lambda r: _number(r.p95_ms)),
    ('p99', lambda r: _number(r.p99_ms)),
    ('images/s', lambda r: _number(r.images_s, 0)),
    ('30 Hz: ratio', lambda r: _number(r.paced_ratio, 2)),
    ('ms', lambda r: _number(r.paced_ms)),
    ('GMAC', lambda r: _number(r.gmac, 3)),
    ('of matmul', lambda r: _percent(r.matmul_share)),
    ('of copy', lambda r: _percent(r.copy_share)),
    ('start s', lambda r: _number(r.first_s, 2)),
    ('MiB', lambda r: _number(r.memory_mib, 0)),
)


def find(
    report: Report,
    *,
    name: str = 'plain',
    exit_name: str = 'L',
    threads: int = 1,
    key: str = 'ratio',
    **fixed: str,
) -> Row | None:
    """Return the row with these properties that is fastest by `key`, None without one."""
    rows = [
        row
        for row in report.rows
        if (row.name, row.exit, row.threads) == (name, exit_name, threads)
        and all(getattr(row, known) == value for known, value in fixed.items())
    ]
    return min(rows, key=lambda row: float(getattr(row, key)), default=None)


def _of(row: Row | None, key: str) -> float | None:
    return None if row is None else getattr(row, key)


def _exit_ratio(report: Report, exit_name: str) -> float | None:
    finest = find(report, backend='onnxruntime', precision='fp32')
    row = find(report, exit_name=exit_name, backend='onnxruntime', precision='fp32')
    return None if row is None or finest is None else row.median_ms / finest.median_ms


def _usual(report: Report, key: str) -> float | None:
    return _of(find(report, backend='onnxruntime', precision='fp32'), key)


TARGETS = (
    Target('exit L, ONNX Runtime, 1 thread', 0.55, False, 'of the reference',
           lambda r: _usual(r, 'ratio')),
    Target('the same at 30 images a second', 0.55, False, 'of the reference',
           lambda r: _usual(r, 'paced_ratio')),
    Target('exit L, best engine and precision, 2 threads', 0.15, False, 'of the reference',
           lambda r: _of(find(r, threads=2), 'ratio')),
    Target('the same at 30 images a second', 0.15, False, 'of the reference',
           lambda r: _of(find(r, threads=2, key='paced_ratio'), 'paced_ratio')),
    Target('exit M against L, ONNX Runtime', 0.75, False, 'of L', lambda r: _exit_ratio(r, 'M')),
    Target('exit S against L, ONNX Runtime', 0.55, False, 'of L', lambda r: _exit_ratio(r, 'S')),
    Target('exit XS against L, ONNX Runtime', 0.45, False, 'of L',
           lambda r: _exit_ratio(r, 'XS')),
    Target('share of the fp32 matrix ceiling, exit L, ONNX Runtime, 1 thread', 0.60, True, '',
           lambda r: _usual(r, 'matmul_share')),
    Target('perception without the engine, 640x480 in, everything and cloud', 1.5, False, 'ms',
           lambda r: r.overhead_ms.get('everything_ms')),
    Target('perception without the engine, 640x480 in, depth only', 0.8, False, 'ms',
           lambda r: r.overhead_ms.get('depth_only_ms')),
    Target('import to first prediction, exit L, ONNX Runtime', 1.5, False, 's',
           lambda r: _usual(r, 'first_s')),
    Target('resident memory, exit L, ONNX Runtime', 200.0, False, 'MiB',
           lambda r: _usual(r, 'memory_mib')),
)  # fmt: skip
"""The goals, on two cores, for images in a row; beside two of them stands the figure at 30 Hz."""

TARGET_TITLES = ('figure', 'target', 'found', '')


def table(report: Report) -> Table:
    """Return the rows as a table for the terminal; empty columns are left out."""
    columns = filled(report)
    shown = Table(box=SIMPLE_HEAD)
    for title, _ in columns:
        shown.add_column(title, no_wrap=True)
    for row in report.rows:
        shown.add_row(*(text(row) for _, text in columns))
    return shown


def target_table(report: Report) -> Table:
    """Return the figures to reach as a table for the terminal."""
    shown = Table(*TARGET_TITLES, box=SIMPLE_HEAD)
    for target in TARGETS:
        shown.add_row(*target_row(target, report))
    return shown


def write_json(report: Report, path: Path) -> None:
    """Write the raw results."""
    write_files({path: (json.dumps(asdict(report), indent=1) + '\n').encode()})


def filled(report: Report) -> list[Column]:
    """Return the columns that some row fills."""
    return [(title, text) for title, text in COLUMNS if any(text(row) for row in report.rows)]


def rate_unit(ceiling: str) -> str:
    """Return the unit of a ceiling."""
    return 'GFLOP/s' if ceiling.startswith('matmul') else 'GB/s'


def target_row(target: Target, report: Report) -> list[str]:
    """Return the cells of a row under TARGET_TITLES."""
    sign = '>=' if target.at_least else '<='
    bound = f'{sign} {target.bound:g} {target.unit}'.rstrip()
    value = target.found(report)
    if value is None:
        return [target.name, bound, 'not measured', '']
    reached = value >= target.bound if target.at_least else value <= target.bound
    return [target.name, bound, f'{value:.2f}', 'reached' if reached else 'missed']
