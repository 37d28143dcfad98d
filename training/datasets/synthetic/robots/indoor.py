# SPDX-License-Identifier: Apache-2.0
"""Rooms: corridor, hall, room with furniture, warehouse aisle. Closed all round, so no sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Colour, Look
from training.datasets.synthetic.robots import prefabs, shapes
from training.datasets.synthetic.robots.kit import OBSTACLE, Kit, level
from training.datasets.synthetic.robots.prefabs import hue, solid

ROAD, BUILDING = CLASS_ID['road'], CLASS_ID['building']
PALE = ((0.86, 0.85, 0.82), (0.78, 0.8, 0.8), (0.85, 0.8, 0.68), (0.7, 0.74, 0.68),
        (0.6, 0.66, 0.72))  # fmt: skip
FLOORS = (
    (textures.TILES, ((0.75, 0.73, 0.7), (0.5, 0.48, 0.46), (0.85, 0.84, 0.8), (0.3, 0.3, 0.32))),
    (textures.PLANKS, ((0.6, 0.44, 0.28), (0.72, 0.58, 0.42), (0.4, 0.28, 0.2))),
    (textures.TERRAZZO, ((0.62, 0.6, 0.57), (0.45, 0.46, 0.47), (0.5, 0.42, 0.38))),
    (textures.CLOTH, ((0.3, 0.33, 0.4), (0.45, 0.4, 0.36), (0.25, 0.35, 0.3), (0.5, 0.25, 0.22))),
    (textures.PLAIN, ((0.6, 0.62, 0.6), (0.4, 0.45, 0.5), (0.68, 0.62, 0.5))),
    (textures.ASPHALT, ((0.52, 0.52, 0.51), (0.42, 0.42, 0.43))),
)


@dataclass(frozen=True)
class Room:
    """Inside of a room on the plan: x from left to right, z from back to front; height."""

    left: float
    right: float
    back: float
    front: float
    height: float


def shell(kit: Kit, room: Room, floor: Look, wall: Look, ceiling: Look) -> None:
    """Build floor, four walls and ceiling, and a second shell behind them for any pinhole."""
    wide, deep = room.right - room.left, room.front - room.back
    x, z = (room.left + room.right) / 2, (room.back + room.front) / 2
    kit.ground.append(
        level(room.left - 2, room.right + 2, (room.back - 2, room.front + 2), 0.0, floor, kit.fine)
    )
    for out in (0.0, 0.5):
        h, t = room.height + out, 0.2
        side, end = wide / 2 + out + t / 2, deep / 2 + out + t / 2
        low = -0.05 - out
        size_x, size_z = (t, h - low + t, deep + 2 * out + 2 * t), (wide + 2 * out, h - low + t, t)
        parts = [((s * side, low, 0.0), size_x, wall) for s in (-1, 1)]
        parts += [((0.0, low, s * end), size_z, wall) for s in (-1, 1)]
        parts.append(((0.0, h, 0.0), (wide + 2 * out + t, t, deep + 2 * out + t), ceiling))
        kit.put(parts, x, z, fine=1.0)


def surfaces(kit: Kit) -> tuple[Look, Look, Look]:
    """Draw the looks of floor, walls and ceiling."""
    rng = kit.rng
    tile, tints = FLOORS[rng.integers(len(FLOORS))]
    kit.fine = float(rng.uniform(0.8, 2.0))
    floor = Look(ROAD, tile, hue(rng, tints))
    tile = int(rng.choice([textures.PLASTER, textures.PLAIN, textures.BRICK, textures.TILES],
                          p=[0.45, 0.3, 0.15, 0.1]))  # fmt: skip
    tint: Colour = (0.6, 0.36, 0.28) if tile == textures.BRICK and rng.random() < 0.6 else hue(
        rng, PALE)  # fmt: skip
    above = int(rng.choice([textures.PANELS, textures.PLAIN, textures.SHEET], p=[0.5, 0.4, 0.1]))
    return floor, solid(tint, tile), Look(BUILDING, above, hue(rng, PALE[:2]))


def dress_wall(kit: Kit, x: float, side: int, z: tuple[float, float], density: float) -> None:
    """Put skirting, doors, posters, windows, cupboards along a wall at x, on side -1 or +1."""
    rng = kit.rng
    middle, long = (z[0] + z[1]) / 2, z[1] - z[0]
    yaw = 0.0 if side > 0 else np.pi
    if rng.random() < 0.7:
        band = solid(hue(rng, (*prefabs.WOODS, (0.35, 0.36, 0.38))))
        high = float(rng.choice([0.08, 0.12, 0.9], p=[0.5, 0.35, 0.15]))
        kit.put([((0.0, 0.0, 0.0), (0.03, high, long), band)], x, middle)
    at = z[0] + rng.uniform(0.3, 1.5)
    while at < z[1] - 1.0:
        kind = rng.random() / density
        if kind < 0.35:
            kit.put(prefabs.door(rng), x, at + 0.5, yaw)
        elif kind < 0.55:
            wide, high = rng.uniform(0.3, 1.4, 2)
            look = solid((1.0,) * 3, textures.POSTER)
            kit.put([((0.0, 0.0, 0.0), (0.03, high, wide), look)], x, at + 0.6, 0.0,
                    rng.uniform(0.9, 1.5), float(rng.uniform(0.6, 1.6)))  # fmt: skip
        elif kind < 0.7:
            window(kit, x, at + 0.8)
        elif kind < 0.85:
            kit.put(prefabs.cupboard(rng), x - side * 0.25, at + 0.7, -side * np.pi / 2)
        elif kind < 1.0:
            kit.put(prefabs.crate(rng), x - side * 0.4, at + 0.4, rng.normal(0, 0.2))
        at += rng.uniform(1.2, 3.5)


def window(kit: Kit, x: float, z: float) -> None:
    """Put a window that shines, or a dark pane, into a wall along Z."""
    rng = kit.rng
    wide, high, foot = rng.uniform(0.8, 2.0), rng.uniform(0.8, 1.5), rng.uniform(0.1, 1.0)
    frame = solid(hue(rng, ((0.85,) * 3, (0.25,) * 3)))
    bright = rng.random() < 0.65
    look = solid((0.3, 0.33, 0.36), textures.GLASS[1])
    if bright:
        look = solid((1.0, 1.0, 1.0), textures.PLAIN, glow=2.5)
    parts = [((0.0, 0.0, 0.0), (0.04, high, wide), look),
             ((0.0, -0.05, 0.0), (0.14, 0.05, wide + 0.1), frame),
             ((0.0, high, 0.0), (0.08, 0.05, wide + 0.1), frame)]  # fmt: skip
    parts += [((0.0, 0.0, s * wide / 2), (0.08, high, 0.05), frame) for s in (-1, 0, 1)]
    kit.put(parts, x, z, 0.0, foot)


def ceiling_lamps(kit: Kit, room: Room, rows: int, step: float) -> None:
    """Hang lamps in rows along Z."""
    rng = kit.rng
    size = ((0.15, 0.05, 1.2), (0.6, 0.02, 0.6), (0.25, 0.08, 0.25))[rng.integers(3)]
    look = Look(BUILDING, 0, (1.0, 1.0, 0.97), glow=3.0)
    drop = float(rng.choice([0.03, 0.03, 0.5])) if room.height > 3 else 0.03
    for x in np.linspace(room.left, room.right, 2 * rows + 1)[1::2]:
        for z in np.arange(max(room.back, -6) + step / 2, min(room.front, 45), step):
            kit.put([((0.0, 0.0, 0.0), size, look)], x, z, 0.0, room.height - drop - size[1])
            kit.lamps.append((float(x), room.height - 0.1, float(z), 1.0))


def corridor(kit: Kit) -> None:
    """A corridor 1.2 to 3 m wide with doors on both sides; the camera looks along it."""
    rng = kit.rng
    wide = float(rng.uniform(1.2, 3.0))
    left = -float(rng.uniform(0.28, wide - 0.28))
    front = float(rng.choice([rng.uniform(1.2, 6), rng.uniform(6, 40)], p=[0.3, 0.7]))
    room = Room(left, left + wide, -5.0, front, float(rng.uniform(2.3, 3.2)))
    shell(kit, room, *surfaces(kit))
    for x, side in ((room.left, -1), (room.right, 1)):
        dress_wall(kit, x, side, (-4.0, front), 0.8)
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
    place = Room(left, left + wide, back, back + deep, float(rng.uniform(2.3, 3.2)))
    shell(kit, place, *surfaces(kit))
    for x, side in ((place.left, -1), (place.right, 1)):
        dress_wall(kit, x, side, (place.back + 0.2, place.front - 0.2), 0.9)
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
    place = Room(left, left + wide, -5.0, front, float(rng.uniform(3.0, 7.0)))
    floor, wall, ceiling = surfaces(kit)
    shell(kit, place, floor, wall, ceiling)
    for x, side in ((place.left, -1), (place.right, 1)):
        dress_wall(kit, x, side, (-4.0, front), 0.9)
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
