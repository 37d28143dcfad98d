# SPDX-License-Identifier: Apache-2.0
"""The demo's steps with a running node: wait until it answers, play every frame, play in real
time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

from lightdepth_ros.files import png, write_files
from tools.demo_drive import DriveFrame
from tools.demo_link import FRAME_ID, Link, decode
from tools.demo_node import DemoError, NodeProcess
from tools.demo_page import Album, Numbers
from tools.demo_pictures import side_by_side
from tools.demo_report import Pass, Truth, wrong_with

ANSWER_TIMEOUT_S = 20.0
RESEND_S = 1.0
LAST_ANSWERS_S = 1.0
KEPT_FRAMES = 30
"""Frames that stay in memory, to be played again in real time."""


@dataclass
class Played:
    """What playing every frame has given so far."""

    latency_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    kept: list[DriveFrame] = field(default_factory=list)
    album: Album = field(default_factory=Album)
    sent: int = 0


def warm_up(link: Link, node: NodeProcess, frame: DriveFrame, timeout_s: float) -> None:
    """Send one frame again and again until the node answers with every output.

    That covers its start, loading the model, and discovery. Raises DemoError if it ends or never
    answers.
    """
    end = time.monotonic() + timeout_s
    stamps: list[int] = []
    while not any(link.answered(stamp) for stamp in stamps):
        node.check()
        if time.monotonic() > end:
            raise DemoError(
                f'depth_node did not answer within {timeout_s:g} s; it publishes '
                f'{", ".join(sorted(link.topics)) or "nothing"}. Its last words:\n{node.tail}'
            )
        if link.listen():
            stamps.append(link.send(frame))
        link.spin(RESEND_S, lambda: bool(stamps) and link.answered(stamps[-1]))
    link.spin(RESEND_S / 2)  # late answers to earlier ones
    link.listen()


def every_frame(
    link: Link,
    node: NodeProcess,
    frames: Iterator[DriveFrame],
    fps: float,
    folder: Path,
) -> tuple[Pass, Played]:
    """Play frame by frame, each after the answer to the one before and not faster than `fps`.

    Writes one picture a frame into `folder`.
    """
    played = Played()
    start = time.perf_counter()
    for index, frame in enumerate(frames):
        link.spin(max(0.0, start + index / fps - time.perf_counter()))
        stamp = link.send(frame)
        played.sent += 1
        if len(played.kept) < KEPT_FRAMES:
            played.kept.append(frame)
        if link.spin(ANSWER_TIMEOUT_S, partial(link.answered, stamp)):
            _keep(link, stamp, frame, folder / f'{index:04d}.png', played)
        else:
            node.check()
            got = ', '.join(sorted(link.answers[stamp])) or 'nothing'
            played.wrong.append(f'{frame.name}: in {ANSWER_TIMEOUT_S:g} s came only {got}')
    title = f'one at a time, {len(link.expected)} topics'
    return Pass(title, played.sent, played.latency_ms, None), played


def real_time(
    link: Link, node: NodeProcess, frames: list[DriveFrame], rate_hz: float, seconds: float
) -> Pass:
    """Play frames over and over at a fixed rate, ready or not, and count the answers."""
    earlier = set(link.latency_ms)
    start = time.perf_counter()
    count = max(1, round(rate_hz * seconds))
    for index, frame in zip(range(count), cycle(frames), strict=False):
        link.spin(max(0.0, start + index / rate_hz - time.perf_counter()))
        link.send(frame)
    node.check()
    played_s = time.perf_counter() - start
    link.spin(LAST_ANSWERS_S)
    latency_ms = [ms for stamp, ms in link.latency_ms.items() if stamp not in earlier]
    return Pass(f'{rate_hz:g} Hz, {len(link.expected)} topics', count, latency_ms, played_s)


def _keep(link: Link, stamp: int, frame: DriveFrame, path: Path, played: Played) -> None:
    """Check and draw one answer, then forget its bytes."""
    answer = decode(link.answers.pop(stamp))
    played.latency_ms.append(link.latency_ms[stamp])
    played.wrong += wrong_with(answer, frame.name)
    if answer.frame_id != FRAME_ID:
        played.wrong.append(f'{frame.name}: frame_id is {answer.frame_id!r}, not {FRAME_ID!r}')
    compared = played.truth.add(frame, answer)
    index = played.sent - 1
    numbers = Numbers(index, frame.name, link.latency_ms[stamp], *compared)
    played.album.add(frame, answer, numbers)
    write_files({path: png(side_by_side(frame, answer))})
