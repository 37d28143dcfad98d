# SPDX-License-Identifier: Apache-2.0
"""Fill a road's surroundings with things, band by band from the lanes outward."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.datasets.synthetic import furniture, things
from training.datasets.synthetic.layout import Lane, Style
from training.datasets.synthetic.road import Road
from training.datasets.synthetic.things import Thing

SMALL_M = 110.0
"""Small things are left out on the last metres: they would not be visible."""


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


def traffic(
    rng: np.random.Generator, style: Style, lanes: tuple[Lane, ...], own: int, length: float
) -> list[Thing]:
    """Return moving vehicles and cyclists on the lanes; lane `own` is free around z = 0."""
    found = []
    for number, lane in enumerate(lanes):
        speed = 8.0 if number == own else lane.way * rng.uniform(6.5, 11.0)
        z = rng.uniform(9, 40) if number == own else -8.0 + rng.exponential(14.0)
        while z < length - 10:
            d = lane.d_m + rng.normal(0, 0.2)
            yaw = rng.normal(0, 0.02) + (np.pi if lane.way < 0 else 0)
            thing = things.vehicle(rng, d, z, yaw, speed)
            found.append(thing)
            z += thing.shadow_m[1] + 5.0 + rng.exponential(100.0 / max(style.traffic, 0.3))
        for at in every(rng, 5, length - SMALL_M, style.cyclists / 2):
            side = 1.1 if lane.d_m > 0 else -1.1
            found += things.two_wheeler(rng, lane.d_m + side, at, lane.way)
    return found


def cross_traffic(rng: np.random.Generator, road: Road) -> list[Thing]:
    """Return vehicles on the cross roads and people on the zebra crossings."""
    found = []
    for first, last in road.junctions:
        for _ in range(int(rng.integers(0, 4))):
            d = rng.choice([-1, 1]) * rng.uniform(road.half_width_m + 3, 24)
            way = rng.choice([-1, 1])
            z = (first + last) / 2 + way * (last - first) * 0.22
            found.append(things.vehicle(rng, d, z, way * np.pi / 2, 0.0))
    for first, last in road.crossings:
        for _ in range(int(rng.integers(0, 4))):
            d = rng.uniform(-1, 1) * road.half_width_m
            yaw = rng.choice([-1, 1]) * np.pi / 2
            found.append(things.walker(rng, d, rng.uniform(first, last), yaw, 0.0))
    return found


def bridges(rng: np.random.Generator, style: Style, road: Road) -> list[Thing]:
    """Return now and then a bridge over the road."""
    z = rng.uniform(12, 110)
    common = 0.2 if style.name == 'highway' else 0.05
    if rng.random() > common or road.in_junction(z, 8):
        return []
    return [things.bridge(rng, road.edge(1) if road.right.walk_m else road.half_width_m, z)]


def roadside(
    rng: np.random.Generator, style: Style, road: Road, side: int, parked: bool, length: float
) -> list[Thing]:
    """Return what stands beside the road on one side, from parked cars to people."""
    found = parked_cars(rng, road, side, length) if parked else []
    found += posts(rng, style, road, side, length)
    found += signals(rng, style, road, side)
    half, edge = road.half_width_m, road.edge(side)
    away = 0.5 if edge - half > 5 else 0.0
    for z in every(rng, -5, length, style.trees):
        if not road.in_junction(z, 2.5):
            found.append(things.tree(rng, side * (half + away + rng.uniform(0.9, 1.3)), z))
    for z in every(rng, -4, length - SMALL_M, 0.5 * style.people):
        if not road.in_junction(z, 1):
            found.append(things.kerb_clutter(rng, side * (half + rng.uniform(0.5, 0.9)), z))
    return found + walkers(rng, style, road, side, length)


def walkers(
    rng: np.random.Generator, style: Style, road: Road, side: int, length: float
) -> list[Thing]:
    """Return people on the pavement (or beside the road), some in twos."""
    found = []
    half = road.half_width_m
    width = max(road.edge(side) - half, 1.0)
    for z in every(rng, -4, length - SMALL_M, style.people):
        yaw = rng.normal(0, 0.3) + (np.pi if rng.random() < 0.5 else 0)
        for _ in range(1 + int(rng.random() < 0.35)):
            d = side * (half + rng.uniform(0.25, 0.95) * width)
            at = z + rng.normal(0, 0.6)
            found.append(things.walker(rng, d, at, yaw, 1.3 * np.cos(yaw)))
    return found


def posts(
    rng: np.random.Generator, style: Style, road: Road, side: int, length: float
) -> list[Thing]:
    """Return lamp posts, power poles, bollards and traffic signs."""
    found = []
    yaw = 0.0 if side > 0 else np.pi
    away = road.half_width_m + rng.uniform(0.4, 0.8)
    kind = int(rng.choice(3, p=[0.5, 0.3, 0.2]))
    for z in every(rng, -6, length, style.poles):
        if not road.in_junction(z, 1):
            mesh = furniture.lamp_post(3 if rng.random() < 0.25 else kind)
            found.append(Thing(((160.0, mesh),), side * away, z, yaw, shadow_m=(0.2, 0.2, 4.0)))
    for z in every(rng, -5, length - SMALL_M, style.signs):
        small = rng.random() < 0.85
        variant = things.one_of(rng, 7 if small else furniture.SIGN_VARIANTS)
        mesh = furniture.sign(variant)
        turn = rng.normal(0, 0.15) + (np.pi if rng.random() < 0.25 else 0)
        d = side * (road.half_width_m + rng.uniform(0.4, 1.2))
        found.append(Thing(((150.0, mesh),), d, z, turn, shadow_m=(0.1, 0.1, 2.0)))
    return found


def signals(rng: np.random.Generator, style: Style, road: Road, side: int) -> list[Thing]:
    """Return traffic lights for both ways at most junctions."""
    found = []
    d = side * (road.half_width_m + 0.7)
    mirror = (float(side), 1.0, 1.0)
    for first, last in road.junctions:
        if style.name == 'forest' or rng.random() > 0.75:
            continue
        z = first - 0.8 if side > 0 else last + 0.8
        mesh = furniture.traffic_light(things.one_of(rng, furniture.LIGHT_VARIANTS))
        levels = ((170.0, mesh),)
        found.append(Thing(levels, d, z, 0.0, mirror, shadow_m=(0.3, 0.3, 3)))
        turned = (-mirror[0], 1.0, 1.0)
        found.append(Thing(levels, d, first + last - z, np.pi, turned, shadow_m=(0.3, 0.3, 3)))
    return found


def parked_cars(rng: np.random.Generator, road: Road, side: int, length: float) -> list[Thing]:
    """Return a row of parked cars with gaps."""
    found = []
    z = -6.0
    d = side * (road.half_width_m - 1.2)
    way = np.pi if side < 0 else 0.0
    while z < length:
        if rng.random() < 0.7 and not road.in_junction(z, 5.0) and not near_crossing(road, z):
            at = d + rng.normal(0, 0.08)
            thing = things.vehicle(rng, at, z, way + rng.normal(0, 0.02), 0.0, heavy=0.03)
            found.append(thing)
            z += max(thing.shadow_m[1] - 4.4, 0)
        z += rng.uniform(5.0, 6.6)
    return found


def near_crossing(road: Road, z: float) -> bool:
    """Whether a car at z would stand on a zebra crossing."""
    return any(a - 3 < z < b + 3 for a, b in road.crossings)


def land(
    rng: np.random.Generator, style: Style, road: Road, side: int, length: float
) -> list[Thing]:
    """Return barriers, plants and buildings beyond the edge of the road's own ground."""
    edge = road.edge(side)
    found = []
    setback = rng.uniform(*style.setback_m)
    if rng.random() < style.barrier:
        found += barrier(rng, road, side, length, min(setback * 0.8, rng.uniform(0.3, 2.0)))
    for z in every(rng, -5, length - SMALL_M, style.bushes):
        if setback > 0.9 and not road.in_junction(z, 1):
            found.append(things.bush(rng, side * (edge + rng.uniform(0.7, setback + 0.2)), z))
    for z in every(rng, -5, length, style.wild_trees):
        if not road.in_junction(z, 3):
            found.append(things.tree(rng, side * (edge + 2.0 + rng.exponential(9.0)), z))
    if style.buildings:
        found += building_row(rng, style, road, side, length, setback)
    return found


def barrier(
    rng: np.random.Generator, road: Road, side: int, length: float, away: float
) -> list[Thing]:
    """Return a row of fence, wall or hedge pieces, with openings."""
    levels, colour = things.barrier_piece(rng)
    d = side * (road.edge(side) + away + 0.4)
    high = float(np.exp(rng.uniform(-0.2, 0.3)))
    yaw = 0.0 if side > 0 else np.pi
    found, on = [], True
    for z in np.arange(-10.0, length - 0.5 * SMALL_M, 4.0):
        on = on if rng.random() < 0.9 else not on
        if on and not road.in_junction(z, 2.5):
            tall = (1.0, high, 1.02)
            found.append(Thing(levels, d, z, yaw, tall, colour, (0.4, 4.0, 1.2), sink_m=0.05))
    return found


def building_row(
    rng: np.random.Generator, style: Style, road: Road, side: int, length: float, setback: float
) -> list[Thing]:
    """Return buildings side by side along the street."""
    names, shares = zip(*style.buildings, strict=True)
    found = []
    z = -14.0 + rng.uniform(0, style.gap_m[1] / 2)
    while z < length:
        kind = names[int(rng.choice(len(names), p=shares))]
        d = side * (road.edge(side) + setback + rng.uniform(0.3, 0.9))
        thing, long = things.house(rng, kind, d, z, side)
        if road.in_junction(thing.z_m, long / 2 + 1):
            z += 6.0
            continue
        found.append(thing)
        z += long + rng.uniform(*style.gap_m)
    return found
