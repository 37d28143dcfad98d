# SPDX-License-Identifier: Apache-2.0
"""From triangle ids to depth and colour: every step runs once over the whole image.

Colours are display values (about the square root of light), so light enters as a square root.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import SKY
from training.datasets.synthetic import raster, textures
from training.datasets.synthetic.atlas import LEVELS, atlas
from training.datasets.synthetic.light import Light
from training.datasets.synthetic.mesh import Colour, Mesh, taken
from training.datasets.synthetic.road import Road

FOOTED = np.zeros(textures.COUNT, bool)
FOOTED[[textures.BRICK, textures.PLASTER, *textures.FACADES, textures.SHOP]] = True


@dataclass(frozen=True)
class Surface:
    """What each pixel sees; (H, W) arrays.

    mesh      the triangles that are seen; row 0 stands for the sky.
    row       intp, row of `mesh`.
    ground    bool, on the ground mesh.
    inverse_z float32, 1 / metres (0 in the sky).
    s, t      float32, texture coordinates in metres; (d, z) of the road on the ground.
    ds, dt    float32, metres of s across and of t down that one pixel covers.
    footprint float32, the largest number of metres that one pixel covers in any direction.
    """

    mesh: Mesh
    row: np.ndarray
    ground: np.ndarray
    inverse_z: np.ndarray
    s: np.ndarray
    t: np.ndarray
    ds: np.ndarray
    dt: np.ndarray
    footprint: np.ndarray


def look(mesh: Mesh, ground_count: int, view: raster.Pose, camera: Camera) -> Surface:
    """Return the visible surface of a mesh whose first `ground_count` triangles are ground."""
    front = raster.facing(mesh, view)
    points = raster.to_camera(mesh.vertices[front], view)
    within = np.flatnonzero(raster.visible(points, camera))
    points, kept = points[within], front[within]
    ids = raster.triangle_ids(points, camera)
    used = np.flatnonzero(np.bincount(ids.ravel(), minlength=len(kept) + 1)[1:])
    number = np.zeros(len(kept) + 1, np.intp)
    number[used + 1] = np.arange(1, len(used) + 1)
    row = number.take(ids)
    rows = np.concatenate([[0], kept[used]])
    seen = taken(mesh, rows)
    seen.label[0] = SKY
    is_ground = rows < ground_count
    is_ground[0] = False
    planes = pixel_planes(points[used], seen.uv[1:], camera)
    return Surface(seen, row, is_ground.take(row), *evaluate(planes, row, camera))


def pixel_planes(points: np.ndarray, uv: np.ndarray, camera: Camera) -> np.ndarray:
    """Return (11, n + 1) float32: 1/z, s/z and t/z as a u + b v + c of pixels, and 1/z's limits.

    Column 0 is the sky: 1/z = 0.
    """
    weights = raster.weights_per_ray(points)
    ones = np.ones((len(points), 3, 1), np.float32)
    per_ray = np.einsum('nka,nkr->nar', np.concatenate([ones, uv], 2), weights)
    pixel = np.array(
        [
            [1 / camera.fx, 0, -camera.cx / camera.fx],
            [0, 1 / camera.fy, -camera.cy / camera.fy],
            [0, 0, 1],
        ]
    )
    planes = np.zeros((11, len(points) + 1), np.float32)
    planes[:9, 1:] = (per_ray.astype(np.float64) @ pixel).reshape(-1, 9).T
    nearness = 1 / np.maximum(points[..., 2], raster.NEAR_M)
    planes[9, 1:], planes[10, 1:] = nearness.min(1), nearness.max(1)
    return planes


def evaluate(planes: np.ndarray, row: np.ndarray, camera: Camera) -> tuple[np.ndarray, ...]:
    """Evaluate the planes at every pixel: the last six fields of Surface."""
    u = np.arange(camera.width, dtype=np.float32)
    v = np.arange(camera.height, dtype=np.float32)[:, None]
    zu, zv, zc, su, sv, sc, tu, tv, tc, low, high = (plane.take(row) for plane in planes)
    # A pixel centre may lie a hair outside its triangle: stay within the triangle's depths.
    inverse_z = np.clip(zu * u + zv * v + zc, low, high)
    z = 1 / np.maximum(inverse_z, 1 / raster.FAR_M)
    s = (su * u + sv * v + sc) * z
    t = (tu * u + tv * v + tc) * z
    ds, dt = np.abs(su - s * zu) * z, np.abs(tv - t * zv) * z
    across = np.maximum(ds, dt)
    across = np.maximum(across, np.abs(sv - s * zv) * z)
    across = np.maximum(across, np.abs(tu - t * zu) * z)
    return inverse_z, s, t, ds, dt, across


def triangle_light(mesh: Mesh, light: Light) -> np.ndarray:
    """Return (N, 3) float32: square root of the light that falls on (or comes from) a triangle."""
    up = mesh.normals[:, 1:2]
    facing = np.maximum(mesh.normals @ light.sun_dir.astype(np.float32), 0)[:, None]
    bright = light.ambient * (0.68 + 0.32 * up) + light.sun * facing
    bright = bright + mesh.glow[:, None] * light.lamp
    return np.sqrt(np.maximum(bright, 0.004)).astype(np.float32)


def texels(surface: Surface, tile: np.ndarray, jitter: np.ndarray) -> list[np.ndarray]:
    """Return texel planes R, G, B, A, (H, W) uint8; jitter in -0.5..0.5 replaces interpolation."""
    table = atlas()
    density = (textures.SIZE / textures.TILE_M).astype(np.float32).take(surface.mesh.tile)
    density = density.take(surface.row)
    # The exponent bits of a float are the floor of its base-2 logarithm.
    rate = surface.footprint * density * (0.7 + 0.35 * jitter)
    level = np.clip((np.maximum(rate, 1e-6).view(np.int32) >> 23) - 127, 0, LEVELS - 1)
    shrink = density * np.float32(0.5) ** np.arange(LEVELS, dtype=np.float32).take(level)
    size = (textures.SIZE >> np.arange(LEVELS, dtype=np.int32)).take(level)
    col = np.floor(surface.s * shrink + jitter).astype(np.int32) & (size - 1)
    up = np.floor(-surface.t * shrink - jitter).astype(np.int32) & (size - 1)
    start = table.base.ravel().take(tile.astype(np.int32) * LEVELS + level)
    index = start + up * size + col
    return cv2.split(table.texels.take(index).view(np.uint8).reshape(*tile.shape, 4))


def coloured(surface: Surface, light: Light, jitter: np.ndarray) -> np.ndarray:
    """Return (3, H, W) float32 lit display colours, before ground marks, air and sky."""
    mesh = surface.mesh
    tile = mesh.tile.take(surface.row)
    *texel, alpha = texels(surface, tile, jitter)
    lit = triangle_light(mesh, light)
    bare = np.flatnonzero(alpha.ravel() < 255)
    share = alpha.ravel()[bare] * np.float32(1 / 255)
    bare_row = surface.row.ravel()[bare]
    foot = np.flatnonzero(FOOTED.take(tile))
    darker = 0.72 + 0.28 * np.clip(surface.t.ravel()[foot] / 1.6, 0, 1)
    colour = np.empty((3, *tile.shape), np.float32)
    for k, plane in enumerate(texel):
        full = (mesh.tint[:, k] * lit[:, k] * np.float32(1 / 160)).take(surface.row)
        bright = plane.astype(np.float32)
        out = np.multiply(bright, full, out=colour[k]).reshape(-1)
        tint = mesh.tint[:, k].take(bare_row) * share + (1 - share)
        glass = bright.reshape(-1)[bare] * np.float32(1 / 160)
        out[bare] = glass * tint * lit[:, k].take(bare_row)
        out[foot] *= darker
    return colour


def paint_marks(colour: np.ndarray, surface: Surface, on_road: np.ndarray, road: Road) -> None:
    """Paint lines and zebra crossings onto the road pixels (flat indices), anti-aliased."""
    s, t = surface.s.ravel()[on_road], surface.t.ravel()[on_road]
    ds = np.maximum(surface.ds.ravel()[on_road], 1e-3)
    dt = np.maximum(surface.dt.ravel()[on_road], 1e-3)
    open_road = np.ones(len(on_road), np.float32)
    for first, last in road.junctions:
        open_road[(t > first) & (t < last)] = 0
    for line in road.lines:
        hit = np.flatnonzero(np.abs(s - line.d_m) < line.width_m + ds)
        across = ds[hit]
        cover = np.clip((line.width_m / 2 - np.abs(s[hit] - line.d_m)) / across + 0.5, 0, 1)
        cover *= np.minimum(line.width_m / across, 1) * open_road[hit]
        if line.dash_m < line.period_m:
            phase = t[hit] % line.period_m
            ends = np.minimum(phase, line.dash_m - phase)
            cover *= np.clip(ends / dt[hit] + 0.5, 0, 1)
        blend(colour, on_road[hit], cover * road.wear, line.colour)
    for first, last in road.crossings:
        hit = np.flatnonzero((t > first) & (t < last))
        inside = 0.25 - np.abs(s[hit] % 1.0 - 0.5)
        cover = np.clip(inside / ds[hit] + 0.5, 0, 1)
        fade = np.clip(0.5 / ds[hit], 0, 1)
        cover = (cover * fade + 0.5 * (1 - fade)) * road.wear
        blend(colour, on_road[hit], cover, (0.9, 0.9, 0.88))


def blend(colour: np.ndarray, where: np.ndarray, cover: np.ndarray, paint: Colour) -> None:
    """Mix paint into pixels; it takes the light the surface already has (about asphalt grey)."""
    flat = colour.reshape(3, -1)
    old = flat[:, where]
    bright = old.mean(0) / 0.42
    for k in range(3):
        flat[k, where] = old[k] + cover * (paint[k] * bright - old[k])


def smoothed(rgb: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Soften the stairs along the borders of triangles in (H, W, 3) uint8."""
    edge = np.zeros(row.shape, np.uint8)
    edge[:, 1:] |= row[:, 1:] != row[:, :-1]
    edge[1:] |= row[1:] != row[:-1]
    edge = cv2.dilate(edge, np.ones((2, 2), np.uint8), anchor=(1, 1))
    soft = cv2.GaussianBlur(rgb, (3, 3), 0.7)
    cv2.copyTo(soft, edge, rgb)
    return rgb
