# SPDX-License-Identifier: Apache-2.0
"""Synthetic views of robots: ground law of the mount, closed rooms, near things, determinism."""

from __future__ import annotations

import numpy as np
import pytest
from yardstick import pieces

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, CLASSES, SKY
from training.datasets.cached import Cached
from training.datasets.sample import Sample
from training.datasets.synthetic import SyntheticScenes, shade
from training.datasets.synthetic.mesh import Look
from training.datasets.synthetic.raster import pose
from training.datasets.synthetic.robots import (
    FIELDS_DEG,
    HEIGHTS_M,
    INDOORS,
    PITCHES_DEG,
    PLACES,
    RobotScenes,
    draw_view,
    nearest_ground,
    picture,
    shapes,
)
from training.datasets.synthetic.robots.kit import CLEAR_M, Boxes, Kit, box_mesh, gap

COUNT = 120
GROUND = [CLASS_ID[name] for name in ('road', 'sidewalk', 'terrain')]


@pytest.fixture(scope='module')
def scenes() -> RobotScenes:
    return RobotScenes(COUNT, seed=7, height=160, width=240)


@pytest.fixture(scope='module')
def samples(scenes) -> list[Sample]:
    return [scenes[i] for i in range(COUNT)]


def plane_depth(sample: Sample) -> np.ndarray:
    """Depth of the level ground that the mount tells, inf where a ray does not go down."""
    down = np.array(sample.pose.down)
    slope = sample.camera.rays().astype(np.float64) @ down[:2] + down[2]
    return np.where(slope > 1e-9, sample.pose.height_m / np.maximum(slope, 1e-9), np.inf)


def test_level_ground_lies_at_height_over_the_ray_towards_it(scenes, samples):
    for index, sample in enumerate(samples):
        floor = plane_depth(sample)
        name = scenes.place_name(index)
        label = 'road' if name in (*INDOORS, 'car park', 'yard') else 'terrain'
        seen = (sample.label_id == CLASS_ID[label]) & (floor < 20)
        if seen.sum() < 500:
            continue
        error = np.abs(sample.depth_m / floor - 1)[seen]
        assert np.quantile(error, 0.99) < 1e-3, (index, name)


def test_nothing_but_lowered_carriageways_lies_beneath_the_level_ground(scenes, samples):
    for index, sample in enumerate(samples):
        if scenes.place_name(index) == 'pavement':
            continue
        floor = plane_depth(sample)
        known = (floor < 20) & (sample.depth_m > 0)
        assert (sample.depth_m[known] < floor[known] * 1.002).mean() > 0.999, index


def test_ground_is_labelled_as_ground_where_it_is_the_level_ground(samples):
    agree = []
    for sample in samples:
        floor = plane_depth(sample)
        on = (floor < 15) & (np.abs(sample.depth_m / floor - 1) < 1e-4)
        if on.sum() > 500:
            agree.append(np.isin(sample.label_id[on], GROUND).mean())
    assert len(agree) > 0.7 * COUNT
    assert np.mean(agree) > 0.99


def test_rooms_have_depth_everywhere_and_no_sky(scenes, samples):
    inside = [i for i in range(COUNT) if scenes.place_name(i) in INDOORS]
    assert len(inside) > 0.35 * COUNT
    for i in inside:
        assert samples[i].depth_m.min() > 0.14
        assert samples[i].depth_m.max() < 60
        assert not (samples[i].label_id == SKY).any()


def test_floor_has_no_pinhole():
    """One pixel of this floor lay between two triangles, and was sky."""
    sample = RobotScenes(400, seed=40, height=160, width=240)[351]
    assert sample.depth_m.min() > 0.14


def test_lone_sky_pixel_takes_what_is_beside_it():
    look = np.arange(20, dtype=np.intp).reshape(4, 5) + 1
    look[2, 2] = look[0, 0] = 0
    flat = (look * 0.5).astype(np.float32)
    mesh = box_mesh(one_box(Look(3)))
    surface = shade.Surface(mesh, look, look > 3, flat, flat, flat, flat, flat, flat)
    done = picture.mended(surface)
    assert done.row[2, 2] == look[2, 1]
    assert done.inverse_z[2, 2] == flat[2, 1]
    assert done.row[0, 0] == 0


def test_depth_is_missing_in_the_sky_and_only_there(samples):
    for sample in samples:
        np.testing.assert_array_equal(sample.depth_m == 0, sample.label_id == SKY)
    assert sum((s.label_id == SKY).mean() > 0.02 for s in samples) > 0.2 * COUNT


def test_cameras_are_those_of_robots():
    rng = np.random.default_rng(0)
    drawn = [draw_view(rng, 'yard', (160, 240)) for _ in range(1500)]
    heights = np.array([view.position[1] for _, view in drawn])
    pitches = np.array([np.rad2deg(np.arcsin(-view.rotation[2, 1])) for _, view in drawn])
    fields = np.array([camera.horizontal_fov_deg for camera, _ in drawn])
    assert HEIGHTS_M[0] - 1e-9 <= heights.min() < 0.17
    assert 2.2 < heights.max() <= HEIGHTS_M[1] + 1e-9
    assert ((heights > 0.2) & (heights < 0.8)).mean() > 0.5
    assert pitches.max() <= PITCHES_DEG[1] + 1e-6
    assert pitches.max() > 27
    assert pitches.min() < PITCHES_DEG[0] + 2
    assert FIELDS_DEG[0] - 0.1 < fields.min() < 50
    assert 105 < fields.max() < FIELDS_DEG[1] + 0.1
    assert min(nearest_ground(camera, view) for camera, view in drawn) > 0.15


def test_things_come_nearer_than_half_a_metre(samples):
    nearest = np.array([s.depth_m[s.depth_m > 0].min() for s in samples])
    assert (nearest < 0.5).mean() > 0.25
    assert nearest.min() < 0.25
    things = [s.depth_m[(s.depth_m > 0) & ~np.isin(s.label_id, GROUND)].min() for s in samples]
    assert (np.array(things) < 1.0).mean() > 0.3


def test_every_place_and_its_classes_appear(scenes, samples):
    assert {scenes.place_name(i) for i in range(COUNT)} == set(PLACES)
    seen = set(np.unique(np.concatenate([np.unique(s.label_id) for s in samples])))
    wanted = ('road', 'sidewalk', 'terrain', 'building', 'wall', 'fence', 'pole', 'vegetation',
              'person', 'car', 'sky')  # fmt: skip
    assert {CLASS_ID[name] for name in wanted} <= seen <= {c.id for c in CLASSES}


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first = RobotScenes(3, seed=1, height=96, width=160)[2]
    again = RobotScenes(9, seed=1, height=96, width=160)[2]
    other = RobotScenes(3, seed=2, height=96, width=160)[2]
    for name in ('rgb', 'depth_m', 'label_id'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.camera, first.pose, first.name) == (again.camera, again.pose, again.name)
    assert (first.rgb != other.rgb).mean() > 0.5
    with pytest.raises(IndexError, match='has 3 samples'):
        RobotScenes(3, seed=1)[3]


def test_pictures_are_mostly_neither_black_nor_white(samples):
    means = np.array([sample.rgb.mean() for sample in samples])
    assert 60 < np.median(means) < 150
    assert ((means > 15) & (means < 235)).mean() > 0.9
    assert np.median([sample.rgb.std() for sample in samples]) > 30


def test_cache_keeps_the_mount(tmp_path):
    source = RobotScenes(2, seed=3, height=96, width=160)
    fresh, kept = Cached(source, tmp_path)[1], Cached(source, tmp_path)[1]
    assert kept.pose == fresh.pose == source[1].pose
    np.testing.assert_array_equal(kept.depth_m, fresh.depth_m)


def test_road_scenes_tell_the_mount_over_the_sloping_road():
    errors = []
    for i in range(20):
        sample = SyntheticScenes(20, seed=5, height=160, width=240)[i]
        floor = plane_depth(sample)
        seen = (sample.label_id == CLASS_ID['road']) & (floor < 5)
        if seen.sum() > 300 and sample.pose.height_m > 0.9:
            errors.append(np.median(np.abs(sample.depth_m / floor - 1)[seen]))
    assert len(errors) > 5
    assert np.median(errors) < 1e-3
    assert max(errors) < 0.02


def one_box(look: Look) -> Boxes:
    """A box of 1 x 2 x 4 m, turned, 0.25 m above the ground."""
    kit = Kit(np.random.default_rng(0), 0.5)
    kit.put([((0.0, 0.0, 0.0), (1.0, 2.0, 4.0), look)], 5.0, 6.0, 0.5, 0.25)
    return kit.boxes()


def test_box_has_its_size_and_faces_outward():
    mesh = box_mesh(one_box(Look(3)))
    assert len(mesh) == 12
    low, high = mesh.vertices[..., 1].min(), mesh.vertices[..., 1].max()
    np.testing.assert_allclose([low, high], [0.25, 2.25], atol=1e-6)
    out = mesh.vertices.mean(1) - np.float32([5.0, 1.25, 6.0])
    np.testing.assert_array_less(0.4, np.einsum('nc,nc->n', out, mesh.normals))
    corner = np.hypot(mesh.vertices[..., 0] - 5, mesh.vertices[..., 2] - 6)
    np.testing.assert_allclose(corner, np.hypot(0.5, 2.0), rtol=1e-5)


def test_things_over_the_camera_are_left_out_whole():
    kit = Kit(np.random.default_rng(0), 0.5)
    look = Look(3)
    near = ((0.0, 0.0, 0.0), (0.4, 1.0, 0.4), look)
    kit.put([near, ((1.0, 0.0, 0.0), (0.4, 1.0, 0.4), look)], 0.3, 0.0)
    kit.put([near], 0.2 + 2 * CLEAR_M, 0.0)
    boxes = kit.boxes()
    assert len(boxes.base) == 1
    np.testing.assert_allclose(gap(boxes.base, boxes.size, boxes.yaw), 2 * CLEAR_M, rtol=1e-6)


def test_nearest_ground_is_the_lower_edge_of_a_picture_that_looks_ahead():
    camera = Camera(200, 100, 100.0, 100.0, 99.5, 49.5)
    view = pose(np.array([0.0, 0.3, 0.0]), 0.3, 0.0, 0.0)
    assert nearest_ground(camera, view) == pytest.approx(0.3 / 0.495)


@pytest.mark.slow
def test_rendering_takes_milliseconds_not_seconds():
    """About 15 pieces of CPU a scene (20 ms) are normal; 5 times that means something broke."""
    scenes = RobotScenes(30, seed=6)
    for i in range(10):
        scenes[i]
    assert pieces(lambda: [scenes[i] for i in range(10, 30)]) / 20 < 75


@pytest.mark.parametrize('seed', range(12))
def test_litter_fits_into_a_room_whose_wall_is_less_than_a_metre_ahead(seed):
    kit = Kit(np.random.default_rng(seed), 0.4)
    shapes.litter(kit, 1.0, 0.7, 3)
