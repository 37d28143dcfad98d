# SPDX-License-Identifier: Apache-2.0
"""Procedural road scenes with exact depth and labels: no data, no downloads, only NumPy, OpenCV.

A sample is a function of (seed, index) alone. The parts: layout and populate (what stands where),
road (the ground), mesh and the files named after things (shapes), world (all triangles), raster,
shade, floor_map and sky (the picture).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount
from training.datasets.sample import Sample
from training.datasets.synthetic import floor_map, light, world
from training.datasets.synthetic.raster import Pose, pose
from training.datasets.synthetic.road import STATION_M
from training.datasets.synthetic.scene import Scene, render

BASELINE_M = 0.54
DRIVE_SPEED_MPS = 8.0


class SyntheticScenes:
    """`count` unrelated scenes of a seed, rendered when asked for; about 35 ms of a core each."""

    def __init__(
        self,
        count: int = 2000,
        seed: int = 0,
        height: int = 320,
        width: int = 480,
        stereo: bool = False,
    ) -> None:
        self.name = f'synthetic-{seed}'
        self.count, self.seed = count, seed
        self.height, self.width, self.stereo = height, width, stereo

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f'{self.name} has {self.count} samples; there is no number {index}')
        rng = np.random.default_rng([self.seed, index])
        scene, view, fov = draw_scene(rng)
        camera = Camera.from_fov(self.width, self.height, fov)
        left = render(scene, view, camera)
        right = render(scene, view.moved_right(BASELINE_M), camera) if self.stereo else None
        return Sample(
            rgb=left.rgb,
            camera=camera,
            depth_m=left.depth_m,
            label_id=left.label_id,
            name=f'{self.name}-{index:06d}',
            right_rgb=right.rgb if right else None,
            baseline_m=BASELINE_M if right else None,
            pose=mount_of(scene, view),
        )


def mount_of(scene: Scene, view: Pose) -> Mount:
    """Return the exact mount of a camera over the ground under it, as that slopes ahead."""
    x, y, z = view.position
    road = scene.road
    d = x - road.centre(z)
    foot = float(road.height(d, z))
    slope = (float(road.height(d, z + STATION_M)) - foot) / STATION_M
    down = np.array([0.0, -1.0, slope]) / np.hypot(1.0, slope)
    height = float(y - foot) / np.hypot(1.0, slope)
    return Mount.from_down(float(height), view.rotation @ down)


def draw_scene(rng: np.random.Generator) -> tuple[Scene, Pose, float]:
    """Draw a scene, the camera's pose in it and its horizontal field of view in degrees."""
    style = world.draw_style(rng)
    place = world.draw_world(rng, style, 1.0)
    sun, sensor = light.draw_light(rng), light.draw_sensor(rng)
    view, fov = draw_view(rng, place)
    return scene_at(rng, place, view, 0.0, fov, sun, sensor), view, fov


def scene_at(
    rng: np.random.Generator,
    place: world.World,
    view: Pose,
    time_s: float,
    fov: float,
    sun: light.Light,
    sensor: light.Sensor,
) -> Scene:
    """Return what a camera sees at a time; things outside its field of view are left out."""
    z = float(view.position[2])
    ahead = view.rotation[2]
    # Roll and pitch widen what an upright wedge must hold; the right-hand camera stands aside.
    wide = np.deg2rad(min(fov / 2 + 6, 85))
    yaw = float(np.arctan2(ahead[0], ahead[2]))
    mesh, ground_count, boxes = world.around(place, z, time_s, view.position, yaw, wide)
    floor_z = floor_map.cell_floor(z)
    floor = floor_map.draw(place.stains, boxes, place.road, sun, floor_z)
    shift = (int(rng.integers(1000)), int(rng.integers(1000)))
    return Scene(mesh, ground_count, place.road, floor, floor_z, sun, sensor, shift)


def draw_view(rng: np.random.Generator, place: world.World) -> tuple[Pose, float]:
    """Draw where the camera is: mostly a car's in its lane, sometimes a small robot's."""
    small = rng.random() < 0.15
    height = rng.uniform(0.3, 1.0) if small else np.clip(rng.normal(1.5, 0.22), 0.9, 2.2)
    d = place.lanes[place.own].d_m + rng.normal(0, 0.35)
    if small and rng.random() < 0.5:
        side = rng.choice([-1, 1])
        d = side * (place.road.half_width_m + 0.6)
    x, y, _ = place.road.spots(d, 0.0)
    wander = 0.25 if rng.random() < 0.15 else 0.04
    yaw = place.road.heading(0.0) + rng.normal(0, wander)
    grade = np.arctan2(place.road.height(0, 4.0) - place.road.height(0, -4.0), 8.0)
    pitch = np.clip(rng.normal(-0.02, 0.05), -0.14, 0.14) + grade
    roll = np.clip(rng.normal(0, 0.017), -0.052, 0.052)
    fov = float(np.clip(rng.normal(66, 17), 40, 100))
    return pose(np.array([x, y + height, 0.0]), yaw, pitch, roll), fov


def drive(
    seed: int, frames: int, fps: float = 10.0, height: int = 320, width: int = 480
) -> Iterator[Sample]:
    """Yield the frames of one drive through a town: the camera and the traffic move.

    The camera is a car's: 1.5 m high, 70 degrees wide, about 8 m/s, nodding slightly.
    """
    rng = np.random.default_rng([seed, 1 << 20])
    length = DRIVE_SPEED_MPS * frames / fps
    place = world.draw_world(rng, world.layout.STYLES['city'], length)
    sun, sensor = light.draw_light(rng), light.draw_sensor(rng)
    camera = Camera.from_fov(width, height, 70.0)
    for k in range(frames):
        time_s = k / fps
        z = DRIVE_SPEED_MPS * time_s
        view = drive_view(place, z, time_s)
        frame_rng = np.random.default_rng([seed, k])
        scene = scene_at(frame_rng, place, view, time_s, 70.0, sun, sensor)
        picture = render(scene, view, camera)
        name, mount = f'drive-{seed}-{k:05d}', mount_of(scene, view)
        yield Sample(picture.rgb, camera, picture.depth_m, picture.label_id, name, pose=mount)


def drive_view(place: world.World, z: float, time_s: float) -> Pose:
    """Return the camera's pose on the drive."""
    road = place.road
    x, y, _ = road.spots(place.lanes[place.own].d_m + 0.15 * np.sin(0.4 * time_s), z)
    grade = np.arctan2(road.height(0, z + 4) - road.height(0, z - 4), 8.0)
    nod = 0.006 * np.sin(5.1 * time_s) + 0.004 * np.sin(8.3 * time_s)
    roll = 0.006 * np.sin(1.7 * time_s)
    return pose(np.array([x, y + 1.5, z]), road.heading(z), grade + nod, roll)
