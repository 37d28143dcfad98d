# SPDX-License-Identifier: Apache-2.0
"""Ours: bend a teacher's depth to the frame's own lidar without breaking its edges.

The correction c is added to ln depth, so the result is depth * exp(c). It is the sum of
1. a trend in depth: piecewise linear in ln depth, a robust fit to all lidar points of the frame.
   It reaches where no lidar is (above it, in far gaps);
2. a local part: on a grid of every fourth pixel the minimum of

       sum_points w (c - r)^2 + smoothness * sum_neighbours g (c_p - c_q)^2 + pull * sum c^2,

   r = ln lidar - ln teacher - trend; g falls where the teacher's depth jumps, so an object is
   corrected by its own points alone (weighted least squares: Farbman et al., SIGGRAPH 2008).

Returns of surfaces that the camera cannot see are dropped first. Points far from the fit lose
weight and the fit is repeated (Geman-McClure weights): mirrors, glass, what was not dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg

from lightdepth_ros.perception.occlusion import LIDAR_OFFSET_M, hidden_returns

GRID_PX = 4
KNOTS = 8
FEWEST_POINTS = 50
"""With less lidar than this in a frame there is nothing to fit: depth stays as it is."""
LARGEST_LOG = 0.7
"""Corrections beyond a factor 2 are no correction."""


@dataclass(frozen=True)
class LocalOptions:
    """smoothness: how stiff the local part is. edge: jump of ln depth that quarters the coupling.

    tolerance: error in ln depth that quarters the weight of a point. pull: towards the trend.
    rounds: fits. offset_m: distance from lidar to camera (see hidden_returns).
    """

    smoothness: float = 0.1
    edge: float = 0.05
    tolerance: float = 0.3
    pull: float = 1e-3
    rounds: int = 4
    offset_m: float = LIDAR_OFFSET_M


@dataclass(frozen=True)
class Corrected:
    """depth_m (H, W) float32 metres, 0 = no value; trusted (H, W) bool: lidar points believed."""

    depth_m: np.ndarray
    trusted: np.ndarray


def correct_locally(
    teacher_m: np.ndarray,
    lidar_m: np.ndarray,
    focal_px: float,
    options: LocalOptions = LocalOptions(),
) -> Corrected:
    """Correct (H, W) float32 `teacher_m` by sparse (H, W) float32 `lidar_m`; metres, 0 = none.

    A pixel without teacher depth stays without. With under 50 usable points the teacher's depth
    comes back unchanged and every visible return is trusted.
    """
    visible = (lidar_m > 0) & ~hidden_returns(lidar_m, focal_px, options.offset_m)
    rows, columns = np.nonzero(visible & (teacher_m > 0))
    if rows.size < FEWEST_POINTS:
        return Corrected(teacher_m, visible)
    log_depth = filled_log(teacher_m)
    at_point = log_depth[rows, columns]
    residual = np.log(lidar_m[rows, columns]) - at_point
    trend = fit_trend(at_point, residual, options)
    local, weight = fit_local(log_depth, rows, columns, residual - trend(at_point), options)
    correction = np.clip(trend(log_depth) + local, -LARGEST_LOG, LARGEST_LOG)
    depth = np.where(teacher_m > 0, np.exp(log_depth + correction), 0).astype(np.float32)
    trusted = visible & (teacher_m <= 0)
    trusted[rows, columns] = weight > 0.25
    return Corrected(depth, trusted)


def filled_log(depth_m: np.ndarray) -> np.ndarray:
    """Return (H, W) float64 ln depth; pixels without value take that of the nearest with one."""
    known = depth_m > 0
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(int(nearest.max()) + 1)
    values[nearest[known]] = np.log(depth_m[known])
    return values[nearest]


def robust_weights(error: np.ndarray, tolerance: float) -> np.ndarray:
    """Return Geman-McClure weights, 1 at no error, 1/4 at the scale.

    The scale is the median error / 0.6745 (its standard deviation if it is normal), but at least
    `tolerance`.
    """
    scale = max(tolerance, float(np.median(np.abs(error))) / 0.6745)
    return 1 / (1 + (error / scale) ** 2) ** 2


@dataclass(frozen=True)
class Trend:
    """Piecewise linear function of ln depth; constant beyond its first and last knot."""

    knots: np.ndarray
    values: np.ndarray

    def __call__(self, log_depth: np.ndarray) -> np.ndarray:
        return np.interp(log_depth, self.knots, self.values)


def fit_trend(log_depth: np.ndarray, residual: np.ndarray, options: LocalOptions) -> Trend:
    """Fit the trend to (n,) points: least squares with a little stiffness, reweighted."""
    knots = np.linspace(*np.quantile(log_depth, (0.02, 0.98)), KNOTS)
    if knots[-1] - knots[0] < 1e-3:  # one flat surface: a constant
        return Trend(np.array([0.0]), np.array([float(np.median(residual))]))
    basis = np.stack([np.interp(log_depth, knots, unit) for unit in np.eye(KNOTS)], 1)
    bend = np.diff(np.eye(KNOTS), 2, axis=0) * np.sqrt(0.01 * len(residual))
    values = np.full(KNOTS, float(np.median(residual)))
    for _ in range(options.rounds):
        weight = robust_weights(residual - basis @ values, options.tolerance)
        weighted = basis * weight[:, None]
        values = np.linalg.solve(
            basis.T @ weighted + bend.T @ bend + 1e-6 * np.eye(KNOTS), weighted.T @ residual
        )
    return Trend(knots, values)


def fit_local(
    log_depth: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    residual: np.ndarray,
    options: LocalOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the local correction (H, W) float64 and the (n,) final weights of the points."""
    grid = log_depth[GRID_PX // 2 :: GRID_PX, GRID_PX // 2 :: GRID_PX]
    spread = Spread(log_depth, grid, options.edge)
    sample = spread.matrix(rows, columns)
    stiff = options.smoothness * stiffness(grid, options.edge)
    stiff = stiff + options.pull * sparse.identity(grid.size)
    cells = np.zeros(grid.size)
    for _ in range(options.rounds):
        weight = robust_weights(residual - sample @ cells, options.tolerance)
        weighted = sample.multiply(weight[:, None])
        cells = solve((sample.T @ weighted + stiff).tocsr(), weighted.T @ residual, cells)
    weight = robust_weights(residual - sample @ cells, options.tolerance)
    return spread.enlarge(cells), weight


def solve(matrix: sparse.csr_matrix, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Solve the positive definite system to 1e-4 by conjugate gradients (50-100 steps)."""
    scaled = sparse.diags(1 / matrix.diagonal())
    found, _ = cg(matrix, right, start, rtol=1e-4, maxiter=1000, M=scaled)
    return found


def stiffness(grid: np.ndarray, edge: float) -> sparse.csr_matrix:
    """Return the (cells, cells) matrix of sum g (c_p - c_q)^2 over 4-neighbours of (h, w) grid."""
    index = np.arange(grid.size).reshape(grid.shape)
    total = sparse.csr_matrix((grid.size, grid.size))
    for first, second in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        jump = np.abs(grid[first] - grid[second]).ravel()
        root = np.sqrt(1 / (1 + (jump / edge) ** 2) ** 2 + 1e-4)
        number = np.arange(jump.size)
        shape = (jump.size, grid.size)
        plus = sparse.csr_matrix((root, (number, index[first].ravel())), shape)
        minus = sparse.csr_matrix((root, (number, index[second].ravel())), shape)
        total = total + (plus - minus).T @ (plus - minus)
    return total


class Spread:
    """Interpolation from grid cells to pixels that does not mix surfaces.

    A pixel takes the four cells around it, weighted by distance and by how alike the teacher's
    depths are (joint bilateral upsampling: Kopf et al., SIGGRAPH 2007).
    """

    def __init__(self, log_depth: np.ndarray, grid: np.ndarray, edge: float) -> None:
        self.log_depth, self.grid, self.edge = log_depth, grid, edge

    def corners(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cell numbers and weights, both (4, ...) for pixels of any shape."""
        height, width = self.grid.shape
        y = np.clip((rows - GRID_PX // 2) / GRID_PX, 0, height - 1)
        x = np.clip((columns - GRID_PX // 2) / GRID_PX, 0, width - 1)
        y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
        here = self.log_depth[rows, columns]
        cells, weights = [], []
        for dy in (0, 1):
            for dx in (0, 1):
                r, c = np.minimum(y0 + dy, height - 1), np.minimum(x0 + dx, width - 1)
                near = np.abs(1 - dy - (y - y0)) * np.abs(1 - dx - (x - x0))
                alike = 1 / (1 + ((here - self.grid[r, c]) / self.edge) ** 2) ** 2
                cells.append(r * width + c)
                weights.append(near * alike + 1e-9)
        total = np.stack(weights)
        return np.stack(cells), total / total.sum(0)

    def matrix(self, rows: np.ndarray, columns: np.ndarray) -> sparse.csr_matrix:
        """Return the (points, cells) interpolation matrix."""
        cells, weights = self.corners(rows, columns)
        points = np.broadcast_to(np.arange(rows.size), cells.shape)
        shape = (rows.size, self.grid.size)
        return sparse.csr_matrix((weights.ravel(), (points.ravel(), cells.ravel())), shape)

    def enlarge(self, values: np.ndarray) -> np.ndarray:
        """Return (H, W) of (cells,) values."""
        rows, columns = np.indices(self.log_depth.shape)
        cells, weights = self.corners(rows, columns)
        return (values[cells] * weights).sum(0)
