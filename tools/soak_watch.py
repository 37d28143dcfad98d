# SPDX-License-Identifier: Apache-2.0
"""What the soak checks message by message, and what it measures second by second. No ROS."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIZES_KEPT = 256
WRONGS_KEPT = 20


class Watch:
    """Looks at every message that the node publishes. Numbers are those of the camera's images.

    sent     stamp (ns) of each image sent, by number.
    damaged  numbers of images that must never be published.
    """

    def __init__(self, sent: Sequence[int], damaged: Set[int], every: str) -> None:
        """every: a topic that is always listened to, so that it counts what was published."""
        self._sent = sent
        self._damaged = damaged
        self._every = every
        self._last: dict[str, int] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self.seen: set[int] = set()
        """Numbers of the images of which something came on `every`."""
        self.messages = 0
        self.wrong: list[str] = []
        """What must not be, the first of it."""

    def hear(self, topic: str, msg: Any) -> None:
        """Check a message: its number, stamp and size."""
        number = int(msg.header.frame_id)
        stamp_ns = msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec
        self.messages += 1
        if topic == self._every:
            self.seen.add(number)
        last = self._last.get(topic, -1)
        self._last[topic] = number
        if number <= last:
            self._note(f'{topic}: image {number} came after {last}')
        if stamp_ns != self._sent[number]:
            self._note(f'{topic}: image {number} came back with another stamp')
        if number in self._damaged:
            self._note(f'{topic}: image {number}, a damaged one, was published')
        size = (msg.height, msg.width)
        if self._sizes.setdefault(number, size) != size:
            self._note(f'{topic}: image {number} has {size} here, {self._sizes[number]} elsewhere')
        if len(self._sizes) > SIZES_KEPT:
            del self._sizes[next(iter(self._sizes))]

    @property
    def published(self) -> int:
        """How many images something has come of, on the topic that is always listened to."""
        return len(self.seen)

    def _note(self, text: str) -> None:
        if len(self.wrong) < WRONGS_KEPT:
            self.wrong.append(text)


@dataclass
class Totals:
    """The node's counters, added up over the times that it was configured."""

    received: int = 0
    published: int = 0
    not_delivered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    in_work: list[int] = field(default_factory=list)
    """Frames still in work at each moment when there must be none."""

    def add(self, stats: dict[str, Any]) -> None:
        """Add the counters of a node at rest: without camera, or inactive."""
        self.received += stats['received']
        self.published += stats['published']
        self.not_delivered += stats['not_delivered']
        self.dropped.update(stats['dropped'])
        self.in_work.append(stats['in_work'])


@dataclass(frozen=True)
class Sample:
    """One second of the machine.

    at_s      perf_counter.
    own_mib   resident memory of the node, its shared memory segments left out.
    shared_mib  those segments, as far as they are in use: the transport maps its own and its
              neighbours', and their pages come in one by one as messages go round in them.
    node_s    CPU seconds the node has used so far.
    soak_s    the same of the soak's own processes, the node not included.
    busy_s    the same of all processes of the machine.
    waited_s  seconds that the node's threads have waited for a CPU so far.
    """

    at_s: float
    own_mib: float
    shared_mib: float
    node_s: float
    soak_s: float
    busy_s: float
    waited_s: float


def sample(node: int, others: Sequence[int]) -> Sample:
    """Measure now. node: process id of the node. others: those of the soak. Linux only."""
    return Sample(
        time.perf_counter(),
        *memory_mib(node),
        cpu_s(node),
        sum(cpu_s(pid) for pid in others),
        machine_cpu_s(),
        waited_s(node),
    )


def memory_mib(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process in MiB: its own (heap, stacks, mapped files), and
    shared memory; NaN once it has ended."""
    try:
        text = Path(f'/proc/{pid}/status').read_text(encoding='ascii')
    except OSError:
        return float('nan'), float('nan')
    fields = dict(line.split(':', 1) for line in text.splitlines())
    anonymous, files, shared = (
        int(fields[name].split()[0]) / 1024 if name in fields else float('nan')
        for name in ('RssAnon', 'RssFile', 'RssShmem')
    )
    return anonymous + files, shared


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, all its threads, so far; 0 once it has ended."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8')
    except OSError:
        return 0.0
    fields = text.rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def waited_s(pid: int) -> float:
    """Return how long the threads of a process were ready to run and waited for a CPU so far."""
    waited = 0
    for path in Path(f'/proc/{pid}/task').glob('*/schedstat'):
        try:
            waited += int(path.read_text(encoding='ascii').split()[1])
        except (OSError, IndexError):
            continue  # the thread ended meanwhile
    return waited * 1e-9


def machine_cpu_s() -> float:
    """Return the CPU seconds that all processes of the machine have used so far."""
    fields = Path('/proc/stat').read_text(encoding='ascii').split('\n', 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf('SC_CLK_TCK')
