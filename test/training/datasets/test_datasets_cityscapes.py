# SPDX-License-Identifier: Apache-2.0
"""A Cityscapes tree in miniature: ids, disparity and camera become labels and metres."""

import shutil

import numpy as np
import pytest
import trees

from lightdepth_ros.errors import DataError
from training.datasets.catalog import open_dataset


@pytest.fixture
def root(tmp_path):
    return trees.cityscapes(tmp_path)


def test_disparity_becomes_metres_and_zero_disparity_no_value(root):
    sample = open_dataset('cityscapes-train', root)[0]
    assert sample.depth_m[3, 5] == pytest.approx(2262.5 * 0.2 / 45.25, rel=1e-6)  # 10 m
    assert np.count_nonzero(sample.depth_m) == 1
    camera = sample.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (2262.5, 2265.0, 8.0, 4.0)


def test_label_ids_become_train_ids(root):
    label = open_dataset('cityscapes-train', root)[0].label_id
    # road, car, person, ego vehicle, licence plate, sky
    assert label.ravel()[:6].tolist() == [0, 13, 11, 255, 255, 10]


def test_stereo_adds_the_right_image(root):
    sample = open_dataset('cityscapes-train-stereo', root)[0]
    np.testing.assert_array_equal(sample.right_rgb, trees.picture((8, 16), 2))
    assert sample.baseline_m == 0.2
    assert open_dataset('cityscapes-train', root)[0].right_rgb is None


def test_packages_that_were_not_downloaded_are_left_out(root):
    for package in ('gtFine', 'disparity', 'camera'):
        shutil.rmtree(root / package)
    sample = open_dataset('cityscapes-train', root)[0]
    assert (sample.camera, sample.depth_m, sample.label_id) == (None, None, None)


def test_disparity_without_camera_names_the_package(root):
    shutil.rmtree(root / 'camera')
    with pytest.raises(DataError, match='camera_trainvaltest'):
        open_dataset('cityscapes-train', root)


def test_broken_camera_and_unknown_id_are_named(root):
    label = next(root.glob('gtFine/train/*/*.png'))
    trees.write_image(label, trees.ids((8, 16), 40))
    with pytest.raises(DataError, match=r'gtFine_labelIds.png holds label id 40'):
        open_dataset('cityscapes-train', root)[0]
    next(root.glob('camera/train/*/*.json')).write_text('{"intrinsic": {}}')
    with pytest.raises(DataError, match='is no Cityscapes camera'):
        open_dataset('cityscapes-train', root)


def test_wrong_root_shows_the_right_tree(tmp_path):
    with pytest.raises(DataError, match=r'no folder .*leftImg8bit/train(.|\n)*<root>/gtFine'):
        open_dataset('cityscapes-train', tmp_path)
