# SPDX-License-Identifier: Apache-2.0
"""Things that stand or move in a world: shape by distance, place, colours drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.datasets.synthetic import buildings, furniture, people, plants, vehicles
from training.datasets.synthetic.mesh import Colour, Mesh

Levels = tuple[tuple[float, Mesh], ...]
"""(limit_m, shape) nearest first: the shape drawn up to that distance; nothing beyond the last."""


@dataclass(frozen=True)
class Thing:
    """One thing of the world. It stands at (d, z) of the road and moves by `speed_mps` along z.

    yaw      radians from the road's direction.       scale   factors in x, y, z.
    shadow_m (across, along, height) of what casts its shadow; None = no shadow.
    sink_m   how deep it stands in the ground.        leafy   its shadow has gaps.
    at_front its origin is the middle of its -X face (buildings), not of its plan.
    """

    levels: Levels
    d_m: float
    z_m: float
    yaw: float = 0.0
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    colour: Colour | None = None
    shadow_m: tuple[float, float, float] | None = None
    speed_mps: float = 0.0
    sink_m: float = 0.0
    leafy: bool = False
    at_front: bool = False

    def shape(self, distance_m: float) -> Mesh | None:
        """Return the mesh to draw at this distance, if any."""
        for limit, mesh in self.levels:
            if distance_m < limit:
                return mesh
        return None


def table(*rows: tuple[float, float, float, int]) -> list[Colour]:
    """Return colours, each row (r, g, b, weight) repeated by its weight."""
    return [row[:3] for row in rows for _ in range(row[3])]


CAR_PAINTS = table(
    (0.85, 0.86, 0.87, 22),
    (0.62, 0.64, 0.66, 18),
    (0.1, 0.1, 0.11, 18),
    (0.3, 0.31, 0.33, 14),
    (0.6, 0.08, 0.08, 7),
    (0.1, 0.2, 0.45, 8),
    (0.35, 0.5, 0.65, 4),
    (0.2, 0.3, 0.2, 3),
    (0.75, 0.7, 0.6, 4),
    (0.85, 0.55, 0.1, 2),
)
CLOTHES = table(
    (0.1, 0.1, 0.12, 5),
    (0.3, 0.3, 0.33, 3),
    (0.15, 0.2, 0.35, 4),
    (0.75, 0.75, 0.74, 2),
    (0.6, 0.1, 0.1, 2),
    (0.35, 0.4, 0.3, 2),
    (0.7, 0.55, 0.35, 2),
    (0.85, 0.7, 0.15, 1),
    (0.3, 0.5, 0.7, 2),
)
WALLS = table(
    (0.82, 0.79, 0.72, 2),
    (0.62, 0.38, 0.3, 2),
    (0.72, 0.66, 0.55, 2),
    (0.55, 0.53, 0.5, 2),
    (0.8, 0.7, 0.52, 1),
    (0.66, 0.5, 0.42, 1),
    (0.45, 0.32, 0.27, 1),
    (0.72, 0.74, 0.75, 2),
    (0.85, 0.83, 0.8, 2),
    (0.5, 0.56, 0.58, 1),
)
LEAVES = table(
    (0.36, 0.46, 0.2, 4),
    (0.3, 0.4, 0.18, 4),
    (0.43, 0.5, 0.24, 3),
    (0.26, 0.36, 0.19, 2),
    (0.5, 0.52, 0.24, 1),
    (0.6, 0.46, 0.2, 1),
    (0.52, 0.33, 0.17, 1),
)
TIMBER = table((0.5, 0.4, 0.3, 3), (0.7, 0.68, 0.64, 1), (0.35, 0.33, 0.3, 2), (0.3, 0.36, 0.3, 1))


def pick(rng: np.random.Generator, colours: list[Colour]) -> Colour:
    """Draw a colour near one of a table."""
    which, bright, hue = rng.random(3).tolist()
    red, green, blue = colours[int(which * len(colours))]
    gain, warmth = 0.84 + 0.34 * bright, 0.05 * (hue - 0.5)
    return max(red * gain + warmth, 0.02), green * gain, max(blue * gain - warmth, 0.02)


def one_of(rng: np.random.Generator, count: int) -> int:
    """Draw a variant number."""
    return int(rng.integers(count))


def vehicle(
    rng: np.random.Generator, d: float, z: float, yaw: float, speed: float, heavy: float = 0.13
) -> Thing:
    """Return a car or, with chance `heavy`, a truck or bus."""
    kind = rng.random() / max(heavy, 1e-6)
    if kind < 0.62:
        variant = one_of(rng, vehicles.TRUCK_VARIANTS)
        levels = ((200.0, vehicles.truck(variant)),)
        size = (2.4, vehicles.truck_length(variant), 2.6)
    elif kind < 1:
        levels = ((200.0, vehicles.bus(one_of(rng, vehicles.BUS_VARIANTS))),)
        size = (2.55, 11.5, 3.0)
    else:
        variant = one_of(rng, vehicles.CAR_VARIANTS)
        levels = ((26.0, vehicles.car(variant, False)), (170.0, vehicles.car(variant, True)))
        size = (1.8, 4.4, 1.3)
    colour = pick(rng, CAR_PAINTS)
    return Thing(levels, d, z, yaw, colour=colour, shadow_m=size, speed_mps=speed)


def two_wheeler(rng: np.random.Generator, d: float, z: float, way: int) -> list[Thing]:
    """Return a bicycle or motorcycle with its rider."""
    motor = bool(rng.random() < 0.45)
    yaw = rng.normal(0, 0.08) + (np.pi if way < 0 else 0)
    speed = way * (7.0 if motor else 4.0)
    scale = (1.0, float(rng.uniform(0.95, 1.08)), 1.0)
    variant = one_of(rng, people.RIDER_VARIANTS)
    body = people.rider(variant, motor, False), people.rider(variant, motor, True)
    person = ((18.0, body[0]), (110.0, body[1]))
    coat = pick(rng, CLOTHES)
    return [
        Thing(machine(motor), d, z, yaw, scale, pick(rng, CAR_PAINTS), (0.4, 1.9, 1.0), speed),
        Thing(person, d, z, yaw, scale, coat, (0.5, 0.6, 1.6), speed),
    ]


def machine(motor: bool) -> Levels:
    """Return a motorcycle or bicycle."""
    make = vehicles.motorcycle if motor else vehicles.bicycle
    return ((18.0, make(False)), (100.0, make(True)))


def walker(rng: np.random.Generator, d: float, z: float, yaw: float, speed: float) -> Thing:
    """Return a pedestrian, sometimes a child."""
    tall = rng.uniform(0.62, 0.8) if rng.random() < 0.12 else rng.uniform(0.93, 1.1)
    wide = tall * rng.uniform(0.95, 1.12)
    variant = one_of(rng, people.VARIANTS)
    near, far = people.pedestrian(variant, False), people.pedestrian(variant, True)
    levels = ((18.0, near), (110.0, far))
    size = (0.45, 0.4, 1.6)
    return Thing(levels, d, z, yaw, (wide, tall, wide), pick(rng, CLOTHES), size, speed)


def tree(rng: np.random.Generator, d: float, z: float) -> Thing:
    """Return a tree of random height and colour."""
    tall, wide = rng.uniform(0.6, 1.5), rng.uniform(0.7, 1.25)
    variant = one_of(rng, plants.TREE_VARIANTS)
    shapes = [plants.tree(variant, level) for level in range(3)]
    levels = tuple(zip((20.0, 50.0, 200.0), shapes, strict=True))
    turn = rng.uniform(0, 6.3)
    size = (3.4 * wide, 3.4 * wide, 6.0)
    colour = pick(rng, LEAVES)
    shape = (wide, tall, wide)
    return Thing(levels, d, z, turn, shape, colour, size, sink_m=0.15, leafy=True)


def bush(rng: np.random.Generator, d: float, z: float) -> Thing:
    """Return a bush."""
    size = float(rng.uniform(0.5, 1.6))
    variant = one_of(rng, plants.BUSH_VARIANTS)
    levels = ((18.0, plants.bush(variant, False)), (130.0, plants.bush(variant, True)))
    colour = pick(rng, LEAVES)
    turn = rng.uniform(0, 6)
    return Thing(levels, d, z, turn, (size,) * 3, colour, (size,) * 3, sink_m=0.05)


def kerb_clutter(rng: np.random.Generator, d: float, z: float) -> Thing:
    """Return a parked two-wheeler, a bin, a box, a bench or a cone."""
    yaw = rng.uniform(-0.3, 0.3) + rng.choice([0, np.pi / 2])
    kind = rng.random()
    colour = pick(rng, CAR_PAINTS)
    if kind < 0.5:
        size = (0.4, 1.7, 0.8)
        return Thing(machine(bool(kind < 0.18)), d, z, yaw, colour=colour, shadow_m=size)
    levels = ((80.0, furniture.clutter(one_of(rng, 4))),)
    return Thing(levels, d, z, yaw, colour=colour, shadow_m=(0.6, 0.6, 0.8))


def barrier_piece(rng: np.random.Generator) -> tuple[Levels, Colour]:
    """Draw the 4 m piece and colour of a row of fence, wall or hedge."""
    kind = rng.random()
    if kind < 0.4:
        variant = one_of(rng, furniture.FENCE_VARIANTS)
        near, far = furniture.fence(variant), furniture.far_fence(variant)
        return ((28.0, near), (170.0, far)), pick(rng, TIMBER)
    if kind < 0.7:
        return ((200.0, furniture.wall(one_of(rng, furniture.WALL_VARIANTS))),), pick(rng, WALLS)
    tall = bool(rng.random() < 0.5)
    near, far = plants.hedge(tall, False), plants.hedge(tall, True)
    return ((28.0, near), (170.0, far)), pick(rng, LEAVES)


def house(rng: np.random.Generator, kind: str, d: float, z: float, side: int) -> tuple:
    """Return a building whose near corner on the street is at z, and its length."""
    variant = one_of(rng, buildings.VARIANTS)
    depth, height, long = buildings.front_size(kind, variant)
    yaw = 0.0 if side > 0 else np.pi
    tall = (1.0, float(rng.uniform(0.85, 1.15)), 1.0)
    levels = ((1000.0, buildings.building(kind, variant)),)
    colour = pick(rng, WALLS)
    size = (depth, long, height)
    thing = Thing(levels, d, z + long / 2, yaw, tall, colour, size, at_front=True)
    return thing, long


def bridge(rng: np.random.Generator, road_half_m: float, z: float) -> Thing:
    """Return a bridge across the road. Cityscapes train ids have no class for it."""
    mesh = buildings.bridge(round(road_half_m + 1.5), one_of(rng, 3))
    turn = rng.normal(0, 0.12)
    size = (60.0, buildings.BRIDGE_DEEP_M, 0.3)
    return Thing(((300.0, mesh),), 0.0, z, turn, colour=pick(rng, WALLS), shadow_m=size)
