# SPDX-License-Identifier: Apache-2.0
"""The inference thread: it takes the newest frame of each camera in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lightdepth_ros.stream.latest import Latest

T = TypeVar('T')


class Worker(Generic[T]):
    """Runs `process(source, item)` for each item put into `inbox`, until `stop`."""

    def __init__(self, sources: int, process: Callable[[int, T], None]) -> None:
        self.inbox: Latest[T] = Latest(sources)
        self._process = process
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once stopped, or once `process` raised something unforeseen."""
        return self._thread.is_alive()

    def stop(self) -> list[tuple[int, T]]:
        """Finish the current item, if any; return the items that were not started."""
        left = self.inbox.close()
        self._thread.join()
        return left

    def _run(self) -> None:
        while (taken := self.inbox.take()) is not None:
            self._process(*taken)


def call_in_thread(function: Callable[[], T], go_on: Callable[[], bool]) -> T | None:
    """Return `function()`, run in a thread of its own; None once `go_on` says False.

    Building an engine can take minutes inside a library; this keeps the caller able to stop.
    What `function` raises is raised here. After None it still runs, and its result is lost.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # handed to the caller, whatever it is
            errors.append(error)

    thread = threading.Thread(target=run, name='configure', daemon=True)
    thread.start()
    while thread.is_alive() and go_on():
        thread.join(0.1)
    if errors:
        raise errors[0]
    return results[0] if results else None
