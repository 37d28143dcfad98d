# SPDX-License-Identifier: Apache-2.0
"""The second part of the development data folder, and parts kept aside by place."""

import dataclasses

import numpy as np
import pytest
import trees

from lightdepth_ros.errors import DataError
from training.datasets.catalog import default_root, open_dataset

HW = (12, 20)
SOFT = np.zeros((3, 5, 3), np.uint8)
SOFT[...] = (13, 14, 200)
SOFT[0, 0] = 255
HEADER = 'id,split,image,depth,teacher_depth,label,right,w,h,fx,fy,cx,cy,baseline_m,place,source'


def row(name, split, place, depth='', right=''):
    baseline = '0.5' if right else ''
    camera = '20,12,100,100,9.5,5.5'
    return f'{name},{split},{name}.jpg,{depth},,l.png,{right},{camera},{baseline},{place},x'


@pytest.fixture
def root(tmp_path):
    more = tmp_path / 'more'
    rows = [
        row('k', 'kitti', '2011_09_26_drive_0095_sync'),
        row('t', 'semantics', '2011_09_26_drive_0014_sync'),
        row('s', 'stereo', '2011_09_26_drive_0039_extract', right='k.jpg'),
        row('r1', 'rigs', 'DDAD scene_01 CAMERA_01', 'd.png'),
        row('r2', 'rigs', 'PandaSet 002 front', 'd.png'),
        row('n1', 'nuscenes', 'nuScenes mini n015-2018-11-21-19-38-26+0800 (night)'),
        row('n2', 'nuscenes', 'nuScenes mini n008-2018-08-30-15-16-55-0400'),
    ]
    for number, text in enumerate(rows):
        name = text.partition(',')[0]
        trees.write_image(more / f'{name}.jpg', trees.picture(HW, number))
        if name != 'n2':
            trees.write_image(more / 'soft' / f'{name}.png', SOFT[..., ::-1])
    trees.write_image(more / 'd.png', trees.depth_png(HW, {(1, 2): 20.5}))
    trees.write_image(more / 'l.png', trees.ids(HW, 13, 255))
    (more / 'manifest.csv').write_text('\n'.join([HEADER, *rows]) + '\n')
    return tmp_path


def names(source, root):
    return [sample.name for sample in open_dataset(source, root)]


def test_parts_of_a_split_share_no_place_and_together_are_the_split(root):
    assert names('more-rigs', root) == ['r1', 'r2']
    assert names('more-rigs-train', root) == ['r1']
    assert names('more-rigs-val', root) == ['r2']
    assert names('more-nuscenes-train', root) == ['n1']
    assert names('more-nuscenes-val', root) == ['n2']


def test_soft_labels_keep_their_size_and_order_of_channels(root):
    soft = open_dataset('more-kitti', root)[0].soft_label
    assert soft.shape == (3, 5, 3)
    assert soft[0, 0].tolist() == [255, 255, 255]
    assert soft[2, 4].tolist() == [13, 14, 200]
    assert open_dataset('more-nuscenes-val', root)[0].soft_label is None


def test_true_labels_come_without_a_teachers_soft_ones(root):
    sample = open_dataset('more-semantics', root)[0]
    assert sample.label_id[0, 0] == 13
    assert sample.soft_label is None


def test_only_kittis_cameras_have_a_height_that_the_makers_gave(root):
    for source in ('more-kitti', 'more-semantics', 'more-stereo'):
        assert open_dataset(source, root)[0].height_m == 1.65
    for source in ('more-rigs', 'more-nuscenes'):
        assert open_dataset(source, root)[0].height_m is None


def test_nuscenes_has_a_mount_to_make_ground_of(root):
    mount = open_dataset('more-nuscenes', root)[0].mount
    assert (mount.horizon, mount.height_m) == (0.51, 1.51)
    assert open_dataset('more-rigs', root)[0].mount is None


def test_stereo_pairs_have_both_pictures(root):
    sample = open_dataset('more-stereo', root)[0]
    assert sample.baseline_m == 0.5
    assert sample.right_rgb.shape == sample.rgb.shape


def test_robots_frames_have_depth_and_a_height_where_the_manifest_says_one(tmp_path):
    folder = tmp_path / 'robots'
    trees.write_image(folder / 'a.jpg', trees.picture(HW))
    trees.write_image(folder / 'd.png', trees.depth_png(HW, {(1, 2): 2.5}))
    lines = ('id,image,depth,camera_height_m', 'a,a.jpg,d.png,', 'b,a.jpg,d.png,0.31')
    (folder / 'manifest.csv').write_text('\n'.join(lines) + '\n')
    first, second = open_dataset('robots', tmp_path)
    assert first.depth_m[1, 2] == 2.5
    assert (first.height_m, second.height_m) == (None, 0.31)


@pytest.mark.parametrize('source', ['more-kitti', 'robots'])
def test_missing_folder_shows_the_right_tree(source, tmp_path):
    with pytest.raises(DataError, match=rf'{source}: there is no folder .*\n.*manifest.csv'):
        open_dataset(source, tmp_path)


@pytest.fixture
def labelled(tmp_path):
    """CamVid of two sequences and IDD of three."""
    camvid = {'train': ('0001TP_1', '0006R0_1'), 'val': ('0016E5_1', '0006R0_2')}
    for split, stems in camvid.items():
        for stem in stems:
            folder = tmp_path / 'camvid' / split
            trees.write_image(folder / 'image' / f'{stem}.jpg', trees.picture(HW))
            trees.write_image(folder / 'label' / f'{stem}.png', trees.ids(HW, 3))
            if split == 'train':
                trees.write_image(folder / 'label19' / f'{stem}.png', trees.ids(HW, 0))
    for stem in ('29_1', '30_1', '39_frame2', '40_1', '110_1'):
        folder = tmp_path / 'idd_lite' / 'train'
        trees.write_image(folder / 'image' / f'{stem}.jpg', trees.picture((227, 320)))
        for kind in ('label', 'label19'):
            trees.write_image(folder / kind / f'{stem}.png', trees.ids((227, 320), 0))
    return tmp_path


def test_camvid_sequence_kept_aside_is_in_no_frame_of_the_rest(labelled):
    assert names('camvid-other-train', labelled) == ['0001TP_1']
    assert names('camvid-seq-val', labelled) == ['0006R0_1', '0006R0_2']
    aside = open_dataset('camvid-seq-val', labelled)[0]
    assert aside.label_id is None  # a teacher's guess is no truth to score against
    assert (aside.nav7_id == 0).all()


def test_idd_sequences_kept_aside_are_whole_tens(labelled):
    assert names('idd-part-val', labelled) == ['110_1', '30_1', '39_frame2']
    assert names('idd-part-train', labelled) == ['29_1', '40_1']
    assert open_dataset('idd-part-val', labelled)[0].label_id is None
    assert open_dataset('idd-part-train', labelled)[0].label_id is not None


def test_idd_file_without_a_sequence_number_is_named(labelled):
    folder = labelled / 'idd_lite' / 'train'
    trees.write_image(folder / 'image' / 'x_1.jpg', trees.picture((227, 320)))
    for kind in ('label', 'label19'):
        trees.write_image(folder / kind / 'x_1.png', trees.ids((227, 320), 0))
    with pytest.raises(DataError, match=r"x_1: 'x' is no number of a sequence"):
        open_dataset('idd-part-val', labelled)


@pytest.mark.data
@pytest.mark.parametrize(
    ('name', 'count', 'fields'),
    [
        ('camvid-other-train', 266, 'label_id nav7_id mount'),
        ('camvid-seq-val', 101, 'nav7_id mount'),
        ('idd-part-train', 1242, 'label_id nav7_id mount'),
        ('idd-part-val', 161, 'nav7_id mount'),
        ('more-kitti', 216, 'camera teacher_depth_m label_id soft_label height_m'),
        ('more-grey', 30, 'camera label_id soft_label height_m'),
        ('more-semantics', 21, 'camera teacher_depth_m label_id height_m'),
        ('more-stereo', 33, 'camera label_id soft_label height_m right_rgb baseline_m'),
        ('more-rigs', 42, 'camera depth_m label_id soft_label'),
        ('more-rigs-train', 21, 'camera depth_m label_id soft_label'),
        ('more-rigs-val', 21, 'camera depth_m label_id soft_label'),
        ('more-nuscenes', 85, 'camera label_id soft_label mount'),
        ('more-nuscenes-train', 49, 'camera label_id soft_label mount'),
        ('more-nuscenes-val', 36, 'camera label_id soft_label mount'),
        ('robots', 3, 'camera depth_m'),
    ],
)
def test_real_folder_has_the_counts_and_truths_of_its_readme(name, count, fields):
    if not default_root().is_dir():
        pytest.skip(f'no road data in {default_root()}: set LIGHTDEPTH_DATA')
    data = open_dataset(name)
    assert len(data) == count
    sample = data[0]
    optional = {f.name for f in dataclasses.fields(sample)} - {'rgb', 'name', 'trust'}
    there = {field for field in optional if getattr(sample, field) is not None}
    assert there == set(fields.split())


@pytest.mark.data
@pytest.mark.parametrize(
    ('train', 'val'),
    [
        ('more-rigs-train', 'more-rigs-val'),
        ('more-nuscenes-train', 'more-nuscenes-val'),
        ('more-rigs-train', 'more-nuscenes-val'),
        ('camvid-other-train', 'camvid-seq-val'),
        ('idd-part-train', 'idd-part-val'),
        ('more-kitti', 'kitti-val'),
    ],
)
def test_no_place_of_the_real_folder_is_both_learnt_and_scored(train, val):
    if not default_root().is_dir():
        pytest.skip(f'no road data in {default_root()}: set LIGHTDEPTH_DATA')
    learnt, scored = ({f.place for f in open_dataset(n).frames} for n in (train, val))
    assert learnt.isdisjoint(scored)
    assert all(learnt)
    assert all(scored)
