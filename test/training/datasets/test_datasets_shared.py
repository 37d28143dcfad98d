# SPDX-License-Identifier: Apache-2.0
"""The development data folder: in miniature always, for real where it lies (marker data)."""

import dataclasses

import numpy as np
import pytest
import trees

from lightdepth_ros.classes import nav7_table
from lightdepth_ros.errors import DataError
from training.datasets.catalog import default_root, open_dataset

KITTI_ROWS = (
    'id,split,image,depth,right,w,h,fx,fy,cx,cy,baseline_m,truth,drive,frame,source',
    'k1,train,train/image/k1.jpg,train/depth/k1.png,,40,20,700,700,20,10,,velodyne,d1,0,x',
    'k2,val,val/image/k2.jpg,val/depth/k2.png,,40,20,710,710,20,10,,velodyne,d2,0,x',
    'k3,stereo,val/image/k2.jpg,,val/image/k2.jpg,40,20,710,710,20,10,0.5,,d2,0,x',
)


@pytest.fixture
def root(tmp_path):
    kitti, hw = tmp_path / 'kitti', trees.KITTI_HW
    for split, name in (('train', 'k1'), ('val', 'k2')):
        trees.write_image(kitti / split / 'image' / f'{name}.jpg', trees.picture(hw))
        depth = trees.depth_png(hw, {(1, 2): 20.5})
        trees.write_image(kitti / split / 'depth' / f'{name}.png', depth)
    half = np.full((10, 20), 30 * 256, np.uint16)
    for name in ('k1', 'k2'):  # k2 must stay untaught even if somebody puts files there
        trees.write_image(kitti / 'teacher_depth' / f'{name}.png', half)
        trees.write_image(kitti / 'teacher_label' / f'{name}.png', trees.ids(hw, 13, 255))
        soft = np.full((5, 10, 3), (13, 14, 200), np.uint8)
        trees.write_image(kitti / 'teacher_soft' / f'{name}.png', soft[..., ::-1])
    (kitti / 'manifest.csv').write_text('\n'.join(KITTI_ROWS) + '\n')
    for split in ('train', 'val'):
        folder = tmp_path / 'camvid' / split
        trees.write_image(folder / 'image' / 'c.jpg', trees.picture((12, 16)))
        trees.write_image(folder / 'label' / 'c.png', trees.ids((12, 16), *range(12)))
    camvid = trees.ids((12, 16), 10, 18, 255)
    trees.write_image(tmp_path / 'camvid' / 'train' / 'label19' / 'c.png', camvid)
    idd = tmp_path / 'idd_lite' / 'train'
    trees.write_image(idd / 'image' / 'i.jpg', trees.picture((227, 320)))
    trees.write_image(idd / 'label' / 'i.png', trees.ids((227, 320), 255, 3))
    trees.write_image(idd / 'label19' / 'i.png', trees.ids((227, 320), 255, 14))
    nuscenes = tmp_path / 'nuscenes_front'
    trees.write_image(nuscenes / 'image' / 'n.jpg', trees.picture((450, 800)))
    trees.write_image(nuscenes / 'teacher_label' / 'n.png', trees.ids((450, 800), 8))
    return tmp_path


def test_kitti_train_has_lidar_teacher_depth_at_image_size_and_teacher_labels(root):
    sample = open_dataset('kitti-train', root)[0]
    assert sample.depth_m[1, 2] == 20.5
    assert sample.teacher_depth_m.shape == trees.KITTI_HW
    assert (sample.teacher_depth_m == 30).all()
    assert sample.label_id[0, 0] == 13
    assert (sample.camera.fx, sample.camera.width) == (700, 40)
    assert sample.soft_label.shape == (5, 10, 3)
    assert sample.height_m == 1.65


def test_kitti_val_and_stereo_are_never_taught(root):
    for name in ('kitti-val', 'kitti-stereo'):
        sample = open_dataset(name, root)[0]
        assert (sample.teacher_depth_m, sample.label_id, sample.soft_label) == (None,) * 3
        assert sample.height_m == 1.65
    assert sample.baseline_m == 0.5
    np.testing.assert_array_equal(sample.right_rgb, sample.rgb)


def test_camvid_classes_become_nav7_and_only_train_has_fine_labels(root):
    train, val = open_dataset('camvid-train', root)[0], open_dataset('camvid-val', root)[0]
    # sky building pole road pavement tree sign fence car pedestrian bicyclist void
    expected = [6, 5, 4, 0, 1, 5, 4, 4, 3, 2, 2, 255]
    assert val.nav7_id.ravel()[:12].tolist() == expected
    assert val.label_id is None
    assert train.label_id.ravel()[:3].tolist() == [10, 18, 255]
    assert (train.camera, train.depth_m) == (None, None)


def test_idd_is_stretched_back_to_square_pixels(root):
    sample = open_dataset('idd', root)[0]
    assert sample.rgb.shape[1] / sample.rgb.shape[0] == pytest.approx(16 / 9, rel=0.002)
    assert sample.nav7_id.shape == sample.label_id.shape == sample.rgb.shape[:2]
    assert set(np.unique(sample.label_id)) == {14, 255}
    assert set(np.unique(sample.nav7_id)) == {3, 255}


def test_nuscenes_has_the_nominal_camera(root):
    camera = open_dataset('nuscenes', root)[0].camera
    assert (camera.fx, camera.cx, camera.cy) == (633, 399.5, 224.5)


def test_missing_folder_or_partner_is_named(root, tmp_path):
    with pytest.raises(DataError, match=r'camvid-val: there is no folder .*right tree'):
        open_dataset('camvid-val', tmp_path / 'elsewhere')
    (root / 'camvid' / 'val' / 'label' / 'c.png').unlink()
    with pytest.raises(DataError, match=r'c.jpg has no partner .*label/c.png'):
        open_dataset('camvid-val', root)


@pytest.mark.data
@pytest.mark.parametrize(
    ('name', 'count', 'fields'),
    [
        ('kitti-train', 68, 'camera depth_m teacher_depth_m label_id soft_label height_m'),
        ('kitti-extra', 52, 'camera depth_m teacher_depth_m label_id soft_label height_m'),
        ('kitti-val', 18, 'camera depth_m height_m'),
        ('kitti-unlabelled', 91, 'camera teacher_depth_m label_id soft_label height_m'),
        ('kitti-road', 152, 'camera teacher_depth_m label_id soft_label height_m'),
        ('kitti-stereo', 6, 'camera right_rgb baseline_m height_m'),
        ('camvid-train', 367, 'label_id nav7_id mount'),
        ('camvid-val', 101, 'nav7_id mount'),
        ('idd-train', 1403, 'label_id nav7_id mount'),
        ('nuscenes-front', 199, 'camera label_id mount soft_label'),
    ],
)
def test_real_folder_has_the_counts_and_truths_of_its_readme(name, count, fields):
    if not default_root().is_dir():
        pytest.skip(f'no road data in {default_root()}: set LIGHTDEPTH_DATA')
    data = open_dataset(name)
    assert len(data) == count
    sample = data[count - 1]
    optional = {f.name for f in dataclasses.fields(sample)} - {'rgb', 'name', 'trust'}
    there = {field for field in optional if getattr(sample, field) is not None}
    assert there == set(fields.split())


@pytest.mark.data
@pytest.mark.parametrize(('name', 'lowest'), [('camvid-train', 0.98), ('idd-train', 1.0)])
def test_real_fine_labels_agree_with_the_true_coarse_class(name, lowest):
    """CamVid's tree may be terrain, its bicyclist a bicycle; everything else must fit."""
    if not default_root().is_dir():
        pytest.skip(f'no road data in {default_root()}: set LIGHTDEPTH_DATA')
    data = open_dataset(name)
    agree = []
    for index in range(0, len(data), len(data) // 12):
        sample = data[index]
        both = (sample.label_id != 255) & (sample.nav7_id != 255)
        agree.append(nav7_table()[sample.label_id[both]] == sample.nav7_id[both])
    assert np.concatenate(agree).mean() >= lowest
