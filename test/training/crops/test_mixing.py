# SPDX-License-Identifier: Apache-2.0
"""New pictures from known frames: two views side by side, and a step to the side."""

import numpy as np
import pytest

pytest.importorskip('torch')

from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops import augment, seam, sidestep, truth
from training.crops.stream import CropStream
from training.datasets.synthetic import SyntheticScenes

pytestmark = pytest.mark.torch
BUILDING, CAR = CLASS_ID['building'], CLASS_ID['car']
HW = (32, 160)


def example(value: int, unscaled: bool = False) -> truth.Example:
    """Return an example that holds `value` everywhere."""
    return {
        'image': np.full((*HW, 3), value, np.uint8), 'depth': np.full(HW, value, np.float32),
        'weight': np.full(HW, 0.5, np.float32), 'label': np.full(HW, value, np.uint8),
        'unscaled': unscaled,
    }  # fmt: skip


def test_either_side_of_a_seam_is_one_view_with_all_its_truth():
    for seed in range(20):
        joined = seam.join(np.random.default_rng(seed), example(3), example(7))
        columns = joined['label'][0]
        cut = int((columns == 3).sum())
        assert seam.LEAST_SHARE <= cut / HW[1] <= 1 - seam.LEAST_SHARE
        assert (columns[cut:] == 7).all()
        for key in ('depth', 'label'):
            assert (joined[key] == columns).all()
        assert (joined['image'][..., 0] == columns).all()


def test_views_with_and_without_scale_are_not_joined():
    left = example(3)
    joined = seam.join(np.random.default_rng(0), left, example(7, unscaled=True))
    assert (joined['label'] == 3).all()
    assert not joined['unscaled']


def wall(depth_m: float) -> truth.Example:
    """A flat wall of random pixels, facing the camera."""
    noise = np.random.default_rng(0).integers(0, 255, (*HW, 3), dtype=np.uint8)
    return example(0) | {
        'image': noise, 'depth': np.full(HW, depth_m, np.float32),
        'label': np.full(HW, BUILDING, np.uint8),
    }  # fmt: skip


def test_a_wall_moves_by_focal_length_times_step_over_depth():
    before = wall(depth_m=30.0)
    after = sidestep.sidestep(before, step_m=0.5)
    moved = round(CANONICAL_FOCAL_PX * 0.5 / 30.0)
    assert moved == 10
    np.testing.assert_array_equal(after['image'][:, :-moved], before['image'][:, moved:])
    assert (after['depth'][:, :-moved] == 30).all()
    assert (after['weight'][:, -moved:] == 0).all()  # was beyond the picture's edge
    assert (after['label'][:, -moved:] == UNLABELLED).all()


def test_what_was_hidden_behind_a_near_thing_teaches_nothing():
    before = wall(depth_m=60.0)
    for key, value in (('depth', 15.0), ('label', CAR)):
        before[key][:, 60:100] = value
    after = sidestep.sidestep(before, step_m=0.5)  # the wall moves by 5 columns, the car by 20
    car = after['label'][16] == CAR
    np.testing.assert_array_equal(np.flatnonzero(car), np.arange(40, 80))
    assert (after['depth'][16][car] == 15).all()
    hole = np.s_[:, 80:95]
    assert (after['weight'][hole] == 0).all()
    assert (after['label'][hole] == UNLABELLED).all()
    beside = before['image'][:, 101:116][:, ::-1]  # the wall beyond it, mirrored
    np.testing.assert_array_equal(after['image'][hole], beside)


def test_a_step_to_the_left_is_a_step_to_the_right_in_the_mirror():
    before = wall(depth_m=60.0)
    before['depth'][:, 60:100] = 15.0

    def mirrored(example: truth.Example) -> truth.Example:
        return {k: v[:, ::-1] if isinstance(v, np.ndarray) else v for k, v in example.items()}

    after = sidestep.sidestep(before, step_m=0.5)
    other = mirrored(sidestep.sidestep(mirrored(before), step_m=-0.5))
    for key in ('image', 'depth', 'weight', 'label'):
        np.testing.assert_array_equal(other[key], after[key])


@pytest.mark.parametrize('change', [{'unscaled': True}, {'weight': np.zeros(HW, np.float32)}])
def test_without_scale_or_depth_there_is_no_step(change):
    before = wall(30.0) | change
    assert sidestep.sidestep(before, 0.5) is before


def test_a_step_by_the_baseline_shows_what_the_right_camera_sees():
    """The renderer's second camera is the judge."""
    sample = SyntheticScenes(1, stereo=True)[0]
    assert sample.right_rgb is not None
    assert sample.camera is not None
    hw, focal = sample.rgb.shape[:2], sample.camera.fx
    view = augment.View(np.array([[1.0, 0, 0], [0, 1.0, 0]]), hw, focal)
    config = TrainConfig(sources='a:1')
    left = truth.crop(sample, view, config)
    right = sidestep.sidestep(left, sample.baseline_m)

    def error(picture: np.ndarray) -> float:
        surface = right['weight'] == 1
        return float(np.median(np.abs(picture.astype(float) - sample.right_rgb)[surface]))

    assert error(right['image']) < 0.5 * error(left['image'])


def test_the_stream_makes_both_and_stays_reproducible():
    sources = {'synthetic': [SyntheticScenes(3)[k] for k in range(3)]}
    base = {'sources': 'synthetic:1', 'crops': '192x320', 'paste': 0, 'restyle': 0}
    plain = CropStream(sources, TrainConfig(**base, seam=0, sidestep_m=0))
    mixed = CropStream(sources, TrainConfig(**base, seam=1, sidestep_m=1.0))
    for key in ('image', 'depth', 'weight', 'label'):
        np.testing.assert_array_equal(mixed[4][key], mixed[4][key])
        assert mixed[4][key].shape == plain[4][key].shape
    assert (mixed[4]['image'] != plain[4]['image']).any()
