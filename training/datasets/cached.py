# SPDX-License-Identifier: Apache-2.0
"""A data set whose samples are kept on disk once they were made (synthetic scenes cost 30 ms)."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.folders import cache_home
from lightdepth_ros.mount import Mount
from training.datasets.sample import Dataset, Sample

ARRAYS = ('rgb', 'depth_m', 'label_id')
PAIR = ('right_rgb', 'baseline_m')
"""Kept too where the data set makes stereo pairs."""
POSE = ('height_m', 'pitch_deg', 'roll_deg')
"""Kept as `pose` where the mount of the camera is known."""


def cache_root() -> Path:
    """Return the folder for things that can be made again: $XDG_CACHE_HOME/lightdepth_ros."""
    return cache_home() / 'lightdepth_ros'


def source_hash(folder: Path) -> str:
    """Return a short hash of the Python files in `folder`: other code, other cache."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Cached:
    """`dataset` with each sample's image, depth, labels, camera and mount kept as one .npz file.

    Files are written under a temporary name and renamed, so several processes may fill the same
    folder; a file that cannot be read is made again.
    """

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.dataset, self.folder = dataset, folder
        self.name = dataset.name
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        path = self.folder / f'{index:06d}.npz'
        if path.is_file():
            try:
                return self._read(path)
            except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
                path.unlink()  # half-written or from a full disk: make it again below
        sample = self.dataset[index]
        self._write(path, sample)
        return sample

    def _read(self, path: Path) -> Sample:
        with np.load(path, allow_pickle=False) as data:
            width, height = (int(v) for v in data['size'])
            camera = Camera(width, height, *(float(v) for v in data['intrinsics']))
            arrays = {name: data[name] for name in ARRAYS}
            if 'pose' in data:
                arrays['pose'] = Mount(*(float(v) for v in data['pose']))
            if PAIR[0] in data:
                arrays |= {'right_rgb': data['right_rgb'], 'baseline_m': float(data['baseline_m'])}
        return Sample(camera=camera, name=f'{self.name}-{path.stem}', **arrays)

    def _write(self, path: Path, sample: Sample) -> None:
        camera = sample.camera
        if camera is None:
            raise ValueError(f'{sample.name} has no camera; only calibrated samples are cached')
        names = ARRAYS if sample.right_rgb is None else ARRAYS + PAIR
        extra = {name: getattr(sample, name) for name in names}
        if sample.pose is not None:
            extra['pose'] = [getattr(sample.pose, name) for name in POSE]
        temporary = path.with_name(f'{path.stem}.{os.getpid()}.tmp')
        with temporary.open('wb') as file:
            np.savez(
                file, size=(camera.width, camera.height),
                intrinsics=(camera.fx, camera.fy, camera.cx, camera.cy),
                **extra,
            )  # fmt: skip
        temporary.replace(path)
