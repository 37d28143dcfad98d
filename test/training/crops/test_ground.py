# SPDX-License-Identifier: Apache-2.0
"""Depth of level ground from labels: against a scene that was worked out by hand."""

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.crops import ground
from training.datasets.sample import RoughMount, Sample

ROAD, CAR, SKY, BUILDING, TERRAIN = (
    CLASS_ID[name] for name in ('road', 'car', 'sky', 'building', 'terrain')
)
FOCAL, HEIGHT_M = 500.0, 1.5
MOUNT = RoughMount(horizon=0.4, height_m=HEIGHT_M)
HORIZON = 80.0


def label() -> np.ndarray:
    """Road up to 25 m, a building behind it, a car with its foot 10 m away."""
    ids = np.full((200, 300), SKY, np.uint8)
    ids[40:110] = BUILDING
    ids[110:] = ROAD
    ids[100:155, 100:180] = CAR
    return ids


def test_road_follows_the_camera_height_and_things_have_the_depth_of_their_foot():
    depth = ground.ground_depth(label(), MOUNT, FOCAL)
    rows = np.arange(155, 200)
    expected = FOCAL * HEIGHT_M / (rows - HORIZON)
    np.testing.assert_allclose(depth[rows, 140], expected, rtol=1e-5)
    assert depth[120, 140] == pytest.approx(FOCAL * HEIGHT_M / (155 - HORIZON), rel=1e-5)
    assert (depth[40:110, 20] == depth[110, 20]).all()
    assert depth[110, 20] == pytest.approx(FOCAL * HEIGHT_M / 30, rel=1e-5)
    assert (depth[:40] == 0).all()


def test_what_does_not_touch_the_ground_has_no_depth():
    ids = label()
    ids[150:160, 100:180] = UNLABELLED
    depth = ground.ground_depth(ids, MOUNT, FOCAL)
    assert (depth[100:160, 100:180] == 0).all()
    assert (depth[50:95, 100:180] == 0).all()  # the building is seen above the car, not its foot
    ids[150:200] = TERRAIN
    assert (ground.ground_depth(ids, MOUNT, FOCAL)[150:] == 0).all()


def test_ground_near_the_horizon_has_no_depth():
    ids = np.full((200, 300), ROAD, np.uint8)
    depth = ground.ground_depth(ids, MOUNT, FOCAL)
    limit = ground.FARTHEST_M * FOCAL / 600
    assert depth.max() <= limit
    assert (depth[: int(HORIZON)] == 0).all()


def test_a_frames_own_road_moves_the_horizon_a_little_and_an_obstacle_does_not():
    own = int(HORIZON) + 3 + round(FOCAL * HEIGHT_M / ground.FARTHEST_ROAD_M)
    ids = np.full((200, 300), SKY, np.uint8)
    ids[own:] = ROAD
    assert ground.horizon_row(ids, MOUNT, FOCAL) == pytest.approx(83, abs=0.6)
    ids[:140] = BUILDING
    assert ground.horizon_row(ids, MOUNT, FOCAL) == HORIZON


def test_only_frames_without_depth_get_it_and_an_uncalibrated_one_gets_a_camera():
    rgb = np.zeros((200, 300, 3), np.uint8)
    bare = Sample(rgb, None, None, label(), 's', mount=MOUNT)
    given = ground.with_ground(bare)
    assert given.trust == ground.TRUST
    assert given.camera.fy == ground.ASSUMED_FOCAL * 300
    canonical = given.teacher_depth_m[180, 5] * 600 / given.camera.fy
    assert canonical == pytest.approx(600 * HEIGHT_M / (180 - HORIZON), rel=1e-4)
    camera = Camera(300, 200, FOCAL, FOCAL, 149.5, 99.5)
    known = Sample(rgb, camera, np.ones((200, 300), np.float32), label(), 's', mount=MOUNT)
    assert ground.with_ground(known) is known
    assert ground.with_ground(Sample(rgb, camera, None, label(), 's')).teacher_depth_m is None


def test_level_ground_tells_its_horizon_and_nonsense_leaves_a_residual():
    ids = np.full((200, 300), ROAD, np.uint8)
    depth = ground.ground_depth(ids, MOUNT, FOCAL)
    drivable = depth > 0
    residual, horizon = ground.level_ground(depth, drivable)
    assert residual < 1e-3
    assert horizon == pytest.approx(0.4, abs=0.002)
    nonsense = np.where(drivable, 1 / np.where(drivable, depth, 1), 0)
    assert ground.level_ground(nonsense, drivable)[0] > 0.15
    assert ground.level_ground(depth, np.zeros(depth.shape, bool)) is None
