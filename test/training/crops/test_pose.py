# SPDX-License-Identifier: Apache-2.0
"""Poses: fitted to a frame's own road, carried into crops, told with errors or not at all."""

from dataclasses import replace

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY
from lightdepth_ros.mount import Mount, ground_map
from training.config import TrainConfig
from training.crops import pose, truth
from training.crops.augment import View, draw_view
from training.crops.stream import TWIN_ROOM_PX, full_ground_map, ready
from training.datasets.sample import RoughMount, Sample

CAMERA = Camera(480, 320, 400.0, 400.0, 239.5, 159.5)


def plane(mount: Mount, camera: Camera = CAMERA) -> Sample:
    """A flat road seen from `mount`; sky above the horizon."""
    rays = camera.rays()
    down = np.array(mount.down)
    drop = rays[..., 0] * down[0] + rays[..., 1] * down[1] + down[2]
    depth = np.where(drop > 0.004, mount.height_m / np.maximum(drop, 0.004), 0)
    label = np.where(depth > 0, CLASS_ID['road'], SKY).astype(np.uint8)
    rgb = np.full((*label.shape, 3), 90, np.uint8)
    return Sample(rgb, camera, depth.astype(np.float32), label, 'plane')


def test_pose_is_fitted_to_the_road_with_the_height_that_makers_say():
    sample = replace(plane(Mount(1.65, 2.0, -1.5)), height_m=1.65)
    found = pose.with_pose(sample).pose
    assert (found.pitch_deg, found.roll_deg) == pytest.approx((2.0, -1.5), abs=0.02)
    assert found.height_m == 1.65
    unsaid = pose.with_pose(replace(sample, height_m=None)).pose
    assert unsaid.height_m == pytest.approx(1.65, rel=0.01)


def test_a_height_that_contradicts_the_depth_gives_a_level_camera():
    sample = replace(plane(Mount(1.0, 2.0)), height_m=1.65)
    assert pose.with_pose(sample).pose == Mount(1.65)
    nothing = replace(sample, height_m=None, label_id=np.full((320, 480), 255, np.uint8))
    assert pose.with_pose(nothing).pose is None


def test_pose_of_a_frame_without_depth_comes_from_its_horizon():
    sample = plane(Mount(1.65, 3.0))
    sample.label_id[sample.depth_m > 80] = SKY  # where a straight road's label ends
    row = 159.5 - 400 * np.tan(np.deg2rad(3))
    rough = RoughMount((row + 0.5) / 320, 1.65)
    found = pose.with_pose(replace(sample, depth_m=None, mount=rough)).pose
    assert found.pitch_deg == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize('seed', range(6))
def test_a_crops_map_tells_the_depth_of_the_ground_in_it(seed):
    """Scaled, rolled, mirrored, moved: depth of the plane is what the crop's own map says."""
    mount = Mount(0.6, 9.0, 4.0)
    sample = replace(plane(mount), pose=mount)
    rng = np.random.default_rng(seed)
    view = draw_view(rng, sample, (192, 256), (300.0, 600.0), 5.0)
    camera, turned = pose.of_view(sample, view)
    config = TrainConfig(crops='192x256', sources='synthetic:1', standing=0)
    example = truth.crop(sample, view, config)
    example['factor'] = np.full((192, 256), turned.height_m / 1.65, np.float32)
    truth.finish(example, config)
    cells = ground_map(camera, turned, (192, 256), stride=1)[0]
    ground = (np.asarray(example['weight']) > 0) & (np.asarray(example['label']) == 0)
    ground &= np.abs(cells[2]) < 2
    assert ground.sum() > 1000
    told = np.exp(cells[2]) * 19.8
    off = np.abs(np.log(np.asarray(example['depth'])[ground] / told[ground]))
    assert np.median(off) < 0.02


def test_an_unknown_mount_is_told_as_often_as_asked_and_errs_as_asked():
    rng = np.random.default_rng(0)
    told = [pose.uncertain(rng, Mount(0.5, 10.0), 0.6, 1.0) for _ in range(2000)]
    known = [m for m in told if m is not None]
    assert len(known) / 2000 == pytest.approx(0.6, abs=0.05)
    spread = np.std([m.pitch_deg for m in known])
    assert 0.45 < spread < 0.7  # a deviation drawn from 0 to 1 degree
    assert pose.uncertain(rng, None, 1.0, 1.0) is None


def test_twins_see_the_same_pixels_and_their_own_ground():
    rng = np.random.default_rng(1)
    hw = (96 + TWIN_ROOM_PX, 128 + TWIN_ROOM_PX)
    camera = Camera(hw[1], hw[0], 300.0, 300.0, 70.0, 50.0)
    mount = Mount(0.4, 6.0)
    example = {
        'image': rng.integers(0, 255, (*hw, 3), dtype=np.uint8),
        'ground': full_ground_map(camera, mount, hw),
        'unscaled': False,
    }
    first, second = ready(example, (96, 128), (0, 0)), ready(example, (96, 128), (5, 11))
    np.testing.assert_array_equal(first['image'][5:, 11:], second['image'][:-5, :-11])
    np.testing.assert_array_equal(second['shift'], [5, 11])
    own = ground_map(camera.cropped(11, 5, 128, 96), mount, (96, 128))[0]
    np.testing.assert_allclose(second['ground'][:2], own[:2], atol=1e-4)
    np.testing.assert_allclose(second['ground'][2], own[2], atol=0.02)


def test_small_and_near_things_count_more_than_the_ground_and_sky_stays_the_sky():
    label = np.full((64, 64), CLASS_ID['building'], np.uint8)
    label[20:40, 30:33] = CLASS_ID['pole']
    label[56:] = CLASS_ID['road']
    label[:8] = SKY
    depth = np.full((64, 64), 40.0, np.float32)
    depth[50:] = 3.0
    depth[:8] = truth.SKY_CANONICAL_M
    example = {
        'label': label, 'depth': depth, 'weight': np.ones((64, 64), np.float32),
        'factor': np.full((64, 64), 0.1, np.float32),
    }  # fmt: skip
    truth.finish(example, TrainConfig(standing=1.0))
    weight = example['weight']
    assert weight[30, 32] == pytest.approx(4.0)
    assert weight[52, 5] == pytest.approx(2.5)
    assert weight[60, 5] == pytest.approx(1.0)
    assert weight[30, 5] == pytest.approx(1.5)
    assert (weight[:8] == 1).all()
    assert example['depth'][30, 5] == truth.SKY_CANONICAL_M  # 400 m of the canonical camera
    assert example['depth'][60, 5] == pytest.approx(30.0)


def test_view_of_an_uncalibrated_frame_has_no_camera():
    sample = Sample(np.zeros((8, 8, 3), np.uint8), None, None, None, 'bare')
    view = View(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (8, 8), 0.0)
    assert pose.of_view(sample, view) == (None, None)
