# SPDX-License-Identifier: Apache-2.0
"""Which points of a cloud hang in the air; no messages.

A network's depth does not jump at the edge of a thing: it climbs over a few pixels, and the points
of those pixels lie where nothing is, between the thing and what is behind it. A costmap would mark
them.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.perception.prediction import Prediction

SQUARE = np.ones((3, 3), np.uint8)
ROW = np.ones((1, 3), np.uint8)
FLAT = np.zeros(256, np.uint8)
FLAT[[CLASS_ID[name] for name in ('road', 'sidewalk', 'terrain')]] = 255
"""By label id: 255 for ground, which recedes from row to row as steeply as an edge does, so that
only its pixels in the same row are compared."""
WIDTH_PX, GROWTH = 240, 0.75
"""Where a prediction is narrower than WIDTH_PX, a pixel sees more of a sloping surface; the step
grows with this power of the width. So `python -m training.edges` loses about as many true points
at M and S as at L; a fixed step loses five times as many at S."""
COMPANY = 2
"""A point that agrees with fewer of its eight neighbours than this is alone."""
NEAREST_LOG, LEVELS, FARTHEST = -5.0, 5000, 65000
"""Depths from 7 mm to 3 km as 16-bit numbers: see `_levels`."""
PAIRS = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1], np.s_[1:]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
)
"""Each pixel and its neighbour to the right, below, and on both diagonals."""


def without_flying(prediction: Prediction, step: float) -> Prediction:
    """Return the prediction with NaN depth where `flying` says so; the one given is not changed.

    step: see `flying`, for WIDTH_PX and more; 0 returns the prediction itself.
    """
    if step <= 0:
        return prediction
    step *= max(1.0, WIDTH_PX / prediction.depth_m.shape[1]) ** GROWTH
    depth_m = prediction.depth_m.copy()
    depth_m[flying(depth_m, prediction.label_id, step)] = np.nan
    return dataclasses.replace(prediction, depth_m=depth_m)


def flying(depth_m: np.ndarray, label_id: np.ndarray | None, step: float) -> np.ndarray:
    """Return (h, w) bool, True where a finite depth, (h, w) float32 metres, hangs in the air.

    It hangs between two surfaces where both the nearest and the farthest of the 3 x 3 pixels
    around it differ from it by more than `step` in ln depth, and it is alone where fewer than
    COMPANY of them are nearer to it than that. Sky (+Inf) counts as infinitely far, NaN and -Inf
    as no neighbours. label_id: (h, w) uint8 train ids, see FLAT; None = not known.
    """
    level = _levels(depth_m)
    limit = round(step * LEVELS)
    hanging = _between(level, limit, SQUARE)
    if label_id is not None:
        flat = cv2.LUT(np.ascontiguousarray(label_id), FLAT).view(bool)
        np.copyto(hanging, _between(level, limit, ROW), where=flat)
    hanging |= _company(level, limit) < COMPANY
    hanging &= level > 0
    hanging &= level < FARTHEST
    return hanging


def _levels(depth_m: np.ndarray) -> np.ndarray:
    """Return (h, w) uint16: ln depth in 1 / LEVELS above NEAREST_LOG, FARTHEST for sky, 0 for no
    value. Half the bytes of a float, and the fewest that tell depths apart."""
    with np.errstate(divide='ignore', invalid='ignore'):
        level = np.log(depth_m)
    np.minimum(level, FARTHEST / LEVELS + NEAREST_LOG, out=level)
    level -= np.float32(NEAREST_LOG)
    # Conversion rounds; NaN and what is below 0 become 0.
    numbers: np.ndarray = cv2.multiply(level, LEVELS, dtype=cv2.CV_16U)  # type: ignore[call-overload]
    return numbers


def _between(level: np.ndarray, limit: int, kernel: np.ndarray) -> np.ndarray:
    """Tell where the kernel holds both a nearer and a farther surface."""
    farther = cv2.subtract(cv2.dilate(level, kernel), level)
    least = level - np.uint16(1)  # what has no value, 0, becomes the largest number
    nearer = cv2.subtract(level, cv2.erode(least, kernel))
    found: np.ndarray = cv2.min(farther, nearer) > limit
    return found


def _company(level: np.ndarray, limit: int) -> np.ndarray:
    """Return (h, w) uint8: how many of the eight neighbours agree; the rim has one more."""
    count = np.zeros(level.shape, np.uint8)
    for rim in (count[0], count[-1], count[:, 0], count[:, -1]):
        rim += 1
    for here, there in PAIRS:
        agree = cv2.absdiff(level[here], level[there]) < limit
        count[here] += agree
        count[there] += agree
    return count
