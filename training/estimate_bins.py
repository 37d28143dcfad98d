# SPDX-License-Identifier: Apache-2.0
"""Measure a teacher's mean error by depth, for `make_labels --compensate bins:FILE`.

    python -m training.make_labels --data kitti-raw-stereo --teacher psmnet --out labels/raw
    python -m training.estimate_bins --data kitti-raw-stereo --labels labels/raw --out bins.json
    python -m training.make_labels --data kitti-raw-stereo --teacher stored:labels/raw \\
        --compensate bins:bins.json --out labels/bins

Compares the raw labels with the data set's lidar, returns that the camera cannot see left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import track

from lightdepth_ros import terminal
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.perception.occlusion import hidden_returns
from training.datasets.catalog import open_dataset
from training.labels.compensate import estimate_bins
from training.labels.labelled import Labelled


def pairs(dataset: Labelled) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (teacher_m, visible lidar_m) of each frame that has both."""
    for index in track(range(len(dataset)), 'measuring'):
        sample = dataset[index]
        if sample.depth_m is None or sample.teacher_depth_m is None:
            continue
        lidar = sample.depth_m
        if sample.camera is not None:
            lidar = np.where(hidden_returns(lidar, sample.camera.fx), 0, lidar)
        yield sample.teacher_depth_m, lidar


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after saying what was wrong."""
    parser = argparse.ArgumentParser(
        prog='python -m training.estimate_bins', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('--data', required=True, help='data set that the labels belong to')
    parser.add_argument('--root', type=Path, help='where it lies')
    parser.add_argument('--labels', type=Path, required=True, help='label store, not compensated')
    parser.add_argument('--out', type=Path, required=True, help='JSON file to write')
    args = parser.parse_args(arguments)
    try:
        bins = estimate_bins(pairs(Labelled(open_dataset(args.data, args.root), args.labels)))
        bins.save(args.out)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    for depth in (5, 10, 20, 30, 40, 50, 60):
        print(f'{depth:3} m: {bins.error_m[depth]:+6.2f} m  ({bins.count[depth]} points)')
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
