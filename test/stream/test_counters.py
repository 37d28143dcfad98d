# SPDX-License-Identifier: Apache-2.0
"""Frames in = published + dropped + in work; rates and latencies are those of the last seconds."""

import math
import threading

import pytest

from lightdepth_ros.stream import counters
from lightdepth_ros.stream.counters import REASONS, FrameCounters


def test_sum_is_exact_while_threads_count():
    frames = FrameCounters()

    def count(reason: str) -> None:
        for _ in range(500):
            frames.receive(0.0)
            frames.drop(reason)
            frames.receive(0.0)
            frames.publish(0.0, 1.0, 1.0, 1.0)

    threads = [threading.Thread(target=count, args=(r,)) for r in list(REASONS)[:4]]
    for thread in threads:
        thread.start()
    for _ in range(50):
        seen = frames.snapshot(0.0)
        assert seen.received == seen.published + sum(seen.dropped.values()) + seen.in_work
        assert 0 <= seen.in_work <= len(threads)
    for thread in threads:
        thread.join()
    seen = frames.snapshot(0.0)
    assert (seen.received, seen.published, seen.in_work) == (4000, 2000, 0)
    assert seen.dropped == dict.fromkeys(list(REASONS)[:4], 500)


def test_rates_and_latencies_forget_what_is_old():
    frames = FrameCounters()
    for i in range(100):
        frames.receive(i * 0.1)
        frames.publish(i * 0.1, latency_ms=1000.0 if i < 20 else float(i), age_ms=3.0, engine_ms=2)
    seen = frames.snapshot(9.95)
    assert seen.rate_in_hz == seen.rate_out_hz == pytest.approx(10.0)
    assert seen.latency_ms[0] == pytest.approx(74.5)
    assert seen.latency_ms[1] == pytest.approx(98.5, abs=0.1)
    assert (seen.age_ms, seen.engine_ms) == (3.0, 2.0)
    assert frames.last_arrival_s == pytest.approx(9.9)
    later = frames.snapshot(30.0)
    assert later.rate_in_hz == 0
    assert math.isnan(later.latency_ms[0])


def test_gaps_in_the_publishers_numbers_are_images_that_never_came():
    frames = FrameCounters()
    for number in (7, 8, 11, 12, 14, 3, 4, 5_000_000):  # 9, 10, 13; then other publishers
        frames.receive(0.0, number)
    seen = frames.snapshot(0.0)
    assert (seen.received, seen.not_delivered) == (8, 3)


def test_only_known_reasons_are_counted():
    with pytest.raises(KeyError):
        FrameCounters().drop('because')


def test_every_reason_constant_is_explained():
    names = {v for k, v in vars(counters).items() if k.isupper() and isinstance(v, str)}
    assert names == REASONS.keys()
