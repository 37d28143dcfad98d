# SPDX-License-Identifier: Apache-2.0
"""Measure what happens to points at the edges of things, against exact depth.

  python -m training.edges --filter 0.08,0.12,0.2      # what point_filter takes away

Scenes are rendered at 640x480 and predicted as the node does where nobody sets anything; the
mount of the camera is known. docs/edges.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros import terminal
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.perception import PARTS, Frame
from lightdepth_ros.perception.point_filter import without_flying
from training.datasets.sample import Dataset, Sample
from training.datasets.synthetic import SyntheticScenes
from training.datasets.synthetic.robots import RobotScenes
from training.scoring.flying import Truth, classify
from training.scoring.report import percent, table

HW = (480, 640)
SCENES = {'synthetic': SyntheticScenes, 'synthetic-robot': RobotScenes}
REPEATS = 5


@dataclass(frozen=True)
class Seen:
    """A scene and what the network says about it."""

    sample: Sample
    frame: Frame


def predicted(dataset: Dataset, config: NodeConfig) -> Iterator[Seen]:
    """Yield every scene with its prediction."""
    perception = load_perception(config)
    try:
        for index in range(len(dataset)):
            sample = dataset[index]
            yield Seen(sample, perception.predict(sample.rgb, sample.camera, PARTS, sample.pose))
    finally:
        perception.close()


@dataclass
class Count:
    """Points so far: flying ones, true ones, true ones at edges, and of each those taken away."""

    flying: int = 0
    true: int = 0
    edge: int = 0
    flying_gone: int = 0
    true_gone: int = 0
    edge_gone: int = 0

    def add(self, truth: Truth, gone: np.ndarray) -> None:
        """Count a frame; gone: (h, w) bool."""
        kept = truth.finite & ~truth.flying
        edge = kept & truth.at_edge
        self.flying += int(truth.flying.sum())
        self.true += int(kept.sum())
        self.edge += int(edge.sum())
        self.flying_gone += int((truth.flying & gone).sum())
        self.true_gone += int((kept & gone).sum())
        self.edge_gone += int((edge & gone).sum())

    def cells(self) -> list[str]:
        """Return FILTER_HEAD's shares."""
        left, all_left = self.flying - self.flying_gone, self.true - self.true_gone
        shares = (
            (self.flying, self.flying + self.true),
            (left, left + all_left),
            (self.flying_gone, self.flying),
            (self.true_gone, self.true),
            (self.edge_gone, self.edge),
        )
        return [percent(part / whole if whole else np.nan) for part, whole in shares]


FILTER_HEAD = (
    'scenes', 'point_filter', 'flying before', 'after', 'flying gone', 'true lost',
    'true lost at edges', 'ms',
)  # fmt: skip


def filter_table(args: argparse.Namespace) -> str:
    """Return the table of what each setting of point_filter takes away."""
    config = NodeConfig(output_resolution=args.output_resolution)
    steps = [float(step) for step in args.filter.split(',')]
    rows = []
    for name, kind in SCENES.items():
        counts = {step: Count() for step in steps}
        spent_ms: dict[float, list[float]] = {step: [] for step in steps}
        for seen in predicted(kind(args.frames, args.seed, *HW), config):
            prediction, sample = seen.frame.prediction, seen.sample
            truth = classify(prediction.depth_m, prediction.camera, sample.depth_m, sample.camera)
            for step, count in counts.items():
                count.add(truth, np.isnan(without_flying(prediction, step).depth_m))
                spent_ms[step].append(least_ms(lambda p=prediction, s=step: without_flying(p, s)))
        rows += [
            [name, f'{step:g}', *counts[step].cells(), f'{np.median(spent_ms[step]):.2f}']
            for step in steps
        ]
    return table(FILTER_HEAD, rows)


def least_ms(step) -> float:
    """Return the least processor time in milliseconds that a call took, of REPEATS."""
    spent = []
    for _ in range(REPEATS):
        started = time.thread_time()
        step()
        spent.append((time.thread_time() - started) * 1e3)
    return min(spent)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog='python -m training.edges',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument('--filter', default='', metavar='STEP,...', help='values of point_filter')
    p.add_argument('--frames', type=int, default=60, help='scenes of each kind (60)')
    p.add_argument('--seed', type=int, default=106, help='of the scenes (106)')
    p.add_argument(
        '--output-resolution', default='L', choices=('L', 'M', 'S', 'XS'), help='of depth (L)'
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 2 for a wrong flag."""
    args = parser().parse_args(argv)
    cv2.setNumThreads(1)
    try:
        print(filter_table(args))
    except LightdepthError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
