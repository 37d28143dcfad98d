# SPDX-License-Identifier: Apache-2.0
"""The classes of a model that does not carry their names: a CSV or JSON file beside it.

One row for each score that the model gives, in its order:

    name,ours              or JSON   {"wall": "wall",
    wall,wall                         "road, route": "road",
    "road, route",road                "ceiling": null}
    ceiling,

`ours` is a class of lightdepth_ros.classes; empty or null = none of them. A CSV file without the
column `ours`, or a JSON list of names, is matched by the names alone (label_space.py knows those
of Cityscapes, ADE20K, VOC, COCO, Vistas and CamVid).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.classes import CLASS_ID, CLASSES
from lightdepth_ros.errors import DataError
from training.teachers.label_space import LabelSpace, map_names

ENDINGS = ('.csv', '.json')


def find_table(model: Path, asked: str) -> Path:
    """Return the file that is asked for, or the one that lies beside the model."""
    if asked:
        return Path(asked).expanduser()
    beside = [model.with_suffix(ending) for ending in ENDINGS]
    for path in beside:
        if path.is_file():
            return path
    raise DataError(
        f'there is no table of the classes of {model}: write {beside[0].name} or {beside[1].name} '
        'beside it, or name a file with the option classes=FILE. '
        'training/teachers/class_table.py describes it'
    )


def read_table(path: Path) -> LabelSpace:
    """Read the table of a model's classes."""
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'cannot read the table of classes {path}: {error}') from error
    pairs = json_pairs(text, path) if path.suffix == '.json' else csv_pairs(text, path)
    if not pairs:
        raise DataError(f'{path} names no class')
    space = by_names(pairs) if isinstance(pairs[0], str) else by_pairs(pairs, path)
    if not space.matrix.any():
        names = ', '.join(space.unmapped[:5])
        raise DataError(f'{path}: none of its classes is one of ours ({names}, ...)')
    return space


def json_pairs(text: str, path: Path) -> list[Any]:
    """Return the names, or (name, ours or None) of each class."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError(f'{path} is no JSON: {error}') from error
    if isinstance(data, list) and all(isinstance(name, str) for name in data):
        return data
    if isinstance(data, dict) and all(v is None or isinstance(v, str) for v in data.values()):
        return list(data.items())
    raise DataError(
        f'{path}: a list of names is expected, or an object from each name to one of our classes '
        'or null'
    )


def csv_pairs(text: str, path: Path) -> list[Any]:
    """Return the names, or (name, ours or None) of each class."""
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = reader.fieldnames or []
    if 'name' not in columns:
        raise DataError(f'{path} has no column "name"; its columns are {list(columns)}')
    rows = list(reader)
    if 'ours' not in columns:
        return [row['name'] for row in rows]
    return [(row['name'], (row['ours'] or '').strip() or None) for row in rows]


def by_names(names: list[str]) -> LabelSpace:
    """Match classes by what they are called."""
    return map_names(dict(enumerate(names)))


def by_pairs(pairs: list[tuple[str, str | None]], path: Path) -> LabelSpace:
    """Take each class for the one that the table says."""
    matrix = np.zeros((len(CLASSES), len(pairs)), np.float32)
    for column, (name, ours) in enumerate(pairs):
        if ours is None:
            continue
        if ours not in CLASS_ID:
            raise DataError(
                f'{path}: {name!r} is said to be {ours!r}, which is no class here; there are '
                f'{", ".join(CLASS_ID)}, or nothing'
            )
        matrix[CLASS_ID[ours], column] = 1
    return LabelSpace(matrix, tuple(name for name, ours in pairs if ours is None))
