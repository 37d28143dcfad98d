# SPDX-License-Identifier: Apache-2.0
"""The temporal filter calms noise, keeps edges and special values, and forgets across cuts."""

import numpy as np
import pytest

from lightdepth_ros.perception.temporal import GATE, TemporalFilter

RNG = np.random.default_rng(0)


def noisy(depth_m: float, shape=(40, 60)) -> np.ndarray:
    return (depth_m * np.exp(RNG.normal(0, 0.03, shape))).astype(np.float32)


def run(frames, share=0.8, step_s=0.1):
    temporal = TemporalFilter()
    return [temporal.apply(f.copy(), i * step_s, share) for i, f in enumerate(frames)]


def test_noise_of_a_still_scene_shrinks_as_exponential_smoothing_says():
    out = run([noisy(10.0) for _ in range(60)])[-1]
    assert out.dtype == np.float32
    expected = 0.03 * np.sqrt((1 - 0.8) / (1 + 0.8))
    assert np.log(out).std() == pytest.approx(expected, rel=0.1)
    assert np.log(out).mean() == pytest.approx(np.log(10.0), abs=0.005)


def test_share_zero_changes_nothing():
    frames = [noisy(10.0) for _ in range(3)]
    np.testing.assert_array_equal(run(frames, share=0.0)[-1], frames[-1])


def test_an_object_that_appears_is_there_at_once_and_does_not_smear():
    scene = np.full((40, 60), 20.0, np.float32)
    person = scene.copy()
    person[10:30, 20:30] = 5.0
    appeared, gone = run([scene, scene, person, scene])[2:]
    np.testing.assert_allclose(appeared, person, rtol=1e-5)
    np.testing.assert_allclose(gone, scene, rtol=1e-5)


def test_a_cut_starts_anew():
    first, second = np.full((4, 4), 10.0, np.float32), np.full((4, 4), 10.0, np.float32)
    second[:3] = 30.0  # most pixels jump; the rest changes by less than the gate
    second[3] = 10.5
    assert np.log(1.05) < GATE
    np.testing.assert_array_equal(run([first, second])[1], second)


@pytest.mark.parametrize('times_s', [(0.0, 5.0), (5.0, 0.0)])
def test_a_pause_and_time_running_backwards_start_anew(times_s):
    temporal = TemporalFilter()
    frames = [noisy(10.0), noisy(10.0)]
    for frame, time_s in zip(frames, times_s, strict=True):
        out = temporal.apply(frame.copy(), time_s, 0.9)
    np.testing.assert_array_equal(out, frames[1])


def test_special_values_pass_and_a_changed_size_starts_anew():
    special = np.array([[np.nan, np.inf, -np.inf, 10.0]], np.float32)
    plain = np.full((1, 4), 10.4, np.float32)
    first, second, third = run([special, plain, special], share=0.5)
    np.testing.assert_array_equal(first, special)
    np.testing.assert_allclose(second[0, :3], 10.4, rtol=1e-6)
    assert second[0, 3] == pytest.approx(np.sqrt(10.0 * 10.4), rel=1e-5)
    np.testing.assert_array_equal(third[0, :3], special[0, :3])
    wide = np.full((1, 8), 10.0, np.float32)
    np.testing.assert_array_equal(run([special, wide])[1], wide)
