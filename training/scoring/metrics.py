# SPDX-License-Identifier: Apache-2.0
"""Depth, class and confidence metrics as pure functions on arrays; no files, no network.

Depth metrics are sums first (`DepthSums`), so that both usual averages come from the same
numbers: *per image* is the mean of each image's metrics, *per pixel* the metrics of the summed
sums. The two differ where images have different numbers of truth points, so each is always named.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from lightdepth_ros.classes import UNLABELLED

DEPTH_METRICS = (
    'abs_rel',
    'sq_rel',
    'rmse',
    'rmse_log',
    'silog',
    'delta1',
    'delta2',
    'delta3',
)
"""Keys of `DepthSums.metrics`, in the order tables show them."""
LOWER_IS_BETTER = DEPTH_METRICS[:5]
DELTA_FACTOR = 1.25
DISTANCE_EDGES_M = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Truth distances at which the error is reported: (0, 5], (5, 10] ... (40, 80] metres."""


@dataclass(frozen=True)
class DepthSums:
    """Sums over the compared pixels of one image, or of many: instances add up.

    count is the number of pixels; every other field is a sum over them. e = prediction - truth
    in metres, l = ln prediction - ln truth.
    """

    count: int = 0
    abs_rel: float = 0.0
    sq_rel: float = 0.0
    square: float = 0.0
    log: float = 0.0
    log_square: float = 0.0
    within1: int = 0
    within2: int = 0
    within3: int = 0

    def __add__(self, other: DepthSums) -> DepthSums:
        return DepthSums(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(DepthSums))
        )

    @property
    def bias(self) -> float:
        """exp(mean ln(prediction / truth)) - 1: 0.1 = ten percent too far; NaN for no pixel."""
        return math.exp(self.log / self.count) - 1 if self.count else float('nan')

    def metrics(self) -> dict[str, float]:
        """Return every DEPTH_METRICS value; all NaN when no pixel was compared.

        abs_rel = mean |e|/t, sq_rel = mean e^2/t (metres), rmse (metres), rmse_log, delta_k =
        share with max(p/t, t/p) < 1.25^k: Eigen, Puhrsch and Fergus, NIPS 2014.
        silog = 100 sqrt(mean l^2 - (mean l)^2), as the KITTI depth benchmark prints it.
        """
        if self.count == 0:
            return dict.fromkeys(DEPTH_METRICS, float('nan'))
        n = self.count
        variance = max(self.log_square / n - (self.log / n) ** 2, 0.0)
        values = (
            self.abs_rel / n,
            self.sq_rel / n,
            (self.square / n) ** 0.5,
            (self.log_square / n) ** 0.5,
            100.0 * variance**0.5,
            self.within1 / n,
            self.within2 / n,
            self.within3 / n,
        )
        return dict(zip(DEPTH_METRICS, values, strict=True))


def depth_sums(prediction_m: np.ndarray, truth_m: np.ndarray) -> DepthSums:
    """Compare two arrays of equal shape, float, metres; every value must be positive and finite.

    Choosing the pixels is the caller's work (scoring.protocols). Raises ValueError where a
    value cannot be compared: an error that vanished from a mean would flatter the network.
    """
    prediction = np.asarray(prediction_m, np.float64).ravel()
    truth = np.asarray(truth_m, np.float64).ravel()
    if prediction.shape != truth.shape:
        raise ValueError(f'{prediction.size} predictions for {truth.size} truths')
    for name, values in (('prediction', prediction), ('truth', truth)):
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f'{name} holds values that are not positive and finite metres')
    error = prediction - truth
    log = np.log(prediction / truth)
    ratio = np.exp(np.abs(log))
    return DepthSums(
        truth.size,
        float((np.abs(error) / truth).sum()),
        float((error**2 / truth).sum()),
        float((error**2).sum()),
        float(log.sum()),
        float((log**2).sum()),
        *(int((ratio < DELTA_FACTOR**k).sum()) for k in (1, 2, 3)),
    )


def mean_per_image(images: Sequence[DepthSums]) -> dict[str, float]:
    """Return the mean of each image's metrics; images without a compared pixel do not count."""
    rows = [s.metrics() for s in images if s.count]
    if not rows:
        return DepthSums().metrics()
    return {name: float(np.mean([row[name] for row in rows])) for name in DEPTH_METRICS}


def mean_per_pixel(images: Sequence[DepthSums]) -> dict[str, float]:
    """Return the metrics of all pixels of all images thrown together."""
    return sum(images, DepthSums()).metrics()


def sums_by_distance(
    prediction_m: np.ndarray,
    truth_m: np.ndarray,
    edges_m: Sequence[float] = DISTANCE_EDGES_M,
) -> list[DepthSums]:
    """Return one DepthSums per interval (edge, next edge] of the truth distance."""
    prediction, truth = np.ravel(prediction_m), np.ravel(truth_m)
    sums = []
    for near, far in itertools.pairwise(edges_m):
        inside = (truth > near) & (truth <= far)
        sums.append(depth_sums(prediction[inside], truth[inside]))
    return sums


def share_within(prediction_m: np.ndarray, truth_m: np.ndarray, tolerance: float) -> float:
    """Return the share of pixels with |prediction - truth| <= tolerance * truth; NaN when none."""
    if np.size(truth_m) == 0:
        return float('nan')
    return float((np.abs(prediction_m - truth_m) <= tolerance * np.asarray(truth_m)).mean())


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Count (truth, prediction) pairs: (classes, classes) int64, rows are the truth.

    prediction, truth: integer ids of equal shape. Pixels whose truth is 255 are left out; anywhere
    else both ids must be classes, else ValueError.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f'prediction is {prediction.shape}, truth is {truth.shape}')
    known = truth != UNLABELLED
    pair = [ids[known].astype(np.int64) for ids in (truth, prediction)]
    for name, ids in zip(('truth', 'prediction'), pair, strict=True):
        if ids.size and ids.max() >= classes:
            raise ValueError(f'{name} holds id {ids.max()}, there are only {classes} classes')
    counts = np.bincount(pair[0] * classes + pair[1], minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Return (classes,) intersection over union from `confusion`; NaN for a class never seen.

    A class counts as seen when truth or prediction has it (Cordts et al., CVPR 2016).
    """
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(1) + counts.sum(0) - hit
    return np.divide(hit, union, out=np.full_like(hit, np.nan), where=union > 0)


def mean_iou(counts: np.ndarray) -> float:
    """Return the mean IoU over the classes that occur in the truth; NaN when none does."""
    present = counts.sum(1) > 0
    return float(class_iou(counts)[present].mean()) if present.any() else float('nan')


@dataclass(frozen=True)
class Reliability:
    """How far a confidence is to be believed, in equal-width bins of it.

    count (n,) pixels; said (n,) mean confidence 0..1; found (n,) share that was right; both means
    are NaN for an empty bin. error: expected calibration error, the sum over bins of count * |said
    - found| / all (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
    """

    count: np.ndarray
    said: np.ndarray
    found: np.ndarray
    error: float


def confidence_counts(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> np.ndarray:
    """Return (bins, 3) float64: pixels, summed confidence, number right. Frames add up.

    confidence (n,) in 0..1; right (n,) bool; the bins split 0..1 evenly.
    """
    confidence = np.asarray(confidence, np.float64).ravel()
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    weights = (None, confidence, np.asarray(right, np.float64).ravel())
    return np.stack([np.bincount(index, w, bins) for w in weights], 1).astype(np.float64)


def reliability(counts: np.ndarray) -> Reliability:
    """Turn (summed) `confidence_counts` into bin means and the expected calibration error."""
    count, said, found = counts.T
    full = count > 0
    means = [
        np.divide(total, count, out=np.full(count.shape, np.nan), where=full)
        for total in (said, found)
    ]
    error = np.abs(said - found).sum() / count.sum() if full.any() else float('nan')
    return Reliability(count.astype(np.int64), means[0], means[1], float(error))


def rmse_of_kept(
    prediction_m: np.ndarray, truth_m: np.ndarray, confidence: np.ndarray, drop: float
) -> float:
    """Return the RMSE in metres after dropping the `drop` share of least confident pixels.

    Equal confidences are dropped in the order of the array shuffled with a fixed seed, so that no
    image corner is favoured. NaN when no pixel is left.
    """
    square = (np.asarray(prediction_m, np.float64) - np.asarray(truth_m, np.float64)).ravel() ** 2
    order = np.random.default_rng(0).permutation(square.size)
    order = order[np.argsort(np.ravel(confidence)[order], kind='stable')]
    kept = square[order[round(drop * square.size) :]]
    return float(np.sqrt(kept.mean())) if kept.size else float('nan')
