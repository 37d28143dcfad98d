# SPDX-License-Identifier: Apache-2.0
"""Frames: the data set of everything that lies on disk as one image and its truth files.

A data set's own file only finds the files and says how each is read; this one reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import DataError
from lightdepth_ros.mount import Mount
from training.datasets.files import read_rgb, read_soft_label
from training.datasets.sample import Dataset, RoughMount, Sample

Reader = Callable[[tuple[int, int]], np.ndarray]
"""Reads one truth map; it is told the camera image's (height, width) and returns that size."""


@dataclass(frozen=True)
class Frame:
    """Where one sample comes from. Readers are picklable (functools.partial of a function).

    name        unique within the data set.
    image       image file.
    intrinsics  (fx, fy, cx, cy) in pixels of the image; None = not calibrated.
    depth, teacher_depth, label, nav7   readers of the Sample fields of that name, or None.
    right, baseline_m                   right-hand image file and metres between the cameras.
    size_hw     (height, width) that the intrinsics belong to, checked when given.
    mount       how the camera is mounted, or None.
    resize_hw   bring an uncalibrated, squeezed image to this size, so that pixels are square.
    soft_label  file of the Sample field of that name, or None.
    height_m, pose                      the Sample fields of these names, or None.
    place       where it was recorded (a drive, a street, a scene), for splits by place; '' =
                not known.
    """

    name: str
    image: Path
    intrinsics: tuple[float, float, float, float] | None = None
    depth: Reader | None = None
    teacher_depth: Reader | None = None
    label: Reader | None = None
    nav7: Reader | None = None
    right: Path | None = None
    baseline_m: float | None = None
    size_hw: tuple[int, int] | None = None
    mount: RoughMount | None = None
    resize_hw: tuple[int, int] | None = None
    soft_label: Path | None = None
    height_m: float | None = None
    pose: Mount | None = None
    place: str = ''


class Frames:
    """A sequence of samples read from disk when asked for."""

    def __init__(self, name: str, frames: Sequence[Frame]) -> None:
        self.name = name
        self.frames = list(frames)
        if not self.frames:
            raise DataError(f'{name}: no frames were found')

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        return read_frame(self.frames[index])


class Joined:
    """Several data sets one after the other; names are prefixed with the data set's name."""

    def __init__(self, name: str, parts: Sequence[Dataset]) -> None:
        self.name = name
        self.parts = list(parts)
        self.ends = np.cumsum([len(p) for p in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f'{self.name} has {len(self)} samples; there is no number {index}')
        index %= len(self)
        part = int(np.searchsorted(self.ends, index, side='right'))
        start = int(self.ends[part - 1]) if part else 0
        sample = self.parts[part][index - start]
        return replace(sample, name=f'{self.parts[part].name}/{sample.name}')


def read_frame(frame: Frame) -> Sample:
    """Read one frame from disk; every error names the file."""
    rgb = read_rgb(frame.image)
    hw = rgb.shape[:2]
    if frame.size_hw and frame.size_hw != hw:
        raise DataError(
            f'{frame.image} is {hw[1]}x{hw[0]}, but its intrinsics belong to an image of '
            f'{frame.size_hw[1]}x{frame.size_hw[0]}: was it resized after calibration?'
        )

    def read(reader: Reader | None) -> np.ndarray | None:
        return None if reader is None else reader(hw)

    sample = Sample(
        rgb=rgb,
        camera=Camera(hw[1], hw[0], *frame.intrinsics) if frame.intrinsics else None,
        depth_m=read(frame.depth),
        label_id=read(frame.label),
        name=frame.name,
        teacher_depth_m=read(frame.teacher_depth),
        right_rgb=read_rgb(frame.right) if frame.right else None,
        baseline_m=frame.baseline_m,
        nav7_id=read(frame.nav7),
        mount=frame.mount,
        soft_label=read_soft_label(frame.soft_label) if frame.soft_label else None,
        height_m=frame.height_m,
        pose=frame.pose,
    )
    return resized(sample, frame.resize_hw) if frame.resize_hw else sample


def resized(sample: Sample, hw: tuple[int, int]) -> Sample:
    """Resample image (bilinear) and truth maps (nearest) of an uncalibrated sample to `hw`.

    Soft labels keep their own size: they cover the whole image whatever that is.
    """

    def nearest(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        return cv2.resize(array, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)

    return replace(
        sample,
        rgb=cv2.resize(sample.rgb, hw[::-1], interpolation=cv2.INTER_LINEAR),
        depth_m=nearest(sample.depth_m),
        teacher_depth_m=nearest(sample.teacher_depth_m),
        label_id=nearest(sample.label_id),
        nav7_id=nearest(sample.nav7_id),
    )
