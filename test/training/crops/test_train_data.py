# SPDX-License-Identifier: Apache-2.0
"""Crops keep geometry honest: square pixels, the focal length goes along, truth in place."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from lightdepth_ros.camera import Camera  # noqa: E402
from lightdepth_ros.classes import CLASS_ID, UNLABELLED  # noqa: E402
from training.config import CANONICAL_FOCAL_PX, TrainConfig  # noqa: E402
from training.crops import augment, truth  # noqa: E402
from training.crops.stream import CropStream, StreamSampler  # noqa: E402
from training.datasets.sample import Sample  # noqa: E402

pytestmark = pytest.mark.torch


def flat_sample(height: int = 120, width: int = 200, focal_px: float = 150.0) -> Sample:
    """A sample whose red and green channels hold the pixel's own coordinates; depth 10 m."""
    v, u = np.mgrid[:height, :width]
    rgb = np.dstack([u, v, np.zeros_like(u)]).astype(np.uint8)
    camera = Camera(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)
    depth = np.full((height, width), 10, np.float32)
    label = np.where(v < 40, 10, 0).astype(np.uint8)
    return Sample(rgb, camera, depth, label, 'flat')


def config(**changes: object) -> TrainConfig:
    plain = {'photometric': 0, 'paste': 0, 'restyle': 0, 'vertical_jitter': 1}
    plain |= {'sources': 'a:1', 'crops': '64x96'}
    return TrainConfig(**(plain | changes))


def test_view_keeps_pixels_square_and_carries_the_focal_length():
    rng = np.random.default_rng(3)
    sample = flat_sample()
    for _ in range(50):
        view = augment.draw_view(rng, sample, (64, 96), (100, 250), rotation_deg=5)
        linear = view.matrix[:, :2]
        square = np.eye(2) * abs(np.linalg.det(linear))
        np.testing.assert_allclose(linear @ linear.T, square, atol=1e-12)
        assert view.focal_px == pytest.approx(150 * np.sqrt(abs(np.linalg.det(linear))))
        assert 100 <= view.focal_px <= 250 + 1e-6


def test_view_fills_most_of_the_crops_height():
    rng = np.random.default_rng(3)
    for _ in range(50):
        view = augment.draw_view(rng, flat_sample(), (96, 96), (20, 200), rotation_deg=0)
        assert view.focal_px / 150 * 120 >= 0.85 * 96 - 1e-6


def test_without_vertical_jitter_the_middle_row_stays_in_the_middle():
    rng = np.random.default_rng(3)
    for jitter, most in ((0.0, 1e-9), (0.2, 0.2), (1.0, 1.0)):
        off = []
        for _ in range(60):
            view = augment.draw_view(rng, flat_sample(), (64, 96), (150, 250), 0, jitter)
            room = view.focal_px / 150 * 120 / 2 - 32
            off.append(abs((view.matrix @ [100, 60, 1])[1] - 32) / room)
        assert max(off) <= most
        assert max(off) >= 0.7 * most - 1e-9


def test_crop_holds_the_whole_image_when_it_is_larger():
    rng = np.random.default_rng(0)
    view = augment.draw_view(rng, flat_sample(), (128, 416), (150, 150), rotation_deg=0)
    corners = view.matrix @ np.array([[0, 199, 0, 199], [0, 0, 119, 119], [1, 1, 1, 1]])
    assert corners.min() >= -1
    assert (corners <= np.array([[416], [128]])).all()


def test_warped_teacher_at_half_size_lands_on_the_same_pixels():
    sample = flat_sample()
    view = augment.View(np.array([[1.0, 0, -40], [0, 1.0, -20]]), (64, 96), 150.0)
    full = augment.warp(sample.rgb[..., 0], view, (120, 200), nearest=True)
    half = augment.warp(sample.rgb[::2, ::2, 0].copy(), view, (120, 200), nearest=True)
    np.testing.assert_array_equal(full[0], np.arange(40, 136))
    assert np.abs(half.astype(int) - full).max() <= 1


def test_same_scene_through_two_focal_lengths_gets_one_canonical_depth_per_pixel():
    """A scene enlarged by 1.5 must be learnt as 1.5 times nearer in canonical metres."""
    for focal in (100.0, 150.0):
        target = truth.canonical(np.array([[12.0]], np.float32), focal)
        assert target[0, 0] == pytest.approx(12.0 * CANONICAL_FOCAL_PX / focal)
        assert target[0, 0] * focal / CANONICAL_FOCAL_PX == pytest.approx(12.0)


def test_crop_truth_sky_is_far_sensor_beats_teacher_and_outside_is_unlabelled():
    sample = flat_sample()
    sensor = np.zeros((120, 200), np.float32)
    sensor[60, :] = 5
    teacher = np.full((120, 200), 20, np.float32)
    sample = Sample(sample.rgb, sample.camera, sensor, sample.label_id, 's', teacher)
    view = augment.View(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (128, 224), 150.0)
    example = truth.crop(sample, view, config())
    scale = CANONICAL_FOCAL_PX / 150
    assert example['depth'][60, 10] == pytest.approx(5 * scale)
    assert example['depth'][80, 10] == pytest.approx(20 * scale)
    assert example['depth'][10, 10] == truth.SKY_CANONICAL_M
    assert example['weight'][60, 10] == 1
    assert example['weight'][80, 10] == config().teacher_weight
    assert example['weight'][10, 10] == pytest.approx(config().sky_weight)
    assert example['label'][125, 10] == 255
    assert example['weight'][125, 10] == 0
    assert example['label'][10, 10] == 10


def test_labels_alone_teach_nothing_about_depth():
    """Sky alone would: that pictures of a camera without depth truth are far all over."""
    sample = flat_sample()
    sample = Sample(sample.rgb, None, None, sample.label_id, 's')
    view = augment.View(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (96, 192), 0.0)
    example = truth.crop(sample, view, config())
    assert not example['unscaled']
    assert (example['weight'] == 0).all()
    assert (example['label'][:40] == 10).all()


def test_a_sample_that_is_trusted_less_weighs_less():
    sample = flat_sample()
    view = augment.View(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (96, 192), 150.0)
    half = truth.crop(replace(sample, trust=0.5), view, config())['weight']
    np.testing.assert_allclose(half, truth.crop(sample, view, config())['weight'] / 2)


def test_restyled_picture_has_the_colours_of_the_other_and_its_own_shapes():
    rng = np.random.default_rng(1)
    own = np.clip(rng.normal(90, 20, (64, 96, 1)) + np.array([0, 10, 20]), 0, 255).astype(np.uint8)
    other = np.clip(rng.normal(160, 30, (64, 96, 3)) - np.array([0, 0, 60]), 0, 255).astype(
        np.uint8
    )
    style = augment.style_of(other)
    seen = [augment.restyle(rng, own, style) for _ in range(20)]
    before, after = augment.style_of(own), np.stack([augment.style_of(s) for s in seen])
    share = (after[:, 0] - before[0]) / (style[0] - before[0])
    assert ((share > 0.3) & (share < 1.2)).all()
    assert share.std() > 0.05
    grey = [np.corrcoef(s.mean(-1).ravel(), own.mean(-1).ravel())[0, 1] for s in seen]
    assert min(grey) > 0.95


@pytest.mark.parametrize(('use', 'known_rows'), [('sparse', 1), ('teacher', 80)])
def test_depth_truth_choice_uses_only_that_truth(use, known_rows):
    sample = flat_sample()
    sensor = np.zeros((120, 200), np.float32)
    sensor[60, :] = 5
    teacher = np.full((120, 200), 20, np.float32)
    depth, weight = truth.depth_target(sensor, teacher, sample.label_id, config(depth_truth=use))
    rows = ((depth > 0) & (weight > 0)).any(1).sum()
    assert rows == (1 if use == 'sparse' else 120 - 40)
    assert rows == known_rows


def lidar_sample(teacher: np.ndarray, lidar: np.ndarray) -> Sample:
    sample = flat_sample()
    return Sample(sample.rgb, sample.camera, lidar, sample.label_id, 's', teacher)


def sparse_ground() -> tuple[np.ndarray, np.ndarray]:
    """Return dense ground depth from 8 to 20 m and every fifth row and third column of it."""
    ground = np.repeat(np.linspace(20, 8, 120, dtype=np.float32)[:, None], 200, 1)
    lidar = np.zeros_like(ground)
    lidar[60::5, ::3] = ground[60::5, ::3]
    return ground, lidar


def test_lidar_that_sees_past_an_object_is_dropped_and_ground_is_kept():
    ground, lidar = sparse_ground()
    lidar[81, 100] = 40  # a return from behind what stands there
    cleaned = truth.clean(lidar_sample(ground, lidar), 'sparse').depth_m
    assert cleaned[81, 100] == 0
    lidar[81, 100] = 0
    np.testing.assert_array_equal(cleaned, lidar)


def test_teacher_that_disagrees_with_the_frames_own_lidar_is_dropped():
    ground, lidar = sparse_ground()
    for factor, kept in ((1.15, True), (1.25, False)):
        s = lidar_sample(ground * np.float32(factor), lidar)
        assert (truth.clean(s, 'teacher').teacher_depth_m is not None) is kept


def test_only_compensated_truth_bends_the_teacher_to_the_lidar():
    ground, lidar = sparse_ground()
    s = lidar_sample(ground * np.float32(1.15), lidar)
    raw = truth.clean(s, 'teacher').teacher_depth_m
    bent = truth.clean(s, 'compensated').teacher_depth_m
    np.testing.assert_array_equal(raw, s.teacher_depth_m)
    assert np.abs(bent / ground - 1)[60:].max() < 0.03


def test_stream_item_is_the_same_whoever_asks():
    stream = CropStream({'a': [flat_sample(), flat_sample(100, 180)]}, config(batch_size=4))
    again = CropStream({'a': [flat_sample(), flat_sample(100, 180)]}, config(batch_size=4))
    for index in (0, 5, 1_000_003):
        for key, value in stream[index].items():
            np.testing.assert_array_equal(value, again[index][key])
    assert not np.array_equal(stream[0]['image'], stream[1]['image'])


def test_sampler_resumes_where_it_stopped_and_ranks_share_no_item():
    settings = config(steps=6, batch_size=2)
    whole = list(StreamSampler(settings, 0, 0, 2))
    assert whole[4:] == list(StreamSampler(settings, 4, 0, 2))
    other = list(StreamSampler(settings, 0, 1, 2))
    items = [i for batch in whole + other for i in batch]
    assert sorted(items) == list(range(24))


def test_crops_of_a_size_come_from_sources_that_fill_it():
    wide, narrow = flat_sample(120, 400), flat_sample(120, 150)
    settings = config(sources='wide:1,narrow:3', crops='96x384,96x160', batch_size=1)
    stream = CropStream({'wide': [wide], 'narrow': [narrow]}, settings)
    np.testing.assert_allclose(stream.shares, [[1, 0], [0.25, 0.75]])
    for index in range(12):
        crop = stream[index]
        if crop['label'].shape[1] == 384:
            assert (crop['label'] != 255).any(0).mean() >= augment.LEAST_FILL - 0.02
    alone = CropStream({'narrow': [narrow]}, config(sources='narrow:3', crops='96x384'))
    np.testing.assert_allclose(alone.shares, [[1]])
    assert alone[0]['label'].shape == (96, 384)
    tiny = {'narrow': [flat_sample(30, 40)], 'wide': [wide]}  # fills no size: is not left out
    stream = CropStream(tiny, config(sources='narrow:1,wide:1', crops='96x384,96x160'))
    np.testing.assert_allclose(stream.shares, [[0.5, 0.5], [0.5, 0.5]])
    settings = config(sources='wide:0,narrow:3', crops='96x384,96x160')  # only the other one fills
    stream = CropStream({'wide': [wide], 'narrow': [narrow]}, settings)
    np.testing.assert_allclose(stream.shares, [[0, 1], [0, 1]])


def test_a_shadow_darkens_one_part_and_leaves_another_as_it_is():
    image = np.full((64, 96, 3), 200, np.uint8)
    sides = []
    for seed in range(40):
        grey = augment.shaded(np.random.default_rng(seed), image)[..., 0]
        assert grey.shape == (64, 96)
        assert (grey >= 200 * 0.14).all()
        sides.append((grey.min() < 150, grey.max() >= 199))
    assert np.mean([dark and light for dark, light in sides]) > 0.5


def test_photometric_keeps_shape_and_changes_pixels():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    for _ in range(30):
        out = augment.photometric(rng, image, 1.0)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
    np.testing.assert_array_equal(augment.photometric(rng, image, 0.0), image)


def test_unsure_pixels_take_the_likelier_class_and_drawn_labels_stay():
    label = np.full((8, 8), UNLABELLED, np.uint8)
    label[:, 4:] = CLASS_ID['road']
    soft = np.zeros((2, 2, 3), np.uint8)
    soft[0] = (CLASS_ID['pole'], CLASS_ID['building'], 200)
    soft[1] = (CLASS_ID['fence'], CLASS_ID['wall'], 130)  # hardly likelier
    sample = Sample(np.zeros((8, 8, 3), np.uint8), None, None, label, 'unsure', soft_label=soft)
    filled = truth.with_likelier_labels(sample).label_id
    assert (filled[:4, :4] == CLASS_ID['pole']).all()
    assert (filled[4:, :4] == UNLABELLED).all()
    assert (filled[:, 4:] == CLASS_ID['road']).all()
    drawn = replace(sample, nav7_id=np.zeros((8, 8), np.uint8))
    assert truth.with_likelier_labels(drawn).label_id is label
