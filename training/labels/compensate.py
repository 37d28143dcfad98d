# SPDX-License-Identifier: Apache-2.0
"""Correct a teacher with what is truly known: sparse lidar for depth, coarse truth for classes.

(a) `estimate_bins`, `correct_by_bins`: the paper's way, a mean error for each metre of depth.
(b) `correct_locally` (local_correction.py): ours, fitted to each frame's own lidar.
(c) `narrow_classes`: a teacher's class chances limited to the true coarse class.
Arrays only: no teacher, no files but the bins' JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightdepth_ros.classes import CLASSES, SKY, UNLABELLED, nav7_table
from lightdepth_ros.errors import DataError

FAR_M = 80.0
"""The paper sets sky to this depth."""
BIN_M, BINS = 1.0, 100
FEWEST_IN_BIN = 30
"""A bin with fewer lidar points takes its error from its neighbours."""


@dataclass(frozen=True)
class Bins:
    """Mean error of a teacher by its own depth.

    error_m  (BINS,) float64, teacher minus lidar, metres, at depths 0.5, 1.5, ... metres.
    count    (BINS,) int64, lidar points in each bin.
    """

    error_m: np.ndarray
    count: np.ndarray

    def save(self, path: Path) -> None:
        """Write JSON (to a temporary name, then renamed)."""
        data = {
            'unit': 'm, teacher minus lidar, by teacher depth',
            'bin_m': BIN_M,
            'error_m': [round(float(e), 4) for e in self.error_m],
            'count': [int(c) for c in self.count],
        }
        part = path.with_name(path.name + '.part')
        part.write_text(json.dumps(data) + '\n', encoding='utf-8')
        part.replace(path)


def load_bins(path: Path) -> Bins:
    """Read what `Bins.save` wrote; DataError names the file and the remedy."""
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
        bins = Bins(np.array(data['error_m'], float), np.array(data['count'], np.int64))
        right = data['bin_m'] == BIN_M and bins.error_m.shape == bins.count.shape == (BINS,)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{path} holds no depth bins ({type(error).__name__}: {error}). Write it with '
            '`python -m training.estimate_bins`'
        ) from error
    if not right or not np.isfinite(bins.error_m).all():
        raise DataError(f'{path}: {BINS} finite errors in bins of {BIN_M} m are expected')
    return bins


def estimate_bins(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Bins:
    """Measure a teacher over a data set.

    pairs: (teacher_m, lidar_m) of each frame, both (H, W) float32 metres, 0 = no value; one frame
    is held at a time. Remove hidden returns first. Raises DataError when nothing can be compared.
    """
    total, count = np.zeros(BINS), np.zeros(BINS)
    for teacher_m, lidar_m in pairs:
        both = (teacher_m > 0) & (lidar_m > 0) & (teacher_m < BINS * BIN_M)
        index = (teacher_m[both] / BIN_M).astype(np.int64)
        error = teacher_m[both].astype(float) - lidar_m[both]
        total += np.bincount(index, error, BINS)
        count += np.bincount(index, minlength=BINS)
    full = count >= FEWEST_IN_BIN
    if not full.any():
        raise DataError(
            f'no depth bin has {FEWEST_IN_BIN} lidar points ({int(count.sum())} in all): give '
            'more frames with lidar, or a teacher that answers where the lidar does'
        )
    middle = np.arange(BINS) + 0.5
    error_m = np.interp(middle, middle[full], total[full] / count[full])
    return Bins(error_m, count.astype(np.int64))


def correct_by_bins(teacher_m: np.ndarray, bins: Bins) -> np.ndarray:
    """Subtract the mean error of each depth: (H, W) float32 metres, 0 = no value, in and out.

    Errors are interpolated between bins, so that a surface gets no steps.
    """
    middle = (np.arange(BINS) + 0.5) * BIN_M
    corrected = teacher_m - np.interp(teacher_m, middle, bins.error_m)
    # A correction may not turn depth over: at most half of it is taken away.
    return np.where(teacher_m > 0, np.maximum(corrected, teacher_m / 2), 0).astype(np.float32)


def keep_lidar(depth_m: np.ndarray, lidar_m: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Return `depth_m` with the lidar's own value where `trusted` (all (H, W), 0 = no value)."""
    return np.where(trusted & (lidar_m > 0), lidar_m, depth_m)


def set_sky(depth_m: np.ndarray, label_id: np.ndarray, far_m: float = FAR_M) -> np.ndarray:
    """Return `depth_m` with `far_m` where (H, W) `label_id` says sky, as the paper does.

    The label wins over any depth: stereo networks put bright sky at the depth of the nearest roof.
    Lidar kept in sky (a white wall, labelled wrongly) is put back by the caller.
    """
    return np.where(label_id == SKY, np.float32(far_m), depth_m)


def narrow_classes(
    probabilities: np.ndarray, nav7_id: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pick each pixel's likeliest class among those that the coarse truth allows.

    probabilities  (19, H, W) float, a teacher's chances.
    nav7_id        (H, W) uint8, coarse truth; 255 = not known, there every class is allowed.

    Returns label_id (H, W) uint8 and confidence (H, W) uint8 = 255 x its share among the allowed
    chances. Where the teacher gives no allowed class any chance the label is 255: the coarse class
    is exact by construction, so nothing is guessed.
    """
    if probabilities.shape[0] != len(CLASSES) or probabilities.shape[1:] != nav7_id.shape:
        raise ValueError(f'probabilities {probabilities.shape} do not fit labels {nav7_id.shape}')
    coarse = nav7_table()[: len(CLASSES)]
    allowed = (coarse[:, None, None] == nav7_id) | (nav7_id == UNLABELLED)
    chances = np.where(allowed, probabilities, 0)
    best, total = chances.max(0), chances.sum(0)
    label = np.where(best > 0, chances.argmax(0), UNLABELLED).astype(np.uint8)
    share = np.divide(best, total, out=np.zeros_like(best), where=total > 0)
    # Unknown coarse class: what the teacher gave to no class of ours counts against it.
    share = np.where(nav7_id == UNLABELLED, best, share)
    return label, np.rint(255 * share.clip(0, 1)).astype(np.uint8)
