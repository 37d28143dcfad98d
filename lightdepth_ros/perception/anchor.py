# SPDX-License-Identifier: Apache-2.0
"""Depth bent to measured points: guessed metres become measured ones. Pure: arrays in, arrays out.

What is fitted, and why it is regular, is told in anchor_field.py. Here are the limits: which
points are used, how far depth may move, that order in depth is kept, and what is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.anchor_field import (
    CELLS,
    PRIOR,
    Prior,
    fit_field,
    gather,
    heavy_tailed,
    low_order,
    middle,
    product,
)

LARGEST_FACTOR = 6.0
"""Depth is never moved by more than this factor; a point that asks for more is rejected."""
LARGEST_LOCAL = 2.0
"""Nor by more than this factor from the frame's own factor."""
SLOPES = (0.2, 3.0)
"""Anchored ln depth rises with predicted ln depth, on one ray, by at least and at most this."""
FEWEST = 3
"""Points below which nothing is done."""
MOST_OFF = 0.4
"""Share of points that may disagree with the rest; beyond it none is believed."""
WILDEST = 0.4
"""Robust deviation of ln depth from the low-order part, above which no point is believed."""
ROUNDS, ENOUGH = 4, 400
"""Robust fits of the low-order part, and about how many points they look at."""
TUKEY = 4.685
LEAST_SIGMA = 0.16
LEAST_DOUBT, HALF_SUPPORT = 0.4, 0.1
"""Of the law by which doubt shrinks near points."""
GRID = (20, 32, 16)
"""Nodes over rows, columns and ln depth on which the correction is computed."""
WIDEST = 32000
"""OpenCV's remap takes no wider image than 32767."""


@dataclass(frozen=True)
class AnchorPoints:
    """Measured depth at pixels of a prediction's grid.

    u, v     (n,) float32, pixels; whatever lies outside is passed over.
    depth_m  (n,) float32, metres along Z; not finite or not positive = no value.
    """

    u: np.ndarray
    v: np.ndarray
    depth_m: np.ndarray

    def __post_init__(self) -> None:
        if not self.u.shape == self.v.shape == self.depth_m.shape or self.u.ndim != 1:
            raise ValueError(
                f'u, v and depth_m must be (n,) each, got {self.u.shape}, {self.v.shape}, '
                f'{self.depth_m.shape}'
            )


@dataclass(frozen=True)
class AnchorReport:
    """What anchoring did to a frame.

    points, rejected  how many points were believed, and how many were not.
    factor            the middle factor between anchored and predicted depth at the points.
    moved             median |ln| by which depth was moved, over all pixels.
    before, after     median |ln measured - ln depth| at the believed points; NaN without any.
    why_not           why the frame was not anchored; empty = it was.
    """

    points: int
    rejected: int
    factor: float
    moved: float
    before: float
    after: float
    why_not: str = ''


@dataclass(frozen=True)
class Anchored:
    """depth_m (h, w) float32, metres; confidence (h, w) uint8 or None; report."""

    depth_m: np.ndarray
    confidence: np.ndarray | None
    report: AnchorReport


def anchor(
    depth_m: np.ndarray,
    confidence: np.ndarray | None,
    camera: Camera,
    points: AnchorPoints,
    prior: Prior = PRIOR,
) -> Anchored:
    """Bend `depth_m`, (h, w) float32 metres seen by `camera`, to `points`.

    NaN and both infinities stay. Without usable points the very arrays given come back. Else
    confidence, (h, w) uint8 or None, rises near believed points.
    """
    with np.errstate(invalid='ignore', divide='ignore'):
        log = np.log(depth_m)
    known = np.isfinite(log)
    used = _usable(log, known, camera, points)
    sent, count = len(points.depth_m), len(used.misfit)
    if count < FEWEST:
        return not_anchored(depth_m, confidence, sent, f'{count} of {sent} points can be used')
    trust, factor_log, sigma = _trust(used, prior)
    believed = trust > 0
    agreeing = int(np.count_nonzero(believed))
    if sigma > WILDEST or agreeing < max(FEWEST, (1 - MOST_OFF) * count):
        return not_anchored(depth_m, confidence, sent, _wild(agreeing, count, sigma))
    cells = gather(used.place[believed], used.misfit[believed], trust[believed])
    field = fit_field(cells, heavy_tailed(prior, factor_log), 2)
    axes = _axes(camera, log, known)
    reader = Reader(log, axes[2])
    table, support = field.on_grid(*axes)
    correction = reader.read(_limited(table, axes[2], factor_log))
    report = _report(used, believed, correction, known, sent)
    if confidence is not None:
        confidence = _surer(confidence, known, reader.read(support))
    return Anchored(depth_m * np.exp(correction), confidence, report)


@dataclass(frozen=True)
class _Used:
    """Points that can be compared: (n, 3) place, (n,) misfit (see Cells), (n,) flat pixel."""

    place: np.ndarray
    misfit: np.ndarray
    pixel: np.ndarray


def _usable(log: np.ndarray, known: np.ndarray, camera: Camera, points: AnchorPoints) -> _Used:
    height, width = log.shape
    with np.errstate(invalid='ignore'):
        inside = (points.u > -0.5) & (points.u < width - 0.5)
        inside &= (points.v > -0.5) & (points.v < height - 0.5)
        inside &= (points.depth_m > 0) & (points.depth_m < np.inf)
    u, v, depth_m = (a[inside].astype(np.float32) for a in (points.u, points.v, points.depth_m))
    pixel = np.rint(v).astype(np.int64) * width + np.rint(u).astype(np.int64)
    predicted = log.ravel()[pixel]
    misfit = np.log(depth_m) - predicted
    kept = known.ravel()[pixel] & (np.abs(misfit) < math.log(LARGEST_FACTOR))
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    place = np.stack([x, y, predicted], 1).astype(np.float32)
    return _Used(place[kept], misfit[kept], pixel[kept])


def _wild(agreeing: int, count: int, sigma: float) -> str:
    return (
        f'{agreeing} of {count} points agree, within {sigma:.0%}; were sensor or camera moved, or '
        'are the transforms between them wrong?'
    )


def _trust(used: _Used, prior: Prior) -> tuple[np.ndarray, float, float]:
    """Return the (n,) trust in points by a robust fit of the low-order part, 0 = not believed, ln
    of the factor at MIDDLE_LOG, and the robust deviation from the fit."""
    every = len(used.misfit) // ENOUGH + 1
    basis, misfit = low_order(used.place[::every]), used.misfit[::every]
    precision = np.diag(1 / replace(prior, factor=1.0).low ** 2)
    information = min(len(misfit), CELLS) / len(misfit)
    found = np.array([middle(misfit), 0, 0, 0], np.float32)
    for _ in range(ROUNDS):
        left = misfit - basis @ found
        sigma = max(LEAST_SIGMA, middle(np.abs(left)) / 0.6745)
        weighted = basis * (_tukey(left, sigma) * np.float32(information / sigma**2))[:, None]
        found = np.linalg.solve(weighted.T @ basis + precision, weighted.T @ misfit)
    left = used.misfit - low_order(used.place) @ found.astype(np.float32)
    return _tukey(left, sigma), float(found[0]), sigma


def _tukey(left: np.ndarray, sigma: float) -> np.ndarray:
    """Return Tukey's biweights, (n,) float32: 1 without error, 0 from TUKEY sigmas on."""
    weight: np.ndarray = np.maximum(1 - (left * np.float32(1 / (TUKEY * sigma))) ** 2, 0) ** 2
    return weight


def _axes(
    camera: Camera, log: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes of the grid: x / z, y / z and ln depth, float32, ascending."""
    rows, columns, layers = GRID
    left, right = -camera.cx / camera.fx, (camera.width - 1 - camera.cx) / camera.fx
    top, bottom = -camera.cy / camera.fy, (camera.height - 1 - camera.cy) / camera.fy
    near, far, _, _ = cv2.minMaxLoc(log, known.view(np.uint8))
    far = max(far, near + 0.1)
    return (
        np.linspace(left, right, columns, dtype=np.float32),
        np.linspace(top, bottom, rows, dtype=np.float32),
        np.linspace(near, far, layers, dtype=np.float32),
    )


def _limited(table: np.ndarray, log: np.ndarray, factor_log: float) -> np.ndarray:
    """Return the (y, x, ln depth) corrections within the bounds, and in order along ln depth."""
    most, local = math.log(LARGEST_FACTOR), math.log(LARGEST_LOCAL)
    table = table.clip(max(-most, factor_log - local), min(most, factor_log + local))
    step = np.diff(table, axis=2) / np.float32(log[1] - log[0])
    if step.min() < SLOPES[0] - 1:
        line = log * np.float32(1 - SLOPES[0])
        table = _ascending(table + line) - line
    if step.max() > SLOPES[1] - 1:
        line = log * np.float32(SLOPES[1] - 1)
        table = line - _ascending(line - table)
    return table


def _ascending(values: np.ndarray) -> np.ndarray:
    """Return `values`, never falling along the last axis: the mean of the least curve that is
    nowhere below and the largest that is nowhere above."""
    above = np.maximum.accumulate(values, axis=-1)
    below = np.minimum.accumulate(values[..., ::-1], axis=-1)[..., ::-1]
    ascending: np.ndarray = (above + below) / 2
    return ascending


class Reader:
    """Reads tables over rows, columns and ln depth at every pixel, linear in all three.

    Columns are brought to full width first; then ln depth lies beside columns in one picture, and
    OpenCV's remap interpolates in rows and ln depth at once.
    """

    def __init__(self, log: np.ndarray, nodes: np.ndarray) -> None:
        """log: (h, w) float32; nodes: of ln depth, evenly spaced."""
        height, width = log.shape
        self._blend, self._start, self._rows = _maps(height, width, *GRID)
        layer = (log - nodes[0]) * np.float32(1 / (nodes[1] - nodes[0]))
        np.fmax(np.fmin(layer, len(nodes) - 1, out=layer), 0, out=layer)  # NaN too
        layer += self._start
        self._columns = layer

    def read(self, table: np.ndarray) -> np.ndarray:
        """Return (h, w) float32 of a float32 table of GRID's shape."""
        rows, columns, layers = table.shape
        beside = np.ascontiguousarray(table.swapaxes(0, 1)).reshape(columns, -1)
        wide = product(self._blend, beside).reshape(-1, rows, layers)
        picture = np.ascontiguousarray(wide.swapaxes(0, 1)).reshape(rows, -1)
        return cv2.remap(picture, self._columns, self._rows, cv2.INTER_LINEAR)


@lru_cache(maxsize=8)
def _maps(
    height: int, width: int, rows: int, columns: int, layers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what Reader needs of a size: (wide, columns) weights that bring a table's columns to
    `wide`, where a pixel's layers begin, and its row in the table; (h, w) float32 both."""
    wide = min(width, WIDEST // layers)
    at = np.linspace(0, columns - 1, wide)
    blend = np.maximum(1 - np.abs(at[:, None] - np.arange(columns)), 0).astype(np.float32)
    column = np.rint(np.linspace(0, wide - 1, width)) * layers
    start = np.tile(column.astype(np.float32), (height, 1))
    row = np.linspace(0, rows - 1, height, dtype=np.float32)
    return blend, start, np.ascontiguousarray(np.repeat(row[:, None], width, 1))


def _surer(confidence: np.ndarray, known: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return (h, w) uint8: doubt shrinks by LEAST_DOUBT at most, where `support` is large."""
    keep = 1 - np.float32(1 - LEAST_DOUBT) * support / (support + np.float32(HALF_SUPPORT))
    sure = 255 - (255 - confidence.astype(np.float32)) * keep
    return np.where(known, np.rint(sure), confidence).astype(np.uint8)


def _report(
    used: _Used, believed: np.ndarray, correction: np.ndarray, known: np.ndarray, sent: int
) -> AnchorReport:
    count = int(np.count_nonzero(believed))
    chosen = np.flatnonzero(believed)[:: count // ENOUGH + 1]
    moved, misfit = correction.ravel()[used.pixel[chosen]], used.misfit[chosen]
    sample = np.abs(correction[::8, ::8][known[::8, ::8]])
    return AnchorReport(
        points=count,
        rejected=sent - count,
        factor=math.exp(middle(moved)),
        moved=middle(sample) if sample.size else float('nan'),
        before=middle(np.abs(misfit)),
        after=middle(np.abs(misfit - moved)),
    )


def not_anchored(
    depth_m: np.ndarray, confidence: np.ndarray | None, sent: int, why_not: str
) -> Anchored:
    nothing = float('nan')
    report = AnchorReport(0, sent, 1.0, 0.0, nothing, nothing, why_not)
    return Anchored(depth_m, confidence, report)
