# SPDX-License-Identifier: Apache-2.0
"""Houses, blocks, offices, shops and sheds: the front faces -X and stands on x = 0, z = 0."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Look, Mesh, box, hexahedron, joined, quads, ring

BUILDING = CLASS_ID['building']
KINDS = ('house', 'block', 'office', 'shed')
VARIANTS = 10
ROOFS = ((0.42, 0.22, 0.17), (0.3, 0.3, 0.32), (0.36, 0.28, 0.24), (0.5, 0.3, 0.22))


@lru_cache(maxsize=128)
def front_size(kind: str, variant: int) -> tuple[float, float, float]:
    """Return depth (x), height (y) and length along the street (z) of a building, metres."""
    rng = np.random.default_rng([KINDS.index(kind), variant])
    low, high = {
        'house': ([7, 5.2, 7], [11, 6.4, 13]),
        'block': ([10, 9, 12], [14, 19, 26]),
        'office': ([14, 16, 16], [22, 60, 34]),
        'shed': ([14, 5, 18], [24, 9, 36]),
    }[kind]
    return tuple(rng.uniform(low, high))


def gable(depth: float, height: float, length: float, rise: float, roof: Look, wall: Look) -> Mesh:
    """Return a pitched roof with its ridge along Z, over a body of this size."""
    out, z = 0.4, length / 2 + 0.3
    eaves = height - 0.1
    west = [(-out, eaves, z), (-out, eaves, -z), (depth / 2, height + rise, -z)]
    west.append((depth / 2, height + rise, z))
    east = [(depth + out, eaves, -z), (depth + out, eaves, z), (depth / 2, height + rise, z)]
    east.append((depth / 2, height + rise, -z))
    z -= 0.3
    ends = []
    for s in (-1, 1):
        peak = (depth / 2, height + rise, s * z)
        base = [(0, height, s * z), (depth, height, s * z)][::s]
        ends.append([*base, peak, peak])
    return joined([quads(np.array([west, east])[:, ::-1], roof), quads(np.array(ends), wall)])


def details(rng: np.random.Generator, height: float, length: float, floors_m: float) -> list[Mesh]:
    """Return a plinth, a door and perhaps balconies on the front."""
    stone = Look(BUILDING, textures.PLASTER, (0.45, 0.44, 0.43))
    door = Look(BUILDING, 0, tuple(rng.uniform(0.1, 0.5, 3)))
    z = rng.uniform(-0.3, 0.3) * length
    parts = [
        box((-0.04, -0.5, 0), (0.1, 1.0, length), stone),
        box((-0.06, 0, z), (0.1, 2.2, 1.2), door),
        box((-0.5, 2.5, z), (1.0, 0.12, 1.9), stone),
    ]
    if rng.random() < 0.45:
        rail = Look(BUILDING, 0, tuple(rng.uniform(0.2, 0.7) * np.ones(3)))
        for y in np.arange(floors_m, height - 2, floors_m):
            for bay in rng.choice([-0.3, 0.0, 0.3], 2, replace=False):
                where = (-0.6, y, bay * length)
                parts += [box(where, (1.2, 0.15, 2.6), stone)]
                parts += [box((-1.15, y + 0.15, bay * length), (0.06, 0.9, 2.6), rail)]
    return parts


@lru_cache(maxsize=128)
def building(kind: str, variant: int) -> Mesh:
    """Return a building whose walls can be repainted."""
    rng = np.random.default_rng([1700, KINDS.index(kind), variant])
    depth, height, length = front_size(kind, variant)
    tile = {
        'house': textures.FACADES[variant % 4],
        'block': textures.FACADES[variant % 8],
        'office': textures.GLASS[variant % 2] if variant % 3 else textures.FACADES[variant % 8],
        'shed': (textures.PLASTER, textures.BRICK, textures.PLAIN)[variant % 3],
    }[kind]
    walls = Look(BUILDING, tile, (0.6, 0.57, 0.52), paint=True)
    plain = Look(BUILDING, textures.PLASTER, (0.6, 0.57, 0.52), paint=True)
    roof = Look(BUILDING, textures.ROOF, ROOFS[rng.integers(4)])
    flat = (0.0, depth, -length / 2, length / 2)
    body = hexahedron(
        ring(*flat[:2], -1.5, *flat[2:]), ring(*flat[:2], height, *flat[2:]), walls, roof
    )
    parts = [lifted(body, 1.5), *details(rng, height, length, 3.2)]
    if kind == 'block' and variant % 2:
        front = [(-0.03, 0, length / 2), (-0.03, 0, -length / 2)]
        face = [*front, (-0.03, 4.0, -length / 2), (-0.03, 4.0, length / 2)]
        parts.append(
            quads(np.array(face)[None, ::-1][:, [2, 3, 0, 1]], Look(BUILDING, textures.SHOP))
        )
        parts.append(
            box(
                (-0.5, 3.1, 0),
                (1.0, 0.1, 0.8 * length),
                Look(BUILDING, 0, tuple(rng.uniform(0.2, 0.8, 3))),
            )
        )
    if kind in ('house', 'block') and (kind == 'house' or variant % 3 == 0):
        parts.append(gable(depth, height, length, rng.uniform(2.0, 4.0), roof, plain))
        parts.append(box((depth * 0.6, height, rng.uniform(-2, 2)), (0.7, 4.0, 0.7), plain))
    else:
        parts.append(box((-0.1, height - 0.3, 0), (0.4, 0.8, length + 0.3), plain))
        parts.append(box((depth * 0.5, height, rng.uniform(-4, 4)), (3.0, 2.2, 4.0), plain))
    if kind == 'shed':
        gate = Look(BUILDING, textures.ROOF, tuple(rng.uniform(0.3, 0.8, 3)))
        for z in np.arange(-length / 2 + 4, length / 2 - 2, 7.0):
            parts.append(box((-0.02, 0, z), (0.1, 3.6, 3.4), gate))
    return joined(parts)


def lifted(body: Mesh, foot_m: float) -> Mesh:
    """Return a body that reaches `foot_m` below ground with v = 0 at the ground."""
    uv = body.uv.copy()
    steep = np.abs(body.normals[:, 1]) < 0.5
    uv[steep, :, 1] -= foot_m
    return Mesh(
        body.vertices, body.normals, uv, body.tint, body.tile, body.label, body.glow, body.paint
    )


BRIDGE_DEEP_M = 9.0


@lru_cache(maxsize=64)
def bridge(clear_half_m: int, variant: int) -> Mesh:
    """Return a bridge over a road, 120 m long, its piers `clear_half_m` to either side."""
    tile = (textures.PLASTER, textures.PLAIN, textures.BRICK)[variant]
    body = Look(UNLABELLED, tile, (0.55, 0.54, 0.52), paint=True)
    rail = Look(UNLABELLED, textures.PLAIN, (0.4, 0.42, 0.42))
    low, deep = (4.6, 5.2, 4.4)[variant], BRIDGE_DEEP_M
    parts = [box((0, low, 0), (120.0, 1.3, deep), body)]
    for z in (-deep / 2, deep / 2):
        parts.append(box((0, low + 1.3, z), (120.0, 0.9, 0.15), rail))
    for side in (-1, 1):
        solid = variant == 2
        width = 12.0 if solid else 1.2
        x = side * (clear_half_m + width / 2)
        parts.append(box((x, -1.0, 0), (width, low + 1.0, deep if solid else 0.8 * deep), body))
    return joined(parts)
