# SPDX-License-Identifier: Apache-2.0
"""Stereo geometry and the classical matcher, on pairs whose disparity is known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import ConfigError, DataError
from training.datasets.sample import Sample
from training.teachers.stereo import depth_from_disparity, occluded, require_pair
from training.teachers.teacher import TeacherOutput, open_teacher

FOCAL_PX, BASELINE_M = 400.0, 0.5


def texture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.2)


def pair(near_px: int = 24, far_px: int = 8) -> tuple[Sample, np.ndarray]:
    """A near square before a far wall; returns the sample and the true disparity."""
    height, width = 160, 320
    disparity = np.full((height, width), far_px, np.float32)
    disparity[50:110, 120:220] = near_px
    wall, square = texture(height, width + 64), texture(height, width + 64)[::-1]
    columns = np.arange(width)
    left = np.where((disparity == near_px)[..., None], square[:, :width], wall[:, :width])
    right = wall[:, columns + far_px].copy()
    right[50:110, 120 - near_px : 220 - near_px] = square[50:110, 120:220]
    camera = Camera(width, height, FOCAL_PX, FOCAL_PX, width / 2, height / 2)
    sample = Sample(left, camera, None, None, 'pair', right_rgb=right, baseline_m=BASELINE_M)
    return sample, disparity


def test_depth_is_focal_length_times_baseline_over_disparity():
    depth = depth_from_disparity(np.array([[0.0, 0.4, 0.5, 10.0]], np.float32), 200.0)
    np.testing.assert_array_equal(depth, np.array([[0, 0, 400, 20]], np.float32))


def test_sgbm_finds_both_surfaces_and_leaves_the_hidden_strip_empty():
    sample, disparity = pair()
    output = open_teacher('sgbm')(sample)
    truth = FOCAL_PX * BASELINE_M / disparity
    known = output.depth_m > 0
    inner = np.zeros_like(known)
    inner[55:105, 125:215] = True
    inner[10:40, 40:300] = True
    assert known[inner].mean() > 0.97
    error = np.abs(output.depth_m[inner & known] / truth[inner & known] - 1)
    assert np.quantile(error, 0.98) < 0.02
    hidden = np.zeros_like(known)
    hidden[60:100, 106:117] = True  # 16 px beside the square, less the matcher's window
    assert known[hidden].mean() < 0.3
    assert output.label_id is None
    assert output.confidence is None


def test_sgbm_answers_at_the_left_border_too():
    sample, _ = pair()
    depth = open_teacher('sgbm')(sample).depth_m
    assert (depth[:, 12:100] > 0).mean() > 0.9


def test_occluded_marks_the_strip_beside_a_near_object_and_the_border():
    _, disparity = pair(near_px=24, far_px=8)
    hidden = occluded(disparity)
    assert hidden[:, :8].all()
    assert hidden[60:100, 104:119].all()  # the wall left of the square, 24 - 8 px of it
    hidden[:, :8] = False
    hidden[50:110, 103:120] = False
    assert not hidden.any()


def test_occluded_spares_a_steep_surface():
    ramp = np.broadcast_to(np.linspace(90, 60, 200, dtype=np.float32), (4, 200)).copy()
    assert not occluded(ramp)[:, 90:].any()


@pytest.mark.parametrize('missing', ['right_rgb', 'baseline_m', 'camera'])
def test_a_sample_without_a_pair_is_refused_and_says_what_to_open(missing):
    sample, _ = pair()
    with pytest.raises(DataError, match=r'pair has right image.*kitti-stereo'):
        require_pair(replace(sample, **{missing: None}))


def test_a_pair_of_two_sizes_is_refused():
    sample, _ = pair()
    with pytest.raises(DataError, match='one size'):
        require_pair(replace(sample, right_rgb=sample.right_rgb[:-1]))


@pytest.mark.parametrize(
    ('name', 'options', 'words'),
    [
        ('sgbm:file', {}, 'takes no file'),
        ('sgbm', {'disparities': '100'}, 'multiple of 16'),
        ('sgbm', {'block_px': '4'}, 'must be odd'),
        ('sgbm', {'block_px': 'big'}, "block_px is 'big'"),
        ('sgbm', {'speed': '1'}, "no option 'speed'"),
        ('eyes', {}, "no teacher 'eyes'"),
    ],
)
def test_wrong_settings_say_what_is_right(name, options, words):
    with pytest.raises(ConfigError, match=words):
        open_teacher(name, options)


def test_options_are_recorded_for_the_manifest():
    teacher = open_teacher('sgbm', {'block_px': '7'})
    assert teacher.options['block_px'] == 7
    assert teacher.options['opencv'] == cv2.__version__


@pytest.mark.parametrize(
    'maps',
    [
        {'depth_m': np.zeros((2, 3), np.float64)},
        {'label_id': np.zeros((2, 3, 1), np.uint8)},
        {'depth_m': np.zeros((2, 3), np.float32), 'confidence': np.zeros((3, 2), np.uint8)},
    ],
)
def test_teacher_output_refuses_wrong_maps(maps):
    with pytest.raises(ValueError, match=r'must be|different sizes'):
        TeacherOutput(**maps)
