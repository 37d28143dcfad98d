# SPDX-License-Identifier: Apache-2.0
"""Depth error by class, by third of the picture and by the camera's height."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from training.datasets.sample import Sample
from training.scoring import breakdown, report, score
from training.scoring.fullframe import FullFrame
from training.scoring.metrics import DepthSums, depth_sums
from training.scoring.protocols import PROTOCOLS

RAW = PROTOCOLS['raw']
ROAD, CAR = CLASS_ID['road'], CLASS_ID['car']
CAMERA = Camera(9, 4, 10.0, 10.0, 4.0, 1.5)


def test_bias_has_the_sign_and_size_of_a_common_factor():
    truth = np.array([2.0, 5.0, 40.0])
    assert depth_sums(1.29 * truth, truth).bias == pytest.approx(0.29)
    assert depth_sums(truth / 2, truth).bias == pytest.approx(-0.5)
    assert math.isnan(DepthSums().bias)


def test_pixels_of_no_group_are_left_out_and_frames_add_up():
    truth = np.full(4, 10.0)
    said = np.array([10.0, 11.0, 12.0, 99.0])
    sums = breakdown.sums_by_group(said, truth, np.array([0, 1, 1, 255]), 2)
    assert [s.count for s in sums] == [1, 2]
    assert sums[1].metrics()['abs_rel'] == pytest.approx(0.15)
    assert [s.count for s in breakdown.added([sums, sums, sums])] == [3, 6]


def test_thirds_split_the_columns_evenly():
    index = np.arange(9) + 2 * 9  # one row of a picture that is nine pixels wide
    assert breakdown.third_of(index, 9).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_cameras_are_grouped_by_height_from_low_to_high_and_unknown_last():
    near, far = (depth_sums(np.array([m]), np.array([10.0])) for m in (11.0, 20.0))
    rows = breakdown.by_height([(None, far), (1.65, near), (0.3, far), (1.5, near), (9.0, far)])
    assert [(r['height'], r['frames']) for r in rows] == [
        ('0-0.6 m', 1), ('1.2-2 m', 2), ('above 2 m', 1), ('unknown', 1),
    ]  # fmt: skip
    assert rows[1]['abs_rel'] == pytest.approx(0.1)
    assert breakdown.by_height([(None, near)]) == []


def result_of(sample: Sample, frame: FullFrame, protocol=RAW):
    scores = [score.score_frame(sample, lambda *_: frame, protocol)]
    summary = score.summary(scores, protocol)
    way = {'wide': 'node', 'fit': 'crop', 'input_hw': (4, 9), 'backend': 'none', 'data': 'd'}
    return summary | way | {'model': 'm'}


def two_things(label: np.ndarray | None) -> tuple[Sample, FullFrame]:
    """Return road on the left, right; a car on the right, said to be half as far again."""
    truth = np.full((4, 9), 10, np.float32)
    said, own = truth.copy(), np.full((4, 9), ROAD, np.uint8)
    said[:, 6:], own[:, 6:] = 15, CAR
    sample = Sample(np.zeros((4, 9, 3), np.uint8), CAMERA, truth, label, 's', height_m=1.65)
    return sample, FullFrame(said, own, np.ones((4, 9), np.float32))


def test_the_error_is_told_by_class_third_and_height_and_printed():
    truth_label = np.full((4, 9), CLASS_ID['building'], np.uint8)
    result = result_of(*two_things(truth_label))
    assert list(result['by_class']) == ['building'], 'the labels of the data set come first'
    assert result['classes_from'] == 'data set'
    assert [r['bias'] for r in result['by_third'].values()] == pytest.approx([0, 0, 0.5])
    assert result['by_height'][0]['height'] == '1.2-2 m'
    text = report.markdown([result])
    for phrase in ('0.500 / +50 %', 'camera at', 'building', 'classes from data set'):
        assert phrase in text


def test_without_labels_the_networks_own_classes_tell_and_the_table_says_so():
    result = result_of(*two_things(None))
    assert result['by_class']['car']['abs_rel'] == pytest.approx(0.5)
    assert result['by_class']['road']['abs_rel'] == pytest.approx(0)
    assert 'classes from prediction' in report.markdown([result])


def test_the_median_protocol_forgives_a_common_factor_alone():
    sample, frame = two_things(None)
    twice = FullFrame(frame.depth_m * 2, frame.label_id, frame.confidence)
    metric, shape = (result_of(sample, twice, PROTOCOLS[name]) for name in ('raw', 'median'))
    assert metric['depth']['abs_rel'] == pytest.approx((2 * 1 + 1 * 2) / 3)
    assert shape['depth']['abs_rel'] == pytest.approx(0.5 / 3)
    assert shape['nearest'] == {}
