# SPDX-License-Identifier: Apache-2.0
"""Robot measures on worlds whose answer is known: planes, faults, zooms and a moving camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from training import evaluate
from training.datasets.sample import Sample
from training.scoring import faults, flicker, robustness
from training.scoring.flicker import PairFlicker, View
from training.scoring.fullframe import FullFrame, Model
from training.scoring.protocols import PROTOCOLS

RAW = PROTOCOLS['raw']
CAMERA = Camera(240, 160, 200.0, 200.0, 119.5, 79.5)
ROAD, CAR, PERSON = (CLASS_ID[n] for n in ('road', 'car', 'person'))


class Listed:
    """A data set of samples given as a list."""

    def __init__(self, samples: list[Sample]) -> None:
        self.name, self.samples = 'listed', samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def answer(depth_m: np.ndarray, label: int = ROAD) -> FullFrame:
    """Return a full frame of this depth and one label."""
    depth = depth_m.astype(np.float32)
    return FullFrame(depth, np.full(depth.shape, label, np.uint8), np.ones_like(depth))


def ground_depth(camera: Camera, height_m: float) -> np.ndarray:
    """Return (H, W) float32 metres of flat ground `height_m` below a level camera; 0 above it."""
    down = camera.rays()[..., 1]
    return np.where(down > 0.01, height_m / np.maximum(down, 0.01), 0).astype(np.float32)


def texture(hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return (H, W, 3) uint8 blotches that optical flow can follow."""
    rng = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(rng.normal(0, 1, hw).astype(np.float32), (0, 0), 3)
    grey = np.clip(128 + 60 * grey / grey.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def test_flat_ground_is_flat_and_tells_the_camera_height():
    depth = ground_depth(CAMERA, 1.65)
    rms, height = robustness.ground_flatness(depth, CAMERA, np.ones(depth.shape, bool))
    assert rms < 1e-5
    assert height == pytest.approx(1.65, abs=1e-4)


def test_ground_points_off_the_plane_show_as_their_rms():
    rng = np.random.default_rng(0)
    plane = np.column_stack([rng.uniform(-5, 5, 4000), np.full(4000, 1.65),
                             rng.uniform(3, 20, 4000)])  # fmt: skip
    plane[:, 1] += rng.choice([-0.05, 0.05], 4000)
    rms, height = robustness.plane_flatness(plane)
    assert rms == pytest.approx(0.05, rel=0.01)
    assert height == pytest.approx(1.65, abs=0.01)


def test_ground_beyond_twenty_metres_and_too_little_ground_do_not_count():
    depth = ground_depth(CAMERA, 1.65)
    far_bump = np.where(depth > 20, depth + 10, depth)
    everywhere = np.ones(depth.shape, bool)
    assert robustness.ground_flatness(far_bump, CAMERA, everywhere)[0] < 1e-5
    few = np.zeros(depth.shape, bool)
    few[-1, :100] = True
    assert robustness.ground_flatness(depth, CAMERA, few) is None


def obstacle_scene() -> tuple[Sample, FullFrame]:
    """Return flat ground with a car at 10 m said to be at 10.5 m and a person at 10 m, at 12 m."""
    truth = ground_depth(CAMERA, 1.65)
    label = np.full(truth.shape, ROAD, np.uint8)
    said = truth.copy()
    for rows, kind, metres in ((slice(90, 110), CAR, 10.5), (slice(110, 115), PERSON, 12.0)):
        label[rows, :40], truth[rows, :40], said[rows, :40] = kind, 10.0, metres
    rgb = np.zeros((*truth.shape, 3), np.uint8)
    return Sample(rgb, CAMERA, truth, label, 'scene'), answer(said)


def test_obstacle_shares_follow_the_labels_of_the_data_set():
    sample, frame = obstacle_scene()
    found = robustness.ground_and_obstacles(Listed([sample]), lambda *_: frame, RAW)
    assert found['labels_from'] == 'data set'
    assert found['obstacles']['vehicle'] == {
        'pixels': 800, 'within_10_percent': 1.0, 'within_25_percent': 1.0,
    }  # fmt: skip
    assert found['obstacles']['person'] == {
        'pixels': 200, 'within_10_percent': 0.0, 'within_25_percent': 1.0,
    }  # fmt: skip
    assert found['ground']['truth']['camera_height_m'] == pytest.approx(1.65, abs=1e-3)


def test_without_labels_the_network_says_what_is_ground_and_the_result_says_so():
    sample, frame = obstacle_scene()
    bare = Sample(sample.rgb, CAMERA, sample.depth_m, None, 'scene')
    found = robustness.ground_and_obstacles(Listed([bare]), lambda *_: frame, RAW)
    assert found['labels_from'] == 'prediction'
    assert found['obstacles']['person']['pixels'] == 0
    assert math.isnan(found['obstacles']['person']['within_10_percent'])


@pytest.mark.parametrize('name', faults.FAULTS)
def test_each_fault_changes_the_picture_and_nothing_else(name: str):
    rgb = texture((64, 96))
    once, twice = (faults.FAULTS[name](rgb.copy()) for _ in range(2))
    assert once.shape == rgb.shape
    assert once.dtype == np.uint8
    np.testing.assert_array_equal(once, twice)
    assert np.abs(once.astype(int) - rgb).mean() > 2


def test_brightness_and_noise_do_what_their_numbers_say():
    grey = np.full((50, 60, 3), 200, np.uint8)
    assert (faults.brightness(0.4)(grey) == 80).all()
    assert (faults.brightness(1.6)(grey) == 255).all()
    assert faults.noise(10.0)(grey).astype(float).std() == pytest.approx(10, rel=0.05)


def test_jpeg_keeps_colours_apart():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 220
    assert np.abs(faults.jpeg(90)(red).astype(int) - red).max() < 8


def test_a_zoom_shows_the_middle_through_a_longer_lens():
    seen = {}

    def predictor(rgb: np.ndarray, camera: Camera, _far_m: float, *_: object) -> FullFrame:
        seen['rgb'], seen['camera'] = rgb, camera
        return answer(np.full(camera.size_hw, 5.0))

    rgb = texture((160, 240))
    frame = faults.zoomed(predictor, 2.0)(rgb, CAMERA, 80.0)
    np.testing.assert_array_equal(seen['rgb'], rgb[40:120, 60:180])
    assert seen['camera'] == CAMERA.cropped(60, 40, 120, 80)
    inside = np.zeros((160, 240), bool)
    inside[40:120, 60:180] = True
    np.testing.assert_array_equal(~np.isnan(frame.depth_m), inside)
    np.testing.assert_array_equal(frame.label_id == ROAD, inside)


def test_a_network_blind_to_focal_length_is_found_out():
    truth = np.full((160, 240), 10.0, np.float32)
    sample = Sample(texture((160, 240)), CAMERA, truth, None, 'wall')

    def right(_rgb: np.ndarray, camera: Camera, _far_m: float, *_: object) -> FullFrame:
        return answer(np.full(camera.size_hw, 10.0))

    def blind(rgb: np.ndarray, camera: Camera, _far_m: float, *_: object) -> FullFrame:
        return answer(np.full(camera.size_hw, 10.0 * rgb.shape[0] / 160))

    for predictor, change, kept in ((right, 0.0, 1.0), (blind, -math.log(2), 0.0)):
        others = {'2.00': faults.zoomed(predictor, 2.0)}
        found = robustness.compare_variants(Listed([sample]), predictor, others, RAW)['2.00']
        assert found['scale_change'] == pytest.approx(change, abs=1e-6)
        assert found['kept'] == kept


def test_a_fault_costs_the_share_of_delta1_that_it_costs():
    truth = np.full((160, 240), 10.0, np.float32)
    sample = Sample(np.full((160, 240, 3), 100, np.uint8), CAMERA, truth, None, 'wall')

    def fooled_by_light(rgb: np.ndarray, camera: Camera, _far_m: float, *_: object) -> FullFrame:
        depth = np.full(camera.size_hw, 10.0)
        depth[: camera.height // 4] *= rgb.max() / 100
        return answer(depth)

    others = {'bright': faults.faulty(fooled_by_light, faults.brightness(1.6))}
    found = robustness.compare_variants(Listed([sample]), fooled_by_light, others, RAW)['bright']
    assert found['kept'] == pytest.approx(0.75)
    assert found['abs_rel'] == pytest.approx(0.25 * 0.6, abs=1e-6)
    assert found['base_abs_rel'] == 0


def wall_after_moving(forward_m: float) -> tuple[View, View]:
    """Return two views of a textured wall, 10 m away at first; depth is exact in both."""
    rgb = texture((160, 240))
    grow = 10.0 / (10.0 - forward_m)
    zoom = np.array([[grow, 0, CAMERA.cx * (1 - grow)], [0, grow, CAMERA.cy * (1 - grow)]])
    nearer = cv2.warpAffine(rgb, zoom, (240, 160), borderMode=cv2.BORDER_REFLECT)
    everywhere = np.ones((160, 240), bool)
    first = View(rgb, np.full((160, 240), 10.0, np.float32), everywhere)
    return first, View(nearer, np.full((160, 240), 10.0 - forward_m, np.float32), everywhere)


def test_driving_towards_a_wall_is_not_flicker():
    first, second = wall_after_moving(0.8)
    found = flicker.pair_flicker(first, second, CAMERA)
    assert abs(found.common) < 0.01, 'without the motion it would be ln(9.2 / 10) = -0.083'
    assert found.local < 0.005


def test_a_frame_that_is_all_too_far_is_a_common_change():
    first, second = wall_after_moving(0.8)
    breathing = View(second.rgb, second.depth_m * np.float32(1.1), second.static)
    found = flicker.pair_flicker(first, breathing, CAMERA)
    assert found.common == pytest.approx(math.log(1.1), abs=0.01)
    assert found.local < 0.005


def test_depth_that_changes_from_place_to_place_is_local_flicker():
    first, second = wall_after_moving(0.0)
    blocks = np.random.default_rng(5).normal(0, 0.1, (16, 24))
    wobble = np.exp(np.kron(blocks, np.ones((10, 10)))).astype(np.float32)
    shaken = View(second.rgb, second.depth_m * wobble, second.static)
    found = flicker.pair_flicker(first, shaken, CAMERA)
    assert found.local == pytest.approx(0.674 * 0.1, rel=0.25), 'median |x| of a normal law'
    assert abs(found.common) < 0.02


def test_moving_things_and_sky_are_left_out():
    label = np.array([[CLASS_ID[n] for n in ('road', 'car', 'person', 'sky', 'building')]])
    np.testing.assert_array_equal(
        flicker.static_mask(label.astype(np.uint8)), [[True, False, False, False, True]]
    )


def test_frames_of_different_places_are_no_pair():
    first, second = wall_after_moving(0.0)
    elsewhere = View(texture((160, 240), seed=9), second.depth_m, second.static)
    assert flicker.pair_flicker(first, elsewhere, CAMERA) is None


def test_the_flicker_summary_counts_what_it_skipped():
    found = flicker.flicker_summary([PairFlicker(-0.02, 0.01, 500), None,
                                     PairFlicker(0.04, 0.03, 700)])  # fmt: skip
    assert found['pairs'] == 2
    assert found['skipped'] == 1
    assert found['common'] == pytest.approx(0.03)
    assert found['local'] == pytest.approx(0.02)
    assert flicker.flicker_summary([None]) == {'pairs': 0, 'skipped': 1}


def test_level_ground_needs_labels_and_no_calibration():
    depth = ground_depth(CAMERA, 1.65)
    known = np.isfinite(depth) & (depth > 0) & (depth < 60)
    nav7 = np.where(known, 0, 5).astype(np.uint8)
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    samples = [Sample(rgb, None, None, None, str(k), nav7_id=nav7) for k in range(3)]

    def predictor(scale: float) -> Callable[..., FullFrame]:
        def predict(_rgb: np.ndarray, _camera: Camera, _far_m: float, *_: object) -> FullFrame:
            said = np.where(known, np.where(known, depth, 1) ** scale, np.nan).astype(np.float32)
            return FullFrame(said, nav7, np.ones(depth.shape, np.float32))

        return predict

    good = robustness.ground_without_truth(Listed(samples), predictor(1), RAW)
    assert (good['frames'], good['sane']) == (3, 1)
    assert good['residual'] < 1e-3
    bad = robustness.ground_without_truth(Listed(samples), predictor(-1), RAW)
    assert bad['sane'] == 0
    nothing = [Sample(rgb, None, None, None, 'x')]
    assert robustness.ground_without_truth(Listed(nothing), predictor(1), RAW) == {'frames': 0}


def test_robot_measures_of_a_model_file_fill_their_tables(tmp_path: Path):
    camera = Camera(480, 320, 600.0, 600.0, 239.5, 159.5)
    depth = np.full((320, 480), 20.0, np.float32)
    rgb = np.full((320, 480, 3), (40, CAR, 200), np.uint8)
    sample = Sample(rgb, camera, depth, None, 'wall')
    model = Model(make_tiny_model(tmp_path))
    result = evaluate.evaluate_model(model, Listed([sample]), RAW, robot=True)
    robot = result['robot']
    assert robot['obstacles']['vehicle']['within_10_percent'] == 1
    assert robot['focal']['0.60']['scale_change'] == pytest.approx(math.log(0.6), abs=0.01)
    assert robot['focal']['2.00']['scale_change'] == pytest.approx(math.log(2), abs=0.01)
    assert robot['faults']['brightness x 0.4']['kept'] == 0
    text = evaluate.report.markdown([result])
    assert robot['shift']['right'] == pytest.approx({'depth': 0, 'label': 0}, abs=1e-6)
    for phrase in ('ground within 20 m', 'delta1 kept', 'at focal length x', 'prediction',
                   'window moved by 8 px'):  # fmt: skip
        assert phrase in text


def test_flicker_is_measured_where_frames_are_consecutive_and_have_no_truth(tmp_path: Path):
    views = wall_after_moving(0.5)
    samples = [Sample(v.rgb, CAMERA, None, None, str(k)) for k, v in enumerate(views)]
    label = np.full((160, 240), ROAD, np.uint8)
    depths = {v.rgb.tobytes(): v.depth_m for v in views}

    def predictor(rgb: np.ndarray, _camera: Camera, _far_m: float, *_: object) -> FullFrame:
        return FullFrame(depths[rgb.tobytes()], label, np.ones((160, 240), np.float32))

    found = robustness.flicker(Listed(samples), predictor, RAW)
    assert found['pairs'] == 1
    assert found['common'] < 0.01
    assert found['labels_from'] == 'prediction'


@pytest.mark.data
def test_teachers_flicker_by_a_few_percent_on_a_real_drive(data_root: Path):
    from training.datasets.catalog import open_dataset

    drive = open_dataset('kitti-unlabelled', data_root)
    pairs, previous = [], None
    for index in range(30, 36):
        sample = drive[index]
        view = View(sample.rgb, sample.teacher_depth_m, flicker.static_mask(sample.label_id))
        if previous is not None:
            pairs.append(flicker.pair_flicker(previous, view, sample.camera))
        previous = view
    found = flicker.flicker_summary(pairs)
    assert found['pairs'] == 5
    assert 0.01 < found['local'] < 0.03
    assert found['common'] < 0.02
