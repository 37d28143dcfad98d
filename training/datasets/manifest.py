# SPDX-License-Identifier: Apache-2.0
"""Any frames, listed in a CSV file: the data set format of your own recordings.

The first line names the columns; their order is free and unknown ones are ignored. Paths are
relative to the CSV file's folder; an empty cell means "none".

| column | meaning |
|---|---|
| image | 8-bit image file; the only column that must be there |
| id | unique name; default: the image path without its ending |
| split | any word; `open_manifest(split=...)` keeps the rows that have it |
| fx fy cx cy | intrinsics in pixels of the image; all four empty = not calibrated |
| w h | image size that the intrinsics belong to; checked when given |
| depth | sensor depth, uint16 PNG of the image's size, metres x 256, 0 = no value |
| teacher_depth | dense depth by a teacher, same format, any size |
| label | 8-bit PNG of Cityscapes train ids, 255 = unlabelled |
| nav7 | 8-bit PNG of coarse ids (lightdepth_ros.classes.NAV7_NAMES), 255 = unlabelled |
| right, baseline_m | right-hand image of a rectified pair, and metres between the cameras |
| soft_label | 8-bit PNG of three channels, any size: see Sample.soft_label |
| camera_height_m | height of the camera over the ground in metres, where it is known |
| camera_pitch_deg | how far it looks down; with height and roll it is the camera's exact pose |
| camera_roll_deg | how far its right side is tilted down |
| place | where the frame was recorded (a street; else the column drive): for splits by place |
| source | where the file came from; for people |
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError, ConfigError, DataError
from lightdepth_ros.mount import Mount
from training.datasets import files
from training.datasets.frames import Frame, Frames, Reader

COLUMNS = (
    'id', 'split', 'image', 'depth', 'teacher_depth', 'label', 'nav7', 'right', 'w', 'h',
    'fx', 'fy', 'cx', 'cy', 'baseline_m', 'soft_label', 'camera_height_m', 'camera_pitch_deg',
    'camera_roll_deg', 'place', 'source',
)  # fmt: skip
INTRINSICS = ('fx', 'fy', 'cx', 'cy')
HIGHEST_CAMERA_M = 50.0


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of the CSV file as column -> text."""
    if not path.is_file():
        raise DataError(
            f'there is no manifest {path}. It is a CSV file with a column "image" and any of: '
            f'{", ".join(COLUMNS)} (described in training/datasets/manifest.py)'
        )
    with path.open(newline='', encoding='utf-8-sig') as stream:
        reader = csv.DictReader(stream)
        if 'image' not in (reader.fieldnames or ()):
            raise DataError(
                f'{path} has no column "image"; its columns are {reader.fieldnames}. Known are: '
                f'{", ".join(COLUMNS)}'
            )
        return [{k: v or '' for k, v in row.items() if k} for row in reader]


def open_manifest(path: Path, split: str | None = None, name: str | None = None) -> Frames:
    """Open the rows of `path` whose column "split" is `split` (None = all rows)."""
    rows = read_rows(path)
    kept = [r for r in rows if split is None or r.get('split', '') == split]
    if not kept:
        splits = sorted({r.get('split', '') for r in rows})
        raise DataError(f'{path} has no row of split {split!r}; its splits are {splits}')
    frames = [row_to_frame(row, path, number) for number, row in enumerate(kept)]
    names = [f.name for f in frames]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DataError(f'{path}: the id {twice!r} occurs twice; ids must be unique')
    return Frames(name or path.stem, frames)


def open_rows(path: Path, split: str | None = None) -> Frames:
    """Open a CSV file, or the manifest.csv of a folder."""
    return open_manifest(path / 'manifest.csv' if path.is_dir() else path, split)


def row_to_frame(row: dict[str, str], path: Path, number: int) -> Frame:
    """Turn one row into a Frame. The files are opened later; a missing image is told now."""
    folder, where = path.parent, f'{path}, {row.get("id") or f"row {number + 1}"}'
    image = folder / row['image']
    if not row['image'] or not image.is_file():
        raise DataError(f'{where}: there is no image {image}')

    def reader(column: str, read: Callable[..., np.ndarray]) -> Reader | None:
        return partial(read, folder / row[column]) if row.get(column) else None

    return Frame(
        name=row.get('id') or str(Path(row['image']).with_suffix('')),
        image=image,
        intrinsics=row_intrinsics(row, where),
        size_hw=row_size(row, where),
        depth=reader('depth', files.read_depth),
        teacher_depth=reader('teacher_depth', files.read_teacher_depth),
        label=reader('label', partial(files.read_ids, files.TRAIN_IDS)),
        nav7=reader('nav7', partial(files.read_ids, files.NAV7_IDS)),
        right=folder / row['right'] if row.get('right') else None,
        baseline_m=number_or_none(row, 'baseline_m', where),
        soft_label=folder / row['soft_label'] if row.get('soft_label') else None,
        height_m=row_height(row, where),
        pose=row_pose(row, where),
        place=row.get('place') or row.get('drive', ''),
    )


def number_of(row: dict[str, str], column: str, where: str) -> float:
    """Return the cell as a number."""
    try:
        return float(row.get(column, ''))
    except ValueError as error:
        raise DataError(f'{where}: {column} is {row.get(column)!r}, not a number') from error


def number_or_none(row: dict[str, str], column: str, where: str) -> float | None:
    """Return the cell as a number, or None where it is empty."""
    return number_of(row, column, where) if row.get(column) else None


def row_height(row: dict[str, str], where: str) -> float | None:
    """Return the camera's height in metres, or None where the cell is empty."""
    height = number_or_none(row, 'camera_height_m', where)
    if height is not None and not 0 < height < HIGHEST_CAMERA_M:
        raise DataError(
            f'{where}: camera_height_m is {height:g}; metres over the ground are expected, above '
            f'0 and below {HIGHEST_CAMERA_M:g}'
        )
    return height


def row_pose(row: dict[str, str], where: str) -> Mount | None:
    """Return the pose of the camera over the ground, or None where a cell of it is empty."""
    names = 'camera_height_m', 'camera_pitch_deg', 'camera_roll_deg'
    values = [number_or_none(row, name, where) for name in names]
    if any(value is None for value in values):
        return None
    try:
        return Mount(*(value for value in values if value is not None))
    except ConfigError as error:
        raise DataError(f'{where}: {error}') from error


def row_size(row: dict[str, str], where: str) -> tuple[int, int] | None:
    """Return (height, width), or None where a cell is empty."""
    if not (row.get('w') and row.get('h')):
        return None
    return int(number_of(row, 'h', where)), int(number_of(row, 'w', where))


def row_intrinsics(row: dict[str, str], where: str) -> tuple[float, float, float, float] | None:
    """Return (fx, fy, cx, cy), or None where all four cells are empty."""
    if not any(row.get(c) for c in INTRINSICS):
        return None
    fx, fy, cx, cy = (number_of(row, c, where) for c in INTRINSICS)
    try:
        Camera(1, 1, fx, fy, cx, cy)
    except BadCameraError as error:
        raise DataError(f'{where}: {error}') from error
    return fx, fy, cx, cy
