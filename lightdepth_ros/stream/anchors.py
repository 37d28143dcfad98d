# SPDX-License-Identifier: Apache-2.0
"""What the depth of one camera is anchored to, frame by frame, and what is told about it."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from typing import Any

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import RANGE_SENSORS, NodeConfig
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.anchoring import AnchorFrame, Anchoring, AnchorTold
from lightdepth_ros.perception.navigation import class_mask
from lightdepth_ros.perception.perception import Bend
from lightdepth_ros.stream.anchor_inputs import AnchorInputs
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

GRACE_S = 2.0
"""A source may be silent so long before the log complains."""


class Anchors:
    """Anchors of one camera. `inputs` is filled by callbacks, the rest belongs to the worker."""

    def __init__(self, image_topic: str, transforms: Transforms, voice: Voice) -> None:
        self.inputs = AnchorInputs(transforms)
        self.problem = ''
        """Why a source gives nothing, with the remedy; empty if all do."""
        self._topic = image_topic
        self._voice = voice
        self._anchoring = Anchoring()
        self._sources: tuple[str, ...] = ()
        self._missed_since_s: dict[str, float] = {}
        self._missed: Counter[str] = Counter()
        self._frames: Counter[str] = Counter()

    def bend_for(
        self, config: NodeConfig, frame: str, stamp_ns: int, calibrated: bool = True
    ) -> Bend | None:
        """Return what bends the depth of an image of the optical frame `frame`; None = nothing.

        calibrated: whether the image has a calibration; without one no point has a pixel.
        """
        if config.anchors != self._sources:
            for source in set(self._sources) & set(RANGE_SENSORS) - set(config.anchors):
                self.inputs.forget(source)
            self._sources, self._anchoring, self.problem = config.anchors, Anchoring(), ''
            self._missed_since_s.clear()
        if not self._sources:
            return None
        if not calibrated:
            self._anchoring = Anchoring()  # the last frame's factor holds no longer
            self.problem = (
                f'no anchor: {self._topic} has no calibration. Publish a camera_info with K, or '
                'set horizontal_fov_deg.'
            )
            return None

        def bend(
            depth_m: np.ndarray,
            label_id: np.ndarray | None,
            confidence: np.ndarray | None,
            camera: Camera,
            mount: Mount | None,
        ) -> tuple[np.ndarray, np.ndarray | None]:
            known = AnchorFrame(
                config.anchors,
                [
                    self.inputs.heard(
                        source,
                        camera,
                        frame,
                        stamp_ns,
                        max_age_s=config.anchor_max_age_s,
                        odom_frame=config.odom_frame,
                    )
                    for source in config.anchors
                    if source in RANGE_SENSORS
                ],
                mount,
                class_mask(config.classes_ground),
                stamp_ns * 1e-9,
            )
            done = self._anchoring.bend(depth_m, label_id, confidence, camera, known)
            self._note()
            return done.depth_m, done.confidence

        return bend

    @property
    def factor(self) -> float | None:
        """By which the last frame's depth was moved; None = nothing was to be anchored."""
        told = self._anchoring.told
        return told.report.factor if self._sources and told is not None else None

    def facts(self) -> dict[str, Any]:
        """Return what was done to the last frame, and how often what, by name; for the health."""
        told = self._anchoring.told
        if not self._sources or told is None:
            return {}
        report = told.report
        return {
            'anchor': ', '.join(told.sources) or ('the last factor' if told.held else 'nothing'),
            'anchor_points': report.points,
            'anchor_rejected': report.rejected,
            'anchor_factor': _rounded(report.factor),
            'anchor_moved': _rounded(report.moved),
            'anchor_misfit_before': _rounded(report.before),
            'anchor_misfit_after': _rounded(report.after),
            'anchor_age_s': _rounded(told.age_s),
            'anchor_frames': dict(self._frames),
            'anchor_missed': dict(self._missed),
            'anchor_why_not': why_not(told) or None,
        }

    def _note(self) -> None:
        told = self._anchoring.told
        assert told is not None
        self._frames['anchored' if told.sources else 'held' if told.held else 'not anchored'] += 1
        missed = dict(told.why_not)
        if told.report.why_not:  # also those whose points came, and were refused
            missed |= {s: told.report.why_not for s in self._sources if s not in missed}
        self._missed.update(list(missed))
        now_s = time.perf_counter()
        for source in [s for s in self._missed_since_s if s not in missed]:
            del self._missed_since_s[source]
        late = []
        for source, why in missed.items():
            since_s = self._missed_since_s.setdefault(source, now_s)
            if now_s - since_s >= GRACE_S:
                late.append(f'no anchor from {source}: {why}.')
        self.problem = ' '.join(late)
        for text in late:
            key = re.sub(r'[\d.]+', '', text)  # ages and counts differ from frame to frame
            self._voice.warn_once(f'{self._topic} {key}', f'{self._topic}: {text}')


def why_not(told: AnchorTold) -> str:
    """Return why sources gave nothing, or why their points were refused, in words."""
    words = [f'{source}: {why}' for source, why in told.why_not.items()]
    if told.report.why_not and not words:
        words = [told.report.why_not]
    return '; '.join(words)


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
