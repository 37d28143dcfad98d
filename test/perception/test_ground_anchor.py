# SPDX-License-Identifier: Apache-2.0
"""The ground as an anchor: one frame's look, the filter over time, the points it gives."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.ground_anchor import (
    GroundFilter,
    GroundLook,
    ground_points,
    look_at_ground,
)
from lightdepth_ros.perception.navigation import class_mask
from training.datasets.synthetic.robots import RobotScenes

GROUND = class_mask(('road', 'sidewalk', 'terrain'))
CAMERA = Camera.from_fov(240, 160, 75)


def flat(mount: Mount, camera: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Depth and labels of endless flat ground; sky above."""
    down = np.array(mount.down)
    slope = camera.rays().astype(np.float64) @ down[:2] + down[2]
    depth = np.where(slope > 0.01, mount.height_m / np.maximum(slope, 0.01), np.inf)
    return depth.astype(np.float32), np.where(slope > 0.01, 0, 10).astype(np.uint8)


@pytest.mark.parametrize('height', [0.2, 0.6, 1.65])
@pytest.mark.parametrize('pitch', [-5.0, 0.0, 12.0])
def test_factor_and_tilt_of_flat_ground_are_found(height, pitch):
    mount = Mount(height, pitch, 3.0)
    depth, label = flat(mount)
    look = look_at_ground(depth * np.float32(1.4), label, CAMERA, mount, GROUND)
    assert look.why_not == ''
    assert np.exp(look.log_factor) == pytest.approx(1 / 1.4, rel=0.01)
    assert look.pitch_deg == pytest.approx(pitch, abs=0.1)
    assert look.roll_deg == pytest.approx(3.0, abs=0.1)


def test_a_third_of_the_ground_may_be_something_else():
    mount = Mount(0.6, 5)
    depth, label = flat(mount)
    lies = np.random.default_rng(0).random(depth.shape) < 0.3
    depth[lies] *= 0.5
    look = look_at_ground(depth, label, CAMERA, mount, GROUND)
    assert look.log_factor == pytest.approx(0, abs=0.03)


def test_where_no_flat_ground_is_seen_it_says_so():
    mount = Mount(0.6)
    depth, label = flat(mount)
    wall = np.full_like(depth, 3)
    assert 'no ground' in look_at_ground(depth, label * 0 + 2, CAMERA, mount, GROUND).why_not
    assert 'leans' in look_at_ground(wall, label * 0, CAMERA, mount, GROUND).why_not
    rough = depth * np.exp(np.random.default_rng(1).normal(0, 0.3, depth.shape))
    assert (
        'not flat'
        in look_at_ground(rough.astype(np.float32), label, CAMERA, mount, GROUND).why_not
    )


def test_exact_depth_of_robots_scenes_asks_for_no_factor():
    scenes = RobotScenes(24, seed=7, height=160, width=240)
    seen = 0
    for index in range(24):
        sample = scenes[index]
        assert sample.camera is not None
        assert sample.pose is not None
        assert sample.depth_m is not None
        depth = np.where(sample.depth_m > 0, sample.depth_m, np.nan).astype(np.float32)
        look = look_at_ground(depth, sample.label_id, sample.camera, sample.pose, GROUND)
        if look.why_not:
            continue
        seen += 1
        assert look.log_factor == pytest.approx(0, abs=0.12), scenes.place_name(index)
    assert seen >= 10


def test_the_filter_settles_and_stays_when_the_ground_is_gone():
    mount, ground = Mount(0.5, 2), GroundFilter()
    rng = np.random.default_rng(0)
    for k in range(50):
        look = GroundLook(-0.7 + rng.normal(0, 0.04), 3 + rng.normal(0, 0.5), 0.0, 900)
        state = ground.update(look, mount, k * 0.1)
    assert state.factor == pytest.approx(np.exp(-0.7), rel=0.03)
    assert 2.2 < state.mount.pitch_deg < 3.2
    doubt = state.sigma
    for k in range(50, 150):
        state = ground.update(GroundLook(why_not='no ground is seen'), mount, k * 0.1)
    assert state.factor == pytest.approx(np.exp(-0.7), rel=0.03)
    assert state.mount.pitch_deg == pytest.approx(2, abs=0.05)  # back at what is told
    assert not state.seen
    assert state.sigma > doubt


def test_one_wrong_frame_moves_the_filter_little():
    mount, ground = Mount(0.5), GroundFilter()
    for k in range(30):
        ground.update(GroundLook(0.1, 0, 0, 900), mount, k * 0.1)
    state = ground.update(GroundLook(1.2, 7, 7, 900), mount, 3.0)
    assert state.factor == pytest.approx(np.exp(0.1), rel=0.03)


def test_time_running_backwards_and_another_height_start_anew():
    for mount, stamp_s in ((Mount(0.5), -5.0), (Mount(1.5), 1.0)):
        ground = GroundFilter()
        ground.update(GroundLook(0.6, 0, 0, 900), Mount(0.5), 0.0)
        state = ground.update(GroundLook(why_not='no ground is seen'), mount, stamp_s)
        assert state.factor == 1.0


def test_a_height_that_transforms_round_anew_does_not_start_anew():
    steady, rounded = GroundFilter(), GroundFilter()
    rng = np.random.default_rng(0)
    for k in range(40):
        look = GroundLook(0.6, rng.normal(0, 1), 0, 900)
        expected = steady.update(look, Mount(0.5), k * 0.1)
        state = rounded.update(look, Mount(0.5 * (1 + k % 2 * 1e-15)), k * 0.1)
        assert state.mount.pitch_deg == pytest.approx(expected.mount.pitch_deg, abs=1e-9)
        assert state.factor == pytest.approx(expected.factor, abs=1e-9)


def test_a_tilting_head_takes_the_filter_along():
    ground = GroundFilter()
    for k in range(30):
        state = ground.update(GroundLook(0, 1, 0, 900), Mount(0.5, 0), k * 0.1)
    off = state.mount.pitch_deg
    state = ground.update(GroundLook(why_not='no ground is seen'), Mount(0.5, 20), 3.0)
    assert state.mount.pitch_deg == pytest.approx(20 + off, abs=0.1)


def test_points_lie_on_the_ground_of_the_mount():
    mount = Mount(0.6, 8, -2)
    depth, label = flat(mount)
    state = GroundFilter().update(GroundLook(0, 8, -2, 900), mount, 0.0)
    points = ground_points(depth * np.float32(2), label, CAMERA, state, GROUND)
    at = points.v.astype(int), points.u.astype(int)
    np.testing.assert_allclose(points.depth_m, depth[at], rtol=1e-4)
    assert 100 < len(points.depth_m) < 2000
