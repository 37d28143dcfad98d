# SPDX-License-Identifier: Apache-2.0
"""Obstacles by height: what stands is one whatever its label, what lies flat is none."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.heights import ground_of
from lightdepth_ros.perception.navigation import (
    class_mask,
    clearing_points,
    obstacle_points,
)
from lightdepth_ros.perception.prediction import Prediction
from training.datasets.synthetic.robots import RobotScenes

CAMERA = Camera.from_fov(240, 160, 75)
GROUND = class_mask(('road', 'sidewalk', 'terrain'))
MOUNT = Mount(0.8, 6.0)
BOX = np.s_[75:108, 100:140]
"""Pixels of a box 2.5 m away and about 0.8 m high, whose foot is on the ground."""
PATCH = np.s_[115:140, 60:110]


def scene(box: str, patch: str, factor: float = 1.0, mount: Mount | None = None) -> Prediction:
    """Flat ground with a box that stands and a patch that lies, labelled as told."""
    down = np.array(MOUNT.down)
    slope = CAMERA.rays().astype(np.float64) @ down[:2] + down[2]
    depth = np.where(slope > 0.02, MOUNT.height_m / np.maximum(slope, 0.02), np.inf)
    label = np.where(slope > 0.02, CLASS_ID['road'], SKY).astype(np.uint8)
    depth[BOX], label[BOX] = np.minimum(depth[BOX], 2.5), CLASS_ID[box]
    label[PATCH] = CLASS_ID[patch]
    return Prediction((depth * factor).astype(np.float32), label, None, CAMERA, mount)


def marked(prediction: Prediction, min_height_m: float = 0.2) -> np.ndarray:
    plane = ground_of(prediction, GROUND)
    cloud = obstacle_points(
        prediction, GROUND, ground=GROUND, plane=plane, min_height_m=min_height_m
    )
    return np.isfinite(cloud['z'])


@pytest.mark.parametrize('mount', [None, MOUNT])
@pytest.mark.parametrize('factor', [0.7, 1.0, 1.6])
def test_a_hedge_called_terrain_stands_and_a_wet_road_called_car_lies(factor, mount):
    seen = marked(scene('terrain', 'car', factor, mount))
    upper = np.s_[75:85, 101:139]
    assert seen[upper].all()
    assert not seen[PATCH].any()
    assert not seen[145:].any()  # the ground


def test_labels_alone_decide_where_height_is_not_asked_for():
    seen = marked(scene('terrain', 'car'), 0.0)
    assert not seen[BOX].any()
    assert seen[PATCH].all()


def test_people_are_obstacles_even_lying():
    assert marked(scene('car', 'person'))[PATCH].all()


def test_a_thing_that_seems_far_below_the_ground_stays_an_obstacle():
    prediction = scene('car', 'car')
    prediction.depth_m[PATCH] *= 1.6  # a car whose depth is much too far
    assert marked(prediction)[PATCH].all()


def test_without_ground_in_the_picture_the_mount_stands_in():
    prediction = scene('terrain', 'car', mount=MOUNT)
    everything = Prediction(prediction.depth_m, prediction.label_id * 0 + 8, None, CAMERA, MOUNT)
    plane = ground_of(everything, GROUND)
    assert plane is not None
    assert plane.height_m == MOUNT.height_m
    unknown = Prediction(prediction.depth_m, prediction.label_id * 0 + 8, None, CAMERA)
    assert ground_of(unknown, GROUND) is None
    assert marked(unknown)[140:].all()  # by label alone


def test_a_wall_called_road_is_not_taken_for_the_ground():
    wall = np.full((160, 240), 3, np.float32)
    prediction = Prediction(wall, np.zeros((160, 240), np.uint8), None, CAMERA)
    assert ground_of(prediction, GROUND) is None


def test_sky_below_the_horizon_clears_nothing():
    prediction = scene('car', 'car')
    prediction.depth_m[PATCH] = np.inf
    prediction.label_id[PATCH] = SKY
    plane = ground_of(prediction, GROUND)
    cleared = clearing_points(prediction, 40.0, class_mask([]), plane=plane)['z']
    assert np.isnan(cleared[PATCH]).all()
    assert (cleared[:40] == 40).all()  # above the horizon
    plain = clearing_points(prediction, 40.0, class_mask([]))['z']
    assert (plain[PATCH] == 40).all()


def test_exact_scenes_of_robots_mark_what_stands_and_leave_the_floor():
    scenes = RobotScenes(24, seed=7, height=160, width=240)
    wrong_ground, missed, seen = [], [], 0
    for index in range(24):
        sample = scenes[index]
        assert sample.pose is not None
        assert sample.camera is not None
        assert sample.depth_m is not None
        depth = np.where(sample.depth_m > 0, sample.depth_m, np.inf).astype(np.float32)
        prediction = Prediction(depth, sample.label_id, None, sample.camera, sample.pose)
        if ground_of(prediction, GROUND) is None:
            continue
        seen += 1
        down = np.array(sample.pose.down)
        slope = sample.camera.rays().astype(np.float64) @ down[:2] + down[2]
        over = sample.pose.height_m - depth * slope
        near = np.isfinite(depth) & (depth < 6)
        floor = near & (np.abs(over) < 0.02) & GROUND[sample.label_id]
        stands = near & (over > 0.6) & (over < 2)
        got = marked(prediction)
        wrong_ground.append(got[floor].mean() if floor.any() else 0.0)
        missed.append(1 - got[stands].mean() if stands.any() else 0.0)
    assert seen >= 15
    assert np.mean(wrong_ground) < 0.02
    assert np.mean(missed) < 0.02
