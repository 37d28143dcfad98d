# SPDX-License-Identifier: Apache-2.0
"""What `points_obstacles` holds, by label alone and by height: obstacles missed, ground marked.

    python -m training.obstacles --data kitti-val
    python -m training.obstacles --data kitti-val,kitti-train --heights 0.1,0.2,0.5

The true depth says where the nearest obstacle of every 2 degrees within 20 m is (as in
training/scoring/nearest.py: 0.5 to 2 m over the plane of the ground). It is missed where most of
its pixels are not marked. Ground is marked wrongly where a true point less than 0.1 m from that
plane and within 20 m is marked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from lightdepth_ros import terminal
from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.perception.heights import ground_of
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.navigation import class_mask, obstacle_points
from lightdepth_ros.perception.prediction import Prediction
from training.datasets.catalog import open_dataset
from training.datasets.sample import Dataset
from training.scoring.nearest import REACH_M, ground_plane, nearest_obstacles
from training.scoring.report import percent, table

GROUND_M = 0.1


@dataclass
class Counts:
    """Sectors with an obstacle and those missed; true ground points and those marked."""

    sectors: int = 0
    missed: int = 0
    ground: int = 0
    marked: int = 0


@dataclass(frozen=True)
class Truth:
    """Flat indices into a frame's pixels: faces of the nearest obstacles, and ground points."""

    faces: list[np.ndarray]
    ground: np.ndarray


def truth_of(depth_m: np.ndarray, camera: Camera) -> Truth:
    """Return obstacles and ground of (H, W) true depth, metres, 0 = no value."""
    index = np.flatnonzero(depth_m > 0)
    z = depth_m.ravel()[index].astype(np.float64)
    points = np.column_stack([camera.rays().reshape(-1, 2)[index] * z[:, None], z])
    plane = ground_plane(points)
    if plane is None:
        return Truth([], index[:0])
    on = np.abs(plane[3] - points @ plane[:3]) < GROUND_M
    return Truth(
        nearest_obstacles(depth_m, camera), index[on & (np.hypot(points[:, 0], z) < REACH_M)]
    )


def marks(prediction: Prediction, min_height_m: float) -> np.ndarray:
    """Return (h, w) bool: what the node would publish in points_obstacles."""
    config = NodeConfig()
    ground = class_mask(config.classes_ground)
    passable = ground | class_mask(config.classes_ignore)
    plane = ground_of(prediction, ground)
    cloud = obstacle_points(
        prediction, passable, ground=ground, plane=plane, min_height_m=min_height_m
    )
    found: np.ndarray = np.isfinite(cloud['z'])
    return found


def at_frame(image: np.ndarray, grid: Camera, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of the prediction's grid at all pixels of the frame, flat, and which of them
    the grid covers."""
    u = np.rint((np.arange(camera.width) - camera.cx) * (grid.fx / camera.fx) + grid.cx)
    v = np.rint((np.arange(camera.height) - camera.cy) * (grid.fy / camera.fy) + grid.cy)
    inside = ((v >= 0) & (v < grid.height))[:, None] & ((u >= 0) & (u < grid.width))
    rows = np.clip(v, 0, grid.height - 1).astype(int)
    columns = np.clip(u, 0, grid.width - 1).astype(int)
    return image[np.ix_(rows, columns)].ravel(), inside.ravel()


def add(counts: Counts, marked: np.ndarray, inside: np.ndarray, truth: Truth) -> None:
    """Count one frame."""
    for face in truth.faces:
        seen = face[inside[face]]
        if seen.size:
            counts.sectors += 1
            counts.missed += int(marked[seen].mean() <= 0.5)
    ground = truth.ground[inside[truth.ground]]
    counts.ground += len(ground)
    counts.marked += int(marked[ground].sum())


def measure(dataset: Dataset, heights_m: Sequence[float]) -> list[Counts]:
    """Return the counts of each least height; 0 = by label alone."""
    perception = load_perception(NodeConfig(fit='adapt'))
    found = [Counts() for _ in heights_m]
    for index in track(range(len(dataset)), description=dataset.name):
        sample = dataset[index]
        if sample.depth_m is None or sample.camera is None:
            continue
        seen = perception.predict(sample.rgb, sample.camera, ('depth', 'label')).prediction
        assert seen.camera is not None
        truth = truth_of(sample.depth_m, sample.camera)
        for height_m, counts in zip(heights_m, found, strict=True):
            marked, inside = at_frame(marks(seen, height_m), seen.camera, sample.camera)
            add(counts, marked, inside, truth)
    perception.close()
    return found


def report(name: str, heights_m: Sequence[float], found: Sequence[Counts]) -> str:
    """Return the table of a data set."""
    rows = []
    for height_m, counts in zip(heights_m, found, strict=True):
        word = f'rises {height_m:g} m' if height_m else 'label alone'
        missed = counts.missed / max(counts.sectors, 1)
        wrong = counts.marked / max(counts.ground, 1)
        rows.append([word, str(counts.sectors), percent(missed), percent(wrong)])
    return f'## {name}\n\n{table(["marked", "obstacles", "missed", "ground marked"], rows)}\n'


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    p = argparse.ArgumentParser(
        prog='python -m training.obstacles', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument('--data', default='kitti-val', help='data sets, comma separated (kitti-val)')
    p.add_argument('--root', type=Path, default=None, help='data folder (as training.evaluate)')
    p.add_argument('--heights', default='0,0.2', help='obstacle_min_height_m to try (0,0.2)')
    args = p.parse_args(argv)
    try:
        heights_m = [float(word) for word in args.heights.split(',')]
        for name in args.data.split(','):
            dataset = open_dataset(name.strip(), args.root)
            print(report(dataset.name, heights_m, measure(dataset, heights_m)))
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
