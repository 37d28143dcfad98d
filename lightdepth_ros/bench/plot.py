# SPDX-License-Identifier: Apache-2.0
"""The benchmark's charts. Needs matplotlib, which a robot does not."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

from lightdepth_ros.bench.report import Report, Row
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.files import write_files

EXIT_COLORS = {'L': '#1b4965', 'M': '#2a7f9e', 'S': '#62b6cb', 'XS': '#a9d6e5', '': '#b08968'}


def write_chart(report: Report, path: Path) -> None:
    """Draw speed, and for peers with a published error also size against error, into `path`.

    The file's ending decides the format (svg, png, pdf). Raises ConfigError without matplotlib.
    """
    try:
        figure_module: Any = importlib.import_module('matplotlib.figure')
    except ImportError as error:
        raise ConfigError(f'--plot needs matplotlib ({error}): pip install matplotlib') from error
    peers = [row for row in report.rows if row.rmse_m is not None and row.threads == 1]
    peers = [row for row in peers if row.backend == 'onnxruntime']
    size = (12.0 if peers else 8.0, max(3.0, 0.24 * len(report.rows) + 1.2))
    figure = figure_module.Figure(figsize=size, layout='constrained')
    widths = [3, 2] if peers else [1]
    axes = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    draw_speed(axes[0], report)
    if peers:
        draw_size_against_error(axes[1], peers)
    data = io.BytesIO()
    figure.savefig(data, format=path.suffix.lstrip('.') or 'svg', metadata=_reproducible(path))
    write_files({path: data.getvalue()})


def draw_speed(axes: Any, report: Report) -> None:
    """Draw one bar per row, fastest on top: time as a share of the reference's."""
    rows = sorted(report.rows, key=lambda row: -row.ratio)
    axes.barh(
        [_title(row) for row in rows],
        [row.ratio for row in rows],
        color=[EXIT_COLORS.get(row.exit, EXIT_COLORS['']) for row in rows],
    )
    for index, row in enumerate(rows):
        axes.text(row.ratio, index, f' {row.ratio:.2f} ({row.median_ms:.1f} ms)', va='center',
                  fontsize=6)  # fmt: skip
    axes.set_xscale('log')
    axes.set_xlim(right=max(row.ratio for row in rows) * 3)
    axes.xaxis.set_major_formatter('{x:g}')
    axes.tick_params(labelsize=6)
    axes.set_xlabel(f'time per image; 1 = {report.reference}', fontsize=7)
    axes.spines[['top', 'right']].set_visible(False)


def draw_size_against_error(axes: Any, peers: list[Row]) -> None:
    """Draw the published errors against the parameters; the protocols stand below."""
    points = {(row.parameters, row.rmse_m): row for row in reversed(peers)}
    protocols = list(dict.fromkeys(row.protocol for row in points.values()))
    for row in points.values():
        assert row.parameters is not None
        axes.plot(row.parameters / 1e6, row.rmse_m, 'o', color=EXIT_COLORS['L'])
        axes.annotate(
            f'{row.name.split(",")[0]} [{protocols.index(row.protocol) + 1}]',
            (row.parameters / 1e6, row.rmse_m), fontsize=7,
            xytext=(0, 6), textcoords='offset points', ha='center',
        )  # fmt: skip
    axes.set_xlim(-0.6, 1.2 * max(row.parameters or 0 for row in peers) / 1e6)
    axes.margins(y=0.2)
    notes = [f'[{index}] {text}' for index, text in enumerate(protocols, 1)]
    axes.set_xlabel('parameters, millions (counted here)\n' + '\n'.join(notes), fontsize=7)
    axes.set_ylabel('RMSE in metres as published: the protocols differ', fontsize=7)
    axes.tick_params(labelsize=6)
    axes.spines[['top', 'right']].set_visible(False)


def _title(row: Row) -> str:
    parts = (row.name, row.exit, row.backend, row.precision, f'{row.threads}t')
    return ' '.join(part for part in parts if part)


def _reproducible(path: Path) -> dict[str, None]:
    return {'Date': None} if path.suffix == '.svg' else {}
