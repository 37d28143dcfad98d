# SPDX-License-Identifier: Apache-2.0
"""Things made of boxes, standing around the origin: shelves, pallets, furniture, doors, bollards.

Each function draws one variant and returns its parts (kit.Part).
"""

from __future__ import annotations

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Colour, Look
from training.datasets.synthetic.robots.kit import OBSTACLE, Part

POLE, BUILDING = CLASS_ID['pole'], CLASS_ID['building']
WOODS = ((0.55, 0.4, 0.26), (0.72, 0.58, 0.4), (0.38, 0.26, 0.17), (0.82, 0.8, 0.76), (0.3,) * 3)
VIVID = ((0.75, 0.15, 0.1), (0.1, 0.3, 0.6), (0.15, 0.5, 0.3), (0.9, 0.6, 0.1), (0.9, 0.9, 0.9))


def hue(rng: np.random.Generator, table: tuple = VIVID) -> Colour:
    """Draw a colour near one of a table."""
    base = np.array(table[rng.integers(len(table))])
    red, green, blue = np.clip(base * rng.uniform(0.75, 1.15) + rng.normal(0, 0.015, 3), 0.02, 1)
    return float(red), float(green), float(blue)


def solid(tint: Colour, tile: int = 0, label: int = OBSTACLE, glow: float = 0.0) -> Look:
    """Return the look of a static obstacle (or another class)."""
    return Look(label, tile, tint, glow)


def carton(rng: np.random.Generator) -> list[Part]:
    """Return a stack of one to three cardboard boxes."""
    parts, y = [], 0.0
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        w, h, d = (float(v) for v in rng.uniform([0.2, 0.12, 0.2], [0.7, 0.55, 0.6]))
        look = solid(hue(rng, ((0.66, 0.5, 0.33), (0.7, 0.57, 0.42))), textures.CARTON)
        parts.append(((rng.normal(0, 0.03), y, rng.normal(0, 0.03)), (w, h, d), look))
        y += h
    return parts


def crate(rng: np.random.Generator) -> list[Part]:
    """Return a plastic crate, a tool chest or a bin."""
    w, h, d = (float(v) for v in rng.uniform([0.25, 0.15, 0.25], [0.8, 1.1, 0.7]))
    tile = int(rng.choice([textures.GRILLE, textures.PLAIN, textures.SHEET]))
    body = solid(hue(rng), tile)
    lid = solid(tuple(0.6 * c for c in body.tint))
    return [((0, 0, 0), (w, h, d), body), ((0, h, 0), (w + 0.04, 0.04, d + 0.04), lid)]


def pallet(rng: np.random.Generator, load: float = 0.75) -> list[Part]:
    """Return a pallet, mostly with a load of boxes, sacks or a wrapped block."""
    wood = solid((0.6, 0.48, 0.33), textures.PLANKS)
    parts = [((x, 0.0, 0.0), (0.1, 0.1, 1.2), wood) for x in (-0.35, 0.0, 0.35)]
    parts += [((0.0, 0.1, z), (0.8, 0.022, 0.14), wood) for z in (-0.5, -0.25, 0.0, 0.25, 0.5)]
    if rng.random() > load:
        return parts
    kind, height = rng.random(), float(rng.uniform(0.3, 1.5))
    if kind < 0.6:
        look = solid(hue(rng, ((0.66, 0.5, 0.33), (0.72, 0.6, 0.45))), textures.CARTON)
        for x in (-0.2, 0.2):
            tall = height * rng.uniform(0.75, 1.0)
            parts.append(((x, 0.122, 0.0), (0.39, tall, 1.14), look))
    else:
        tile = int(rng.choice([textures.PLAIN, textures.CLOTH, textures.GOODS]))
        look = solid(hue(rng, ((0.8, 0.82, 0.84), (0.2, 0.22, 0.25), (0.5, 0.6, 0.7))), tile)
        parts.append(((0.0, 0.122, 0.0), (0.78, height, 1.16), look))
    return parts


def shelf(rng: np.random.Generator, length: float, height: float, rack: bool) -> list[Part]:
    """Return a shelf along Z, open to -X, its front at x = 0: uprights, boards, contents.

    rack: a warehouse rack with beams and pallets rather than a book shelf.
    """
    deep = 1.05 if rack else 0.34
    frame = solid(hue(rng) if rack else hue(rng, WOODS), 0 if rack else textures.PLANKS)
    beam = solid((0.85, 0.4, 0.1)) if rack else frame
    post = 0.09 if rack else 0.03
    step = float(rng.uniform(1.3, 1.8) if rack else rng.uniform(0.28, 0.42))
    bay = 2.7 if rack else length
    parts: list[Part] = []
    for z in np.arange(0, length + 0.01, bay):
        for x in (post / 2, deep - post / 2) if rack else (deep / 2,):
            wide = post if rack else deep
            parts.append(((x, 0.0, z - length / 2), (wide, height, post), frame))
    first = float(rng.choice([0.0, 0.15, step])) if rack else 0.06
    for y in np.arange(first, height, step):
        parts.append(((deep / 2, y, 0.0), (deep, 0.03, length), frame))
        if rack and y > 0.05:
            parts.append(((0.02, y - 0.08, 0.0), (0.05, 0.11, length), beam))
        parts += contents(rng, y + 0.03, step, (deep, length), rack)
    if not rack:
        parts.append(((deep - 0.01, 0.0, 0.0), (0.02, height, length), frame))
    return parts


def contents(
    rng: np.random.Generator, y: float, room: float, size: tuple[float, float], rack: bool
) -> list[Part]:
    """Return what stands on one board: goods of various heights with gaps between them."""
    deep, length = size
    parts: list[Part] = []
    z = -length / 2 + 0.1
    while z < length / 2 - 0.15:
        long = min(float(rng.uniform(0.7, 1.25) if rack else rng.uniform(0.15, 0.6)),
                   length / 2 - 0.05 - z)  # fmt: skip
        if rng.random() < 0.8:
            tall = room * float(rng.uniform(0.35, 0.85))
            tile = textures.CARTON if rng.random() < (0.7 if rack else 0.15) else textures.GOODS
            tint = (0.66, 0.52, 0.36) if tile == textures.CARTON else (0.6, 0.6, 0.6)
            wide = deep * float(rng.uniform(0.6, 0.92))
            parts.append(((deep - wide / 2 - 0.02, y, z + long / 2), (wide, tall, long),
                          solid(tint, tile)))  # fmt: skip
        z += long + float(rng.uniform(0.02, 0.2))
    return parts


def table(rng: np.random.Generator) -> list[Part]:
    """Return a table or desk with thin legs."""
    w, d = float(rng.uniform(0.6, 1.0)), float(rng.uniform(0.8, 2.0))
    h = float(rng.choice([0.45, 0.73, 0.75, 1.05]))
    look = solid(hue(rng, WOODS), textures.PLANKS)
    leg = solid(hue(rng, ((0.1,) * 3, (0.7,) * 3, look.tint)))
    parts = [((0.0, h - 0.03, 0.0), (w, 0.03, d), look)]
    thin = float(rng.choice([0.03, 0.05, 0.08]))
    parts += [((x * (w / 2 - 0.05), 0.0, z * (d / 2 - 0.05)), (thin, h - 0.03, thin), leg)
              for x in (-1, 1) for z in (-1, 1)]  # fmt: skip
    if rng.random() < 0.6:
        at = float(rng.uniform(-0.3, 0.3)) * d
        parts.append(((0.0, h, at), (0.05, 0.35, 0.5), solid((0.06, 0.06, 0.07))))
        parts.append(((0.15, h, -at), (0.2, 0.12, 0.3), solid(hue(rng), textures.GOODS)))
    return parts


def chair(rng: np.random.Generator) -> list[Part]:
    """Return a chair: seat, back, four legs."""
    look = solid(hue(rng), int(rng.choice([0, textures.CLOTH])))
    leg = solid(hue(rng, ((0.1,) * 3, (0.7,) * 3, (0.5, 0.38, 0.25))))
    parts = [((0.0, 0.43, 0.0), (0.42, 0.05, 0.42), look),
             ((0.0, 0.5, -0.2), (0.4, 0.42, 0.03), look)]  # fmt: skip
    return parts + [((x, 0.0, z), (0.03, 0.43, 0.03), leg)
                    for x in (-0.18, 0.18) for z in (-0.18, 0.18)]  # fmt: skip


def sofa(rng: np.random.Generator) -> list[Part]:
    """Return a sofa or armchair, its back at -Z."""
    w = float(rng.uniform(0.8, 2.2))
    look = solid(hue(rng, (*VIVID, (0.4, 0.4, 0.42), (0.5, 0.42, 0.35))), textures.CLOTH)
    arms = [((s * w / 2, 0.05, 0.0), (0.18, 0.55, 0.85), look) for s in (-1, 1)]
    return [((0.0, 0.08, 0.0), (w, 0.35, 0.85), look),
            ((0.0, 0.08, -0.36), (w, 0.75, 0.2), look), *arms]  # fmt: skip


def cupboard(rng: np.random.Generator) -> list[Part]:
    """Return a cupboard, locker, fridge or radiator with its front at +Z."""
    w, h, d = (float(v) for v in rng.uniform([0.5, 0.7, 0.3], [1.4, 2.1, 0.6]))
    tint = hue(rng, (*WOODS, (0.75, 0.77, 0.78), (0.4, 0.5, 0.55)))
    body = solid(tint, int(rng.choice([0, textures.PLANKS, textures.GRILLE])))
    gap = solid(tuple(0.35 * c for c in tint))
    parts = [((0.0, 0.0, 0.0), (w, h, d), body)]
    parts += [((x * w, 0.05, d / 2), (0.008, h - 0.1, 0.006), gap) for x in (-0.02, 0.25)]
    parts.append(((0.05, 0.45 * h, d / 2 + 0.01), (0.02, 0.12, 0.03), solid((0.2, 0.2, 0.2))))
    return parts


def door(rng: np.random.Generator, along: bool = True) -> list[Part]:
    """Return a door in a wall along Z whose face is x = 0, looking to -X: leaf, frame, handle."""
    w, h = float(rng.choice([0.9, 0.9, 1.0, 1.8])), float(rng.uniform(2.0, 2.15))
    frame, leaf = solid(hue(rng, WOODS)), solid(hue(rng, (*WOODS, *VIVID)), textures.PLAIN)
    parts = [((-0.005, 0.0, 0.0), (0.03, h, w), leaf),
             ((-0.01, h, 0.0), (0.06, 0.08, w + 0.16), frame)]  # fmt: skip
    parts += [((-0.01, 0.0, s * (w / 2 + 0.04)), (0.06, h, 0.08), frame) for s in (-1, 1)]
    parts.append(((-0.04, 1.0, 0.4 * w), (0.05, 0.03, 0.12), solid((0.6, 0.6, 0.6))))
    if rng.random() < 0.35:
        pane = solid((0.2, 0.24, 0.28), textures.GLASS[0])
        parts.append(((-0.012, 1.1, 0.0), (0.03, 0.7, 0.5 * w), pane))
    return parts


def bench(rng: np.random.Generator) -> list[Part]:
    """Return a park bench along Z, its back at +X."""
    wood = solid(hue(rng, WOODS), textures.PLANKS)
    leg = solid((0.2, 0.2, 0.21))
    parts = [((x, 0.43, 0.0), (0.12, 0.04, 1.7), wood) for x in (-0.15, 0.0, 0.15)]
    parts += [((0.25, y, 0.0), (0.03, 0.11, 1.7), wood) for y in (0.55, 0.72)]
    parts += [((0.03, 0.0, z), (0.42, 0.43, 0.06), leg) for z in (-0.7, 0.7)]
    return parts + [((0.26, 0.43, z), (0.05, 0.42, 0.06), leg) for z in (-0.7, 0.7)]


def bollard(rng: np.random.Generator) -> list[Part]:
    """Return a square bollard or marker post with a light band."""
    h, w = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.07, 0.22))
    body = solid(hue(rng, ((0.15,) * 3, (0.6, 0.6, 0.58), (0.85, 0.65, 0.1))), 0, POLE)
    band = solid((0.9, 0.9, 0.88), 0, POLE)
    return [((0.0, 0.0, 0.0), (w, h, w), body), ((0.0, 0.7 * h, 0.0), (w * 1.08, 0.1, w * 1.08),
            band)]  # fmt: skip


def steps(rng: np.random.Generator, width: float) -> list[Part]:
    """Return two to eight steps that rise along +Z from z = 0, `width` across."""
    rise, tread = float(rng.uniform(0.12, 0.18)), float(rng.uniform(0.28, 0.36))
    tint = hue(rng, ((0.62, 0.6, 0.57), (0.5, 0.48, 0.46)))
    edge = solid(tuple(0.8 * c for c in tint), textures.TERRAZZO)
    look = solid(tint, textures.TERRAZZO)
    parts: list[Part] = []
    for k in range(int(rng.integers(2, 8))):
        parts.append(((0.0, k * rise, 2.0 + k * tread), (width, rise, 4.0), look))
        parts.append(((0.0, (k + 1) * rise - 0.03, k * tread), (width, 0.031, 0.03), edge))
    return parts


def container(rng: np.random.Generator) -> list[Part]:
    """Return a shipping container or skip along Z."""
    h, d = float(rng.choice([1.3, 2.6])), float(rng.choice([3.0, 6.0]))
    body = solid(hue(rng, (*VIVID, (0.45, 0.3, 0.25))), textures.SHEET)
    rail = solid(tuple(0.7 * c for c in body.tint))
    parts = [((0.0, 0.12, 0.0), (2.4, h, d), body)]
    return parts + [((0.0, y, 0.0), (2.46, 0.12, d + 0.06), rail) for y in (0.06, h + 0.04)]
