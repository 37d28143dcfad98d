# SPDX-License-Identifier: Apache-2.0
"""A prediction at the camera's own size, its edges laid where the picture has them; no messages.

Around an edge of depth the pixels of the prediction are divided into a near and a far side. Each
camera pixel then takes the depth of the side that it belongs to, by its colour and by the depth
there; away from edges ln depth is interpolated.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.perception.placement import Placement, Window
from lightdepth_ros.perception.point_filter import FLAT
from lightdepth_ros.perception.prediction import Prediction

SKY_LOG = np.float32(np.log(200.0))
"""Stands for sky while sides are told apart; it is never published."""
REACH_PX, COLOR_PX = 7, 9
"""Windows, in pixels of the prediction, in which depths and mean colours are compared."""
FLAT_LOG, EDGE_LOG = 0.1, 0.2
"""Where ln depth varies by less than the first within REACH_PX there is no edge; from the second
on there is."""
SURFACE = np.float32(0.35)
"""A side's depth is the mean over those of its pixels that are within this share of the range in
ln depth of its end: the slope between the two is neither."""
DEPTH_WEIGHT, SHARPNESS = 0.75, 6.0
"""How much the depth says about the side, beside the colour; how quickly one side becomes the
other. Measured by `python -m training.edges --sizes`."""
COLOR_NOISE = 400.0
"""Squared difference of colours, of 255, that says nothing."""
FAR_SIDE_IS_SKY, SKY, UNKNOWN, TOO_NEAR = 1, 2, 3, 4


class Canvas(NamedTuple):
    """Where a prediction lies in the camera image.

    part: the pixels of the prediction that show the image. hw: their size in camera pixels.
    corner: (y, x) of their top left in the image; it may lie outside, for padding.
    """

    part: Window
    hw: tuple[int, int]
    corner: tuple[int, int]


@lru_cache(maxsize=16)
def canvas_of(place: Placement, stride: int) -> Canvas:
    """Return where the output of a network with this placement lies in the camera image."""
    target, crop = place.target, place.crop
    x0, y0 = target.x0 // stride, target.y0 // stride
    x1 = -(-(target.x0 + target.width) // stride)
    y1 = -(-(target.y0 + target.height) // stride)
    wide, high = crop.width * stride / target.width, crop.height * stride / target.height
    corner = (
        round(crop.y0 + (y0 - target.y0 / stride) * high),
        round(crop.x0 + (x0 - target.x0 / stride) * wide),
    )
    part = Window(x0, y0, x1 - x0, y1 - y0)
    return Canvas(part, (round(part.height * high), round(part.width * wide)), corner)


def enlarged(
    prediction: Prediction,
    guide: np.ndarray,
    small: np.ndarray,
    canvas: Canvas,
    camera: Camera | None,
) -> Prediction:
    """Return the prediction at the size of the camera image.

    guide: (H, W, 3) uint8, the image without distortion. small: (h, w, 3) uint8, the same on the
    grid of the prediction. camera: of `guide`; None = uncalibrated. Depth is NaN, the label 255
    and the confidence 0 where the network did not see the image. Labels and confidence come from
    the nearest pixel.
    """
    hw = (guide.shape[0], guide.shape[1])
    to_y, at_y = _overlap(canvas.corner[0], canvas.hw[0], hw[0])
    to_x, at_x = _overlap(canvas.corner[1], canvas.hw[1], hw[1])
    to, at = (to_y, to_x), (at_y, at_x)
    depth_m = np.full(hw, np.nan, np.float32)
    picture = np.zeros((*canvas.hw, 3), np.uint8)
    picture[at] = guide[to]
    sides = _sides(*(canvas.part.of(a) for a in (prediction.depth_m, _flat(prediction), small)))
    depth_m[to] = _sharp(sides, picture)[at]

    def nearest(values: np.ndarray | None, nothing: int) -> np.ndarray | None:
        if values is None:
            return None
        full = np.full(hw, nothing, np.uint8)
        full[to] = _nearest(canvas.part.of(values), canvas.hw)[at]
        return full

    return dataclasses.replace(
        prediction,
        depth_m=depth_m,
        label_id=nearest(prediction.label_id, UNLABELLED),
        confidence=nearest(prediction.confidence, 0),
        camera=camera,
    )


def _overlap(start: int, length: int, limit: int) -> tuple[slice, slice]:
    """Return what a stretch shares with 0..limit, counted from 0 and from its own start."""
    first, last = max(start, 0), min(start + length, limit)
    return slice(first, last), slice(first - start, last - start)


def _flat(prediction: Prediction) -> np.ndarray:
    """Return (h, w) bool: labelled as ground, whose depth changes from row to row."""
    label_id = prediction.label_id
    if label_id is None:
        return np.zeros(prediction.depth_m.shape, bool)
    return cv2.LUT(np.ascontiguousarray(label_id), FLAT).view(bool)


def _sharp(sides: _Sides, picture: np.ndarray) -> np.ndarray:
    """Return (H, W) float32 metres for `picture`, (H, W, 3) uint8."""
    hw = (picture.shape[0], picture.shape[1])
    share = _far_share(sides, picture)
    log = _resized(sides.gain, hw)
    log *= share
    log += _resized(sides.base, hw)
    found: np.ndarray = cv2.exp(log)
    kind = _nearest(sides.kind, hw)
    kind[(kind == FAR_SIDE_IS_SKY) & (share > 0.5)] = SKY
    for special, value in ((SKY, np.inf), (UNKNOWN, np.nan), (TOO_NEAR, -np.inf)):
        if (sides.kind == special).any() or special == SKY:
            np.copyto(found, np.float32(value), where=kind == special)
    return found


class _Sides(NamedTuple):
    """The two sides of the edges, on the grid of the prediction.

    ln depth of a camera pixel = base + gain * f, where f, 0 to 1, is how far it belongs to the
    far side: offset - slope . colour, all (h, w) float32, slope three of them. kind: (h, w) uint8,
    what is special about a pixel; 0 = nothing.
    """

    base: np.ndarray
    gain: np.ndarray
    slope: list[np.ndarray]
    offset: np.ndarray
    kind: np.ndarray


def _sides(depth_m: np.ndarray, flat: np.ndarray, small: np.ndarray) -> _Sides:
    known, sky = np.isfinite(depth_m), np.isposinf(depth_m)
    log = _filled(depth_m, known, sky)
    window = np.ones((REACH_PX, REACH_PX), np.uint8)
    least, most = cv2.erode(log, window), cv2.dilate(log, window)
    spread, middle = most - least, (most + least) / 2
    row = np.ones((1, REACH_PX), np.uint8)
    steep = np.where(flat, cv2.dilate(log, row) - cv2.erode(log, row), spread)
    edge = np.clip((steep - FLAT_LOG) / (EDGE_LOG - FLAT_LOG), 0, 1)
    near = log < middle
    finite_most = cv2.dilate(np.where(sky, least, log), window)
    margin = SURFACE * (finite_most - least)
    near_log = _mean(log, log <= least + margin, log)
    far_log = _mean(log, (log >= finite_most - margin) & ~sky, near_log)
    base = np.where(sky, near_log, log) * (1 - edge) + edge * near_log
    slope, offset = _by_color(small, near)
    offset += DEPTH_WEIGHT * (log - middle) / np.maximum(spread, 0.02)
    at_edge = edge > 0.5
    sky_behind = _mean(sky.astype(np.float32), ~near, np.float32(0)) > 0.5
    kind = np.where(sky & ~at_edge, SKY, 0).astype(np.uint8)
    kind[at_edge & np.where(near, sky_behind, sky)] = FAR_SIDE_IS_SKY
    kind[~known & ~sky] = UNKNOWN
    kind[np.isneginf(depth_m)] = TOO_NEAR
    slope = [SHARPNESS * plane for plane in slope]
    return _Sides(base, edge * (far_log - near_log), slope, SHARPNESS * offset + 0.5, kind)


def _filled(depth_m: np.ndarray, known: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Return ln depth, SKY_LOG for sky; where nothing is known that of what is around."""
    log: np.ndarray = np.where(known, np.log(np.where(known, depth_m, 1)), SKY_LOG)
    lost = ~(known | sky)
    return np.where(lost, _mean(log, ~lost, SKY_LOG), log) if lost.any() else log


def _mean(
    values: np.ndarray, chosen: np.ndarray, otherwise: np.ndarray | np.float32
) -> np.ndarray:
    """Return the mean of the chosen pixels in the window of each pixel, or `otherwise`."""
    size = (REACH_PX, REACH_PX)
    weight = cv2.blur(chosen.astype(np.float32), size)
    total = cv2.blur(values * chosen, size)
    some = weight > 0.01
    return np.where(some, total / np.maximum(weight, 0.01), otherwise).astype(np.float32)


def _by_color(small: np.ndarray, near: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return slope, three (h, w), and offset (h, w): offset - slope . colour is -1/2 at the mean
    colour of the near side, 1/2 at that of the far side, and about 0 where these are alike."""
    size = (COLOR_PX, COLOR_PX)
    weight = near.astype(np.float32)
    share = cv2.blur(weight, size)
    of_near, of_far = 1 / np.maximum(share, 0.01), 1 / np.maximum(1 - share, 0.01)
    slope: list[np.ndarray] = []
    offset = np.zeros(near.shape, np.float32)
    difference = np.full(near.shape, COLOR_NOISE, np.float32)
    for channel in cv2.split(small):  # planes: three times as fast as pixels of three
        color = channel.astype(np.float32)
        both, part = cv2.blur(color, size), cv2.blur(color * weight, size)
        near_color, far_color = part * of_near, (both - part) * of_far
        apart = near_color - far_color
        difference += apart * apart
        offset += apart * (near_color + far_color)
        slope.append(apart)
    return [apart / difference for apart in slope], offset / (2 * difference)


def _far_share(sides: _Sides, picture: np.ndarray) -> np.ndarray:
    """Return (H, W) float32, 0 to 1: how far each pixel belongs to the far side."""
    hw = (picture.shape[0], picture.shape[1])
    share = _resized(sides.offset, hw)
    for slope, channel in zip(sides.slope, cv2.split(picture), strict=True):
        share -= cv2.multiply(_resized(slope, hw), channel, dtype=cv2.CV_32F)
    return np.clip(share, 0, 1, out=share)


def _resized(values: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(values, np.float32), hw[::-1])


def _nearest(values: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    return cv2.resize(values, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
