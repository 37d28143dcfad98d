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
    spread = rng.standard_normal((count, 3, 3)) * size_m * rng.uniform(0.5, 1.2, (count, 1, 1))
    corners = at[:, None] + spread
    uv = corners[..., :2] + corners[..., 2:]
    normals = unit(out + 0.35 * rng.standard_normal((count, 3)))
    return triangles(corners, uv, LEAF, normals)


def lump(rng: np.random.Generator, centre: np.ndarray, radii: np.ndarray, count: int) -> Mesh:
    """Return one leafy lump: a ball with cards over it."""
    size = 0.2 * float(radii.mean()) ** 0.5
    return joined(
        [ball(tuple(centre), tuple(radii * 0.88), LEAF, 5), cards(rng, centre, radii, count, size)]
    )


@lru_cache(maxsize=64)
def tree(variant: int, far: bool) -> Mesh:
    """Return a tree about 8 m tall: round, tall, or a conifer; `far` has fewer leaves."""
    rng = np.random.default_rng(1100 + variant)
    leaves = 12 if far else 36
    if variant % 5 == 4:
        return conifer(rng, leaves)
    trunk_m = rng.uniform(1.8, 3.2)
    reach = rng.uniform(1.5, 2.6) if variant % 5 != 3 else 1.1
    lean = rng.normal(0, 0.15, 2)
    top = np.array([lean[0], trunk_m + 1.2, lean[1]])
    parts = [tube(np.zeros(3), top, (rng.uniform(0.14, 0.24), 0.08), 7, WOOD)]
    crown_mid = (trunk_m + 8.0) / 2
    for k in range(4 if far else 6):
        angle = k * 2.4 + rng.uniform(0, 1)
        away = reach * rng.uniform(0.25, 0.75) * (k > 0)
        y = rng.uniform(trunk_m + 1.0, 6.8) if k else crown_mid
        centre = np.array([lean[0] + away * np.cos(angle), y, lean[1] + away * np.sin(angle)])
        radius = reach * (rng.uniform(0.45, 0.7) if k else 0.8)
        radii = np.array([radius, radius * rng.uniform(0.7, 1.1), radius])
        parts.append(lump(rng, centre, radii, leaves))
        if k and not far:
            parts.append(tube(top * [1, 0.75, 1], centre, (0.06, 0.03), 4, WOOD))
    return joined(parts)


def conifer(rng: np.random.Generator, leaves: int) -> Mesh:
    """Return a fir: stacked skirts with ragged edges."""
    parts = [tube(np.zeros(3), np.array([0, 7.8, 0]), (0.18, 0.03), 6, WOOD)]
    for y in np.linspace(1.2, 7.2, 7):
        radius = 1.9 * (8.2 - y) / 7.2
        low, high = np.array([0, y, 0]), np.array([0, y + 1.5, 0])
        parts.append(tube(low, high, (radius, 0.12 * radius), 9, LEAF))
        parts.append(
            cards(rng, low + [0, 0.25, 0], np.array([radius, 0.35, radius]), leaves, 0.17)
        )
    return joined(parts)


@lru_cache(maxsize=32)
def bush(variant: int) -> Mesh:
    """Return a bush about 1.2 m tall."""
    rng = np.random.default_rng(1300 + variant)
    parts = []
    for _ in range(3):
        radii = rng.uniform([0.4, 0.4, 0.4], [0.8, 0.7, 0.8])
        centre = np.array([rng.normal(0, 0.35), radii[1] * 0.75, rng.normal(0, 0.35)])
        parts.append(lump(rng, centre, radii, 26))
    return joined(parts)


@lru_cache(maxsize=4)
def hedge() -> Mesh:
    """Return 4 m of hedge along Z, 1.3 m tall."""
    rng = np.random.default_rng(1400)
    parts = [box((0, 0, 0), (0.7, 1.2, 4.0), LEAF)]
    for z in np.linspace(-1.8, 1.8, 7):
        parts.append(cards(rng, np.array([0, 0.75, z]), np.array([0.42, 0.55, 0.4]), 16, 0.09))
    return joined(parts)


@lru_cache(maxsize=4)
def tuft() -> Mesh:
    """Return a tuft of tall grass, 0.5 m."""
    rng = np.random.default_rng(1500)
    count = 16
    foot = np.concatenate(
        [rng.normal(0, 0.12, (count, 1)), np.zeros((count, 1)), rng.normal(0, 0.12, (count, 1))], 1
    )
    tip = foot + rng.normal(0, 0.13, (count, 3)) + np.array([0, 0.45, 0])
    side = unit(rng.standard_normal((count, 3)) * [1, 0, 1]) * 0.03
    corners = np.stack([foot - side, foot + side, tip], 1)
    up = np.repeat([[0.0, 1.0, 0.0]], count, 0)
    return triangles(corners, corners[..., :2] * 2, LEAF, up)
