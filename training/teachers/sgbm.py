# SPDX-License-Identifier: Apache-2.0
"""The stereo teacher without weights: semi-global matching (Hirschmüller, CVPR 2005) of OpenCV.

It answers only where left and right agree (about four pixels in five on KITTI); the rest has no
value. Limits of stereo: stereo.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from lightdepth_ros.errors import ConfigError
from training.datasets.sample import Sample
from training.teachers.stereo import depth_from_disparity, require_pair
from training.teachers.teacher import TeacherOutput, read_options

FIXED_POINT = 16
"""OpenCV returns disparity in sixteenths of a pixel."""


@dataclass(frozen=True)
class SgbmOptions:
    """disparities: how many are tried, a multiple of 16; 128 px is 3 m on KITTI.

    block_px: side of the compared window, odd. uniqueness: percent by which the best match must
    beat the second. speckle_px: smaller islands of disparity are dropped.
    """

    disparities: int = 128
    block_px: int = 5
    uniqueness: int = 5
    speckle_px: int = 100

    def __post_init__(self) -> None:
        if self.disparities <= 0 or self.disparities % 16:
            raise ConfigError(f'disparities is {self.disparities}; it must be a multiple of 16')
        if self.block_px < 1 or self.block_px % 2 == 0:
            raise ConfigError(f'block_px is {self.block_px}; it must be odd')


class SgbmTeacher:
    """Calling it with a stereo sample gives depth; it has no confidence of its own."""

    name = 'sgbm'
    weights_sha256 = ''

    def __init__(self, options: SgbmOptions) -> None:
        self.settings = options
        self.options = asdict(options) | {'opencv': cv2.__version__}
        penalty = 3 * options.block_px**2  # channels x window, as OpenCV advises
        self.matcher = cv2.StereoSGBM_create(
            minDisparity=0, numDisparities=options.disparities, blockSize=options.block_px,
            P1=8 * penalty, P2=32 * penalty, disp12MaxDiff=1, preFilterCap=15,
            uniquenessRatio=options.uniqueness, speckleWindowSize=options.speckle_px,
            speckleRange=2, mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
        )  # fmt: skip

    def __call__(self, sample: Sample) -> TeacherOutput:
        right, focal_baseline = require_pair(sample)
        return TeacherOutput(
            depth_from_disparity(self.disparity(sample.rgb, right), focal_baseline)
        )

    def disparity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Match two (H, W, 3) uint8 images: (H, W) float32 px; 0 = no value.

        OpenCV skips the first `disparities` columns; columns added on the left save them.
        """
        extra = self.settings.disparities
        wide = [cv2.copyMakeBorder(x, 0, 0, extra, 0, cv2.BORDER_REPLICATE) for x in (left, right)]
        found = self.matcher.compute(*wide)[:, extra:].astype(np.float32) / FIXED_POINT
        outside = np.arange(left.shape[1]) < found  # matched with an added column
        return np.where((found > 0) & ~outside, found, np.float32(0))


def open_teacher(argument: str, options: dict[str, str]) -> SgbmTeacher:
    """Open `sgbm`."""
    if argument:
        raise ConfigError(f'sgbm takes no file, got {argument!r}; its settings are options')
    return SgbmTeacher(read_options(SgbmOptions, options))
