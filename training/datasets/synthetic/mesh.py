# SPDX-License-Identifier: Apache-2.0
"""Triangle soups with what the renderer must know of each triangle, and the shapes they are of.

World axes: X right, Y up, Z ahead, metres. Shapes stand on Y = 0 around the origin, looking along
+Z, until `placed` moves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """N triangles.

    vertices (N, 3, 3) float32, metres.   normals (N, 3) float32, unit, outward; used for shading.
    uv       (N, 3, 2) float32, metres on the surface: texture coordinates.
    tint     (N, 3) float32, display RGB 0..1.     tile (N,) uint8, row of textures.TILES.
    label    (N,) uint8, Cityscapes train ids.     glow (N,) float32, light of its own, 0 = none.
    paint    (N,) bool: takes the colour given to `placed`.
    """

    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    tint: np.ndarray
    tile: np.ndarray
    label: np.ndarray
    glow: np.ndarray
    paint: np.ndarray

    def __len__(self) -> int:
        return len(self.vertices)


FIELDS = tuple(f.name for f in fields(Mesh))


@dataclass(frozen=True)
class Look:
    """How a shape looks: class, texture tile, display colour, own light, may be repainted."""

    label: int
    tile: int = 0
    tint: Colour = (0.5, 0.5, 0.5)
    glow: float = 0.0
    paint: bool = False


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return all triangles of `meshes` (at least one), in order."""
    return Mesh(*(np.concatenate([getattr(m, name) for m in meshes]) for name in FIELDS))


def triangles(vertices: np.ndarray, uv: np.ndarray, look: Look, normals: np.ndarray) -> Mesh:
    """Return a mesh of one look from (N, 3, 3) corners, (N, 3, 2) coordinates, (N, 3) normals."""
    n = len(vertices)
    return Mesh(
        np.asarray(vertices, np.float32),
        np.asarray(normals, np.float32),
        np.asarray(uv, np.float32),
        np.full((n, 3), look.tint, np.float32),
        np.full(n, look.tile, np.uint8),
        np.full(n, look.label, np.uint8),
        np.full(n, look.glow, np.float32),
        np.full(n, look.paint, bool),
    )


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a x b along the last axis; several times faster than np.cross for few vectors."""
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    z = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.stack([x, y, z], -1)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return (..., 3) vectors at length 1 (zero vectors stay zero)."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def quads(corners: np.ndarray, look: Look, uv: np.ndarray | None = None) -> Mesh:
    """Return (F, 4, 3) planar quads, corners in turn. The normal is edge 01 x edge 03.

    uv: (F, 4, 2) metres; default: along edge 01 and edge 03, measured from corner 0.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4, 3)
    along, up = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    normal = unit(cross(along, up))
    if uv is None:
        axes = np.stack([unit(along), unit(cross(normal, along))], 1)
        uv = np.einsum('fkc,fac->fka', corners - corners[:, :1], axes)
    pick = [[0, 1, 2], [0, 2, 3]]
    return triangles(
        corners[:, pick].reshape(-1, 3, 3),
        uv[:, pick].reshape(-1, 3, 2),
        look,
        np.repeat(normal, 2, axis=0),
    )


def fan(points: np.ndarray, look: Look) -> Mesh:
    """Return a planar convex polygon of (n, 3) points as n - 2 triangles."""
    points = np.asarray(points, np.float64)
    n = len(points)
    normal = unit(cross(points[1] - points[0], points[2] - points[0]))
    along = unit(points[1] - points[0])
    local = points - points[0]
    uv = np.stack([local @ along, local @ cross(normal, along)], 1)
    pick = np.stack([np.zeros(n - 2, int), np.arange(1, n - 1), np.arange(2, n)], 1)
    return triangles(points[pick], uv[pick], look, np.repeat(normal[None], n - 2, axis=0))


def hexahedron(bottom: np.ndarray, top: np.ndarray, look: Look, lid: Look | None = None) -> Mesh:
    """Return the solid between two quads of (4, 3) points each, counter-clockwise from above.

    lid: look of the top face. All six faces are there: low cameras see undersides.
    """
    bottom, top = np.asarray(bottom, float), np.asarray(top, float)
    after = [1, 2, 3, 0]
    sides = quads(np.stack([bottom, bottom[after], top[after], top], 1), look)
    return joined([sides, quads(top[None], lid or look), quads(bottom[None, ::-1], look)])


def ring(x0: float, x1: float, y: float, z0: float, z1: float) -> np.ndarray:
    """Return the (4, 3) rectangle at height y, counter-clockwise seen from above."""
    return np.array([[x0, y, z0], [x0, y, z1], [x1, y, z1], [x1, y, z0]])


def box(
    centre: tuple[float, float, float],
    size: tuple[float, float, float],
    look: Look,
    lid: Look | None = None,
) -> Mesh:
    """Return an upright box: `centre` of its base, `size` in x, y, z."""
    x, y, z = centre
    w, h, d = size
    flat = (x - w / 2, x + w / 2)
    deep = (z - d / 2, z + d / 2)
    return hexahedron(ring(*flat, y, *deep), ring(*flat, y + h, *deep), look, lid)


def tube(
    start: np.ndarray, end: np.ndarray, radii: tuple[float, float], sides: int, look: Look
) -> Mesh:
    """Return an open tube from `start` to `end` with a radius at each end."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = unit(end - start)
    helper = np.array([0.0, 0, 1]) if abs(axis[2]) < 0.8 else np.array([1.0, 0, 0])
    a = unit(cross(axis, helper))
    b = cross(axis, a)
    angle = np.arange(sides + 1) * (2 * np.pi / sides)
    out = np.cos(angle)[:, None] * a + np.sin(angle)[:, None] * b
    low, high = start + radii[0] * out, end + radii[1] * out
    mesh = quads(np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1), look)
    normals = unit(out[:-1] + out[1:])
    return Mesh(mesh.vertices, np.repeat(normals, 2, 0).astype(np.float32), *rest(mesh))


def rest(mesh: Mesh) -> tuple[np.ndarray, ...]:
    """Return the arrays of a mesh after vertices and normals."""
    return mesh.uv, mesh.tint, mesh.tile, mesh.label, mesh.glow, mesh.paint


def disc(centre: np.ndarray, normal: np.ndarray, radius: float, sides: int, look: Look) -> Mesh:
    """Return a regular polygon of `sides` corners."""
    normal = unit(np.asarray(normal, float))
    helper = np.array([0.0, 1, 0]) if abs(normal[1]) < 0.8 else np.array([1.0, 0, 0])
    a = unit(cross(helper, normal))
    b = cross(normal, a)
    angle = (np.arange(sides) + 0.5) * (2 * np.pi / sides)
    rim = np.cos(angle)[:, None] * a + np.sin(angle)[:, None] * b
    return fan(np.asarray(centre, float) + radius * rim, look)


def ball(
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    look: Look,
    sides: int = 6,
) -> Mesh:
    """Return a rough ellipsoid of 3 rows of `sides` faces, shaded as if it were smooth."""
    lat = np.array([-0.5, -0.18, 0.18, 0.5]) * np.pi
    lon = np.arange(sides + 1) * (2 * np.pi / sides)
    flat, up = np.cos(lat)[:, None], np.sin(lat)[:, None]
    grid = np.stack([flat * np.cos(lon), up + 0 * lon, flat * np.sin(lon)], -1)
    points = np.asarray(centre) + grid * np.asarray(radii)
    turn = (slice(None, -1), slice(1, None))
    pick = [(turn[0], turn[0]), (turn[0], turn[1]), (turn[1], turn[1]), (turn[1], turn[0])]
    corners = np.stack([points[i] for i in pick], 2).reshape(-1, 4, 3)
    middle = unit(sum(grid[i] for i in pick).reshape(-1, 3))
    mesh = quads(corners, look, corners[..., :2] + corners[..., 2:])
    return Mesh(mesh.vertices, np.repeat(middle, 2, 0).astype(np.float32), *rest(mesh))


def yaw_matrices(yaws: np.ndarray) -> np.ndarray:
    """Return (n, 3, 3) R, points_world = points_local @ R; positive yaw turns +Z to +X."""
    c, s, zero, one = np.cos(yaws), np.sin(yaws), np.zeros_like(yaws), np.ones_like(yaws)
    rows = [[c, zero, -s], [zero, one, zero], [s, zero, c]]
    return np.array(rows, np.float32).transpose(2, 0, 1)


@dataclass(frozen=True)
class Places:
    """Where n meshes go: spots (n, 3), yaws (n,), scales (n, 3), colours (n, 3) for `paint`."""

    spots: np.ndarray
    yaws: np.ndarray
    scales: np.ndarray
    colours: np.ndarray


def placed(meshes: Sequence[Mesh], places: Places) -> Mesh:
    """Return the meshes scaled, turned about Y, moved and painted, joined in order."""
    counts = np.array([len(m) for m in meshes])
    turns = yaw_matrices(places.yaws)
    shapes = places.scales.astype(np.float32)[:, :, None] * turns
    turns = np.sign(places.scales).astype(np.float32)[:, :, None] * turns
    vertices = np.empty((int(counts.sum()), 3, 3), np.float32)
    normals = np.empty((len(vertices), 3), np.float32)
    corner_rows = vertices.reshape(-1, 3)
    first = 0
    for mesh, shape, turn in zip(meshes, shapes, turns, strict=True):
        last = first + len(mesh)
        np.matmul(mesh.vertices.reshape(-1, 3), shape, out=corner_rows[3 * first : 3 * last])
        np.matmul(mesh.normals, turn, out=normals[first:last])
        first = last
    vertices += np.repeat(places.spots.astype(np.float32), counts, axis=0)[:, None]
    uv, tint, tile, label, glow, paint = (
        np.concatenate([getattr(m, name) for m in meshes]) for name in FIELDS[2:]
    )
    painted = np.repeat(places.colours.astype(np.float32), counts, axis=0)[paint]
    tint[paint] = painted
    return Mesh(vertices, normals, uv, tint, tile, label, glow, paint)


def taken(mesh: Mesh, rows: np.ndarray) -> Mesh:
    """Return some triangles of a mesh."""
    return Mesh(*(getattr(mesh, name)[rows] for name in FIELDS))
