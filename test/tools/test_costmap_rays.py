# SPDX-License-Identifier: Apache-2.0
"""What Nav2's VoxelLayer makes of our two clouds with our file's numbers, on a plain model of it.

The model follows nav2_costmap_2d/plugins/voxel_layer.cpp (navigation2 0537cb2) as far as heights,
ranges and rays go; the layer itself is not run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_nav2_config import costmap, sources

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.perception.navigation import class_mask, clearing_points, obstacle_points
from lightdepth_ros.perception.prediction import Prediction

CONFIG = NodeConfig()
CAMERA = Camera(120, 80, 110.0, 110.0, 59.5, 39.5)
CAMERA_HEIGHT_M = 1.5
BOX_M = 8.0
CELL_M = 0.25
"""Coarser than the file's, for speed."""
SIDE = int(40 / CELL_M)


def seen(box_height_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n, 3) points of points_obstacles and points_clearing in the robot's frame.

    A level camera on an endless road below the sky; 8 m ahead a box, 1 m wide, of this height.
    """
    rays = CAMERA.rays()
    with np.errstate(divide='ignore'):
        road_m = np.where(rays[..., 1] > 0, CAMERA_HEIGHT_M / rays[..., 1], np.inf)
    top = (CAMERA_HEIGHT_M - box_height_m) / BOX_M
    bottom = CAMERA_HEIGHT_M / BOX_M
    box = (np.abs(rays[..., 0]) < 0.5 / BOX_M) & (rays[..., 1] > top) & (rays[..., 1] < bottom)
    depth_m = np.where(box, BOX_M, np.where(road_m < CONFIG.max_range_m, road_m, np.inf))
    road = np.where(rays[..., 1] > 0, CLASS_ID['road'], CLASS_ID['sky'])
    label_id = np.where(box, CLASS_ID['person'], road).astype(np.uint8)
    prediction = Prediction(depth_m.astype(np.float32), label_id, None, CAMERA)
    obstacles = obstacle_points(prediction, class_mask(CONFIG.classes_ground))
    clearing = clearing_points(prediction, CONFIG.max_range_m, class_mask([]))
    return in_robot_frame(obstacles), in_robot_frame(clearing)


def in_robot_frame(cloud: np.ndarray) -> np.ndarray:
    flat = cloud.reshape(-1)
    return np.stack([flat['z'], -flat['x'], CAMERA_HEIGHT_M - flat['y']], axis=1).astype(float)


class Voxels:
    """The grid of the layer, 40 m square around the robot."""

    def __init__(self) -> None:
        layer = costmap('voxel')['voxel_layer']
        self.height_m, self.count = layer['z_resolution'], layer['z_voxels']
        self.occupied = np.zeros((SIDE, SIDE, self.count), bool)

    def update(self, clearing: np.ndarray, clear: Any, marking: np.ndarray, mark: Any) -> None:
        """One cycle of the layer: clear along the rays, then mark."""
        self._clear(within_heights(clearing, clear), clear['raytrace_max_range'])
        kept = within_heights(marking, mark)
        kept = kept[np.linalg.norm(kept - EYE, axis=1) < mark['obstacle_max_range']]
        kept[:, 2] = np.maximum(kept[:, 2], 0.0)  # what is below the grid marks its floor
        self.occupied[self._cells(kept)] = True

    def _clear(self, ends: np.ndarray, range_m: float) -> None:
        rays = ends - EYE
        length_m = np.linalg.norm(rays, axis=1, keepdims=True)
        reach_m = np.clip(np.minimum(length_m - 2 * CELL_M, range_m), 0, None)
        for step_m in np.arange(0.0, range_m, CELL_M / 2):
            places = (EYE + rays / length_m * step_m)[(reach_m >= step_m)[:, 0]]
            inside = (places[:, 2] >= 0) & (places[:, 2] < self.count * self.height_m)
            self.occupied[self._cells(places[inside])] = False

    def _cells(self, places: np.ndarray) -> tuple[np.ndarray, ...]:
        x, y = (np.floor(places[:, axis] / CELL_M).astype(int) + SIDE // 2 for axis in (0, 1))
        inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
        z = np.floor(places[:, 2] / self.height_m).astype(int)
        inside &= z < self.count
        return x[inside], y[inside], z[inside]

    def distances_m(self) -> list[float]:
        """Return how far ahead the costmap has obstacles, sorted."""
        columns = np.argwhere(self.occupied.any(axis=2))
        return sorted({float((x - SIDE // 2) * CELL_M) for x, _ in columns})


EYE = np.array([0.0, 0.0, CAMERA_HEIGHT_M])


def within_heights(places: np.ndarray, source: Any) -> np.ndarray:
    """Drop what the layer drops before it looks at a cloud: NaN, and heights out of limits."""
    height_m = places[:, 2]
    kept = height_m >= source['min_obstacle_height']
    kept &= height_m <= source['max_obstacle_height']
    return places[kept]


@pytest.fixture
def marked() -> Voxels:
    """A grid in which a box, taller than the camera, has been marked."""
    obstacles, clearing = seen(box_height_m=1.9)
    voxels = Voxels()
    voxels.update(clearing, sources('voxel')['clearing'], obstacles, sources('voxel')['obstacles'])
    return voxels


def test_box_is_marked_where_it_is_and_the_road_is_not(marked: Voxels):
    assert marked.distances_m() == [BOX_M]


def test_box_stays_while_it_is_seen(marked: Voxels):
    obstacles, clearing = seen(box_height_m=1.9)
    before = marked.occupied.copy()
    marked.update(clearing, sources('voxel')['clearing'], obstacles, sources('voxel')['obstacles'])
    assert np.array_equal(marked.occupied, before)


def test_box_that_has_gone_is_cleared_to_its_top(marked: Voxels):
    obstacles, clearing = seen(box_height_m=0.0)
    marked.update(clearing, sources('voxel')['clearing'], obstacles, sources('voxel')['obstacles'])
    assert marked.distances_m() == []


def test_without_the_clearing_cloud_it_would_stay_for_ever(marked: Voxels):
    obstacles, _ = seen(box_height_m=0.0)
    clear = sources('voxel')['clearing']
    marked.update(obstacles, clear, obstacles, sources('voxel')['obstacles'])
    assert marked.distances_m() == [BOX_M]


def test_with_the_height_limits_of_marking_its_upper_part_would_stay(marked: Voxels):
    obstacles, clearing = seen(box_height_m=0.0)
    mark = sources('voxel')['obstacles']
    low = sources('voxel')['clearing'] | {
        key: mark[key] for key in ('min_obstacle_height', 'max_obstacle_height')
    }
    marked.update(clearing, low, obstacles, mark)
    assert marked.distances_m() == [BOX_M]


def test_low_box_is_not_cleared_by_rays_above_it():
    mark, clear = sources('voxel')['obstacles'], sources('voxel')['clearing']
    obstacles, _ = seen(box_height_m=0.5)
    voxels = Voxels()
    voxels.update(obstacles, clear, obstacles, mark)
    assert voxels.distances_m() == [BOX_M]
    _, clearing = seen(box_height_m=0.5)
    above = clearing[clearing[:, 2] > CAMERA_HEIGHT_M]  # the sky, over the box
    voxels.update(above, clear, np.empty((0, 3)), mark)
    assert voxels.distances_m() == [BOX_M]
