# SPDX-License-Identifier: Apache-2.0
"""Range sensors beside a camera: their points land where the camera sees them, or nowhere."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.anchor import AnchorPoints, anchor
from lightdepth_ros.perception.ranges import MOST_USED, depth_xyz, joined, project
from training.datasets.synthetic import draw_scene
from training.datasets.synthetic.raster import Pose
from training.datasets.synthetic.scene import render

CAMERA = Camera.from_fov(240, 160, 75)
WIDE = Camera.from_fov(480, 320, 110)


def scene(seed: int, offset_m: tuple[float, float, float]):
    """Exact depth of a camera, NaN for none, and the points that a sensor at `offset_m` from it
    (right, down, ahead) sees, in the sensor's frame, which is turned like the camera's."""
    rng = np.random.default_rng([3, seed])
    world, view, _ = draw_scene(rng)
    depth = render(world, view, CAMERA).depth_m
    place = Pose(view.position + np.array(offset_m) @ view.rotation, view.rotation)
    seen = render(world, place, WIDE).depth_m
    return np.where(depth > 0, depth, np.nan), depth_xyz(seen, WIDE)


def shifted(offset_m) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = offset_m
    return pose


def off_truth(points: AnchorPoints, depth: np.ndarray) -> np.ndarray:
    true = depth[np.rint(points.v).astype(int), np.rint(points.u).astype(int)]
    return np.abs(np.log(points.depth_m / true))


@pytest.mark.parametrize('offset', [(0.0, 0.0, 0.0), (0.1, -0.1, 0.0), (-0.3, -0.4, 0.2)])
def test_points_agree_with_what_the_camera_sees(offset):
    for seed in range(4):
        depth, xyz = scene(seed, offset)
        points = project(xyz, shifted(offset), CAMERA)
        assert 500 < len(points.u) <= MOST_USED
        off = off_truth(points, depth)
        assert np.nanmedian(off) < 0.01
        assert np.nanmean(off > 0.2) < 0.03  # the rims of things; hidden returns are gone


def test_returns_that_the_camera_cannot_see_are_dropped():
    depth = np.full((160, 240), 20, np.float32)
    depth[60:120, 80:140] = 3
    offset = np.array([0.3, 0.0, 0.0])
    near = depth_xyz(np.where(depth == 3, depth, 0).astype(np.float32), CAMERA)
    far = depth_xyz(np.full((160, 240), 20, np.float32), CAMERA)  # also from behind the box
    points = project(np.concatenate([near, far]) - offset, shifted(offset), CAMERA)
    assert np.mean(off_truth(points, depth) > 0.1) < 0.01
    assert (points.depth_m > 10).sum() > 500


def test_only_what_lies_before_the_camera_and_in_its_picture_counts():
    xyz = np.array([[0, 0, 5], [0, 0, -5], [50, 0, 5], [0, 9, 5], [0, 0, 0.01], [np.nan, 0, 2]])
    points = project(xyz, np.eye(4), CAMERA)
    assert points.depth_m.tolist() == [5]
    assert points.u[0] == pytest.approx(CAMERA.cx)
    assert len(project(np.zeros((0, 3)), np.eye(4), CAMERA).u) == 0


def test_the_second_camera_of_a_stereo_pair_sees_points_from_its_own_centre():
    right = Camera(240, 160, 150, 150, 119.5, 79.5, origin_x_m=0.2)
    points = project(np.array([[0.2, 0.0, 3.0]]), np.eye(4), right)
    assert points.u[0] == pytest.approx(119.5)


def test_a_pose_turns_points():
    turn, _ = cv2.Rodrigues(np.array([0.0, np.pi / 2, 0.0]))  # the sensor looks to the right
    pose = np.eye(4)
    pose[:3, :3] = turn
    points = project(np.array([[-4.0, 0.0, 0.0]]), pose, CAMERA)
    assert points.depth_m.tolist() == pytest.approx([4])


def test_three_hundred_thousand_points_become_few():
    rng = np.random.default_rng(0)
    xyz = rng.uniform((-20, -2, -20), (20, 1, 40), (300_000, 3))
    points = project(xyz, np.eye(4), CAMERA)
    assert 0 < len(points.u) <= MOST_USED


def test_several_sources_are_joined():
    one = AnchorPoints(*np.ones((3, 4), np.float32))
    assert len(joined([one, one]).u) == 8
    assert len(joined([]).u) == 0


def test_a_lidar_beside_the_camera_mends_a_wrong_depth():
    for seed in range(4):
        depth, xyz = scene(seed, (0.1, -0.2, 0.0))
        wrong = (depth * 1.5).astype(np.float32)
        done = anchor(wrong, None, CAMERA, project(xyz, shifted((0.1, -0.2, 0.0)), CAMERA))
        assert np.nanmedian(np.abs(np.log(done.depth_m / depth))) < 0.02


def test_a_pose_wrong_by_three_degrees_stays_a_local_fault():
    turn, _ = cv2.Rodrigues(np.radians([3.0, 0.0, 0.0]))
    pose = np.eye(4)
    pose[:3, :3] = turn
    off = []
    for seed in range(4):
        depth, xyz = scene(seed, (0.0, 0.0, 0.0))
        done = anchor(depth.astype(np.float32), None, CAMERA, project(xyz, pose, CAMERA))
        off.append(np.nanmedian(np.abs(np.log(done.depth_m / depth))))
    assert 0.005 < np.median(off) < 0.3  # it does harm, as docs/anchoring.md says, and is bounded
