# SPDX-License-Identifier: Apache-2.0
"""Compensation: bins, the local correction and narrowed classes, on worked examples."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.classes import CLASS_ID, SKY, UNLABELLED, nav7_table
from lightdepth_ros.errors import DataError
from lightdepth_ros.perception.occlusion import hidden_returns
from training.labels import compensate
from training.labels.compensate import (
    Bins,
    correct_by_bins,
    estimate_bins,
    keep_lidar,
    load_bins,
    narrow_classes,
    set_sky,
)
from training.labels.local_correction import correct_locally, filled_log

FOCAL_PX = 700.0


def ground(height: int = 200, width: int = 320) -> np.ndarray:
    """Flat ground seen from 1.65 m, horizon at a quarter of the height; 0 above."""
    rows = np.arange(height) - height // 4
    depth = np.where(rows > 14, FOCAL_PX * 1.65 / np.maximum(rows, 1), 0)
    return np.repeat(depth[:, None], width, 1).astype(np.float32)


def scene() -> np.ndarray:
    """Ground, a far wall above it and a box 8 m away that stands before both."""
    depth = ground()
    depth[depth == 0] = 70
    depth[60:150, 120:200] = 8
    return depth


def scanned(depth: np.ndarray, seed: int = 0, rows: int = 5, columns: int = 3) -> np.ndarray:
    """Every fifth row and third column, as a lidar leaves it."""
    sparse = np.zeros_like(depth)
    sparse[2::rows, 1::columns] = depth[2::rows, 1::columns]
    return sparse


def test_returns_from_behind_an_object_are_hidden():
    depth = scene()
    lidar = scanned(depth)
    # The lidar sits 8 cm above: what it sees over the box lands up to 700 * 0.08 / 8 = 7 px lower.
    lidar[62:66:3, 121:199:3] = 70
    hidden = hidden_returns(lidar, FOCAL_PX)
    assert hidden[62:66:3, 121:199:3].all()
    box = (lidar == 8) & (depth == 8)
    assert not hidden[box].any()


def test_the_window_of_hidden_returns_is_as_wide_as_the_parallax():
    depth = np.zeros((100, 100), np.float32)
    depth[50, 50] = 5  # 700 * 0.1 / 5 = 14 px
    depth[50, 40] = depth[50, 70] = 30
    hidden = hidden_returns(depth, FOCAL_PX)
    assert hidden[50, 40]
    assert not hidden[50, 70]
    assert not hidden[50, 50]


def test_ground_and_walls_hide_nothing():
    lidar = scanned(ground())
    assert not hidden_returns(lidar, FOCAL_PX).any()
    wall = np.tile(np.linspace(6, 40, 320, dtype=np.float32), (50, 1))
    assert not hidden_returns(wall, FOCAL_PX).any()
    assert not hidden_returns(np.zeros((20, 30), np.float32), FOCAL_PX).any()


def test_bins_hold_the_mean_error_of_each_metre():
    teacher = np.full((20, 10), 10.5, np.float32)
    teacher[10:] = 20.5
    lidar = teacher + np.where(teacher < 15, 0.3, 1.64).astype(np.float32)
    bins = estimate_bins([(teacher, lidar), (teacher, lidar)])
    assert bins.error_m[10] == pytest.approx(-0.3, abs=1e-5)
    assert bins.error_m[20] == pytest.approx(-1.64, abs=1e-5)
    assert bins.count[10] == 200
    assert bins.error_m[15] == pytest.approx(-0.3 - 1.34 / 2, abs=1e-5)  # between two full bins
    assert bins.error_m[60] == pytest.approx(-1.64, abs=1e-5)  # beyond the last
    corrected = correct_by_bins(teacher, bins)
    np.testing.assert_allclose(corrected, lidar, atol=1e-4)


def test_bins_need_lidar():
    with pytest.raises(DataError, match='no depth bin has 30 lidar points'):
        estimate_bins([(np.ones((5, 5), np.float32), np.ones((5, 5), np.float32))])


def test_bins_leave_no_value_alone_and_never_turn_depth_over():
    bins = Bins(np.full(compensate.BINS, 3.0), np.ones(compensate.BINS, np.int64))
    corrected = correct_by_bins(np.array([[0, 2, 10]], np.float32), bins)
    np.testing.assert_allclose(corrected, [[0, 1, 7]])
    assert corrected.dtype == np.float32


def test_bins_survive_their_file(tmp_path):
    rng = np.random.default_rng(0)
    bins = Bins(rng.normal(size=compensate.BINS), np.arange(compensate.BINS))
    bins.save(tmp_path / 'bins.json')
    again = load_bins(tmp_path / 'bins.json')
    np.testing.assert_allclose(again.error_m, bins.error_m, atol=1e-4)
    np.testing.assert_array_equal(again.count, bins.count)
    assert [p.name for p in tmp_path.iterdir()] == ['bins.json']


@pytest.mark.parametrize(
    'text', ['', '{}', '{"error_m": [1], "count": [1], "bin_m": 1}', '{"error_m": "x"}']
)
def test_a_file_that_holds_no_bins_is_refused(text, tmp_path):
    (tmp_path / 'bins.json').write_text(text)
    with pytest.raises(DataError, match=r'bins\.json'):
        load_bins(tmp_path / 'bins.json')


def distorted(depth: np.ndarray) -> np.ndarray:
    """A teacher: 12 % too near on the left, 8 % too far on the right, and worse far away."""
    columns = np.linspace(-0.12, 0.08, depth.shape[1])
    return (depth * np.exp(columns[None] + 0.002 * depth)).astype(np.float32)


def test_local_correction_repairs_a_smooth_error_between_the_points():
    depth = scene()
    teacher = distorted(depth)
    corrected = correct_locally(teacher, scanned(depth), FOCAL_PX).depth_m
    raw_error = np.abs(teacher / depth - 1)
    error = np.abs(corrected / depth - 1)
    assert raw_error.mean() > 0.05
    assert error.mean() < 0.01
    assert np.quantile(error, 0.99) < 0.04


def test_local_correction_keeps_edges_where_the_teacher_has_them():
    depth = scene()
    corrected = correct_locally(distorted(depth), scanned(depth), FOCAL_PX).depth_m
    inside, outside = corrected[100, 121], corrected[62, 118]
    assert inside == pytest.approx(8, rel=0.03)
    assert outside == pytest.approx(depth[62, 118], rel=0.05)


def test_local_correction_gives_an_object_its_own_correction():
    depth = scene()
    teacher = depth.copy()
    teacher[60:150, 120:200] *= 1.15  # only the box is wrong
    corrected = correct_locally(teacher, scanned(depth), FOCAL_PX).depth_m
    box = corrected[64:146, 124:196]
    np.testing.assert_allclose(box, 8, rtol=0.02)
    np.testing.assert_allclose(corrected[100:, :110], depth[100:, :110], rtol=0.02)


def test_local_correction_is_not_fooled_by_returns_from_behind():
    depth = scene()
    lidar = scanned(depth)
    rng = np.random.default_rng(1)
    rows, columns = np.nonzero((lidar == 8) & (rng.random(lidar.shape) < 0.2))
    lidar[rows, columns] = 70
    result = correct_locally(distorted(depth), lidar, FOCAL_PX)
    np.testing.assert_allclose(result.depth_m[70:140, 125:195], 8, rtol=0.05)
    assert not result.trusted[rows, columns].any()
    assert result.trusted[(lidar == depth) & (lidar > 0)].mean() > 0.95


def test_held_back_points_gain_by_both_corrections_and_most_by_the_local_one():
    depth = scene()
    teacher = distorted(depth)
    rng = np.random.default_rng(2)
    teacher *= np.exp(rng.normal(0, 0.01, depth.shape)).astype(np.float32)
    lidar = scanned(depth)
    rows, columns = np.nonzero(lidar)
    held = np.arange(rows.size) % 4 == 0
    known = lidar.copy()
    known[rows[held], columns[held]] = 0
    bins = estimate_bins([(teacher, known)])
    truth = lidar[rows[held], columns[held]]

    def rmse(estimate: np.ndarray) -> float:
        return float(np.sqrt(np.mean((estimate[rows[held], columns[held]] - truth) ** 2)))

    raw = rmse(teacher)
    by_bins = rmse(correct_by_bins(teacher, bins))
    local = rmse(correct_locally(teacher, known, FOCAL_PX).depth_m)
    assert local < 0.5 * by_bins < 0.5 * raw


def test_too_few_lidar_points_change_nothing():
    depth = scene()
    lidar = np.zeros_like(depth)
    lidar[100:105, 30:38] = 99
    result = correct_locally(depth, lidar, FOCAL_PX)
    np.testing.assert_array_equal(result.depth_m, depth)


def test_pixels_without_teacher_depth_stay_without_but_their_lidar_is_trusted():
    depth = scene()
    teacher = distorted(depth)
    teacher[:, 250:] = 0
    lidar = scanned(depth)
    result = correct_locally(teacher, lidar, FOCAL_PX)
    assert not result.depth_m[:, 250:].any()
    kept = keep_lidar(result.depth_m, lidar, result.trusted)
    points = np.zeros_like(lidar, bool)
    points[:, 260:] = lidar[:, 260:] > 0
    np.testing.assert_array_equal(kept[points], lidar[points])


def test_one_flat_surface_is_corrected_too():
    teacher = np.full((80, 120), 10, np.float32)
    corrected = correct_locally(teacher, scanned(teacher * 1.1), FOCAL_PX).depth_m
    np.testing.assert_allclose(corrected, 11, rtol=0.01)


def test_filled_log_takes_the_nearest_value():
    depth = np.array([[0, 0, 2, 0, 0, 0, 0, 5]], np.float32)
    np.testing.assert_allclose(np.exp(filled_log(depth)), [[2, 2, 2, 2, 2, 5, 5, 5]])


def test_sky_goes_to_the_far_limit_whatever_the_teacher_says():
    depth = np.array([[0, 300, 12, 5]], np.float32)
    label = np.array([[SKY, SKY, SKY, 0]], np.uint8)
    np.testing.assert_array_equal(set_sky(depth, label), [[80, 80, 80, 5]])
    np.testing.assert_array_equal(set_sky(depth, label * 0), depth)


def test_classes_are_narrowed_to_what_the_coarse_truth_allows():
    vehicle, sky = (nav7_table()[CLASS_ID[n]] for n in ('car', 'sky'))
    chances = np.zeros((19, 1, 4), np.float32)
    chances[CLASS_ID['road'], 0, :] = 0.6
    chances[CLASS_ID['bus'], 0, :] = 0.3
    chances[CLASS_ID['car'], 0, :] = 0.1
    coarse = np.array([[vehicle, UNLABELLED, sky, nav7_table()[CLASS_ID['road']]]], np.uint8)
    label, confidence = narrow_classes(chances, coarse)
    road = CLASS_ID['road']
    np.testing.assert_array_equal(label, [[CLASS_ID['bus'], road, UNLABELLED, road]])
    np.testing.assert_array_equal(confidence, [[191, 153, 0, 255]])


def test_narrowed_labels_agree_with_the_coarse_truth_everywhere():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(19), (30, 40)).transpose(2, 0, 1)
    coarse = rng.integers(0, 7, (30, 40)).astype(np.uint8)
    label, _ = narrow_classes(chances, coarse)
    np.testing.assert_array_equal(nav7_table()[label], coarse)


def test_narrowing_refuses_maps_of_other_sizes():
    with pytest.raises(ValueError, match='do not fit'):
        narrow_classes(np.zeros((19, 2, 2)), np.zeros((2, 3), np.uint8))
