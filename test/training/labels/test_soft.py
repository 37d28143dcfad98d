# SPDX-License-Identifier: Apache-2.0
"""Soft labels: what a teacher's chances become, how they are stored, and whom they reach."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lightdepth_ros.classes import CLASS_ID, nav7_table
from training.datasets.sample import Sample
from training.labels import files
from training.labels.labelled import Labelled
from training.labels.soft import soften

ROAD, BUS, CAR, SKY = (CLASS_ID[n] for n in ('road', 'bus', 'car', 'sky'))
HW = (16, 24)


def chances(**parts: float) -> np.ndarray:
    found = np.zeros((19, *HW), np.float32)
    for name, chance in parts.items():
        found[CLASS_ID[name]] = chance
    return found


def test_the_two_likeliest_classes_and_the_share_of_the_first_at_a_quarter():
    soft = soften(chances(road=0.2, car=0.6, sky=0.1))
    assert soft.shape == (4, 6, 3)
    assert soft.dtype == np.uint8
    assert (soft == (CAR, ROAD, round(255 * 0.75))).all()


def test_an_edge_is_torn_between_its_sides():
    torn = chances()
    torn[CAR, :, :14], torn[SKY, :, 14:] = 1, 1
    soft = soften(torn)
    assert soft[0, 2].tolist()[0] == CAR
    assert soft[0, 2, 2] == 255
    assert set(soft[0, 3, :2].tolist()) == {CAR, SKY}
    assert soft[0, 3, 2] == pytest.approx(127.5, abs=1), 'half of columns 12 to 15 is sky'


def test_coarse_truth_leaves_its_own_classes_alone_a_chance():
    coarse = np.full(HW, nav7_table()[CAR], np.uint8)
    soft = soften(chances(road=0.7, bus=0.2, car=0.1), coarse)
    assert (soft[..., :2] == (BUS, CAR)).all()
    assert (soft[..., 2] == 170).all()
    nothing = soften(chances(road=1.0), coarse)
    assert (nothing == 255).all()
    unknown = soften(chances(road=0.7, bus=0.2), np.full(HW, 255, np.uint8))
    assert (unknown[..., 0] == ROAD).all()


def test_what_is_likeliest_none_of_our_classes_says_nothing():
    assert (soften(chances(road=0.3, car=0.1)) == 255).all()
    assert (soften(chances(road=0.45, car=0.1))[..., 0] == ROAD).all()


class One:
    """A data set of one sample."""

    name = 'one'

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _index: int) -> Sample:
        return self.sample


def stored(folder, **maps: np.ndarray) -> None:
    files.prepare(folder, files.Description('one', 'fake'))
    with files.ManifestWriter(folder, 0, 1) as manifest:
        manifest.add(files.write_frame(folder, 'a', maps, {}))


def test_a_store_gives_soft_labels_back_as_opencv_reads_the_file(tmp_path):
    soft = soften(chances(road=0.2, car=0.6))
    stored(tmp_path, label_id=np.full(HW, CAR, np.uint8), soft_label=soft)
    found = files.read_frame(tmp_path, files.read_rows(tmp_path)['a'])
    np.testing.assert_array_equal(found['soft_label'], soft)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'soft' / 'a.png'), -1), soft)
    with pytest.raises(ValueError, match='soft labels come with labels of the full size'):
        files.write_frame(tmp_path, 'b', {'soft_label': soft}, {})


def test_soft_labels_reach_samples_whose_fine_labels_are_not_true(tmp_path):
    soft = soften(chances(road=0.2, car=0.6))
    label = np.full(HW, CAR, np.uint8)
    stored(tmp_path, label_id=label, soft_label=soft)
    bare = Sample(np.zeros((*HW, 3), np.uint8), None, None, None, 'a')
    for sample, expected in (
        (bare, soft),
        (replace(bare, label_id=label, nav7_id=np.zeros(HW, np.uint8)), soft),
        (replace(bare, label_id=label), None),
    ):
        found = Labelled(One(sample), tmp_path)[0].soft_label
        assert (found is None) == (expected is None)
        assert expected is None or (found == expected).all()


def test_a_store_from_before_soft_labels_is_gone_on_with(tmp_path):
    units = {k: v for k, v in files.UNITS.items() if k != 'soft'}
    files.prepare(tmp_path, files.Description('one', 'fake', units=units))
    files.prepare(tmp_path, files.Description('one', 'fake'))
    assert 'soft' not in files.describe(tmp_path).units
