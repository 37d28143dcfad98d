# SPDX-License-Identifier: Apache-2.0
"""Fill a road's surroundings with things, band by band from the lanes outward."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.datasets.synthetic import buildings, furniture, people, plants, vehicles
from training.datasets.synthetic.layout import Lane, Style, Thing
from training.datasets.synthetic.road import Road

PAINTS = np.array(
    [
        (0.85, 0.86, 0.87),
        (0.62, 0.64, 0.66),
        (0.1, 0.1, 0.11),
        (0.3, 0.31, 0.33),
        (0.6, 0.08, 0.08),
    ]
    + [(0.1, 0.2, 0.45), (0.35, 0.5, 0.65), (0.2, 0.3, 0.2), (0.75, 0.7, 0.6), (0.85, 0.55, 0.1)]
)
CAR_PAINTS = np.repeat(PAINTS, [22, 18, 18, 14, 7, 8, 4, 3, 4, 2], axis=0)
WALL_PAINTS = np.array(
    [
        (0.82, 0.79, 0.72),
        (0.62, 0.38, 0.3),
        (0.72, 0.66, 0.55),
        (0.55, 0.53, 0.5),
        (0.8, 0.7, 0.52),
    ]
    + [
        (0.66, 0.5, 0.42),
        (0.45, 0.32, 0.27),
        (0.72, 0.74, 0.75),
        (0.85, 0.83, 0.8),
        (0.5, 0.56, 0.58),
    ]
)
LEAF_PAINTS = np.array(
    [
        (0.30, 0.39, 0.17),
        (0.24, 0.33, 0.15),
        (0.36, 0.42, 0.2),
        (0.2, 0.28, 0.15),
        (0.42, 0.44, 0.2),
    ]
    + [(0.52, 0.4, 0.17), (0.45, 0.28, 0.14), (0.33, 0.36, 0.22)]
)


def pick(rng: np.random.Generator, table: np.ndarray) -> tuple:
    """Draw a colour near one row of a table."""
    which, bright, *hue = rng.random(5)
    row = table[int(which * len(table))] * (0.84 + 0.34 * bright)
    return tuple(np.clip(row + 0.05 * (np.array(hue) - 0.5), 0.02, 1))


def every(
    rng: np.random.Generator, first: float, last: float, per_100_m: float
) -> Iterator[float]:
    """Yield random z from first to last with this mean density."""
    if per_100_m <= 0:
        return
    mean = 100.0 / per_100_m
    z = first + rng.uniform(0, mean)
    while z < last:
        yield z
        z += rng.uniform(0.35, 1.65) * mean


def vehicle(rng: np.random.Generator, d: float, z: float, yaw: float, speed: float) -> Thing:
    """Return a car (mostly), truck or bus at a place."""
    kind = rng.choice(3, p=[0.86, 0.09, 0.05])
    make = (vehicles.car, vehicles.truck, vehicles.bus)[kind]
    count = (vehicles.CAR_VARIANTS, vehicles.TRUCK_VARIANTS, vehicles.BUS_VARIANTS)[kind]
    variant = int(rng.integers(count))
    size = ((1.8, 4.4, 1.3), (2.4, 8.5, 2.6), (2.55, 11.5, 3.0))[kind]
    return Thing(
        make(variant),
        d,
        z,
        yaw,
        colour=pick(rng, PAINTS),
        shadow_m=size,
        speed_mps=speed,
    )


def traffic(
    rng: np.random.Generator,
    style: Style,
    lanes: tuple[Lane, ...],
    own: int,
    own_z: float,
    length: float,
) -> list[Thing]:
    """Return moving vehicles and cyclists on the lanes; lane number `own` is free around own_z."""
    things = []
    for number, lane in enumerate(lanes):
        speed = lane.way * rng.uniform(6.5, 11.0)
        z = -8.0 + rng.exponential(14.0)
        dense = 100.0 / max(style.traffic, 0.3)
        while z < length - 10:
            if number != own or abs(z - own_z) > 11:
                d = lane.d_m + rng.normal(0, 0.2)
                yaw = rng.normal(0, 0.02) + (np.pi if lane.way < 0 else 0)
                pace = speed if number != own else 8.0 * lane.way
                things.append(vehicle(rng, d, z, yaw, pace))
            z += 9.0 + rng.exponential(dense)
        for at in every(rng, 4, length - 10, style.cyclists / 2):
            if number != own or abs(at - own_z) > 6:
                side = 1.1 if lane.d_m > 0 else -1.1
                things += two_wheeler(rng, lane.d_m + side, at, lane.way)
    return things


def two_wheeler(rng: np.random.Generator, d: float, z: float, way: int) -> list[Thing]:
    """Return a bicycle or motorcycle with its rider."""
    motor = bool(rng.random() < 0.45)
    yaw = rng.normal(0, 0.08) + (np.pi if way < 0 else 0)
    speed = way * (7.0 if motor else 4.0)
    coat = pick(rng, PAINTS)
    scale = (1.0, float(rng.uniform(0.95, 1.08)), 1.0)
    body = people.machine(motor)
    rider = people.rider(int(rng.integers(8)), motor)
    return [
        Thing(body, d, z, yaw, scale, pick(rng, PAINTS), (0.4, 1.9, 1.0), speed),
        Thing(rider, d, z, yaw, scale, coat, (0.5, 0.6, 1.6), speed),
    ]


def cross_traffic(rng: np.random.Generator, road: Road) -> list[Thing]:
    """Return vehicles on the cross roads and people on the zebra crossings."""
    things = []
    for first, last in road.junctions:
        for _ in range(int(rng.integers(0, 4))):
            d = rng.choice([-1, 1]) * rng.uniform(road.half_width_m + 3, 24)
            way = rng.choice([-1, 1])
            z = (first + last) / 2 + way * (last - first) * 0.22
            things.append(vehicle(rng, d, z, way * np.pi / 2, 0.0))
    for first, last in road.crossings:
        for _ in range(int(rng.integers(0, 4))):
            d = rng.uniform(-1, 1) * road.half_width_m
            way = rng.choice([-1, 1])
            things.append(walker(rng, d, rng.uniform(first, last), way * np.pi / 2, 0.0))
    return things


def walker(rng: np.random.Generator, d: float, z: float, yaw: float, speed: float) -> Thing:
    """Return a pedestrian, sometimes a child."""
    tall = rng.uniform(0.62, 0.8) if rng.random() < 0.12 else rng.uniform(0.93, 1.1)
    wide = tall * rng.uniform(0.95, 1.12)
    mesh = people.pedestrian(int(rng.integers(people.VARIANTS)))
    return Thing(mesh, d, z, yaw, (wide, tall, wide), pick(rng, PAINTS), (0.45, 0.4, 1.6), speed)


def roadside(
    rng: np.random.Generator, style: Style, road: Road, side: int, parked: bool, length: float
) -> list[Thing]:
    """Return what stands beside the road on one side, parked cars to people."""
    things = []
    half, edge = road.half_width_m, road.edge(side)
    open_z = [z for z in every(rng, -6, length, style.poles) if not road.in_junction(z, 1)]
    post_d = half + rng.uniform(0.4, 0.8)
    kind = int(rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
    for z in open_z:
        kind_here = 3 if rng.random() < 0.25 else kind
        things.append(standing(furniture.lamp_post(kind_here), side, post_d, z, (0.2, 0.2, 4.0)))
    if parked:
        things += parked_cars(rng, road, side, length)
    for z in every(rng, -5, length, style.signs):
        variant = int(rng.integers(furniture.SIGN_VARIANTS))
        yaw = rng.normal(0, 0.15) + (np.pi if rng.random() < 0.25 else 0)
        things.append(
            Thing(furniture.sign(variant), side * (half + rng.uniform(0.4, 1.2)), z, yaw)
        )
    for first, last in road.junctions:
        if rng.random() < 0.75 and style.name != 'forest':
            z = first - 0.8 if side > 0 else last + 0.8
            light = furniture.traffic_light(int(rng.integers(furniture.LIGHT_VARIANTS)))
            mirror = (float(side), 1.0, 1.0)
            things.append(
                Thing(light, side * (half + 0.7), z, 0.0, mirror, shadow_m=(0.3, 0.3, 3))
            )
            things.append(Thing(light, side * (half + 0.7), first + last - z, np.pi, mirror))
    for z in every(rng, -5, length, style.trees):
        if not road.in_junction(z, 2.5):
            things.append(
                tree(rng, side * (half + rng.uniform(0.9, 1.3) + 0.5 * (edge - half > 5)), z)
            )
    walk_width = max(edge - half, 1.0)
    for z in every(rng, -4, length, style.people):
        for _ in range(1 + int(rng.random() < 0.3)):
            d = side * (half + rng.uniform(0.25, 0.95) * walk_width)
            yaw = rng.normal(0, 0.4) + (np.pi if rng.random() < 0.5 else 0)
            speed = 1.3 * np.cos(yaw)
            things.append(walker(rng, d, z + rng.normal(0, 0.6), yaw, speed))
    for z in every(rng, -4, length, 0.5 * style.people):
        if not road.in_junction(z, 1):
            things.append(kerb_clutter(rng, side * (half + rng.uniform(0.5, 0.9)), z))
    return things


def standing(mesh, side: int, d: float, z: float, shadow: tuple) -> Thing:
    """Return a thing that looks at the road: made for the right side, turned on the left."""
    return Thing(mesh, side * d, z, 0.0 if side > 0 else np.pi, shadow_m=shadow)


def kerb_clutter(rng: np.random.Generator, d: float, z: float) -> Thing:
    """Return a parked two-wheeler, a bin or a box at the kerb."""
    yaw = rng.uniform(-0.3, 0.3) + rng.choice([0, np.pi / 2])
    kind = rng.random()
    if kind < 0.5:
        mesh = people.machine(bool(kind < 0.18))
        return Thing(mesh, d, z, yaw, colour=pick(rng, PAINTS), shadow_m=(0.4, 1.7, 0.8))
    mesh = furniture.clutter(int(rng.integers(4)))
    return Thing(mesh, d, z, yaw, colour=pick(rng, PAINTS), shadow_m=(0.6, 0.6, 0.8))


def parked_cars(rng: np.random.Generator, road: Road, side: int, length: float) -> list[Thing]:
    """Return a row of parked cars with gaps."""
    things = []
    z = -6.0
    d = side * (road.half_width_m - 1.2)
    way = np.pi if side < 0 else 0.0
    while z < length:
        if rng.random() < 0.7 and not road.in_junction(z, 5.0) and not near_crossing(road, z):
            thing = vehicle(rng, d + rng.normal(0, 0.08), z, way + rng.normal(0, 0.02), 0.0)
            things.append(thing)
            z += max(thing.shadow_m[1] - 4.4, 0)
        z += rng.uniform(5.0, 6.6)
    return things


def near_crossing(road: Road, z: float) -> bool:
    """Whether a car at z would stand on a zebra crossing."""
    return any(a - 3 < z < b + 3 for a, b in road.crossings)


def tree(rng: np.random.Generator, d: float, z: float) -> Thing:
    """Return a tree of random height and colour."""
    tall, wide = rng.uniform(0.6, 1.5), rng.uniform(0.7, 1.25)
    mesh = plants.tree(int(rng.integers(plants.TREE_VARIANTS)), bool(np.hypot(d, z) > 24))
    reach = 2.0 * wide
    return Thing(
        mesh,
        d,
        z,
        rng.uniform(0, 6.3),
        (wide, tall, wide),
        pick(rng, LEAF_PAINTS),
        (reach, reach, 5.0),
        sink_m=0.15,
    )


def land(
    rng: np.random.Generator, style: Style, road: Road, side: int, length: float
) -> list[Thing]:
    """Return barriers, plants and buildings beyond the edge of the road's own ground."""
    edge = road.edge(side)
    things = []
    setback = rng.uniform(*style.setback_m)
    if rng.random() < style.barrier:
        things += barrier(rng, road, side, length, min(setback * 0.8, rng.uniform(0.3, 2.0)))
    for z in every(rng, -5, length, style.bushes):
        if setback > 0.9 and not road.in_junction(z, 1):
            d = edge + rng.uniform(0.7, max(setback, 1.0))
            size = float(rng.uniform(0.5, 1.6))
            mesh = plants.bush(int(rng.integers(plants.BUSH_VARIANTS)))
            colour = pick(rng, LEAF_PAINTS)
            things.append(
                Thing(
                    mesh, side * d, z, rng.uniform(0, 6), (size,) * 3, colour, (size, size, size)
                )
            )
    for z in every(rng, -5, length, style.wild_trees):
        if not road.in_junction(z, 3):
            things.append(tree(rng, side * (edge + 2.0 + rng.exponential(9.0)), z))
    if style.buildings:
        things += building_row(rng, style, road, side, length, setback)
    return things


def barrier(
    rng: np.random.Generator, road: Road, side: int, length: float, away: float
) -> list[Thing]:
    """Return a row of fence, wall or hedge pieces, with openings."""
    kind = rng.choice(3, p=[0.45, 0.35, 0.2])
    if kind == 0:
        mesh, colour = (
            furniture.fence(int(rng.integers(furniture.FENCE_VARIANTS))),
            pick(rng, PAINTS),
        )
    elif kind == 1:
        mesh, colour = (
            furniture.wall(int(rng.integers(furniture.WALL_VARIANTS))),
            pick(rng, WALL_PAINTS),
        )
    else:
        mesh, colour = plants.hedge(), pick(rng, LEAF_PAINTS)
    d = side * (road.edge(side) + away + 0.4)
    things, on = [], True
    for z in np.arange(-10.0, length - 4, 4.0):
        on = on if rng.random() < 0.9 else not on
        if on and not road.in_junction(z, 2.5):
            yaw = 0.0 if side > 0 else np.pi
            tall = (1.0, 1.0, 1.02)
            things.append(Thing(mesh, d, z, yaw, tall, colour, (0.4, 4.0, 1.2), sink_m=0.05))
    return things


def building_row(
    rng: np.random.Generator, style: Style, road: Road, side: int, length: float, setback: float
) -> list[Thing]:
    """Return buildings side by side along the street."""
    names, shares = zip(*style.buildings, strict=True)
    things = []
    z = -14.0 + rng.uniform(0, style.gap_m[1] / 2)
    while z < length:
        kind = str(rng.choice(names, p=shares))
        variant = int(rng.integers(buildings.VARIANTS))
        depth, height, long = buildings.front_size(kind, variant)
        middle = z + long / 2
        if not road.in_junction(middle, long / 2 + 1):
            d = side * (road.edge(side) + setback + rng.uniform(0, 0.6) + 0.3)
            yaw = 0.0 if side > 0 else np.pi
            tall = (1.0, float(rng.uniform(0.85, 1.15)), 1.0)
            box = (depth, long, height)
            things.append(
                Thing(
                    buildings.building(kind, variant),
                    d,
                    middle,
                    yaw,
                    tall,
                    pick(rng, WALL_PAINTS),
                    box,
                )
            )
            z += long + rng.uniform(*style.gap_m)
        else:
            z += 6.0
    return things
