# SPDX-License-Identifier: Apache-2.0
"""What a shipped model says about every pixel of a frame, by the code that a robot runs.

A prediction is coarser than its frame and, for wide frames, may cover a part of it. Here it is
brought to the frame's own pixels, through the two cameras, so that one rule serves every way of
cropping and scaling.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.cli.predict import DEFAULTS as PREDICT_DEFAULTS
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.engines import OUTPUTS, Engine, EngineRequest, load_engine
from lightdepth_ros.engines.checked import load_sound
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.perception.placement import Placement, plan
from lightdepth_ros.perception.prediction import Prediction

TILE_ASPECT = 1.5
"""Width over height of a tile: the 3:2 of the default network input."""
USER_FITS = {'node': NodeConfig().fit, 'predict': PREDICT_DEFAULTS['fit']}
"""How the node and `lightdepth predict` take frames by default."""
WIDE_FORMS = (*USER_FITS, 'one-pass', 'three-tiles')
"""Ways to give a frame to the network: as users get it, or all of it at rows of one's choice."""


@dataclass(frozen=True)
class FullFrame:
    """One frame's answer at the frame's own size.

    depth_m     (H, W) float32, metres along Z; NaN = no answer, never +Inf (sky and beyond range
                were set to the far limit the caller gave).
    label_id    (H, W) uint8, Cityscapes train ids; 255 = no answer.
    confidence  (H, W) float32, 0..1; NaN = no answer.
    """

    depth_m: np.ndarray
    label_id: np.ndarray
    confidence: np.ndarray


Predictor = Callable[[np.ndarray, Camera, float, Mount | None], FullFrame]
"""(rgb (H, W, 3) uint8, camera, far limit in metres, the camera's mount as the data set knows it)
-> FullFrame."""
MountChoice = Literal['unknown', 'dataset'] | Mount
"""Which mount a model is told: none, the data set's where it knows one, or always the same."""


def full_size(prediction: Prediction, camera: Camera, far_m: float) -> FullFrame:
    """Bring a prediction to the pixels of `camera`, whose frame it was made from.

    Depth is interpolated bilinearly in ln depth: an output pixel speaks for a stride x stride
    cell, and between cell centres ln depth is nearly linear on the ground, where most truth lies;
    nearest would add a staircase that no consumer has to keep. Unknown stays unknown: the nearest
    output pixel decides whether there is an answer, and NaN neighbours have no weight. Confidence
    is bilinear, labels nearest. +Inf becomes `far_m` before interpolation. Pixels outside the
    prediction's grid have no answer.
    """
    if prediction.camera is None:
        raise ValueError('the prediction has no camera; give the frame one before predicting')
    u, v, inside = _grid(prediction.camera, camera)
    known = ~np.isnan(prediction.depth_m)
    weight = known.astype(np.float32)
    depth = np.clip(np.where(known, prediction.depth_m, 1), 1e-6, far_m)
    answered = inside & (_sample(weight, u, v, cv2.INTER_NEAREST) > 0)
    total = np.maximum(_sample(weight, u, v), 1e-6)
    log = _sample(np.log(depth) * weight, u, v) / total
    return FullFrame(
        np.where(answered, np.exp(log), np.nan).astype(np.float32),
        _labels(prediction, u, v, inside),
        _confidence(prediction, u, v, inside),
    )


def _grid(coarse: Camera, fine: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where each fine pixel lies in the coarse image: u, v (H, W) float32, and inside."""
    u = (np.arange(fine.width) - fine.cx) * (coarse.fx / fine.fx) + coarse.cx
    v = (np.arange(fine.height) - fine.cy) * (coarse.fy / fine.fy) + coarse.cy
    slack = 1e-3  # a frame's border pixel lies exactly on the grid's border
    inside_u = (u >= -0.5 - slack) & (u <= coarse.width - 0.5 + slack)
    inside_v = (v >= -0.5 - slack) & (v <= coarse.height - 0.5 + slack)
    grid_u, grid_v = np.meshgrid(
        np.clip(u, 0, coarse.width - 1).astype(np.float32),
        np.clip(v, 0, coarse.height - 1).astype(np.float32),
    )
    return grid_u, grid_v, inside_v[:, None] & inside_u


def _sample(
    image: np.ndarray, u: np.ndarray, v: np.ndarray, how: int = cv2.INTER_LINEAR
) -> np.ndarray:
    return cv2.remap(image, u, v, how, borderMode=cv2.BORDER_REPLICATE)


def _labels(
    prediction: Prediction, u: np.ndarray, v: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    if prediction.label_id is None:
        return np.full(u.shape, UNLABELLED, np.uint8)
    label = _sample(prediction.label_id, u, v, cv2.INTER_NEAREST)
    return np.where(inside, label, np.uint8(UNLABELLED))


def _confidence(
    prediction: Prediction, u: np.ndarray, v: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    if prediction.confidence is None:
        return np.full(u.shape, np.nan, np.float32)
    value = _sample(prediction.confidence.astype(np.float32) / 255, u, v)
    return np.where(inside, value, np.float32(np.nan))


def pass_size(size_hw: tuple[int, int], input_height: int, divisor: int) -> tuple[int, int]:
    """Return the network input (height, width) for one pass over a whole frame of `size_hw`.

    The width is the multiple of `divisor` nearest to the frame's aspect: 320 x 1056 for KITTI.
    What the two aspects differ by is cropped at the frame's border (pixels stay square, as on a
    robot) and counts as not answered.
    """
    if input_height <= 0 or input_height % divisor:
        raise ConfigError(
            f'input height is {input_height}; it must be a positive multiple of {divisor}'
        )
    width = round(input_height * size_hw[1] / size_hw[0] / divisor) * divisor
    return input_height, max(width, divisor)


def tile_starts(size_hw: tuple[int, int]) -> list[int]:
    """Return the left columns of three 3:2 tiles of full height; one tile for a narrow frame."""
    width, tile = size_hw[1], tile_width(size_hw)
    if tile == width:
        return [0]
    return [0, (width - tile) // 2, width - tile]


def tile_width(size_hw: tuple[int, int]) -> int:
    """Return the width in pixels of a 3:2 tile as high as the frame."""
    return min(round(size_hw[0] * TILE_ASPECT), size_hw[1])


def merge_tiles(tiles: Sequence[FullFrame], starts: Sequence[int], width: int) -> FullFrame:
    """Put tiles side by side: overlaps are the mean of ln depth and of confidence.

    A label is taken from the tile in whose middle the pixel lies most. A pixel that one tile of an
    overlap does not answer has the other's answer.
    """
    height, tile = tiles[0].depth_m.shape
    sums = np.zeros((4, height, width))  # ln depth, its count, confidence, its count
    label = np.full((height, width), UNLABELLED, np.uint8)
    nearest = np.full(width, np.inf)
    for frame, x0 in zip(tiles, starts, strict=True):
        window = np.s_[:, x0 : x0 + tile]
        for k, value in ((0, np.log(frame.depth_m)), (2, frame.confidence)):
            known = ~np.isnan(value)
            sums[k][window] += np.where(known, value, 0)
            sums[k + 1][window] += known
        off_middle = np.abs(np.arange(tile) - (tile - 1) / 2)
        closer = off_middle < nearest[x0 : x0 + tile]
        label[window] = np.where(closer, frame.label_id, label[window])
        nearest[x0 : x0 + tile] = np.minimum(nearest[x0 : x0 + tile], off_middle)
    log, confidence = (
        np.divide(
            sums[k], sums[k + 1], out=np.full((height, width), np.nan), where=sums[k + 1] > 0
        )
        for k in (0, 2)
    )
    return FullFrame(np.exp(log).astype(np.float32), label, confidence.astype(np.float32))


class Model:
    """A loaded contract that answers for whole frames; keeps one Perception per input size."""

    def __init__(
        self, contract_path: Path, *, input_height: int = 320, wide: str = 'one-pass',
        backend: str = 'onnxruntime', threads: int = 1, outputs: Sequence[str] = OUTPUTS,
        mount: MountChoice = 'unknown',
    ) -> None:  # fmt: skip
        """Load the contract. Without 'label' in `outputs`, depth is not set to far at sky labels:
        what a depth-only subscriber gets. `input_height` is for whole frames: the ways of users
        have rows of their own."""
        if wide not in WIDE_FORMS:
            raise ConfigError(f'wide is {wide!r}; it must be one of {", ".join(WIDE_FORMS)}')
        load = load_sound if backend == 'auto' else load_engine
        self.engine: Engine = load(EngineRequest(contract_path, backend, threads))
        self.contract = self.engine.contract
        self.wide = wide
        self.input_height = NodeConfig().input_height if wide in USER_FITS else input_height
        self.outputs = tuple(outputs)
        self.mount = mount
        self._perceptions: dict[tuple[tuple[int, int], str], Perception] = {}

    def __call__(
        self, rgb: np.ndarray, camera: Camera, far_m: float, known: Mount | None = None
    ) -> FullFrame:
        """Predict (H, W, 3) uint8 RGB seen by `camera`; known: the data set's mount of it."""
        mount = self.mount_for(known)
        if self.wide != 'three-tiles':
            return self.one_pass(rgb, camera, far_m, mount)
        tile, starts = tile_width(camera.size_hw), tile_starts(camera.size_hw)
        tiles = []
        for x0 in starts:
            part = np.ascontiguousarray(rgb[:, x0 : x0 + tile])
            view = camera.cropped(x0, 0, tile, camera.height)
            tiles.append(self.one_pass(part, view, far_m, mount))
        return merge_tiles(tiles, starts, camera.width)

    def mount_for(self, known: Mount | None) -> Mount | None:
        """Return the mount that the network is told, given what the data set knows."""
        if self.mount == 'unknown':
            return None
        return known if self.mount == 'dataset' else self.mount

    def one_pass(
        self, rgb: np.ndarray, camera: Camera, far_m: float, mount: Mount | None
    ) -> FullFrame:
        """Predict with one run of the network over all of `rgb`."""
        perception = self.perception(*self.input_of(camera.size_hw))
        prediction = perception.predict(rgb, camera, self.outputs, mount).prediction
        return full_size(prediction, camera, far_m)

    def with_way(self, wide: str, input_height: int) -> Model:
        """Return the same engine behind another way to give it frames."""
        if wide not in WIDE_FORMS:
            raise ConfigError(f'wide is {wide!r}; it must be one of {", ".join(WIDE_FORMS)}')
        other = copy.copy(self)
        other.wide = wide
        other.input_height = NodeConfig().input_height if wide in USER_FITS else input_height
        return other

    def with_mount(self, mount: MountChoice) -> Model:
        """Return the same engine behind another choice of mount."""
        other = copy.copy(self)
        other.mount = mount
        return other

    def with_height(self, input_height: int) -> Model:
        """Return the same engine behind another input height."""
        other = copy.copy(self)
        other.input_height = input_height
        return other

    def network_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Return the network input for an image, or one tile, of `size_hw`."""
        return self.placement(size_hw).input_hw

    def placement(self, size_hw: tuple[int, int]) -> Placement:
        """Return how an image, or one tile, of `size_hw` is laid into the network's input."""
        return plan(size_hw, *self.input_of(size_hw), self.contract.divisor)

    def input_of(self, size_hw: tuple[int, int]) -> tuple[tuple[int, int], str]:
        """Return the input size (height, width) and the fit for an image of `size_hw`."""
        divisor = self.contract.divisor
        if self.wide not in USER_FITS:
            return pass_size(size_hw, self.input_height, divisor), 'crop'
        height, width = NodeConfig().input_hw
        width = round(width * self.input_height / height / divisor) * divisor
        return (self.input_height, width), USER_FITS[self.wide]

    def perception(self, input_hw: tuple[int, int], fit: str) -> Perception:
        """Return the robot's pipeline for one input size, with nothing clipped or hidden."""
        if (input_hw, fit) not in self._perceptions:
            self._perceptions[input_hw, fit] = Perception(
                self.engine, input_hw=input_hw, fit=fit, depth_scale=1.0,
                min_range_m=0.0, max_range_m=math.inf, min_confidence=0.0,
            )  # fmt: skip
        return self._perceptions[input_hw, fit]

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()
