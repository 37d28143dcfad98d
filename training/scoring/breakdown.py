# SPDX-License-Identifier: Apache-2.0
"""Where the depth error lies: by class, by third of the picture's width, by height of the camera.

Distance bands are in training.scoring.metrics. Everything is a sum over pixels, so frames add up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lightdepth_ros.classes import CLASSES
from training.scoring.metrics import DepthSums, depth_sums

THIRDS = ('left', 'middle', 'right')
HEIGHT_EDGES_M = (0.0, 0.6, 1.2, 2.0, math.inf)
"""Heights of the camera at which the error is reported: robots' shins, hips, cars, trucks."""


def sums_by_group(
    prediction_m: np.ndarray, truth_m: np.ndarray, group: np.ndarray, count: int
) -> list[DepthSums]:
    """Return one DepthSums for each of the groups 0 to count - 1.

    prediction_m, truth_m (n,) metres, positive and finite; group (n,) integers. Pixels whose group
    is none of these are left out.
    """
    picks = (group == k for k in range(count))
    return [depth_sums(prediction_m[pick], truth_m[pick]) for pick in picks]


def third_of(index: np.ndarray, width: int) -> np.ndarray:
    """Return (n,) 0, 1 or 2: the third of the picture's width in which each flat index lies."""
    return (index % width) * len(THIRDS) // width


def added(rows: Sequence[Sequence[DepthSums]]) -> list[DepthSums]:
    """Add up the groups of several frames, which all have the same groups."""
    return [sum(column, DepthSums()) for column in zip(*rows, strict=True)]


def band_of(height_m: float | None) -> str:
    """Return the band of HEIGHT_EDGES_M as text, or 'unknown'."""
    if height_m is None:
        return 'unknown'
    for low, high in itertools.pairwise(HEIGHT_EDGES_M):
        if height_m <= high:
            return f'{low:g}-{high:g} m' if math.isfinite(high) else f'above {low:g} m'
    raise ValueError(f'{height_m} is no height in metres')


def by_height(frames: Sequence[tuple[float | None, DepthSums]]) -> list[dict[str, Any]]:
    """Return one row for each band of camera heights that occurs; [] where none is known."""
    if all(height is None for height, _ in frames):
        return []
    known = sorted((h for h, _ in frames if h is not None))
    names = dict.fromkeys([*map(band_of, known), *(band_of(h) for h, _ in frames)])
    rows = []
    for name in names:
        sums = [s for height, s in frames if band_of(height) == name]
        rows.append({'height': name, 'frames': len(sums), **row(sum(sums, DepthSums()))})
    return rows


def by_class(sums: Sequence[DepthSums]) -> dict[str, dict[str, float]]:
    """Return the row of each class that has a pixel, by its name."""
    return {c.name: row(s) for c, s in zip(CLASSES, sums, strict=True) if s.count}


def by_third(sums: Sequence[DepthSums]) -> dict[str, dict[str, float]]:
    """Return the row of each third of the picture's width."""
    return dict(zip(THIRDS, map(row, sums), strict=True))


def row(sums: DepthSums) -> dict[str, float]:
    """Return pixels, bias and every depth metric, over all pixels thrown together."""
    return {'pixels': sums.count, 'bias': sums.bias, **sums.metrics()}
