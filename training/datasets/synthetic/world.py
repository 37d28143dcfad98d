# SPDX-License-Identifier: Apache-2.0
"""A built world: all triangles of a stretch of road, in chunks, and what moves on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import floor_map, layout, populate, textures
from training.datasets.synthetic.layout import Lane, Style
from training.datasets.synthetic.mesh import Look, Mesh, Places, joined, placed, quads, taken
from training.datasets.synthetic.road import BEHIND_M, Road, ground
from training.datasets.synthetic.things import Thing

SIGHT_M = 220.0
"""Things are drawn up to this far ahead; beyond are only the far land and the skyline."""


@dataclass(frozen=True)
class World:
    """A road with everything on it. `own` is the number of the ego vehicle's lane.

    stains: picture of the ground from above (floor_map.draw_stains).
    """

    style: Style
    road: Road
    lanes: tuple[Lane, ...]
    own: int
    things: tuple[Thing, ...]
    ground: Mesh
    backdrop: Mesh
    stains: np.ndarray


def draw_style(rng: np.random.Generator) -> Style:
    """Draw a kind of place."""
    names = list(layout.SHARES)
    return layout.STYLES[str(rng.choice(names, p=list(layout.SHARES.values())))]


def draw_world(rng: np.random.Generator, style: Style, length_m: float) -> World:
    """Draw a world whose road can be driven from z = 0 to length_m."""
    total = length_m + SIGHT_M
    hand = 1 if rng.random() < 0.75 else -1
    road, lanes, parking, _ = layout.draw_road(rng, style, total, hand)
    own = int(rng.integers(sum(lane.way > 0 for lane in lanes)))
    things = populate.traffic(rng, style, lanes, own, total)
    things += populate.cross_traffic(rng, road)
    things += populate.bridges(rng, style, road)
    for side in (-1, 1):
        things += populate.roadside(rng, style, road, side, side in parking, total)
        things += populate.land(rng, style, road, side, total)
    stains = floor_map.draw_stains(rng, road, length_m)
    back = backdrop(rng, road)
    return World(style, road, lanes, own, tuple(things), ground(road), back, stains)


def backdrop(rng: np.random.Generator, road: Road) -> Mesh:
    """Return far land and a skyline of hills, woods or roofs, around z = 0 of the ego vehicle."""
    end = road.stations[-1]
    y = float(road.grades[-1]) - 0.5
    x = float(road.centres[-1])
    plain = [(x - 3000, y, end - 1), (x - 3000, y, end + 3000), (x + 3000, y, end + 3000)]
    plain.append((x + 3000, y, end - 1))
    far_land = replace(road.land, tile=textures.GRASS)
    parts = [quads(np.array([plain]), far_land)]
    parts.append(skyline(rng, rng.uniform(420, 1400), rng.uniform(5, 110), 0.15, False))
    if rng.random() < 0.7:
        parts.append(
            skyline(rng, rng.uniform(290, 400), rng.uniform(7, 20), 0.6, rng.random() < 0.4)
        )
    return joined(parts)


def skyline(
    rng: np.random.Generator, radius: float, height: float, rough: float, roofs: bool
) -> Mesh:
    """Return a curtain of upright quads on an arc ahead: hills and woods, or buildings."""
    angle = np.linspace(-1.25, 1.25, 61)
    wave = np.cumsum(rng.normal(0, 1, 61)) / 4
    tall = height * np.clip(
        0.55 + 0.3 * (wave - wave.mean()) + rough * rng.uniform(-0.3, 0.3, 61), 0.1, 1.6
    )
    foot = np.stack([radius * np.sin(angle), np.full(61, -30.0), radius * np.cos(angle)], 1)
    top = foot.copy()
    top[:, 1] = tall
    if roofs:
        top[1:, 1] = top[:-1, 1] * 1.0
        name, tile, tint = 'building', textures.FACADES[0], (0.55, 0.53, 0.52)
    else:
        name, tile, tint = 'vegetation', textures.LEAVES, (0.27, 0.34, 0.2)
    upper = np.stack([top[:-1], top[:-1] if roofs else top[1:]], 1)
    upper[:, 1, [0, 2]] = top[1:, [0, 2]]
    corners = np.stack([foot[:-1], foot[1:], upper[:, 1], upper[:, 0]], 1)
    mesh = quads(corners, Look(CLASS_ID[name], tile, tint))
    return replace(mesh, normals=np.tile(np.float32([0, 0.5, -0.85]), (len(mesh), 1)))


def in_view(
    spots: np.ndarray, reach_m: np.ndarray, eye: np.ndarray, yaw: float, wide: float
) -> np.ndarray:
    """Return (n,) bool: discs that a camera at `eye` may see within +-`wide` radians."""
    x, z = spots[:, 0] - eye[0], spots[:, 2] - eye[2]
    right, ahead = x * np.cos(yaw) - z * np.sin(yaw), x * np.sin(yaw) + z * np.cos(yaw)
    outside = np.abs(right) * np.cos(wide) - ahead * np.sin(wide)
    return (outside < reach_m) & (ahead > -reach_m)


@dataclass(frozen=True)
class Moment:
    """Where every thing of a world is at one time; (n, 3) world positions and (n,) yaws."""

    things: tuple[Thing, ...]
    spots: np.ndarray
    yaws: np.ndarray


def moment(world: World, z: float, time_s: float) -> Moment:
    """Return the things between just behind z and the limit of sight."""
    numbers = np.array([(t.d_m, t.z_m, t.speed_mps, t.yaw, t.sink_m) for t in world.things])
    at = numbers[:, 1] + numbers[:, 2] * time_s
    near = np.flatnonzero((at > z - 30) & (at < z + SIGHT_M))
    spots = world.road.spots(numbers[near, 0], at[near])
    spots[:, 1] -= numbers[near, 4]
    yaws = numbers[near, 3] + world.road.heading(at[near])
    return Moment(tuple(world.things[i] for i in near), spots, yaws)


def shadow_boxes(now: Moment) -> np.ndarray:
    """Return (n, 7): the shadow casters as floor_map.py wants them."""
    casters = [i for i, t in enumerate(now.things) if t.shadow_m]
    size = np.array([now.things[i].shadow_m for i in casters]).reshape(-1, 3)
    tall = np.array([now.things[i].scale[1] for i in casters])
    yaw = now.yaws[casters]
    at_front = np.array([now.things[i].at_front for i in casters], float)
    back = at_front * size[:, 0] / 2
    x, z = now.spots[casters, 0] + np.cos(yaw) * back, now.spots[casters, 2] - np.sin(yaw) * back
    leafy = np.array([now.things[i].leafy for i in casters], float)
    return np.stack([x, z, size[:, 0] / 2, size[:, 1] / 2, yaw, size[:, 2] * tall, leafy], 1)


def reach(thing: Thing) -> float:
    """Radius on the plan that holds a thing and its shadow's cause."""
    return max(5.0, sum(thing.shadow_m[:2])) if thing.shadow_m else 5.0


def around(
    world: World, z: float, time_s: float, eye: np.ndarray, yaw: float, wide: float
) -> tuple[Mesh, int, np.ndarray]:
    """Return the triangles seen from near z at a time, how many are ground, and shadow boxes.

    eye, yaw, wide: the camera, and half the horizontal angle to keep; out of it nothing is built.
    """
    along = world.ground.vertices[:, 0, 2]
    keep = (along > z - BEHIND_M) & (along < z + SIGHT_M)
    now = moment(world, z, time_s)
    reaches = np.array([reach(t) for t in now.things])
    distance = np.hypot(now.spots[:, 0] - eye[0], now.spots[:, 2] - eye[2])
    # Nobody drives with the camera inside a tree.
    free = [0.5 * t.shadow_m[0] + 0.8 if t.leafy else 1.3 for t in now.things]
    seen = in_view(now.spots, reaches, eye, yaw, wide) & (distance > np.array(free))
    drawn, meshes = [], []
    for i in np.flatnonzero(seen):
        shape = now.things[i].shape(distance[i])
        if shape is not None:
            drawn.append(i)
            meshes.append(shape)
    places = Places(
        now.spots[drawn],
        now.yaws[drawn],
        np.array([now.things[i].scale for i in drawn]).reshape(-1, 3),
        np.array([now.things[i].colour or (0, 0, 0) for i in drawn]).reshape(-1, 3),
    )
    back = world.backdrop
    shift = np.float32([float(world.road.centre(z)), 0, z])
    back = replace(back, vertices=back.vertices + shift)
    land = taken(world.ground, keep)
    parts = [land, back, placed(meshes, places)] if meshes else [land, back]
    return joined(parts), int(keep.sum()), shadow_boxes(now)
