# SPDX-License-Identifier: Apache-2.0
"""Anchors of one camera over time: ground, sensors, and what holds while none of them speaks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import ANCHORS
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.anchor import (
    Anchored,
    AnchorPoints,
    AnchorReport,
    anchor,
    not_anchored,
)
from lightdepth_ros.perception.ground_anchor import GroundFilter, ground_points, look_at_ground
from lightdepth_ros.perception.perception import Bend
from lightdepth_ros.perception.ranges import joined

GROUND = ANCHORS[0]
HOLD_S, FADE_S = 2.0, 5.0
"""Without points the last factor holds so long, and then fades with this time constant."""
SETTLE_S = 0.5
"""The factor that is held follows the frames' factors with this time constant."""


@dataclass(frozen=True)
class Heard:
    """What one sensor says about a frame: its points, how old they are (seconds; negative = newer
    than the image), or why there are none."""

    source: str
    points: AnchorPoints | None
    age_s: float = math.nan
    why_not: str = ''


@dataclass(frozen=True)
class AnchorFrame:
    """What is known of one image besides its pixels.

    sources  what depth shall be anchored to. heard: what its sensors say.
    mount    of the camera; None = not known. ground: (256,) bool, ids of drivable classes.
    stamp_s  of the image.
    """

    sources: tuple[str, ...]
    heard: Sequence[Heard]
    mount: Mount | None
    ground: np.ndarray
    stamp_s: float


@dataclass(frozen=True)
class AnchorTold:
    """What anchoring did to a frame, for people and programs.

    sources  those whose points were used. report: see AnchorReport; its factor is the one applied.
    age_s    of the oldest points used; NaN without. held: only the last factor was applied.
    why_not  source -> why it gave nothing.
    """

    sources: tuple[str, ...]
    report: AnchorReport
    age_s: float
    held: bool
    why_not: dict[str, str]


class Anchoring:
    """Bends a camera's depth frame by frame. Not thread safe."""

    def __init__(self) -> None:
        self.told: AnchorTold | None = None
        """About the last frame; None before the first."""
        self._ground = GroundFilter()
        self._held_log = 0.0
        self._held_at_s = -math.inf

    def bend(
        self,
        depth_m: np.ndarray,
        label_id: np.ndarray | None,
        confidence: np.ndarray | None,
        camera: Camera,
        frame: AnchorFrame,
    ) -> Anchored:
        """Return depth, (h, w) float32 metres, and confidence, bent to all that is known."""
        parts, why_not = self._sensors(frame)
        if GROUND in frame.sources:
            ground, why = self._on_ground(depth_m, label_id, camera, frame)
            if ground is None:
                why_not[GROUND] = why
            else:
                parts[GROUND] = ground
        points = joined(list(parts.values()))
        try:
            done = anchor(depth_m, confidence, camera, points)
        except np.linalg.LinAlgError as error:  # nobody has seen it; depth goes on all the same
            done = not_anchored(depth_m, confidence, len(points.u), f'no solution: {error}')
        held = bool(done.report.why_not)
        if held:
            done = self._hold(done, frame.stamp_s)
        else:
            self._remember(done.report.factor, frame.stamp_s)
        ages = [h.age_s for h in frame.heard if h.source in parts]
        self.told = AnchorTold(
            () if held else tuple(parts),
            done.report,
            max(ages, key=abs) if ages else math.nan,
            held and done.report.factor != 1.0,
            why_not,
        )
        return done

    def _sensors(self, frame: AnchorFrame) -> tuple[dict[str, AnchorPoints], dict[str, str]]:
        parts, why_not = {}, {}
        for heard in frame.heard:
            if heard.points is None or not len(heard.points.u):
                why_not[heard.source] = heard.why_not or 'none of its points lies in the picture'
            else:
                parts[heard.source] = heard.points
        return parts, why_not

    def _on_ground(
        self,
        depth_m: np.ndarray,
        label_id: np.ndarray | None,
        camera: Camera,
        frame: AnchorFrame,
    ) -> tuple[AnchorPoints | None, str]:
        if frame.mount is None:
            return None, 'the height of the camera is not known'
        if label_id is None:
            return None, 'labels were not computed'
        look = look_at_ground(depth_m, label_id, camera, frame.mount, frame.ground)
        state = self._ground.update(look, frame.mount, frame.stamp_s)
        if not state.seen:
            return None, state.why_not
        return ground_points(depth_m, label_id, camera, state, frame.ground), ''

    def _remember(self, factor: float, stamp_s: float) -> None:
        gap_s = stamp_s - self._held_at_s
        kept = math.exp(-gap_s / SETTLE_S) if 0 <= gap_s < HOLD_S else 0.0
        self._held_log = kept * self._held_log + (1 - kept) * math.log(factor)
        self._held_at_s = stamp_s

    def _hold(self, done: Anchored, stamp_s: float) -> Anchored:
        """Apply the last factor where no point can be used: fading, so that depth never jumps."""
        gap_s = stamp_s - self._held_at_s
        if not 0 <= gap_s < HOLD_S + 5 * FADE_S or self._held_log == 0:
            return done
        log = self._held_log * math.exp(-max(0.0, gap_s - HOLD_S) / FADE_S)
        report = replace(done.report, factor=math.exp(log), moved=abs(log))
        return Anchored(done.depth_m * np.float32(math.exp(log)), done.confidence, report)


def ground_bend(ground: np.ndarray) -> Bend:
    """Return what anchors single pictures, one apart from the other, to their ground.

    ground: (256,) bool, ids of drivable classes. Where the mount is not known or no flat ground is
    seen, depth stays as it is.
    """

    def bend(
        depth_m: np.ndarray,
        label_id: np.ndarray | None,
        confidence: np.ndarray | None,
        camera: Camera,
        mount: Mount | None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        frame = AnchorFrame((GROUND,), (), mount, ground, 0.0)
        done = Anchoring().bend(depth_m, label_id, confidence, camera, frame)
        return done.depth_m, done.confidence

    return bend
