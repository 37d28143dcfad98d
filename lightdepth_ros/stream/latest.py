# SPDX-License-Identifier: Apache-2.0
"""Give the newest frame of each camera to one worker; frames never queue up."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class Latest(Generic[T]):
    """One waiting item per source. A newer item replaces the one that waits.

    Sources are served in turn, so a fast camera cannot starve a slow one. Thread safe.
    """

    def __init__(self, sources: int) -> None:
        self._waiting: list[T | None] = [None] * sources
        self._last = sources - 1
        self._closed = False
        self._changed = threading.Condition()

    def put(self, source: int, item: T) -> T | None:
        """Store `item`; return the item that it replaces, or None."""
        with self._changed:
            replaced = self._waiting[source]
            self._waiting[source] = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float | None = None) -> tuple[int, T] | None:
        """Return (source, item) of the source whose turn it is, as soon as one waits.

        None once the time is over or after `close`.
        """
        with self._changed:
            self._changed.wait_for(self._ready, timeout_s)
            if self._closed:
                return None
            count = len(self._waiting)
            for step in range(1, count + 1):
                source = (self._last + step) % count
                item = self._waiting[source]
                if item is not None:
                    self._waiting[source] = None
                    self._last = source
                    return source, item
            return None

    def close(self) -> list[tuple[int, T]]:
        """End all waiting, now and later; return what had been waiting."""
        with self._changed:
            self._closed = True
            left = [
                (source, item) for source, item in enumerate(self._waiting) if item is not None
            ]
            self._waiting = [None] * len(self._waiting)
            self._changed.notify_all()
            return left

    def _ready(self) -> bool:
        return self._closed or any(item is not None for item in self._waiting)
