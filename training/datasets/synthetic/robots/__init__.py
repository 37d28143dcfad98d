# SPDX-License-Identifier: Apache-2.0
"""Scenes as robots see them: low cameras, close things, rooms; exact depth, labels and mount.

The camera is 0.15 to 2.5 m above level ground, pitched from 30 degrees down to 15 up, and 45 to
110 degrees wide. A sample is a function of (seed, index) alone. Places: pavement, park, campus,
car park and loading yard out of doors; corridor, room, hall and warehouse aisle, which are closed,
so that every pixel there has depth.

Labels are Cityscapes train ids, used like this:

    road        floors indoors, carriageways, car parks and yards: what a robot may drive on
    sidewalk    pavements, squares, park paths and kerbs        terrain     grass and bare earth
    wall        walls and doors, furniture, shelves and their contents, boxes, pallets, steps,
                benches, bins, containers, bottles, cables: every static obstacle of no other class
    building    houses; indoors the ceiling and its lamps       fence       fences
    pole        posts, bollards and lamp posts                  traffic_sign, person, car, truck,
    vegetation  trees, bushes and hedges                        bicycle, sky: as named

The parts: indoor, rooms, outdoor, surroundings (places), prefabs, shapes (things), kit (puts them
together), floor (stains, shadows), conditions (light, air, faults), picture (the renderer).
"""

from __future__ import annotations

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount
from training.datasets.sample import Sample
from training.datasets.synthetic.raster import NEAR_M, Pose, pose
from training.datasets.synthetic.robots import conditions, floor, indoor, outdoor, surroundings
from training.datasets.synthetic.robots.kit import Kit
from training.datasets.synthetic.robots.picture import Place, render

HEIGHTS_M = (0.15, 2.5)
PITCHES_DEG = (-15.0, 30.0)
"""As in lightdepth_ros.mount: positive looks down."""
FIELDS_DEG = (45.0, 110.0)
PLACES = {
    'corridor': (indoor.corridor, 0.15), 'room': (indoor.room, 0.17),
    'hall': (indoor.hall, 0.08), 'warehouse': (indoor.warehouse, 0.1),
    'pavement': (outdoor.pavement, 0.16), 'park': (outdoor.park, 0.12),
    'campus': (outdoor.campus, 0.09), 'car park': (outdoor.car_park, 0.06),
    'yard': (outdoor.yard, 0.07),
}  # fmt: skip
"""Function that builds each place, and its share of the scenes."""
INDOORS = ('corridor', 'room', 'hall', 'warehouse')


class RobotScenes:
    """`count` unrelated scenes of a seed, rendered when asked for; about 25 ms of a core each."""

    def __init__(
        self, count: int = 2500, seed: int = 40, height: int = 320, width: int = 480
    ) -> None:
        self.name = f'synthetic-robot-{seed}'
        self.count, self.seed = count, seed
        self.height, self.width = height, width

    def __len__(self) -> int:
        return self.count

    def place_name(self, index: int) -> str:
        """Return what kind of place a sample shows."""
        return draw_place(np.random.default_rng([self.seed, index]))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f'{self.name} has {self.count} samples; there is no number {index}')
        rng = np.random.default_rng([self.seed, index])
        name = draw_place(rng)
        camera, view = draw_view(rng, name, (self.height, self.width))
        picture = render(build(rng, name, float(view.position[1])), view, camera)
        return Sample(
            rgb=picture.rgb,
            camera=camera,
            depth_m=picture.depth_m,
            label_id=picture.label_id,
            name=f'{self.name}-{index:06d}',
            pose=mount_of(view),
        )


def mount_of(view: Pose) -> Mount:
    """Return the exact mount of a camera over the level ground Y = 0."""
    return Mount.from_down(float(view.position[1]), -view.rotation[:, 1])


def draw_place(rng: np.random.Generator) -> str:
    """Draw a kind of place."""
    return str(rng.choice(list(PLACES), p=[share for _, share in PLACES.values()]))


def build(rng: np.random.Generator, name: str, eye_y: float) -> Place:
    """Build a place of this kind around a camera at this height over the origin."""
    indoors = name in INDOORS
    condition = conditions.draw(rng, indoors)
    kit = Kit(rng, eye_y)
    PLACES[name][0](kit)
    if not indoors:
        surroundings.horizon(kit)
    mesh, ground_count, casters = kit.build()
    ground = floor.draw(kit, casters, condition.light, float(rng.uniform(0.3, 1.0)))
    lamps = np.array(kit.lamps).reshape(-1, 4)
    shift = (int(rng.integers(1000)), int(rng.integers(1000)))
    return Place(mesh, ground_count, ground, kit.fine, lamps, condition, shift)


def draw_view(
    rng: np.random.Generator, name: str, size_hw: tuple[int, int]
) -> tuple[Camera, Pose]:
    """Draw the camera over the origin and where it looks: mostly along the way."""
    height = draw_height(rng)
    if name in ('corridor', 'room'):
        height = min(height, 2.0)
    fov = float(np.clip(rng.normal(74, 18), *FIELDS_DEG))
    pitch = rng.uniform(*PITCHES_DEG) if rng.random() < 0.3 else rng.normal(5, 8)
    pitch = float(np.clip(pitch, *PITCHES_DEG))
    roll = float(np.clip(rng.normal(0, 2.0), -7, 7))
    wander = {'room': 1.2, 'hall': 0.5, 'corridor': 0.3}.get(name, 0.35)
    yaw = float(np.clip(rng.normal(0, wander), -2.6, 2.6))
    camera = Camera.from_fov(size_hw[1], size_hw[0], fov)
    position = np.array([0.0, height, 0.0])
    view = pose(position, yaw, -np.deg2rad(pitch), np.deg2rad(roll))
    while nearest_ground(camera, view) < 1.1 * NEAR_M:
        pitch -= 3.0
        view = pose(position, yaw, -np.deg2rad(pitch), np.deg2rad(roll))
    return camera, view


def draw_height(rng: np.random.Generator) -> float:
    """Draw a height: most between 0.2 and 0.8 m, all between HEIGHTS_M."""
    low, high = np.log(HEIGHTS_M)
    spread = rng.uniform(low, high) if rng.random() < 0.4 else rng.normal(np.log(0.42), 0.45)
    return float(np.exp(np.clip(spread, low, high)))


def nearest_ground(camera: Camera, view: Pose) -> float:
    """Return the depth along Z of the nearest level ground in the picture."""
    corners = camera.rays()[:: camera.height - 1, :: camera.width - 1].reshape(-1, 2)
    slope = np.column_stack([corners, np.ones(4)]) @ -view.rotation[:, 1]
    return float(view.position[1] / max(slope.max(), 1e-6))
