# SPDX-License-Identifier: Apache-2.0
"""Round and living things of a place: people, cars, trees, posts, bottles, cones, cables."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import furniture, people, plants, things, vehicles
from training.datasets.synthetic.mesh import Look, Mesh, ball, disc, joined, tube
from training.datasets.synthetic.robots.kit import OBSTACLE, Kit


def person(kit: Kit, x: float, z: float) -> None:
    """Put a standing or walking person, sometimes a child."""
    rng = kit.rng
    tall = rng.uniform(0.6, 0.8) if rng.random() < 0.15 else rng.uniform(0.93, 1.1)
    mesh = people.pedestrian(int(rng.integers(people.VARIANTS)), bool(np.hypot(x, z) > 14))
    colour = things.pick(rng, things.CLOTHES)
    kit.shape(mesh, x, z, rng.uniform(0, 6.3), (tall, tall, tall), colour, (0.55, 0.55, 1.7))


def people_around(kit: Kit, half_width: float, far: float, mean: float) -> None:
    """Put people in front of the camera, often one so near that the feet are out of sight."""
    rng = kit.rng
    if rng.random() < 0.22:
        person(kit, rng.uniform(-0.8, 0.8), rng.uniform(0.6, 2.2))
    for _ in range(int(rng.poisson(mean))):
        person(kit, rng.uniform(-half_width, half_width), rng.uniform(1.5, far))


def car(kit: Kit, x: float, z: float, yaw: float) -> None:
    """Put a parked car."""
    rng = kit.rng
    far = bool(np.hypot(x, z) > 22)
    mesh = vehicles.car(int(rng.integers(vehicles.CAR_VARIANTS)), far)
    paint = things.pick(rng, things.CAR_PAINTS)
    kit.shape(mesh, x, z, yaw, (1.0, 1.0, 1.0), paint, (1.9, 4.7, 1.3))


def truck(kit: Kit, x: float, z: float, yaw: float) -> None:
    """Put a parked truck."""
    variant = int(kit.rng.integers(vehicles.TRUCK_VARIANTS))
    paint = things.pick(kit.rng, things.CAR_PAINTS)
    foot = (2.6, vehicles.truck_length(variant), 2.8)
    kit.shape(vehicles.truck(variant), x, z, yaw, (1.0, 1.0, 1.0), paint, foot)


def bicycle(kit: Kit, x: float, z: float, yaw: float) -> None:
    """Put a parked bicycle."""
    paint = things.pick(kit.rng, things.CAR_PAINTS)
    kit.shape(vehicles.bicycle(False), x, z, yaw, (1.0, 1.0, 1.0), paint, (0.5, 1.8, 1.0))


def tree(kit: Kit, x: float, z: float) -> None:
    """Put a tree; only its trunk must keep clear of the camera."""
    rng = kit.rng
    near = np.hypot(x, z)
    level = 0 if near < 16 else 1 if near < 40 else 2
    wide, tall = rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.3)
    if near < 2.5 * wide:
        return
    mesh = plants.tree(int(rng.integers(plants.TREE_VARIANTS)), level)
    colour = things.pick(rng, things.LEAVES)
    foot = (2.6 * wide, 2.6 * wide, 5.0)
    kit.shape(mesh, x, z, rng.uniform(0, 6), (wide, tall, wide), colour, foot, -0.1, True)


def bush(kit: Kit, x: float, z: float) -> None:
    """Put a bush."""
    rng = kit.rng
    size = float(rng.uniform(0.4, 1.2))
    if np.hypot(x, z) < 1.6 * size + 0.3:
        return
    mesh = plants.bush(int(rng.integers(plants.BUSH_VARIANTS)), bool(np.hypot(x, z) > 12))
    colour = things.pick(rng, things.LEAVES)
    kit.shape(mesh, x, z, rng.uniform(0, 6), (size,) * 3, colour, (size, size, size), -0.05)


def lamp_post(kit: Kit, x: float, z: float, yaw: float) -> None:
    """Put a lamp post that gives light at night."""
    mesh = furniture.lamp_post(int(kit.rng.integers(2)))
    if kit.shape(mesh, x, z, yaw, foot=(0.25, 0.25, 5.0)):
        kit.lamps.append((x, 4.8, z, 1.0))


@lru_cache(maxsize=16)
def small(kind: int) -> Mesh:
    """Return a bottle (0, 1), a bucket, a ball, a tin, a round bin, a round post or a cable."""
    plain = Look(OBSTACLE, 0, (0.5, 0.5, 0.5), paint=True)
    dark = Look(OBSTACLE, 0, (0.12, 0.12, 0.13))
    up = np.array([0.0, 1.0, 0.0])
    if kind < 2:
        r, h = ((0.035, 0.2), (0.045, 0.3))[kind]
        return joined([tube(0 * up, 0.65 * h * up, (r, r), 10, plain),
                       tube(0.65 * h * up, 0.85 * h * up, (r, 0.4 * r), 10, plain),
                       tube(0.85 * h * up, h * up, (0.4 * r, 0.4 * r), 8, dark)])  # fmt: skip
    if kind == 3:
        return ball((0, 0.11, 0), (0.11, 0.11, 0.11), plain, 10)
    if kind == 7:
        return cable()
    r, q, h = {2: (0.11, 0.15, 0.28), 4: (0.04, 0.04, 0.11), 5: (0.2, 0.24, 0.75),
               6: (0.07, 0.07, 0.9)}[kind]  # fmt: skip
    look = Look(CLASS_ID['pole'], 0, (0.5, 0.5, 0.5), paint=True) if kind == 6 else plain
    lid = Look(look.label, 0, (0.75, 0.75, 0.72))
    return joined([tube(0 * up, h * up, (r, q), 12, look), disc(h * up, up, q, 12, lid)])


def cable() -> Mesh:
    """Return a cable that lies on the floor in a wave, 3 m along X."""
    x = np.linspace(-1.5, 1.5, 13)
    z = 0.16 * np.sin(2.3 * x) + 0.05 * np.sin(7 * x)
    points = np.stack([x, np.full(13, 0.012), z], 1)
    look = Look(OBSTACLE, 0, (0.09, 0.09, 0.1), paint=True)
    return joined([tube(a, b, (0.012, 0.012), 5, look)
                   for a, b in itertools.pairwise(points)])  # fmt: skip


def litter(kit: Kit, half_width: float, far: float, count: int) -> None:
    """Scatter small things on the ground, most of them near."""
    rng = kit.rng
    kinds = rng.choice(8, count, p=[0.16, 0.14, 0.12, 0.1, 0.16, 0.12, 0.1, 0.1])
    for kind in kinds:
        x, z = rng.uniform(-half_width, half_width), 0.45 + (far - 0.45) * rng.random() ** 2
        colour = things.pick(rng, things.CAR_PAINTS)
        wide = 0.3 if kind != 7 else 0.02
        kit.shape(small(int(kind)), x, z, rng.uniform(0, 6.3), (1.0,) * 3, colour,
                  (wide, wide, 0.25 if kind != 7 else 0.02))  # fmt: skip
    if rng.random() < 0.3:
        x, z = rng.uniform(-half_width, half_width), rng.uniform(1, max(far, 1.0))
        kit.shape(furniture.clutter(3), x, z, foot=(0.42, 0.42, 0.7))
