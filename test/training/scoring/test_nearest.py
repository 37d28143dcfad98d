# SPDX-License-Identifier: Apache-2.0
"""Nearest obstacles by direction, on scenes whose answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from training.scoring import nearest
from training.scoring.fullframe import FullFrame

CAMERA = Camera(240, 160, 200.0, 200.0, 119.5, 79.5)
ROAD, CAR, SKY = (CLASS_ID[n] for n in ('road', 'car', 'sky'))
BOX = np.s_[50:105, 100:140]
"""The pixels of a box 10 m ahead: its foot lies below the ground line, its top over the camera."""


def scene(height_m: float = 1.65, tilt: float = 0.0) -> np.ndarray:
    """Return (H, W) metres of level ground and a box at 10 m; 0 above the ground. tilt: of the
    camera downwards, radians."""
    down = CAMERA.rays()[..., 1] * np.cos(tilt) + np.sin(tilt)
    depth = np.where(down > 0.01, height_m / np.maximum(down, 0.01), 0)
    depth[BOX] = 10.0
    return np.where(depth < 80, depth, 0).astype(np.float32)


def answer(depth_m: np.ndarray, label: np.ndarray | None = None) -> FullFrame:
    label = np.full(depth_m.shape, CAR, np.uint8) if label is None else label
    return FullFrame(depth_m.astype(np.float32), label, np.ones(depth_m.shape, np.float32))


def counted(said_m: np.ndarray, label: np.ndarray | None = None) -> nearest.NearestCounts:
    return nearest.count_nearest(answer(said_m, label), scene(), CAMERA, 80.0)


@pytest.mark.parametrize(('height_m', 'tilt'), [(1.65, 0.0), (0.4, 0.0), (1.2, 0.2)])
def test_the_ground_is_found_whatever_the_mount(height_m, tilt):
    truth = scene(height_m, tilt)
    z = truth[truth > 0]
    points = np.column_stack([CAMERA.rays()[truth > 0] * z[:, None], z])
    plane = nearest.ground_plane(points)
    np.testing.assert_allclose(plane[:3], [0, np.cos(tilt), np.sin(tilt)], atol=0.01)
    assert plane[3] == pytest.approx(height_m, abs=0.02)


def test_a_wall_is_no_ground():
    z = np.full((160, 240), 5.0)
    points = np.dstack([CAMERA.rays() * z[..., None], z]).reshape(-1, 3)
    assert nearest.ground_plane(points) is None
    assert nearest.nearest_obstacles(z, CAMERA) == []


def test_each_direction_of_the_box_is_one_obstacle_and_the_ground_is_none():
    faces = nearest.nearest_obstacles(scene(), CAMERA)
    azimuth = np.degrees(np.arctan2(np.array([100, 139]) - CAMERA.cx, 200.0))
    sectors = np.floor(azimuth / nearest.SECTOR_DEG)
    assert len(faces) == sectors[1] - sectors[0] + 1
    inside = np.zeros((160, 240), bool)
    inside[BOX] = True
    assert inside.ravel()[np.concatenate(faces)].all()


def test_an_obstacle_that_is_low_or_far_is_not_asked_for():
    low, far = scene(), scene()
    low[BOX] = np.where(np.arange(50, 105)[:, None] >= 80 + 0.75 * 33, 10.0, 0)
    far[BOX] = 25.0
    assert nearest.nearest_obstacles(low, CAMERA) == []
    assert nearest.nearest_obstacles(far, CAMERA) == []


@pytest.mark.parametrize(
    ('factor', 'parts'),
    [
        (1.0, {'within_10'}),
        (1.08, {'within_10'}),
        (1.2, set()),
        (1.3, {'too_far_125'}),
        (1.6, {'too_far_125', 'too_far_150'}),
        (0.7, {'too_near_125'}),
    ],
)
def test_obstacles_are_counted_by_their_factor(factor, parts):
    found = dataclasses.asdict(counted(scene() * factor))
    sectors = found.pop('sectors')
    assert sectors > 3
    assert {name for name, count in found.items() if count} == parts
    assert all(count == sectors for count in found.values() if count)


def test_an_obstacle_called_ground_or_sky_or_endless_is_not_seen():
    for label in (ROAD, SKY):
        found = counted(scene(), np.full((160, 240), label, np.uint8))
        assert found.not_seen == found.sectors > 3
    found = counted(np.full((160, 240), 80.0))
    assert found.not_seen == found.sectors > 3


def test_directions_outside_the_networks_view_are_counted_apart():
    said = scene()
    said[:, :120] = np.nan
    found = counted(said)
    assert found.unanswered == pytest.approx(found.sectors, abs=1)
    assert found.within_10 == found.sectors > 1


def test_frames_add_up_to_shares_of_all_directions():
    frames = [nearest.NearestCounts(8, 6, 1, 1), nearest.NearestCounts(2, not_seen=1)]
    found = nearest.nearest_summary(frames)
    assert found['sectors'] == 10
    assert (found['within_10'], found['too_far_150'], found['not_seen']) == (0.6, 0.1, 0.1)
    assert nearest.nearest_summary([nearest.NearestCounts()]) == {}
