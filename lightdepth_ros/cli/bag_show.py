# SPDX-License-Identifier: Apache-2.0
"""What `lightdepth bag` shows: progress, speed, result; and how to stop it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from lightdepth_ros.bag.parts import Progress as JobProgress
from lightdepth_ros.bag.recording import Recording
from lightdepth_ros.bag.topics import CameraTopics
from lightdepth_ros.stream.counters import REASONS


@contextmanager
def stop_asked() -> Iterator[list[int]]:
    """Yield a list that SIGINT or SIGTERM fills, instead of interrupting."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Show:
    """The progress bar, and the speed of this run."""

    def __init__(
        self,
        console: Console,
        recording: Recording,
        cameras: tuple[CameraTopics, ...],
        progress: JobProgress,
        stop: list[int],
    ) -> None:
        self.total = recording.count({c.image for c in cameras})
        self.begun_with = progress.images
        self._stop = stop
        self._started_s = perf_counter()
        first_ns, last_ns = recording.span_ns()
        self._recording_s = (last_ns - first_ns) / 1e9
        self.bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('images, {task.fields[speed]}'),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            console=console,
        )
        self.task = self.bar.add_task(
            'bag', total=self.total, completed=self.begun_with, speed='starting'
        )
        self.images = self.begun_with
        self.wall_s = 0.0

    def step(self) -> bool:
        """Count an image; return whether to continue."""
        self.images += 1
        self.wall_s = perf_counter() - self._started_s
        self.bar.update(self.task, advance=1, speed=f'{self.ratio:.1f}x real time')
        return not self._stop

    @property
    def ratio(self) -> float:
        """Seconds of recording handled in a second by this run."""
        share = (self.images - self.begun_with) / max(1, self.total)
        return share * self._recording_s / max(self.wall_s, 1e-9)

    def text(self) -> str:
        """Return the speed of this run in words."""
        count = self.images - self.begun_with
        seconds = self.ratio * self.wall_s
        return (
            f'{count} images, {seconds:.1f} s of recording, in {self.wall_s:.1f} s: '
            f'{self.ratio:.2f} times real time'
        )


def reason_text(tally: dict[str, int]) -> str:
    """Return how many images were dropped for which reasons."""
    return ', '.join(
        f'{count} {REASONS[name]}' for name, count in tally.items() if name in REASONS
    )


def summarise(console: Console, out: Path, progress: JobProgress, show: Show) -> None:
    """Show what is in the bag, what is not and why, and how fast it was."""
    table = Table(title=f'{out}', title_justify='left')
    for heading in ('camera', 'images', 'published', 'dropped, and why'):
        table.add_column(heading)
    for name, tally in progress.tallies.items():
        counts = (tally['received'], tally.get('published', 0))
        table.add_row(name or '-', *map(str, counts), reason_text(tally) or 'none')
    console.print(table)
    size = sum(file.stat().st_size for file in out.iterdir())
    messages = sum(part['message_count'] for part in progress.parts)
    console.print(f'{messages} messages, {size / 1e6:.1f} MB in {len(progress.parts)} files.')
    console.print(show.text())
    if progress.damage:
        console.print(f'[red]The recording is damaged:[/] {escape(progress.damage)}')
