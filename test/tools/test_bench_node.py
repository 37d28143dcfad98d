# SPDX-License-Identifier: Apache-2.0
"""The node benchmark adds up what was measured apart, so that dropped frames do not flatter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from tools.bench_node import MAX_CPU_SHARE, Fixed, cost, median_cost
from tools.soak_node import FRAME
from tools.soak_watch import Sample


def test_share_is_that_of_30_frames_a_second_however_many_were_dropped():
    rest, image_s, published_s = 0.01, 0.002, 0.004
    fixed = Fixed(rest, image_s)
    wanted = rest + 30 * (image_s + published_s)
    for received, published in ((300, 300), (250, 40), (90, 3)):
        used_s = 10 * rest + received * image_s + published * published_s
        assert fixed.share(used_s, 10.0, received, published) == pytest.approx(wanted)
    assert Fixed(rest).share(10 * rest + 300 * image_s, 10.0, 300, 0) == pytest.approx(0.07)
    assert Fixed().share(0.1, 10.0, 0, 0) == pytest.approx(rest)


def sample(at_s: float, node_s: float) -> Sample:
    return Sample(at_s, 100.0, 40.0, node_s, soak_s=0.5 * at_s, busy_s=1.5 * at_s, waited_s=0.0)


def test_engine_and_frames_before_and_after_are_left_out():
    frames = np.zeros(32, FRAME)
    frames['at_s'] = np.linspace(-0.05, 10.05, 32)
    frames['latency_ms'], frames['engine_ms'] = 14.0, 11.5
    frames['cpu_ms'], frames['engine_cpu_ms'] = 12.0, 10.0
    found = cost('x', sample(0.0, 0.0), sample(10.0, 1.0), frames, 30, Fixed(), 3.0)
    assert (found.rate_hz, found.received_hz) == (3.0, 3.0)
    assert (found.added_ms, found.added_cpu_ms, found.engine_ms) == (2.5, 2.0, 11.5)
    assert found.cpu_share == pytest.approx((1.0 - 0.3) / 30 * 30)
    assert found.others == pytest.approx(1.5 - 0.5 - 0.1)
    assert found.cpu_share > MAX_CPU_SHARE
    assert not found.ok
    assert cost('x', sample(0, 0), sample(10, 0.4), frames, 30, Fixed(), 3.0).ok
    assert not cost('x', sample(0, 0), sample(10, 0.4), frames, 30, Fixed(), 1.5).ok


def test_of_several_starts_the_medians_are_kept_and_the_clock_from_least_to_most():
    frames = np.zeros(32, FRAME)
    frames['at_s'] = np.linspace(0.1, 9.9, 32)
    one = cost('x', sample(0.0, 0.0), sample(10.0, 1.0), frames, 30, Fixed(), 3.0)
    starts = [dataclasses.replace(one, added_ms=ms, cpu_share=ms / 10) for ms in (3.5, 2.0, 2.5)]
    found = median_cost(starts)
    assert (found.name, found.added_ms, found.cpu_share) == ('x', 2.5, 0.25)
    assert found.added_range_ms == (2.0, 3.5)
    assert found.rate_hz == one.rate_hz
