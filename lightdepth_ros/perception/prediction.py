# SPDX-License-Identifier: Apache-2.0
"""What one frame gives: aligned depth, labels and confidence with the camera they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount


@dataclass(frozen=True)
class Prediction:
    """Aligned results of one frame at the network's output size (h, w).

    depth_m     (h, w) float32, metres along Z; NaN = unknown, +Inf = sky or beyond range
                (REP-117).
    label_id    (h, w) uint8, Cityscapes train ids; 255 = unlabelled. None when labels were not
                asked for.
    confidence  (h, w) uint8, 0..255: the predicted chance, times 255, that the depth lies within
                a factor
                1.25 of the truth. None when it was not asked for.
    camera      intrinsics for the (h, w) grid; None for an uncalibrated camera.
    mount       where the camera stood over level ground; None = not known.
    """

    depth_m: np.ndarray
    label_id: np.ndarray | None
    confidence: np.ndarray | None
    camera: Camera | None
    mount: Mount | None = None

    def __post_init__(self) -> None:
        hw = self.depth_m.shape
        if self.depth_m.ndim != 2 or self.depth_m.dtype != np.float32:
            raise ValueError(f'depth_m must be (h, w) float32, got {self.depth_m.dtype} {hw}')
        for name in ('label_id', 'confidence'):
            array = getattr(self, name)
            if array is not None and (array.shape != hw or array.dtype != np.uint8):
                raise ValueError(f'{name} must be {hw} uint8, got {array.shape} {array.dtype}')
        if self.camera is not None and self.camera.size_hw != hw:
            raise ValueError(f'camera is for {self.camera.size_hw}, depth is {hw}')
