# SPDX-License-Identifier: Apache-2.0
"""Tables and the plot of training.ablate; takes its plain data, knows no network."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')  # files only: a training machine has no screen
import matplotlib.pyplot as plt

from lightdepth_ros.files import write_files
from training.scoring.plots import save
from training.scoring.report import METRIC_HEADS, number, table

SHOWN = ('rmse', 'abs_rel', 'delta1', 'nav7_miou', 'classes_miou')
HEADS = METRIC_HEADS | {'nav7_miou': 'nav7 mIoU', 'classes_miou': 'mIoU of 19'}


def cell(row: dict[str, Any], key: str) -> str:
    """Format one metric as mean +- spread over the seeds; - where it was not measured."""
    if key not in row:
        return '-'
    mean, spread = row[key]['mean'], row[key]['spread']
    return number(mean, key) + ('' if math.isnan(spread) else f' +- {number(spread, key)}')


def change(row: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Say how RMSE moved from the arm before, and whether by more than the seeds scatter.

    The scatter is the standard error of the difference of two means; two of them are asked for.
    """
    if before is None or 'rmse' not in row:
        return '-'
    delta = row['rmse']['mean'] - before['rmse']['mean']
    return f'{delta:+.2f} m ({verdict(delta, row, before)})'


def verdict(delta: float, row: dict[str, Any], before: dict[str, Any]) -> str:
    """Return 'better', 'worse', 'within scatter', or 'one seed' where scatter is unknown."""
    error = math.hypot(row['rmse']['error'], before['rmse']['error'])
    if math.isnan(error):
        return 'one seed'
    if abs(delta) <= 2 * error:
        return 'within scatter'
    return 'better' if delta < 0 else 'worse'


def markdown(result: dict[str, Any]) -> str:
    """Return what was run, the ablation table and the exit table."""
    arms = with_errors(result['arms'], result['seeds'])
    before = [None, *arms[:-1]]
    shown = [k for k in SHOWN if any(k in arm for arm in arms)]
    heads = [HEADS[k] for k in shown]
    rows = [
        [arm['title'], *(cell(arm, k) for k in shown), change(arm, previous)]
        for arm, previous in zip(arms, before, strict=True)
    ]
    blocks = [
        f'Student {result["student"]}, trained on {result["data"]}, {result["steps"]} steps of '
        f'{result["batch_size"]} crops, {result["seeds"]} seed(s); validated on '
        f'{result["validation"]}. {result["protocol"]}. Mean +- standard deviation over seeds.',
        table(['arm', *heads, 'RMSE against the row above'], rows),
    ]
    if 'exits' in result:
        rows = [[r['exit'], *(cell(r, k) for k in shown)] for r in result['exits']]
        blocks.append(table(['exit', *heads], rows))
    return '\n\n'.join(blocks) + '\n'


def with_errors(arms: Sequence[dict[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """Return the arms with the standard error of each mean RMSE beside it."""
    return [
        arm | {'rmse': arm['rmse'] | {'error': arm['rmse']['spread'] / math.sqrt(seeds)}}
        for arm in arms
    ]


def draw(result: dict[str, Any]) -> Any:
    """Draw RMSE of every arm and of every exit with the seeds' scatter."""
    groups = [('title', result['arms'])]
    if 'exits' in result:
        groups.append(('exit', result['exits']))
    figure, axes = plt.subplots(1, len(groups), figsize=(5 * len(groups), 3.2), squeeze=False)
    for axis, (name, rows) in zip(axes[0], groups, strict=True):
        means = [row['rmse']['mean'] for row in rows]
        spreads = [0 if math.isnan(s := row['rmse']['spread']) else s for row in rows]
        axis.barh([row[name] for row in rows][::-1], means[::-1], xerr=spreads[::-1], color='0.6')
        axis.set_xlabel('RMSE, m')
    figure.suptitle(f'{result["data"]}: {result["steps"]} steps, {result["seeds"]} seed(s)')
    figure.tight_layout()
    return figure


def write(result: dict[str, Any], out: Path) -> None:
    """Write ablation.json, ablation.md and ablation.png."""
    write_files({
        out / 'ablation.json': (json.dumps(result, indent=2) + '\n').encode(),
        out / 'ablation.md': markdown(result).encode(),
    })  # fmt: skip
    save(draw(result), out / 'ablation.png')
