# SPDX-License-Identifier: Apache-2.0
"""Street furniture: poles, lamps, signs, traffic lights, fences, walls, guard rails, bins."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Look, Mesh, box, disc, joined, quads, tube

POLE, SIGN, LIGHT = CLASS_ID['pole'], CLASS_ID['traffic_sign'], CLASS_ID['traffic_light']
FENCE, WALL = CLASS_ID['fence'], CLASS_ID['wall']
SIGN_VARIANTS, LIGHT_VARIANTS, FENCE_VARIANTS, WALL_VARIANTS = 10, 6, 5, 4
STEEL = Look(POLE, 0, (0.5, 0.51, 0.52))
RED, WHITE, BLUE, YELLOW = (
    (0.75, 0.08, 0.1),
    (0.92, 0.92, 0.92),
    (0.1, 0.25, 0.6),
    (0.95, 0.75, 0.1),
)


@lru_cache(maxsize=4)
def lamp_post(kind: int) -> Mesh:
    """Return a street lamp (0, 1), a wooden power pole (2) or a plain post (3)."""
    if kind == 2:
        wood = Look(POLE, textures.BARK, (0.38, 0.3, 0.24))
        bars = [box((0, y, 0), (1.8, 0.1, 0.1), wood) for y in (7.4, 8.1)]
        return joined([tube(np.zeros(3), np.array([0, 8.6, 0]), (0.14, 0.1), 7, wood), *bars])
    if kind == 3:
        return tube(np.zeros(3), np.array([0, 1.0, 0]), (0.06, 0.05), 7, STEEL)
    dark = Look(POLE, 0, (0.25, 0.27, 0.27)) if kind else STEEL
    height = 5.0 if kind else 8.0
    top = np.array([0, height, 0])
    tip = np.array([-1.6 if kind == 0 else -0.3, height + 0.25, 0])
    head = Look(POLE, 0, (0.8, 0.8, 0.75), glow=0.8)
    parts = [
        tube(np.zeros(3), top, (0.1, 0.06), 8, dark),
        tube(top, tip, (0.05, 0.04), 5, dark),
        box((tip[0] - 0.2, tip[1] - 0.08, 0), (0.6, 0.1, 0.22), head, dark),
    ]
    return joined(parts)


def plate(shape: int, y: float, z: float) -> list[Mesh]:
    """Return the face (towards -Z) of a sign of one of several shapes at height y."""
    toward = (0, 0, -1)
    layers = {
        0: [(0.38, 16, WHITE), (0.375, 16, RED), (0.27, 16, WHITE)],
        1: [(0.38, 16, BLUE), (0.12, 16, WHITE)],
        2: [(0.42, 8, WHITE), (0.4, 8, RED)],
        3: [(0.44, 4, WHITE), (0.41, 4, YELLOW)],
        4: [(0.38, 16, RED), (0.3, 16, WHITE), (0.12, 4, (0.1, 0.1, 0.1))],
    }
    if shape in layers:
        return [
            disc((0, y, z - 0.012 * k), toward, r, n, Look(SIGN, 0, c))
            for k, (r, n, c) in enumerate(layers[shape])
        ]
    return [
        triangle(y, z - 0.012 * k, r, c, shape == 6)
        for k, (r, c) in enumerate(((0.5, RED), (0.33, WHITE)))
    ]


def triangle(y: float, z: float, radius: float, colour: tuple, down: bool) -> Mesh:
    """Return a triangular plate, its point up or down."""
    angle = np.pi / 2 + np.arange(3) * (2 * np.pi / 3) + (np.pi if down else 0)
    points = np.stack([radius * np.cos(angle), y + radius * np.sin(angle), np.full(3, z)], 1)
    pair = np.concatenate([points, points[2:]])[None]
    return quads(pair[:, ::-1], Look(SIGN, 0, colour))


@lru_cache(maxsize=16)
def sign(variant: int) -> Mesh:
    """Return a traffic sign on its post, its face towards -Z."""
    post = [tube(np.zeros(3), np.array([0, 2.7, 0]), (0.035, 0.035), 6, STEEL)]
    back = Look(SIGN, 0, (0.55, 0.56, 0.57))
    if variant < 7:
        backing = disc((0, 2.4, -0.04), (0, 0, 1), 0.37, 12, back)
        return joined([*post, backing, *plate(variant, 2.4, -0.05)])
    colour = (BLUE, (0.1, 0.4, 0.25), WHITE)[variant - 7]
    width, height = ((1.6, 0.9), (2.6, 1.4), (0.5, 0.7))[variant - 7]
    face = box((0, 2.2, -0.08), (width, height, 0.05), Look(SIGN, 0, colour))
    text = Look(SIGN, 0, WHITE if variant < 9 else (0.15, 0.15, 0.15))
    words = [
        box((0, 2.2 + height * (0.2 + 0.3 * k), -0.115), (width * 0.7, height * 0.12, 0.01), text)
        for k in range(3)
    ]
    second = tube(
        np.array([width * 0.35, 0, 0]), np.array([width * 0.35, 2.3, 0]), (0.04, 0.04), 6, STEEL
    )
    return joined([*post, second, face, *words])


@lru_cache(maxsize=16)
def traffic_light(variant: int) -> Mesh:
    """Return a traffic light facing -Z: on a post, or also on an arm over the road (odd)."""
    lit = (variant // 2) % 3
    tall = variant % 2 == 1
    height = 6.0 if tall else 3.2
    dark = Look(POLE, 0, (0.3, 0.31, 0.31))
    parts = [
        tube(np.zeros(3), np.array([0, height, 0]), (0.09, 0.07), 8, dark),
        *signal(0.0, 2.5, lit),
    ]
    if tall:
        parts.append(tube(np.array([0, 5.8, 0]), np.array([-4.5, 6.0, 0]), (0.07, 0.05), 6, dark))
        parts += signal(-4.2, 5.2, lit)
    return joined(parts)


def signal(x: float, y: float, lit: int) -> list[Mesh]:
    """Return a head of three lamps, its foot at (x, y), lamp number `lit` from above shining."""
    case = Look(LIGHT, 0, (0.08, 0.09, 0.09))
    colours = ((1.0, 0.12, 0.08), (1.0, 0.7, 0.1), (0.15, 1.0, 0.45))
    parts = [
        box((x, y, -0.16), (0.34, 0.98, 0.22), case),
        box((x, y - 0.1, -0.145), (0.56, 1.18, 0.02), case),
    ]
    for k, colour in enumerate(colours):
        on = k == lit
        tint = colour if on else tuple(0.22 * c for c in colour)
        look = Look(LIGHT, 0, tint, glow=3.0 if on else 0.0)
        parts.append(disc((x, y + 0.8 - 0.31 * k, -0.285), (0, 0, -1), 0.12, 10, look))
    return parts


def planks(count: int, size: tuple[float, float], gap: float, look: Look) -> list[Mesh]:
    """Return upright planks (width, height) along Z, 4 m in all."""
    where = (np.arange(count) - (count - 1) / 2) * (4.0 / count)
    return [box((0, gap, float(z)), (0.04, size[1], size[0]), look) for z in where]


@lru_cache(maxsize=8)
def fence(kind: int) -> Mesh:
    """Return 4 m of fence along Z: pickets, rails, wire mesh, guard rail or boards."""
    wood = Look(FENCE, textures.BARK, (0.5, 0.4, 0.3), paint=True)
    metal = Look(FENCE, 0, (0.3, 0.32, 0.32), paint=True)
    steel = Look(FENCE, 0, (0.62, 0.63, 0.64))
    posts = [box((0, 0, z), (0.1, 1.25, 0.1), metal) for z in (-1.95, 0.0)]
    if kind == 0:
        rails = [box((0.03, y, 0), (0.03, 0.09, 4.0), wood) for y in (0.3, 0.85)]
        return joined([*planks(22, (0.1, 1.05), 0.08, wood), *rails])
    if kind == 1:
        rails = [box((0, y, 0), (0.05, 0.05, 4.0), metal) for y in (0.15, 1.1)]
        return joined([*planks(26, (0.025, 1.0), 0.12, metal), *rails, *posts])
    if kind == 2:
        net = Look(FENCE, textures.MESHED, (0.5, 0.52, 0.5))
        return joined(
            [
                box((0, 0.05, 0), (0.01, 1.7, 4.0), net),
                *[box((0, 0, z), (0.07, 1.8, 0.07), steel) for z in (-1.95, 0.0)],
            ]
        )
    if kind == 3:
        beam = [box((-0.06, y, 0), (0.06, 0.13, 4.0), steel) for y in (0.42, 0.62)]
        stand = [box((0.03, 0, z), (0.08, 0.75, 0.12), steel) for z in (-1.5, 0.5)]
        return joined([box((-0.03, 0.42, 0), (0.03, 0.33, 4.0), steel), *beam, *stand])
    return joined([*planks(12, (0.32, 1.8), 0.05, wood), *posts])


@lru_cache(maxsize=8)
def far_fence(kind: int) -> Mesh:
    """Return the fence of this kind as one slab."""
    y, height = ((0.1, 1.0), (0.1, 1.1), (0.05, 1.7), (0.42, 0.35), (0.05, 1.8))[kind]
    tile = (textures.BARK, textures.MESHED, textures.MESHED, textures.PLAIN, textures.BARK)[kind]
    return box(
        (0, y, 0), (0.04, height, 4.0), Look(FENCE, tile, (0.55, 0.55, 0.55), paint=kind != 3)
    )


@lru_cache(maxsize=8)
def wall(kind: int) -> Mesh:
    """Return 4 m of wall along Z: brick, plaster, concrete or a tall noise barrier."""
    tile = (textures.BRICK, textures.PLASTER, textures.PLAIN, textures.PLASTER)[kind]
    tint = ((0.55, 0.3, 0.24), (0.75, 0.72, 0.65), (0.6, 0.6, 0.58), (0.5, 0.55, 0.5))[kind]
    height = (1.6, 1.9, 1.0, 3.2)[kind]
    body, cap = Look(WALL, tile, tint, paint=kind == 1), Look(WALL, 0, (0.6, 0.59, 0.57))
    return joined(
        [box((0, 0, 0), (0.3, height, 4.0), body), box((0, height, 0), (0.38, 0.1, 4.0), cap)]
    )


@lru_cache(maxsize=4)
def clutter(kind: int) -> Mesh:
    """Return things that have no class of their own: a bin, a box, a bench, a cone."""
    look = Look(UNLABELLED, 0, (0.25, 0.3, 0.28), paint=True)
    if kind == 0:
        return joined(
            [box((0, 0, 0), (0.6, 1.0, 0.7), look), box((0, 1.0, 0), (0.64, 0.08, 0.76), look)]
        )
    if kind == 1:
        return box((0, 0, 0), (0.8, 1.3, 0.45), look)
    if kind == 2:
        seat = [
            box((0, 0.42, 0), (0.5, 0.06, 1.8), look),
            box((0.25, 0.5, 0), (0.05, 0.45, 1.8), look),
        ]
        return joined([*seat, *[box((0, 0, z), (0.45, 0.42, 0.08), look) for z in (-0.7, 0.7)]])
    orange = Look(UNLABELLED, 0, (0.95, 0.35, 0.1))
    return joined(
        [
            tube(np.zeros(3), np.array([0, 0.7, 0]), (0.18, 0.03), 10, orange),
            box((0, 0, 0), (0.42, 0.04, 0.42), orange),
        ]
    )
