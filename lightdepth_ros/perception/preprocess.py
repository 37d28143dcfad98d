# SPDX-License-Identifier: Apache-2.0
"""Camera image -> network input, with the camera of what the network sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError, BadImageError
from lightdepth_ros.perception.lens import Lens, LensMap, lens_map
from lightdepth_ros.perception.placement import Placement, blocks_not_all, plan

PADDING_GREY = 128
"""Near the middle of the normalised range, so padding excites the network least."""
MAX_RECIPES = 8


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
    network  intrinsics of the network input (H, W); None = uncalibrated.
    unknown  (h, w) bool, True where the output pixel did not see the camera image (padding, or
             outside a lens's view); None = all seen.
    """

    batch: np.ndarray
    camera: Camera | None
    network: Camera | None
    unknown: np.ndarray | None

    @property
    def focal_px(self) -> float | None:
        """Focal length in pixels of the network input; None = uncalibrated."""
        return None if self.network is None else self.network.focal_px

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) of the network input."""
        return self.batch.shape[1], self.batch.shape[2]


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

    def placement(self, source_hw: tuple[int, int]) -> Placement:
        """Return how a camera image of `source_hw` is laid into the network input."""
        return plan(source_hw, self._input_hw, self._fit, self._divisor)

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
    return Prepared(batch, output, network, unknown)


def check_rgb(rgb: np.ndarray) -> tuple[int, int]:
    """Return the (height, width) of an (H, W, 3) uint8 image; raises BadImageError otherwise."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise BadImageError(
            f'the image is {rgb.dtype} of shape {rgb.shape}; it must be uint8 RGB of shape '
            '(height, width, 3) with at least one pixel'
        )
    return rgb.shape[0], rgb.shape[1]
