# SPDX-License-Identifier: Apache-2.0
"""How good is a depth teacher here? Compares it with the lidar of a data set, and draws it.

    python -m training.teachers.check --teacher psmnet --data kitti-stereo --out /tmp/psmnet

Prints for each frame with lidar the share of points whose disparity is within 3 px (stereo), the
errors in metres, CPU seconds (of all threads) and peak memory, and writes one picture for each
frame. "visible" leaves out lidar returns of surfaces that the camera cannot see
(lightdepth_ros.perception.occlusion, from the lidar alone).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from lightdepth_ros.draw import color_depth
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.files import png, write_files
from lightdepth_ros.perception.occlusion import hidden_returns
from training.datasets.catalog import open_dataset
from training.datasets.sample import Sample
from training.scoring.report import table
from training.teachers.teacher import TEACHERS, TeacherOutput, open_teacher

HEAD = ['frame', 'points', 'answered', '< 3 px', '< 1 px', 'abs_rel', 'RMSE m', 'delta1',
        'CPU s']  # fmt: skip
WRONG_PX = 3.0
RIGHT, NEARER, FURTHER = (60, 200, 60), (230, 40, 40), (40, 90, 255)


def errors(sample: Sample, depth_m: np.ndarray, points: np.ndarray) -> list[str]:
    """Return the cells of one row: (H, W) bool `points` are lidar points to compare."""
    both = points & (depth_m > 0)
    truth, found = sample.depth_m[both], depth_m[both]
    within = ['-', '-']
    if sample.baseline_m and sample.camera:
        px = np.abs(1 / found - 1 / truth) * sample.camera.fx * sample.baseline_m
        within = [f'{100 * (px < limit).mean():.1f} %' for limit in (WRONG_PX, 1.0)]
    ratio = np.maximum(found / truth, truth / found)
    return [
        f'{points.sum()}', f'{100 * both.sum() / points.sum():.1f} %', *within,
        f'{np.mean(np.abs(found - truth) / truth):.3f}',
        f'{np.sqrt(np.mean((found - truth) ** 2)):.2f}', f'{(ratio < 1.25).mean():.3f}',
    ]  # fmt: skip


def rows_of(sample: Sample, output: TeacherOutput, seconds: float) -> list[list[str]]:
    """Return the table rows of one frame: all lidar points, and the visible ones."""
    if sample.depth_m is None or not (sample.depth_m > 0).any() or output.depth_m is None:
        return [[sample.name, *['-'] * (len(HEAD) - 2), f'{seconds:.1f}']]
    every = sample.depth_m > 0
    rows = [[sample.name, *errors(sample, output.depth_m, every), f'{seconds:.1f}']]
    if sample.camera is not None:
        visible = every & ~hidden_returns(sample.depth_m, sample.camera.fx)
        rows.append(['  visible', *errors(sample, output.depth_m, visible), ''])
    return rows


def picture(sample: Sample, output: TeacherOutput) -> np.ndarray:
    """Return (n H, W, 3) uint8: image with judged lidar points, depth, confidence."""
    parts = [judged(sample, output.depth_m)]
    if output.depth_m is not None:
        known = np.where(output.depth_m > 0, output.depth_m, np.float32(np.nan))
        parts.append(color_depth(known))
    if output.confidence is not None:
        parts.append(np.repeat(output.confidence[..., None], 3, 2))
    return np.vstack(parts)


def judged(sample: Sample, depth_m: np.ndarray | None) -> np.ndarray:
    """Return the image with its lidar points: green right, red too near, blue too far."""
    image = sample.rgb.copy()
    if sample.depth_m is None or depth_m is None:
        return image
    rows, columns = np.nonzero((sample.depth_m > 0) & (depth_m > 0))
    truth, found = sample.depth_m[rows, columns], depth_m[rows, columns]
    error = (1 / found - 1 / truth) * (sample.camera.fx if sample.camera else 1)
    error *= sample.baseline_m or 1
    colors = np.full((rows.size, 3), RIGHT, np.uint8)
    colors[error > WRONG_PX], colors[error < -WRONG_PX] = NEARER, FURTHER
    for down in (0, 1):
        for right in (0, 1):
            r = np.minimum(rows + down, image.shape[0] - 1)
            image[r, np.minimum(columns + right, image.shape[1] - 1)] = colors
    return image


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    kinds = '\n'.join(f'  {name:13} {about}' for name, about in TEACHERS.items())
    parser = argparse.ArgumentParser(
        prog='python -m training.teachers.check', description=f'{__doc__}\nTeachers:\n{kinds}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('--teacher', required=True, help='NAME or NAME:FILE')
    parser.add_argument('--option', action='append', default=[], metavar='KEY=VALUE',
                        help="one of the teacher's options; may be repeated")  # fmt: skip
    parser.add_argument('--data', required=True, help='data set with lidar, as kitti-stereo')
    parser.add_argument('--root', type=Path, help='where the data set lies')
    parser.add_argument('--limit', type=int, default=10, help='frames (default %(default)s)')
    parser.add_argument('--out', type=Path, help='folder for the pictures; none without it')
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> str:
    """Run the teacher over the frames and return the table."""
    teacher = open_teacher(args.teacher, dict(o.partition('=')[::2] for o in args.option))
    dataset = open_dataset(args.data, args.root)
    rows = []
    for index in range(min(args.limit, len(dataset))):
        sample = dataset[index]
        started = time.process_time()
        output = teacher(sample)
        rows += rows_of(sample, output, time.process_time() - started)
        if args.out:
            name = sample.name.replace('/', '_') + '.png'
            write_files({args.out / name: png(picture(sample, output))})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f'{table(HEAD, rows)}\n\nPeak memory {peak:.0f} MiB.'


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after saying what was wrong."""
    args = parse(arguments)
    try:
        print(run(args))
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
