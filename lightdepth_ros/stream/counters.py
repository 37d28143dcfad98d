# SPDX-License-Identifier: Apache-2.0
"""Count every frame, so that received = published + dropped + in work, always."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

WINDOW_S = 5.0
"""Rates and latencies are those of the last seconds."""
WINDOW_FRAMES = 1024
MAX_GAP = 10_000
"""A larger step of the running number means another publisher, not lost images."""

BAD_IMAGE = 'bad_image'
BAD_CAMERA_INFO = 'bad_camera_info'
ENGINE_ERROR = 'engine_error'
WAITING_FOR_CAMERA_INFO = 'waiting_for_camera_info'
NOT_CALIBRATED = 'not_calibrated'
REPLACED = 'replaced_by_newer'
NOBODY_LISTENS = 'nobody_listens'
RATE_LIMIT = 'rate_limit'
DEACTIVATED = 'deactivated'

REASONS = {
    BAD_IMAGE: 'the image message is damaged or of an unknown encoding',
    BAD_CAMERA_INFO: 'camera_info is unusable or of another image size',
    ENGINE_ERROR: 'the inference engine failed',
    WAITING_FOR_CAMERA_INFO: 'no camera_info yet (see camera_info_timeout_s)',
    NOT_CALIBRATED: 'only the cloud was asked for, and the camera is not calibrated',
    REPLACED: 'a newer image came before this one was started',
    NOBODY_LISTENS: 'no output had a subscriber, so nothing was computed',
    RATE_LIMIT: 'above rate_limit_hz',
    DEACTIVATED: 'the node was deactivated while the image waited',
}
"""Every reason for which a frame can be dropped, in words."""


@dataclass(frozen=True)
class Snapshot:
    """Counters at one moment. received = published + sum(dropped) + in_work.

    not_delivered   images that the publisher numbered but that never came: lost by the middleware,
                    or overwritten by a newer one before the callback's turn. Not in `received`.
    lost_share      share of the images of the last seconds that are not_delivered; 0 without any.
    latency_ms      50th and 99th percentile from the image callback to the last publish.
    age_ms          median age of the image (by its stamp) when its results were published; NaN
                    without frames.
    engine_ms       median time of inference alone; NaN without frames.
    """

    received: int
    published: int
    dropped: dict[str, int]
    in_work: int
    not_delivered: int
    lost_share: float
    rate_in_hz: float
    rate_out_hz: float
    latency_ms: tuple[float, float]
    age_ms: float
    engine_ms: float


class FrameCounters:
    """Counters of one camera. Thread safe. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._published = 0
        self._dropped: Counter[str] = Counter()
        self._number: int | None = None
        self._not_delivered = 0
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=WINDOW_FRAMES)
        self._results: deque[tuple[float, float, float, float]] = deque(maxlen=WINDOW_FRAMES)
        self._last_arrival_s: float | None = None

    @property
    def last_arrival_s(self) -> float | None:
        """When the last image came; None = never."""
        return self._last_arrival_s

    def receive(self, now_s: float, number: int | None = None) -> None:
        """Count a frame in. number: its publisher's running number; None = not known."""
        with self._lock:
            lost = self._lost_before(number)
            self._not_delivered += lost
            self._received += 1
            self._last_arrival_s = now_s
            self._arrivals.append((now_s, lost))

    def _lost_before(self, number: int | None) -> int:
        if number is None:
            return 0
        gap = 0 if self._number is None else number - self._number - 1
        self._number = number
        return gap if 0 < gap < MAX_GAP else 0

    def drop(self, reason: str) -> None:
        """Count a frame out that was not published; `reason` is a key of REASONS."""
        if reason not in REASONS:
            raise KeyError(reason)
        with self._lock:
            self._dropped[reason] += 1

    def publish(self, now_s: float, latency_ms: float, age_ms: float, engine_ms: float) -> None:
        """Count a frame out whose results were published."""
        with self._lock:
            self._published += 1
            self._results.append((now_s, latency_ms, age_ms, engine_ms))

    def snapshot(self, now_s: float) -> Snapshot:
        """Return all counters as of one moment."""
        with self._lock:
            since_s = now_s - WINDOW_S
            lost = [n for t, n in self._arrivals if t > since_s]
            arrivals = len(lost)
            recent = np.array([r for r in self._results if r[0] > since_s]).reshape(-1, 4)
            dropped = dict(self._dropped)
            in_work = self._received - self._published - sum(dropped.values())
            p50, p99, age, engine = (float('nan'),) * 4
            if len(recent):
                p50, p99 = (float(v) for v in np.percentile(recent[:, 1], (50, 99)))
                age, engine = (float(v) for v in np.median(recent[:, 2:], axis=0))
            return Snapshot(
                received=self._received,
                published=self._published,
                dropped=dropped,
                in_work=in_work,
                not_delivered=self._not_delivered,
                lost_share=sum(lost) / (arrivals + sum(lost)) if lost else 0.0,
                rate_in_hz=arrivals / WINDOW_S,
                rate_out_hz=len(recent) / WINDOW_S,
                latency_ms=(p50, p99),
                age_ms=age,
                engine_ms=engine,
            )
