# SPDX-License-Identifier: Apache-2.0
"""All surface textures with their mip levels in one flat table."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from training.datasets.synthetic import textures, textures_near

LEVELS = 7
"""Mip levels of 256, 128 ... 4 texels."""


class Atlas(NamedTuple):
    """texels (n,) uint32 packed RGBA; base (COUNT, LEVELS) int32: first texel of each level."""

    texels: np.ndarray
    base: np.ndarray


def pack(tiles: list[np.ndarray]) -> Atlas:
    """Return the atlas of (SIZE, SIZE, 4) float tiles in 0..1.6 (colour) and 0..1 (alpha)."""
    base = np.zeros((len(tiles), LEVELS), np.int32)
    parts, at = [], 0
    for i, tile in enumerate(tiles):
        for level in range(LEVELS):
            size = textures.SIZE >> level
            small = cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA)
            scaled = small * (160, 160, 160, 255)
            texels = np.ascontiguousarray(np.clip(scaled, 0, 255).astype(np.uint8))
            base[i, level] = at
            parts.append(texels.reshape(-1, 4).view(np.uint32)[:, 0])
            at += size * size
    return Atlas(np.concatenate(parts), base)


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    """Return the one texture table (built once a process, always the same)."""
    rng = np.random.default_rng(2024)
    tiles = {**textures.ground_tiles(rng), **textures.plant_tiles(rng), **textures.wall_tiles(rng)}
    tiles.update({i: textures.facade(rng) for i in textures.FACADES})
    tiles.update({i: textures.curtain_wall(rng) for i in textures.GLASS})
    tiles[textures.SHOP] = textures.shop_front(rng)
    tiles.update(textures_near.tiles())
    return pack([tiles[i].astype(np.float32) for i in range(textures.COUNT)])
