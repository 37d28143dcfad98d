# SPDX-License-Identifier: Apache-2.0
"""The table of data sets: name -> opener. Every script opens its data with `open_dataset`.

A source is written NAME, NAME@FOLDER (its own folder instead of the common root; for "manifest"
the CSV file), or several joined by +, as in kitti-train+kitti-extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lightdepth_ros.errors import DataError
from training.datasets.frames import Joined
from training.datasets.sample import Dataset

REPOSITORY = Path(__file__).resolve().parents[2]


def default_root() -> Path:
    """Return the data folder: LIGHTDEPTH_DATA, else shared/data beside the repository."""
    return Path(os.environ.get('LIGHTDEPTH_DATA') or REPOSITORY.parent / 'shared' / 'data')


def kitti(split: str) -> Callable[[Path], Dataset]:
    """Return the opener of a split of kitti.py."""

    def opener(root: Path) -> Dataset:
        from training.datasets.kitti import open_kitti

        return open_kitti(root, split)

    return opener


def camvid(split: str) -> Callable[[Path], Dataset]:
    """Return the opener of a split of camvid.py."""

    def opener(root: Path) -> Dataset:
        from training.datasets.camvid import open_camvid

        return open_camvid(root, split)

    return opener


def idd(root: Path) -> Dataset:
    """Open idd.py."""
    from training.datasets.idd import open_idd

    return open_idd(root)


def nuscenes_front(root: Path) -> Dataset:
    """Open nuscenes_front.py."""
    from training.datasets.nuscenes_front import open_nuscenes_front

    return open_nuscenes_front(root)


def synthetic(root: Path) -> Dataset:
    """Make synthetic road scenes; needs no folder."""
    from training.datasets.synthetic import SyntheticScenes

    return SyntheticScenes()


def manifest(path: Path) -> Dataset:
    """Open a CSV manifest, or the manifest.csv of a folder."""
    from training.datasets.manifest import open_manifest

    return open_manifest(path / 'manifest.csv' if path.is_dir() else path)


OPENERS: dict[str, Callable[[Path], Dataset]] = {
    'synthetic': synthetic,
    'kitti-train': kitti('train'),
    'kitti-extra': kitti('extra'),
    'kitti-val': kitti('val'),
    'kitti-unlabelled': kitti('unlabelled'),
    'kitti-road': kitti('road'),
    'kitti-stereo': kitti('stereo'),
    'camvid-train': camvid('train'),
    'camvid-val': camvid('val'),
    'idd-train': idd,
    'nuscenes-front': nuscenes_front,
    'manifest': manifest,
}

ALIASES = {
    'kitti': 'kitti-train+kitti-extra+kitti-unlabelled+kitti-road',
    'camvid': 'camvid-train',
    'idd': 'idd-train',
    'nuscenes': 'nuscenes-front',
}
"""Short names for what a student may learn from."""


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """Open a source; `root` defaults to `default_root()`. Files are read when samples are."""
    parts = [open_one(part, root) for part in ALIASES.get(name, name).split('+')]
    return parts[0] if len(parts) == 1 else Joined(name, parts)


def open_one(text: str, root: Path | None) -> Dataset:
    """Open NAME or NAME@FOLDER."""
    name, _, folder = text.strip().partition('@')
    if name not in OPENERS:
        raise DataError(
            f'there is no data set {name!r}; there are {", ".join(OPENERS)}, the short names '
            f'{", ".join(ALIASES)}, and NAME@FOLDER to say where one lies'
        )
    return OPENERS[name](Path(folder).expanduser() if folder else root or default_root())
