# SPDX-License-Identifier: Apache-2.0
"""The drive that the demo plays: the built-in synthetic one, a folder of pictures, or a video."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from lightdepth_ros import files
from lightdepth_ros.camera import Camera
from lightdepth_ros.cli.camera import view_chooser
from lightdepth_ros.errors import DataError
from lightdepth_ros.perception.lens import Lens, ViewOf

SYNTHETIC_FRAMES = 60
SYNTHETIC_HW = (480, 720)
SYNTHETIC_SEED = 2
OWN_FRAMES = 300
"""How many frames are played of the user's pictures unless he says otherwise."""
FPS = 10.0

KITTI_FOV_DEG = 81.4
"""KITTI's colour cameras: focal length 721.5 px, images 1242 px wide."""
COMMON_FOV_DEG = 65.0


@dataclass(frozen=True)
class DriveFrame:
    """One frame to play.

    rgb       (H, W, 3) uint8.
    view      its calibration.
    depth_m   (H, W) float32, metres along Z, 0 = no value: the truth, where it is known.
    label_id  (H, W) uint8, Cityscapes train ids, 255 = unlabelled: likewise.
    """

    name: str
    rgb: np.ndarray
    view: Camera | Lens
    depth_m: np.ndarray | None = None
    label_id: np.ndarray | None = None


@dataclass(frozen=True)
class Drive:
    """Frames in order. total: how many are to come, 0 = unknown; note: what was assumed."""

    title: str
    note: str
    fps: float
    total: int
    frames: Iterator[DriveFrame]


def open_drive(args: argparse.Namespace) -> Drive:
    """Open what the flags ask for. Raises DataError, ConfigError or BadCameraError."""
    if args.images is None and args.video is None:
        return synthetic_drive(args.frames or SYNTHETIC_FRAMES)
    limit = args.frames or OWN_FRAMES
    fps = args.fps or FPS
    chosen = view_chooser(args, args.fov_deg)
    if args.video is not None:
        video = files.Video(args.video)
        pictures = ((f'frame {i}', rgb) for i, rgb in enumerate(video.frames()))
        title, total = f'the video {args.video}', video.frame_count
    else:
        paths = pictures_in(args.images)
        pictures = ((path.name, files.read_rgb(path)) for path in paths)
        title, total = f'the pictures in {args.images}', len(paths)
    frames, note = calibrated(pictures, chosen)
    return Drive(title, note, fps, min(total, limit), islice(frames, limit))


def synthetic_drive(count: int) -> Drive:
    """Open the built-in drive: rendered road scenes with exact depth and labels."""
    from training.datasets.synthetic import drive

    height, width = SYNTHETIC_HW
    samples = drive(SYNTHETIC_SEED, frames=count, fps=FPS, height=height, width=width)
    frames = (
        DriveFrame(s.name, s.rgb, s.camera, s.depth_m, s.label_id)
        for s in islice(samples, count)
        if s.camera is not None  # always: it is rendered
    )
    return Drive('the built-in synthetic drive', '', FPS, count, frames)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder in order; DataError if it is none or holds none."""
    if not folder.is_dir():
        raise DataError(f'{folder} is not a folder; give the one that holds the pictures')
    return files.images_in(folder)


def calibrated(
    pictures: Iterator[tuple[str, np.ndarray]], chosen: ViewOf | None
) -> tuple[Iterator[DriveFrame], str]:
    """Give each picture its calibration; without a chosen one, assume one and say so.

    The first picture is read to know what to assume. Raises DataError if there is none.
    """
    first = next(pictures, None)
    if first is None:
        raise DataError('there is not a single frame to play')
    note = ''
    if chosen is None:
        angle = assumed_fov_deg((first[1].shape[0], first[1].shape[1]))
        note = (
            f'No calibration was given: the camera is ASSUMED to see {angle:g} degrees from left '
            'to right. All metres scale with that. Give FX=pixels or FOV=degrees.'
        )

        def chosen(hw: tuple[int, int]) -> Camera:
            return Camera.from_fov(hw[1], hw[0], angle)

    return (DriveFrame(n, rgb, chosen(rgb.shape[:2])) for n, rgb in again(first, pictures)), note


def again(
    first: tuple[str, np.ndarray], rest: Iterator[tuple[str, np.ndarray]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Put a frame that was taken from an iterator back at its head."""
    yield first
    yield from rest


def assumed_fov_deg(hw: tuple[int, int]) -> float:
    """Guess the horizontal angle of an unknown camera: KITTI's by its odd size, else a common one.

    Webcams and front cameras see 60 to 70 degrees (nuScenes' front camera: 65).
    """
    height, width = hw
    kitti = 1216 <= width <= 1244 and 350 <= height <= 380
    return KITTI_FOV_DEG if kitti else COMMON_FOV_DEG
