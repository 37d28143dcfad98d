# SPDX-License-Identifier: Apache-2.0
"""One picture of a place: the road scenes' renderer with lamps, mirrors, snow and veils."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import shade, sky, textures
from training.datasets.synthetic.floor_map import NEUTRAL
from training.datasets.synthetic.mesh import Mesh
from training.datasets.synthetic.raster import FAR_M, Pose
from training.datasets.synthetic.robots import floor
from training.datasets.synthetic.robots.conditions import Condition
from training.datasets.synthetic.scene import Picture

LAMPS = 4
"""So many of the nearest lamps give light."""
SNOWY = [CLASS_ID[name] for name in ('road', 'sidewalk', 'terrain')]


@dataclass(frozen=True)
class Place:
    """A place to be seen: triangles (the first `ground_count` are ground) and what lights them.

    floor  from floor.draw. fine: texture repeats of the ground. lamps (n, 4): x, y, z, strength.
    """

    mesh: Mesh
    ground_count: int
    floor: np.ndarray
    fine: float
    lamps: np.ndarray
    condition: Condition
    noise_shift: tuple[int, int]


def render(place: Place, view: Pose, camera: Camera) -> Picture:
    """Render a place."""
    place = replace(place, mesh=snowed(place))
    surface = mended(shade.look(place.mesh, place.ground_count, view, camera))
    colour = lit(place, surface, view, camera)
    if place.condition.mirror > 0:
        mirror(colour, place, surface, view, camera)
    sky.add_air(colour, surface.inverse_z, place.condition.light)
    open_sky = surface.row == 0
    sky.paint_sky(colour, open_sky, camera, view, place.condition.light)
    rgb = developed(colour, place, surface.row)
    depth = 1 / np.maximum(surface.inverse_z, np.float32(1e-6))
    depth[open_sky] = 0
    return Picture(rgb, depth, surface.mesh.label.take(surface.row))


def mended(surface: shade.Surface) -> shade.Surface:
    """Return the surface with pinholes between triangles closed: a lone pixel takes its left's.

    Such a pixel is sky although all four beside it are not; one picture in a thousand has one.
    """
    solid = surface.row > 0
    hole = np.zeros_like(solid)
    hole[1:-1, 1:-1] = (
        ~solid[1:-1, 1:-1]
        & solid[1:-1, :-2] & solid[1:-1, 2:] & solid[:-2, 1:-1] & solid[2:, 1:-1]
    )  # fmt: skip
    y, x = np.nonzero(hole)
    if not len(y):
        return surface
    names = ('row', 'ground', 'inverse_z', 's', 't', 'ds', 'dt', 'footprint')
    arrays = {name: np.array(getattr(surface, name)) for name in names}
    for array in arrays.values():
        array[y, x] = array[y, x - 1]
    return replace(surface, **arrays)


def developed(colour: np.ndarray, place: Place, row: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 of (3, H, W) colours: what the camera makes of the light."""
    sensor, veil = place.condition.sensor, place.condition.veil
    rgb = shade.smoothed(sky.exposed(colour, sensor), row)
    if veil:
        rgb = cv2.addWeighted(rgb, 1 - veil, rgb, 0, 150 * veil)
    return sky.with_noise(rgb, sensor, place.noise_shift)


def snowed(place: Place) -> Mesh:
    """Return the mesh with snow on what looks upward."""
    mesh, snow = place.mesh, place.condition.snow
    if not snow:
        return mesh
    flat = (mesh.normals[:, 1] > 0.6) & (np.isin(mesh.label, SNOWY) | (mesh.vertices[:, 0, 1] > 0))
    tint, tile = mesh.tint.copy(), mesh.tile.copy()
    tint[flat] += np.float32(snow) * (np.float32([0.88, 0.9, 0.93]) - tint[flat])
    tile[flat & (snow > 0.7)] = textures.PLASTER
    return replace(mesh, tint=tint, tile=tile)


def lit(place: Place, surface: shade.Surface, view: Pose, camera: Camera) -> np.ndarray:
    """Return (3, H, W) colours with marks and shadows on the ground and the light of lamps."""
    jitter = sky.patch(sky.jitter_field(), camera.size_hw, place.noise_shift)
    colour = shade.coloured(surface, place.condition.light, jitter)
    s = np.where(surface.ground, surface.s * np.float32(1 / place.fine), np.float32(-1e4))
    colour *= floor.looked_up(place.floor, s, surface.t * np.float32(1 / place.fine), NEUTRAL)
    if place.condition.lamp_share or place.condition.headlight:
        colour *= lamp_light(place, surface, view, camera)
    return colour


def lamp_light(place: Place, surface: shade.Surface, view: Pose, camera: Camera) -> np.ndarray:
    """Return (H, W) float32: how much brighter the lamps and the head light make each pixel."""
    condition = place.condition
    z = 1 / np.maximum(surface.inverse_z, np.float32(1 / FAR_M))
    rays = camera.rays()
    local = (rays[..., 0] * z, rays[..., 1] * z, z)
    bright = np.full(z.shape, 1 - condition.lamp_share, np.float32)
    ahead = place.lamps[np.argsort(np.hypot(place.lamps[:, 0], place.lamps[:, 2] - 2))[:LAMPS]]
    for *spot, strength in ahead.tolist() if condition.lamp_share else ():
        x, y, depth = (view.rotation @ (np.array(spot) - view.position)).astype(np.float32)
        square = (local[0] - x) ** 2 + (local[1] - y) ** 2 + (z - depth) ** 2
        reach = np.float32(max(spot[1], 2.0) ** 2)
        bright += np.float32(1.3 * condition.lamp_share * strength) * reach / (reach + square)
    if condition.headlight:
        off = rays[..., 0] ** 2 + rays[..., 1] ** 2
        beam = np.exp(np.float32(-2.5) * off) * np.float32(6 * condition.headlight)
        bright += beam / (np.float32(0.6) + z * z * np.float32(0.15))
    return np.sqrt(bright)


def mirror(
    colour: np.ndarray, place: Place, surface: shade.Surface, view: Pose, camera: Camera
) -> None:
    """Lay the mirrored place onto the ground pixels of (3, H, W) colours.

    The mirror image of the world under Y = 0, seen from the same camera, is what the ground shows.
    """
    if not surface.ground.any():
        return
    flip = np.float32([1, -1, 1])
    above = np.s_[place.ground_count :]
    mesh = Mesh(*(getattr(place.mesh, name)[above] for name in Mesh.__dataclass_fields__))
    mesh = replace(mesh, vertices=mesh.vertices * flip, normals=mesh.normals * flip)
    below = shade.look(mesh, 0, view, camera)
    # Light falls on the things, not on their images.
    below = replace(below, mesh=replace(below.mesh, normals=below.mesh.normals * flip))
    jitter = sky.patch(sky.jitter_field(), camera.size_hw, place.noise_shift)
    image = shade.coloured(below, place.condition.light, jitter)
    haze = place.condition.light.haze.astype(np.float32)
    open_sky = below.row == 0
    for plane, tone in zip(image, haze, strict=True):
        plane[open_sky] = tone
    rays = camera.rays()
    down = -view.rotation[:, 1].astype(np.float32)
    cosine = (rays @ down[:2] + down[2]) / np.sqrt(1 + (rays**2).sum(-1))
    share = np.float32(0.06) + np.float32(0.8) * (1 - np.clip(cosine, 0, 1)) ** 4
    puddle = floor.looked_up(place.floor, surface.t * 0.7, surface.s * 0.7 + 9, 0)
    share *= np.float32(place.condition.mirror) * np.clip(0.35 + 4 * (puddle - 1), 0.15, 1)
    share *= surface.ground
    colour *= 1 - share
    colour += share * image
