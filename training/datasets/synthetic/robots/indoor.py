# SPDX-License-Identifier: Apache-2.0
"""Places indoors: corridor, room, hall, warehouse aisle. Closed all round, so no sky."""

from __future__ import annotations

import numpy as np

from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Look
from training.datasets.synthetic.robots import prefabs, shapes
from training.datasets.synthetic.robots.kit import OBSTACLE, Kit
from training.datasets.synthetic.robots.prefabs import hue, solid
from training.datasets.synthetic.robots.rooms import (
    BUILDING,
    ROAD,
    Room,
    ceiling_lamps,
    doorways,
    dress_wall,
    shell,
    surfaces,
    window,
)


def corridor(kit: Kit) -> None:
    """A corridor 1.2 to 3 m wide with doors on both sides; the camera looks along it."""
    rng = kit.rng
    wide = float(rng.uniform(1.2, 3.0))
    left = -float(rng.uniform(0.28, wide - 0.28))
    front = float(rng.choice([rng.uniform(1.2, 6), rng.uniform(6, 40)], p=[0.3, 0.7]))
    gaps = doorways(kit, front, 0.5)
    room = Room(left, left + wide, -5.0, front, float(rng.uniform(2.3, 3.2)), gaps)
    shell(kit, room, *surfaces(kit))
    for side in (-1, 1):
        dress_wall(kit, room, side, 0.0, 0.8)
    end = prefabs.door(rng)
    kit.put(end, (room.left + room.right) / 2, front, -np.pi / 2)
    ceiling_lamps(kit, room, 1, float(rng.uniform(2.0, 4.5)))
    shapes.litter(kit, wide / 2, min(front, 8.0), int(rng.poisson(1.5)))
    shapes.people_around(kit, wide / 2, max(front, 2.0), 0.5)


def room(kit: Kit) -> None:
    """A room of 3 to 9 m with furniture all about."""
    rng = kit.rng
    wide, deep = (float(v) for v in rng.uniform(2.8, 9.0, 2))
    left, back = -float(rng.uniform(0.35, wide - 0.35)), -float(rng.uniform(0.35, 0.7 * deep))
    gaps = doorways(kit, back + deep, 0.35)
    place = Room(left, left + wide, back, back + deep, float(rng.uniform(2.3, 3.2)), gaps)
    shell(kit, place, *surfaces(kit))
    for side in (-1, 1):
        dress_wall(kit, place, side, 0.2, 0.9)
    for _ in range(int(rng.integers(2, 5))):
        x = float(rng.uniform(place.left + 0.6, place.right - 0.6))
        kit.put(prefabs.cupboard(rng) if rng.random() < 0.5 else
                prefabs.sofa(rng), x, place.front - 0.45, np.pi)  # fmt: skip
    window(kit, place.right, (place.back + place.front) / 2)
    makers = (prefabs.table, prefabs.chair, prefabs.chair, prefabs.sofa, prefabs.carton,
              prefabs.crate, prefabs.cupboard)  # fmt: skip
    for _ in range(int(rng.integers(3, 12))):
        x = rng.uniform(place.left + 0.3, place.right - 0.3)
        z = rng.uniform(max(place.back, -1.0), place.front - 0.4)
        kit.put(makers[rng.integers(len(makers))](rng), x, z, rng.uniform(0, 6.3))
    for side in (-1, 1):
        if rng.random() < 0.35:
            length = float(rng.uniform(0.8, min(3.0, deep - 0.5)))
            parts = prefabs.shelf(rng, length, float(rng.uniform(0.8, 2.1)), False)
            x = place.right - 0.36 if side > 0 else place.left + 0.36
            z = rng.uniform(place.back + length / 2, place.front - length / 2)
            kit.put(parts, x, z, 0.0 if side > 0 else np.pi)
    ceiling_lamps(kit, place, 1, float(rng.uniform(2.0, 4.0)))
    shapes.litter(kit, wide / 2, place.front, int(rng.poisson(3)))
    shapes.people_around(kit, wide / 2, max(place.front - 0.3, 1.8), 0.4)


def hall(kit: Kit) -> None:
    """A lobby or hall of 8 to 30 m with columns, counters, benches, steps and people."""
    rng = kit.rng
    wide, front = float(rng.uniform(7, 22)), float(rng.uniform(7, 32))
    left = -float(rng.uniform(0.2, 0.8)) * wide
    gaps = doorways(kit, front, 0.6)
    place = Room(left, left + wide, -5.0, front, float(rng.uniform(3.0, 7.0)), gaps)
    floor, wall, ceiling = surfaces(kit)
    shell(kit, place, floor, wall, ceiling)
    for side in (-1, 1):
        dress_wall(kit, place, side, 0.5, 0.9)
    column = solid(wall.tint, wall.tile)
    thick = float(rng.uniform(0.3, 0.8))
    for z in np.arange(rng.uniform(1.5, 4), front - 1, rng.uniform(3.5, 6)):
        for x in (place.left + 0.25 * wide, place.left + 0.75 * wide):
            kit.put([((0.0, 0.0, 0.0), (thick, place.height, thick), column)], x, z)
    if rng.random() < 0.4:
        kit.put(prefabs.steps(rng, float(rng.uniform(2, 0.8 * wide))), rng.uniform(-2, 2),
                front - rng.uniform(2, 5))  # fmt: skip
    makers = (prefabs.bench, prefabs.table, prefabs.chair, prefabs.cupboard, prefabs.crate,
              prefabs.bollard, prefabs.sofa)  # fmt: skip
    for _ in range(int(rng.integers(4, 14))):
        x, z = rng.uniform(place.left + 0.5, place.right - 0.5), 0.8 + (front - 1.5) * rng.random()
        kit.put(makers[rng.integers(len(makers))](rng), x, z, rng.uniform(0, 6.3))
    ceiling_lamps(kit, place, int(rng.integers(1, 4)), float(rng.uniform(3.0, 6.0)))
    shapes.litter(kit, 2.0, 6.0, int(rng.poisson(1.0)))
    shapes.people_around(kit, min(wide / 2, 5.0), front, 2.5)


def warehouse(kit: Kit) -> None:
    """An aisle between racks in a big hall, pallets and boxes beside the way."""
    rng = kit.rng
    aisle, rack_m = float(rng.uniform(1.6, 4.0)), float(rng.uniform(2.2, 6.5))
    left = -float(rng.uniform(0.4, aisle - 0.4))
    front = float(rng.uniform(8, 40))
    place = Room(left - 5, left + aisle + 5, -6.0, front + 3, rack_m + float(rng.uniform(1, 4)))
    _floor, wall, ceiling = surfaces(kit)
    concrete = Look(ROAD, int(rng.choice([textures.ASPHALT, textures.TERRAZZO])),
                    hue(rng, ((0.56, 0.56, 0.55), (0.44, 0.46, 0.45))))  # fmt: skip
    steel = Look(BUILDING, textures.SHEET, ceiling.tint)
    shell(kit, place, concrete, solid(wall.tint, textures.SHEET), steel)
    for side, x in ((-1, left), (1, left + aisle)):
        kit.marks.append((x - side * 0.15, -4.0, x - side * 0.15, front))
        if rng.random() < 0.85:
            length = 2.7 * int(rng.integers(2, max(3, min(7, int(front / 2.7)))))
            parts = prefabs.shelf(rng, length, rack_m, True)
            kit.put(parts, x, length / 2 - 3.0, 0.0 if side > 0 else np.pi)
        for z in np.arange(rng.uniform(0.5, 3), front, rng.uniform(1.5, 5)):
            if rng.random() < 0.4:
                maker = (prefabs.pallet, prefabs.carton, prefabs.crate)[rng.integers(3)]
                kit.put(maker(rng), x - side * rng.uniform(0.1, 0.6), z, rng.normal(0, 0.15))
    if rng.random() < 0.35:
        mark = Look(OBSTACLE, textures.HAZARD, (1.0, 1.0, 1.0))
        kit.put([((0.0, 0.0, 0.0), (0.2, 0.9, 0.2), mark)], left + rng.uniform(0, aisle), 3.0)
    for _ in range(int(rng.integers(0, 4))):
        z = rng.uniform(0.6, front - 1)
        kit.put(prefabs.pallet(rng), rng.uniform(left, left + aisle), z, rng.normal(0, 0.3))
    ceiling_lamps(kit, place, 1, float(rng.uniform(3, 6)))
    shapes.litter(kit, aisle / 2, 6.0, int(rng.poisson(1.2)))
    shapes.people_around(kit, aisle / 2, front, 0.6)
