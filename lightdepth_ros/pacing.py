# SPDX-License-Identifier: Apache-2.0
"""Decides which frames to take. Pure: it has no clock of its own."""

from __future__ import annotations

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
