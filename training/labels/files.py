# SPDX-License-Identifier: Apache-2.0
"""The label store: pseudo-labels of one data set in a folder, safe to stop, resume and share.

    FOLDER/labels.json               what they are: teacher, weights, unit, options, compensation
    FOLDER/manifest-I-of-N.jsonl     one line for each finished frame of shard I: files and hashes
    FOLDER/depth/NAME.png            uint16, metres x 256, 0 = no value, beyond 255.99 m saturated
    FOLDER/label/NAME.png            uint8, Cityscapes train ids, 255 = unlabelled
    FOLDER/confidence/NAME.png       uint8, 0..255 = the teacher's own chance of being right
    FOLDER/soft/NAME.png             uint8, three channels, a quarter of the size: soft.py

A frame's files are written under temporary names and renamed, then its line is appended. A frame
without a line, or whose files do not have the line's hashes, does not count and is made again.
Each shard appends to its own manifest alone, so shards may run on many machines over one folder,
and a later run may cut the data set into another number of shards.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import numpy as np

from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.files import WriteError, depth_png, png, write_files
from training.datasets.files import (
    TRAIN_IDS,
    decode,
    read_ids,
    read_soft_label,
    read_teacher_depth,
)

FORMAT = 1
UNITS = {
    'depth': 'uint16 PNG, metres x 256, 0 = no value',
    'label': 'uint8 PNG, Cityscapes train ids, 255 = unlabelled',
    'confidence': 'uint8 PNG, chance of being right x 255',
    'soft': 'uint8 PNG, as OpenCV reads it: first id, second id, share of the first x 255',
}
KINDS = {'depth': 'depth_m', 'label': 'label_id', 'confidence': 'confidence', 'soft': 'soft_label'}
"""Folder of each kind of map -> its name in Sample and TeacherOutput."""


@dataclass(frozen=True)
class Description:
    """What all labels of a folder have in common; plain JSON values.

    data: data set. teacher: its name. weights_sha256: '' = no weights. options: every setting of
    the teacher that changes the labels. compensation: the same for what was done to them after.
    """

    data: str
    teacher: str
    weights_sha256: str = ''
    options: dict[str, Any] = field(default_factory=dict)
    compensation: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=lambda: dict(UNITS))
    format: int = FORMAT


@dataclass(frozen=True)
class Row:
    """One finished frame. files: kind -> (path in the folder, SHA-256 of the file)."""

    name: str
    size_hw: tuple[int, int]
    files: dict[str, tuple[str, str]]
    notes: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the row as one line."""
        return json.dumps(asdict(self), sort_keys=True)


def row_from_json(line: str) -> Row | None:
    """Read `Row.to_json`'s line; None = half-written or damaged."""
    try:
        data = json.loads(line)
        files = {kind: (str(f[0]), str(f[1])) for kind, f in data['files'].items()}
        height, width = data['size_hw']
        return Row(str(data['name']), (int(height), int(width)), files, dict(data['notes']))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def prepare(folder: Path, description: Description) -> None:
    """Write labels.json, or check that it says the same; ConfigError shows what differs."""
    path = folder / 'labels.json'
    wanted = json.loads(json.dumps(asdict(description)))
    if not path.exists():
        text = json.dumps(wanted, indent=2) + '\n'
        try:
            write_files({path: text.encode()})
        except WriteError:
            if not path.exists():  # else another shard was first
                raise
    found = asdict(describe(folder))
    for said in (found, wanted):
        said['units'] = UNITS | said['units']  # a kind that came later is no other way
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        lines = [f'  {k}: there {found.get(k)!r}, now {wanted[k]!r}' for k in differing]
        raise ConfigError(
            f'{folder} holds labels made in another way:\n' + '\n'.join(lines) + '\n'
            'Give another --out, or the settings of that folder'
        )


def describe(folder: Path) -> Description:
    """Read labels.json of a store."""
    path = folder / 'labels.json'
    try:
        return Description(**json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f'{folder} is no label store: {path} cannot be read ({error}). Make one with '
            '`python -m training.make_labels --out FOLDER ...`'
        ) from error


def read_rows(folder: Path) -> dict[str, Row]:
    """Return the finished frames of all shards, by name; damaged lines are left out."""
    rows = {}
    for path in sorted(folder.glob('manifest-*.jsonl')):
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            row = row_from_json(line)
            if row is not None:
                rows[row.name] = row
    return rows


def place(kind: str, name: str) -> str:
    """Return the path of one file within the store; a name that would leave it is refused."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith('/') or '..' in parts or '\\' in name or '\0' in name:
        raise DataError(f'{name!r} cannot name label files: it must be a relative path')
    return f'{kind}/{name}.png'


def encode(kind: str, array: np.ndarray) -> bytes:
    """Return the PNG of one map."""
    if kind == 'depth':
        return depth_png(array)
    return png(array[..., ::-1] if kind == 'soft' else array)


def write_frame(
    folder: Path, name: str, maps: Mapping[str, np.ndarray], notes: Mapping[str, Any]
) -> Row:
    """Write the maps of one frame by their names in KINDS, all or none.

    Returns its row, which the caller hands to a ManifestWriter. Raises WriteError.
    """
    contents, files = {}, {}
    for kind, field_name in KINDS.items():
        if field_name in maps:
            path, data = place(kind, name), encode(kind, maps[field_name])
            contents[folder / path] = data
            files[kind] = (path, hashlib.sha256(data).hexdigest())
    if not files:
        raise ValueError(f'{name}: nothing to write; known are {", ".join(KINDS.values())}')
    sizes = [array.shape for name, array in maps.items() if name != KINDS['soft']]
    if not sizes:
        raise ValueError(f'{name}: soft labels come with labels of the full size')
    height, width = sizes[0]
    write_files(contents)
    return Row(name, (height, width), files, dict(notes))


def is_whole(folder: Path, row: Row) -> bool:
    """Tell whether all files of a row are there and have the hashes that it says."""
    for path, sha256 in row.files.values():
        try:
            data = (folder / path).read_bytes()
        except OSError:
            return False
        if hashlib.sha256(data).hexdigest() != sha256:
            return False
    return True


def read_frame(folder: Path, row: Row) -> dict[str, np.ndarray]:
    """Return the maps of one frame by Sample field name; DataError names a bad file.

    depth_m float32 metres, 0 = no value; label_id uint8, 255 = unlabelled; confidence uint8; each
    (H, W). soft_label (h, w, 3) uint8.
    """
    maps = {}
    for kind, (path, _) in row.files.items():
        file = folder / path
        if kind == 'depth':
            maps['depth_m'] = read_teacher_depth(file, row.size_hw)
        elif kind == 'label':
            maps['label_id'] = read_ids(TRAIN_IDS, file, row.size_hw)
        elif kind == 'soft':
            maps['soft_label'] = read_soft_label(file)
        else:
            maps['confidence'] = decode(file, -1)
    return maps


class ManifestWriter:
    """Appends the rows of one shard to its manifest; use it as a context manager."""

    def __init__(self, folder: Path, shard: int, shards: int) -> None:
        self.path = folder / f'manifest-{shard}-of-{shards}.jsonl'
        self.stream: TextIO | None = None

    def __enter__(self) -> ManifestWriter:
        if self.path.exists():
            self.repair()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = self.path.open('a', encoding='utf-8')
        return self

    def repair(self) -> None:
        """Drop damaged lines, so that the next one does not continue a half-written one."""
        lines = self.path.read_text(encoding='utf-8', errors='replace').splitlines()
        good = [line for line in lines if row_from_json(line) is not None]
        text = ''.join(f'{line}\n' for line in good)
        if text.encode() != self.path.read_bytes():
            write_files({self.path: text.encode()})

    def add(self, row: Row) -> None:
        """Append one row; it is on its way to the disk when this returns."""
        assert self.stream is not None
        self.stream.write(row.to_json() + '\n')
        self.stream.flush()

    def __exit__(self, *error: object) -> None:
        if self.stream is not None:
            os.fsync(self.stream.fileno())
            self.stream.close()
