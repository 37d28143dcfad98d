# SPDX-License-Identifier: Apache-2.0
"""Plots of training.evaluate's results: error by distance, and how far confidence is right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')  # files only: a training machine has no screen
import matplotlib.pyplot as plt

from lightdepth_ros.files import write_files
from training.scoring.report import METRIC_HEADS, Result, group_of


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and close it."""
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=110, bbox_inches='tight')
    plt.close(figure)
    write_files({path: data.getvalue()})


def write_plots(results: Sequence[Result], out: Path) -> list[Path]:
    """Write the error-by-distance and the reliability plot of each data set with depth."""
    written = []
    for key in dict.fromkeys(group_of(r) for r in results if 'depth' in r):
        group = [r for r in results if group_of(r) == key and 'depth' in r]
        for name, draw in (('distance', draw_distance), ('reliability', draw_reliability)):
            path = out / f'{stem_of(group[0])}_{name}.png'
            save(draw(group), path)
            written.append(path)
    return written


def stem_of(result: Result) -> str:
    """Return how the files of a group begin: data set, way, and the mount where one was told."""
    data, wide, mount = group_of(result)
    return '_'.join([file_stem(data), wide, *([file_stem(mount)] if mount != 'unknown' else [])])


def file_stem(data: str) -> str:
    """Turn a data set's name (which may hold a path) into a file name's stem."""
    return ''.join(c if c.isalnum() or c in '-_' else '_' for c in data)


def draw_distance(group: Sequence[Result]) -> Any:
    """Draw abs_rel and RMSE over the true distance, one line per model."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    bands = group[0]['by_distance']
    names = [f'{b["from_m"]:g}-{b["to_m"]:g}' for b in bands]
    for axis, key in zip(axes, ('abs_rel', 'rmse'), strict=True):
        for r in group:
            axis.plot(names, [b[key] for b in r['by_distance']], 'o-', label=r['model'])
        axis.set_xlabel('true distance, m')
        axis.set_ylabel(METRIC_HEADS[key])
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.suptitle(f'{group[0]["data"]}: {group[0]["protocol"]["name"]}, all pixels together')
    return figure


def draw_reliability(group: Sequence[Result]) -> Any:
    """Draw the share of right pixels over the confidence; the diagonal is perfect."""
    figure, axis = plt.subplots(figsize=(4.2, 4))
    axis.plot([0, 1], [0, 1], color='0.7')
    for r in group:
        c = r['confidence']
        axis.plot(c['said'], c['found'], 'o-',
                  label=f'{r["model"]}: error {c["calibration_error"]:.3f}')  # fmt: skip
    axis.set_xlabel('confidence')
    axis.set_ylabel('share within a factor 1.25')
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    figure.suptitle(group[0]['data'])
    return figure
