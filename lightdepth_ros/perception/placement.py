# SPDX-License-Identifier: Apache-2.0
"""How a camera image is laid into the network's input: what is cropped, scaled and padded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import FITS
from lightdepth_ros.errors import ConfigError


class Window(NamedTuple):
    """A rectangle of whole pixels."""

    x0: int
    y0: int
    width: int
    height: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """Return the view of an (H, W, ...) image inside the window."""
        return image[self.y0 : self.y0 + self.height, self.x0 : self.x0 + self.width]


@dataclass(frozen=True)
class Placement:
    """Window `crop` of the camera image is scaled to window `target` of the network input."""

    source_hw: tuple[int, int]
    input_hw: tuple[int, int]
    crop: Window
    target: Window
    halvings: int
    """How often the crop is halved before the last, smaller scaling step; its sides are multiples
    of 2 ** halvings."""

    def camera(self, source: Camera) -> Camera:
        """Return the camera of the network input, given the camera of the source image."""
        scaled = source.cropped(*self.crop).resized(self.target.width, self.target.height)
        height, width = self.input_hw
        return scaled.cropped(-self.target.x0, -self.target.y0, width, height)

    def padding_mask(self, stride: int) -> np.ndarray | None:
        """Return (h, w) bool at the output size, True where a pixel saw any padding; None where
        there is no padding."""
        if self.target == Window(0, 0, self.input_hw[1], self.input_hw[0]):
            return None
        inside = np.zeros(self.input_hw, bool)
        self.target.of(inside)[:] = True
        return blocks_not_all(inside, stride)


def blocks_not_all(inside: np.ndarray, stride: int) -> np.ndarray:
    """Return (H/stride, W/stride) bool: True where the stride x stride block is not all True."""
    height, width = inside.shape
    blocks = inside.reshape(height // stride, stride, width // stride, stride)
    missing: np.ndarray = np.logical_not(blocks.all(axis=(1, 3)))
    return missing


@lru_cache(maxsize=64)
def plan(
    source_hw: tuple[int, int], input_hw: tuple[int, int], fit: str, divisor: int
) -> Placement:
    """Decide how an image of `source_hw` fills a network input of about `input_hw` pixels.

    Pixels stay square up to the rounding of the crop to whole pixels; Placement.camera is exact
    either way. Raises ConfigError for an unknown fit or an input size the model cannot take.
    """
    if fit not in FITS:
        raise ConfigError(f'fit is {fit!r}; it must be one of {", ".join(FITS)}')
    if any(side <= 0 or side % divisor for side in input_hw):
        raise ConfigError(
            f'the network input is {input_hw[1]}x{input_hw[0]} (width x height); '
            f'both sides must be positive multiples of {divisor}'
        )
    if fit == 'adapt':
        input_hw = adapted_hw(source_hw, input_hw, divisor)
    if fit == 'pad':
        return _padded(source_hw, input_hw)
    return _cropped(source_hw, input_hw)


def adapted_hw(
    source_hw: tuple[int, int], input_hw: tuple[int, int], divisor: int
) -> tuple[int, int]:
    """Return the network size nearest to the source's aspect and to the area of `input_hw`.

    Among multiples of `divisor` within a third of the area, a percent of view lost weighs as
    much as five percent of area.
    """
    aspect = source_hw[1] / source_hw[0]
    area = input_hw[0] * input_hw[1]

    def cost(hw: tuple[int, int]) -> float:
        lost = abs(math.log(hw[1] / hw[0] / aspect))
        return lost + 0.2 * abs(math.log(hw[0] * hw[1] / area))

    ideal_h = math.sqrt(area / aspect) / divisor
    heights = {max(1, math.floor(ideal_h) + step) for step in range(-3, 5)}
    candidates = [
        (h * divisor, max(1, math.floor(h * aspect) + step) * divisor)
        for h in heights
        for step in (0, 1)
    ]
    near = [hw for hw in candidates if 0.75 <= hw[0] * hw[1] / area <= 4 / 3]
    return min(near or candidates, key=cost)


def _cropped(source_hw: tuple[int, int], input_hw: tuple[int, int]) -> Placement:
    source_h, source_w = source_hw
    input_h, input_w = input_hw
    scale = min(source_h / input_h, source_w / input_w)
    halvings = _halvings(scale, min(source_hw))
    width = _multiple(input_w * scale, source_w, halvings)
    height = _multiple(input_h * scale, source_h, halvings)
    crop = Window((source_w - width) // 2, (source_h - height) // 2, width, height)
    return Placement(source_hw, input_hw, crop, Window(0, 0, input_w, input_h), halvings)


def _padded(source_hw: tuple[int, int], input_hw: tuple[int, int]) -> Placement:
    source_h, source_w = source_hw
    input_h, input_w = input_hw
    scale = max(source_h / input_h, source_w / input_w)
    halvings = _halvings(scale, min(source_hw))
    width = _multiple(source_w, source_w, halvings)
    height = _multiple(source_h, source_h, halvings)
    crop = Window((source_w - width) // 2, (source_h - height) // 2, width, height)
    target_w = min(input_w, max(1, round(width / scale)))
    target_h = min(input_h, max(1, round(height / scale)))
    target = Window((input_w - target_w) // 2, (input_h - target_h) // 2, target_w, target_h)
    return Placement(source_hw, input_hw, crop, target, halvings)


def _halvings(scale: float, shortest: int) -> int:
    return max(0, math.floor(math.log2(min(scale, shortest))))


def _multiple(side: float, limit: int, halvings: int) -> int:
    unit = 1 << halvings
    return max(1, min(round(side / unit), limit // unit)) * unit
