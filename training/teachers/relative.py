# SPDX-License-Identifier: Apache-2.0
"""Give relative depth its metres: fit scale and shift to the frame's own sparse truth.

Most monocular networks predict inverse depth up to an unknown scale and shift (Ranftl et al.,
"Towards Robust Monocular Depth Estimation", TPAMI 2022), some depth itself. Without metric truth
such a prediction is no depth at all, so it is refused.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from lightdepth_ros.errors import DataError

Kind = Literal['metric', 'inverse', 'affine']
"""metric: metres. inverse: 1 / depth, up to scale and shift. affine: depth, up to the same."""
KINDS: tuple[Kind, ...] = ('metric', 'inverse', 'affine')

FEWEST_POINTS = 100
NEAREST_M, FURTHEST_M = 0.1, 250.0
ROUNDS = 10
TOLERANCE = 0.05


def require_truth(kind: Kind, truth_m: np.ndarray | None, name: str) -> None:
    """Refuse a frame whose metric truth, (H, W) metres, 0 = no value, cannot scale `kind`."""
    points = 0 if truth_m is None else np.count_nonzero(truth_m > 0)
    if kind != 'metric' and points < FEWEST_POINTS:
        raise DataError(
            f'{name}: this teacher gives relative ({kind}) depth, and the frame has {points} '
            f'points of metric truth; {FEWEST_POINTS} are needed to fit its scale and shift. Use '
            'frames with lidar, or a metric teacher'
        )


def metric_depth(
    relative: np.ndarray, kind: Kind, truth_m: np.ndarray | None, name: str
) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value, of (H, W) float `relative`.

    truth_m: (H, W) float32 metres, 0 = no value, or None. Beyond 250 m, or where the fit gives no
    positive depth, there is no value. Raises DataError as `require_truth` does.
    """
    require_truth(kind, truth_m, name)
    if truth_m is None or kind == 'metric':
        return in_range(relative)
    known = (truth_m > 0) & np.isfinite(relative)
    x, depth = relative[known].astype(float), truth_m[known].astype(float)
    if kind == 'affine':
        scale, shift = robust_line(x, depth)
        return in_range(relative * scale + shift)
    scale, shift = robust_line(x, 1 / depth)
    inverse = relative * scale + shift
    positive = inverse > 1 / FURTHEST_M
    return in_range(np.divide(1, inverse, out=np.zeros_like(inverse), where=positive))


def in_range(depth_m: np.ndarray) -> np.ndarray:
    """Return float32 with 0 for what is no depth between 0.1 and 250 m."""
    good = np.isfinite(depth_m) & (depth_m >= NEAREST_M) & (depth_m <= FURTHEST_M)
    return np.where(good, depth_m, 0).astype(np.float32)


def robust_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit y = scale x + shift to (n,) points; y is positive, errors count relative to it.

    Least squares, repeated with Geman-McClure weights, so that returns from behind objects do not
    pull. Returns (scale, shift); a constant x gives scale 0.
    """
    basis = np.stack([x, np.ones_like(x)], 1)
    weight = np.ones_like(y)
    answer = np.zeros(2)
    for _ in range(ROUNDS):
        root = np.sqrt(weight) / y
        answer = np.linalg.lstsq(basis * root[:, None], y * root, rcond=1e-9)[0]
        error = (basis @ answer) / y - 1
        scale = max(TOLERANCE, float(np.median(np.abs(error))) / 0.6745)
        weight = 1 / (1 + (error / scale) ** 2) ** 2
    return float(answer[0]), float(answer[1])
