# SPDX-License-Identifier: Apache-2.0
"""The obstacle cloud marks what is not ground; the clearing cloud reaches through open space."""

from dataclasses import replace

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from lightdepth_ros.perception.cloud import points
from lightdepth_ros.perception.navigation import class_mask, clearing_points, obstacle_points
from lightdepth_ros.perception.prediction import Prediction

CAMERA = Camera(4, 1, 10.0, 10.0, 0.0, 0.0)
DEPTH_M = np.array([[5.0, 7.0, np.inf, np.nan]], np.float32)
LABELS = np.array([[CLASS_ID['road'], CLASS_ID['person'], CLASS_ID['sky'], 255]], np.uint8)


def scene(labels=LABELS, depth_m=DEPTH_M, camera=CAMERA) -> Prediction:
    return Prediction(depth_m, labels, None, camera)


def test_obstacles_have_no_ground_and_keep_the_unlabelled():
    labels = np.array([[0, 11, UNLABELLED, 1]], np.uint8)
    prediction = scene(labels, np.full((1, 4), 5, np.float32))
    obstacles = obstacle_points(prediction, class_mask(['road', 'sidewalk', '']))
    np.testing.assert_array_equal(np.isfinite(obstacles['z']), [[False, True, True, False]])
    np.testing.assert_array_equal(np.isnan(obstacles['x']), np.isnan(obstacles['z']))
    cloud = points(prediction, None)
    for axis in 'xyz':  # pixel for pixel, to the bit
        np.testing.assert_array_equal(obstacles[axis][0, 1:3], cloud[axis][0, 1:3])
    assert np.isfinite(prediction.depth_m).all()


def test_without_labels_nothing_is_ground():
    prediction = scene(labels=None)
    obstacles = obstacle_points(prediction, class_mask(['road']))
    np.testing.assert_array_equal(np.isfinite(obstacles['z']), [[True, True, False, False]])


def test_clearing_keeps_what_is_seen_and_puts_far_points_on_open_rays():
    clearing = clearing_points(scene(), 80.0, class_mask([]))
    np.testing.assert_allclose(clearing['z'], [[5.0, 7.0, 80.0, np.nan]])
    np.testing.assert_allclose(clearing['x'], [[0.0, 0.7, 16.0, np.nan]], rtol=1e-6)


def test_what_is_nearer_than_the_range_neither_marks_nor_clears():
    prediction = scene(depth_m=np.full((1, 4), -np.inf, np.float32))
    assert np.isnan(clearing_points(prediction, 80.0, class_mask([]))['z']).all()
    assert np.isnan(obstacle_points(prediction, class_mask([]))['x']).all()


def test_far_points_of_a_second_stereo_camera_start_from_its_own_centre():
    beside = replace(CAMERA, origin_x_m=0.5, origin_y_m=-0.25)
    clearing = clearing_points(scene(camera=beside), 80.0, class_mask([]))
    np.testing.assert_allclose(clearing['x'], [[0.5, 1.2, 16.5, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(clearing['y'], [[-0.25, -0.25, -0.25, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(clearing['z'], [[5.0, 7.0, 80.0, np.nan]])


def test_ignored_classes_neither_mark_nor_clear():
    ignored = class_mask(['person', 'sky'])
    clearing = clearing_points(scene(), 80.0, ignored)
    np.testing.assert_array_equal(np.isfinite(clearing['z']), [[True, False, False, False]])
    assert not np.isfinite(obstacle_points(scene(), ignored)['z'][0, 1])


def test_unknown_class_name_is_an_error():
    with pytest.raises(KeyError):
        class_mask(['unicorn'])
