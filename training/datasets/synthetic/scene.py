# SPDX-License-Identifier: Apache-2.0
"""One picture of a world: render it, with depth and labels, from a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import floor_map, raster, shade, sky
from training.datasets.synthetic.light import Light, Sensor
from training.datasets.synthetic.mesh import Mesh
from training.datasets.synthetic.road import Road

ROAD = CLASS_ID['road']


@dataclass(frozen=True)
class Scene:
    """Everything in front of a camera: triangles (the first `ground_count` are ground), light."""

    mesh: Mesh
    ground_count: int
    road: Road
    floor: np.ndarray
    floor_z_m: float
    light: Light
    sensor: Sensor
    noise_shift: tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """rgb (H, W, 3) uint8; depth_m (H, W) float32 metres, 0 = sky; label_id (H, W) uint8."""

    rgb: np.ndarray
    depth_m: np.ndarray
    label_id: np.ndarray


def render(scene: Scene, view: raster.Pose, camera: Camera) -> Picture:
    """Render a scene."""
    surface = shade.look(scene.mesh, scene.ground_count, view, camera)
    label = surface.mesh.label.take(surface.row)
    jitter = sky.patch(sky.jitter_field(), camera.size_hw, scene.noise_shift)
    colour = shade.coloured(surface, scene.light, jitter)
    mark_ground(colour, scene, surface, label)
    sky.add_air(colour, surface.inverse_z, scene.light)
    open_sky = surface.row == 0
    sky.paint_sky(colour, open_sky, camera, view, scene.light)
    rgb = sky.exposed(colour, scene.sensor)
    rgb = shade.smoothed(rgb, surface.row)
    rgb = sky.with_noise(rgb, scene.sensor, scene.noise_shift)
    depth = 1 / np.maximum(surface.inverse_z, np.float32(1e-6))
    depth[open_sky] = 0
    return Picture(rgb, depth, label)


def mark_ground(
    colour: np.ndarray, scene: Scene, surface: shade.Surface, label: np.ndarray
) -> None:
    """Add road paint, stains and shadows to the ground pixels of (3, H, W) colours."""
    on_road = np.flatnonzero(surface.ground & (label == ROAD))
    shade.paint_marks(colour, surface, on_road, scene.road)
    s = np.where(surface.ground, surface.s, np.float32(-1e4))
    colour *= floor_map.looked_up(scene.floor, s, surface.t, scene.floor_z_m)
