# SPDX-License-Identifier: Apache-2.0
"""KITTI's annotated depth (Uhrig et al., 3DV 2017): eleven scans accumulated and cleaned.

The depth zips hold no colour images: those come from KITTI raw, whose dates lie in the same root
or in `<root>/raw`. `depth_selection` brings its own images and intrinsics.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

from lightdepth_ros.errors import DataError
from training.datasets import files
from training.datasets.folders import list_images
from training.datasets.frames import Frame, Frames
from training.datasets.kitti_calib import CAMERA_HEIGHT_M, raw_cameras
from training.datasets.kitti_raw import RawFrame, check_images, eigen_list, read_split

TREE = """  <root>/train/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000005.png
  <root>/val/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_03/0000000005.png
  <root>/raw/2011_09_26/...   KITTI raw (or its dates right in <root>)
  <root>/depth_selection/val_selection_cropped/{image, groundtruth_depth, intrinsics}/"""

SELECTION = Path('depth_selection') / 'val_selection_cropped'


def raw_root(root: Path) -> Path:
    """Return where KITTI raw's dates lie."""
    return root if any(root.glob('????_??_??')) else root / 'raw'


def open_kitti_depth(root: Path, split: str) -> Frames:
    """Open train or val, both cameras."""
    name = f'kitti-depth-{split}'
    folder = files.require_folder(root / split, name, TREE)
    truths = sorted(folder.glob('*_sync/proj_depth/groundtruth/image_0[23]/*.png'))
    if not truths:
        raise DataError(f'{name}: no depth PNG lies in {folder}. A right tree looks like\n{TREE}')
    return annotated_frames(name, raw_root(root), [(frame_of(p), p) for p in truths])


def frame_of(truth: Path) -> RawFrame:
    """Return the raw frame that an annotated depth file belongs to."""
    drive = truth.parents[3].name
    return RawFrame(f'{drive[:10]}/{drive}', int(truth.stem), int(truth.parent.name[-1]))


def truth_of(raw: RawFrame, root: Path) -> Path | None:
    """Return the annotated depth file of a raw frame, in train or val; None = not annotated."""
    drive, camera = Path(raw.drive).name, f'image_0{raw.camera}'
    tail = Path(drive) / 'proj_depth' / 'groundtruth' / camera / f'{raw.index:010d}.png'
    return next((p for s in ('train', 'val') if (p := root / s / tail).is_file()), None)


def open_eigen_annotated(root: Path) -> Frames:
    """Open the frames of the Eigen test list that have annotated depth (652 of 697 in KITTI)."""
    name = 'kitti-eigen-test-annotated'
    raw = raw_root(files.require_folder(root, name, TREE))
    place = root if eigen_list(root, 'test').is_file() else raw
    listed = [(r, truth_of(r, root)) for r in read_split(eigen_list(place, 'test'))]
    pairs = [(r, truth) for r, truth in listed if truth is not None]
    if not pairs:
        raise DataError(f'{name}: no listed frame has depth. A right tree looks like\n{TREE}')
    return annotated_frames(name, raw, pairs)


def annotated_frames(name: str, raw: Path, pairs: list[tuple[RawFrame, Path]]) -> Frames:
    """Return the data set of (raw frame, annotated depth file) pairs."""
    check_images(name, raw, [r for r, _ in pairs])
    cameras = lru_cache(maxsize=None)(lambda date: raw_cameras(raw / date))
    frames = []
    for r, truth in pairs:
        camera = cameras(r.drive.partition('/')[0])[r.camera]
        depth = partial(files.read_depth, truth)
        image = r.image(raw, r.camera)
        frames.append(Frame(r.name, image, camera.intrinsics, depth, height_m=CAMERA_HEIGHT_M))
    return Frames(name, frames)


def open_selection(root: Path) -> Frames:
    """Open the 1,000 selected validation frames, 1216x352."""
    folder = root / SELECTION
    images = list_images(folder / 'image', 'kitti-depth-selection', TREE)
    return Frames('kitti-depth-selection', [selected_frame(p, folder) for p in images])


def selected_frame(image: Path, folder: Path) -> Frame:
    """Return the frame of one selected image."""
    truth = image.name.replace('_sync_image_', '_sync_groundtruth_depth_')
    depth = partial(files.read_depth, folder / 'groundtruth_depth' / truth)
    intrinsics = read_intrinsics(folder / 'intrinsics' / f'{image.stem}.txt')
    return Frame(image.stem, image, intrinsics, depth, height_m=CAMERA_HEIGHT_M)


def read_intrinsics(path: Path) -> tuple[float, float, float, float]:
    """Return (fx, fy, cx, cy) of a file with the nine numbers of K."""
    try:
        k = [float(word) for word in path.read_text().split()]
    except (OSError, ValueError) as error:
        raise DataError(f'cannot read the nine numbers of K in {path}: {error}') from error
    if len(k) != 9:
        raise DataError(f'{path} holds {len(k)} numbers; K has nine')
    return k[0], k[4], k[2], k[5]
