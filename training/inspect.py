# SPDX-License-Identifier: Apache-2.0
"""Look at a data set before training on it: a contact sheet and the numbers beside it.

Each row is one sample: the image, sensor depth (points drawn large over the dimmed image), teacher
depth, labels, coarse labels, right image; whatever the data set has. Look for depth that does not
follow the edges of the image, labels that are shifted, and colours that are swapped.

Examples, from the repository root:

  python -m training.inspect kitti-train
  python -m training.inspect kitti-eigen-train --root /data/kitti_raw --count 12
  python -m training.inspect manifest@recordings/campus --start 300 --count 5
  python -m training.inspect kitti-train+camvid-train --out /tmp/both.png
  python -m training.inspect camvid-train --crops    # as training sees it: compensated, cropped,
                                                     # recoloured, obstacles pasted; metres of the
                                                     # canonical camera; black = no truth
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from lightdepth_ros import terminal
from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASSES, UNLABELLED
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import png, write_files
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops.contact_sheet import sheet
from training.crops.stream import CropStream, load_sources
from training.datasets.catalog import describe, open_dataset
from training.datasets.sample import Sample

IMAGES_BEHIND_CROPS = 200
"""Images that crops are drawn from, evenly spread; all would take a minute to read."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog='python -m training.inspect',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'Data sets:\n{describe()}',
    )
    p.add_argument('dataset', help='name from the list below, NAME@FOLDER, or several joined by +')
    p.add_argument(
        '--root',
        type=Path,
        help='folder of the data set (default: LIGHTDEPTH_DATA, else ../shared/data)',
    )
    p.add_argument('--count', type=int, default=8, help='samples to draw (default 8)')
    p.add_argument(
        '--start', type=int, help='draw consecutive samples from here; default: evenly spread'
    )
    p.add_argument('--crops', action='store_true', help='draw crops as a student is shown them')
    p.add_argument('--width', type=int, default=480, help='width of one picture, pixels (480)')
    p.add_argument('--out', type=Path, help='PNG file to write (default out/inspect/DATASET.png)')
    return p


def chosen(length: int, count: int, start: int | None) -> list[int]:
    """Return the sample numbers to draw: evenly spread, or consecutive from `start`."""
    if count < 1:
        raise ConfigError(f'--count is {count}; it must be at least 1')
    if start is None:
        return sorted({round(i) for i in np.linspace(0, length - 1, count)})
    if not 0 <= start < length:
        raise ConfigError(f'--start is {start}; the data set has samples 0 to {length - 1}')
    return list(range(start, min(length, start + count)))


def training_crops(name: str, root: Path | None, length: int, count: int) -> list[Sample]:
    """Return the first crops that training would draw from (a part of) the data set."""
    share = min(1.0, IMAGES_BEHIND_CROPS / length)
    config = TrainConfig(sources=f'{name}:1', image_share=share)
    stream = CropStream(load_sources(config, root), config)
    return [crop_sample(stream[k], f'crop {k}') for k in range(count)]


def crop_sample(example: Mapping[str, Any], name: str) -> Sample:
    """Return a training example (crops.truth.crop) as a sample of the canonical camera."""
    height, width = example['label'].shape
    camera = Camera(width, height, CANONICAL_FOCAL_PX, CANONICAL_FOCAL_PX,
                    (width - 1) / 2, (height - 1) / 2)  # fmt: skip
    depth = np.where(example['weight'] > 0, example['depth'], 0).astype(np.float32)
    return Sample(example['image'], camera, None, example['label'], name, depth)


def summary(samples: Sequence[Sample]) -> str:
    """Return the numbers of the drawn samples as text."""
    sizes = sorted({f'{s.rgb.shape[1]}x{s.rgb.shape[0]}' for s in samples})
    fields = sorted({f'{s.camera.horizontal_fov_deg:.1f}' for s in samples if s.camera})
    lines = [
        f'image size     {", ".join(sizes)}',
        f'field of view  {", ".join(fields) + " degrees" if fields else "not calibrated"}',
    ]
    for title, field in (('sensor depth', 'depth_m'), ('teacher depth', 'teacher_depth_m')):
        maps = [d for s in samples if (d := getattr(s, field)) is not None]
        lines.append(f'{title:14} {depth_line(maps)}')
    return '\n'.join([*lines, f'labels         {label_line(samples)}'])


def depth_line(maps: Sequence[np.ndarray]) -> str:
    """Say how many pixels of (H, W) float32 metres have a value, and where they lie."""
    if not maps:
        return 'none'
    known = np.concatenate([d[d > 0] for d in maps])
    share = known.size / sum(d.size for d in maps)
    if not known.size:
        return f'on {len(maps)} samples, but without a single value'
    low, middle, high = np.percentile(known, [1, 50, 99])
    return (
        f'on {len(maps)} samples, {share:.1%} of their pixels; 1 % / median / 99 %: '
        f'{low:.1f} / {middle:.1f} / {high:.1f} m'
    )


def label_line(samples: Sequence[Sample]) -> str:
    """Say which classes fill the labelled pixels, and how many pixels are unlabelled."""
    maps = [s.label_id for s in samples if s.label_id is not None]
    if not maps:
        return 'none'
    counts = np.sum([np.bincount(m.ravel(), minlength=256) for m in maps], axis=0)
    shares = counts / counts.sum()
    order = [i for i in np.argsort(-shares) if i != UNLABELLED and shares[i] > 0]
    names = [f'{CLASSES[i].name} {shares[i]:.1%}' for i in order]
    return f'on {len(maps)} samples: {", ".join(names)}; unlabelled {shares[UNLABELLED]:.1%}'


def file_name(dataset: str) -> str:
    """Turn a source into a file name: its names without their folders."""
    names = [part.partition('@') for part in dataset.split('+')]
    words = [name + (f'-{Path(folder).name}' if folder else '') for name, _, folder in names]
    return '+'.join(words)[:100] + '.png'


def run(args: argparse.Namespace) -> None:
    """Read the chosen samples, write the sheet, print the numbers."""
    dataset = open_dataset(args.dataset, args.root)
    indices = chosen(len(dataset), args.count, args.start)
    if args.crops:
        samples = training_crops(args.dataset, args.root, len(dataset), args.count)
    else:
        samples = [dataset[i] for i in track(indices, description='reading')]
    name = file_name(args.dataset)
    out = args.out or Path('out') / 'inspect' / (f'crops_{name}' if args.crops else name)
    write_files({out: png(sheet(samples, args.width))})
    print(f'{args.dataset}: {len(dataset)} samples; of the {len(samples)} drawn:')
    print(summary(samples))
    print(f'wrote {out}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = parser().parse_args(argv)
    try:
        run(args)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
