# SPDX-License-Identifier: Apache-2.0
"""From triangle ids to depth and colour: every step runs once over the whole image.

Colours are display values (about the square root of light), so light enters as a square root.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from training.datasets.synthetic import raster, textures
from training.datasets.synthetic.light import Light
from training.datasets.synthetic.mesh import Mesh
from training.datasets.synthetic.road import Road

GROUND_TILES = (textures.ASPHALT, textures.PAVING, textures.GRASS, textures.DIRT)
FOOTED = np.zeros(textures.COUNT, bool)
FOOTED[[textures.BRICK, textures.PLASTER, *textures.FACADES, textures.SHOP]] = True


@dataclass(frozen=True)
class Surface:
    """What each pixel sees; (H, W) arrays.

    seen   rows of the mesh's triangle arrays, -1 = sky.   inverse_z 1 / metres (0 in the sky).
    s, t   texture coordinates, metres ((d, z) of the road on the ground).
    ds, dt metres of s across and t down that one pixel covers; `footprint` the larger of all four.
    """

    seen: np.ndarray
    inverse_z: np.ndarray
    s: np.ndarray
    t: np.ndarray
    ds: np.ndarray
    dt: np.ndarray
    footprint: np.ndarray


def look(mesh: Mesh, view: raster.Pose, camera: Camera) -> Surface:
    """Return the visible surface of a mesh."""
    points = raster.to_camera(mesh.vertices, view)
    kept = np.flatnonzero(raster.visible(points, camera))
    points = points[kept]
    ids = raster.triangle_ids(points, camera)
    used = np.flatnonzero(np.bincount(ids.ravel(), minlength=len(kept) + 1)[1:])
    # Number the triangles that are seen 1..n; 0 stays the sky.
    number = np.zeros(len(kept) + 1, np.int32)
    number[used + 1] = np.arange(1, len(used) + 1)
    local = number[ids]
    planes = pixel_planes(points[used], mesh.uv[kept[used]], camera)
    seen = np.concatenate([[-1], kept[used]])[local]
    return evaluate(planes, local, seen, camera)


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


def evaluate(planes: np.ndarray, local: np.ndarray, seen: np.ndarray, camera: Camera) -> Surface:
    """Evaluate the planes at every pixel."""
    u = np.arange(camera.width, dtype=np.float32)
    v = np.arange(camera.height, dtype=np.float32)[:, None]
    zu, zv, zc, su, sv, sc, tu, tv, tc, low, high = (row.take(local) for row in planes)
    # A pixel centre may lie a hair outside its triangle: stay within the triangle's depths.
    inverse_z = np.clip(zu * u + zv * v + zc, low, high)
    z = 1 / np.maximum(inverse_z, 1 / raster.FAR_M)
    s = (su * u + sv * v + sc) * z
    t = (tu * u + tv * v + tc) * z
    ds, dt = np.abs(su - s * zu) * z, np.abs(tv - t * zv) * z
    across = np.maximum(ds, dt)
    across = np.maximum(across, np.abs(sv - s * zv) * z)
    across = np.maximum(across, np.abs(tu - t * zu) * z)
    return Surface(seen, inverse_z, s, t, ds, dt, across)


def triangle_light(mesh: Mesh, light: Light) -> np.ndarray:
    """Return (N, 3) float32: square root of the light that falls on (or comes from) a triangle."""
    up = mesh.normals[:, 1:2]
    facing = np.maximum(mesh.normals @ light.sun_dir.astype(np.float32), 0)[:, None]
    bright = light.ambient * (0.68 + 0.32 * up) + light.sun * facing
    bright = bright + mesh.glow[:, None] * light.lamp
    return np.sqrt(np.maximum(bright, 0.004)).astype(np.float32)


def texels(surface: Surface, tile: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Return (H, W, 4) uint8 texels; `jitter` (H, W) in -0.5..0.5 stands in for interpolation."""
    atlas = textures.atlas()
    density = (textures.SIZE / textures.TILE_M).astype(np.float32)[tile]
    # The exponent bits of a float are the floor of its base-2 logarithm.
    rate = surface.footprint * density * 0.7 * (1 + 0.5 * jitter)
    level = np.clip((np.maximum(rate, 1e-6).view(np.int32) >> 23) - 127, 0, textures.LEVELS - 1)
    shrink = density / (1 << level).astype(np.float32)
    size = textures.SIZE >> level
    col = np.floor(surface.s * shrink + jitter).astype(np.int32) & (size - 1)
    row = np.floor(-surface.t * shrink - jitter).astype(np.int32) & (size - 1)
    index = atlas.base[tile, level] + row * size + col
    return atlas.texels.take(index).view(np.uint8).reshape(*tile.shape, 4)


def coloured(
    mesh: Mesh, surface: Surface, light: Light, jitter: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W, 3) float32 lit display colours without ground marks, air and sky, and tiles."""
    tile = mesh.tile.take(surface.seen)
    texel = texels(surface, tile, jitter)
    lit = triangle_light(mesh, light)
    colour = (mesh.tint * lit).take(surface.seen, axis=0)
    colour *= texel[..., :3]
    bare = np.flatnonzero(texel[..., 3] < 255)
    if len(bare):
        alpha = texel.reshape(-1, 4)[bare, 3:] * np.float32(1 / 255)
        at = surface.seen.ravel()[bare]
        tint = mesh.tint[at] * alpha + (1 - alpha)
        colour.reshape(-1, 3)[bare] = texel.reshape(-1, 4)[bare, :3] * tint * lit[at]
    colour *= np.float32(1 / 160)
    foot = np.flatnonzero(FOOTED[tile])
    height = surface.t.ravel()[foot]
    colour.reshape(-1, 3)[foot] *= (0.72 + 0.28 * np.clip(height / 1.6, 0, 1))[:, None]
    return colour, tile


def paint_marks(colour: np.ndarray, surface: Surface, on_road: np.ndarray, road: Road) -> None:
    """Paint lines and zebra crossings onto the road pixels (flat indices), anti-aliased."""
    s, t = surface.s.ravel()[on_road], surface.t.ravel()[on_road]
    ds = np.maximum(surface.ds.ravel()[on_road], 1e-3)
    dt = np.maximum(surface.dt.ravel()[on_road], 1e-3)
    flat = colour.reshape(-1, 3)
    open_road = np.ones(len(on_road), np.float32)
    for first, last in road.junctions:
        open_road[(t > first) & (t < last)] = 0
    for line in road.lines:
        cover = np.clip((line.width_m / 2 - np.abs(s - line.d_m)) / ds + 0.5, 0, 1)
        cover *= np.minimum(line.width_m / ds, 1) * open_road
        hit = np.flatnonzero(cover > 0.02)
        if line.dash_m < line.period_m:
            phase = t[hit] % line.period_m
            ends = np.minimum(phase, line.dash_m - phase)
            cover[hit] *= np.clip(ends / dt[hit] + 0.5, 0, 1)
        blend(flat, on_road[hit], cover[hit] * road.wear, line.colour)
    for first, last in road.crossings:
        hit = np.flatnonzero((t > first) & (t < last))
        inside = 0.25 - np.abs(s[hit] % 1.0 - 0.5)
        cover = np.clip(inside / ds[hit] + 0.5, 0, 1)
        fade = np.clip(0.5 / ds[hit], 0, 1)
        blend(flat, on_road[hit], (cover * fade + 0.5 * (1 - fade)) * road.wear, (0.9, 0.9, 0.88))


def blend(flat: np.ndarray, where: np.ndarray, cover: np.ndarray, paint: tuple) -> None:
    """Mix paint into pixels; it takes the light the surface already has (about asphalt grey)."""
    old = flat[where]
    light = old.mean(1, keepdims=True) / 0.42
    flat[where] = old + cover[:, None] * (np.asarray(paint, np.float32) * light - old)


def smoothed(rgb: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Soften the stairs along the borders of triangles in (H, W, 3) uint8."""
    edge = np.zeros(seen.shape, np.uint8)
    edge[:, 1:] |= seen[:, 1:] != seen[:, :-1]
    edge[1:] |= seen[1:] != seen[:-1]
    edge = cv2.dilate(edge, np.ones((2, 2), np.uint8), anchor=(1, 1))
    soft = cv2.GaussianBlur(rgb, (3, 3), 0.7)
    cv2.copyTo(soft, edge, rgb)
    return rgb
