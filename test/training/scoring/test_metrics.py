# SPDX-License-Identifier: Apache-2.0
"""Metrics against numbers worked by hand and against torchmetrics; protocols on tiny images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.scoring import metrics, protocols
from training.scoring.protocols import PROTOCOLS, Protocol

TRUTH = np.array([10.0, 20.0, 40.0])
PREDICTION = np.array([11.0, 16.0, 40.0])


def test_depth_metrics_equal_the_numbers_worked_by_hand():
    found = metrics.depth_sums(PREDICTION, TRUTH).metrics()
    logs = np.array([math.log(1.1), math.log(0.8), 0.0])
    assert found['abs_rel'] == pytest.approx((0.1 + 0.2 + 0) / 3, abs=1e-12)
    assert found['sq_rel'] == pytest.approx((1 / 10 + 16 / 20 + 0) / 3, abs=1e-12)
    assert found['rmse'] == pytest.approx(math.sqrt(17 / 3), abs=1e-12)
    assert found['rmse_log'] == pytest.approx(math.sqrt((logs**2).mean()), abs=1e-12)
    assert found['silog'] == pytest.approx(100 * logs.std(), abs=1e-9)
    assert found['delta1'] == pytest.approx(2 / 3), '16 against 20 is a factor of exactly 1.25'
    assert found['delta2'] == found['delta3'] == 1


@pytest.mark.parametrize(
    ('factor', 'within'),
    [(1.2, (1, 1, 1)), (1.5, (0, 1, 1)), (1 / 1.9, (0, 0, 1)), (2.0, (0, 0, 0))],
)
def test_deltas_count_factors_of_both_directions(factor: float, within: tuple[int, ...]):
    found = metrics.depth_sums(np.array([7 * factor]), np.array([7.0])).metrics()
    assert tuple(found[f'delta{k}'] for k in (1, 2, 3)) == within


def test_a_wrong_scale_costs_nothing_in_silog_and_all_in_rmse_log():
    found = metrics.depth_sums(2 * TRUTH, TRUTH).metrics()
    assert found['silog'] == pytest.approx(0, abs=1e-6)
    assert found['rmse_log'] == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize('bad', [np.nan, np.inf, 0.0, -1.0])
def test_values_that_cannot_be_compared_are_refused_not_dropped(bad: float):
    with pytest.raises(ValueError, match='prediction holds'):
        metrics.depth_sums(np.array([bad]), np.array([1.0]))
    with pytest.raises(ValueError, match='truth holds'):
        metrics.depth_sums(np.array([1.0]), np.array([bad]))
    with pytest.raises(ValueError, match='1 predictions for 2'):
        metrics.depth_sums(np.array([1.0]), np.array([1.0, 2.0]))


def test_the_two_averages_differ_as_worked_by_hand():
    one = metrics.depth_sums(np.array([12.0]), np.array([10.0]))  # abs_rel 0.2
    three = metrics.depth_sums(np.array([10.0, 10, 10]), np.array([10.0, 10, 10]))  # 0
    empty = metrics.depth_sums(np.empty(0), np.empty(0))
    images = [one, three, empty]
    assert metrics.mean_per_image(images)['abs_rel'] == pytest.approx(0.1)
    assert metrics.mean_per_pixel(images)['abs_rel'] == pytest.approx(0.05)
    assert metrics.mean_per_image(images)['rmse'] == pytest.approx(1.0)
    assert metrics.mean_per_pixel(images)['rmse'] == pytest.approx(1.0)
    assert all(math.isnan(v) for v in metrics.mean_per_image([empty]).values())
    assert all(math.isnan(v) for v in metrics.mean_per_pixel([empty]).values())


def test_distance_bands_close_at_their_far_end_and_hold_every_pixel_once():
    truth = np.array([0.1, 5.0, 5.001, 80.0, 80.1])
    bands = metrics.sums_by_distance(truth * 1.1, truth)
    assert [b.count for b in bands] == [2, 1, 0, 0, 1]
    assert bands[0].metrics()['abs_rel'] == pytest.approx(0.1)
    assert math.isnan(bands[2].metrics()['abs_rel'])


def test_bias_is_the_mean_factor_less_one_and_not_a_number_for_no_pixel():
    found = metrics.depth_sums(TRUTH * np.array([1.1, 1.21, 1.0]), TRUTH)
    assert found.bias == pytest.approx(0.1, abs=1e-12)
    assert math.isnan(metrics.DepthSums().bias)


def test_sums_of_two_images_are_those_of_their_pixels_together():
    one, other = metrics.depth_sums(PREDICTION[:1], TRUTH[:1]), metrics.depth_sums([16.0], [20.0])
    both = metrics.depth_sums(PREDICTION[:2], TRUTH[:2])
    for name, value in vars(one + other).items():
        assert value == pytest.approx(getattr(both, name), abs=1e-12), name
    assert metrics.DepthSums() + one == one


def test_share_within_counts_the_border():
    assert metrics.share_within(np.array([1.25, 1.5]), np.ones(2), 0.25) == 0.5
    assert metrics.share_within(np.array([1.1, 1.2, 0.9]), np.ones(3), 0.1 + 1e-12) == 2 / 3
    assert math.isnan(metrics.share_within(np.empty(0), np.empty(0), 0.1))


def test_iou_equals_the_numbers_worked_by_hand():
    truth = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    said = np.array([[0, 1, 1], [1, 0, 9]], np.uint8)
    counts = metrics.confusion(said, truth, 4)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(metrics.class_iou(counts), [1 / 3, 2 / 3, 0, np.nan])
    assert metrics.mean_iou(counts) == pytest.approx(1 / 3)
    assert math.isnan(metrics.mean_iou(np.zeros((3, 3), np.int64)))


def test_ids_that_are_no_class_are_refused():
    zero, seven = np.array([0], np.uint8), np.array([7], np.uint8)
    with pytest.raises(ValueError, match='truth holds id 7'):
        metrics.confusion(zero, seven, 7)
    with pytest.raises(ValueError, match='prediction holds id 7'):
        metrics.confusion(seven, zero, 7)


def test_reliability_equals_the_numbers_worked_by_hand():
    confidence = np.array([0.05, 0.15, 0.95, 1.0])
    right = np.array([False, True, True, False])
    first = metrics.confidence_counts(confidence[:2], right[:2], 2)
    found = metrics.reliability(first + metrics.confidence_counts(confidence[2:], right[2:], 2))
    np.testing.assert_array_equal(found.count, [2, 2])
    np.testing.assert_allclose(found.said, [0.1, 0.975])
    np.testing.assert_allclose(found.found, [0.5, 0.5])
    assert found.error == pytest.approx((2 * 0.4 + 2 * 0.475) / 4)
    assert math.isnan(metrics.reliability(np.zeros((10, 3))).error)


def test_dropping_the_least_confident_drops_the_right_pixels():
    truth = np.full(5, 10.0)
    prediction = np.array([10.0, 13, 10, 10, 14])
    confidence = np.array([0.9, 0.2, 0.8, 0.7, 0.1])
    assert metrics.rmse_of_kept(prediction, truth, confidence, 0.0) == pytest.approx(5**0.5)
    assert metrics.rmse_of_kept(prediction, truth, confidence, 0.2) == pytest.approx(1.5)
    assert metrics.rmse_of_kept(prediction, truth, confidence, 0.4) == 0
    assert math.isnan(metrics.rmse_of_kept(prediction, truth, confidence, 1.0))


def test_a_confidence_that_says_nothing_gains_nothing():
    truth = np.full(20000, 10.0)
    prediction = truth + np.where(np.arange(20000) < 10000, 0.0, 5.0)  # half of the image is bad
    whole, kept = (metrics.rmse_of_kept(prediction, truth, np.zeros(20000), d) for d in (0, 0.2))
    assert kept == pytest.approx(whole, rel=0.02)


@pytest.mark.torch
def test_metrics_agree_with_torchmetrics():
    torch = pytest.importorskip('torch')
    tm = pytest.importorskip('torchmetrics')
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 80, 5000)
    prediction = truth * rng.lognormal(0, 0.2, 5000)
    found = metrics.depth_sums(prediction, truth).metrics()
    p, t = torch.from_numpy(prediction), torch.from_numpy(truth)
    rel = tm.functional.mean_absolute_percentage_error(p, t)
    assert found['abs_rel'] == pytest.approx(float(rel), rel=1e-9)
    rmse = tm.functional.mean_squared_error(p, t, squared=False)
    assert found['rmse'] == pytest.approx(float(rmse), rel=1e-9)
    rmse_log = tm.functional.mean_squared_error(p.log(), t.log(), squared=False)
    assert found['rmse_log'] == pytest.approx(float(rmse_log), rel=1e-9)


@pytest.mark.torch
def test_iou_and_calibration_agree_with_torchmetrics():
    torch = pytest.importorskip('torch')
    classification = pytest.importorskip('torchmetrics').functional.classification
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 7, (4, 30, 40)).astype(np.uint8)
    said = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 7, truth.shape))
    truth[rng.random(truth.shape) < 0.1] = 255
    iou = classification.multiclass_jaccard_index(
        torch.from_numpy(said), torch.from_numpy(truth).long(), 7, average=None, ignore_index=255
    )
    counts = metrics.confusion(said.astype(np.uint8), truth, 7)
    np.testing.assert_allclose(metrics.class_iou(counts), iou.numpy(), rtol=1e-6)
    confidence, right = rng.random(3000), rng.random(3000) < 0.5
    found = metrics.reliability(metrics.confidence_counts(confidence, right))
    error = classification.binary_calibration_error(
        torch.from_numpy(confidence), torch.from_numpy(right).long(), n_bins=10
    )
    assert found.error == pytest.approx(float(error), rel=1e-6)


def truth_with(values: dict[tuple[int, int], float], hw: tuple[int, int] = (100, 200)):
    """Return (H, W) float32 truth, 0 except at the given pixels."""
    truth = np.zeros(hw, np.float32)
    for at, metres in values.items():
        truth[at] = metres
    return truth


def test_raw_takes_zero_to_eighty_metres_of_the_whole_image():
    truth = truth_with({(0, 0): 0.5, (99, 199): 80.0, (50, 50): 80.1, (50, 51): 10})
    found = protocols.compare(np.full(truth.shape, 100, np.float32), truth, PROTOCOLS['raw'])
    np.testing.assert_allclose(found.truth_m, [0.5, 10, 80])
    np.testing.assert_array_equal(found.prediction_m, [80, 80, 80])
    assert found.asked == 3
    assert found.coverage == 1


def test_paper_takes_one_to_a_hundred_metres_with_both_ends():
    truth = truth_with({(0, 0): 0.99, (0, 1): 1.0, (0, 2): 100.0, (0, 3): 100.01})
    found = protocols.compare(truth, truth, PROTOCOLS['paper'])
    np.testing.assert_allclose(found.truth_m, [1, 100])


@pytest.mark.parametrize(('crop', 'rows', 'columns'), [
    ('none', (0, 375), (0, 1242)), ('garg', (153, 371), (44, 1197)),
    ('eigen', (124, 342), (44, 1197)),
])  # fmt: skip
def test_crops_are_the_published_rows_and_columns_of_a_kitti_frame(crop, rows, columns):
    assert protocols.crop_window(crop, (375, 1242)) == (slice(*rows), slice(*columns))


def test_infinite_depth_counts_as_the_cap_and_unknown_depth_against_coverage():
    truth = truth_with({(0, 0): 40, (0, 1): 10, (0, 2): 10, (0, 3): 10})
    prediction = np.full(truth.shape, 10, np.float32)
    prediction[0, 0], prediction[0, 1], prediction[0, 2] = np.inf, np.nan, -np.inf
    found = protocols.compare(prediction, truth, PROTOCOLS['raw'])
    np.testing.assert_allclose(found.prediction_m, [80, 1e-3, 10])
    assert found.asked == 4
    assert found.coverage == 0.75
    nothing = protocols.compare(prediction, np.zeros_like(truth), PROTOCOLS['raw'])
    assert math.isnan(nothing.coverage)


def test_median_scaling_is_off_unless_asked_for():
    assert [p.name for p in PROTOCOLS.values() if p.median_scaling] == ['median']
    truth = truth_with({(0, 0): 10, (0, 1): 20, (0, 2): 30})
    scaled = Protocol('scaled', 'for this test', median_scaling=True)
    assert protocols.compare(truth * 3, truth, scaled).sums().metrics()['abs_rel'] < 1e-6
    plain = protocols.compare(truth * 2, truth, PROTOCOLS['raw']).sums().metrics()
    assert plain['abs_rel'] == pytest.approx(1.0)


def test_accumulated_truth_is_told_from_a_single_scan_by_its_density():
    scan, dense = np.zeros((100, 100), np.float32), np.zeros((100, 100), np.float32)
    scan[::5, ::5], dense[::2, ::2] = 1, 1
    assert not protocols.is_accumulated(scan)
    assert protocols.is_accumulated(dense)
    assert PROTOCOLS['annotated'].annotated_only


def test_every_protocol_says_in_words_what_it_does():
    words = PROTOCOLS['raw'].sentence()
    assert '(0, 80] m' in words
    assert '[0.001, 80]' in words
    assert 'median scaling off' in words
    assert 'crop none' in words
    assert '[1, 100] m' in PROTOCOLS['paper'].sentence()
    assert set(PROTOCOLS) == {'raw', 'eigen', 'eigen-garg', 'annotated', 'median', 'paper'}
