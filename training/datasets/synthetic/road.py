# SPDX-License-Identifier: Apache-2.0
"""The ground: a road with marks, kerbs and pavements, junctions, and the land beside it.

The road runs along Z. A place is (d, z): d metres to the right of the road's centre line, whose
X is `centre(z)`. Height is grade(z) + profile(d) + land(d, z). All three are kept as samples at
`stations` and interpolated linearly, exactly as the triangles do, so things stand on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Colour, Look, Mesh, cross, triangles, unit

STATION_M = 4.0
BEHIND_M = 12.0
KERB_M = 0.02
"""The kerb face leans outward by this much, so that its height is a function of d."""
ROAD, SIDEWALK, TERRAIN = CLASS_ID['road'], CLASS_ID['sidewalk'], CLASS_ID['terrain']


@dataclass(frozen=True)
class Line:
    """A painted line at `d_m`: dashes of `dash_m` every `period_m` (equal = unbroken)."""

    d_m: float
    width_m: float
    dash_m: float
    period_m: float
    colour: Colour


@dataclass(frozen=True)
class Side:
    """One side of the road, from the carriageway outward.

    kerb_m height; walk_m width of the pavement (0 = none); verge_m width of grass between kerb
    and pavement; slope of the land beyond; bumps_m its roughness.
    """

    kerb_m: float
    walk_m: float
    verge_m: float
    slope: float
    bumps_m: float


@dataclass(frozen=True)
class Road:
    """Everything about the ground of a world. Junctions are (z_first, z_last) of a cross road."""

    stations: np.ndarray
    centres: np.ndarray
    grades: np.ndarray
    roughness: np.ndarray
    half_width_m: float
    left: Side
    right: Side
    lines: tuple[Line, ...]
    junctions: tuple[tuple[float, float], ...]
    crossings: tuple[tuple[float, float], ...]
    surface: Look
    walk: Look
    land: Look
    wear: float

    def centre(self, z: float | np.ndarray) -> np.ndarray:
        """X of the centre line at z."""
        return np.interp(z, self.stations, self.centres)

    def heading(self, z: np.ndarray) -> np.ndarray:
        """Yaw of the road at z, radians, positive to the right."""
        return np.arctan2(self.centre(z + 3.0) - self.centre(z - 3.0), 6.0)

    def edge(self, side: int) -> float:
        """Distance from the centre line to where the land begins, on side -1 or +1."""
        s = self.right if side > 0 else self.left
        return self.half_width_m + KERB_M + s.verge_m + s.walk_m

    def in_junction(self, z: float, margin_m: float = 0.0) -> bool:
        """Whether z lies in a cross road (or within a margin of one)."""
        return any(a - margin_m < z < b + margin_m for a, b in self.junctions)

    def height(self, d: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Height of the ground at (d, z)."""
        d, z = np.asarray(d, float), np.asarray(z, float)
        y = np.interp(z, self.stations, self.grades)
        rough = np.interp(z, self.stations, self.roughness)
        raised = np.ones_like(z)
        for first, last in self.junctions:
            raised[(z > first) & (z < last)] = 0
        for sign, side in ((-1, self.left), (1, self.right)):
            beyond = np.maximum(sign * d - self.edge(sign), 0)
            rise = side.slope * np.minimum(beyond, 60) + side.bumps_m * rough * np.minimum(
                beyond / 10, 1
            )
            y = y + raised * (rise + side.kerb_m * (sign * d > self.half_width_m + KERB_M))
        return y

    def spots(self, d: np.ndarray, z: np.ndarray) -> np.ndarray:
        """World positions (..., 3) of the ground at (d, z)."""
        return np.stack([self.centre(z) + d, self.height(d, z), z], -1)


def columns(road: Road, side: int) -> list[tuple[float, float, float, str]]:
    """Return (distance, height, share of the roughness, surface beyond it) outward on one side."""
    s = road.right if side > 0 else road.left
    half, edge = road.half_width_m, road.edge(side)
    cuts = [(half, 0.0, 0.0, 'kerb')]
    if s.verge_m > 0:
        cuts.append((half + KERB_M, s.kerb_m, 0.0, 'land'))
    if s.walk_m > 0:
        cuts.append((half + KERB_M + s.verge_m, s.kerb_m, 0.0, 'walk'))
    for beyond in (0.0, 10.0, 60.0, 700.0):
        rough = s.bumps_m * min(beyond / 10, 1)
        cuts.append((edge + beyond, s.kerb_m + s.slope * min(beyond, 60), rough, 'land'))
    return cuts


def ground(road: Road) -> Mesh:
    """Return the whole ground of a road as one mesh; uv is (d, z)."""
    extra = [z + e for ends in road.junctions for z in ends for e in (-0.15, 0.15)]
    z = np.unique(np.concatenate([road.stations, extra]))
    left, right = columns(road, -1), columns(road, 1)
    d = np.array([-c[0] for c in left[::-1]] + [c[0] for c in right])
    height = np.array([c[1] for c in left[::-1]] + [c[1] for c in right])
    rough = np.array([c[2] for c in left[::-1]] + [c[2] for c in right])
    kinds = [c[3] for c in left[-2::-1]] + ['road'] + [c[3] for c in right[:-1]]
    flat = np.any([(z > a - 0.1) & (z < b + 0.1) for a, b in road.junctions] or [z < z[0]], axis=0)
    bump = np.interp(z, road.stations, road.roughness)
    raised = np.where(flat, 0, height[:, None] + rough[:, None] * bump)
    points = np.empty((len(d), len(z), 3))
    points[..., 0] = d[:, None] + road.centre(z)
    points[..., 1] = raised + np.interp(z, road.stations, road.grades)
    points[..., 2] = z
    uv = np.stack(np.broadcast_arrays(d[:, None], z), -1)
    corners, coordinates = cell_triangles(points), cell_triangles(uv)
    normal = unit(cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    mesh = triangles(corners, coordinates, road.surface, normal)
    near_side = np.minimum(np.abs(d[:-1]), np.abs(d[1:])) < 60
    paved = near_side[:, None] & (flat[:-1] & flat[1:])
    return surfaced(mesh, road, kinds, np.repeat(paved.ravel(), 2), len(z) - 1)


def cell_triangles(grid: np.ndarray) -> np.ndarray:
    """Return (2 (M-1)(S-1), 3, k) corners of the triangles of an (M, S, k) grid, cell by cell."""
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    both = np.stack([np.stack([a, d, c], -2), np.stack([a, c, b], -2)], -3)
    return both.reshape(-1, 3, grid.shape[-1])


def surfaced(mesh: Mesh, road: Road, kinds: list[str], paved: np.ndarray, cells: int) -> Mesh:
    """Give each column of cells its look; cells where `paved` keep the road's."""
    kerb = Look(SIDEWALK, textures.PLAIN, (0.62, 0.61, 0.6))
    looks = {'kerb': kerb, 'walk': road.walk, 'land': road.land, 'road': road.surface}
    chosen = [looks[kind] for kind in kinds]
    tint = np.repeat(np.array([look.tint for look in chosen], np.float32), 2 * cells, axis=0)
    tile = np.repeat(np.array([look.tile for look in chosen], np.uint8), 2 * cells)
    label = np.repeat(np.array([look.label for look in chosen], np.uint8), 2 * cells)
    tint[paved], tile[paved], label[paved] = (
        mesh.tint[paved],
        mesh.tile[paved],
        mesh.label[paved],
    )
    return replace(mesh, tint=tint, tile=tile, label=label)
