# SPDX-License-Identifier: Apache-2.0
"""The CSV manifest: every column reaches its Sample field; every mistake is named."""

import numpy as np
import pytest
import trees

from lightdepth_ros.errors import DataError
from lightdepth_ros.mount import Mount
from training.datasets.catalog import open_dataset

HW = (6, 10)


@pytest.fixture
def folder(tmp_path):
    trees.write_image(tmp_path / 'a.png', trees.picture(HW, 1))
    trees.write_image(tmp_path / 'b.jpg', trees.picture(HW, 2))
    trees.write_image(tmp_path / 'r.png', trees.picture(HW, 3))
    trees.write_image(tmp_path / 'd.png', trees.depth_png(HW, {(2, 3): 7.5}))
    half = trees.depth_png((3, 5), {(1, 1): 9.0})
    trees.write_image(tmp_path / 't.png', half)
    trees.write_image(tmp_path / 'l.png', trees.ids(HW, 18, 255, 0))
    trees.write_image(tmp_path / 'n.png', trees.ids(HW, 6, 255, 5))
    soft = np.array([[[0, 1, 128], [255, 255, 255]]], np.uint8)
    trees.write_image(tmp_path / 's.png', soft[..., ::-1])
    return tmp_path


def write(folder, *lines: str) -> None:
    (folder / 'manifest.csv').write_text('\n'.join(lines) + '\n')


FULL = (
    'id,split,image,depth,teacher_depth,label,nav7,right,w,h,fx,fy,cx,cy,baseline_m,weather,'
    'soft_label,camera_height_m,place',
    'x1,train,a.png,d.png,t.png,l.png,n.png,r.png,10,6,100,101,4.5,2.5,0.2,rain,s.png,0.8,yard',
    ',val,b.jpg,,,,,,,,,,,,,,,,',
)


def test_every_column_reaches_its_field(folder):
    write(folder, *FULL)
    sample = open_dataset('manifest', folder)[0]
    np.testing.assert_array_equal(sample.rgb, trees.picture(HW, 1))
    np.testing.assert_array_equal(sample.right_rgb, trees.picture(HW, 3))
    assert np.argwhere(sample.depth_m).tolist() == [[2, 3]]
    assert sample.depth_m[2, 3] == 7.5
    assert sample.label_id.ravel()[:3].tolist() == [18, 255, 0]
    assert sample.nav7_id.ravel()[:3].tolist() == [6, 255, 5]
    camera = sample.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (100, 101, 4.5, 2.5)
    assert (sample.name, sample.baseline_m) == ('x1', 0.2)
    assert sample.soft_label.tolist() == [[[0, 1, 128], [255, 255, 255]]]
    assert sample.height_m == 0.8
    assert open_dataset('manifest', folder).frames[0].place == 'yard'


def test_height_with_both_angles_is_a_pose_and_alone_is_not(folder):
    head = 'image,camera_height_m,camera_pitch_deg,camera_roll_deg'
    write(folder, head, 'a.png,0.4,5,-1', 'b.jpg,0.4,,')
    exact, rough = open_dataset('manifest', folder)
    assert exact.pose == Mount(0.4, 5.0, -1.0)
    assert rough.pose is None
    assert exact.height_m == rough.height_m == 0.4


def test_half_size_teacher_depth_fills_its_four_pixels_unblended(folder):
    write(folder, *FULL)
    teacher = open_dataset('manifest', folder)[0].teacher_depth_m
    expected = np.zeros(HW, np.float32)
    expected[2:4, 2:4] = 9.0
    np.testing.assert_array_equal(teacher, expected)


def test_row_with_an_image_only_is_uncalibrated_and_named_by_its_path(folder):
    write(folder, *FULL)
    sample = open_dataset('manifest', folder)[1]
    assert sample.name == 'b'
    assert (sample.camera, sample.depth_m, sample.label_id, sample.nav7_id) == (None,) * 4
    assert (sample.soft_label, sample.height_m) == (None, None)


def test_splits_and_joined_sources(folder):
    write(folder, *FULL)
    path = folder / 'manifest.csv'
    assert [s.name for s in open_dataset(f'manifest-val@{path}')] == ['b']
    joined = open_dataset(f'manifest-val@{path}+manifest@{path}')
    names = ['manifest/b', 'manifest/x1', 'manifest/b']
    assert [joined[i].name for i in range(len(joined))] == names
    assert joined[-2].name == 'manifest/x1'
    with pytest.raises(IndexError):
        joined[3]


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        (['picture', 'a.png'], r'no column "image"; its columns are \[\'picture\'\]'),
        (['image', 'nowhere.png'], r'row 1: there is no image .*nowhere.png'),
        (['image', 'a.png', 'a.png'], r"the id 'a' occurs twice"),
        (['image,fx,fy,cx,cy', 'a.png,100,,4,2'], r"fy is '', not a number"),
        (['image,fx,fy,cx,cy', 'a.png,0,0,0,0'], r'row 1: focal length fx=0'),
        (['image,split'], r'no row of split None'),
        (['image,camera_height_m', 'a.png,-1'], r'camera_height_m is -1; metres over the ground'),
        (
            ['image,camera_height_m,camera_pitch_deg,camera_roll_deg', 'a.png,1,90,0'],
            r'row 1: the camera pitch is 90.0 degrees',
        ),
        (['image,camera_height_m', 'a.png,low'], r"camera_height_m is 'low', not a number"),
    ],
)
def test_wrong_manifest_is_refused_when_opened(folder, lines, message):
    write(folder, *lines)
    with pytest.raises(DataError, match=message):
        open_dataset('manifest', folder)


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        (['image,depth', 'a.png,t.png'], r't.png has shape \(3, 5\).*10x6'),
        (['image,depth', 'a.png,l.png'], r'l.png is uint8 .*uint16'),
        (['image,depth', 'a.png,none.png'], r'cannot read the image .*none.png: No such file'),
        (['image,label', 'a.png,n.png'], None),
        (['image,nav7', 'a.png,l.png'], r'l.png holds label id 18'),
        (['image,soft_label', 'a.png,l.png'], r'l.png is uint8 .*three 8-bit channels'),
        (['image,soft_label', 'a.png,r.png'], r'r.png holds the pair of classes'),
        (['image,label', 'a.png,d.png'], r'd.png is uint16; a label PNG has 8-bit'),
        (['image,w,h', 'a.png,20,12'], r'a.png is 10x6, but .*20x12'),
    ],
)
def test_wrong_file_is_named_when_read(folder, lines, message):
    write(folder, *lines)
    data = open_dataset('manifest', folder)
    if message is None:
        assert data[0].label_id is not None
        return
    with pytest.raises(DataError, match=message):
        data[0]


@pytest.mark.parametrize('image', ['a.png', 'b.jpg'])
def test_cut_off_image_is_named_instead_of_turning_grey(folder, image):
    path = folder / image
    path.write_bytes(path.read_bytes()[:-40])
    write(folder, 'image', image)
    with pytest.raises(DataError, match=rf'{image} is cut off after \d+ bytes'):
        open_dataset('manifest', folder)[0]


def test_file_that_is_no_image_is_named(folder):
    for content in (b'', b'hello'):
        (folder / 'a.png').write_bytes(content)
        write(folder, 'image', 'a.png')
        with pytest.raises(DataError, match=r'a.png \(\d bytes\) is no image'):
            open_dataset('manifest', folder)[0]


def test_missing_manifest_lists_the_columns(tmp_path):
    with pytest.raises(DataError, match=r'no manifest .*manifest.csv.*teacher_depth'):
        open_dataset('manifest', tmp_path)


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(DataError, match=r"no data set 'kity'; there are synthetic, .*kitti-train"):
        open_dataset('kity')
