# SPDX-License-Identifier: Apache-2.0
"""Evaluation protocols by name: which pixels are compared, how they are clipped and averaged.

Two depth errors may stand in one table only when their protocols and their frames are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.scoring.metrics import DepthSums, depth_sums, mean_per_image, mean_per_pixel

SMALLEST_M = 1e-3
"""Predictions are clipped from below here: a logarithm needs a positive number."""


ACCUMULATED_DENSITY = 0.08


@dataclass(frozen=True)
class Protocol:
    """One way to compare depth with truth.

    min_m, cap_m     only pixels with min_m < truth <= cap_m count (min_m itself counts when
                     `min_inclusive`); predictions are clipped to [clip_m, cap_m], so that sky
                     (+Inf) counts as the cap.
    crop             part of the image that counts: 'none', 'eigen' or 'garg' (see crop_window).
    average          'image' or 'pixel': which mean is the protocol's headline; both are reported.
    median_scaling   multiply each prediction by median(truth) / median(prediction) first. It
                     hides the metric error, so only the protocol named after it turns it on.
    annotated_only   only frames whose truth is dense, as KITTI's accumulated ("annotated") depth
                     is; see is_accumulated.
    """

    name: str
    about: str
    min_m: float = 0.0
    cap_m: float = 80.0
    min_inclusive: bool = False
    clip_m: float = SMALLEST_M
    crop: Literal['none', 'eigen', 'garg'] = 'none'
    average: Literal['image', 'pixel'] = 'image'
    median_scaling: bool = False
    annotated_only: bool = False

    def sentence(self) -> str:
        """Return the protocol in words, for the line above a table."""
        bracket = '[' if self.min_inclusive else '('
        return (
            f'protocol {self.name}: truth in {bracket}{self.min_m:g}, {self.cap_m:g}] m, '
            f'predictions clipped to [{self.clip_m:g}, {self.cap_m:g}] m, crop {self.crop}, '
            f'mean per {self.average}, median scaling {"on" if self.median_scaling else "off"}'
            + (', annotated frames only' if self.annotated_only else '')
        )


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol('raw', 'the numbers this project prints: every lidar return up to 80 m'),
        Protocol(
            'eigen',
            "Eigen et al. 2014's crop on raw Velodyne truth, as later papers cap it",
            min_m=SMALLEST_M,
            crop='eigen',
        ),
        Protocol(
            'eigen-garg',
            "Garg et al. 2016's crop on raw Velodyne truth, the usual Eigen-split table",
            min_m=SMALLEST_M,
            crop='garg',
        ),
        Protocol(
            'annotated',
            "KITTI's accumulated depth (Uhrig et al. 2017), no crop",
            min_m=SMALLEST_M,
            annotated_only=True,
        ),
        Protocol(
            'median',
            "as raw, each frame scaled by its truth's median: the shape of depth, not its metres",
            median_scaling=True,
        ),
        Protocol(
            'paper',
            'the rule of the code base beside the paper, which used accumulated depth; '
            'here every truth',
            min_m=1.0,
            cap_m=100.0,
            min_inclusive=True,
        ),
    )
}


@dataclass(frozen=True)
class Compared:
    """The pixels of one frame that a protocol compares: (n,) float64 metres each, clipped.

    index  (n,) flat index of each pixel in the (H, W) truth.
    asked  pixels the protocol asks for; n are those that the network answered (not NaN).
    """

    prediction_m: np.ndarray
    truth_m: np.ndarray
    index: np.ndarray
    asked: int

    @property
    def coverage(self) -> float:
        """Share of asked pixels that got an answer; NaN when none was asked."""
        return self.index.size / self.asked if self.asked else float('nan')

    def sums(self) -> DepthSums:
        """Return the frame's DepthSums."""
        return depth_sums(self.prediction_m, self.truth_m)


def crop_window(crop: str, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns that count in an image of `size_hw`.

    The fractions are those that public evaluations on the Eigen split use: 'eigen' rows 33.2-91.4
    %, 'garg' rows 40.8-99.2 %, both columns 3.6-96.4 %.
    """
    height, width = size_hw
    fractions = {
        'none': (0.0, 1.0, 0.0, 1.0),
        'eigen': (0.3324324, 0.91351351, 0.0359477, 0.96405229),
        'garg': (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    }
    top, bottom, left, right = fractions[crop]
    rows = slice(int(top * height), int(bottom * height))
    return rows, slice(int(left * width), int(right * width))


def is_accumulated(truth_m: np.ndarray) -> bool:
    """Tell accumulated (or rendered) truth from one lidar scan, by its density.

    One 64-beam scan gives a depth to about 4 % of KITTI's pixels, the accumulated depth of 11
    scans to about 20 %; data sets do not carry the kind of their truth. truth_m (H, W), 0 = none.
    """
    return float((truth_m > 0).mean()) > ACCUMULATED_DENSITY


def asked_pixels(truth_m: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Return (H, W) bool: the pixels of (H, W) truth, metres, 0 = no value, that count."""
    near = truth_m >= protocol.min_m if protocol.min_inclusive else truth_m > protocol.min_m
    inside = np.zeros(truth_m.shape, bool)
    inside[crop_window(protocol.crop, (truth_m.shape[0], truth_m.shape[1]))] = True
    return near & (truth_m > 0) & (truth_m <= protocol.cap_m) & inside


def compare(prediction_m: np.ndarray, truth_m: np.ndarray, protocol: Protocol) -> Compared:
    """Select and clip the pixels of one frame.

    prediction_m  (H, W) float, metres; NaN = no answer (counted against coverage), +Inf = beyond
                  range (counts as the cap).
    truth_m       (H, W) float, metres; 0 = no value.
    """
    if prediction_m.shape != truth_m.shape:
        raise ValueError(f'prediction is {prediction_m.shape}, truth is {truth_m.shape}')
    asked = asked_pixels(truth_m, protocol)
    index = np.flatnonzero(asked & ~np.isnan(prediction_m))
    prediction = prediction_m.ravel()[index].astype(np.float64)
    truth = truth_m.ravel()[index].astype(np.float64)
    if protocol.median_scaling and index.size:
        prediction[np.isposinf(prediction)] = protocol.cap_m  # an infinite median scales nothing
        prediction *= np.median(truth) / np.median(prediction)
    prediction = np.clip(prediction, protocol.clip_m, protocol.cap_m)
    return Compared(prediction, truth, index, int(asked.sum()))


def headline(images: list[DepthSums], protocol: Protocol) -> dict[str, float]:
    """Return the metrics averaged in the protocol's own way."""
    return (mean_per_image if protocol.average == 'image' else mean_per_pixel)(images)
