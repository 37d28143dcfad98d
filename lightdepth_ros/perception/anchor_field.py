# SPDX-License-Identifier: Apache-2.0
"""The correction of ln depth that a few measured points support: fitted once, read everywhere.

The correction c(x, y, g) depends on where a pixel looks (x / z and y / z of its ray) and on its
predicted ln depth g. Depth as a third axis keeps an object apart from what is behind it, as in a
bilateral grid (Chen, Paris and Durand, SIGGRAPH 2007). It is the mean of a Gaussian process
(Rasmussen and Williams, 2006, equation 2.25) whose covariance is the sum of

1. a low-order part: a factor, two tilts and a slope over ln depth, each with its own variance, so
   each moves only as far as the points ask for it;
2. local parts, products of exp(-|distance| / length) over the three axes: they die out away from
   the points.

Points are gathered in cells first. A cell counts as one measurement whose error does not go below
CELL_SIGMA however many points it holds: a thousand returns of one wall say little more than ten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

MIDDLE_LOG = 2.3
"""Where the slope turns: ln of 10 m."""
CELLS = 192
"""Most cells that are solved for; the grid of cells becomes coarser until there are no more."""
BLOCK = 96
"""Most rows of a system that are left to NumPy; see solve. CELLS is twice as many."""
ALONE = 200_000
"""OpenBLAS takes more threads from 262 144 multiplications on."""
CELL_SIZE = np.array([0.07, 0.03, 0.15], np.float32)
"""Of the finest cells: x / z, y / z, ln depth."""
CELL_SIGMA, POINT_SIGMA = 0.02, 0.09
"""Errors of ln depth: of what a cell stands for, and of a single point."""
FREEDOM = 8.0
"""Degrees of freedom of the factor's prior; see heavy_tailed."""
TOLERANCE = 0.5
"""Misfit that halves the trust in a cell, at least."""


@dataclass(frozen=True)
class Prior:
    """How far each part of the correction is expected to move ln depth, as standard deviations.

    factor, tilt_x, tilt_y, slope  of the low-order part: of 1, x / z, y / z and ln depth.
    sigmas, lengths                of each local part: its size, and (x / z, y / z, ln depth).
    """

    factor: float = 0.12
    tilt_x: float = 0.11
    tilt_y: float = 0.2
    slope: float = 0.01
    sigmas: tuple[float, ...] = (0.35,)
    lengths: tuple[tuple[float, float, float], ...] = ((0.27, 0.18, 0.8),)

    @property
    def low(self) -> np.ndarray:
        """The (4,) float32 standard deviations of the low-order part."""
        return np.array([self.factor, self.tilt_x, self.tilt_y, self.slope], np.float32)


PRIOR = Prior()
"""Tuned on kitti/train and other cars' lidar, but CELLS and FREEDOM with kitti/val seen."""


@dataclass(frozen=True)
class Cells:
    """Points gathered: place (m, 3) float32, their mean x / z, y / z and predicted ln depth;
    misfit (m,) float32, mean of ln measured - ln predicted; weight (m,): points, trust counted."""

    place: np.ndarray
    misfit: np.ndarray
    weight: np.ndarray


def gather(place: np.ndarray, misfit: np.ndarray, trust: np.ndarray, most: int = CELLS) -> Cells:
    """Return the cells of (n, 3) float32 `place` with (n,) misfit and positive trust, at most
    `most`."""
    from_corner = place - place.min(0)
    extent = from_corner.max(0)
    size = CELL_SIZE
    while True:
        shape = (extent / size).astype(np.int64) + 1
        cell = (from_corner * (1 / size)).astype(np.int32)
        index = (cell[:, 0] * shape[1] + cell[:, 1]) * shape[2] + cell[:, 2]
        full = np.bincount(index) > 0
        found = np.count_nonzero(full)
        if found <= most:
            break
        size = size * np.float32(max(1.08, (found / most) ** 0.45))
    weight = np.bincount(index, trust)[full]
    values = (*place.T, misfit)
    x, y, g, r = ((np.bincount(index, trust * v)[full] / weight) for v in values)
    centres = np.stack([x, y, g], 1).astype(np.float32)
    return Cells(centres, r.astype(np.float32), weight.astype(np.float32))


def low_order(place: np.ndarray) -> np.ndarray:
    """Return the (n, 4) float32 basis of the low-order part at (n, 3) `place`."""
    basis = np.empty((len(place), 4), np.float32)
    basis[:, 0] = 1
    basis[:, 1:3] = place[:, :2]
    basis[:, 3] = place[:, 2] - MIDDLE_LOG
    return basis


@dataclass(frozen=True)
class Field:
    """The fitted correction. place, alpha: the cells and their weights in the sum of covariances.

    low     (4,) float32, of the low-order basis.
    weight  (m,) float32, points behind each cell.
    """

    prior: Prior
    place: np.ndarray
    alpha: np.ndarray
    low: np.ndarray
    weight: np.ndarray

    def on_grid(
        self, x: np.ndarray, y: np.ndarray, g: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return correction of ln depth and support on a grid, (len(y), len(x), len(g)) float32.

        Support says how much points near a node tell of it: a crowded cell counts 1 at its place.
        """
        low = self.low
        c = low[0] + low[1] * x[None, :, None] + low[2] * y[:, None, None]
        total: np.ndarray = c + low[3] * (g - np.float32(MIDDLE_LOG))
        share = self.weight / (self.weight + np.float32((POINT_SIGMA / CELL_SIGMA) ** 2))
        support = total
        for sigma, lengths in zip(self.prior.sigmas, self.prior.lengths, strict=True):
            weights = np.stack([self.alpha * np.float32(sigma**2), share])
            local, support = sum_on_grid(self.place, weights, lengths, (x, y, g))
            total = total + local
        return total, support


def sum_on_grid(
    place: np.ndarray,
    weights: np.ndarray,
    lengths: tuple[float, float, float],
    axes: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return the sums of (k, m) weights times exp(-|distance| / length) from (m, 3) `place`:
    (k, y, x, g) float32."""
    kx, ky, kg = (
        np.exp(np.abs(axis[:, None] - place[:, k]) * np.float32(-1 / lengths[k]))
        for k, axis in enumerate(axes)
    )
    rays = (ky[:, None] * kx).reshape(-1, len(place))
    layers = (weights[:, None].astype(np.float32) * kg).reshape(-1, len(place))
    flat = product(rays, np.ascontiguousarray(layers.T)).reshape(len(ky), len(kx), -1, len(kg))
    summed: np.ndarray = np.ascontiguousarray(flat.transpose(2, 0, 1, 3))
    return summed


def middle(values: np.ndarray) -> float:
    """Return the upper median of (n,) values: a fifth of np.median's time for few of them."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return first @ second, (a, b) and (b, c) float32, by parts of ALONE multiplications, which
    OpenBLAS does in one thread: see `solve` for the reason."""
    rows = max(1, ALONE // second.size)
    result = np.empty((len(first), second.shape[1]), np.float32)
    for start in range(0, len(first), rows):
        np.matmul(first[start : start + rows], second, out=result[start : start + rows])
    return result


def fit_field(cells: Cells, prior: Prior, rounds: int) -> Field:
    """Fit the correction to `cells`; cells that the others contradict lose trust each round."""
    basis = low_order(cells.place)
    low_variance = prior.low**2
    covariance = basis * low_variance @ basis.T + _local(cells.place, prior)
    variance = CELL_SIGMA**2 + POINT_SIGMA**2 / cells.weight
    trust = np.ones(len(variance), np.float32)
    diagonal = np.arange(len(variance))
    for k in range(rounds):
        noisy = covariance.copy()
        noisy[diagonal, diagonal] += variance / trust
        alpha = solve(noisy, cells.misfit)
        left = np.abs(alpha * variance / trust)  # what the fit leaves of each misfit
        scale = max(TOLERANCE, middle(left) / 0.6745)
        if k + 1 == rounds or left.max() < scale:
            break
        trust = np.maximum(1 / (1 + (left / scale) ** 2) ** 2, 1e-3).astype(np.float32)
    low = low_variance * (basis.T @ alpha)
    return Field(prior, cells.place, alpha, low, cells.weight * trust)


def solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return x of matrix x = right; (m, m) float32, symmetric and positive definite, (m,) float32.

    By halves (Schur's complement) down to BLOCK rows: NumPy's OpenBLAS spreads larger systems over
    all cores and then waits for each of them; on a busy robot that takes 50 ms instead of 0.2.
    """
    if len(right) <= BLOCK:
        small: np.ndarray = np.linalg.solve(matrix, right)
        return small
    half = (len(right) + 1) // 2
    corner, side, rest = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    both = np.linalg.solve(corner, np.column_stack([side, right[:half]]))
    schur = rest - product(side.T, both[:, :-1])
    second = solve(schur, right[half:] - side.T @ both[:, -1])
    first = both[:, -1] - both[:, :-1] @ second
    return np.concatenate([first, second])


def _local(place: np.ndarray, prior: Prior) -> np.ndarray:
    """Return the (m, m) float32 covariance of the local parts between places."""
    apart = [np.abs(column[:, None] - column) for column in place.T]
    total = np.zeros(apart[0].shape, np.float32)
    for sigma, lengths in zip(prior.sigmas, prior.lengths, strict=True):
        far = sum(a * np.float32(-1 / length) for a, length in zip(apart, lengths, strict=True))
        total += np.float32(sigma**2) * np.exp(far)
    return total


def heavy_tailed(prior: Prior, factor_log: float) -> Prior:
    """Return the prior for a frame whose robust factor is exp(`factor_log`).

    A Gaussian would pull a robot's factor of 0.3 towards 1; Student's t with few degrees of
    freedom lets it be. This is the variance that its expectation step gives.
    """
    variance = (FREEDOM * prior.factor**2 + factor_log**2) / (FREEDOM + 1)
    return replace(prior, factor=float(np.sqrt(variance)))
