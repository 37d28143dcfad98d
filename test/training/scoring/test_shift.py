# SPDX-License-Identifier: Apache-2.0
"""Windows that move a little: a steady network shows none, an aliasing one what it aliases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from training.datasets.sample import Sample
from training.scoring import shift
from training.scoring.fullframe import FullFrame
from training.scoring.protocols import PROTOCOLS

RAW = PROTOCOLS['raw']
WINDOW = (64, 96)


class Listed(list):
    name = 'listed'


def samples(count: int = 1, camera: Camera | None = None) -> Listed:
    ramp = np.linspace(0, 255, 120 * 200).reshape(120, 200, 1).astype(np.uint8)
    return Listed(Sample(np.repeat(ramp, 3, 2), camera, None, None, str(k)) for k in range(count))


def test_the_window_is_given_whole_unscaled_and_with_its_own_camera():
    seen = []

    def predictor(rgb: np.ndarray, camera: Camera, _far_m: float, *_: object) -> FullFrame:
        seen.append(camera)
        assert rgb.shape == (*WINDOW, 3)
        assert camera.size_hw == WINDOW
        return FullFrame(np.ones(WINDOW, np.float32), np.zeros(WINDOW, np.uint8), np.ones(WINDOW))

    shift.measure_shift(samples(), predictor, lambda _hw: WINDOW, RAW)
    still, right, down = seen
    assert (still.cx - right.cx, still.cy - right.cy) == (8, 0)
    assert (still.cx - down.cx, still.cy - down.cy) == (0, 8)


def test_a_network_that_follows_the_world_does_not_change():
    def world(_rgb: np.ndarray, camera: Camera, _far_m: float, *_: object) -> FullFrame:
        x, y = camera.rays()[..., 0], camera.rays()[..., 1]
        depth = np.exp(2 + x + y).astype(np.float32)
        return FullFrame(depth, (x > 0.1).astype(np.uint8), np.ones(WINDOW, np.float32))

    found = shift.measure_shift(samples(2), world, lambda _hw: WINDOW, RAW)
    assert found['frames'] == 2
    for direction in ('right', 'down'):
        assert found[direction]['depth'] == pytest.approx(0, abs=1e-5)
        assert found[direction]['label'] == pytest.approx(0, abs=1e-3)


def test_a_network_bound_to_its_own_grid_changes_by_what_it_says():
    column = np.arange(WINDOW[1]) // 8 % 2  # stripes of the window, not of the world

    def stripes(_rgb: np.ndarray, _camera: Camera, _far_m: float, *_: object) -> FullFrame:
        label = np.broadcast_to(column, WINDOW).astype(np.uint8)
        depth = np.where(label == 1, 10.0, 10.4).astype(np.float32)
        return FullFrame(depth, label, np.ones(WINDOW, np.float32))

    found = shift.measure_shift(samples(), stripes, lambda _hw: WINDOW, RAW)
    assert found['right']['depth'] == pytest.approx(math.log(1.04), rel=1e-4)
    assert found['right']['label'] == 1
    assert found['down'] == {'depth': 0, 'label': 0}


def test_pixels_that_are_far_or_unknown_both_times_say_nothing_of_depth():
    near, far = np.array([[10.0, 80.0, np.nan]]), np.array([[11.0, 80.0, 12.0]])
    label = np.zeros((1, 3), np.uint8)
    depth, changed = shift.change((near, label), (far, label), 80.0)
    assert depth == pytest.approx(math.log(1.1))
    assert changed == 0
