# SPDX-License-Identifier: Apache-2.0
"""A room's own parts: floor, walls with doorways, ceiling with lamps, and what hangs on walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Colour, Look
from training.datasets.synthetic.robots import prefabs
from training.datasets.synthetic.robots.kit import Kit, level
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

DOORWAY_M = 2.1
Gap = tuple[int, float, float]
"""An open doorway: side -1 or +1 of the room, and z from and to."""


@dataclass(frozen=True)
class Room:
    """Inside of a room on the plan: x from left to right, z from back to front; height.

    gaps: open doorways in the walls along Z, by side.
    """

    left: float
    right: float
    back: float
    front: float
    height: float
    gaps: tuple[Gap, ...] = ()


def shell(kit: Kit, room: Room, floor: Look, wall: Look, ceiling: Look) -> None:
    """Build floor, four walls and ceiling, and a second shell behind them.

    The second one closes pinholes and is what open doorways show.
    """
    wide, deep = room.right - room.left, room.front - room.back
    x, z = (room.left + room.right) / 2, (room.back + room.front) / 2
    beyond = float(kit.rng.uniform(0.8, 7.0)) if room.gaps else 0.5
    ends = (room.back - beyond - 1, room.front + beyond + 1)
    kit.ground.append(
        level(room.left - beyond - 1, room.right + beyond + 1, ends, 0.0, floor, kit.fine)
    )
    for out in (0.0, beyond):
        h, t = room.height + out / 5, 0.2
        side, end = wide / 2 + out + t / 2, deep / 2 + out + t / 2
        size_x, size_z = (t, h + 0.25, deep + 2 * out + 2 * t), (wide + 2 * out, h + 0.25, t)
        parts = [((0.0, -0.05, s * end), size_z, wall) for s in (-1, 1)]
        parts.append(((0.0, h, 0.0), (wide + 2 * out + t, t, deep + 2 * out + t), ceiling))
        if out:
            parts += [((s * side, -0.05, 0.0), size_x, wall) for s in (-1, 1)]
        kit.put(parts, x, z)
    for side in (-1, 1):
        face = room.right if side > 0 else room.left
        pierced(kit, face + side * 0.1, [g[1:] for g in room.gaps if g[0] == side], room, wall)


def pierced(kit: Kit, x: float, gaps: list[tuple[float, float]], room: Room, wall: Look) -> None:
    """Build a wall along Z with open doorways from z to z of each gap."""
    start, parts = room.back - 0.2, []
    for first, last in [*gaps, (room.front + 0.2, room.front + 0.2)]:
        middle, long = (start + first) / 2, first - start
        parts.append(((0.0, -0.05, middle), (0.2, room.height + 0.25, long), wall))
        if last > first:
            over = room.height - DOORWAY_M
            size = (0.2, over + 0.2, last - first)
            parts.append(((0.0, DOORWAY_M, (first + last) / 2), size, wall))
        start = last
    kit.put(parts, x, 0.0)


def doorways(kit: Kit, front: float, chance: float) -> tuple[Gap, ...]:
    """Draw open doorways in the two long walls, from near the camera to the front."""
    rng = kit.rng
    gaps: list[Gap] = []
    for side in (-1, 1):
        z = float(rng.uniform(0.2, 3.0))
        while z < front - 2.5 and rng.random() < chance:
            wide = float(rng.choice([0.9, 1.2, 2.0]))
            gaps.append((side, z, z + wide))
            z += wide + float(rng.uniform(1.5, 7.0))
    return tuple(gaps)


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


def dress_wall(kit: Kit, room: Room, side: int, margin: float, density: float) -> None:
    """Put skirting, doors, posters, windows, cupboards along a wall on side -1 or +1."""
    rng = kit.rng
    x = room.right if side > 0 else room.left
    gaps = [gap for gap in room.gaps if gap[0] == side]
    z = (room.back + margin, room.front - margin)
    middle, long = (z[0] + z[1]) / 2, z[1] - z[0]
    if not gaps and rng.random() < 0.7:
        band = solid(hue(rng, (*prefabs.WOODS, (0.35, 0.36, 0.38))))
        high = float(rng.choice([0.08, 0.12, 0.9], p=[0.5, 0.35, 0.15]))
        kit.put([((0.0, 0.0, 0.0), (0.03, high, long), band)], x, middle)
    at = z[0] + rng.uniform(0.3, 1.5)
    while at < z[1] - 1.0:
        if not any(at - 1.0 < last and at + 2.0 > first for _, first, last in gaps):
            hang(kit, rng.random() / density, x, at, side)
        at += rng.uniform(1.2, 3.5)


def hang(kit: Kit, kind: float, x: float, z: float, side: int) -> None:
    """Put a door, poster, window, cupboard or crate (kind in 0..1, else nothing) at a wall."""
    rng = kit.rng
    if kind < 0.35:
        kit.put(prefabs.door(rng), x, z + 0.5, 0.0 if side > 0 else np.pi)
    elif kind < 0.55:
        wide, high = rng.uniform(0.3, 1.4, 2)
        look = solid((1.0,) * 3, textures.POSTER)
        kit.put([((0.0, 0.0, 0.0), (0.03, high, wide), look)], x, z + 0.6, 0.0,
                rng.uniform(0.9, 1.5), float(rng.uniform(0.6, 1.6)))  # fmt: skip
    elif kind < 0.7:
        window(kit, x, z + 0.8)
    elif kind < 0.85:
        kit.put(prefabs.cupboard(rng), x - side * 0.25, z + 0.7, -side * np.pi / 2)
    elif kind < 1.0:
        kit.put(prefabs.crate(rng), x - side * 0.4, z + 0.4, rng.normal(0, 0.2))


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
