# SPDX-License-Identifier: Apache-2.0
"""The ground map: geometry against ray casting, and what an unknown mount says."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import CANONICAL_HEIGHT_M, Mount, ground_map, height_cue, height_factor

CAMERA = Camera(480, 320, 400.0, 400.0, 250.0, 150.0)


def body_rotation(pitch_deg: float, roll_deg: float) -> np.ndarray:
    """URDF rpy of the camera body (x forward, y left, z up) without yaw."""
    p, r = np.deg2rad([pitch_deg, roll_deg])
    about_y = np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    return about_y @ about_x


@pytest.mark.parametrize(('pitch', 'roll'), [(0, 0), (12, 0), (-7, 0), (0, 9), (15, -6)])
def test_third_channel_is_the_depth_of_level_ground(pitch, roll):
    mount = Mount(0.4, pitch, roll)
    cells = ground_map(CAMERA, mount, (320, 480))[0]
    i, j = 17, 6
    u, v = 16 * j + 7.5, 16 * i + 7.5
    optical = np.array([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, 1.0])
    body = np.array([optical[2], -optical[0], -optical[1]])
    up = (body_rotation(pitch, roll) @ body)[2]
    depth_m = mount.height_m / -up  # along the optical axis, since its component is 1
    canonical = depth_m * 600 / 400 * CANONICAL_HEIGHT_M / mount.height_m
    assert np.exp(cells[2, i, j]) * 19.8 == pytest.approx(canonical, rel=1e-4)
    assert cells[0, i, j] * 100 == pytest.approx(-up * 400, rel=1e-4)
    assert (cells[3] == height_cue(mount)).all()


def test_height_changes_its_cue_alone_and_the_map_follows_crops():
    low, high = (ground_map(CAMERA, Mount(h, 5.0), (320, 480)) for h in (0.2, 2.0))
    np.testing.assert_array_equal(low[:, :3], high[:, :3])
    assert low[0, 3, 0, 0] == pytest.approx(1 + np.log(1.65 / 0.2) / 2)
    assert high[0, 3, 0, 0] == pytest.approx(1 + np.log(1.65 / 2.0) / 2)
    assert height_cue(Mount(1.65)) == 1
    assert height_cue(Mount(20.0)) == 0.25  # 0 is kept for what is not known
    crop = ground_map(CAMERA.cropped(64, 32, 320, 224), Mount(0.2, 5.0), (224, 320))
    np.testing.assert_allclose(crop, low[:, :, 2:16, 4:24], atol=1e-6)


def test_unknown_mount_tells_the_principal_point_alone():
    cells = ground_map(CAMERA, None, (320, 480))[0]
    assert (cells[2:] == 0).all()
    assert cells[0, 0, 0] * 100 == pytest.approx(7.5 - 150)
    blind = ground_map(None, None, (320, 480))[0]
    assert blind[1].sum() == pytest.approx(0, abs=1e-3)


def test_mount_from_the_direction_of_the_ground_is_the_same_mount():
    mount = Mount(0.5, 11.0, -4.0)
    again = Mount.from_down(0.5, np.array(mount.down) * 3)
    assert (again.pitch_deg, again.roll_deg) == pytest.approx((11.0, -4.0))


def test_impossible_mounts_are_refused():
    for values in ((0.0,), (float('nan'),), (1.0, 90.0), (1.0, 0.0, float('inf'))):
        with pytest.raises(ConfigError):
            Mount(*values)


def test_height_factor():
    assert height_factor(None) == 1
    assert height_factor(Mount(0.33)) == pytest.approx(0.2)


@pytest.mark.parametrize(('pitch', 'roll'), [(0, 0), (12, 0), (-7, 0), (0, 9), (15, -6)])
@pytest.mark.parametrize('yaw', [0, 140])
def test_mount_is_found_in_the_pose_of_the_optical_frame(pitch, roll, yaw):
    body_optical = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # REP-103
    y = np.deg2rad(yaw)
    about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = about_z @ body_rotation(pitch, roll) @ body_optical
    pose[:3, 3] = (0.2, -0.1, 0.45)
    mount = Mount.from_pose(pose)
    np.testing.assert_allclose(
        (mount.height_m, mount.pitch_deg, mount.roll_deg), (0.45, pitch, roll), atol=1e-9
    )


def test_poses_that_no_camera_has_are_refused():
    body = np.eye(4)
    body[2, 3] = 0.5
    with pytest.raises(ConfigError, match='optical frame taken for the body'):
        Mount.from_pose(body)
    below = np.eye(4)
    below[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    below[2, 3] = -0.3
    with pytest.raises(ConfigError, match=r'height is -0.3 m'):
        Mount.from_pose(below)
