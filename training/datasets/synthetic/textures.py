# SPDX-License-Identifier: Apache-2.0
"""Surface textures made of periodic noise; atlas.py packs them.

A texel is RGBA: the display colour relative to the triangle's tint, and how far the tint counts
(alpha 1 = colour is texel x tint, 0 = the texel alone: window panes in a painted wall).
"""

from __future__ import annotations

import numpy as np

SIZE = 256

(PLAIN, ASPHALT, PAVING, GRASS, DIRT, LEAVES, BARK, BRICK, PLASTER, ROOF, CLOTH, MESHED) = range(
    12
)
FACADES = tuple(range(12, 20))
GLASS = (20, 21)
SHOP = 22
TILES, PLANKS, CARTON, GOODS, POSTER, GRILLE = range(23, 29)
PANELS, TERRAZZO, SHEET, HAZARD, GRAVEL, COBBLES = range(29, 35)
"""Made by textures_near.py."""
COUNT = 35

TILE_M = np.full(COUNT, 2.0, np.float32)
"""Metres that one tile spans on a surface."""
TILE_M[[ASPHALT, PAVING, GRASS, DIRT, LEAVES]] = 5.0, 2.4, 6.0, 6.0, 2.2
TILE_M[[BRICK, PLASTER, ROOF, CLOTH, MESHED]] = 2.0, 5.0, 4.0, 0.8, 1.2
TILE_M[list(FACADES)] = 12.8
TILE_M[list(GLASS)] = 14.0
TILE_M[SHOP] = 9.0
TILE_M[[TILES, PLANKS, CARTON, GOODS, POSTER, GRILLE]] = 2.4, 1.6, 2.0, 2.4, 3.2, 1.0
TILE_M[[PANELS, TERRAZZO, SHEET, HAZARD, GRAVEL, COBBLES]] = 2.4, 0.8, 2.0, 1.0, 1.2, 1.6


def noise(rng: np.random.Generator, slope: float, stretch: float = 1.0) -> np.ndarray:
    """Return (SIZE, SIZE) float32 periodic noise, mean 0, deviation 1, power ~ frequency^-2slope.

    stretch > 1 makes features longer downwards.
    """
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE * stretch
    fx = np.fft.rfftfreq(SIZE)[None] * SIZE
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE)))
    spectrum /= np.maximum(np.hypot(fx, fy), 1) ** slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (SIZE, SIZE))
    return (field / field.std()).astype(np.float32)


def grey(values: np.ndarray, alpha: float | np.ndarray = 1.0) -> np.ndarray:
    """Return (SIZE, SIZE, 4) from brightness values around 1."""
    rgba = np.repeat(values[..., None], 4, -1)
    rgba[..., 3] = alpha
    return rgba


def grain(rng: np.random.Generator, fine: float, coarse: float) -> np.ndarray:
    """Return brightness 1 with fine grains and coarse stains of these strengths."""
    return 1 + fine * noise(rng, 0.2) + coarse * noise(rng, 1.3)


def ground_tiles(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Return asphalt, paving, grass and dirt."""
    rows, cols = np.mgrid[:SIZE, :SIZE]
    slabs = grain(rng, 0.05, 0.04)
    slab_tone = np.repeat(np.repeat(rng.normal(0, 0.04, (4, 4)), 64, 0), 64, 1)
    slabs = slabs + slab_tone - 0.25 * ((rows % 64 < 2) | (cols % 64 < 2))
    grass = grey(1 + 0.16 * noise(rng, 0.5, 0.5) + 0.12 * noise(rng, 1.2))
    grass[..., :3] *= 1 + np.array([0.16, 0.03, -0.05]) * noise(rng, 1.3)[..., None]
    dirt = grey(grain(rng, 0.12, 0.12))
    dirt[..., :3] *= 1 + np.array([0.05, 0.0, -0.06]) * noise(rng, 1.0)[..., None]
    asphalt = grain(rng, 0.05, 0.05)
    cracks = np.abs(noise(rng, 1.4)) < 0.012
    return {
        ASPHALT: grey(asphalt - 0.12 * cracks),
        PAVING: grey(slabs),
        GRASS: grass,
        DIRT: dirt,
    }


def plant_tiles(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Return leaves (dark gaps between lit clumps) and bark."""
    clumps = noise(rng, 0.9)
    leaves = grey(np.clip(0.74 + 0.32 * clumps + 0.18 * noise(rng, 0.1), 0.15, 1.5))
    leaves[..., :3] *= 1 + np.array([0.08, 0.02, -0.1]) * noise(rng, 0.8)[..., None]
    return {LEAVES: leaves, BARK: grey(1 + 0.2 * noise(rng, 0.8, 0.25))}


def wall_tiles(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Return plain, brick, plaster, roof, cloth and wire mesh."""
    rows, cols = np.mgrid[:SIZE, :SIZE]
    course = rows // 16
    shifted = (cols + 16 * (course % 2)) % SIZE
    joints = (rows % 16 < 2) | (shifted % 32 < 2)
    tone = rng.normal(0, 0.1, (16, 8))[course, shifted // 32]
    roof = grain(rng, 0.06, 0.06) - 0.25 * (rows % 21 < 3)
    mesh = ((rows + cols) % 16 < 3) | ((rows - cols) % 16 < 3)
    return {
        PLAIN: grey(grain(rng, 0.02, 0.03)),
        BRICK: grey(np.where(joints, 1.15, 1 + tone) + 0.05 * noise(rng, 0.3)),
        PLASTER: grey(grain(rng, 0.03, 0.06)),
        ROOF: grey(roof),
        CLOTH: grey(1 + 0.1 * noise(rng, 0.9)),
        MESHED: grey(np.where(mesh, 1.1, 0.55).astype(np.float32)),
    }


def pane(rng: np.random.Generator, shape: tuple[int, int], curtains: float = 0.25) -> np.ndarray:
    """Return (h, w, 4) of a window pane: sky reflection above, dark room or curtain, alpha 0."""
    height = shape[0]
    top = rng.uniform(0.15, 0.5) * np.array([0.85, 0.95, 1.1])
    low = rng.uniform(0.05, 0.22) * np.ones(3)
    if rng.random() < curtains:
        top = low = rng.uniform(0.45, 0.75) * np.array([1.0, 0.97, 0.9])
    ramp = np.linspace(0, 1, height)[:, None, None] ** rng.uniform(0.5, 2)
    glass = np.zeros((*shape, 4), np.float32)
    glass[..., :3] = (1 - ramp) * top + ramp * low
    return glass


def facade(rng: np.random.Generator) -> np.ndarray:
    """Return 4 x 4 windows in a painted, plastered or brick wall (12.8 m square)."""
    style = rng.integers(3)
    wall = grain(rng, 0.03, 0.05)
    if style == 0:
        course = np.arange(SIZE)[:, None] // 4
        wall = wall - 0.05 * (np.arange(SIZE)[:, None] % 4 == 0)
        wall = wall + rng.normal(0, 0.04, (SIZE // 4, SIZE // 8))[course, np.arange(SIZE) // 8]
    if style == 1:
        wall[::64] *= 0.75
        wall[1::64] *= 1.15
    tile = grey(wall)
    width, height = rng.integers(20, 44), rng.integers(26, 46)
    left, top = (64 - width) // 2, int(rng.integers(6, 64 - height - 4))
    mullions = int(rng.integers(1, 4))
    frame = np.array([1, 1, 1, 0]) * rng.uniform(0.3, 0.9)
    for row in range(4):
        for col in range(4):
            y, x = 64 * row + top, 64 * col + left
            tile[y - 2 : y + height + 2, x - 2 : x + width + 2] = frame
            tile[y : y + height, x : x + width] = pane(rng, (height, width))
            for k in range(1, mullions):
                tile[y : y + height, x + k * width // mullions] = frame
            tile[y + height + 2 : y + height + 4, x - 4 : x + width + 4, :3] *= 1.25
            tile[y + height + 4 : y + height + 7, x - 3 : x + width + 3, :3] *= 0.75
    return tile


def curtain_wall(rng: np.random.Generator) -> np.ndarray:
    """Return a glass front: panes in a grid of bars."""
    tile = np.zeros((SIZE, SIZE, 4), np.float32)
    step = (32, int(rng.choice([16, 32, 64])))
    shared = pane(rng, step, 0.0)
    for y in range(0, SIZE, step[0]):
        for x in range(0, SIZE, step[1]):
            tile[y : y + step[0], x : x + step[1]] = 0.5 * (shared + pane(rng, step, 0.1))
    tile[..., 3] = 0.35
    bars = (np.arange(SIZE) % step[0] < 2)[:, None] | (np.arange(SIZE) % step[1] < 2)
    tile[bars] = (0.55, 0.55, 0.55, 0.5)
    return tile


def shop_front(rng: np.random.Generator) -> np.ndarray:
    """Return a row of shops, 9 m wide: windows, doors and signs over them, floor at the bottom."""
    tile = grey(grain(rng, 0.03, 0.05))
    for x in range(0, SIZE, 64):
        sign = rng.uniform(0.2, 0.95, 3)
        tile[150:172, x + 3 : x + 61] = (*sign, 0)
        tile[157:165, x + 12 : x + 50 : 3] = (*np.clip(1.1 - sign, 0, 1), 0)
        tile[176:246, x + 3 : x + 40] = pane(rng, (70, 37))
        tile[176:254, x + 44 : x + 60] = pane(rng, (78, 16))
    tile[:140] = facade(rng)[:140]
    return tile
