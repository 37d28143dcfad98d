# SPDX-License-Identifier: Apache-2.0
"""Trees, bushes, hedges and grass tufts: lumps under a shell of small leaf cards."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Look, Mesh, ball, box, joined, triangles, tube, unit

TREE_VARIANTS, BUSH_VARIANTS = 14, 6
LEAF = Look(CLASS_ID['vegetation'], textures.LEAVES, (0.5, 0.5, 0.5), paint=True)
WOOD = Look(CLASS_ID['vegetation'], textures.BARK, (0.34, 0.28, 0.23))


def cards(
    rng: np.random.Generator, centre: np.ndarray, radii: np.ndarray, count: int, size_m: float
) -> Mesh:
    """Return `count` leaf triangles scattered over an ellipsoid, shaded like its surface."""
    out = unit(rng.standard_normal((count, 3)))
    at = centre + out * radii * rng.uniform(0.8, 1.12, (count, 1))
    shape = np.clip(rng.standard_normal((count, 3, 3)), -1.4, 1.4)
    spread = shape * size_m * rng.uniform(0.5, 1.2, (count, 1, 1))
    corners = at[:, None] + spread
    uv = corners[..., :2] + corners[..., 2:]
    normals = unit(out + 0.35 * rng.standard_normal((count, 3)))
    return triangles(corners, uv, LEAF, normals)


def lump(rng: np.random.Generator, centre: np.ndarray, radii: np.ndarray, count: int) -> Mesh:
    """Return one leafy lump: a ball with cards over it."""
    # Few cards are large, many are small: they cover about the same.
    size = min(1.1 * float(radii.mean()) * count**-0.5, 0.3)
    return joined(
        [ball(tuple(centre), tuple(radii * 0.88), LEAF, 5), cards(rng, centre, radii, count, size)]
    )


@lru_cache(maxsize=64)
def tree(variant: int, level: int) -> Mesh:
    """Return a tree about 8 m tall: round, tall, or a conifer; level 0 is the most detailed."""
    rng = np.random.default_rng(1100 + variant)
    leaves = (90, 20, 6)[level]
    if variant % 5 == 4:
        return conifer(rng, leaves // 2, (9, 7, 5)[level])
    trunk_m = rng.uniform(1.8, 3.2)
    reach = rng.uniform(1.6, 2.6) if variant % 5 != 3 else 1.2
    lean = rng.normal(0, 0.15, 2)
    top = np.array([lean[0], trunk_m + 1.2, lean[1]])
    parts = [tube(np.zeros(3), top, (rng.uniform(0.14, 0.24), 0.08), (7, 5, 3)[level], WOOD)]
    for k in range((6, 5, 3)[level]):
        angle = k * 2.4 + rng.uniform(0, 1)
        away = reach * rng.uniform(0.3, 0.7) * (k > 0)
        y = trunk_m + 1.0 + (6.9 - trunk_m - 1.0) * (k / 5 + rng.uniform(-0.1, 0.1) if k else 0.5)
        centre = np.array([lean[0] + away * np.cos(angle), y, lean[1] + away * np.sin(angle)])
        radius = reach * (rng.uniform(0.5, 0.7) if k else 0.82)
        radii = np.array([radius, radius * rng.uniform(0.75, 1.1), radius])
        parts.append(lump(rng, centre, radii, leaves))
        if k and level == 0:
            parts.append(tube(top * [1, 0.75, 1], centre, (0.06, 0.03), 4, WOOD))
    return joined(parts)


def conifer(rng: np.random.Generator, leaves: int, sides: int) -> Mesh:
    """Return a fir: stacked skirts with ragged edges."""
    parts = [tube(np.zeros(3), np.array([0, 7.8, 0]), (0.18, 0.03), 5, WOOD)]
    for y in np.linspace(1.2, 7.2, 7):
        radius = 1.9 * (8.2 - y) / 7.2
        low, high = np.array([0, y, 0]), np.array([0, y + 1.5, 0])
        parts.append(tube(low, high, (radius, 0.12 * radius), sides, LEAF))
        rim = np.array([radius, 0.35, radius])
        parts.append(cards(rng, np.array([0, y + 0.25, 0]), rim, leaves, 0.15))
    return joined(parts)


@lru_cache(maxsize=32)
def bush(variant: int, far: bool) -> Mesh:
    """Return a bush about 1.2 m tall."""
    rng = np.random.default_rng(1300 + variant)
    parts = []
    for _ in range(3):
        radii = rng.uniform([0.4, 0.4, 0.4], [0.8, 0.7, 0.8])
        centre = np.array([rng.normal(0, 0.35), radii[1] * 0.75, rng.normal(0, 0.35)])
        parts.append(lump(rng, centre, radii, 6 if far else 34))
    return joined(parts)


@lru_cache(maxsize=4)
def hedge(tall: bool, far: bool) -> Mesh:
    """Return 4 m of hedge along Z: 1.3 m tall and clipped, or a thicket of 3 m."""
    rng = np.random.default_rng(1400)
    width, height, leaf = (1.6, 2.6, 0.16) if tall else (0.7, 1.2, 0.09)
    parts = [box((0, 0, 0), (width, height, 4.0), LEAF)]
    count = 10 if far and tall else 22
    for z in [] if far and not tall else np.linspace(-1.8, 1.8, 7):
        middle = np.array([0, 0.6 * height, z])
        reach = np.array([0.62 * width, 0.55 * height, 0.5])
        parts.append(cards(rng, middle, reach, count, leaf))
    return joined(parts)
