# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: colours mean what the legend says, points lie where they are."""

import cv2
import numpy as np
import pytest

from lightdepth_ros import draw
from lightdepth_ros.classes import CLASS_ID, palette
from lightdepth_ros.perception.cloud import POINT

LOG_STEPS = np.geomspace(2, 80, 24, dtype=np.float32)[None]


def test_equal_ratios_of_depth_are_equal_steps_of_colour():
    colors = draw.color_depth(LOG_STEPS)[0]
    index = np.linspace(232, 22, 24).round().astype(np.uint8)[None]
    bar = cv2.applyColorMap(index, cv2.COLORMAP_TURBO)[0, :, ::-1].astype(int)
    assert np.abs(colors - bar).max() <= 8  # one step of the map, by rounding
    assert len(np.unique(colors, axis=0)) == 24


def test_near_is_warm_and_far_is_cold_and_both_ends_saturate():
    near, far, nearer, farther = draw.color_depth(np.array([[2, 80, 1, 500]], np.float32))[0]
    assert near[0] > near[2]
    assert far[2] > far[0]
    np.testing.assert_array_equal(near, nearer)
    np.testing.assert_array_equal(far, farther)


def test_special_values_have_colours_of_their_own():
    special = np.array([[np.inf, np.nan, -np.inf]], np.float32)
    colors = [tuple(color) for color in draw.color_depth(special)[0].tolist()]
    assert colors == [draw.SKY_COLOR, draw.UNKNOWN_COLOR, draw.NEAR_COLOR]
    ramp = draw.color_depth(LOG_STEPS)[0].astype(int)
    for color in colors:
        assert np.abs(ramp - color).sum(axis=1).min() > 60


def test_depth_picture_is_the_depth_above_a_scale_bar():
    depth_m = np.full((20, 30), 10, np.float32)
    depth_m[:, 15:] = np.inf
    picture = draw.depth_picture(depth_m, (400, 600))
    assert picture.shape[0] > 420
    assert picture.shape[1:] == (600, 3)
    expected = draw.color_depth(np.array([[10, np.inf]], np.float32))[0]
    # Flat up to the very edge of the sky: no colour of "far" is mixed in.
    np.testing.assert_array_equal(picture[200, :280], np.tile(expected[0], (280, 1)))
    np.testing.assert_array_equal(picture[200, 320:], np.tile(expected[1], (280, 1)))
    strip = picture[400:].reshape(-1, 3)
    for depth in (2.1, 5, 10, 20, 40, 79):
        color = draw.color_depth(np.array([[depth]], np.float32))[0, 0].astype(int)
        assert np.abs(strip - color).sum(axis=1).min() <= 6, depth


@pytest.mark.parametrize('depth', [np.nan, np.inf, -np.inf])
def test_depth_picture_without_any_depth_works(depth):
    picture = draw.depth_picture(np.full((4, 6), depth, np.float32), (200, 300))
    assert len(np.unique(picture[:200].reshape(-1, 3), axis=0)) == 1


def test_overlay_tints_by_class_and_leaves_unlabelled_pixels():
    rgb = np.full((80, 120, 3), 100, np.uint8)
    label = np.full((20, 30), CLASS_ID['road'], np.uint8)
    label[:, 15:] = 255
    picture = draw.overlay_labels(rgb, label, strength=0.5)
    np.testing.assert_allclose(picture[40, 20], (palette()[0].astype(int) + 100) / 2, atol=1)
    np.testing.assert_array_equal(picture[40, 100], (100, 100, 100))


def test_legend_shows_the_classes_that_occur_and_no_others():
    rgb = np.full((200, 900, 3), 100, np.uint8)
    label = np.full((20, 90), CLASS_ID['road'], np.uint8)
    label[:5] = CLASS_ID['sky']
    label[0, :2] = 255
    strip = draw.label_picture(rgb, label)[200:].reshape(-1, 3)
    shown = {name for name, i in CLASS_ID.items() if (strip == palette()[i]).all(axis=1).any()}
    assert shown == {'road', 'sky'}


def test_legend_grows_by_rows_instead_of_running_out_of_the_picture():
    rgb = np.full((100, 400, 3), 100, np.uint8)
    few = draw.label_picture(rgb, np.zeros((10, 40), np.uint8))
    many = draw.label_picture(rgb, np.arange(400, dtype=np.uint8).reshape(10, 40) % 19)
    assert many.shape[0] > few.shape[0]
    assert many.shape[1] == 400
    strip = many[100:].reshape(-1, 3)
    assert all((strip == color).all(axis=1).any() for color in palette()[:19])


def cloud_of(rows: list[tuple[float, float, float]]) -> np.ndarray:
    cloud = np.zeros(len(rows), POINT)
    for point, (x, y, z) in zip(cloud, rows, strict=True):
        point['x'], point['y'], point['z'] = x, y, z
    cloud['rgb'].view(np.uint32)[:] = 0x00FF00
    return cloud


def green_pixels(picture: np.ndarray) -> np.ndarray:
    return np.argwhere((picture[..., 1] > 200) & (picture[..., 0] < 60))


def test_points_lie_right_of_and_above_the_camera_in_proportion():
    view = {'size_hw': (500, 500), 'range_m': 20}
    near = green_pixels(draw.cloud_picture(cloud_of([(2.0, 0.0, 5.0)]), **view)).mean(axis=0)
    far = green_pixels(draw.cloud_picture(cloud_of([(4.0, 0.0, 13.0)]), **view)).mean(axis=0)
    px_per_m = 500 * 0.94 / 20
    np.testing.assert_allclose(near[0] - far[0], 8 * px_per_m, atol=2)
    np.testing.assert_allclose(far[1] - near[1], 2 * px_per_m, atol=2)
    np.testing.assert_allclose(near[1] - 250, 2 * px_per_m, atol=2)


def test_points_outside_the_picture_or_far_above_are_left_out():
    cloud = cloud_of([(0.0, -5.0, 5.0), (1000.0, 0.0, 5.0), (0.0, 0.0, 1000.0), (np.nan,) * 3])
    assert len(green_pixels(draw.cloud_picture(cloud, (300, 400), range_m=20))) == 0


def test_an_empty_cloud_is_a_picture_of_the_grid():
    picture = draw.cloud_picture(cloud_of([]), (300, 400))
    assert picture.shape == (300, 400, 3)
    assert len(np.unique(picture)) > 3
