# SPDX-License-Identifier: Apache-2.0
"""Pictures to look at: depth in colours with a scale bar, labels with a legend, cloud from above.

All pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from lightdepth_ros.classes import CLASSES, UNLABELLED, SemanticClass, palette
from lightdepth_ros.point import finite_points, unpacked_rgb

Color = tuple[int, int, int]
PAPER: Color = (22, 24, 29)
INK: Color = (232, 234, 237)
FAINT: Color = (92, 98, 108)
SKY_COLOR: Color = (198, 208, 220)
UNKNOWN_COLOR: Color = (44, 46, 52)
NEAR_COLOR: Color = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
NEAR_M, FAR_M = 2.0, 80.0
"""Ends of the depth colours: warm is near, cold is far, steps are logarithmic."""
TICKS_M = (1, 2, 5, 10, 20, 40, 80, 160)


def color_depth(depth_m: np.ndarray, near_m: float = NEAR_M, far_m: float = FAR_M) -> np.ndarray:
    """Colour (h, w) float32 metres: logarithmic from warm (near) to cold (far).

    +Inf (sky, beyond range) is pale grey, NaN (unknown) dark, -Inf (too near) white. Looked up by
    the upper 16 bits of each float32, 0.8 % of depth, which is less than one step of colour.
    """
    upper = np.ascontiguousarray(depth_m, np.float32).view(np.uint32) >> 16
    padded = np.take(_colors(near_m, far_m), upper).view(np.uint8)
    colors: np.ndarray = cv2.cvtColor(padded.reshape(*depth_m.shape, 4), cv2.COLOR_RGBA2RGB)
    return colors


@lru_cache(maxsize=4)
def _colors(near_m: float, far_m: float) -> np.ndarray:
    """Return the colour, (65536,) uint32 of RGBA bytes, of each float32 by its upper 16 bits."""
    special = np.arange(1 << 16) & 0x7F80 == 0x7F80  # infinite or not a number
    middle = (np.arange(1 << 16, dtype=np.uint32) << 16) + np.where(special, 0, 0x8000)
    depth_m = middle.astype(np.uint32).view(np.float32)[None]
    with np.errstate(invalid='ignore'):
        share = _log_share(depth_m, near_m, far_m)
    rgb = _paint(share, depth_m == np.inf, np.isnan(depth_m), depth_m == -np.inf)
    colors: np.ndarray = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA).view(np.uint32)[0, :, 0]
    return colors


def depth_picture(
    depth_m: np.ndarray, size_hw: tuple[int, int], near_m: float = NEAR_M, far_m: float = FAR_M
) -> np.ndarray:
    """Enlarge the depth image to `size_hw` and put a scale bar in metres below it."""
    size = (size_hw[1], size_hw[0])
    finite = np.isfinite(depth_m).astype(np.float32)
    share = _log_share(depth_m, near_m, far_m)
    # Weighted by validity, so that the sky's edge does not fade into the colour of "far".
    weight = cv2.resize(finite, size, interpolation=cv2.INTER_LINEAR)
    total = cv2.resize(share * finite, size, interpolation=cv2.INTER_LINEAR)
    share = (total / np.maximum(weight, 1e-6)).clip(0, 1)
    masks = [
        _enlarged_mask(mask, size)
        for mask in (depth_m == np.inf, np.isnan(depth_m), depth_m == -np.inf)
    ]
    picture = _paint(share, *masks)
    return np.vstack([picture, _scale_bar(size_hw[1], near_m, far_m)])


def overlay_labels(rgb: np.ndarray, label_id: np.ndarray, strength: float = 0.55) -> np.ndarray:
    """Tint (H, W, 3) `rgb` with the class colours of (h, w) `label_id`, enlarged to fit.

    Borders between classes are drawn as thin dark lines; unlabelled pixels keep their colour.
    """
    height, width = rgb.shape[:2]
    labels = cv2.resize(label_id, (width, height), interpolation=cv2.INTER_NEAREST)
    round_px = 2 * max(1, width // label_id.shape[1] // 2) + 1
    labels = cv2.medianBlur(labels, round_px)  # smooths the stairs of the enlarged pixels
    colors = palette()[labels]
    mixed = cv2.addWeighted(rgb, 1 - strength, colors, strength, 0)
    mixed = np.where((labels == UNLABELLED)[..., None], rgb, mixed)
    border = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    mixed[border] = mixed[border] // 2
    return mixed


def label_picture(
    rgb: np.ndarray, label_id: np.ndarray, classes: Sequence[SemanticClass] = CLASSES
) -> np.ndarray:
    """Draw the labels over the picture, with a legend below of the classes that occur."""
    ids, counts = np.unique(label_id, return_counts=True)
    seen = [
        classes[i]
        for i, _ in sorted(zip(ids, counts, strict=True), key=lambda pair: -pair[1])
        if i < len(classes)
    ]
    legend = _legend([(c.name.replace('_', ' '), c.color) for c in seen], rgb.shape[1])
    return np.vstack([overlay_labels(rgb, label_id), legend])


def cloud_picture(
    cloud: np.ndarray, size_hw: tuple[int, int], range_m: float | None = None
) -> np.ndarray:
    """Draw a cloud (`point.POINT`) seen from above: the camera at the bottom, looking up.

    range_m: distance from bottom to top; None = far enough for 90 % of the points. Points more
    than 3 m above the camera are left out, so that trees do not hide what is below them.
    """
    points = finite_points(cloud)
    points = points[points['y'] > -3.0]
    if range_m is None:
        far = float(np.percentile(points['z'], 90)) if len(points) else 10.0
        range_m = min(80.0, max(10.0, 10 * math.ceil(far / 10)))
    height, width = size_hw
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    view = _GroundView(width, height, range_m)
    _draw_grid(canvas, view)
    _draw_points(canvas, view, points[np.argsort(-points['y'])])
    _draw_grid_text(canvas, view)
    return canvas


class _GroundView:
    """Metres on the ground -> pixels of the picture from above."""

    def __init__(self, width: int, height: int, range_m: float) -> None:
        self.range_m = range_m
        self.px_per_m = height * 0.94 / range_m
        self.camera_px = (width // 2, round(height * 0.97))

    def pixels(self, x_m: np.ndarray, z_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        u = np.rint(self.camera_px[0] + x_m * self.px_per_m).astype(np.int64)
        v = np.rint(self.camera_px[1] - z_m * self.px_per_m).astype(np.int64)
        return u, v

    def rings_m(self) -> list[int]:
        step = next(s for s in (1, 2, 5, 10, 20, 50) if self.range_m / s <= 8)
        return list(range(step, math.ceil(self.range_m) + 1, step))


def _draw_grid(canvas: np.ndarray, view: _GroundView) -> None:
    for ring in view.rings_m():
        radius = round(ring * view.px_per_m)
        cv2.circle(canvas, view.camera_px, radius, (48, 52, 60), 1, cv2.LINE_AA)


def _draw_points(canvas: np.ndarray, view: _GroundView, points: np.ndarray) -> None:
    u, v = view.pixels(points['x'], points['z'])
    colors = unpacked_rgb(points) // 4 * 3 + 48  # lifted off the dark background
    height, width = canvas.shape[:2]
    size = max(2, round(height / 240))
    for dv in range(size):
        for du in range(size):
            shown = (u + du >= 0) & (u + du < width) & (v + dv >= 0) & (v + dv < height)
            canvas[v[shown] + dv, u[shown] + du] = colors[shown]


def _draw_grid_text(canvas: np.ndarray, view: _GroundView) -> None:
    scale = _text_scale(canvas.shape[1])
    for ring in view.rings_m():
        x, y = view.camera_px[0], view.camera_px[1] - round(ring * view.px_per_m)
        half_w, half_h = round(scale * 55), round(scale * 22)
        plate = canvas[max(0, y - half_h) : y + half_h, x - half_w : x + half_w]
        plate[:] = cv2.addWeighted(plate, 0.25, np.full_like(plate, PAPER), 0.75, 0)
        _text(canvas, f'{ring} m', (x, y), scale, INK, center=True)
    x, y = view.camera_px
    half = max(5, canvas.shape[1] // 90)
    triangle = np.array([(x, y - 2 * half), (x - half, y), (x + half, y)])
    cv2.fillPoly(canvas, [triangle], (255, 176, 0), cv2.LINE_AA)


def _log_share(depth_m: np.ndarray, near_m: float, far_m: float) -> np.ndarray:
    """Return (h, w) float32: 0 at near_m and nearer, 1 at far_m and further or unknown."""
    finite = np.isfinite(depth_m)
    safe = np.where(finite, depth_m, far_m).clip(near_m, far_m)
    share: np.ndarray = np.log(safe / near_m) / math.log(far_m / near_m)
    return share.astype(np.float32)


def _enlarged_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge a bool mask to (width, height) with rounded instead of stepped outlines."""
    large = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    enlarged: np.ndarray = cv2.GaussianBlur(large, (0, 0), size[0] / mask.shape[1] * 0.8) > 0.5
    return enlarged


def _paint(
    share: np.ndarray, sky: np.ndarray, unknown: np.ndarray, too_near: np.ndarray
) -> np.ndarray:
    # The ends of the colour map are left out: they are too dark to tell from "unknown".
    index = np.rint(232 - share * 210).astype(np.uint8)
    bgr = cv2.applyColorMap(index, cv2.COLORMAP_TURBO)
    picture: np.ndarray = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    picture[sky] = SKY_COLOR
    picture[unknown] = UNKNOWN_COLOR
    picture[too_near] = NEAR_COLOR
    return picture


def _scale_bar(width: int, near_m: float, far_m: float) -> np.ndarray:
    scale = _text_scale(width)
    line = _line_height(scale)
    strip = np.full((round(line * 3.2), width, 3), PAPER, np.uint8)
    left, right = round(width * 0.05), round(width * 0.62)
    top, bottom = round(line * 0.7), round(line * 1.4)
    share = np.linspace(0, 1, right - left, dtype=np.float32)[None]
    nothing = np.zeros(share.shape, bool)
    strip[top:bottom, left:right] = _paint(share, nothing, nothing, nothing)
    ticks = [tick for tick in TICKS_M if near_m <= tick <= far_m]
    for tick in ticks:
        x = left + round((right - left - 1) * math.log(tick / near_m) / math.log(far_m / near_m))
        cv2.line(strip, (x, bottom), (x, bottom + line // 4), INK, 1)
        text = f'{tick} m' if tick == ticks[-1] else f'{tick}'
        _text(strip, text, (x, round(line * 2.25)), scale, INK, center=True)
    _swatch(strip, (round(width * 0.67), top), 'sky, beyond', SKY_COLOR, scale)
    _swatch(strip, (round(width * 0.85), top), 'unknown', UNKNOWN_COLOR, scale)
    return strip


def _legend(entries: list[tuple[str, Color]], width: int) -> np.ndarray:
    scale = _text_scale(width)
    line = _line_height(scale)
    margin = line // 2
    places = []
    x, y = margin, margin
    for name, color in entries:
        needed = _swatch_width(name, scale)
        if x + needed > width and x > margin:
            x, y = margin, y + round(line * 1.3)
        places.append((name, color, (x, y)))
        x += needed
    strip = np.full((y + round(line * 1.3), width, 3), PAPER, np.uint8)
    for name, color, corner in places:
        _swatch(strip, corner, name, color, scale)
    return strip


def _swatch(
    image: np.ndarray, corner: tuple[int, int], name: str, color: Color, scale: float
) -> None:
    line = _line_height(scale)
    x, y = corner
    side = round(line * 0.7)
    cv2.rectangle(image, (x, y), (x + side, y + side), color, -1)
    cv2.rectangle(image, (x, y), (x + side, y + side), FAINT, 1)
    _text(image, name, (x + side + line // 3, y + side // 2), scale, INK)


def _swatch_width(name: str, scale: float) -> int:
    line = _line_height(scale)
    text_width: int = cv2.getTextSize(name, FONT, scale, 1)[0][0]
    return round(line * 1.7) + text_width


def _text(
    image: np.ndarray,
    text: str,
    middle_left: tuple[int, int],
    scale: float,
    color: Color,
    center: bool = False,
) -> None:
    """Write `text` with its vertical middle (and, if `center`, horizontal middle) at a point."""
    (width, height), _ = cv2.getTextSize(text, FONT, scale, 1)
    x, y = middle_left
    origin = (x - width // 2 if center else x, y + height // 2)
    cv2.putText(image, text, origin, FONT, scale, PAPER, 3, cv2.LINE_AA)
    cv2.putText(image, text, origin, FONT, scale, color, 1, cv2.LINE_AA)


def _text_scale(width: int) -> float:
    return max(0.35, width / 1700)


def _line_height(scale: float) -> int:
    return max(12, round(scale * 40))
