# SPDX-License-Identifier: Apache-2.0
"""Draw samples as rows of pictures: image, depths and labels side by side.

Pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from lightdepth_ros.classes import CLASSES, NAV7_NAMES, UNLABELLED
from lightdepth_ros.draw import (
    INK,
    PAPER,
    color_depth,
    depth_picture,
    label_picture,
    overlay_labels,
)
from training.datasets.sample import Sample

CAPTION_PX = 22
GAP_PX = 4
POINT_SHARE = 220
"""A depth point is drawn about 1/220 of the picture's width wide, so that it can be seen."""

NAV7_AS_CLASS = (0, 9, 11, 13, 5, 8, 10)
"""nav7 id -> the class whose colour stands for it."""


def shrunk(rgb: np.ndarray, width: int) -> np.ndarray:
    """Resize to `width`, keeping the aspect."""
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


def image_cell(sample: Sample, width: int) -> np.ndarray:
    """Draw the image."""
    return shrunk(sample.rgb, width)


def right_cell(sample: Sample, width: int) -> np.ndarray:
    """Draw the right-hand image."""
    assert sample.right_rgb is not None
    return shrunk(sample.right_rgb, width)


def sensor_cell(sample: Sample, width: int) -> np.ndarray:
    """Draw sensor depth as fat points, near ones on top, over the dimmed image."""
    assert sample.depth_m is not None
    cell = shrunk(sample.rgb, width) // 3
    rows, columns = np.nonzero(sample.depth_m)
    depth = sample.depth_m[rows, columns]
    scale = cell.shape[1] / sample.depth_m.shape[1]
    small = np.full(cell.shape[:2], np.inf, np.float32)
    v = (rows * scale).astype(int).clip(0, cell.shape[0] - 1)
    u = (columns * scale).astype(int).clip(0, cell.shape[1] - 1)
    np.minimum.at(small, (v, u), depth)
    side = max(1, round(width / POINT_SHARE))
    fat = cv2.erode(small, np.ones((side, side), np.uint8), borderValue=float('inf'))
    known = np.isfinite(fat)
    cell[known] = color_depth(fat)[known]
    return cell


def teacher_cell(sample: Sample, width: int) -> np.ndarray:
    """Draw teacher depth in colours."""
    assert sample.teacher_depth_m is not None
    depth = np.where(sample.teacher_depth_m > 0, sample.teacher_depth_m, np.nan)
    return shrunk(color_depth(depth.astype(np.float32)), width)


def label_cell(sample: Sample, width: int) -> np.ndarray:
    """Draw the labels over the image."""
    assert sample.label_id is not None
    return labelled(sample.rgb, sample.label_id, width)


def nav7_cell(sample: Sample, width: int) -> np.ndarray:
    """Draw the coarse labels over the image."""
    assert sample.nav7_id is not None
    return labelled(sample.rgb, nav7_as_class(sample.nav7_id), width)


def nav7_as_class(nav7_id: np.ndarray) -> np.ndarray:
    """Return ids of the classes that stand for the coarse ids, 255 kept."""
    table = np.full(256, UNLABELLED, np.uint8)
    table[: len(NAV7_AS_CLASS)] = NAV7_AS_CLASS
    ids: np.ndarray = table[nav7_id]
    return ids


def labelled(rgb: np.ndarray, label_id: np.ndarray, width: int) -> np.ndarray:
    """Draw labels over an image."""
    small = shrunk(rgb, width)
    size = (small.shape[1], small.shape[0])
    return overlay_labels(small, cv2.resize(label_id, size, interpolation=cv2.INTER_NEAREST))


COLUMNS: dict[str, tuple[str, Callable[[Sample, int], np.ndarray]]] = {
    'rgb': ('image', image_cell),
    'right_rgb': ('right image', right_cell),
    'depth_m': ('sensor depth', sensor_cell),
    'teacher_depth_m': ('teacher depth', teacher_cell),
    'label_id': ('labels', label_cell),
    'nav7_id': ('coarse labels', nav7_cell),
}
"""Field of Sample -> title of its column, and how it is drawn."""


def sheet(samples: Sequence[Sample], width: int) -> np.ndarray:
    """Draw the samples, one a row; `width` is that of one picture in pixels."""
    fields = [f for f in COLUMNS if any(getattr(s, f) is not None for s in samples)]
    heads = np.hstack([padded(text_strip(COLUMNS[f][0], width)) for f in fields])
    rows = [row(sample, fields, width) for sample in samples]
    return np.vstack([heads, *rows, *legends(samples, fields, heads.shape[1])])


def row(sample: Sample, fields: Sequence[str], width: int) -> np.ndarray:
    """Draw one sample: a caption, and below it a picture for each field."""
    height = image_cell(sample, width).shape[0]
    blank = np.full((height, width, 3), PAPER, np.uint8)
    cells = []
    for field in fields:
        cell = COLUMNS[field][1](sample, width) if getattr(sample, field) is not None else blank
        cells.append(padded(cell))
    pictures = np.hstack(cells)
    return np.vstack([text_strip(caption(sample), pictures.shape[1]), pictures])


def caption(sample: Sample) -> str:
    """Return name, size and calibration of a sample."""
    camera = sample.camera
    words = [sample.name, f'{sample.rgb.shape[1]}x{sample.rgb.shape[0]}']
    words.append(f'fx {camera.fx:.1f} px' if camera else 'not calibrated')
    if sample.baseline_m is not None:
        words.append(f'baseline {sample.baseline_m:.3f} m')
    return '   '.join(words)


def text_strip(text: str, width: int) -> np.ndarray:
    """Return a strip with one line of text."""
    strip = np.full((CAPTION_PX, width, 3), PAPER, np.uint8)
    place = (GAP_PX, round(CAPTION_PX * 0.72))
    return cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)


def padded(cell: np.ndarray) -> np.ndarray:
    """Add the gap below and to the right of a picture."""
    return cv2.copyMakeBorder(cell, 0, GAP_PX, 0, GAP_PX, cv2.BORDER_CONSTANT, value=PAPER)


def legends(samples: Sequence[Sample], fields: Sequence[str], width: int) -> list[np.ndarray]:
    """Return the strips that explain the colours of the columns that are there."""
    strips = []
    bar_px = min(width, 1100)
    if 'depth_m' in fields or 'teacher_depth_m' in fields:
        # A depth picture of no height is its scale bar alone.
        unknown = np.full((2, 2), np.nan, np.float32)
        strips.append(depth_picture(unknown, (2, bar_px))[2:])
    if 'label_id' in fields:
        maps = [s.label_id for s in samples if s.label_id is not None]
        strips.append(legend(np.unique(np.concatenate([m.ravel() for m in maps])), bar_px))
    if 'nav7_id' in fields:
        strips.append(nav7_legend(bar_px))
    right = width - bar_px
    return [
        cv2.copyMakeBorder(s, 0, 0, 0, right, cv2.BORDER_CONSTANT, value=PAPER) for s in strips
    ]


def legend(ids: np.ndarray, width: int, names: Sequence[str] | None = None) -> np.ndarray:
    """Return the colour legend of the classes `ids`; `names` replace those of the class table."""
    classes = list(CLASSES)
    for i, name in zip(ids, names or (), strict=False):
        classes[i] = classes[i]._replace(name=name)
    # A label picture of two rows, cut off, leaves its legend.
    return label_picture(
        np.zeros((2, width, 3), np.uint8), np.resize(ids, (2, width)).astype(np.uint8), classes
    )[2:]


def nav7_legend(width: int) -> np.ndarray:
    """Return the legend of the coarse classes."""
    return legend(np.array(NAV7_AS_CLASS), width, NAV7_NAMES)
