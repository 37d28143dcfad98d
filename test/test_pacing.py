# SPDX-License-Identifier: Apache-2.0
"""The rate limit takes evenly spaced frames and never more than it may."""

import numpy as np
import pytest

from lightdepth_ros.pacing import RateLimit


def taken(limit_hz: float, times_s: np.ndarray) -> np.ndarray:
    limit = RateLimit(limit_hz)
    return np.array([t for t in times_s if limit.allows(t)])


def test_no_limit_takes_every_frame():
    assert len(taken(0.0, np.arange(100) / 30)) == 100


@pytest.mark.parametrize('limit_hz', [1.0, 7.0, 10.0, 27.0])
def test_limit_is_met_and_not_exceeded_at_30_hz_with_jitter(limit_hz):
    times_s = np.arange(900) / 30 + np.random.default_rng(0).uniform(-0.004, 0.004, 900)
    kept = taken(limit_hz, times_s)
    assert limit_hz * 30 - 1 <= len(kept) <= limit_hz * 30 + 1
    assert np.diff(kept).max() <= 1 / limit_hz + 0.05


def test_jittering_camera_at_the_limit_loses_nothing():
    times_s = np.arange(900) / 30 + np.random.default_rng(0).uniform(-0.004, 0.004, 900)
    assert len(taken(30.0, times_s)) >= 899


def test_limit_above_the_rate_takes_every_frame():
    assert len(taken(40.0, np.arange(300) / 30)) == 300


def test_silence_is_not_made_up_for_by_a_burst():
    times_s = np.concatenate([np.arange(10) / 30, 5 + np.arange(30) / 30])
    assert len(taken(5.0, times_s[times_s >= 5])) == len(taken(5.0, times_s)) - 2
