# SPDX-License-Identifier: Apache-2.0
"""Contact sheet of the frames a model does worst on: where to look before training again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from lightdepth_ros.classes import UNLABELLED, nav7_table
from training.datasets.sample import Dataset, Sample
from training.scoring.fullframe import FullFrame, Predictor
from training.scoring.plots import save, stem_of
from training.scoring.score import ask

FAR_M = 80.0
ERROR_SHOWN = 0.5


def worst_rows(frames: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the frames with the largest abs_rel, or the smallest nav7 IoU where depth is none."""
    if frames and 'abs_rel' in frames[0]:
        scored = [f for f in frames if np.isfinite(f['abs_rel'])]
        return sorted(scored, key=lambda f: -f['abs_rel'])[:count]
    scored = [f for f in frames if 'nav7_miou' in f]
    return sorted(scored, key=lambda f: f['nav7_miou'])[:count]


def worst_frames(
    dataset: Dataset, predictor: Predictor, result: dict[str, Any], out: Path, count: int
) -> Path | None:
    """Write OUT/<data>_<model>_worst.png; None where no frame has a score to sort by."""
    rows = worst_rows(result['frames'], count)
    if not rows:
        return None
    samples = {}
    names = {row['name'] for row in rows}
    for index in range(len(dataset)):
        sample = dataset[index]
        if sample.name in names:
            samples[sample.name] = sample
    height, width = samples[rows[0]['name']].rgb.shape[:2]
    column = min(5.0, 2.6 * width / height)
    size = (3 * column, len(rows) * (column * height / width + 0.35))
    figure, axes = plt.subplots(len(rows), 3, figsize=size, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        sample = samples[row['name']]
        frame = ask(predictor, sample, FAR_M)
        draw_row(line, sample, frame, row)
    path = out / f'{stem_of(result)}_{result["model"]}_worst.png'
    save(figure, path)
    return path


def draw_row(axes: Any, sample: Sample, frame: FullFrame, row: dict[str, Any]) -> None:
    """Draw image, predicted depth or labels, and the error where there is truth."""
    axes[0].imshow(sample.rgb)
    axes[0].set_title(sample.name, fontsize=7)
    if 'abs_rel' in row:
        axes[1].imshow(np.log(frame.depth_m), cmap='turbo_r', vmin=np.log(2), vmax=np.log(FAR_M))
        axes[1].set_title('depth, 2 m red to 80 m blue', fontsize=7)
        draw_depth_error(axes[2], sample, frame)
        axes[2].set_title(
            f'abs_rel {row["abs_rel"]:.3f}, RMSE {row["rmse"]:.1f} m: red too near, blue too far',
            fontsize=7,
        )
    else:
        assert sample.nav7_id is not None
        for axis, nav7 in zip(
            axes[1:], (nav7_table()[frame.label_id], sample.nav7_id), strict=True
        ):
            known = np.ma.masked_equal(nav7, UNLABELLED)
            axis.imshow(known, cmap='tab10', vmin=0, vmax=9, interpolation='nearest')
        axes[1].set_title('predicted nav7', fontsize=7)
        axes[2].set_title(f'true nav7; mIoU {row["nav7_miou"]:.3f}', fontsize=7)
    for axis in axes:
        axis.set_axis_off()


def draw_depth_error(axis: Any, sample: Sample, frame: FullFrame) -> None:
    """Draw ln(prediction / truth) as dots on a dimmed image."""
    assert sample.depth_m is not None
    v, u = np.nonzero((sample.depth_m > 0) & (sample.depth_m <= FAR_M) & (frame.depth_m > 0))
    keep = slice(None, None, max(1, len(v) // 20000))
    error = np.log(frame.depth_m[v, u] / sample.depth_m[v, u])[keep]
    axis.imshow(sample.rgb // 3)
    axis.scatter(u[keep], v[keep], c=error, s=0.6, cmap='RdBu', vmin=-ERROR_SHOWN,
                 vmax=ERROR_SHOWN)  # fmt: skip
