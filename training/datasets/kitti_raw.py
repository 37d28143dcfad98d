# SPDX-License-Identifier: Apache-2.0
"""KITTI raw as it is shipped ("synced+rectified"), by split list or whole.

A split list is a text file with one frame a line, in either public form:

    2011_09_26/2011_09_26_drive_0002_sync 0000000069 l
    2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png [more columns, ignored]

`l` is camera image_02, `r` is image_03. Sensor depth is that frame's Velodyne scan projected into
the listed camera, nearest return per pixel. Where KITTI has no scan (drive 0009 misses four), the
frame comes without depth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from lightdepth_ros.errors import DataError
from training.datasets import lidar
from training.datasets.files import require_folder
from training.datasets.frames import Frame, Frames
from training.datasets.kitti_calib import CAMERA_HEIGHT_M, KittiCamera, baseline_m, raw_cameras

TREE = """  <root>/2011_09_26/calib_cam_to_cam.txt, calib_velo_to_cam.txt
  <root>/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png (or .jpg)
  <root>/2011_09_26/2011_09_26_drive_0001_sync/image_03/data/0000000000.png
  <root>/2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000000.bin
  <root>/splits/eigen_train_files.txt, eigen_val_files.txt, eigen_test_files.txt   (your lists)"""

SIDES = {'l': 2, 'r': 3}

BY_SIDE = re.compile(r'^(\d{4}_\d\d_\d\d/[^/\s]+)/? (\d+) ([lr])$')
BY_PATH = re.compile(r'^(\d{4}_\d\d_\d\d/[^/\s]+)/image_0([23])/data/(\d+)\.(?:png|jpg)(\s|$)')


@dataclass(frozen=True)
class RawFrame:
    """One frame of one drive: drive is "date/drive folder", camera is 2 (left) or 3 (right)."""

    drive: str
    index: int
    camera: int

    def image(self, root: Path, camera: int) -> Path:
        """Return the image file: .png as shipped, else .jpg."""
        png = root / self.drive / f'image_0{camera}' / 'data' / f'{self.index:010d}.png'
        jpg = png.with_suffix('.jpg')
        return jpg if jpg.is_file() and not png.is_file() else png

    def scan(self, root: Path) -> Path:
        """Return the Velodyne file."""
        return root / self.drive / 'velodyne_points' / 'data' / f'{self.index:010d}.bin'

    @property
    def name(self) -> str:
        """Return drive, camera and number in one word."""
        return f'{Path(self.drive).name}_0{self.camera}_{self.index:010d}'


def parse_line(line: str, where: str) -> RawFrame:
    """Return the frame that a line of a split list names."""
    words = ' '.join(line.split())
    if by_side := BY_SIDE.match(words):
        return RawFrame(by_side[1], int(by_side[2]), SIDES[by_side[3]])
    if by_path := BY_PATH.match(words):
        return RawFrame(by_path[1], int(by_path[3]), int(by_path[2]))
    raise DataError(
        f'{where} reads {line!r}. A line names a frame as "2011_09_26/2011_09_26_drive_0002_sync '
        '69 l" or as ".../image_02/data/0000000069.png"'
    )


def read_split(path: Path) -> list[RawFrame]:
    """Return the frames of a split list."""
    if not path.is_file():
        raise DataError(
            f'there is no split list {path}. The Eigen lists are public: save them there, one '
            'frame a line, as "2011_09_26/2011_09_26_drive_0002_sync 69 l"'
        )
    lines = path.read_text().splitlines()
    return [parse_line(t, f'{path}, line {n}') for n, t in enumerate(lines, 1) if t.strip()]


def frames_on_disk(root: Path) -> list[RawFrame]:
    """Return every frame of the left colour camera below `root`."""
    images = sorted(root.glob('????_??_??/*_sync/image_02/data/*.*'))
    drives = [(p.relative_to(root).parents[2].as_posix(), p.stem) for p in images]
    return [RawFrame(drive, int(stem), 2) for drive, stem in dict.fromkeys(drives)]


def open_kitti_raw(root: Path, stereo: bool = False) -> Frames:
    """Open every drive below `root`."""
    require_folder(root, 'kitti-raw', TREE)
    listed = frames_on_disk(root)
    if not listed:
        raise DataError(f'kitti-raw: no drive lies in {root}. A right tree looks like\n{TREE}')
    return open_frames('kitti-raw', root, listed, stereo)


def open_eigen(root: Path, split: str, stereo: bool = False) -> Frames:
    """Open train, val or test of the Eigen split by the list in `<root>/splits`.

    "test" carries depth in the 'eigen' convention (see lidar.Convention), so that its numbers can
    stand beside published ones; "train" and "val" carry depth along Z.
    """
    require_folder(root, f'kitti-eigen-{split}', TREE)
    listed = read_split(eigen_list(root, split))
    convention: lidar.Convention = 'eigen' if split == 'test' else 'camera'
    return open_frames(f'kitti-eigen-{split}', root, listed, stereo, convention)


def eigen_list(root: Path, split: str) -> Path:
    """Return where the list of a split is looked for."""
    return root / 'splits' / f'eigen_{split}_files.txt'


def open_frames(
    name: str,
    root: Path,
    listed: list[RawFrame],
    stereo: bool = False,
    convention: lidar.Convention = 'camera',
) -> Frames:
    """Open the listed frames. stereo: with the right-hand image (left frames only)."""
    check_images(name, root, listed)
    cameras = lru_cache(maxsize=None)(lambda date: raw_cameras(root / date))
    frames = []
    for raw in listed:
        frame = raw_frame(raw, root, cameras(raw.drive.partition('/')[0]), stereo, convention)
        frames.append(frame)
    return Frames(name, frames)


def check_images(name: str, root: Path, listed: list[RawFrame]) -> None:
    """Refuse a list whose images are not all there: numbers on a part would mislead."""
    missing = [r for r in listed if not r.image(root, r.camera).is_file()]
    if missing:
        raise DataError(
            f'{name}: {len(missing)} of {len(listed)} listed images are missing, first '
            f'{missing[0].image(root, missing[0].camera)}. A right tree looks like\n{TREE}'
        )


def raw_frame(
    raw: RawFrame,
    root: Path,
    cameras: dict[int, KittiCamera],
    stereo: bool,
    convention: lidar.Convention,
) -> Frame:
    """Return the Frame of one listed frame."""
    camera, scan = cameras[raw.camera], raw.scan(root)
    pair = stereo and raw.camera == SIDES['l']
    read = partial(lidar.read_projected, camera.from_lidar, convention, scan)
    return Frame(
        name=raw.name,
        image=raw.image(root, raw.camera),
        intrinsics=camera.intrinsics,
        height_m=CAMERA_HEIGHT_M,
        depth=read if scan.is_file() else None,
        right=raw.image(root, SIDES['r']) if pair else None,
        baseline_m=baseline_m(camera, cameras[SIDES['r']]) if pair else None,
    )
