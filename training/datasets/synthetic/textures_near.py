# SPDX-License-Identifier: Apache-2.0
"""Textures of what a robot has right before it: floors, boxes, shelves, posters, sheet metal."""

from __future__ import annotations

import numpy as np

from training.datasets.synthetic import textures
from training.datasets.synthetic.textures import SIZE, grain, grey, noise


def cells(rng: np.random.Generator, across: int, down: int, spread: float) -> np.ndarray:
    """Return (SIZE, SIZE) brightness 1 with one tone for each cell of a grid."""
    tone = 1 + rng.normal(0, spread, (down, across))
    rows, cols = np.mgrid[:SIZE, :SIZE]
    return tone[rows * down // SIZE, cols * across // SIZE]


def lines(across: int, down: int, width: int) -> np.ndarray:
    """Return (SIZE, SIZE) bool: the lines of a grid."""
    rows, cols = np.mgrid[:SIZE, :SIZE]
    return (rows % (SIZE // down) < width) | (cols % (SIZE // across) < width)


def planks(rng: np.random.Generator) -> np.ndarray:
    """Return long boards beside each other, their ends at different places."""
    rows, cols = np.mgrid[:SIZE, :SIZE]
    board = cols // 32
    along = (rows + 96 * (board % 3)) % SIZE
    tone = rng.normal(0, 0.1, (8, 2))[board, along // 128]
    joint = (cols % 32 < 1) | (along % 128 < 1)
    wood = 1 + tone + 0.09 * noise(rng, 0.8, 0.12) - 0.35 * joint
    tile = grey(wood)
    tile[..., :3] *= 1 + np.array([0.03, 0.0, -0.04]) * noise(rng, 1.0)[..., None]
    return tile


def cartons(rng: np.random.Generator) -> np.ndarray:
    """Return 4 x 4 cardboard faces with tape, print and labels."""
    tile = grey(cells(rng, 4, 4, 0.05) * grain(rng, 0.02, 0.03) - 0.3 * lines(4, 4, 1))
    for y in range(0, SIZE, 64):
        for x in range(0, SIZE, 64):
            if rng.random() < 0.6:
                tile[y + 2 : y + 64, x + 29 : x + 36, :3] *= 1.18
            a, b = rng.integers(6, 34, 2)
            if rng.random() < 0.6:
                tile[y + a : y + a + 16, x + b : x + b + 22] = (0.92, 0.92, 0.9, 0)
                tile[y + a + 3 : y + a + 13 : 3, x + b + 3 : x + b + 18] = (0.15, 0.15, 0.15, 0)
            if rng.random() < 0.4:
                tile[y + 46 : y + 58, x + 6 : x + 20, :3] *= 0.45
    return tile


def goods(rng: np.random.Generator) -> np.ndarray:
    """Return what stands in a shelf: books, tins and small boxes of all colours, 6 rows."""
    tile = np.zeros((SIZE, SIZE, 4), np.float32)
    tile[..., :3] = 0.07
    for y in range(0, SIZE, 42):
        x = 0
        while x < SIZE:
            wide, tall = int(rng.integers(3, 18)), int(rng.integers(18, 38))
            colour = rng.uniform(0.08, 0.95, 3)
            top = max(y + 40 - tall, 0)
            tile[top : y + 40, x : x + wide, :3] = colour
            tile[top : y + 40, x : x + 1, :3] = 0.6 * colour
            band = top + tall // 3
            tile[band : band + 4, x + 1 : x + wide, :3] = np.clip(1.1 - colour, 0, 1)
            x += wide + int(rng.random() < 0.15) * 6
        tile[y + 40 : y + 42, :, :3] = 0.5
    return tile


def posters(rng: np.random.Generator) -> np.ndarray:
    """Return 2 x 2 posters, notices or pictures; their own colours alone."""
    tile = np.zeros((SIZE, SIZE, 4), np.float32)
    for y in (0, 128):
        for x in (0, 128):
            paper = rng.uniform(0.3, 1.0, 3) if rng.random() < 0.6 else np.full(3, 0.95)
            tile[y : y + 128, x : x + 128, :3] = paper
            for _ in range(int(rng.integers(3, 7))):
                a, b = rng.integers(4, 100, 2)
                h, w = rng.integers(8, 60, 2)
                area = tile[y + a : min(y + a + h, y + 124), x + b : min(x + b + w, x + 124), :3]
                area[:] = rng.uniform(0, 1, 3)
            for row in range(y + 80, y + 120, 6):
                tile[row : row + 2, x + 10 : x + int(rng.integers(50, 118)), :3] = 0.1
    return tile


def cobbles(rng: np.random.Generator) -> np.ndarray:
    """Return rounded stones in shifted courses."""
    rows, cols = np.mgrid[:SIZE, :SIZE]
    course = rows // 16
    shifted = (cols + 8 * (course % 2)) % SIZE
    x, y = (shifted % 16 - 7.5) / 8, (rows % 16 - 7.5) / 8
    tone = rng.normal(0, 0.12, (16, 16))[course, shifted // 16]
    return grey(1.12 + tone - 0.5 * np.clip(x**4 + y**4, 0, 1) + 0.06 * noise(rng, 0.3))


def terrazzo(rng: np.random.Generator) -> np.ndarray:
    """Return a smooth floor with dark and light chips."""
    chips = noise(rng, 0.7)
    return grey(1 + 0.16 * (chips > 1.1) - 0.2 * (chips < -1.2) + 0.03 * noise(rng, 0.2))


def gravel(rng: np.random.Generator) -> np.ndarray:
    """Return small stones."""
    return grey(np.clip(1 + 0.28 * noise(rng, 0.45), 0.3, 1.55))


def tiles() -> dict[int, np.ndarray]:
    """Return all these textures by their number in textures.py."""
    rng = np.random.default_rng(2025)
    rows, cols = np.mgrid[:SIZE, :SIZE]
    stripes = (rows + cols) % 64 < 32
    hazard = np.zeros((SIZE, SIZE, 4), np.float32)
    hazard[..., :3] = np.where(stripes[..., None], (0.92, 0.75, 0.08), (0.07, 0.07, 0.07))
    floor = cells(rng, 8, 8, 0.035) * grain(rng, 0.02, 0.03) - 0.3 * lines(8, 8, 2)
    panels = grain(rng, 0.03, 0.01) - 0.3 * lines(4, 4, 2)
    grille = 1 + 0.25 * np.sin(rows * (2 * np.pi / 16)) - 0.45 * (rows % 16 < 4)
    sheet = 1 + 0.16 * np.sin(cols * (2 * np.pi / 32)) + 0.05 * noise(rng, 1.0, 0.3)
    return {
        textures.TILES: grey(floor),
        textures.PLANKS: planks(rng),
        textures.CARTON: cartons(rng),
        textures.GOODS: goods(rng),
        textures.POSTER: posters(rng),
        textures.GRILLE: grey(grille),
        textures.PANELS: grey(panels),
        textures.TERRAZZO: terrazzo(rng),
        textures.SHEET: grey(sheet),
        textures.HAZARD: hazard,
        textures.GRAVEL: gravel(rng),
        textures.COBBLES: cobbles(rng),
    }
