# SPDX-License-Identifier: Apache-2.0
"""One picture of a world: render it, with depth and labels, from a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY
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
    mesh = scene.mesh
    surface = shade.look(mesh, view, camera)
    open_sky = surface.seen < 0
    label = mesh.label.take(surface.seen)
    label[open_sky] = SKY
    jitter = sky.patch(sky.jitter_field(), camera.size_hw, scene.noise_shift)
    colour = coloured_ground(scene, surface, label, jitter)
    sky.add_air(colour, surface.inverse_z, scene.light)
    sky.paint_sky(colour, open_sky, camera, view, scene.light)
    rgb = sky.exposed(colour, scene.sensor)
    rgb = shade.smoothed(rgb, surface.seen)
    rgb = sky.with_noise(rgb, scene.sensor, scene.noise_shift)
    depth = np.where(open_sky, 0, 1 / np.maximum(surface.inverse_z, 1e-6)).astype(np.float32)
    return Picture(rgb, depth, label)


def coloured_ground(
    scene: Scene, surface: shade.Surface, label: np.ndarray, jitter: np.ndarray
) -> np.ndarray:
    """Return (H, W, 3) float32 colours with road paint, stains and shadows on the ground."""
    colour, _ = shade.coloured(scene.mesh, surface, scene.light, jitter)
    is_ground = (surface.seen >= 0) & (surface.seen < scene.ground_count)
    on_road = np.flatnonzero(is_ground & (label == ROAD))
    shade.paint_marks(colour, surface, on_road, scene.road)
    off_map = np.float32(-1e4)
    s = np.where(is_ground, surface.s, off_map)
    factor = floor_map.looked_up(scene.floor, s, surface.t, scene.floor_z_m)
    colour *= factor[..., None]
    return colour
