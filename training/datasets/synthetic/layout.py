# SPDX-License-Identifier: Apache-2.0
"""Where things stand along a road: the recipe of each kind of place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Look
from training.datasets.synthetic.road import (
    BEHIND_M,
    ROAD,
    SIDEWALK,
    STATION_M,
    TERRAIN,
    Line,
    Road,
    Side,
)


@dataclass(frozen=True)
class Style:
    """A kind of place: chances and densities (things per 100 m and side unless said otherwise)."""

    name: str
    lanes: tuple[int, int]
    walk_m: tuple[float, float]
    verge: float
    buildings: tuple[tuple[str, float], ...]
    setback_m: tuple[float, float]
    gap_m: tuple[float, float]
    trees: float
    wild_trees: float
    bushes: float
    poles: float
    signs: float
    people: float
    parked: float
    traffic: float
    cyclists: float
    barrier: float
    junction: float
    hills: float
    dirt: float


STYLES = {
    style.name: style
    for style in (
        Style(
            'city', (1, 2), (3.0, 7.0), 0.1, (('block', 0.65), ('office', 0.25), ('house', 0.1)),
            (0.0, 2.0), (0.0, 4.0), trees=5, wild_trees=0, bushes=1, poles=6, signs=5, people=17,
            parked=5, traffic=4, cyclists=5, barrier=0.15, junction=0.7, hills=0.2, dirt=0.0,
        ),
        Style(
            'suburb', (1, 1), (1.8, 4.0), 0.5, (('house', 0.9), ('block', 0.1)),
            (3.0, 9.0), (2.0, 10.0), trees=7, wild_trees=5, bushes=8, poles=4, signs=3, people=6,
            parked=4, traffic=2, cyclists=4, barrier=0.7, junction=0.5, hills=0.5, dirt=0.0,
        ),
        Style(
            'rural', (1, 1), (0.0, 0.0), 0.0, (('house', 0.6), ('shed', 0.4)),
            (8.0, 30.0), (40.0, 150.0), trees=1, wild_trees=14, bushes=12, poles=3, signs=2,
            people=0.8, parked=0.2, traffic=1.5, cyclists=1.5, barrier=0.4, junction=0.25,
            hills=1.0, dirt=0.35,
        ),
        Style(
            'forest', (1, 1), (0.0, 0.0), 0.0, (), (10.0, 20.0), (50.0, 90.0), trees=0,
            wild_trees=38, bushes=20, poles=1, signs=1, people=1.5, parked=0.2, traffic=1,
            cyclists=2, barrier=0.15, junction=0.1, hills=1.0, dirt=0.5,
        ),
        Style(
            'highway', (2, 3), (0.0, 0.0), 0.0, (('shed', 0.5), ('office', 0.3), ('block', 0.2)),
            (25.0, 60.0), (30.0, 150.0), trees=0, wild_trees=8, bushes=6, poles=3, signs=2,
            people=0, parked=0, traffic=5, cyclists=0, barrier=0.9, junction=0.05,
            hills=0.6, dirt=0.0,
        ),
        Style(
            'industry', (1, 2), (0.0, 2.5), 0.3,
            (('shed', 0.7), ('office', 0.15), ('block', 0.15)), (4.0, 14.0), (4.0, 30.0),
            trees=3, wild_trees=2, bushes=4, poles=4, signs=3, people=3, parked=5,
            traffic=2.5, cyclists=1.5, barrier=0.65, junction=0.5, hills=0.3, dirt=0.05,
        ),
        Style(
            'village', (1, 1), (1.5, 3.5), 0.1, (('house', 0.8), ('block', 0.1), ('shed', 0.1)),
            (0.5, 4.0), (1.0, 8.0), trees=4, wild_trees=3, bushes=6, poles=4, signs=3, people=7,
            parked=4, traffic=1.5, cyclists=4, barrier=0.65, junction=0.4, hills=0.6, dirt=0.05,
        ),
    )
}  # fmt: skip
SHARES = {'city': 0.3, 'suburb': 0.2, 'rural': 0.12, 'forest': 0.08, 'highway': 0.1,
          'industry': 0.08, 'village': 0.12}  # fmt: skip


@dataclass(frozen=True)
class Lane:
    """A driving lane: `d_m` of its middle, direction of travel +1 (ahead) or -1."""

    d_m: float
    way: int


def smooth_series(
    rng: np.random.Generator, z: np.ndarray, slope: float, wave_m: float
) -> np.ndarray:
    """Return a wavy function of z, zero at z = 0, with slopes up to about `slope`."""
    total = np.zeros_like(z)
    for k in range(3):
        wave = wave_m * rng.uniform(0.6, 1.6) / (k + 1)
        size = slope * wave / (2 * np.pi) * rng.normal(0, 0.5)
        phase = rng.uniform(0, 2 * np.pi)
        total += size * (np.sin(2 * np.pi * z / wave + phase) - np.sin(phase))
    return total


def draw_side(rng: np.random.Generator, style: Style) -> Side:
    """Draw one side of a road."""
    walk = rng.uniform(*style.walk_m)
    walk = walk if walk > 0.7 else 0.0
    kerb = rng.uniform(0.05, 0.18) if walk else rng.uniform(-0.03, 0.03)
    verge = rng.uniform(0.6, 2.5) if rng.random() < style.verge else 0.0
    slope = rng.normal(0, 0.09) * style.hills
    bumps = rng.uniform(0, 0.5) * style.hills
    return Side(
        float(kerb), float(walk), float(verge), float(np.clip(slope, -0.2, 0.4)), float(bumps)
    )


def draw_lines(
    rng: np.random.Generator, ways: tuple[int, int], width: float, half: float, shift: float
) -> tuple[Line, ...]:
    """Draw the paint: middle line, lane lines, edge lines; some roads have none."""
    white, yellow = (0.9, 0.9, 0.88), (0.85, 0.65, 0.15)
    if rng.random() < 0.12:
        return ()
    thick = rng.uniform(0.1, 0.17)
    dash, period = [(3.0, 9.0), (3.0, 6.0), (6.0, 12.0), (4.0, 4.0)][rng.integers(4)]
    lines = []
    total = sum(ways)
    for k in range(1, total):
        d = shift + (k - total / 2) * width
        if k == ways[0] and rng.random() < 0.35:
            tint = yellow if rng.random() < 0.5 else white
            lines += [Line(d + e, thick, 1, 1, tint) for e in (-thick, thick)]
        else:
            lines.append(Line(d, thick, dash, period, white))
    if rng.random() < 0.6:
        lines += [Line(s * (half - rng.uniform(0.15, 0.3)), thick, 1, 1, white) for s in (-1, 1)]
    return tuple(lines)


def draw_road(rng: np.random.Generator, style: Style, length_m: float, hand: int) -> tuple:
    """Draw a road; return it with its lanes, parking sides and lane width."""
    z = np.arange(-BEHIND_M, length_m + STATION_M, STATION_M)
    width = rng.uniform(2.6, 3.7) + (0.2 if style.name == 'highway' else 0.0)
    count = int(rng.integers(style.lanes[0], style.lanes[1] + 1))
    ways = (count, count) if rng.random() < 0.8 else (0, count)
    parking = tuple(s for s in (-1, 1) if style.parked and rng.random() < 0.12 * style.parked)
    extra = {s: 2.1 * (s in parking) for s in (-1, 1)}
    half = (sum(ways) * width + extra[-1] + extra[1]) / 2 + 0.25
    shift = (extra[-1] - extra[1]) / 2
    ahead = [shift + hand * (k + 0.5 + (ways[0] - ways[1]) / 2) * width for k in range(ways[1])]
    back = [shift - hand * (k + 0.5 + (ways[1] - ways[0]) / 2) * width for k in range(ways[0])]
    lanes = tuple([Lane(d, 1) for d in ahead] + [Lane(d, -1) for d in back])
    junctions, crossings = draw_junctions(rng, style, length_m)
    dirt = rng.random() < style.dirt
    tone = rng.uniform(0.34, 0.6)
    smooth = textures.ASPHALT if rng.random() < 0.7 else textures.PLAIN
    asphalt = Look(ROAD, smooth, tuple(tone * rng.uniform(0.96, 1.04, 3)))
    mud = Look(ROAD, textures.DIRT, tuple(np.array([0.55, 0.46, 0.36]) * rng.uniform(0.7, 1.15)))
    green = np.array(
        [[0.34, 0.42, 0.2], [0.47, 0.47, 0.27], [0.28, 0.36, 0.17], [0.5, 0.43, 0.31]]
    )
    kind = rng.choice(4, p=[0.45, 0.2, 0.2, 0.15])
    land = Look(
        TERRAIN,
        textures.DIRT if kind == 3 else textures.GRASS,
        tuple(green[kind] * rng.uniform(0.8, 1.2, 3)),
    )
    grey = rng.uniform(0.48, 0.68)
    walk = Look(
        SIDEWALK,
        textures.PAVING if rng.random() < 0.6 else textures.ASPHALT,
        tuple(grey * rng.uniform(0.93, 1.07, 3)),
    )
    bend = (0.35 if style.name in ('rural', 'forest', 'village') else 0.16) * rng.uniform(0, 1)
    road = Road(
        stations=z,
        centres=smooth_series(rng, z, bend, 260.0),
        grades=smooth_series(rng, z, 0.05 * style.hills * rng.uniform(0, 1.3), 190.0),
        roughness=rng.standard_normal(len(z)),
        half_width_m=float(half),
        left=draw_side(rng, style),
        right=draw_side(rng, style),
        lines=()
        if dirt
        else draw_lines(rng, ways if hand > 0 else ways[::-1], width, half, shift),
        junctions=junctions,
        crossings=crossings,
        surface=mud if dirt else asphalt,
        walk=walk,
        land=land,
        wear=float(rng.uniform(0.35, 1.0)),
    )
    return road, lanes, parking, width


def draw_junctions(rng: np.random.Generator, style: Style, length_m: float) -> tuple:
    """Draw cross roads and zebra crossings along the road."""
    junctions, crossings = [], []
    z = rng.uniform(12, 70)
    while z < length_m - 40:
        if rng.random() < style.junction:
            width = rng.uniform(6, 13)
            junctions.append((float(z), float(z + width)))
            if rng.random() < 0.6:
                crossings += [(z - 4.5, z - 1.2), (z + width + 1.2, z + width + 4.5)]
            z += width
        elif style.walk_m[1] > 0 and rng.random() < 0.35:
            crossings.append((z, z + 3.3))
        z += rng.uniform(50, 110)
    return tuple(junctions), tuple(crossings)
