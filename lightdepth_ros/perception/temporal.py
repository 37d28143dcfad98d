# SPDX-License-Identifier: Apache-2.0
"""Steadies depth from frame to frame without smearing what moved."""

from __future__ import annotations

import numpy as np

GATE = 0.15
"""Depths that differ by a larger factor (as natural logarithm) are another surface, not noise."""
CUT_SHARE = 0.5
"""If more pixels than this jump, the scene has changed: start again."""
GAP_S = 1.0
"""After a longer pause, or if time runs backwards, start again."""


class TemporalFilter:
    """Exponential smoothing of log depth, pixel by pixel, that lets edges through.

    A pixel whose depth jumped by more than GATE takes the new depth; so do pixels without a
    finite depth before or now. It does not know how the camera moved: on a turning robot fast
    image regions pass unsmoothed, because they jump.
    """

    def __init__(self) -> None:
        self._log_m: np.ndarray | None = None
        self._stamp_s = float('-inf')

    def memory(self) -> tuple[np.ndarray | None, float]:
        """Return all that it remembers of past frames, for `remember` of another filter."""
        return self._log_m, self._stamp_s

    def remember(self, log_m: np.ndarray | None, stamp_s: float) -> None:
        """Go on as the filter did whose `memory` this is."""
        self._log_m, self._stamp_s = log_m, stamp_s

    def apply(self, depth_m: np.ndarray, stamp_s: float, share: float) -> np.ndarray:
        """Return (h, w) float32 metres, steadied; special values pass unchanged.

        share: how much of the past is kept, 0 (nothing) to below 1. stamp_s: the image's time.
        """
        gap_s = stamp_s - self._stamp_s
        past, self._stamp_s = self._log_m, stamp_s
        if share <= 0:
            self._log_m = None
            return depth_m
        with np.errstate(invalid='ignore', divide='ignore'):
            now = np.log(depth_m)
        self._log_m = now
        if past is None or past.shape != now.shape or not 0 <= gap_s <= GAP_S:
            return depth_m
        with np.errstate(invalid='ignore'):
            change = past - now
        known = np.isfinite(change)
        steady = known & (np.abs(change) < GATE)
        if np.count_nonzero(steady) <= (1 - CUT_SHARE) * np.count_nonzero(known):
            return depth_m
        now += np.where(steady, np.float32(share) * change, np.float32(0))
        return np.where(steady, np.exp(now), depth_m)
