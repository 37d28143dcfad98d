# SPDX-License-Identifier: Apache-2.0
"""Soft labels: a teacher's two likeliest classes and how it is torn between them.

Where a teacher is unsure, one hard label teaches its mistakes and 255 teaches nothing; the pair
keeps what it knows. Stored at a quarter of the size: chances are averaged, so a pixel on an edge
says that it is one.
"""

from __future__ import annotations

import cv2
import numpy as np

from lightdepth_ros.classes import CLASSES, UNLABELLED, nav7_table

SHRINK = 4
CERTAIN = 255


def soften(probabilities: np.ndarray, nav7_id: np.ndarray | None = None) -> np.ndarray:
    """Return (h, w, 3) uint8: first id, second id, 255 * p1 / (p1 + p2); a quarter of the size.

    probabilities  (19, H, W) float, chances; what is missing from 1 is none of our classes.
    nav7_id        (H, W) uint8, coarse truth: where it is known, only classes of it have a chance.

    All three are 255 where no class of ours has a chance, or none of them is the likeliest.
    """
    foreign = 1 - probabilities.sum(0)
    if nav7_id is not None:
        coarse = nav7_table()[: len(CLASSES)]
        allowed = (coarse[:, None, None] == nav7_id) | (nav7_id == UNLABELLED)
        probabilities = np.where(allowed, probabilities, 0)
        foreign = np.where(nav7_id == UNLABELLED, foreign, 0)
    height, width = foreign.shape
    size = max(1, width // SHRINK), max(1, height // SHRINK)
    chances = np.stack([averaged(c, size) for c in probabilities])
    order = np.argsort(-chances, axis=0, kind='stable')[:2]
    first, second = np.take_along_axis(chances, order, 0)
    share = np.divide(first, first + second, out=np.zeros_like(first), where=first > 0)
    soft = np.dstack([order[0], order[1], np.rint(CERTAIN * share)]).astype(np.uint8)
    soft[(first <= 0) | (first < averaged(foreign, size))] = UNLABELLED
    return soft


def averaged(chance: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring (H, W) to (width, height) `size` by averaging."""
    found: np.ndarray = cv2.resize(
        np.ascontiguousarray(chance, np.float32), size, interpolation=cv2.INTER_AREA
    )
    return found
