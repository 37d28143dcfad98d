# SPDX-License-Identifier: Apache-2.0
"""The ground: a road with marks, kerbs and pavements, junctions, and the land beside it.

The road runs along Z. A place is (d, z): d metres to the right of the road's centre line, whose
X is `centre(z)`. Height is grade(z) + profile(d) + land(d, z). All three are kept as samples at
`stations` and interpolated linearly, exactly as the triangles do, so things stand on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Colour, Look, Mesh, joined, triangles, unit

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


def columns(road: Road, side: int) -> list[tuple[float, float, str]]:
    """Return (distance, height, surface that begins there) outward on one side."""
    s = road.right if side > 0 else road.left
    half, edge = road.half_width_m, road.edge(side)
    cuts = [(half, 0.0, 'kerb')]
    if s.verge_m > 0:
        cuts.append((half + KERB_M, s.kerb_m, 'land'))
    if s.walk_m > 0:
        cuts.append((half + KERB_M + s.verge_m, s.kerb_m, 'walk'))
    rise = [(0.0, 0.0), (10.0, 1.0), (60.0, 1.0), (700.0, 1.0)]
    for beyond, share in rise:
        y = s.kerb_m + s.slope * min(beyond, 60.0)
        cuts.append((edge + beyond, y + 1j * s.bumps_m * share, 'land'))
    return cuts


def strip(
    road: Road, z: np.ndarray, ends: tuple[tuple, tuple], side: int, look: Look, flat: np.ndarray
) -> Mesh:
    """Return the triangles between two columns along stations z (where `flat`, without height)."""
    grade = np.interp(z, road.stations, road.grades)
    rough = np.interp(z, road.stations, road.roughness)
    points, uv = [], []
    for d, height, _ in ends:
        y = grade + np.where(flat, 0.0, np.real(height) + np.imag(height) * rough)
        d_signed = np.full_like(z, side * d)
        points.append(np.stack([road.centre(z) + d_signed, y, z], 1))
        uv.append(np.stack([d_signed, z], 1))
    (a, b), (s, t) = points, uv
    corners = np.concatenate(
        [np.stack([a[:-1], b[:-1], b[1:]], 1), np.stack([a[:-1], b[1:], a[1:]], 1)]
    )
    coordinates = np.concatenate(
        [np.stack([s[:-1], t[:-1], t[1:]], 1), np.stack([s[:-1], t[1:], s[1:]], 1)]
    )
    normal = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    normal *= np.where(normal[:, 1:2] < 0, -1, 1)
    return triangles(corners, coordinates, look, normal)


def ground(road: Road) -> Mesh:
    """Return the whole ground of a road as one mesh; uv is (d, z)."""
    extra = [z + e for ends in road.junctions for z in ends for e in (-0.15, 0.15)]
    z = np.unique(np.concatenate([road.stations, extra]))
    flat = np.array([road.in_junction(float(v), 0.1) for v in z])
    crossing = flat[:-1] & flat[1:]
    kerb = Look(SIDEWALK, textures.PLAIN, (0.62, 0.61, 0.6))
    looks = {'kerb': kerb, 'walk': road.walk, 'land': road.land}
    middle = (0.0, 0.0, 'road')
    parts = []
    for side in (-1, 1):
        cuts = [middle, *columns(road, side)]
        for inner, outer in zip(cuts[:-1], cuts[1:], strict=True):
            look = looks.get(inner[2], road.surface)
            mesh = strip(road, z, (inner, outer), side, look, flat)
            if inner[2] != 'road' and outer[0] < 80:
                twice = np.concatenate([crossing, crossing])
                mesh = recoloured(mesh, twice, road.surface)
            parts.append(mesh)
    return joined(parts)


def recoloured(mesh: Mesh, where: np.ndarray, look: Look) -> Mesh:
    """Return the mesh with another look on some triangles."""
    tint = np.where(where[:, None], np.asarray(look.tint, np.float32), mesh.tint)
    tile = np.where(where, look.tile, mesh.tile).astype(np.uint8)
    label = np.where(where, look.label, mesh.label).astype(np.uint8)
    return Mesh(mesh.vertices, mesh.normals, mesh.uv, tint, tile, label, mesh.glow, mesh.paint)
