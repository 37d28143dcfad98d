# SPDX-License-Identifier: Apache-2.0
"""What compensation is worth: depth error on lidar points that it never saw.

    python -m training.compensation_table --data kitti-stereo --data synthetic-lidar \\
        --teacher psmnet --teacher sgbm --out runs/compensation.md

For each data set and teacher: RMSE in metres (truth up to 80 m, predictions clipped to 80 m, mean
over frames) of the teacher's depth raw, after (a) the paper's correction by bins and after (b)
ours, at held-back points that the teacher answers. A share of the lidar points is held back; bins
and fits see the rest only. "every fourth" holds back each fourth point, so its neighbours are
known: interpolation. "strips" holds back all points in each fourth strip of 40 columns: what
happens where no lidar was. "visible" leaves out points that the camera cannot see (judged from all
lidar points, not from any prediction).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightdepth_ros import terminal
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.files import write_files
from lightdepth_ros.perception.occlusion import hidden_returns
from training.datasets.catalog import open_dataset
from training.datasets.sample import Dataset, Sample
from training.datasets.synthetic_lidar import LidarScenes
from training.labels import compensate
from training.labels.local_correction import correct_locally
from training.scoring.report import table
from training.teachers.teacher import open_teacher

CAP_M = 80.0
HELD_EVERY = 4
STRIP_PX = 40
HEAD = ['data', 'teacher', 'held back', 'points', 'raw', '(a) bins', '(b) local',
        'raw, visible', '(a), visible', '(b), visible',
        'abs_rel raw / (a) / (b), visible']  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One frame: teacher_m and lidar_m (H, W) float32 metres, 0 = no value; hidden (H, W) bool."""

    teacher_m: np.ndarray
    lidar_m: np.ndarray
    hidden: np.ndarray
    focal_px: float


def open_data(name: str, limit: int, root: Path | None) -> Dataset:
    """Open a data set of the catalog, or `synthetic-lidar`."""
    return LidarScenes(limit, seed=7) if name == 'synthetic-lidar' else open_dataset(name, root)


def cases(
    dataset: Dataset, teacher_name: str, options: dict[str, str], limit: int
) -> Iterator[Case]:
    """Yield the frames that have lidar, with the teacher's depth."""
    teacher = open_teacher(teacher_name, options)
    for index in range(min(limit, len(dataset))):
        sample: Sample = dataset[index]
        if sample.depth_m is None or sample.camera is None or not (sample.depth_m > 0).any():
            continue
        depth = teacher(sample).depth_m
        assert depth is not None
        focal = sample.camera.fx
        hidden = hidden_returns(sample.depth_m, focal)
        yield Case(depth, sample.depth_m, hidden, focal)


def held_back(lidar_m: np.ndarray, how: str) -> np.ndarray:
    """Return (H, W) bool: lidar points kept for scoring."""
    held = np.zeros(lidar_m.shape, bool)
    rows, columns = np.nonzero(lidar_m > 0)
    if how == 'every fourth':
        chosen = np.arange(rows.size) % HELD_EVERY == 0
    else:
        chosen = (columns // STRIP_PX) % HELD_EVERY == 0
    held[rows[chosen], columns[chosen]] = True
    return held


def rmse(depth_m: np.ndarray, truth_m: np.ndarray) -> float:
    """Return the root mean square error in metres of (n,) depths, clipped to 80 m."""
    return float(np.sqrt(np.mean((np.minimum(depth_m, CAP_M) - truth_m) ** 2)))


def abs_rel(depth_m: np.ndarray, truth_m: np.ndarray) -> float:
    """Return the mean relative error of (n,) depths."""
    return float(np.mean(np.abs(np.minimum(depth_m, CAP_M) - truth_m) / truth_m))


def compare(frames: list[Case], how: str) -> list[str]:
    """Return the cells after `data` and `teacher`; metrics are means over frames."""
    held = [held_back(f.lidar_m, how) for f in frames]
    known = [np.where(h, 0, f.lidar_m) for f, h in zip(frames, held, strict=True)]
    seen = [
        np.where(hidden_returns(k, f.focal_px), 0, k) for f, k in zip(frames, known, strict=True)
    ]
    bins = compensate.estimate_bins((f.teacher_m, s) for f, s in zip(frames, seen, strict=True))
    results: dict[str, list[list[float]]] = {'all': [], 'visible': [], 'abs_rel': []}
    count = 0
    for frame, held_map, lidar in zip(frames, held, known, strict=True):
        depths = (
            frame.teacher_m,
            compensate.correct_by_bins(frame.teacher_m, bins),
            correct_locally(frame.teacher_m, lidar, frame.focal_px).depth_m,
        )
        every = held_map & (frame.teacher_m > 0) & (frame.lidar_m <= CAP_M)
        visible = every & ~frame.hidden
        count += int(every.sum())
        results['all'].append([rmse(d[every], frame.lidar_m[every]) for d in depths])
        results['visible'].append([rmse(d[visible], frame.lidar_m[visible]) for d in depths])
        results['abs_rel'].append([abs_rel(d[visible], frame.lidar_m[visible]) for d in depths])
    mean = {key: np.mean(rows, 0) for key, rows in results.items()}
    cells = [f'{value:.2f}' for key in ('all', 'visible') for value in mean[key]]
    return [how, f'{count}', *cells, ' / '.join(f'{value:.3f}' for value in mean['abs_rel'])]


def options_of(teacher: str, texts: list[str]) -> dict[str, str]:
    """Return the options that are meant for one teacher."""
    mine = teacher.partition(':')[0] + '.'
    chosen = (text.removeprefix(mine) for text in texts if text.startswith(mine))
    return dict(text.partition('=')[::2] for text in chosen)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m training.compensation_table', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('--data', action='append', required=True,
                        help='stereo data set with lidar, or synthetic-lidar; repeat')  # fmt: skip
    parser.add_argument('--teacher', action='append', required=True,
                        help='psmnet, sgbm, stored:FOLDER ...; may be repeated')  # fmt: skip
    parser.add_argument('--option', action='append', default=[], metavar='TEACHER.KEY=VALUE',
                        help='as psmnet.precision=bf16; may be repeated')  # fmt: skip
    parser.add_argument('--limit', type=int, default=12, help='frames (default %(default)s)')
    parser.add_argument('--root', type=Path, help='where the data sets lie')
    parser.add_argument('--out', type=Path, help='Markdown file to write')
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> str:
    """Return the Markdown table."""
    rows = []
    for name in args.data:
        dataset = open_data(name, args.limit, args.root)
        for teacher in args.teacher:
            options = options_of(teacher, args.option)
            frames = list(cases(dataset, teacher, options, args.limit))
            label = f'{name} ({len(frames)} frames)'
            rows += [[label, teacher, *compare(frames, how)] for how in ('every fourth', 'strips')]
    return table(HEAD, rows) + '\n'


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after saying what was wrong."""
    args = parse(arguments)
    try:
        text = run(args)
        if args.out:
            write_files({args.out: text.encode()})
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(text, end='')
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
