# SPDX-License-Identifier: Apache-2.0
"""The rate limit takes evenly spaced frames; the pacer finds the resolution that keeps time."""

import numpy as np
import pytest

from lightdepth_ros.stream.pacing import RateLimit, ResolutionPacer


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


COST_MS = {'L': 40.0, 'M': 25.0, 'S': 15.0, 'XS': 12.0}
"""An engine whose time falls with the resolution."""


class Drive:
    """Frames at 30 Hz through a simulated engine; keeps what the pacer did, and when."""

    def __init__(self, limit_ms: float, seed: int = 0) -> None:
        self.pacer = ResolutionPacer(limit_ms, tuple(COST_MS))
        self.now_s = 0.0
        self.steps: list[tuple[float, str]] = []
        self.used: list[str] = []
        self._rng = np.random.default_rng(seed)

    def run(self, seconds: float, load: float = 1.0, spikes: float = 0.0, noise: float = 0.1):
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.used.append(self.pacer.resolution)
            latency_ms = COST_MS[self.pacer.resolution] * load
            latency_ms *= np.exp(self._rng.normal(0, noise))
            if self._rng.random() < spikes:
                latency_ms += 500.0
            step = self.pacer.observe(latency_ms, self.now_s)
            if step is not None:
                self.steps.append((self.now_s, step.resolution))
                assert step.resolution in step.reason
            self.now_s += 1 / 30
        return self


def test_engine_that_keeps_time_stays_at_the_finest():
    assert Drive(100.0).run(60).steps == []


def test_single_slow_frames_change_nothing():
    assert Drive(100.0).run(60, spikes=0.03).steps == []


def test_slow_engine_is_answered_within_a_second_down_to_what_keeps_time():
    drive = Drive(20.0).run(2)
    assert [resolution for _, resolution in drive.steps] == ['M', 'S']
    assert drive.steps[-1][0] < 1.0


def test_nothing_fast_enough_ends_at_the_coarsest_and_stays():
    drive = Drive(5.0).run(60)
    assert drive.pacer.resolution == 'XS'
    assert len(drive.steps) == 3


def test_load_step_goes_down_at_once_and_comes_back_after_a_quiet_time():
    drive = Drive(100.0).run(5)
    drive.run(5, load=5.0)
    assert drive.pacer.resolution == 'S'
    calm_s = drive.now_s
    drive.run(20)
    assert drive.pacer.resolution == 'L'
    ups = [t - calm_s for t, _ in drive.steps if t > calm_s]
    assert len(ups) == 2
    assert ups[0] >= ResolutionPacer.QUIET_S
    assert ups[1] < 3 * ResolutionPacer.QUIET_S


def test_a_resolution_that_is_just_too_slow_is_tried_ever_more_rarely():
    # M takes 25 of 37 ms, so L (40 ms) is tried, and is too slow each time.
    drive = Drive(37.0).run(600, noise=0.02)
    tries_s = [t for t, resolution in drive.steps if resolution == 'L']
    assert 4 <= len(tries_s) <= 10
    pauses_s = np.diff(tries_s)
    assert (pauses_s[1:4] > 1.5 * pauses_s[:3]).all()
    assert pauses_s.max() > 100
    assert drive.used.count('L') / len(drive.used) < 0.01


def test_noise_around_the_limit_does_not_make_it_swing():
    drive = Drive(40.0).run(300, noise=0.3)
    assert len(drive.steps) < 20


def test_a_step_up_that_lasted_makes_the_pacer_hopeful_again():
    drive = Drive(37.0).run(120, noise=0.02)  # several failed attempts
    drive.run(60, load=0.5)
    assert drive.pacer.resolution == 'L'
    drive.run(5, load=2.0)
    calm_s = drive.now_s
    drive.run(10, load=0.5)
    first_up_s = next(t for t, _ in drive.steps if t > calm_s)
    assert first_up_s - calm_s < 2 * ResolutionPacer.QUIET_S
