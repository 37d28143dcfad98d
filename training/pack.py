# SPDX-License-Identifier: Apache-2.0
"""Pack training data into one small folder, to carry to a machine with a GPU.

    python -m training.pack --out pack --limit-mib 60
    # there, with nothing but the repository and this folder:
    python -m training.train --out runs/gpu --sources "$(cat pack/sources.txt)" \\
        --validation "$(cat pack/validation.txt)" --precision bf16-mixed --compile

Frames are brought to at most --rows rows (a student sees 320) and written as manifest data sets:
WebP images, uint16 depth PNG, 8-bit label PNG. The WebP quality is the best that fits the limit.
Procedural sources are not packed: they are made where they are used. Copy the licence terms of the
data along with it: packing changes no terms.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from lightdepth_ros import terminal
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import write_files
from training.config import TrainConfig
from training.datasets.catalog import open_dataset
from training.datasets.files import DEPTH_PNG_PER_M
from training.datasets.manifest import COLUMNS
from training.datasets.sample import Dataset, Sample

QUALITIES = (95, 90, 85, 80, 75, 70, 65)
PROBES = 6
"""Frames of each data set from which the size of the rest is estimated."""
SAFETY = 1.03
TEACHER_SHRINK, TEACHER_STEP = 2, 0.01
"""Teacher depth is smooth and not exact: every other row and column, in steps of one percent."""


@dataclass(frozen=True)
class PackedFrame:
    """One frame's files without the image (name -> bytes), its image, and its manifest row."""

    files: dict[str, bytes]
    rgb: np.ndarray
    row: dict[str, str]

    def image(self, quality: int) -> bytes:
        """Return the image as WebP (a third smaller than JPEG of the same quality)."""
        bgr = cv2.cvtColor(self.rgb, cv2.COLOR_RGB2BGR)
        return encode('.webp', bgr, cv2.IMWRITE_WEBP_QUALITY, quality)


def encode(kind: str, image: np.ndarray, option: int, value: int) -> bytes:
    """Encode (H, W) or BGR (H, W, 3) as OpenCV names the kind."""
    done, data = cv2.imencode(kind, image, [option, value])
    if not done:
        raise LightdepthError(f'OpenCV cannot write {image.dtype} {image.shape} as {kind}')
    return data.tobytes()


def small_png(image: np.ndarray) -> bytes:
    """Encode ids or uint16 depth as small as PNG gets."""
    return encode('.png', image, cv2.IMWRITE_PNG_COMPRESSION, 9)


def small_depth(depth_m: np.ndarray) -> bytes:
    """Encode (h, w) float32 metres, 0 = no value, in KITTI's convention."""
    return small_png(np.rint(depth_m * DEPTH_PNG_PER_M).clip(0, 65535).astype(np.uint16))


def in_steps(depth_m: np.ndarray) -> np.ndarray:
    """Round depth to steps of TEACHER_STEP in ln depth; 0 stays 0."""
    rounded = np.rint(np.log(np.maximum(depth_m, 0.01)) / TEACHER_STEP) * TEACHER_STEP
    return np.where(depth_m > 0, np.exp(rounded), 0).astype(np.float32)


def shrink_sparse(depth_m: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Bring (H, W) float32 sensor depth, 0 = no value, to `hw`; each cell keeps its nearest point.

    Interpolating would lose lone lidar points or mix near and far.
    """
    if depth_m.shape == hw:
        return depth_m
    rows, columns = np.nonzero(depth_m)
    small = np.full(hw, np.inf, np.float32)
    at = (rows * hw[0] // depth_m.shape[0], columns * hw[1] // depth_m.shape[1])
    np.minimum.at(small, at, depth_m[rows, columns])
    return np.where(np.isfinite(small), small, np.float32(0))


def nearest(image: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Resize ids or dense depth without mixing values."""
    return cv2.resize(image, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def pack_frame(sample: Sample, number: int, most_rows: int) -> PackedFrame:
    """Bring a sample to at most `most_rows` rows; images are never enlarged."""
    height, width = sample.rgb.shape[:2]
    scale = min(1.0, most_rows / height)
    hw = round(height * scale), round(width * scale)
    rgb = sample.rgb
    if scale < 1:
        rgb = cv2.resize(rgb, hw[::-1], interpolation=cv2.INTER_AREA)
    stem = f'{number:06d}'
    row = {'id': sample.name, 'image': f'{stem}.webp', 'w': str(hw[1]), 'h': str(hw[0])}
    if sample.camera is not None:
        camera = sample.camera.resized(hw[1], hw[0])
        row |= {key: f'{getattr(camera, key):.4f}' for key in ('fx', 'fy', 'cx', 'cy')}
    if sample.height_m is not None:
        row['camera_height_m'] = f'{sample.height_m:.4g}'
    files = {}
    for column, data in truth_files(sample, hw).items():
        row[column] = f'{stem}_{column}.png'
        files[row[column]] = data
    return PackedFrame(files, rgb, row)


def truth_files(sample: Sample, hw: tuple[int, int]) -> dict[str, bytes]:
    """Return the PNG of each truth that the sample has, by manifest column."""
    found = {}
    if sample.depth_m is not None:
        found['depth'] = small_depth(shrink_sparse(sample.depth_m, hw))
    if sample.teacher_depth_m is not None:
        half = hw[0] // TEACHER_SHRINK, hw[1] // TEACHER_SHRINK
        found['teacher_depth'] = small_depth(in_steps(nearest(sample.teacher_depth_m, half)))
    if sample.label_id is not None:
        found['label'] = small_png(nearest(sample.label_id, hw))
    if sample.nav7_id is not None and sample.label_id is None:  # training reads the fine ids
        found['nav7'] = small_png(nearest(sample.nav7_id, hw))
    if sample.soft_label is not None:
        found['soft_label'] = small_png(sample.soft_label)
    return found


@dataclass(frozen=True)
class Limits:
    """rows: most rows of a frame. frames: most frames of a data set. mib: size of the pack."""

    rows: int = 320
    frames: int = 700
    mib: float = 60.0


def spread(length: int, most: int) -> list[int]:
    """Return at most `most` frame numbers, evenly spread."""
    count = min(length, most)
    return [i * length // count for i in range(count)]


def estimate_bytes(datasets: dict[str, Dataset], limits: Limits) -> dict[int, float]:
    """Estimate the size of the whole pack for each image quality from a few frames."""
    total = dict.fromkeys(QUALITIES, 0.0)
    for dataset in track(list(datasets.values()), 'measuring'):
        kept = min(len(dataset), limits.frames)
        chosen = spread(len(dataset), PROBES)
        probes = [pack_frame(dataset[i], i, limits.rows) for i in chosen]
        fixed = sum(len(data) for p in probes for data in p.files.values())
        for quality in QUALITIES:
            images = sum(len(p.image(quality)) for p in probes)
            total[quality] += (fixed + images) * kept / len(probes)
    return total


def choose_quality(estimate: dict[int, float], limit_mib: float) -> int:
    """Return the best quality whose estimate fits, or say how much is missing."""
    for quality, size in estimate.items():
        if size * SAFETY <= limit_mib * 2**20:
            return quality
    least = min(estimate.values()) * SAFETY / 2**20
    raise ConfigError(
        f'the pack needs {least:.0f} MiB even at image quality {QUALITIES[-1]}, more than '
        f'--limit-mib {limit_mib:g}: give fewer --sources, --frames or --rows'
    )


def write_dataset(dataset: Dataset, folder: Path, limits: Limits, quality: int) -> int:
    """Write one data set as a manifest folder; returns its bytes. The manifest comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    total, table = 0, []
    for index in track(spread(len(dataset), limits.frames), f'packing {folder.name}'):
        frame = pack_frame(dataset[index], index, limits.rows)
        files = frame.files | {frame.row['image']: frame.image(quality)}
        write_files({folder / name: data for name, data in files.items()})
        total += sum(len(data) for data in files.values())
        table.append(frame.row)
    text = io.StringIO()
    columns = [c for c in COLUMNS if any(c in row for row in table)]
    writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(table)
    write_files({folder / 'manifest.csv': text.getvalue().encode()})
    return total + len(text.getvalue())


def is_made_anew(name: str) -> bool:
    """Say whether a source is procedural."""
    return name.startswith('synthetic')


def open_sources(names: Iterable[str], root: Path | None) -> dict[str, Dataset]:
    """Open what has to be carried."""
    return {n: open_dataset(n, root) for n in names if not is_made_anew(n)}


def folder_of(name: str, out: Path) -> Path:
    """Return the pack's folder of a source: its name without what a folder cannot be called."""
    safe = ''.join(c if c.isalnum() or c in '-_' else '_' for c in name)
    return out / safe


def spell(name: str, out: Path) -> str:
    """Return how training is to write a source of the pack."""
    return name if is_made_anew(name) else f'manifest@{folder_of(name, out).as_posix()}'


def pack(config: TrainConfig, out: Path, limits: Limits, root: Path | None) -> float:
    """Write the pack of a configuration's sources and validation sets; returns its MiB."""
    weights = config.source_weights()
    checks = [name.strip() for name in config.validation.split(',')]
    datasets = open_sources(dict.fromkeys([*weights, *checks]), root)
    quality = choose_quality(estimate_bytes(datasets, limits), limits.mib)
    size = sum(write_dataset(d, folder_of(n, out), limits, quality) for n, d in datasets.items())
    sources = ','.join(f'{spell(n, out)}:{w:g}' for n, w in weights.items())
    validation = ','.join(spell(n, out) for n in checks)
    write_files({
        out / 'sources.txt': f'{sources}\n'.encode(),
        out / 'validation.txt': f'{validation}\n'.encode(),
    })  # fmt: skip
    Console().print(f'{out}: {size / 2**20:.1f} MiB, image quality {quality}')
    return size / 2**20


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    defaults = TrainConfig()
    parser = argparse.ArgumentParser(
        prog='python -m training.pack', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='folder of the pack, relative '
                        'to where training will be started')  # fmt: skip
    parser.add_argument('--sources', default=defaults.sources,
                        help='as in training.train')  # fmt: skip
    parser.add_argument('--validation', default=defaults.validation, help='as in training.train')
    limits = Limits()
    parser.add_argument('--rows', type=int, default=limits.rows,
                        help='most rows of a frame (%(default)s)')  # fmt: skip
    parser.add_argument('--frames', type=int, default=limits.frames,
                        help='most frames of a data set, evenly spread (%(default)s)')  # fmt: skip
    parser.add_argument('--limit-mib', type=float, default=limits.mib,
                        help='size of the pack (%(default)s)')  # fmt: skip
    parser.add_argument('--root', type=Path, default=None, help='road data folder')
    args = parser.parse_args(argv)
    try:
        config = TrainConfig(sources=args.sources, validation=args.validation)
        pack(config, args.out, Limits(args.rows, args.frames, args.limit_mib), args.root)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
