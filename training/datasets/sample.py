# SPDX-License-Identifier: Apache-2.0
"""Sample: the one shape in which every data set hands out a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount

GUESSED_HEIGHT_M = 1.65
"""Height of a car's camera that nobody has measured: KITTI's, so that a guess never argues with
the scale that KITTI's lidar teaches."""


@dataclass(frozen=True)
class RoughMount:
    """How a camera without depth truth is mounted, roughly: see training.crops.ground.

    horizon: row of the level horizon, as a share of the image height. height_m: above the ground.
    """

    horizon: float
    height_m: float


@dataclass(frozen=True)
class Sample:
    """One frame with whatever truth its data set has.

    rgb            (H, W, 3) uint8, RGB.
    camera         intrinsics of `rgb`; None = not calibrated (then depth is learnt up to scale
                   only).
    depth_m        (H, W) float32, metres along Z from a sensor or a renderer; 0 = no value. None
                   = no depth truth.
    teacher_depth_m (H, W) float32, metres along Z from a teacher (dense, less exact); 0 = no
    value. None = none.
    label_id       (H, W) uint8, Cityscapes train ids; 255 = unlabelled. None = no labels.
    name           unique within the data set: used in file names, manifests and error messages.
    right_rgb      (H, W, 3) uint8, the right-hand image of a rectified stereo pair, or None.
    baseline_m     distance between the two cameras in metres, or None.
    nav7_id        (H, W) uint8, coarse class truth (lightdepth_ros.classes.NAV7_NAMES); 255 =
                   unlabelled. Filled where a data set has human coarse labels (CamVid, IDD), whose
                   fine `label_id` may be a teacher's guess or missing. None = no coarse truth.
    mount          how the camera is mounted, roughly, or None.
    pose           exact or fitted pose of the camera over the ground; None = unknown.
    trust          factor on the weight of everything this sample says about depth.
    soft_label     (h, w, 3) uint8, a teacher's two likeliest classes at a size of its own (usually
                   a quarter of the image's): id of the first, id of the second, and the first's
                   share 255 * p1 / (p1 + p2). All three 255 = no value. None = no soft labels.
    height_m       height of the camera over the ground in metres, where the makers of the data
                   set say it, or None. A guessed or fitted height belongs in `mount` or `pose`.
    """

    rgb: np.ndarray
    camera: Camera | None
    depth_m: np.ndarray | None
    label_id: np.ndarray | None
    name: str
    teacher_depth_m: np.ndarray | None = None
    right_rgb: np.ndarray | None = None
    baseline_m: float | None = None
    nav7_id: np.ndarray | None = None
    mount: RoughMount | None = None
    pose: Mount | None = None
    trust: float = 1.0
    soft_label: np.ndarray | None = None
    height_m: float | None = None


class Dataset(Protocol):
    """A data set: a sequence of samples, read from disk (or made) when asked for."""

    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
