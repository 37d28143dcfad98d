# SPDX-License-Identifier: Apache-2.0
"""Pair each image with the measurement nearest in time, reading the recording once.

Memory stays small: only messages that may still be paired are kept.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from lightdepth_ros.bag.recording import Recorded

WAIT_NS = 1_000_000_000
"""An image is decided at the latest when the recording is this far beyond it."""


class Pair(NamedTuple):
    """An image and its nearest measurement; None = none lies within the tolerance."""

    image: Recorded
    measurement: Recorded | None


class NearestStamps:
    """Pairs by header stamp. Feed it in the order of the recording, then call `rest`."""

    def __init__(self, tolerance_ns: int) -> None:
        self.tolerance_ns = tolerance_ns
        self.images: deque[Recorded] = deque()
        self.measurements: list[Recorded] = []

    def add_image(self, image: Recorded) -> Iterator[Pair]:
        """Take an image; yield the pairs that can be decided now."""
        self.images.append(image)
        yield from self.decided(image.log_ns)

    def add_measurement(self, measurement: Recorded) -> Iterator[Pair]:
        """Take a measurement; yield the pairs that can be decided now."""
        insort(self.measurements, measurement, key=lambda m: m.stamp_ns)
        yield from self.decided(measurement.log_ns)

    def decided(self, now_ns: int) -> Iterator[Pair]:
        """Yield images whose nearest measurement is known: a later one came, or none will."""
        while self.images:
            image = self.images[0]
            newest = self.measurements[-1].stamp_ns if self.measurements else None
            late = now_ns - image.log_ns > WAIT_NS
            if not late and (newest is None or newest < image.stamp_ns):
                break
            yield self.pair(self.images.popleft())
        self.forget(now_ns)

    def rest(self) -> Iterator[Pair]:
        """Yield the images left at the end of the recording."""
        while self.images:
            yield self.pair(self.images.popleft())

    def pair(self, image: Recorded) -> Pair:
        """Find the nearest measurement; of two equally near ones, the earlier."""
        at = bisect_left(self.measurements, image.stamp_ns, key=lambda m: m.stamp_ns)
        near = self.measurements[max(0, at - 1) : at + 1]
        best = min(near, key=lambda m: abs(m.stamp_ns - image.stamp_ns), default=None)
        if best is None or abs(best.stamp_ns - image.stamp_ns) > self.tolerance_ns:
            return Pair(image, None)
        return Pair(image, best)

    def forget(self, now_ns: int) -> None:
        """Drop measurements that no later image can use."""
        old = 0
        while old < len(self.measurements) - 1 and self.is_old(old, now_ns):
            old += 1
        del self.measurements[:old]

    def is_old(self, at: int, now_ns: int) -> bool:
        """Return whether the next measurement, too, came before all undecided images."""
        if now_ns - self.measurements[at].log_ns > WAIT_NS:
            return True
        return bool(self.images) and self.measurements[at + 1].stamp_ns <= self.images[0].stamp_ns
