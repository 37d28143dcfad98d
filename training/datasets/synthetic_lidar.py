# SPDX-License-Identifier: Apache-2.0
"""Synthetic stereo pairs with a lidar that sits beside the camera, as on KITTI's car.

The scan is taken from the lidar's own place, so it looks past the edges of near objects as a real
one does. For measuring teachers and compensation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lightdepth_ros.camera import Camera
from training.datasets.lidar import nearest_per_pixel
from training.datasets.sample import Sample
from training.datasets.synthetic import SyntheticScenes, draw_scene
from training.datasets.synthetic.raster import Pose
from training.datasets.synthetic.scene import Scene, render

LIDAR_RIGHT_M, LIDAR_UP_M = 0.06, 0.08
"""Where KITTI's lidar stands, seen along the view from the left colour camera."""
ELEVATION_DEG = np.arange(2.0, -24.9, -0.42)
AZIMUTH_STEP_DEG = 0.17
RANGE_M, NOISE_M = 80.0, 0.02


class LidarScenes:
    """The scenes of SyntheticScenes(count, seed, stereo=True), with a scan as `depth_m`."""

    def __init__(self, count: int = 20, seed: int = 0) -> None:
        self.scenes = SyntheticScenes(count, seed, stereo=True)
        self.name = f'{self.scenes.name}-lidar'

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Sample:
        sample = self.scenes[index]
        rng = np.random.default_rng([self.scenes.seed, index])
        scene, view, _ = draw_scene(rng)
        assert sample.camera is not None
        depth_m = scan(scene, view, sample.camera, rng)
        return replace(sample, depth_m=depth_m, name=f'{self.name}-{index:06d}')


def scan(scene: Scene, view: Pose, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value: one scan, projected into the camera."""
    offset = np.array([LIDAR_RIGHT_M, -LIDAR_UP_M, 0.0])
    place = Pose(view.position + offset @ view.rotation, view.rotation)
    depth = render(scene, place, camera).depth_m
    half = camera.horizontal_fov_deg / 2
    azimuth = np.radians(np.arange(-half, half, AZIMUTH_STEP_DEG))
    elevation = np.radians(ELEVATION_DEG)[:, None]
    x, y = np.tan(azimuth) + 0 * elevation, -np.tan(elevation) / np.cos(azimuth)
    column = np.rint(camera.cx + camera.fx * x).astype(int)
    row = np.rint(camera.cy + camera.fy * y).astype(int)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    column, row = column[inside], row[inside]
    z = depth[row, column].astype(float)
    z[z > 0] += rng.normal(0, NOISE_M, np.count_nonzero(z > 0))
    seen = (z > 0) & (z < RANGE_M)
    points = np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy], 1)
    moved = points[seen] * z[seen, None] + offset[:2]
    u = camera.cx + camera.fx * moved[:, 0] / z[seen]
    v = camera.cy + camera.fy * moved[:, 1] / z[seen]
    return nearest_per_pixel(u, v, z[seen], camera.size_hw)
