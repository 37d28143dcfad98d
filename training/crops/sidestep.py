# SPDX-License-Identifier: Apache-2.0
"""What the camera would see a step further to the side, from one frame and its depth (ours).

A road data set drives in the middle of its lane: few walls and parked cars are near, and always on
the same side. Moving the camera along its x axis by t metres moves every pixel along its row, by
focal length * t / Z, and changes no depth along Z; in canonical metres the focal length falls out.
What comes into view behind an edge was never seen: it is filled with the mirrored background, and
teaches nothing. (View synthesis from a depth map: Fehn, "Depth-image-based rendering", SPIE 2004.)
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lightdepth_ros.classes import SKY, UNLABELLED
from training.config import CANONICAL_FOCAL_PX
from training.crops.augment import View
from training.crops.truth import Example

MARGIN_PX = 128
"""Columns looked at beyond each side of a crop, to step into."""
CRACK_PX = 3
"""Columns from one seen pixel to the next across a crack, at most."""
LEAST_KNOWN = 0.8
"""Share of the pixels that must have depth; without it, nothing can be moved."""


def widened(view: View) -> View:
    """Return the view with MARGIN_PX more columns on either side."""
    matrix = view.matrix.copy()
    matrix[0, 2] += MARGIN_PX
    return replace(view, matrix=matrix, hw=(view.hw[0], view.hw[1] + 2 * MARGIN_PX))


def narrowed(example: Example) -> Example:
    """Take the columns of `widened` off again."""
    inner = np.s_[:, MARGIN_PX:-MARGIN_PX]
    return {k: v[inner].copy() if isinstance(v, np.ndarray) else v for k, v in example.items()}


def sidestep(example: Example, step_m: float) -> Example:
    """Return a training example (training.crops.truth.crop) as seen `step_m` metres further right.

    One without scale, or with too little depth, comes back as it is.
    """
    depth, weight = np.asarray(example['depth']), np.asarray(example['weight'])
    known = weight > 0
    if example['unscaled'] or known.mean() < LEAST_KNOWN:
        return example
    near = known & (np.asarray(example['label']) != SKY)
    inverse = cv2.medianBlur(np.where(near, 1 / np.maximum(depth, 1e-3), 0).astype(np.float32), 5)
    column, seen = source_columns(np.float32(CANONICAL_FOCAL_PX * step_m) * inverse)
    rows = np.arange(depth.shape[0], dtype=np.float32)[:, None] + np.zeros_like(column)

    def moved(image: np.ndarray, how: int = cv2.INTER_NEAREST) -> np.ndarray:
        return cv2.remap(image, column, rows, how, borderMode=cv2.BORDER_CONSTANT)

    label = moved(np.asarray(example['label']) + np.uint8(1)) - np.uint8(1)
    return {
        **example,
        'image': moved(np.asarray(example['image']), cv2.INTER_LINEAR),
        'depth': moved(depth),
        'weight': np.where(seen, moved(weight), np.float32(0)),
        'label': np.where(seen, label, np.uint8(UNLABELLED)),
    }


def source_columns(disparity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel after the step comes from.

    disparity (h, w) float32: by how many columns each pixel moves left; the largest size is the
    nearest. Returns (column (h, w) float32, seen (h, w) bool); where nothing was seen, the column
    of the background mirrored at the hole's edge. Cracks of a pixel or two in a surface that is
    stretched count as seen.
    """
    source = _landed(disparity)
    seen, w = source >= 0, source.shape[1]
    left, right = _nearest_seen(seen)
    size = np.abs(np.take_along_axis(disparity, np.maximum(source, 0), 1))
    l_size, r_size = (np.take_along_axis(size, np.clip(k, 0, w - 1), 1) for k in (left, right))
    has_left, has_right = left >= 0, right < w
    use_left = has_left & (~has_right | (l_size <= r_size))
    edge = np.clip(np.where(use_left, left, right), 0, w - 1)
    mirrored = np.take_along_axis(source, edge, 1) + (edge - np.arange(w))
    crack = has_left & has_right & (right - left <= CRACK_PX) & (np.abs(l_size - r_size) < 4)
    return np.where(seen, source, mirrored).astype(np.float32), seen | crack


def _landed(disparity: np.ndarray) -> np.ndarray:
    """Return (h, w) int32, the column of the pixel that lands on each pixel; -1 = none does.

    Of two pixels that land on one, the nearer has come further: from the right, where pixels move
    left. It is written last, and stays. (The order: McMillan and Bishop, "Plenoptic modeling",
    SIGGRAPH 1995.)
    """
    h, w = disparity.shape
    target = np.rint(np.arange(w, dtype=np.float32) - disparity).astype(np.int32)
    target[(target < 0) | (target >= w)] = w
    order = np.arange(w) if disparity.sum() >= 0 else np.arange(w)[::-1].copy()
    source = np.full((h, w + 1), -1, np.int32)  # the last column takes what leaves the picture
    source[np.arange(h)[:, None], target[:, order]] = order  # a copy: views go in any order
    return source[:, :w]


def _nearest_seen(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest seen column to the left (-1 = none) and to the right (width = none)."""
    w = seen.shape[1]
    columns = np.arange(w)
    left = np.maximum.accumulate(np.where(seen, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(seen, columns, w)[:, ::-1], axis=1)[:, ::-1]
    return left, right
