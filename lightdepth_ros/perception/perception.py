# SPDX-License-Identifier: Apache-2.0
"""Perception: one camera image in, one Prediction out. The steps and their timings; no ROS."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import SKY, UNLABELLED
from lightdepth_ros.engines import Engine
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import Mount, height_factor
from lightdepth_ros.perception.enlarge import canvas_of, enlarged
from lightdepth_ros.perception.ground_view import GroundViews
from lightdepth_ros.perception.lens import Lens, straightened
from lightdepth_ros.perception.placement import Placement
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.perception.preprocess import Prepared, Preprocessor, check_rgb, halve

PARTS = ('depth', 'label', 'confidence', 'rgb')
"""What `predict` can be asked for."""
SATURATED = 0.8
"""Depth at or above this share of the model's largest depth means "at least that far". The model
learns sky as its largest depth; nearer than it by less than the factor 1.25, by which Prediction
defines a right depth, nothing can be told from sky."""
SKY_FROM = 0.25
"""Where the label says sky and the depth is nearer than this share of SATURATED, depth wins: the
label alone makes no hole in a wall or a ceiling. With the first shipped plain network at exit L,
480x320, padded, none of 78,876 pixels of true sky of every fourth frame of camvid/val came nearer,
and every pixel of a room's wall that was labelled sky did (nyu_00000 of the robot views)."""


@dataclass(frozen=True)
class Frame:
    """What one call of `Perception.predict` gives; the arrays belong to the caller.

    prediction  depth, labels, confidence and camera at the output size (h, w).
    rgb         (h, w, 3) uint8, the camera image on the same grid; None when not asked for.
    timings_ms  milliseconds spent in 'preprocess', 'engine' and 'postprocess'.
    """

    prediction: Prediction
    rgb: np.ndarray | None
    timings_ms: dict[str, float]


Bend = Callable[
    [np.ndarray, np.ndarray | None, np.ndarray | None, Camera, Mount | None],
    tuple[np.ndarray, np.ndarray | None],
]
"""(depth in metres (h, w) float32, labels, confidence, camera, mount) -> depth, confidence. +Inf
and NaN stay."""


class Standing(NamedTuple):
    """The mount that holds for a frame, GroundView.below of it, and what bends its depth."""

    mount: Mount | None
    below: np.ndarray | None
    bend: Bend | None


class Perception:
    """A model with its settings. Buffers are reused from frame to frame, so threads that share one
    take turns; one Perception for each thread is faster."""

    def __init__(
        self,
        engine: Engine,
        *,
        input_hw: tuple[int, int],
        fit: str,
        depth_scale: float,
        min_range_m: float,
        max_range_m: float,
        min_confidence: float,
        mount: Mount | None = None,
    ) -> None:
        """Settings mean what NodeConfig says of them; a wrong value raises ConfigError.

        mount: of the camera, where `predict` is not told another one; None = not known.
        """
        _check(depth_scale, min_range_m, max_range_m, min_confidence)
        contract = engine.contract
        self._engine = engine
        self._turn = threading.Lock()
        self._stride = contract.stride
        self._preprocessor = Preprocessor(input_hw, fit, contract.divisor, contract.stride)
        self._depth_scale = depth_scale
        self._min_range_m = min_range_m
        self._max_range_m = max_range_m
        self._min_confidence = min_confidence
        self._mount = mount
        self._ground_views = GroundViews()

    @property
    def engine(self) -> Engine:
        """The engine that runs the model."""
        return self._engine

    def network_hw(self, source_hw: tuple[int, int]) -> tuple[int, int]:
        """Return the network input's (height, width) for a camera image of `source_hw`."""
        return self._preprocessor.network_hw(source_hw)

    def placement(self, source_hw: tuple[int, int]) -> Placement:
        """Return how a camera image of `source_hw` is laid into the network input."""
        return self._preprocessor.placement(source_hw)

    def predict(
        self,
        rgb: np.ndarray,
        view: Camera | Lens | None,
        outputs: Collection[str],
        mount: Mount | None = None,
        bend: Bend | None = None,
    ) -> Frame:
        """Infer one image and compute nothing that `outputs`, a subset of PARTS, does not need.

        rgb: (H, W, 3) uint8. view: the calibration of `rgb`; with a Lens, distortion is removed.
        With view None the depth is right for a camera of the canonical focal length only, and the
        prediction has neither camera nor mount: without a focal length nothing lies anywhere.
        mount: of this image's camera; None = the one given to the constructor, if any.
        bend: what corrects metres and confidence before the rules below; not without a camera.

        Depth in metres = graph depth * (focal length in network pixels / canonical focal length)
        * depth_scale, and, where the model takes a ground map and the mount is known, * (camera
        height / canonical height); then, later rules winning over earlier ones:
        beyond max_range_m, or saturated at the model's largest depth: +Inf;
        nearer than min_range_m: -Inf (REP-117: too near);
        confidence below min_confidence: NaN;
        labelled sky: +Inf, only where labels were asked for too (depth alone pays nothing for
        them), and neither where the depth is nearer than SKY_FROM of saturated nor where the mount
        tells that the pixel looks below the horizon;
        not seen by the camera (padding): NaN, label 255, confidence 0.
        Depth that was not asked for is NaN everywhere.

        Raises BadImageError, BadCameraError or EngineError.
        """
        with self._turn:
            return self._predict(rgb, view, outputs, mount, bend)

    def _predict(
        self,
        rgb: np.ndarray,
        view: Camera | Lens | None,
        outputs: Collection[str],
        mount: Mount | None,
        bend: Bend | None,
    ) -> Frame:
        started = perf_counter()
        prepared = self._preprocessor.prepare(rgb, view)
        mount = None if prepared.network is None else mount or self._mount
        ground = self._ground_views.of(prepared.network, prepared.camera, prepared.input_hw, mount)
        ready = perf_counter()
        wanted = self._wanted(outputs)
        cells = ground.cells if self._engine.contract.takes_ground else None
        raw = self._engine.run(prepared.batch, wanted, cells) if wanted else {}
        inferred = perf_counter()
        prediction = self._finish(raw, prepared, Standing(mount, ground.below, bend), outputs)
        small = None
        if 'rgb' in outputs:
            small = halve(prepared.batch[0], self._stride.bit_length() - 1)
        done = perf_counter()
        timings_ms = {
            'preprocess': (ready - started) * 1e3,
            'engine': (inferred - ready) * 1e3,
            'postprocess': (done - inferred) * 1e3,
        }
        return Frame(prediction, small, timings_ms)

    def at_camera_size(
        self,
        prediction: Prediction,
        rgb: np.ndarray,
        view: Camera | Lens | None,
        small: np.ndarray,
    ) -> tuple[Prediction, np.ndarray]:
        """Return a prediction of `predict` at the size of its image, and the image without
        distortion, (H, W, 3) uint8.

        rgb, view: as `predict` had them. small: Frame.rgb. The camera of both is that of the
        image, without distortion; see `enlarge.enlarged`.
        """
        canvas = canvas_of(self.placement(check_rgb(rgb)), self._stride)
        camera = view.camera if isinstance(view, Lens) else view
        guide = straightened(rgb, view) if isinstance(view, Lens) else rgb
        return enlarged(prediction, guide, small, canvas, camera), guide

    def close(self) -> None:
        """Free the engine, once nobody is at it; `predict` must not be called again."""
        with self._turn:
            self._engine.close()

    def _wanted(self, outputs: Collection[str]) -> tuple[str, ...]:
        unknown = set(outputs) - set(PARTS)
        if unknown:
            raise ValueError(f'outputs {sorted(unknown)} do not exist; there are {PARTS}')
        wanted = [name for name in ('depth', 'label', 'confidence') if name in outputs]
        if 'depth' in wanted and self._min_confidence > 0 and 'confidence' not in wanted:
            wanted.append('confidence')
        return tuple(wanted)

    def _finish(
        self,
        raw: dict[str, np.ndarray],
        prepared: Prepared,
        standing: Standing,
        outputs: Collection[str],
    ) -> Prediction:
        label = raw['label'][0] if 'label' in raw else None
        confidence = raw['confidence'][0] if 'confidence' in raw else None
        if 'depth' in raw:
            factor = self._factor(prepared.focal_px, standing.mount)
            depth = raw['depth'][0]
            depth *= np.float32(factor)
            sky = self._sky(depth, label, confidence, factor, standing.below)
            np.putmask(depth, depth >= self._saturated_m(factor), np.inf)
            if standing.bend is not None and prepared.camera is not None:
                if sky is not None:
                    np.putmask(depth, sky, np.inf)
                depth, confidence = standing.bend(
                    depth, label, confidence, prepared.camera, standing.mount
                )
            self._limit(depth, confidence)
            if sky is not None:
                np.putmask(depth, sky, np.inf)
        else:
            depth = self._no_depth(prepared)
        if prepared.unknown is not None:
            for array, value in ((depth, np.nan), (label, UNLABELLED), (confidence, 0)):
                if array is not None:
                    np.putmask(array, prepared.unknown, value)
        shown = confidence if 'confidence' in outputs else None
        return Prediction(depth, label, shown, prepared.camera, standing.mount)

    def _factor(self, focal_px: float | None, mount: Mount | None) -> float:
        """Return what makes the graph's depth metres of this camera."""
        contract = self._engine.contract
        factor = self._depth_scale
        if focal_px is not None:
            factor *= focal_px / contract.canonical_focal_px
        if contract.canonical_height_m is not None:
            factor *= height_factor(mount, contract.canonical_height_m)
        return factor

    def _limit(self, depth: np.ndarray, confidence: np.ndarray | None) -> None:
        np.putmask(depth, depth >= self._max_range_m, np.inf)
        if self._min_range_m > 0:
            np.putmask(depth, depth < self._min_range_m, -np.inf)
        if confidence is not None and self._min_confidence > 0:
            np.putmask(depth, confidence < self._min_confidence * 255, np.nan)

    def _sky(
        self,
        depth: np.ndarray,
        label: np.ndarray | None,
        confidence: np.ndarray | None,
        factor: float,
        below: np.ndarray | None,
    ) -> np.ndarray | None:
        """Return (h, w) bool: what is sky, judged before anything bends the depth."""
        if label is None:
            return None
        near = depth < SKY_FROM * self._saturated_m(factor)
        if confidence is not None and self._min_confidence > 0:
            near &= confidence >= self._min_confidence * 255  # unknown depth may be sky
        sky: np.ndarray = (label == SKY) & ~near
        if below is not None:
            sky &= ~below
        return sky

    def _saturated_m(self, factor: float) -> float:
        return self._engine.contract.depth_range_m[1] * factor * SATURATED

    def _no_depth(self, prepared: Prepared) -> np.ndarray:
        height, width = prepared.input_hw
        return np.full((height // self._stride, width // self._stride), np.nan, np.float32)


def _check(
    depth_scale: float, min_range_m: float, max_range_m: float, min_confidence: float
) -> None:
    if not (math.isfinite(depth_scale) and depth_scale > 0):
        raise ConfigError(f'depth_scale is {depth_scale}; it must be positive (1 = unchanged)')
    if not 0 <= min_range_m < max_range_m:
        raise ConfigError(
            f'min_range_m is {min_range_m} and max_range_m {max_range_m}; '
            'it must be 0 <= min_range_m < max_range_m'
        )
    if not 0 <= min_confidence <= 1:
        raise ConfigError(f'min_confidence is {min_confidence}; it must lie in [0, 1]')
