# SPDX-License-Identifier: Apache-2.0
"""The commands that measure teachers: the table of compensation, and the check against lidar."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from stereo_pairs import LIDAR_M, WALL_PX, write_pairs

from lightdepth_ros.camera import Camera
from training import compensation_table
from training.compensation_table import held_back
from training.datasets.synthetic_lidar import LidarScenes
from training.teachers import check


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> str:
    return write_pairs(tmp_path_factory.mktemp('pairs'), 2)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip('| \n').split('|')]


def test_table_gives_the_error_of_raw_and_corrected_depth(data, tmp_path, capsys):
    out = tmp_path / 'table.md'
    arguments = ['--data', data, '--teacher', 'sgbm', '--out', str(out)]
    assert compensation_table.main(arguments) == 0
    assert capsys.readouterr().out == out.read_text()
    head, _, fourth, strips = out.read_text().splitlines()
    for line in (fourth, strips):
        row = dict(zip(cells(head), cells(line), strict=True))
        raw, bins, local = (float(row[k]) for k in ('raw', '(a) bins', '(b) local'))
        assert raw == pytest.approx(15.0 - LIDAR_M, abs=0.15)
        assert bins < 0.4 * raw
        assert local < 0.4 * raw
    assert (cells(fourth)[2], cells(strips)[2]) == ('every fourth', 'strips')


def test_held_back_points_are_a_quarter_and_strips_are_whole():
    lidar = np.zeros((40, 320), np.float32)
    lidar[::4, ::2] = 10
    fourth, strips = held_back(lidar, 'every fourth'), held_back(lidar, 'strips')
    points = np.count_nonzero(lidar)
    assert fourth.sum() == points / 4
    assert strips.sum() == points / 4
    assert np.flatnonzero(strips.any(0)).tolist() == [*range(0, 40, 2), *range(160, 200, 2)]


def test_missing_data_is_one_line_on_stderr(tmp_path, capsys):
    arguments = ['--data', f'kitti-stereo@{tmp_path}', '--teacher', 'sgbm']
    assert compensation_table.main(arguments) == 1
    assert 'error: kitti-stereo' in capsys.readouterr().err


def test_check_counts_points_within_three_pixels_and_draws(data, tmp_path, capsys):
    arguments = ['--teacher', 'sgbm', '--data', data, '--out', str(tmp_path)]
    assert check.main(arguments) == 0
    text = capsys.readouterr().out
    rows = [cells(line) for line in text.splitlines() if line.startswith('|')]
    row = dict(zip(rows[0], rows[2], strict=True))
    # 14.5 m is 10.34 px: the teacher's 10 px is within one pixel, not exact.
    assert (row['frame'], row['< 3 px'], row['< 1 px']) == ('f0', '100.0 %', '100.0 %')
    assert float(row['abs_rel']) == pytest.approx(15 / 14.5 - 1, abs=0.01)
    assert abs(1 / 15 - 1 / 14.5) * 150 < 1 < WALL_PX
    picture = cv2.imread(str(tmp_path / 'f0.png'))
    assert picture.shape == (2 * 96, 240, 3)
    green = (picture[:96] == check.RIGHT[::-1]).all(2)
    assert green.mean() > 0.1


def test_check_reports_a_wrong_teacher(data, capsys):
    assert check.main(['--teacher', 'sgbm:x', '--data', data]) == 1
    assert 'takes no file' in capsys.readouterr().err


def test_synthetic_lidar_lies_on_the_scene_and_looks_past_edges():
    scenes = LidarScenes(2, seed=7)
    hits = behind = 0
    for index in range(2):
        sample = scenes[index]
        truth = scenes.scenes[index].depth_m
        points = sample.depth_m > 0
        assert 0.01 < points.mean() < 0.3
        assert sample.right_rgb is not None
        both = points & (truth > 0)
        ratio = sample.depth_m[both] / truth[both]
        hits += int((np.abs(ratio - 1) < 0.03).sum())
        behind += int((ratio > 1.2).sum())
    assert hits > 0.85 * (hits + behind)
    assert 0 < behind < 0.1 * hits
    again = LidarScenes(2, seed=7)[1].depth_m
    np.testing.assert_array_equal(again, sample.depth_m)
    assert isinstance(sample.camera, Camera)
