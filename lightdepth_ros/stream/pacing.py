# SPDX-License-Identifier: Apache-2.0
"""Decide which frames to take and at which resolution to answer. It has no clock of its own."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

EARLY = 0.25
"""Share of a period by which a frame may come early: cameras jitter, and refusing the early frame
of a camera that runs at the limit would halve its rate for a moment."""


class RateLimit:
    """Lets through at most `limit_hz` frames a second, spread evenly; 0 = all."""

    def __init__(self, limit_hz: float) -> None:
        self._period_s = 1.0 / limit_hz if limit_hz > 0 else 0.0
        self._due_s = float('-inf')

    def allows(self, now_s: float) -> bool:
        """Return whether a frame that arrives at `now_s` may be processed."""
        if now_s < self._due_s - EARLY * self._period_s:
            return False
        # Counting on from the due time keeps the rate exact when frames arrive between; a long
        # silence must not be made up for by a burst.
        late = now_s - self._due_s >= self._period_s
        start_s = now_s if late else self._due_s
        self._due_s = start_s + self._period_s
        return True


@dataclass(frozen=True)
class Step:
    """A change of resolution and why, in words."""

    resolution: str
    reason: str


class ResolutionPacer:
    """Chooses the finest output resolution whose latency stays below a limit.

    It judges by the median of the last frames, so single slow frames change nothing. It steps
    down as soon as the median is above the limit, and up after a quiet time well below it. A step
    up that had to be taken back doubles the quiet time before the next attempt, so a resolution
    that is just too slow is tried ever more rarely; one that lasted resets it.
    """

    WINDOW = 9
    """Frames whose median is judged; so many must be seen after a step before the next."""
    SKIPPED = 2
    """Frames after a step that are not judged: they waited while the old resolution ran."""
    MARGIN = 0.7
    """A step up is tried only below this share of the limit."""
    CLEAR = 0.35
    """Below this share of the limit the quiet time need only be an eighth."""
    QUIET_S, LONGEST_QUIET_S = 3.0, 120.0
    PROOF_S = 10.0
    """A step up that lasted longer was right."""

    def __init__(self, limit_ms: float, resolutions: Sequence[str]) -> None:
        """resolutions: from fine to coarse. It begins with the finest."""
        self.limit_ms = limit_ms
        self._resolutions = tuple(resolutions)
        self._at = 0
        self._frames: deque[float] = deque(maxlen=self.WINDOW)
        self._to_skip = self.SKIPPED
        self._quiet_s = self.QUIET_S
        self._calm_since_s: float | None = None
        self._stepped_up_s: float | None = None

    @property
    def resolution(self) -> str:
        """The resolution to use now."""
        return self._resolutions[self._at]

    def observe(self, latency_ms: float, now_s: float) -> Step | None:
        """Take a frame's latency into account; return a step if it is time for one."""
        if self._to_skip:
            self._to_skip -= 1
            return None
        self._frames.append(latency_ms)
        if len(self._frames) < self.WINDOW:
            return None
        if self._stepped_up_s is not None and now_s - self._stepped_up_s > self.PROOF_S:
            self._stepped_up_s = None
            self._quiet_s = self.QUIET_S
        median_ms = statistics.median(self._frames)
        if median_ms > self.limit_ms:
            return self._step_down(median_ms)
        if median_ms > self.MARGIN * self.limit_ms:
            self._calm_since_s = None
            return None
        return self._maybe_step_up(median_ms, now_s)

    def _step_down(self, median_ms: float) -> Step | None:
        self._calm_since_s = None
        if self._stepped_up_s is not None:
            self._stepped_up_s = None
            self._quiet_s = min(2 * self._quiet_s, self.LONGEST_QUIET_S)
        if self._at == len(self._resolutions) - 1:
            return None
        return self._step(1, f'median latency {median_ms:.0f} ms, above {self.limit_ms:.0f} ms')

    def _maybe_step_up(self, median_ms: float, now_s: float) -> Step | None:
        if self._at == 0:
            return None
        if self._calm_since_s is None:
            self._calm_since_s = now_s
        calm_s = now_s - self._calm_since_s
        clear = median_ms < self.CLEAR * self.limit_ms
        if calm_s < (max(self.QUIET_S, self._quiet_s / 8) if clear else self._quiet_s):
            return None
        self._calm_since_s = None
        self._stepped_up_s = now_s
        return self._step(
            -1, f'median latency {median_ms:.0f} ms of {self.limit_ms:.0f} ms for {calm_s:.0f} s'
        )

    def _step(self, direction: int, reason: str) -> Step:
        before = self.resolution
        self._at += direction
        self._frames.clear()
        self._to_skip = self.SKIPPED
        return Step(self.resolution, f'output_resolution {before} -> {self.resolution}: {reason}')
