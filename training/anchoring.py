# SPDX-License-Identifier: Apache-2.0
"""What anchoring depth to a lidar brings: error by beams and by points, at returns held back.

    python -m training.anchoring --data kitti-val
    python -m training.anchoring --data kitti-val --out runs/anchoring

Each frame's scan is split: some returns are given to the robot's own anchoring, the others are
scored (truth up to 80 m, no crop, mean per image; no occlusion filter on the truth). Rows with
outliers or a wrong pose tell what a lying sensor does. --out writes the table as Markdown and
JSON, and a curve of error against points.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from lightdepth_ros import terminal
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import DataError, LightdepthError
from lightdepth_ros.files import write_files
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.anchor import Anchored, AnchorPoints, anchor
from lightdepth_ros.perception.ground_anchor import GroundFilter, ground_points, look_at_ground
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.navigation import class_mask
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.perception.ranges import NOTHING
from training.datasets.catalog import open_dataset
from training.datasets.kitti_calib import CAMERA_HEIGHT_M
from training.datasets.sample import Dataset
from training.scoring.anchors import Choice, Held, answer, split
from training.scoring.metrics import DepthSums, depth_sums, mean_per_image
from training.scoring.report import table

CURVE = (10, 20, 50, 100, 200, 500, 1000, 2000)
CHOICES = (
    Choice('ground', 0),
    *(Choice('beams', n) for n in (1, 4, 16, 64)),
    *(Choice('points', n) for n in CURVE),
    Choice('beams', 4, outliers=0.3),
    Choice('beams', 4, turned_deg=3.0),
)
SHOWN = ('abs_rel', 'rmse', 'delta1')
Row = dict[str, Any]


@dataclasses.dataclass
class Sums:
    """One choice's sums over frames: unanchored, anchored, and anchored 0.5 m or more away."""

    before: list[DepthSums] = dataclasses.field(default_factory=list)
    after: list[DepthSums] = dataclasses.field(default_factory=list)
    distant: list[DepthSums] = dataclasses.field(default_factory=list)
    points: list[int] = dataclasses.field(default_factory=list)
    refused: int = 0
    ms: list[float] = dataclasses.field(default_factory=list)
    sure: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def add(self, prediction: Prediction, points: AnchorPoints, held: Held) -> None:
        """Anchor one frame and add what it is worth at the truth held back."""
        assert prediction.camera is not None
        started = time.perf_counter()
        done = anchor(prediction.depth_m, prediction.confidence, prediction.camera, points)
        self.ms.append((time.perf_counter() - started) * 1e3)
        self.refused += bool(done.report.why_not)
        self.points.append(len(points.depth_m))
        plain, _ = answer(prediction, held)
        self.before.append(depth_sums(plain, held.depth_m))
        bent, sure = answer(_replaced(prediction, done), held)
        self.after.append(depth_sums(bent, held.depth_m))
        if held.distant.any():
            far = held.distant
            self.distant.append(depth_sums(bent[far], held.depth_m[far]))
        right = np.maximum(bent / held.depth_m, held.depth_m / bent) < 1.25
        if sure is not None:
            self.sure.append((float(sure.mean()), float(right.mean())))

    def row(self, choice: Choice) -> Row:
        """Return the averages as plain data."""
        row: Row = {'choice': choice.text, **dataclasses.asdict(choice)}
        row |= {'anchors': float(np.mean(self.points)), 'refused': self.refused}
        row['ms'] = min(self.ms)
        for name in ('before', 'after', 'distant'):
            metrics = mean_per_image(getattr(self, name))
            row[name] = {key: metrics[key] for key in SHOWN}
        if self.sure:
            said, found = np.mean(self.sure, axis=0)
            row |= {'confidence_said': float(said), 'confidence_found': float(found)}
        return row


def _replaced(prediction: Prediction, done: Anchored) -> Prediction:
    return dataclasses.replace(prediction, depth_m=done.depth_m, confidence=done.confidence)


def on_ground(prediction: Prediction, height_m: float) -> AnchorPoints:
    """Return the anchors on the ground of one frame alone; none where no flat ground is seen."""
    assert prediction.camera is not None
    assert prediction.label_id is not None
    seen = prediction.depth_m, prediction.label_id, prediction.camera
    ground, mount = class_mask(NodeConfig().classes_ground), Mount(height_m)
    state = GroundFilter().update(look_at_ground(*seen, mount, ground), mount, 0.0)
    return ground_points(*seen, state, ground) if state.seen else NOTHING


def measure(
    dataset: Dataset, choices: Sequence[Choice], seed: int = 0, height_m: float = CAMERA_HEIGHT_M
) -> list[Row]:
    """Anchor every frame of `dataset` that has truth and a camera, in each way of `choices`."""
    perception = load_perception(NodeConfig(fit='adapt'))
    sums = [Sums() for _ in choices]
    for index in track(range(len(dataset)), description=dataset.name):
        sample = dataset[index]
        if sample.depth_m is None or sample.camera is None:
            continue
        outputs = ('depth', 'label', 'confidence')
        prediction = perception.predict(sample.rgb, sample.camera, outputs).prediction
        assert prediction.camera is not None
        for number, (choice, one) in enumerate(zip(choices, sums, strict=True)):
            rng = np.random.default_rng([seed, index, number])
            parts = split(sample.depth_m, sample.camera, prediction.camera, choice, rng)
            points, held = parts
            if choice.kind == 'ground':
                points = on_ground(prediction, height_m)
            one.add(prediction, points, held)
    perception.close()
    if not sums[0].before:
        raise DataError(f'{dataset.name} has no frame with depth and a camera; choose another')
    return [one.row(choice) for choice, one in zip(choices, sums, strict=True)]


def markdown(name: str, rows: Sequence[Row]) -> str:
    """Return the table of a data set."""
    head = [
        'anchors',
        'points',
        'abs_rel',
        'RMSE',
        'delta1',
        '0.5 m away: abs_rel',
        'delta1',
        'ms',
    ]
    first = rows[0]['before']
    lines = [['none', '0', *_numbers(first), '', '', '']]
    for row in rows:
        away, cost = _numbers(row['distant']), f'{row["ms"]:.1f}'
        cells = [row['choice'], f'{row["anchors"]:.0f}', *_numbers(row['after'])]
        lines.append([*cells, away[0], away[2], cost])
    return f'## {name}\n\n{table(head, lines)}\n'


def _numbers(metrics: dict[str, float]) -> list[str]:
    return [f'{metrics["abs_rel"]:.3f}', f'{metrics["rmse"]:.2f}', f'{metrics["delta1"]:.3f}']


def draw(results: dict[str, list[Row]]) -> Any:
    """Return the figure: abs_rel and delta1 against points, one line a data set; beams dotted."""
    from training.scoring import plots

    figure, axes = plots.plt.subplots(1, 2, figsize=(8, 3))
    for name, rows in results.items():
        for axis, key in zip(axes, ('abs_rel', 'delta1'), strict=True):
            points = [r for r in rows if r['kind'] == 'points']
            x = [r['anchors'] for r in points]
            line = axis.plot(x, [r['after'][key] for r in points], 'o-', ms=3, label=name)[0]
            axis.axhline(rows[0]['before'][key], ls='--', lw=0.8, color=line.get_color())
            beams = [r for r in rows if r['kind'] == 'beams' and r['choice'].endswith(('m', 's'))]
            beams = [r for r in beams if not r['outliers'] and not r['turned_deg']]
            x = [r['anchors'] for r in beams]
            axis.plot(x, [r['after'][key] for r in beams], 'x', color=line.get_color())
    figure.subplots_adjust(wspace=0.3)
    for axis, key in zip(axes, ('abs_rel', 'delta1'), strict=True):
        axis.set(xscale='log', xlabel='anchors in the picture', ylabel=key)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8, title='o random, x beams, -- none', title_fontsize=8)
    return figure


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog='python -m training.anchoring', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument('--data', default='kitti-val', help='data sets, comma separated (kitti-val)')
    p.add_argument('--root', type=Path, default=None, help='data folder (as training.evaluate)')
    p.add_argument(
        '--height-m', type=float, default=CAMERA_HEIGHT_M, help='of the camera, for ground (1.65)'
    )
    p.add_argument('--seed', type=int, default=0, help='of the choice of anchors (0)')
    p.add_argument('--out', type=Path, default=None, help='folder for table, JSON and curve')
    return p


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    args = parser().parse_args(argv)
    try:
        datasets = [open_dataset(name.strip(), args.root) for name in args.data.split(',')]
        results = {d.name: measure(d, CHOICES, args.seed, args.height_m) for d in datasets}
        text = '\n'.join(markdown(name, rows) for name, rows in results.items())
        print(text)
        if args.out:
            from training.scoring import plots

            files = {'anchoring.md': text, 'anchoring.json': json.dumps(results, indent=2) + '\n'}
            write_files({args.out / name: data.encode() for name, data in files.items()})
            plots.save(draw(results), args.out / 'anchoring.png')
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
