# SPDX-License-Identifier: Apache-2.0
"""A prediction at the camera's size: edges where the picture has them, special values kept."""

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.enlarge import canvas_of, enlarged
from lightdepth_ros.perception.placement import plan
from lightdepth_ros.perception.prediction import Prediction

HW, SMALL_HW = (320, 480), (160, 240)
CANVAS = canvas_of(plan(HW, HW, 'crop', 32), 2)
EDGE = 245
"""Camera column where the picture changes; half of it is in the middle of a slope of depth."""


def picture(size_hw=HW, edge=EDGE) -> np.ndarray:
    rgb = np.full((*size_hw, 3), (40, 60, 50), np.uint8)
    rgb[:, edge:] = (200, 190, 180)
    return rgb


def small_of(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[::2, ::2])


def slope(near_m: float, far_m: float) -> np.ndarray:
    """Near on the left, far on the right, and between them the slope that a network draws."""
    depth_m = np.full(SMALL_HW, near_m, np.float32)
    depth_m[:, 120:] = far_m
    depth_m[:, 119:124] = np.geomspace(near_m, far_m, 7)[1:-1]
    return depth_m


def large(depth_m: np.ndarray, rgb: np.ndarray, label=None) -> Prediction:
    return enlarged(Prediction(depth_m, label, label, None), rgb, small_of(rgb), CANVAS, None)


def test_a_slope_of_depth_becomes_a_step_where_the_color_changes():
    found = large(slope(3.0, 9.0), picture()).depth_m
    assert found.shape == HW
    np.testing.assert_allclose(found[:, : EDGE - 2], 3.0, rtol=0.15)
    np.testing.assert_allclose(found[:, EDGE + 2 :], 9.0, rtol=0.15)


def test_without_a_change_of_color_the_step_lies_in_the_middle_of_the_slope():
    found = large(slope(3.0, 9.0), np.full((*HW, 3), 90, np.uint8)).depth_m
    between = (found[100] > 3.6) & (found[100] < 7.5)
    assert between.sum() <= 6
    assert abs(np.flatnonzero(found[100] > 5.2)[0] - 243) <= 2


def test_a_smooth_surface_is_interpolated_and_its_colors_leave_no_trace():
    rng = np.random.default_rng(0)
    depth_m = np.broadcast_to(np.geomspace(3, 9, 240).astype(np.float32), SMALL_HW).copy()
    rgb = rng.integers(0, 256, (*HW, 3), dtype=np.uint8)
    expected = 3 * 3 ** ((np.arange(480) - 0.5) / 2 / 239)
    found = large(depth_m, rgb).depth_m[:, 4:-4]
    np.testing.assert_allclose(found, np.broadcast_to(expected[4:-4], found.shape), rtol=1e-3)


def test_ground_that_recedes_is_no_edge():
    depth_m = np.broadcast_to(np.geomspace(60, 2, 160).astype(np.float32)[:, None], SMALL_HW)
    label = np.zeros(SMALL_HW, np.uint8)
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*HW, 3), dtype=np.uint8)
    found = large(np.ascontiguousarray(depth_m), rgb, label).depth_m
    assert np.ptp(np.log(found), axis=1).max() < 1e-3


def test_before_the_sky_there_is_the_thing_or_the_sky_and_nothing_between():
    depth_m = np.full(SMALL_HW, 8.0, np.float32)
    depth_m[:, 120:124] = np.geomspace(8, 70, 6)[1:-1]
    depth_m[:, 124:] = np.inf
    found = large(depth_m, picture()).depth_m
    assert np.isposinf(found[:, EDGE + 5 :]).all()
    assert np.isfinite(found[:, : EDGE - 4]).all()
    assert found[np.isfinite(found)].max() < 75
    assert found[:, : EDGE - 8].max() < 8.8


def test_no_finite_value_leaves_the_range_of_the_prediction():
    rng = np.random.default_rng(1)
    depth_m = np.exp(rng.uniform(0, 4, SMALL_HW)).astype(np.float32)
    depth_m[rng.random(SMALL_HW) < 0.2] = np.inf
    depth_m[rng.random(SMALL_HW) < 0.2] = np.nan
    depth_m[rng.random(SMALL_HW) < 0.1] = -np.inf
    found = large(depth_m, rng.integers(0, 256, (*HW, 3), dtype=np.uint8)).depth_m
    finite = depth_m[np.isfinite(depth_m)]
    some = found[np.isfinite(found)]
    assert finite.min() * 0.999 <= some.min()
    assert some.max() <= finite.max() * 1.001
    nearest = np.repeat(np.repeat(depth_m, 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(nearest))
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(nearest))


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_one_special_value_everywhere_stays(value):
    found = large(np.full(SMALL_HW, value, np.float32), picture()).depth_m
    np.testing.assert_array_equal(found, np.full(HW, value, np.float32))


def test_what_the_network_did_not_see_is_unknown():
    canvas = canvas_of(plan((480, 640), HW, 'crop', 32), 2)
    assert canvas.corner == (26, 0)
    rgb = picture((480, 640))
    label = np.full(SMALL_HW, 7, np.uint8)
    prediction = Prediction(np.full(SMALL_HW, 4, np.float32), label, label, None)
    camera = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
    found = enlarged(prediction, rgb, np.zeros((*SMALL_HW, 3), np.uint8), canvas, camera)
    seen = np.zeros((480, 640), bool)
    seen[26:453] = True
    np.testing.assert_array_equal(np.isfinite(found.depth_m), seen)
    np.testing.assert_array_equal(found.label_id, np.where(seen, 7, 255))
    np.testing.assert_array_equal(found.confidence, np.where(seen, 7, 0))
    assert found.camera == camera


def test_padding_falls_away():
    place = plan((300, 480), HW, 'pad', 32)
    canvas = canvas_of(place, 2)
    depth_m = np.full(SMALL_HW, np.nan, np.float32)
    depth_m[5:-5] = np.geomspace(2, 8, 150)[:, None]
    found = enlarged(
        Prediction(depth_m, None, None, None), picture((300, 480)),
        np.zeros((*SMALL_HW, 3), np.uint8), canvas, None,
    ).depth_m  # fmt: skip
    expected = 2 * 4 ** ((np.arange(300) - 0.5) / 2 / 149)
    np.testing.assert_allclose(found[4:-4, 100], expected[4:-4], rtol=0.01)
