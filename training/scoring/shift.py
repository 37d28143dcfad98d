# SPDX-License-Identifier: Apache-2.0
"""How much the answer changes when the window that the network looks through moves a little.

The world has not changed, so neither should depth or labels; a network that samples coarsely
without blurring first (aliasing) sees another picture. The frame is scaled so that the network's
input fits with a margin; windows of the input's size are then cut out at network pixels, unscaled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from rich.progress import track

from lightdepth_ros.camera import Camera
from training.datasets.sample import Dataset, Sample
from training.scoring.fullframe import FullFrame, Predictor
from training.scoring.protocols import Protocol
from training.scoring.score import camera_of, mount_of

SHIFT_PX = 8
DIRECTIONS = {'right': (SHIFT_PX, 0), 'down': (0, SHIFT_PX)}
MOST_FRAMES = 40
"""Frames looked at, evenly spread: the measure hardly scatters."""


def with_margin(
    rgb: np.ndarray, camera: Camera, window_hw: tuple[int, int]
) -> tuple[np.ndarray, Camera]:
    """Scale a picture, (H, W, 3) uint8, so that a window may move by SHIFT_PX in it."""
    height, width = rgb.shape[:2]
    scale = max((window_hw[0] + SHIFT_PX) / height, (window_hw[1] + SHIFT_PX) / width)
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(rgb, size, interpolation=how), camera.resized(*size)


def frame_change(
    sample: Sample, window_hw: tuple[int, int], predictor: Predictor, far_m: float
) -> dict[str, tuple[float, float]]:
    """Return (mean |ln ratio| of depth, share of labels changed) for each direction."""
    picture, view = with_margin(sample.rgb, camera_of(sample), window_hw)
    mount = mount_of(sample)
    height, width = window_hw
    x0 = (picture.shape[1] - width - SHIFT_PX) // 2
    y0 = (picture.shape[0] - height - SHIFT_PX) // 2

    def look(x: int, y: int) -> FullFrame:
        part = np.ascontiguousarray(picture[y : y + height, x : x + width])
        return predictor(part, view.cropped(x, y, width, height), far_m, mount)

    still = look(x0, y0)
    found = {}
    for name, (dx, dy) in DIRECTIONS.items():
        moved = look(x0 + dx, y0 + dy)
        found[name] = change(
            overlap(still, slice(dy, height), slice(dx, width)),
            overlap(moved, slice(0, height - dy), slice(0, width - dx)),
            far_m,
        )
    return found


def overlap(frame: FullFrame, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and labels of a part."""
    return frame.depth_m[rows, columns], frame.label_id[rows, columns]


def change(
    still: tuple[np.ndarray, np.ndarray], moved: tuple[np.ndarray, np.ndarray], far_m: float
) -> tuple[float, float]:
    """Compare depth and labels of the same pixels; what is far in both says nothing of depth."""
    (depth_a, label_a), (depth_b, label_b) = still, moved
    with np.errstate(invalid='ignore'):
        use = (depth_a > 0) & (depth_b > 0) & ((depth_a < far_m) | (depth_b < far_m))
    log = np.abs(np.log(depth_b[use] / depth_a[use]))
    return float(log.mean()) if log.size else float('nan'), float((label_a != label_b).mean())


def measure_shift(
    dataset: Dataset,
    predictor: Predictor,
    window_of: Callable[[tuple[int, int]], tuple[int, int]],
    protocol: Protocol,
) -> dict[str, object]:
    """Return the mean changes over a data set's frames; window_of: frame (H, W) -> network input.

    The predictor must answer for a picture of the size of the network's input by one run of the
    network on exactly that.
    """
    count = min(MOST_FRAMES, len(dataset))
    rows = []
    for number in track(range(count), description='shifted windows'):
        sample = dataset[number * len(dataset) // count]
        window = window_of((sample.rgb.shape[0], sample.rgb.shape[1]))
        rows.append(frame_change(sample, window, predictor, protocol.cap_m))
    means = {name: mean_change([row[name] for row in rows]) for name in DIRECTIONS}
    return {'frames': count, 'pixels': SHIFT_PX, **means}


def mean_change(rows: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the means over frames."""
    depth, label = np.nanmean(np.array(rows), axis=0)
    return {'depth': float(depth), 'label': float(label)}
