# SPDX-License-Identifier: Apache-2.0
"""Synthetic road scenes: depth against closed forms, stereo against depth, labels, determinism."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from yardstick import pieces

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, CLASSES, SKY, UNLABELLED
from training.datasets.synthetic import (
    BASELINE_M,
    SyntheticScenes,
    draw_scene,
    drive,
    raster,
    road,
    scene,
    things,
    world,
)
from training.datasets.synthetic.mesh import Look, box, joined, placed

ROAD, CAR = CLASS_ID['road'], CLASS_ID['car']


@pytest.fixture(scope='module')
def samples() -> list:
    """Sixty samples at a quarter of the default area."""
    dataset = SyntheticScenes(60, seed=5, height=160, width=240)
    return [dataset[i] for i in range(60)]


@pytest.fixture(scope='module')
def drawn() -> tuple:
    """A scene, its pose and field of view."""
    return draw_scene(np.random.default_rng([0, 4]))


def empty_flat_scene(drawn: tuple) -> scene.Scene:
    """The ground of a scene alone, made flat at height 0."""
    full = drawn[0]
    flat = replace(
        full.road,
        grades=np.zeros_like(full.road.grades),
        roughness=np.zeros_like(full.road.roughness),
        left=road.Side(0.0, 2.0, 0.0, 0.0, 0.0),
        right=road.Side(0.0, 2.0, 0.0, 0.0, 0.0),
    )
    mesh = road.ground(flat)
    return replace(full, road=flat, mesh=mesh, ground_count=len(mesh))


def plane_depth(camera: Camera, view: raster.Pose) -> np.ndarray:
    """Closed form: depth along Z of the plane Y = 0, inf where a ray does not go down."""
    rays = np.concatenate([camera.rays(), np.ones((*camera.size_hw, 1), np.float32)], -1)
    slope = rays.astype(np.float64) @ view.rotation[:, 1]
    return np.where(slope < 0, view.position[1] / np.maximum(-slope, 1e-9), np.inf)


@pytest.mark.parametrize('angles', [(0, 0, 0), (0.1, -0.1, 0.05), (-0.2, 0.13, -0.05)])
def test_ground_depth_is_the_ray_plane_formula(drawn, angles):
    camera = Camera.from_fov(240, 160, 75.0)
    view = raster.pose(np.array([0.0, 1.3, 0.0]), *angles)
    picture = scene.render(empty_flat_scene(drawn), view, camera)
    expected = plane_depth(camera, view)
    # Far away float32 tells pixels on the border of two triangles apart less well.
    for limit_m, rtol in ((80, 2e-4), (200, 1e-3)):
        near = expected < limit_m
        assert near.sum() > 2000
        np.testing.assert_allclose(picture.depth_m[near], expected[near], rtol=rtol)


def test_box_depth_is_the_distance_to_its_face(drawn):
    base = empty_flat_scene(drawn)
    block = box((0.0, 0.0, 12.0), (4.0, 3.0, 2.0), Look(CAR))
    scene_with_box = replace(base, mesh=block, ground_count=0)
    camera = Camera(200, 150, 180.0, 180.0, 99.5, 74.5)
    view = raster.pose(np.array([0.0, 1.5, 0.0]), 0.0, 0.0, 0.0)
    picture = scene.render(scene_with_box, view, camera)
    on_box = picture.label_id == CAR
    np.testing.assert_allclose(picture.depth_m[on_box], 11.0, rtol=1e-5)
    columns = np.flatnonzero(on_box[75])
    # x = +-2 m at 11 m: half a pixel at most between the edge and the first pixel centre.
    assert abs(columns[0] - (99.5 - 180 * 2 / 11)) <= 1
    assert abs(columns[-1] - (99.5 + 180 * 2 / 11)) <= 1


def test_opencv_rasteriser_and_the_numpy_one_see_the_same_triangles():
    rng = np.random.default_rng(3)
    camera = Camera(120, 80, 90.0, 95.0, 55.3, 41.7)
    centres = rng.uniform([-6, -4, -1], [6, 4, 20], (150, 1, 3))
    points = (centres + rng.uniform(-1.5, 1.5, (150, 3, 3))).astype(np.float32)
    fast, slow = raster.triangle_ids(points, camera), raster.triangle_ids_numpy(points, camera)
    assert (slow > 0).mean() > 0.3
    assert (fast != slow).mean() < 0.002


def test_ground_that_reaches_far_beyond_the_image_has_no_holes(drawn):
    """Corners 50,000 pixels to the side used to leave holes near the horizon."""
    ground = empty_flat_scene(drawn).mesh
    camera = Camera.from_fov(240, 160, 75.0)
    view = raster.pose(np.array([0, 1.3, 0]), -0.2, 0.13, -0.05)
    points = raster.to_camera(ground.vertices, view)
    points = points[raster.visible(points, camera)]
    fast, slow = raster.triangle_ids(points, camera), raster.triangle_ids_numpy(points, camera)
    np.testing.assert_array_equal(fast > 0, slow > 0)
    assert (fast != slow).mean() < 0.002


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first = SyntheticScenes(3, seed=1, height=96, width=160, stereo=True)[2]
    again = SyntheticScenes(9, seed=1, height=96, width=160, stereo=True)[2]
    other = SyntheticScenes(3, seed=2, height=96, width=160)[2]
    for name in ('rgb', 'depth_m', 'label_id', 'right_rgb'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.camera == again.camera
    assert (first.rgb != other.rgb).mean() > 0.5


def test_index_outside_the_data_set_is_an_index_error():
    with pytest.raises(IndexError, match='has 3 samples'):
        SyntheticScenes(3, seed=1)[3]


def test_sample_shapes_types_and_units(samples):
    for sample in samples[:10]:
        assert sample.rgb.shape == (160, 240, 3)
        assert sample.rgb.dtype == np.uint8
        assert sample.depth_m.shape == sample.label_id.shape == (160, 240)
        assert sample.depth_m.dtype == np.float32
        assert sample.label_id.dtype == np.uint8
        assert sample.camera.size_hw == (160, 240)
        assert 39.9 < sample.camera.horizontal_fov_deg < 100.1
    assert len({sample.name for sample in samples}) == 60


def test_depth_is_missing_in_the_sky_and_only_there(samples):
    for sample in samples:
        np.testing.assert_array_equal(sample.depth_m == 0, sample.label_id == SKY)
        assert sample.depth_m[sample.label_id != SKY].min() > 0.1


def test_every_class_but_train_appears_in_plausible_shares(samples):
    shares = np.zeros(256)
    sky_seen = 0
    for sample in samples:
        counts = np.bincount(sample.label_id.ravel(), minlength=256) / sample.label_id.size
        shares += counts / len(samples)
        sky_seen += counts[SKY] > 0.01
    missing = [c.name for c in CLASSES if shares[c.id] == 0]
    assert missing == ['train']
    assert 0.2 < shares[ROAD] < 0.45
    assert sky_seen > 45
    assert shares[UNLABELLED] < 0.02
    assert set(np.flatnonzero(shares)) <= {c.id for c in CLASSES} | {UNLABELLED}


def test_pictures_are_neither_black_nor_white(samples):
    means = np.array([sample.rgb.mean() for sample in samples])
    contrast = np.array([sample.rgb.std() for sample in samples])
    assert 60 < np.median(means) < 150
    assert means.min() > 10
    assert means.max() < 220
    assert np.median(contrast) > 35


def test_label_is_car_exactly_where_a_car_is_nearer_than_the_ground(drawn):
    base = empty_flat_scene(drawn)
    thing = things.vehicle(np.random.default_rng(1), 0.0, 9.0, 0.0, 0.0, heavy=0.0)
    spot = base.road.spots(np.array([1.0]), np.array([9.0]))
    places = world.Places(spot, np.array([0.4]), np.ones((1, 3)), np.full((1, 3), 0.5))
    mesh = joined([base.mesh, placed([thing.shape(5.0)], places)])
    camera = Camera.from_fov(240, 160, 60.0)
    view = raster.pose(np.array([0.0, 1.4, 0.0]), 0.0, -0.05, 0.02)
    picture = scene.render(replace(base, mesh=mesh), view, camera)
    ground = plane_depth(camera, view)
    depth = np.where(picture.depth_m > 0, picture.depth_m, np.inf)
    nearer = depth < np.minimum(ground, 200) * 0.995
    is_car = picture.label_id == CAR
    assert 0.05 < is_car.mean() < 0.5
    # They differ only where the tyres touch the ground: within 0.5 % of its depth.
    assert (nearer != is_car).mean() < 0.002
    assert not (nearer & ~is_car).any()


def test_same_scene_through_two_focal_lengths_has_the_same_depth_on_the_same_ray(drawn):
    content, view, _ = drawn
    wide = Camera(241, 161, 150.0, 150.0, 120.0, 80.0)
    tele = Camera(241, 161, 300.0, 300.0, 120.0, 80.0)
    a, b = scene.render(content, view, wide), scene.render(content, view, tele)
    inner = a.depth_m[40:121, 60:181], b.depth_m[::2, ::2]
    labels = a.label_id[40:121, 60:181], b.label_id[::2, ::2]
    known = (inner[0] > 0) & (inner[1] > 0)
    error = np.abs(inner[0] / np.where(known, inner[1], 1) - 1)[known]
    assert known.mean() > 0.5
    assert (error < 1e-4).mean() > 0.995
    assert (labels[0] == labels[1]).mean() > 0.995


def test_right_view_sees_the_left_depth_at_the_known_disparity(drawn):
    content, view, _ = drawn
    camera = Camera(480, 320, 400.0, 400.0, 239.5, 159.5)
    left = scene.render(content, view, camera)
    right = scene.render(content, view.moved_right(BASELINE_M), camera)
    v, u = np.nonzero(left.depth_m > 0)
    z = left.depth_m[v, u]
    u_right = np.round(u - camera.fx * BASELINE_M / z).astype(int)
    inside = u_right >= 0
    v, u_right, z = v[inside], u_right[inside], z[inside]
    beside = np.clip(u_right + np.array([[-1], [0], [1]]), 0, camera.width - 1)
    seen = right.depth_m[v, beside]
    ratio = np.where(seen > 0, seen, np.inf) / z
    hidden = ratio[1] < 0.97
    found = np.abs(ratio - 1).min(0) < 0.02
    assert hidden.mean() < 0.3
    assert found[~hidden].mean() > 0.99
    # Nothing that the left camera sees is transparent to the right one.
    assert (ratio.min(0) > 1.03).mean() < 0.003


def test_matching_the_stereo_pictures_finds_the_disparity():
    sample = SyntheticScenes(2, seed=3, stereo=True)[1]
    matcher = cv2.StereoSGBM_create(0, 128, 5, P1=200, P2=800, uniquenessRatio=10)
    grey = [cv2.cvtColor(im, cv2.COLOR_RGB2GRAY) for im in (sample.rgb, sample.right_rgb)]
    found = matcher.compute(*grey).astype(np.float32) / 16
    known = (found > 1) & (sample.depth_m > 0)
    truth = sample.camera.fx * sample.baseline_m / sample.depth_m[known]
    assert known.mean() > 0.3
    assert np.median(np.abs(found[known] - truth)) < 1.0


def test_cars_stand_on_the_ground(drawn):
    rng = np.random.default_rng(0)
    content = drawn[0]
    place = world.draw_world(rng, world.layout.STYLES['rural'], 1.0)
    thing = things.vehicle(rng, 2.0, 20.0, 0.0, 0.0, heavy=0.0)
    spot = place.road.spots(np.array([2.0]), np.array([20.0]))
    mesh = placed([thing.shape(10.0)], world.Places(spot, np.zeros(1), np.ones((1, 3)), spot))
    lowest = mesh.vertices[..., 1].min()
    assert abs(lowest - place.road.height(np.array([2.0]), np.array([20.0]))[0]) < 0.05
    assert content.mesh.vertices.dtype == np.float32


def test_drive_moves_ahead_and_its_frames_resemble_each_other():
    frames = list(drive(seed=4, frames=4, fps=10, height=96, width=160))
    assert [f.name for f in frames] == [f'drive-4-{k:05d}' for k in range(4)]
    assert len({f.camera for f in frames}) == 1
    steps = [(a.label_id == b.label_id).mean() for a, b in itertools.pairwise(frames)]
    assert min(steps) > 0.75
    assert all((a.rgb != b.rgb).any() for a, b in itertools.pairwise(frames))
    again = next(drive(seed=4, frames=4, fps=10, height=96, width=160))
    np.testing.assert_array_equal(again.rgb, frames[0].rgb)


@pytest.mark.slow
def test_rendering_takes_milliseconds_not_seconds():
    """About 20 pieces of CPU a scene (30 ms) are normal; 4 times that means something broke."""
    dataset = SyntheticScenes(30, seed=6)
    for i in range(15):
        dataset[i]
    assert pieces(lambda: [dataset[i] for i in range(15, 30)]) / 15 < 80
