# SPDX-License-Identifier: Apache-2.0
"""What training.anchoring gives to the anchoring and what it holds back."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.prediction import Prediction
from training import anchoring
from training.scoring.anchors import BEAMS_DEG, LIDAR_UP_M, Choice, answer, split

CAMERA = Camera.from_fov(600, 200, 80)
GRID = CAMERA.resized(300, 100)


def wall() -> np.ndarray:
    """A scan of a wall 20 m away: every fourth row, every third column."""
    scan = np.zeros((200, 600), np.float32)
    scan[::4, ::3] = 20
    return scan


def test_what_is_held_back_was_not_told():
    rng = np.random.default_rng(0)
    points, held = split(wall(), CAMERA, GRID, Choice('points', 400), rng)
    assert len(points.depth_m) == 400
    assert len(held.depth_m) == (wall() > 0).sum() - 400
    told = set(zip(points.u.tolist(), points.v.tolist(), strict=True))
    assert not told & set(zip(held.u.tolist(), held.v.tolist(), strict=True))


def test_beams_have_their_elevation_as_seen_from_the_lidar():
    scan = np.full((200, 600), 20, np.float32)
    points, _ = split(scan, CAMERA, GRID, Choice('beams', 4), np.random.default_rng(0))
    up = -(points.v - GRID.cy) / GRID.fy * 20 - LIDAR_UP_M
    across = (points.u - GRID.cx) / GRID.fx * 20
    elevation = np.degrees(np.arctan2(up, np.hypot(across, 20)))
    off = np.abs(elevation[:, None] - np.array(BEAMS_DEG[4])).min(1)
    assert off.max() < 0.16
    assert {int(b) for b in np.rint(elevation)} == {-12, -8, -4, -1}


def test_distant_truth_is_half_a_metre_from_every_anchor():
    points, held = split(wall(), CAMERA, GRID, Choice('points', 30), np.random.default_rng(1))
    told = np.stack([(points.u - GRID.cx) / GRID.fx, (points.v - GRID.cy) / GRID.fy], 1) * 20
    at = np.stack([(held.u - GRID.cx) / GRID.fx, (held.v - GRID.cy) / GRID.fy], 1) * 20
    nearest = np.linalg.norm(at[:, None] - told, axis=2).min(1)
    np.testing.assert_array_equal(held.distant, nearest >= 0.5)


def test_a_wrong_pose_moves_points_by_its_angle():
    rng = np.random.default_rng
    true, _ = split(wall(), CAMERA, GRID, Choice('points', 200), rng(2))
    wrong, _ = split(wall(), CAMERA, GRID, Choice('points', 200, turned_deg=3.0), rng(2))
    middle = np.hypot(true.u - GRID.cx, true.v - GRID.cy) < 30
    moved = np.hypot(wrong.u - true.u, wrong.v - true.v)[middle] / GRID.fx
    assert np.degrees(np.arctan(moved)) == pytest.approx(1.5 * 2**0.5, abs=0.15)


def test_the_answer_is_read_between_pixels_and_capped():
    depth = np.full((100, 300), 10, np.float32)
    depth[:, 150:] = np.inf
    _, held = split(wall(), CAMERA, GRID, Choice('points', 10), np.random.default_rng(3))
    said, sure = answer(Prediction(depth, None, None, GRID), held)
    assert sure is None
    assert said[held.u < 148] == pytest.approx(10, rel=1e-4)
    assert said[held.u > 151] == pytest.approx(80, rel=1e-4)


def test_the_table_has_a_row_for_each_choice_and_one_without_anchors():
    numbers = {'abs_rel': 0.2, 'rmse': 5.0, 'delta1': 0.7}
    better = {'abs_rel': 0.1, 'rmse': 4.0, 'delta1': 0.9}
    row = {'choice': '4 beams', 'anchors': 12.0, 'before': numbers, 'after': better}
    text = anchoring.markdown('some', [{**row, 'distant': better, 'ms': 1.25}])
    assert '| none    | 0      | 0.200   | 5.00 | 0.700  |' in text
    assert '| 4 beams | 12     | 0.100   | 4.00 | 0.900  |' in text


def test_a_wrong_data_set_is_told(capsys):
    assert anchoring.main(['--data', 'nowhere']) == 2
    assert 'nowhere' in capsys.readouterr().err
