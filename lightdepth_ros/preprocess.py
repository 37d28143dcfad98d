# SPDX-License-Identifier: Apache-2.0
"""Camera image -> network input, with the record of what was cropped, scaled and padded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError, BadImageError, ConfigError
from lightdepth_ros.lens import Lens, LensMap, lens_map

FITS = ('crop', 'pad', 'adapt')
"""crop: centre crop to the input's aspect. pad: the whole image, the rest is padding.
adapt: the input size follows the camera's aspect, so (almost) the whole view is kept."""
PADDING_GREY = 128
"""Near the middle of the normalised range, so padding excites the network least."""
MAX_RECIPES = 8


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


def halve(image: np.ndarray, times: int) -> np.ndarray:
    """Average an (H, W, C) image over blocks of 2 ** times pixels; sides must be multiples of it.

    OpenCV's exact halving is vectorised: ten times faster than its area resize by other factors.
    """
    for _ in range(times):
        size = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image


@dataclass(frozen=True)
class Prepared:
    """One network input.

    batch    (1, H, W, 3) uint8 RGB; the buffer is overwritten by the next image.
    camera   intrinsics of the output grid (h, w); None = uncalibrated.
    focal_px focal length in pixels of the network input; None = uncalibrated.
    unknown  (h, w) bool, True where the output pixel did not see the camera image (padding, or
             outside a lens's view); None = all seen.
    """

    batch: np.ndarray
    camera: Camera | None
    focal_px: float | None
    unknown: np.ndarray | None


@dataclass(frozen=True)
class _Recipe:
    placement: Placement
    lens: LensMap | None
    prepared: Prepared

    def fill(self, rgb: np.ndarray) -> None:
        """Write the network input for `rgb` into the prepared batch."""
        place, batch = self.placement, self.prepared.batch[0]
        if self.lens is not None:
            unit = 1 << place.halvings
            height, width = (side // unit * unit for side in place.source_hw)
            small = halve(rgb[:height, :width], place.halvings)
            self.lens.apply(small, batch, PADDING_GREY)
            return
        target = place.target.of(batch)
        small = halve(place.crop.of(rgb), place.halvings)
        if small.shape == target.shape:
            target[:] = small
        else:
            size = (place.target.width, place.target.height)
            cv2.resize(small, size, dst=target, interpolation=cv2.INTER_LINEAR)


class Preprocessor:
    """Fills network inputs; remembers crops, maps and buffers of the last few camera streams."""

    def __init__(self, input_hw: tuple[int, int], fit: str, divisor: int, stride: int) -> None:
        plan(input_hw, input_hw, fit, divisor)
        self._input_hw = input_hw
        self._fit = fit
        self._divisor = divisor
        self._stride = stride
        self._recipes: dict[tuple[tuple[int, int], Camera | Lens | None], _Recipe] = {}

    def network_hw(self, source_hw: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) of the network input for a camera image of `source_hw`."""
        return plan(source_hw, self._input_hw, self._fit, self._divisor).input_hw

    def prepare(self, rgb: np.ndarray, view: Camera | Lens | None) -> Prepared:
        """Turn (H, W, 3) uint8 RGB into a network input.

        Raises BadImageError for another shape or dtype, BadCameraError where `view` is for
        another image size.
        """
        source_hw = check_rgb(rgb)
        recipe = self._recipes.get((source_hw, view))
        if recipe is None:
            recipe = self._new_recipe(source_hw, view)
        recipe.fill(rgb)
        return recipe.prepared

    def _new_recipe(self, source_hw: tuple[int, int], view: Camera | Lens | None) -> _Recipe:
        place = plan(source_hw, self._input_hw, self._fit, self._divisor)
        source = view.camera if isinstance(view, Lens) else view
        if source is not None and source.size_hw != source_hw:
            raise BadCameraError(
                f'the calibration is for {source.width}x{source.height} pixels, the image has '
                f'{source_hw[1]}x{source_hw[0]}. Publish the calibration of this image mode.'
            )
        network = None if source is None else place.camera(source)
        lens = None
        unknown = place.padding_mask(self._stride)
        if isinstance(view, Lens) and network is not None:
            lens = lens_map(view, network, place.halvings)
            unknown = None if lens.inside is None else blocks_not_all(lens.inside, self._stride)
        prepared = _prepared(place.input_hw, network, unknown, self._stride)
        if len(self._recipes) >= MAX_RECIPES:
            self._recipes.clear()
        recipe = self._recipes[(source_hw, view)] = _Recipe(place, lens, prepared)
        return recipe


def _prepared(
    input_hw: tuple[int, int], network: Camera | None, unknown: np.ndarray | None, stride: int
) -> Prepared:
    height, width = input_hw
    batch = np.full((1, height, width, 3), PADDING_GREY, np.uint8)
    if network is None:
        return Prepared(batch, None, None, unknown)
    output = network.resized(width // stride, height // stride)
    return Prepared(batch, output, network.focal_px, unknown)


def check_rgb(rgb: np.ndarray) -> tuple[int, int]:
    """Return the (height, width) of an (H, W, 3) uint8 image; raises BadImageError otherwise."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise BadImageError(
            f'the image is {rgb.dtype} of shape {rgb.shape}; it must be uint8 RGB of shape '
            '(height, width, 3) with at least one pixel'
        )
    return rgb.shape[0], rgb.shape[1]
