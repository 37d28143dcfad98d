# SPDX-License-Identifier: Apache-2.0
"""The contact sheet shows what the samples hold, and the numbers beside it are right."""

import cv2
import numpy as np
import pytest
import trees

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASSES, palette
from lightdepth_ros.draw import PAPER, color_depth
from training import inspect
from training.crops import contact_sheet
from training.datasets.sample import Sample

HW = (60, 120)


def sample(**fields) -> Sample:
    """Return a grey, calibrated sample with the given fields."""
    camera = Camera(HW[1], HW[0], 60, 60, 59.5, 29.5)
    rgb = np.full((*HW, 3), 90, np.uint8)
    values = {'rgb': rgb, 'camera': camera, 'depth_m': None, 'label_id': None, 'name': 's'}
    return Sample(**(values | fields))


def test_sensor_points_keep_place_and_colour_and_the_near_one_wins():
    depth = np.zeros(HW, np.float32)
    depth[30, 60], depth[30, 61], depth[10, 10] = 5, 40, 20
    cell = contact_sheet.sensor_cell(sample(depth_m=depth), 120)
    expected = color_depth(np.array([[5, 20]], np.float32))[0]
    np.testing.assert_array_equal(cell[30, 60], expected[0])
    np.testing.assert_array_equal(cell[10, 10], expected[1])
    np.testing.assert_array_equal(cell[50, 100], (30, 30, 30))
    np.testing.assert_array_equal(cell[0, 0], (30, 30, 30))


def test_points_of_a_shrunk_picture_are_not_lost():
    depth = np.zeros((600, 1200), np.float32)
    depth[301, 601] = 5
    wide = sample(rgb=np.zeros((600, 1200, 3), np.uint8), depth_m=depth)
    cell = contact_sheet.sensor_cell(wide, 120)
    np.testing.assert_array_equal(cell[30, 60], color_depth(np.float32([[5]]))[0, 0])


def test_coarse_ids_are_drawn_in_the_colour_of_a_class_of_that_group():
    ids = contact_sheet.nav7_as_class(np.arange(7, dtype=np.uint8))
    assert [CLASSES[i].nav7 for i in ids] == list(range(7))
    assert contact_sheet.nav7_as_class(np.uint8([255])) == [255]


def test_sheet_has_a_column_for_each_field_that_some_sample_has():
    teacher = np.full(HW, 8, np.float32)
    samples = [sample(), sample(teacher_depth_m=teacher, label_id=np.full(HW, 13, np.uint8))]
    picture = contact_sheet.sheet(samples, 120)
    column, caption = 120 + contact_sheet.GAP_PX, contact_sheet.CAPTION_PX
    assert picture.shape[1] == 3 * column
    first, second = 2 * caption + 30 + contact_sheet.GAP_PX, 4 * caption + 60 + 30
    np.testing.assert_array_equal(picture[2 * caption + 30, 60], (90, 90, 90))
    np.testing.assert_array_equal(picture[first, column + 60], PAPER)  # no teacher depth
    expected = color_depth(np.float32([[8]]))[0, 0]
    np.testing.assert_array_equal(picture[second, column + 60], expected)
    blend = 0.45 * np.array([90, 90, 90]) + 0.55 * palette()[13]
    np.testing.assert_allclose(picture[second, 2 * column + 60], blend, atol=1)


def test_summary_counts_pixels_and_classes():
    depth = np.zeros(HW, np.float32)
    depth[0, :72] = 10.0  # 72 of 7200 pixels
    label = trees.ids(HW, *[255] * 1800, 0)
    text = inspect.summary([sample(depth_m=depth, label_id=label)])
    assert 'image size     120x60' in text
    assert 'field of view  90.0 degrees' in text
    assert 'on 1 samples, 1.0% of their pixels; 1 % / median / 99 %: 10.0 / 10.0 / 10.0 m' in text
    assert 'teacher depth  none' in text
    assert 'labels         on 1 samples: road 75.0%; unlabelled 25.0%' in text


def test_summary_says_when_depth_is_empty_or_calibration_missing():
    text = inspect.summary([sample(camera=None, depth_m=np.zeros(HW, np.float32))])
    assert 'field of view  not calibrated' in text
    assert 'sensor depth   on 1 samples, but without a single value' in text


def test_samples_are_spread_over_the_data_set_or_consecutive():
    assert inspect.chosen(101, 5, None) == [0, 25, 50, 75, 100]
    assert inspect.chosen(3, 8, None) == [0, 1, 2]
    assert inspect.chosen(10, 4, 7) == [7, 8, 9]


@pytest.fixture
def folder(tmp_path):
    for name in ('a', 'b'):
        trees.write_image(tmp_path / f'{name}.png', trees.picture(HW))
    (tmp_path / 'manifest.csv').write_text('image\na.png\nb.png\n')
    return tmp_path


def test_command_writes_the_sheet_and_prints_the_numbers(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert inspect.main([f'manifest@{folder}', '--count', '2', '--width', '200']) == 0
    text = capsys.readouterr().out
    assert '2 samples; of the 2 drawn' in text
    out = folder / 'out' / 'inspect' / f'manifest-{folder.name}.png'
    assert f'wrote {out.relative_to(folder)}' in text
    assert cv2.imread(str(out)).shape[1] == 200 + contact_sheet.GAP_PX


def test_crops_are_drawn_as_training_makes_them(folder, capsys, monkeypatch):
    pytest.importorskip('torch')
    monkeypatch.chdir(folder)
    assert inspect.main([f'manifest@{folder}', '--crops', '--count', '3', '--width', '200']) == 0
    assert 'of the 3 drawn' in capsys.readouterr().out
    assert (folder / 'out' / 'inspect' / f'crops_manifest-{folder.name}.png').is_file()


def test_a_crop_keeps_its_truth_and_shows_no_depth_where_it_has_none():
    depth, weight = np.full((64, 96), 8, np.float32), np.zeros((64, 96), np.float32)
    weight[10:20] = 0.3
    label = np.full((64, 96), 13, np.uint8)
    example = {'image': np.zeros((64, 96, 3), np.uint8), 'depth': depth, 'weight': weight,
               'label': label}  # fmt: skip
    shown = inspect.crop_sample(example, 'crop 0')
    assert (shown.teacher_depth_m[10:20] == 8).all()
    assert shown.teacher_depth_m.sum() == 8 * 10 * 96
    assert (shown.label_id == 13).all()


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['nonsense'], 'no data set'),
        (['manifest', '--root', '/nowhere'], 'no manifest /nowhere'),
        (['manifest', '--count', '0'], '--count is 0'),
        (['manifest', '--start', '2'], '--start is 2; the data set has samples 0 to 1'),
    ],
)
def test_mistakes_end_with_a_message_and_status_1(folder, capsys, flags, message):
    root = [] if '--root' in flags else ['--root', str(folder)]
    assert inspect.main([*flags, *root]) == 1
    assert message in capsys.readouterr().err


def test_help_lists_the_data_sets(capsys):
    with pytest.raises(SystemExit):
        inspect.main(['--help'])
    text = capsys.readouterr().out
    assert 'kitti-eigen-test-annotated' in text
    assert 'Look for depth that does not' in text
