# SPDX-License-Identifier: Apache-2.0
"""The table of data sets. Every script opens its data with `open_dataset`.

A source is written NAME, NAME@FOLDER (its own root; for the manifests the CSV file or its folder),
or several joined by +, as in kitti-train+kitti-extra. A %STORE after any of them adds the
pseudo-labels that `make_labels` wrote, as in kitti-eigen-train%labels/psmnet; %STORE may be
repeated (depth from one teacher, labels from another). Modules are imported when first opened.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from lightdepth_ros.errors import DataError
from training.datasets.frames import Joined
from training.datasets.sample import Dataset

REPOSITORY = Path(__file__).resolve().parents[2]


def default_root() -> Path:
    """Return the data folder: LIGHTDEPTH_DATA, else shared/data beside the repository."""
    return Path(os.environ.get('LIGHTDEPTH_DATA') or REPOSITORY.parent / 'shared' / 'data')


class Opener(NamedTuple):
    """`function(root, *arguments)` of `training.datasets.<module>` opens the data set."""

    about: str
    module: str
    function: str
    arguments: tuple[str | bool, ...] = ()


OPENERS = {
    'synthetic': Opener('procedural road scenes, exact truth; needs no folder', '', ''),
    'synthetic-stereo': Opener('300 pairs of such scenes, lidar instead of exact depth', '', ''),
    'synthetic-val': Opener('60 other scenes, exact truth', '', ''),
    'synthetic-robot': Opener('2,500 scenes of low cameras and rooms, exact truth', '', ''),
    'synthetic-robot-val': Opener('80 other scenes of these', '', ''),
    # The development data folder.
    'kitti-train': Opener(
        'KITTI frames with lidar and teachers', 'kitti', 'open_kitti', ('train',)
    ),
    'kitti-extra': Opener('a slow KITTI drive, same', 'kitti', 'open_kitti', ('extra',)),
    'kitti-val': Opener('five other KITTI drives, lidar', 'kitti', 'open_kitti', ('val',)),
    'kitti-unlabelled': Opener(
        'consecutive frames, teachers only', 'kitti', 'open_kitti', ('unlabelled',)
    ),
    'kitti-road': Opener('scattered stills, teachers only', 'kitti', 'open_kitti', ('road',)),
    'kitti-stereo': Opener('stereo pairs, two with lidar', 'kitti', 'open_kitti', ('stereo',)),
    'camvid-train': Opener('CamVid, 19 and 7 classes', 'camvid', 'open_camvid', ('train',)),
    'camvid-val': Opener('CamVid, 7 classes', 'camvid', 'open_camvid', ('val',)),
    'camvid-other-train': Opener(
        'camvid-train less one sequence', 'camvid', 'open_other_sequences'
    ),
    'camvid-seq-val': Opener('that sequence, 7 classes', 'camvid', 'open_sequence_aside'),
    'idd-train': Opener('IDD Lite, 19 and 7 classes', 'idd', 'open_idd'),
    'idd-part-train': Opener('idd-train less some sequences', 'idd', 'open_idd_part', ('train',)),
    'idd-part-val': Opener('those sequences, 7 classes', 'idd', 'open_idd_part', ('val',)),
    'nuscenes-front': Opener(
        'nuScenes front camera, teacher labels', 'nuscenes_front', 'open_nuscenes_front'
    ),
    'more-kitti': Opener('more scattered KITTI, teachers', 'more', 'open_more', ('kitti',)),
    'more-grey': Opener('a grey KITTI drive, teacher labels', 'more', 'open_more', ('grey',)),
    'more-semantics': Opener(
        'KITTI with true labels, teacher depth', 'more', 'open_more', ('semantics',)
    ),
    'more-stereo': Opener('grey stereo pairs for a teacher', 'more', 'open_more', ('stereo',)),
    'more-rigs': Opener('other cars, lidar, teacher labels', 'more', 'open_more', ('rigs',)),
    'more-rigs-train': Opener(
        'DDAD and nuScenes of these', 'more', 'open_more', ('rigs', 'train')
    ),
    'more-rigs-val': Opener(
        'PandaSet and KITTI-360 of these', 'more', 'open_more', ('rigs', 'val')
    ),
    'more-nuscenes': Opener(
        'calibrated nuScenes, teacher labels', 'more', 'open_more', ('nuscenes',)
    ),
    'more-nuscenes-train': Opener(
        'some of its drives', 'more', 'open_more', ('nuscenes', 'train')
    ),
    'more-nuscenes-val': Opener('its other drives', 'more', 'open_more', ('nuscenes', 'val')),
    'robots': Opener('three rooms with depth, hand-held', 'more', 'open_robots'),
    # Data sets as their makers ship them; the root is their own folder.
    'kitti-raw': Opener('every KITTI raw drive', 'kitti_raw', 'open_kitti_raw'),
    'kitti-raw-stereo': Opener('same, with right images', 'kitti_raw', 'open_kitti_raw', (True,)),
    'kitti-eigen-train': Opener('Eigen split, lidar', 'kitti_raw', 'open_eigen', ('train',)),
    'kitti-eigen-train-stereo': Opener(
        'same, with right images', 'kitti_raw', 'open_eigen', ('train', True)
    ),
    'kitti-eigen-val': Opener('Eigen split, lidar', 'kitti_raw', 'open_eigen', ('val',)),
    'kitti-eigen-test': Opener(
        'Eigen split, lidar as published numbers use it', 'kitti_raw', 'open_eigen', ('test',)
    ),
    'kitti-eigen-test-annotated': Opener(
        'Eigen test frames with accumulated depth', 'kitti_depth', 'open_eigen_annotated'
    ),
    'kitti-depth-train': Opener(
        'KITTI accumulated depth', 'kitti_depth', 'open_kitti_depth', ('train',)
    ),
    'kitti-depth-val': Opener(
        'KITTI accumulated depth', 'kitti_depth', 'open_kitti_depth', ('val',)
    ),
    'kitti-depth-selection': Opener(
        'its 1,000 selected validation frames', 'kitti_depth', 'open_selection'
    ),
    'kitti-object-train': Opener(
        'KITTI object benchmark, lidar', 'kitti_object', 'open_kitti_object', ('training',)
    ),
    'kitti-object-train-stereo': Opener(
        'same, with right images', 'kitti_object', 'open_kitti_object', ('training', True)
    ),
    'kitti-object-test': Opener(
        'KITTI object benchmark, lidar', 'kitti_object', 'open_kitti_object', ('testing',)
    ),
    'cityscapes-train': Opener(
        'labels, depth from disparity', 'cityscapes', 'open_cityscapes', ('train',)
    ),
    'cityscapes-train-stereo': Opener(
        'same, with right images', 'cityscapes', 'open_cityscapes', ('train', True)
    ),
    'cityscapes-val': Opener(
        'labels, depth from disparity', 'cityscapes', 'open_cityscapes', ('val',)
    ),
    # Your own data.
    'manifest': Opener('any frames listed in a CSV file', 'manifest', 'open_rows'),
    'manifest-train': Opener('its rows of split "train"', 'manifest', 'open_rows', ('train',)),
    'manifest-val': Opener('its rows of split "val"', 'manifest', 'open_rows', ('val',)),
}

ALIASES = {
    'kitti': 'kitti-train+kitti-extra+kitti-unlabelled+kitti-road',
    'camvid': 'camvid-train',
    'idd': 'idd-train',
    'nuscenes': 'nuscenes-front',
}
"""Short names for what a student may learn from."""


def cached_scenes(name: str) -> Dataset:
    """Open synthetic scenes; each is kept in the cache folder once it was rendered."""
    from training.datasets.cached import Cached, cache_root, source_hash
    from training.datasets.synthetic import SyntheticScenes
    from training.datasets.synthetic.robots import RobotScenes
    from training.datasets.synthetic_lidar import LidarScenes

    folder = REPOSITORY / 'training' / 'datasets' / 'synthetic'
    code = source_hash(folder)
    if 'robot' in name:
        code += source_hash(folder / 'robots')
    scenes: Dataset = {
        'synthetic': SyntheticScenes,
        'synthetic-stereo': partial(LidarScenes, 300, seed=5),
        'synthetic-val': partial(SyntheticScenes, 60, seed=6),
        'synthetic-robot': partial(RobotScenes, 2500, seed=40),
        'synthetic-robot-val': partial(RobotScenes, 80, seed=41),
    }[name]()
    return Cached(scenes, cache_root() / name / code)


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """Open a source; `root` defaults to `default_root()`. Files are read when samples are."""
    parts = [open_one(part, root) for part in ALIASES.get(name, name).split('+')]
    return parts[0] if len(parts) == 1 else Joined(name, parts)


def open_one(text: str, root: Path | None) -> Dataset:
    """Open NAME or NAME@FOLDER, with the labels of %STORE ... where given."""
    source, *stores = text.strip().split('%')
    dataset = open_source(source, root)
    for store in stores:
        from training.labels.labelled import Labelled

        dataset = Labelled(dataset, Path(store).expanduser())
    return dataset


def open_source(text: str, root: Path | None) -> Dataset:
    """Open NAME or NAME@FOLDER."""
    name, _, folder = text.partition('@')
    if name not in OPENERS:
        raise DataError(
            f'there is no data set {name!r}; there are {", ".join(OPENERS)}, the short names '
            f'{", ".join(ALIASES)}, and NAME@FOLDER to say where one lies'
        )
    if name.startswith('synthetic'):
        return cached_scenes(name)
    opener = OPENERS[name]
    function = getattr(import_module(f'training.datasets.{opener.module}'), opener.function)
    opened: Dataset = function(
        Path(folder).expanduser() if folder else root or default_root(), *opener.arguments
    )
    return opened


def describe() -> str:
    """Return the table as text, one data set a line."""
    lines = [f'  {name:27} {opener.about}' for name, opener in OPENERS.items()]
    return '\n'.join(lines + [f'  {short:27} = {long}' for short, long in ALIASES.items()])
