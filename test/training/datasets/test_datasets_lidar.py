# SPDX-License-Identifier: Apache-2.0
"""A lidar point lands on the pixel and with the depth that pencil and paper give."""

import numpy as np
import pytest
import trees

from lightdepth_ros.errors import DataError
from training.datasets import lidar

PINHOLE = np.array([[100.0, 0, 20, 0], [0, 100, 10, 0], [0, 0, 1, 0]])


def test_of_two_returns_in_one_pixel_the_nearest_stays_whatever_their_order():
    points = np.array([[0.0, 0, 8], [0, 0, 5], [0.01, 0.01, 9]])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        depth = lidar.sparse_depth(points[order], PINHOLE, (20, 40))
        assert depth[10, 20] == 5
        assert np.count_nonzero(depth) == 1


def test_pixels_are_centred_on_whole_numbers():
    # u = 20 + 100 * x: 20.49 belongs to pixel 20, 20.51 to pixel 21; -0.49 to pixel 0.
    points = np.array([[0.0049, 0, 1], [0.0051, 0, 1], [-0.2049, 0, 1], [-0.2051, 0, 1]])
    depth = lidar.sparse_depth(points, PINHOLE, (20, 40))
    assert np.argwhere(depth).tolist() == [[10, 0], [10, 20], [10, 21]]


def test_points_behind_beside_and_not_a_number_are_dropped():
    points = np.array(
        [[0, 0, -5], [9, 0, 1], [0, -9, 1], [np.nan, 0, 4], [0, 0, np.nan], [0, 0, 0]]
    )
    assert not lidar.sparse_depth(points, PINHOLE, (20, 40)).any()


def test_cut_off_scan_is_named(tmp_path):
    path = tmp_path / 'scan.bin'
    path.write_bytes(b'0' * 24)
    with pytest.raises(DataError, match=r'scan.bin has 24 bytes'):
        lidar.read_scan(path)
    with pytest.raises(DataError, match=r'cannot read the scan .*none.bin'):
        lidar.read_scan(tmp_path / 'none.bin')


def test_scan_file_keeps_positions_and_drops_reflectance(tmp_path):
    trees.write_scan(tmp_path / 'a.bin', trees.NEAR, trees.FAR)
    expected = np.array([trees.NEAR, trees.FAR], np.float32)
    np.testing.assert_array_equal(lidar.read_scan(tmp_path / 'a.bin'), expected)
