# SPDX-License-Identifier: Apache-2.0
"""The soak's fault script. Small faults come all the time; acts, which take seconds, in turn."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tools.soak_camera import CameraDriver
from tools.soak_memory import Reading
from tools.soak_node import EngineFaults
from tools.soak_operator import (
    EVERY,
    MOST_UNANSWERED,
    OUTPUT_TYPES,
    PATIENCE_S,
    Operator,
    SoakError,
)
from tools.soak_watch import Totals, Watch

CHANGES_A_MINUTE = 100
SUBSCRIBER_PERIOD_S = 0.7
ENGINE_PERIOD_S = 2.5
BURST_S = 3.0
SETTLING_S = 15.0
"""So long at most the memory of a node whose models were freed is waited for."""
SETTINGS: tuple[tuple[str, tuple[Any, ...], tuple[Any, ...]], ...] = (
    ('output_resolution', ('L', 'M', 'S', 'XS', 'auto'), ('HUGE', 3)),
    ('fit', ('crop', 'pad', 'adapt'), ('', 'stretch')),
    ('depth_scale', (1.0, 0.5), (-1.0, 1, 'x')),
    ('max_range_m', (80.0, 20.0), (0.0, float('nan'))),
    ('min_range_m', (0.0, 1.0), (-1.0, 500.0)),
    ('min_confidence', (0.0, 0.5), (2.0,)),
    ('temporal_filter', (0.0, 0.8), (1.0,)),
    ('rate_limit_hz', (0.0, 20.0), (-5.0,)),
    ('image_kind', ('auto', 'raw', 'rectified'), ('crooked',)),
    ('horizontal_fov_deg', (0.0, 70.0), (500.0,)),
    ('max_latency_ms', (100.0, 30.0), (0.0,)),
    ('threads', (), (2,)),
    ('backend', (), ('tensorrt',)),
)
"""Parameter, values that must be accepted, values that must be refused while configured."""
DEFAULTS = {name: good[0] for name, good, _ in SETTINGS if good}
BURN = 'while True: pass'

Act = Iterator[None]


class FaultScript:
    """Everything that goes wrong. `step` does what is due; an act goes on from step to step."""

    def __init__(
        self,
        camera: CameraDriver,
        operator: Operator,
        watch: Watch,
        faults: EngineFaults,
        cache: Path,
        *,
        memory_mib: Callable[[], float],
        seed: int,
        gap_s: float,
    ) -> None:
        """cache: the folder that the node keeps engines in. memory_mib: the node's own. gap_s:
        between two acts."""
        self._camera, self._operator, self._watch = camera, operator, watch
        self._faults, self._cache = faults, cache
        self._memory_mib = memory_mib
        self._random = random.Random(seed)
        self._gap_s = gap_s
        self._due_s = dict.fromkeys((self._set, self._resubscribe, self._break_engine), 0.0)
        self._acts = self._play()
        self._storming = True
        self.totals = Totals()
        self.counts: Counter[str] = Counter()
        """How often each fault was played."""
        self.bursts: list[tuple[float, float]] = []
        """Begin and end of each load burst, perf_counter."""
        self.freed: list[Reading] = []
        """The node's memory each time it had been cleaned up."""
        self.rounds = 0
        """How often all acts have been played."""
        self._burning: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> list[int]:
        """The processes of the soak: itself, and those of a load burst."""
        return [os.getpid(), *(process.pid for process in self._burning)]

    def step(self) -> None:
        """Do what is due."""
        if self._storming:
            for fault in (self._set, self._resubscribe, self._break_engine):
                if time.perf_counter() >= self._due_s[fault]:
                    self._due_s[fault] = time.perf_counter() + fault()
        next(self._acts)

    def settle(self) -> None:
        """End all faults and bring everything back to how it began."""
        while not self._storming or self.bursting:  # in the middle of an act
            next(self._acts)
            self._operator.spin(0.02)
        self._camera.faults, self._camera.paused = False, False
        for name, value in DEFAULTS.items():
            self._operator.set(name, value, accepted=True)
            self._operator.wait(self._answered, f'an answer to {name}={value}')
        for topic in OUTPUT_TYPES.keys() - self._operator.listening:
            self._operator.listen(topic)

    def rest(self) -> None:
        """Add up the counters of a node whose camera has stopped, and stay there."""
        self._camera.paused = True
        self._operator.wait(self._at_rest(), '~/stats at rest')
        self.totals.add(self._operator.stats)

    @property
    def bursting(self) -> bool:
        """Whether a load burst is on."""
        return bool(self._burning)

    def close(self) -> None:
        """End what runs beside."""
        for process in self._burning:
            process.kill()
            process.wait()
        self._burning = []

    # All the time; each returns the seconds until the next one.

    def _set(self) -> float:
        if self._operator.unanswered >= MOST_UNANSWERED:
            return 1.0
        name, good, bad = self._random.choice(SETTINGS)
        accepted = bool(good) and self._random.random() < 0.75
        self._operator.set(name, self._random.choice(good if accepted else bad), accepted)
        self.counts['parameter changes asked for'] += 1
        return 60 / CHANGES_A_MINUTE

    def _resubscribe(self) -> float:
        topic = self._random.choice([topic for topic in OUTPUT_TYPES if topic != EVERY])
        listening = topic in self._operator.listening
        (self._operator.leave if listening else self._operator.listen)(topic)
        self.counts['subscribers came or went'] += 1
        return self._random.uniform(0.5, 1.5) * SUBSCRIBER_PERIOD_S

    def _break_engine(self) -> float:
        self._faults.ask()
        return self._random.uniform(0.5, 1.5) * ENGINE_PERIOD_S

    # Acts

    def _play(self) -> Act:
        acts = (
            ('camera stopped and returned', self._camera_stops),
            ('CPU load burst', self._load_burst),
            ('clock jumped back', lambda: self._clock_jumps(-30.0)),
            ('everybody left and came back', self._everyone_leaves),
            ('illegal lifecycle transition', self._illegal_transition),
            ('clock jumped ahead', lambda: self._clock_jumps(100.0)),
            ('engine cache deleted, node configured anew', self._cache_deleted),
        )
        while True:
            for name, act in acts:
                self.counts[name] += 1
                yield from act()
                yield from self._wait(self._gap_s)
            self.rounds += 1

    def _camera_stops(self) -> Act:
        self._camera.paused = True
        yield from self._wait(self._random.choice((0.3, 1.0, 3.0)))
        yield from self._camera_returns()

    def _camera_returns(self) -> Act:
        before = self._watch.published
        self._camera.paused = False
        yield from self._until(lambda: self._watch.published > before, 'a result after a pause')

    def _load_burst(self) -> Act:
        begun_s = time.perf_counter()
        for _ in range(os.cpu_count() or 1):
            self._burning.append(subprocess.Popen([sys.executable, '-c', BURN]))
        yield from self._wait(BURST_S)
        self.close()
        self.bursts.append((begun_s, time.perf_counter()))

    def _clock_jumps(self, seconds: float) -> Act:
        self._camera.jump(seconds)
        before = self._watch.published
        yield from self._until(lambda: self._watch.published > before, 'a result after a jump')

    def _everyone_leaves(self) -> Act:
        self._storming = False
        self._camera.paused = True
        topics = self._operator.listening
        yield from self._until(self._at_rest(), 'the last frame to be done')
        for topic in topics:
            self._operator.leave(topic)
        yield from self._until(lambda: not self._subscribed(), 'no subscribers in ~/stats')
        before = self._operator.stats['dropped'].get('nobody_listens', 0)
        self._camera.paused = False
        yield from self._until(
            lambda: self._operator.stats['dropped'].get('nobody_listens', 0) > before + 5,
            'drops because nobody listens',
        )
        self._camera.paused = True
        # Or the node, which learns of a subscriber before that one learns of the node, would
        # publish a frame that it still has to somebody who does not hear it yet.
        yield from self._until(self._at_rest(), 'the last frame to be dropped')
        for topic in topics:
            self._operator.listen(topic)
        yield from self._matched()
        self._storming = True
        yield from self._camera_returns()

    def _illegal_transition(self) -> Act:
        self._operator.transition('activate')
        yield from self._until(self._answered, 'a refusal')

    def _cache_deleted(self) -> Act:
        self._storming = False
        shutil.rmtree(self._cache, ignore_errors=True)
        yield from self._until(self._answered, 'answers')
        yield from self._transition('deactivate')
        before = self._operator.stats_count
        yield from self._until(lambda: self._operator.stats_count > before + 1, '~/stats at rest')
        self.totals.add(self._operator.stats)
        yield from self._transition('cleanup')
        yield from self._memory_settles()
        self.freed.append((time.perf_counter(), self._memory_mib()))
        yield from self._transition('configure')
        self._camera.paused = True
        yield from self._transition('activate')
        yield from self._matched()
        self._storming = True
        yield from self._camera_returns()

    # Waiting

    def _memory_settles(self) -> Act:
        """An engine that was still being built when its models were freed ends by itself."""
        end_s = time.perf_counter() + SETTLING_S
        last: list[float] = []
        while len(last) < 4 or max(last[-4:]) - min(last[-4:]) > 1:
            if time.perf_counter() > end_s:
                return
            last.append(self._memory_mib())
            yield from self._wait(1.0)

    def _answered(self) -> bool:
        return self._operator.unanswered == 0

    def _at_rest(self) -> Callable[[], bool]:
        """Tell whether the node, whose camera has been stopped, has since said to be idle."""
        before = self._operator.stats_count
        return lambda: (
            self._operator.stats_count > before + 1 and self._operator.stats['in_work'] == 0
        )

    def _subscribed(self) -> bool:
        return any(self._operator.stats['subscribers'].values())

    def _matched(self) -> Act:
        """Wait until the node knows who listens, and what listens knows the node."""
        before = self._operator.stats_count
        yield from self._until(
            lambda: (
                self._operator.stats_count > before + 1
                and self._operator.stats['subscribers'].get(EVERY, 0) > 0
                and self._operator.matched
                and self._camera.subscribed
            ),
            'subscribers in ~/stats',
        )
        yield from self._wait(0.5)

    def _transition(self, name: str) -> Act:
        yield from self._until(self._operator.transition(name), f'the transition {name}')

    def _wait(self, seconds: float) -> Act:
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            yield

    def _until(self, done: Callable[[], bool], what: str) -> Act:
        end_s = time.perf_counter() + PATIENCE_S
        while not done():
            if time.perf_counter() > end_s:
                raise SoakError(f'waited {PATIENCE_S:.0f} s in vain for {what}')
            yield
