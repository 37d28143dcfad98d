# SPDX-License-Identifier: Apache-2.0
"""What surrounds a place out of doors: surfaces, houses, borders, furniture, the horizon."""

from __future__ import annotations

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import buildings, furniture, plants, textures, things, world
from training.datasets.synthetic.mesh import Look, Mesh
from training.datasets.synthetic.robots import prefabs, shapes
from training.datasets.synthetic.robots.kit import Kit
from training.datasets.synthetic.robots.prefabs import hue, solid

ROAD, SIDEWALK, TERRAIN = CLASS_ID['road'], CLASS_ID['sidewalk'], CLASS_ID['terrain']
GREYS = ((0.42, 0.42, 0.43), (0.34, 0.34, 0.36), (0.5, 0.49, 0.47))
PAVINGS = (
    (textures.PAVING, ((0.6, 0.59, 0.57), (0.66, 0.6, 0.52), (0.55, 0.5, 0.48))),
    (textures.COBBLES, ((0.5, 0.48, 0.46), (0.56, 0.42, 0.36), (0.62, 0.58, 0.52))),
    (textures.BRICK, ((0.55, 0.36, 0.3), (0.5, 0.46, 0.44))),
    (textures.ASPHALT, GREYS),
    (textures.GRAVEL, ((0.6, 0.54, 0.45), (0.52, 0.5, 0.47))),
)


def grass(rng: np.random.Generator) -> Look:
    """Draw grass, sometimes dry or bare earth."""
    tint = hue(rng, ((0.38, 0.46, 0.22), (0.42, 0.48, 0.26), (0.55, 0.5, 0.3), (0.45, 0.36, 0.27)))
    return Look(TERRAIN, textures.DIRT if tint[0] > tint[1] else textures.GRASS, tint)


def asphalt(rng: np.random.Generator) -> Look:
    """Draw a road surface."""
    return Look(ROAD, textures.ASPHALT, hue(rng, GREYS))


def paving(rng: np.random.Generator) -> Look:
    """Draw a surface to walk on."""
    tile, tints = PAVINGS[rng.integers(len(PAVINGS))]
    return Look(SIDEWALK, tile, hue(rng, tints))


def horizon(kit: Kit) -> None:
    """Put hills, woods or roofs at the end of the world."""
    rng = kit.rng
    kit.extra.append(world.skyline(rng, rng.uniform(400, 650), rng.uniform(6, 60), 0.15, False))
    if rng.random() < 0.7:
        roofs = bool(rng.random() < 0.5)
        kit.extra.append(world.skyline(rng, rng.uniform(120, 300), rng.uniform(7, 18), 0.5, roofs))


def house_row(kit: Kit, x: float, side: int, z: float, until: float, gaps: float) -> None:
    """Put buildings in a row along Z whose fronts are at x, on side -1 or +1 of the camera."""
    rng = kit.rng
    while z < until:
        kind = str(rng.choice(['house', 'block', 'office', 'shed'], p=[0.35, 0.35, 0.15, 0.15]))
        variant = int(rng.integers(buildings.VARIANTS))
        depth, height, length = buildings.front_size(kind, variant)
        mesh = buildings.building(kind, variant)
        kit.shape(mesh, x, z + length / 2, 0.0 if side > 0 else np.pi,
                  colour=things.pick(rng, things.WALLS))  # fmt: skip
        kit.casters.append((x + side * depth / 2, z + length / 2, depth / 2, length / 2, 0.0,
                            height, 0.0))  # fmt: skip
        z += length + rng.exponential(gaps)


def row_of(kit: Kit, mesh: Mesh, x: float, z: tuple[float, float], size: tuple, colour: tuple,
           leafy: bool = False) -> None:  # fmt: skip
    """Put 4 m pieces of wall, fence or hedge in a row along Z."""
    for at in np.arange(z[0] + 2.0, z[1], 4.0):
        kit.shape(mesh, x, at, colour=colour)
    middle, half = (z[0] + z[1]) / 2, (z[1] - z[0]) / 2
    kit.casters.append((x, middle, size[0] / 2, half, 0.0, size[1], float(leafy)))


def border(kit: Kit, x: float, side: int, until: float) -> None:
    """Put a wall, hedge, fence or brick wall along the way; x is its face, side -1 or +1."""
    rng = kit.rng
    span = (-12.0, until)
    kind = rng.random()
    if kind < 0.42:
        tall = bool(rng.random() < 0.4)
        wide, high = (2.7, 2.6) if tall else (1.1, 1.2)
        row_of(kit, plants.hedge(tall, False), x + side * wide / 2, span, (wide, high),
               things.pick(rng, things.LEAVES), True)  # fmt: skip
    elif kind < 0.6:
        number = int(rng.integers(furniture.FENCE_VARIANTS))
        row_of(kit, furniture.fence(number), x + side * 0.1, span, (0.1, 1.0),
               things.pick(rng, things.TIMBER))  # fmt: skip
    else:
        tile = int(rng.choice([textures.BRICK, textures.PLASTER, textures.COBBLES]))
        tint = hue(rng, ((0.58, 0.33, 0.26), (0.78, 0.74, 0.66), (0.55, 0.54, 0.52)))
        high, cap = float(rng.uniform(0.5, 3.0)), solid((0.6, 0.59, 0.57))
        long = span[1] - span[0]
        parts = [((0.0, -0.1, 0.0), (0.3, high + 0.1, long), solid(tint, tile)),
                 ((0.0, high, 0.0), (0.38, 0.08, long), cap)]  # fmt: skip
        kit.put(parts, x + side * 0.15, (span[0] + span[1]) / 2)


def furniture_along(kit: Kit, x: float, until: float, step: float) -> None:
    """Put lamp posts, bollards, benches, bins, bicycles and signs along a line at x."""
    rng = kit.rng
    z = rng.uniform(0.3, step)
    posts = prefabs.bollard(rng)
    while z < until:
        kind = rng.random()
        if kind < 0.3:
            for k in range(int(rng.integers(1, 5))):
                kit.put(posts, x, z + 1.4 * k)
        elif kind < 0.45:
            shapes.lamp_post(kit, x, z, 0.0 if x > 0 else np.pi)
        elif kind < 0.6:
            kit.put(prefabs.bench(rng), x, z, 0.0 if x > 0 else np.pi)
        elif kind < 0.75:
            kit.put(prefabs.crate(rng), x, z, rng.normal(0, 0.2))
        elif kind < 0.87:
            shapes.bicycle(kit, x, z, rng.normal(0, 0.4))
        else:
            mesh = furniture.sign(int(rng.integers(furniture.SIGN_VARIANTS)))
            kit.shape(mesh, x, z, rng.normal(0, 0.3), foot=(0.2, 0.2, 2.5))
        z += rng.uniform(0.5, 1.5) * step
