# SPDX-License-Identifier: Apache-2.0
"""Places out of doors: pavement, park path, campus, car park, loading yard."""

from __future__ import annotations

import numpy as np

from training.datasets.synthetic import buildings, textures, things
from training.datasets.synthetic.mesh import Look
from training.datasets.synthetic.robots import prefabs, shapes
from training.datasets.synthetic.robots.kit import FAR_M, OBSTACLE, Kit, strips
from training.datasets.synthetic.robots.prefabs import hue, solid
from training.datasets.synthetic.robots.surroundings import (
    asphalt,
    border,
    furniture_along,
    grass,
    house_row,
    paving,
)

BEHIND_M = -25.0


def pavement(kit: Kit) -> None:
    """A pavement between a wall, hedge or house fronts and the road with its parked cars."""
    rng = kit.rng
    wide, side = float(rng.uniform(1.6, 4.5)), int(rng.choice([-1, 1]))
    inner = -float(rng.uniform(0.35, wide - 0.35))
    kerb = inner + wide
    drop, road_m = float(rng.choice([0.03, 0.08, 0.12, 0.16])), float(rng.uniform(5, 9))
    kit.fine = float(rng.uniform(0.8, 1.8))
    cuts = [-FAR_M, inner, kerb, kerb + road_m, kerb + road_m + 2.5, FAR_M]
    walk = paving(rng)
    land = [(grass(rng), 0.0), (walk, 0.0), (asphalt(rng), -drop), (walk, 0.0), (grass(rng), 0.0)]
    if side < 0:
        cuts, land = [-c for c in cuts[::-1]], land[::-1]
    strips(kit, cuts, land, (BEHIND_M, FAR_M))
    until = float(rng.uniform(15, 60))
    if rng.random() < 0.75:
        border(kit, -side * -inner, -side, until)
        house_row(kit, -side * (-inner + rng.uniform(3, 9)), -side, rng.uniform(-15, 0), 90, 6)
    else:
        house_row(kit, -side * -inner, -side, rng.uniform(-25, -8), 90, 1.0)
    furniture_along(kit, side * (kerb - 0.25), until, 4.0)
    for z in np.arange(rng.uniform(-3, 3), 60, 5.6):
        if rng.random() < 0.55:
            shapes.car(kit, side * (kerb + 1.15), z, np.pi * rng.integers(2))
    if rng.random() < 0.5:
        for z in np.arange(rng.uniform(2, 9), 70, rng.uniform(7, 14)):
            shapes.tree(kit, side * (kerb + road_m + 1.2), z)
    house_row(kit, side * (kerb + road_m + 2.6), side, rng.uniform(-10, 10), 110, 5)
    shapes.litter(kit, 1.0, 6.0, int(rng.poisson(1.0)))
    shapes.people_around(kit, 1.5, 30.0, 1.5)


def park(kit: Kit) -> None:
    """A path through grass with trees, bushes, benches and lamps."""
    rng = kit.rng
    wide = float(rng.uniform(1.2, 4.0))
    left = -float(rng.uniform(0.3, wide - 0.3))
    kit.fine = float(rng.uniform(0.8, 1.8))
    lawn, path = grass(rng), paving(rng)
    second = float(rng.uniform(6, 25))
    cuts = [-FAR_M, left, left + wide, left + wide + second, left + wide + second + 2, FAR_M]
    land = [(lawn, 0.0), (path, 0.0), (lawn, 0.0), (path, 0.0), (lawn, 0.0)]
    strips(kit, cuts, land, (BEHIND_M, FAR_M))
    for _ in range(int(rng.integers(8, 32))):
        x = rng.choice([left - 0.6, left + wide + 0.6]) + rng.choice([-1, 1]) * rng.exponential(7)
        z = rng.uniform(0.5, 70)
        if left - 0.4 < x < left + wide + 0.4 and z < 40:
            continue
        (shapes.tree if rng.random() < 0.65 else shapes.bush)(kit, x, z)
    for x in (left - 0.5, left + wide + 0.5):
        furniture_along(kit, x, 40.0, float(rng.uniform(4, 14)))
    if rng.random() < 0.5:
        border(kit, left + wide + rng.uniform(0.3, 2.5), 1, float(rng.uniform(10, 40)))
    if rng.random() < 0.5:
        house_row(kit, left - rng.uniform(12, 30), -1, 5, 90, 12)
    shapes.litter(kit, 1.5, 6.0, int(rng.poisson(0.8)))
    shapes.people_around(kit, 2.0, 30.0, 1.5)


def campus(kit: Kit) -> None:
    """A square between buildings: steps, planters, bollards, benches, trees, people."""
    rng = kit.rng
    wide = float(rng.uniform(10, 40))
    left = -float(rng.uniform(0.1, 0.9)) * wide
    kit.fine = float(rng.uniform(0.6, 1.6))
    lawn, square = grass(rng), paving(rng)
    strips(kit, [-FAR_M, left, left + wide, FAR_M], [(lawn, 0.0), (square, 0.0), (lawn, 0.0)],
           (BEHIND_M, FAR_M))  # fmt: skip
    house_row(kit, left - 0.5, -1, rng.uniform(-20, 5), 80, 5)
    house_row(kit, left + wide + 0.5, 1, rng.uniform(-20, 5), 80, 5)
    if rng.random() < 0.6:
        variant = int(rng.integers(buildings.VARIANTS))
        mesh = buildings.building(str(rng.choice(['block', 'office'])), variant)
        z, x = rng.uniform(5, 45), rng.uniform(-6, 6)
        kit.shape(mesh, x, z, -np.pi / 2, colour=things.pick(rng, things.WALLS))
        if rng.random() < 0.5:
            kit.put(prefabs.steps(rng, 6.0), x, z - 2.5)
    planter = solid(hue(rng, ((0.5, 0.5, 0.49), (0.55, 0.38, 0.3))), textures.TERRAZZO)
    for _ in range(int(rng.integers(0, 6))):
        x, z = rng.uniform(-9, 9), rng.uniform(1.5, 30)
        high = float(rng.uniform(0.35, 0.8))
        kit.put([((0.0, 0.0, 0.0), (1.6, high, 1.6), planter)], x, z)
        shapes.bush(kit, x, z)
    makers = (prefabs.bench, prefabs.bollard, prefabs.bollard, prefabs.crate, prefabs.table)
    for _ in range(int(rng.integers(5, 20))):
        x, z = rng.uniform(-7, 7), 0.6 + 24 * rng.random() ** 1.5
        kit.put(makers[rng.integers(len(makers))](rng), x, z, rng.uniform(0, 6.3))
    for _ in range(int(rng.integers(0, 7))):
        shapes.tree(kit, rng.uniform(-14, 14), rng.uniform(4, 45))
    for _ in range(int(rng.integers(0, 4))):
        shapes.bicycle(kit, rng.uniform(-5, 5), rng.uniform(2, 15), rng.uniform(0, 6))
    shapes.lamp_post(kit, rng.uniform(-6, 6), rng.uniform(4, 15), rng.uniform(0, 6))
    shapes.litter(kit, 2.0, 8.0, int(rng.poisson(1.0)))
    shapes.people_around(kit, 6.0, 30.0, 3.0)


def car_park(kit: Kit) -> None:
    """A car park: rows of cars, some places free, kerbs and bollards."""
    rng = kit.rng
    kit.fine = float(rng.uniform(1.0, 2.0))
    ground = asphalt(rng)
    edge = float(rng.uniform(8, 22))
    strips(kit, [-FAR_M, -edge, edge, FAR_M],
           [(grass(rng), 0.0), (ground, 0.0), (grass(rng), 0.0)], (BEHIND_M, FAR_M))  # fmt: skip
    lane, full = float(rng.uniform(1.2, 4.0)), float(rng.uniform(0.4, 0.95))
    shift = float(rng.uniform(-0.8, 0.8)) * (lane - 0.6)
    for side in (-1, 1):
        for row in range(int(rng.integers(1, 3))):
            x = side * (lane + 2.5 + row * (5.4 + (row > 0) * 5)) + shift
            for z in np.arange(rng.uniform(-5, 0), 45, 2.6):
                kit.marks.append((x - 2.5, z - 1.3, x + 2.5, z - 1.3))
                if rng.random() < full:
                    yaw = np.pi / 2 + np.pi * rng.integers(2) + rng.normal(0, 0.03)
                    shapes.car(kit, x + rng.normal(0, 0.2), z, yaw)
        if rng.random() < 0.4:
            border(kit, side * edge, side, 50.0)
    for _ in range(int(rng.integers(0, 6))):
        kit.put(prefabs.bollard(rng), rng.uniform(-3, 3), rng.uniform(0.6, 15))
    shapes.lamp_post(kit, rng.uniform(-4, 4), rng.uniform(5, 15), rng.uniform(0, 6))
    side = int(rng.choice([-1, 1]))
    house_row(kit, side * (edge + 3), side, -10, 90, 10)
    for _ in range(int(rng.integers(0, 6))):
        shapes.tree(kit, rng.choice([-1, 1]) * (edge + rng.uniform(1, 6)), rng.uniform(3, 60))
    shapes.litter(kit, 1.5, 8.0, int(rng.poisson(1.2)))
    shapes.people_around(kit, 3.0, 30.0, 1.2)


def yard(kit: Kit) -> None:
    """A loading yard: sheds, trucks, containers, pallets, boxes, fences."""
    rng = kit.rng
    kit.fine = float(rng.uniform(1.0, 2.0))
    ground = asphalt(rng)
    edge = float(rng.uniform(8, 25))
    strips(kit, [-FAR_M, -edge, edge, FAR_M],
           [(ground, 0.0), (ground, 0.0), (grass(rng), 0.0)], (BEHIND_M, FAR_M))  # fmt: skip
    for side in (-1, 1):
        variant = int(rng.integers(buildings.VARIANTS))
        mesh = buildings.building('shed', variant)
        length = buildings.front_size('shed', variant)[2]
        x = side * float(rng.uniform(2.5, edge))
        kit.shape(mesh, x, rng.uniform(-5, 15) + length / 2, 0.0 if side > 0 else np.pi,
                  colour=things.pick(rng, things.WALLS))  # fmt: skip
        border(kit, side * edge, side, 60.0)
    for _ in range(int(rng.integers(0, 4))):
        x, z = rng.choice([-1, 1]) * rng.uniform(2.2, 12), rng.uniform(2, 35)
        if rng.random() < 0.45:
            shapes.truck(kit, x, z + 3, rng.choice([0, np.pi]) + rng.normal(0, 0.1))
        else:
            kit.put(prefabs.container(rng), x, z + 2, rng.choice([0, 1.57]) + rng.normal(0, 0.1))
    makers = (prefabs.pallet, prefabs.pallet, prefabs.carton, prefabs.crate, prefabs.bollard)
    for _ in range(int(rng.integers(5, 22))):
        x, z = rng.uniform(-6, 6), 0.7 + 22 * rng.random() ** 1.4
        kit.put(makers[rng.integers(len(makers))](rng), x, z, rng.normal(0, 0.3))
    mark = Look(OBSTACLE, textures.HAZARD, (1.0, 1.0, 1.0))
    if rng.random() < 0.4:
        kit.put([((0.0, 0.0, 0.0), (4.0, 1.1, 1.0), mark)], rng.uniform(-6, 6), 12.0)
    shapes.lamp_post(kit, rng.uniform(-5, 5), rng.uniform(5, 15), rng.uniform(0, 6))
    shapes.litter(kit, 1.5, 8.0, int(rng.poisson(1.5)))
    shapes.people_around(kit, 4.0, 30.0, 1.0)
