# SPDX-License-Identifier: Apache-2.0
"""Points that hang in the air go; surfaces, thin things and the ground stay."""

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.perception.point_filter import flying, without_flying
from lightdepth_ros.perception.prediction import Prediction

STEP = 0.12
HW = (40, 60)


def flat(depth_m: float) -> np.ndarray:
    return np.full(HW, depth_m, np.float32)


def test_the_slope_between_a_near_and_a_far_surface_goes_and_both_surfaces_stay():
    depth_m = flat(3.0)
    depth_m[:, 30] = 5.0
    depth_m[:, 31:] = 9.0
    found = flying(depth_m, None, STEP)
    np.testing.assert_array_equal(np.flatnonzero(found.any(axis=0)), [30])
    assert found[:, 30].all()


def test_a_slope_towards_the_sky_goes_and_the_sky_stays():
    depth_m = flat(np.inf)
    depth_m[20:] = 6.0
    depth_m[19] = 15.0
    found = flying(depth_m, None, STEP)
    np.testing.assert_array_equal(np.flatnonzero(found.any(axis=1)), [19])


def test_a_point_alone_in_the_sky_or_before_a_wall_goes():
    depth_m = flat(np.inf)
    depth_m[:, 30:] = 8.0
    depth_m[10, 10] = 4.0
    depth_m[10, 50] = 4.0
    depth_m[20, 10] = 4.0
    depth_m[20, 9] = np.nan
    found = flying(depth_m, None, STEP)
    np.testing.assert_array_equal(np.argwhere(found), [[10, 10], [10, 50], [20, 10]])


def test_a_pole_one_pixel_wide_stays():
    depth_m = flat(10.0)
    depth_m[:, 25] = 4.0
    assert not flying(depth_m, None, STEP).any()


@pytest.mark.parametrize('height_m', [0.2, 1.5])
def test_level_ground_and_a_wall_seen_aslant_stay(height_m):
    camera = Camera(60, 40, 60.0, 60.0, 29.5, 2.0)
    below = np.maximum(np.arange(40) - camera.cy, 0)[:, None] + np.zeros(60)
    with np.errstate(divide='ignore'):
        ground = (height_m * camera.fy / below).astype(np.float32)
    labels = np.full(HW, CLASS_ID['road'], np.uint8)
    assert not flying(ground, labels, STEP)[4:].any()
    inverse = 1 / 2 - np.arange(60) * 0.006  # a plane's inverse depth is linear in the picture
    wall = np.broadcast_to((1 / inverse).astype(np.float32), HW)
    assert not flying(wall, None, STEP).any()


def test_ground_is_compared_within_its_row():
    labels = np.full(HW, CLASS_ID['terrain'], np.uint8)
    depth_m = np.broadcast_to(np.geomspace(60, 2, 40).astype(np.float32)[:, None], HW).copy()
    step = 0.05  # less than from row to row
    assert flying(depth_m, None, step)[5:-5].all()
    assert not flying(depth_m, labels, step).any()


def test_unknown_pixels_are_no_neighbours_and_are_never_reported():
    depth_m = flat(3.0)
    depth_m[:, 30] = np.nan
    depth_m[:, 31] = -np.inf
    depth_m[:, 32:] = 9.0
    assert not flying(depth_m, None, STEP).any()
    assert not flying(flat(np.nan), None, STEP).any()


def test_the_filtered_prediction_is_another_one_and_step_0_gives_the_same():
    depth_m = flat(3.0)
    depth_m[20, 20] = 30.0
    prediction = Prediction(depth_m, None, None, Camera(60, 40, 60.0, 60.0, 29.5, 19.5))
    solid = without_flying(prediction, STEP)
    assert np.isnan(solid.depth_m[20, 20])
    assert np.isnan(solid.depth_m).sum() == 1
    assert np.isfinite(prediction.depth_m).all()
    assert without_flying(prediction, 0.0) is prediction


@pytest.mark.parametrize('step', [0.01, 0.12, 1.0])
def test_noise_within_a_third_of_the_step_costs_nothing(step):
    rng = np.random.default_rng(3)
    depth_m = (5 * np.exp(rng.uniform(-step / 3, step / 3, HW))).astype(np.float32)
    assert not flying(depth_m, None, step).any()


def test_the_step_grows_as_the_picture_gets_narrower():
    """A rise of 20 % a pixel is an edge at 240 pixels, and a sloping surface at 30."""
    for width, gone in ((240, True), (30, False)):
        depth_m = np.geomspace(1, 1.2 ** (width - 1), width).astype(np.float32)
        depth_m = np.broadcast_to(np.minimum(depth_m, 1e3), (9, width)).copy()
        solid = without_flying(Prediction(depth_m, None, None, None), STEP)
        assert np.isnan(solid.depth_m[:, 5:20]).all() == gone
        assert np.isnan(solid.depth_m[:, 5:20]).any() == gone
