# SPDX-License-Identifier: Apache-2.0
"""Measure what happens to points at the edges of things, against exact depth.

  python -m training.edges --filter 0.08,0.12,0.2      # what point_filter takes away
  python -m training.edges --sizes                     # publish_size camera against resizing

Scenes are rendered at 640x480 and predicted as the node does where nobody sets anything; the
mount of the camera is known. docs/edges.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from lightdepth_ros import terminal
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.perception.enlarge import canvas_of
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.perception import PARTS, Frame, Perception
from lightdepth_ros.perception.point_filter import without_flying
from training.datasets.sample import Dataset, Sample
from training.datasets.synthetic import SyntheticScenes
from training.datasets.synthetic.robots import RobotScenes
from training.scoring.flying import JUMP, SKY_M, Truth, classify
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


SIZE_HEAD = (
    'scenes', 'way', 'ln error at edges', 'within 25 % at edges', 'ln error everywhere', 'ms',
)  # fmt: skip


def ways_of(seen: Seen, perception: Perception) -> dict[str, Callable[[], np.ndarray]]:
    """Return the ways to bring a prediction to its image's size: name -> call for (H, W) m."""
    prediction, sample = seen.frame.prediction, seen.sample
    canvas = canvas_of(perception.placement(HW), perception.engine.contract.stride)
    log = log_depth(prediction.depth_m)

    def resized(how: int) -> np.ndarray:
        full = np.full(HW, np.nan, np.float32)
        top, left = canvas.corner
        part = cv2.exp(cv2.resize(log, canvas.hw[::-1], interpolation=how))
        full[top : top + canvas.hw[0], left : left + canvas.hw[1]] = part
        return full

    def camera() -> np.ndarray:
        view, small = sample.camera, seen.frame.rgb
        return perception.at_camera_size(prediction, sample.rgb, view, small)[0].depth_m

    return {
        'nearest': lambda: resized(cv2.INTER_NEAREST_EXACT),
        'bilinear in ln depth': lambda: resized(cv2.INTER_LINEAR),
        'publish_size camera': camera,
    }


def log_depth(depth_m: np.ndarray) -> np.ndarray:
    """Return (h, w) float32 ln depth; sky and unknown count as SKY_M."""
    known = np.isfinite(depth_m) & (depth_m > 0)
    far = np.minimum(np.where(known, depth_m, SKY_M), SKY_M)
    return np.log(far).astype(np.float32)


def size_table(args: argparse.Namespace) -> str:
    """Return the table of ways to bring depth to the camera's size."""
    perception = load_perception(NodeConfig(output_resolution=args.output_resolution))
    rows = []
    for name, kind in SCENES.items():
        found: dict[str, list[tuple[float, ...]]] = {}
        for sample in islice(kind(args.frames, args.seed, *HW), args.frames):
            frame = perception.predict(sample.rgb, sample.camera, PARTS, sample.pose)
            for way, make in ways_of(Seen(sample, frame), perception).items():
                errors = edge_errors(make(), sample.depth_m)
                if errors is not None:
                    found.setdefault(way, []).append((*errors, least_ms(make)))
        rows += [[name, way, *size_cells(np.array(values))] for way, values in found.items()]
    perception.close()
    return table(SIZE_HEAD, rows)


def size_cells(values: np.ndarray) -> list[str]:
    """Return SIZE_HEAD's cells of one row a frame."""
    error, right, everywhere = values[:, :3].mean(axis=0)
    ms = np.median(values[:, 3])
    return [f'{error:.3f}', percent(right), f'{everywhere:.3f}', f'{ms:.1f}']


def edge_errors(depth_m: np.ndarray, truth_m: np.ndarray) -> tuple[float, float, float] | None:
    """Return mean absolute ln error at edges, share within 25 % there, and the error everywhere.

    An edge: within 3 pixels the truth jumps by more than JUMP. None = there is none.
    """
    seen = ~np.isnan(depth_m)
    truth = log_depth(truth_m)
    square = np.ones((7, 7), np.uint8)
    edge = cv2.dilate(truth, square) - cv2.erode(truth, square) > np.log(JUMP)
    error = np.abs(log_depth(depth_m) - truth)
    at = error[edge & seen]
    if not at.size:
        return None
    return float(at.mean()), float((at < np.log(1.25)).mean()), float(error[seen].mean())


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
    p.add_argument('--sizes', action='store_true', help='compare ways to the size of the camera')
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
        if args.filter:
            print(filter_table(args))
        if args.sizes:
            print(size_table(args))
    except LightdepthError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
