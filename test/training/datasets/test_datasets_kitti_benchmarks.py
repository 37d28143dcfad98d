# SPDX-License-Identifier: Apache-2.0
"""KITTI's annotated depth and object benchmark in miniature."""

import numpy as np
import pytest
import trees

from lightdepth_ros.errors import DataError
from training.datasets.catalog import open_dataset

DRIVE = '2011_09_26_drive_0001_sync'
FRAME = '2011_09_26/2011_09_26_drive_0001_sync'


def write_truth(root, split: str, camera: int, index: int, metres: float) -> None:
    """Write one annotated depth map with a single value at (4, 7)."""
    folder = root / split / DRIVE / 'proj_depth' / 'groundtruth' / f'image_0{camera}'
    truth = trees.depth_png(trees.KITTI_HW, {(4, 7): metres})
    trees.write_image(folder / f'{index:010d}.png', truth)


@pytest.fixture(params=['.', 'raw'], ids=['dates-in-root', 'dates-in-raw'])
def root(request, tmp_path):
    trees.kitti_raw(tmp_path / request.param)
    write_truth(tmp_path, 'train', 2, 0, 33.5)
    write_truth(tmp_path, 'train', 3, 1, 7.25)
    write_truth(tmp_path, 'val', 2, 1, 12.0)
    return tmp_path


def test_annotated_depth_is_paired_with_the_raw_image_of_its_camera(root):
    left, right = open_dataset('kitti-depth-train', root)
    np.testing.assert_array_equal(left.rgb, trees.picture(trees.KITTI_HW, 2))
    np.testing.assert_array_equal(right.rgb, trees.picture(trees.KITTI_HW, 13))
    assert left.depth_m[4, 7] == 33.5
    assert right.depth_m[4, 7] == 7.25
    assert np.count_nonzero(right.depth_m) == 1
    assert left.camera.fx == 100
    assert open_dataset('kitti-depth-val', root)[0].depth_m[4, 7] == 12.0


def test_eigen_list_keeps_the_frames_that_are_annotated(root):
    place = root if (root / '2011_09_26').is_dir() else root / 'raw'
    trees.eigen_list(place, 'test', f'{FRAME} 0 l', f'{FRAME} 0 r', f'{FRAME} 1 l')
    data = open_dataset('kitti-eigen-test-annotated', root)
    assert [s.depth_m[4, 7] for s in data] == [33.5, 12.0]


def test_depth_without_raw_images_says_what_is_missing(tmp_path):
    write_truth(tmp_path, 'val', 2, 1, 12.0)
    with pytest.raises(DataError, match=r'1 of 1 listed images are missing.*raw/2011_09_26'):
        open_dataset('kitti-depth-val', tmp_path)
    with pytest.raises(DataError, match=r'no folder .*train'):
        open_dataset('kitti-depth-train', tmp_path)


def test_selection_brings_its_own_image_and_intrinsics(tmp_path):
    folder = tmp_path / 'depth_selection' / 'val_selection_cropped'
    name = '2011_09_26_drive_0002_sync_{}_0000000005_image_02'
    hw = (12, 30)
    trees.write_image(folder / 'image' / f'{name.format("image")}.png', trees.picture(hw))
    truth = trees.depth_png(hw, {(1, 2): 80.5})
    trees.write_image(
        folder / 'groundtruth_depth' / f'{name.format("groundtruth_depth")}.png', truth
    )
    k = folder / 'intrinsics' / f'{name.format("image")}.txt'
    k.parent.mkdir()
    k.write_text('721.5 0 15.5 0 722.5 6.25 0 0 1\n')
    sample = open_dataset('kitti-depth-selection', tmp_path)[0]
    camera = sample.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (721.5, 722.5, 15.5, 6.25)
    assert sample.depth_m[1, 2] == 80.5
    k.write_text('721.5 0 15.5')
    with pytest.raises(DataError, match='holds 3 numbers; K has nine'):
        open_dataset('kitti-depth-selection', tmp_path)


@pytest.fixture
def object_root(tmp_path):
    folder = tmp_path / 'training'
    trees.write_image(folder / 'image_2' / '000007.png', trees.picture(trees.KITTI_HW, 1))
    trees.write_image(folder / 'image_3' / '000007.png', trees.picture(trees.KITTI_HW, 2))
    trees.write_scan(folder / 'velodyne' / '000007.bin', trees.NEAR, trees.BEHIND)
    (folder / 'calib').mkdir()
    (folder / 'calib' / '000007.txt').write_text(trees.OBJECT_CALIB)
    return tmp_path


def test_object_frame_projects_its_scan_with_its_own_calibration(object_root):
    sample = open_dataset('kitti-object-train', object_root)[0]
    # P2 moves the camera 0.5 m back: depth 10.5 m, u = (94 + 20 * 10 + 6) / 10.5 = 28.57 -> 29,
    # v = (50 + 10 * 10) / 10.5 = 14.29 -> 14.
    assert np.argwhere(sample.depth_m).tolist() == [[14, 29]]
    assert sample.depth_m[14, 29] == pytest.approx(10.5, abs=1e-5)
    assert sample.camera.cx == 20
    pair = open_dataset('kitti-object-train-stereo', object_root)[0]
    assert pair.baseline_m == pytest.approx(0.54)
    np.testing.assert_array_equal(pair.right_rgb, trees.picture(trees.KITTI_HW, 2))


def test_object_images_without_the_velodyne_package_have_no_depth(object_root):
    folder = object_root / 'training' / 'velodyne'
    (folder / '000007.bin').unlink()
    with pytest.raises(DataError, match=r'cannot read the scan .*000007.bin'):
        open_dataset('kitti-object-train', object_root)[0]
    folder.rmdir()
    assert open_dataset('kitti-object-train', object_root)[0].depth_m is None


def test_object_frame_without_calibration_is_named(object_root):
    (object_root / 'training' / 'calib' / '000007.txt').unlink()
    with pytest.raises(DataError, match=r'no calibration file .*calib/000007.txt'):
        open_dataset('kitti-object-train', object_root)
