# SPDX-License-Identifier: Apache-2.0
"""KITTI raw, annotated depth and object trees, one frame each, read with hand-worked geometry."""

import pickle

import numpy as np
import pytest
import trees

from lightdepth_ros.errors import DataError
from training.datasets.catalog import open_dataset
from training.datasets.kitti_raw import parse_line

DRIVE = '2011_09_26/2011_09_26_drive_0001_sync'


@pytest.fixture
def root(tmp_path):
    return trees.kitti_raw(tmp_path)


def only_value(depth_m: np.ndarray) -> tuple[int, int, float]:
    """Return (row, column, metres) of the only pixel with a value."""
    (pixel,) = np.argwhere(depth_m).tolist()
    return pixel[0], pixel[1], pytest.approx(float(depth_m[tuple(pixel)]), abs=1e-5)


def test_raw_frame_has_image_intrinsics_and_nearest_return(root):
    data = open_dataset('kitti-raw', root)
    assert [f.name for f in data.frames] == [
        '2011_09_26_drive_0001_sync_02_0000000000',
        '2011_09_26_drive_0001_sync_02_0000000001',
    ]
    sample = data[0]
    np.testing.assert_array_equal(sample.rgb, trees.picture(trees.KITTI_HW, 2))
    assert (sample.camera.fx, sample.camera.fy) == (100, 100)
    assert (sample.camera.cx, sample.camera.cy) == (20, 10)
    assert only_value(sample.depth_m) == (15, 30, 10.0)
    assert sample.right_rgb is None


def test_frame_without_scan_comes_without_depth(root):
    assert open_dataset('kitti-raw', root)[1].depth_m is None


def test_split_line_picks_the_camera_and_its_projection(root):
    trees.eigen_list(root, 'train', f'{DRIVE} 0 r', f'{DRIVE} 0000000000 l')
    right, left = open_dataset('kitti-eigen-train', root)
    np.testing.assert_array_equal(right.rgb, trees.picture(trees.KITTI_HW, 3))
    depth = right.depth_m
    assert depth[15, 25] == pytest.approx(10.0, abs=1e-5)  # u = 24.6
    assert only_value(left.depth_m) == (15, 30, 10.0)


def test_eigen_test_truth_is_the_one_of_published_numbers(root):
    trees.eigen_list(root, 'test', f'{DRIVE}/image_02/data/0000000000.png')
    sample = open_dataset('kitti-eigen-test', root)[0]
    # One pixel to the left and above, and the lidar's forward coordinate 10.27 m.
    assert only_value(sample.depth_m) == (14, 29, 10.27)


def test_stereo_adds_the_right_image_and_the_baseline(root):
    trees.eigen_list(root, 'train', f'{DRIVE} 0 l')
    sample = open_dataset('kitti-eigen-train-stereo', root)[0]
    np.testing.assert_array_equal(sample.right_rgb, trees.picture(trees.KITTI_HW, 3))
    assert sample.baseline_m == pytest.approx(0.54)


def test_images_converted_to_jpg_are_found(root):
    image = root / DRIVE / 'image_02' / 'data' / '0000000000.png'
    trees.write_image(image.with_suffix('.jpg'), trees.picture(trees.KITTI_HW))
    image.unlink()
    trees.eigen_list(root, 'val', f'{DRIVE} 0 l')
    assert open_dataset('kitti-eigen-val', root)[0].rgb.shape == (20, 40, 3)


def test_frames_can_be_sent_to_loader_processes(root):
    data = pickle.loads(pickle.dumps(open_dataset('kitti-raw', root)))
    assert only_value(data[0].depth_m) == (15, 30, 10.0)


def test_both_public_list_forms_name_the_same_frame():
    by_side = parse_line(f'{DRIVE} 69 l', '')
    assert parse_line(f'{DRIVE}/image_02/data/0000000069.png None 721.5377', '') == by_side
    assert (
        parse_line(f'{DRIVE}/image_02/data/0000000069.jpg {DRIVE}/image_03/x.jpg', '') == by_side
    )


def test_wrong_list_line_is_named_with_an_example(root):
    trees.eigen_list(root, 'val', f'{DRIVE} 0 l', 'drive_0001 7')
    with pytest.raises(DataError, match=r"line 2 reads 'drive_0001 7'.*2011_09_26"):
        open_dataset('kitti-eigen-val', root)


def test_missing_list_says_where_it_was_looked_for(root):
    with pytest.raises(DataError, match=r'no split list .*eigen_val_files.txt.*public'):
        open_dataset('kitti-eigen-val', root)


def test_missing_images_are_counted_and_the_right_tree_shown(root):
    trees.eigen_list(root, 'val', f'{DRIVE} 0 l', f'{DRIVE} 8 l', f'{DRIVE} 9 l')
    with pytest.raises(DataError) as error:
        open_dataset('kitti-eigen-val', root)
    text = str(error.value)
    assert '2 of 3 listed images are missing' in text
    assert '0000000008.png' in text
    assert '<root>/2011_09_26/2011_09_26_drive_0001_sync/image_02/data' in text


def test_missing_folder_calibration_or_key_is_named(root, tmp_path):
    with pytest.raises(DataError, match=r'no folder .*nowhere.*right tree'):
        open_dataset('kitti-raw', tmp_path / 'nowhere')
    calib = root / '2011_09_26' / 'calib_cam_to_cam.txt'
    calib.write_text('R_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 1 2 3\n')
    with pytest.raises(DataError, match=r'P_rect_02 has 3 numbers; 3x4'):
        open_dataset('kitti-raw', root)
    calib.write_text('S_00: 1 2\n')
    with pytest.raises(DataError, match=r"no entry 'R_rect_00'; it has S_00"):
        open_dataset('kitti-raw', root)
    calib.unlink()
    with pytest.raises(DataError, match=r'no calibration file .*calib_cam_to_cam.txt'):
        open_dataset('kitti-raw', root)


def test_folder_without_drives_shows_the_right_tree(tmp_path):
    with pytest.raises(DataError, match='no drive lies in'):
        open_dataset('kitti-raw', tmp_path)
