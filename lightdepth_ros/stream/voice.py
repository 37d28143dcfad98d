# SPDX-License-Identifier: Apache-2.0
"""Rate-limited logging: errors once a second, warnings once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

QUIET_S = 1.0
SOME_KEYS = 256
"""So many different warnings are remembered; a stream of ever new ones costs no memory."""


class Voice:
    """A log that a broken camera cannot flood. Thread safe."""

    def __init__(self, warn: Callable[[str], object], error: Callable[[str], object]) -> None:
        self._warn = warn
        self._error = error
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._next_s = float('-inf')
        self._unsaid = 0
        self.last_error = ''

    def warn_once(self, key: str, text: str) -> None:
        """Log a warning the first time that `key` comes."""
        with self._lock:
            if key in self._said or len(self._said) >= SOME_KEYS:
                return
            self._said.add(key)
        self._warn(text)

    def error(self, text: str) -> None:
        """Log an error, unless one was logged less than a second ago; those are counted."""
        now_s = time.perf_counter()
        with self._lock:
            self.last_error = text
            if now_s < self._next_s:
                self._unsaid += 1
                return
            self._next_s = now_s + QUIET_S
            more, self._unsaid = self._unsaid, 0
        self._error(f'{text} ({more} more errors since the last message)' if more else text)
