# SPDX-License-Identifier: Apache-2.0
"""What the measurement at edges calls a flying point."""

import numpy as np

from lightdepth_ros.camera import Camera
from training.edges import Count, main
from training.scoring.flying import classify

TRUTH_CAMERA = Camera(80, 60, 70.0, 70.0, 39.5, 29.5)
CAMERA = TRUTH_CAMERA.resized(40, 30)


def wall_before_a_wall() -> np.ndarray:
    truth_m = np.full(TRUTH_CAMERA.size_hw, 2.0, np.float32)
    truth_m[:, 40:] = 6.0
    return truth_m


def test_only_points_between_the_two_walls_fly_and_a_wrong_scale_is_no_fault():
    depth_m = np.full(CAMERA.size_hw, 2.0, np.float32)
    depth_m[:, 20:] = 6.0
    depth_m[:, 20] = 3.5
    depth_m[10] = np.nan
    for factor in (1.0, 1.3):
        found = classify(depth_m * np.float32(factor), CAMERA, wall_before_a_wall(), TRUTH_CAMERA)
        np.testing.assert_array_equal(np.flatnonzero(found.flying.any(axis=0)), [20])
        assert found.flying[:, 20].sum() == 29
        assert not found.finite[10].any()
        assert found.at_edge[:, 19:21].all()
        assert not found.at_edge[:, :17].any()


def test_shares_are_of_their_own_kind():
    depth_m = np.full(CAMERA.size_hw, 2.0, np.float32)
    depth_m[:, 20:] = 6.0
    depth_m[:, 20] = 3.5
    truth = classify(depth_m, CAMERA, wall_before_a_wall(), TRUTH_CAMERA)
    gone = np.zeros(CAMERA.size_hw, bool)
    gone[:15, 20] = True
    gone[:3, 5] = True
    count = Count()
    count.add(truth, gone)
    assert (count.flying, count.flying_gone) == (30, 15)
    assert (count.true, count.true_gone, count.edge_gone) == (1170, 3, 0)
    assert count.cells()[2] == '50.0 %'


def test_the_command_prints_a_row_for_each_kind_of_scene_and_step(capsys):
    assert main(['--filter', '0.12,1', '--frames', '1']) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split('|')[1].strip() for row in rows[2:]] == ['synthetic'] * 2 + [
        'synthetic-robot'
    ] * 2
