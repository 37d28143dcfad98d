# SPDX-License-Identifier: Apache-2.0
"""The picture of the cloud shows it from where RViz's orbit view stands, with RViz's settings."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros import point
from lightdepth_ros.perception.navigation import POSITION
from tools import rviz_view

HW = (300, 400)


def points(*rows: tuple[float, float, float], rgb: tuple[int, int, int] = (0, 255, 0)):
    made = np.zeros((1, len(rows)), point.POINT)
    for axis, values in zip('xyz', np.array(rows, np.float32).T, strict=True):
        made[axis] = values
    made['rgb'] = point.packed_rgb(np.full((1, len(rows), 3), rgb, np.uint8)).view(np.float32)
    return made


def test_the_eye_is_behind_and_above_the_camera_and_looks_at_the_focal_point():
    config = rviz_view.load()
    eye = rviz_view.orbit(config)
    x, y, z = eye.position
    assert x == pytest.approx(0, abs=0.1)
    assert y < -5  # above: y points down in an optical frame
    assert z < 0
    focal = np.array([[0.0, 0.0, 14.0]])
    [[u, v, away]] = eye.pixels(focal, HW)
    assert (u, v, away) == pytest.approx((200, 150, config['Views']['Current']['Distance']))
    np.testing.assert_allclose(eye.axes @ eye.axes.T, np.eye(3), atol=1e-12)


def test_right_is_right_up_is_up_and_far_is_above():
    eye = rviz_view.orbit(rviz_view.load())
    middle, right, high, far = eye.pixels(
        np.array([[0, 1.5, 10], [2, 1.5, 10], [0, -1, 10], [0, 1.5, 30.0]]), HW
    )
    assert right[0] > middle[0] + 10
    assert high[1] < middle[1] - 10
    assert far[1] < middle[1] - 10


def test_a_point_is_a_square_of_the_configured_size_and_the_nearer_one_wins():
    size = rviz_view.display(rviz_view.load(), 'Cloud')['Size (Pixels)']
    picture = rviz_view.picture(points((0, 0, 14)), None, HW)
    rows, columns = np.nonzero((picture == (0, 255, 0)).all(-1))
    assert len(rows) == size**2
    assert (rows.min(), columns.min()) == (150 - size // 2, 200 - size // 2)
    eye = rviz_view.orbit(rviz_view.load()).position
    behind = tuple(np.array([0, 0, 14]) + 0.5 * (np.array([0, 0, 14]) - eye))
    both = np.hstack([points((0, 0, 14)), points(behind, rgb=(255, 0, 0))])
    assert (rviz_view.picture(both, None, HW)[150, 200] == (0, 255, 0)).all()
    assert (rviz_view.picture(both[:, ::-1], None, HW)[150, 200] == (0, 255, 0)).all()


def test_points_without_a_position_or_behind_the_eye_are_not_drawn():
    empty = rviz_view.picture(points((np.nan, np.nan, np.nan)), None, HW)
    np.testing.assert_array_equal(rviz_view.picture(points((0, 0, -100)), None, HW), empty)
    assert (empty[0, 0] == rviz_view.numbers('22; 24; 29')).all()


def test_obstacles_shine_through_as_much_as_configured():
    obstacles = np.zeros((1, 1), POSITION)
    obstacles['z'] = 14
    drawn = rviz_view.picture(points((0, 0, 14)), obstacles, HW)[150, 200].astype(float)
    settings = rviz_view.display(rviz_view.load(), 'Obstacles')
    alpha = settings['Alpha']
    wanted = alpha * np.array(rviz_view.numbers(settings['Color'])) + (1 - alpha) * np.array(
        [0, 255, 0]
    )
    np.testing.assert_allclose(drawn, wanted, atol=1)


def test_a_display_that_is_not_configured_is_named():
    with pytest.raises(KeyError, match='no display'):
        rviz_view.display(rviz_view.load(), 'Sonar')
