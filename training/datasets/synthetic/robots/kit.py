# SPDX-License-Identifier: Apache-2.0
"""A place around a camera, put together from boxes and ready shapes.

The camera stands over the origin of the plan and the ground under it is Y = 0. Boxes are rows of
one array, so a hundred of them cost as much as one; things too near the camera are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.datasets.synthetic.mesh import (
    Colour,
    Look,
    Mesh,
    Places,
    joined,
    placed,
    quads,
    unit,
)
from training.datasets.synthetic.raster import NEAR_M

OBSTACLE = CLASS_ID['wall']
"""Label of every standing thing that has no class of its own."""
CLEAR_M = NEAR_M + 0.07
"""Nothing stands nearer to the camera than this; the renderer's near plane is NEAR_M."""
FAR_M = 700.0

# Faces of a unit box: sign and axis of the normal, then the axes of u and v.
FACES = ((1, 0, 2, 1), (-1, 0, 2, 1), (1, 1, 0, 2), (-1, 1, 0, 2), (1, 2, 0, 1), (-1, 2, 0, 1))
CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])


def unit_faces() -> tuple[np.ndarray, np.ndarray]:
    """Return (6, 4, 3) corners of a box of size 1 around the origin and (6, 3) normals."""
    corners, normals = np.zeros((6, 4, 3)), np.zeros((6, 3))
    for k, (sign, axis, u, v) in enumerate(FACES):
        corners[k, :, axis], normals[k, axis] = 0.5 * sign, sign
        corners[k, :, u], corners[k, :, v] = CORNERS.T
    return corners, normals


UNIT_CORNERS, UNIT_NORMALS = unit_faces()
U_AXIS, V_AXIS = (np.array([face[k] for face in FACES]) for k in (2, 3))


@dataclass(frozen=True)
class Boxes:
    """n upright boxes: base (n, 3) middle of the base, size (n, 3), yaw (n,), group (n,).

    tint (n, 3), tile, label, glow and fine (n,): look and how often the texture repeats.
    """

    base: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
    tint: np.ndarray
    tile: np.ndarray
    label: np.ndarray
    glow: np.ndarray
    fine: np.ndarray
    group: np.ndarray


def turned(points: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return (n, ..., 3) points turned about Y by (n,) yaws; +Z turns to +X."""
    shape = (-1,) + (1,) * (points.ndim - 2)
    c, s = np.cos(yaw).reshape(shape), np.sin(yaw).reshape(shape)
    x, z = points[..., 0], points[..., 2]
    return np.stack([c * x + s * z, points[..., 1] + 0 * x, c * z - s * x], -1)


def box_mesh(boxes: Boxes) -> Mesh:
    """Return 12 triangles for each box."""
    n = len(boxes.base)
    corners = UNIT_CORNERS[None] * boxes.size[:, None, None]
    flat = np.take_along_axis(
        corners, np.stack([U_AXIS, V_AXIS], -1)[None, :, None].repeat(4, 2).repeat(n, 0), -1
    )
    # Texture starts at the foot, and somewhere else on each box.
    across = flat[..., 0] + (np.arange(n) * 0.37 % 5)[:, None, None]
    up = flat[..., 1] + boxes.size[:, V_AXIS, None] / 2
    uv = np.stack([across, up], -1) * boxes.fine[:, None, None, None]
    points = turned(corners, boxes.yaw) + boxes.base[:, None, None]
    points[..., 1] += boxes.size[:, 1, None, None] / 2
    normals = turned(np.broadcast_to(UNIT_NORMALS, (n, 6, 3)), boxes.yaw)
    pick = [[0, 1, 2], [0, 2, 3]]

    def each(values: np.ndarray, kind: type) -> np.ndarray:
        return np.repeat(values, 12, axis=0).astype(kind)

    return Mesh(
        points[:, :, pick].reshape(-1, 3, 3).astype(np.float32),
        np.repeat(normals.reshape(-1, 3), 2, axis=0).astype(np.float32),
        uv[:, :, pick].reshape(-1, 3, 2).astype(np.float32),
        each(boxes.tint, np.float32),
        each(boxes.tile, np.uint8),
        each(boxes.label, np.uint8),
        each(boxes.glow, np.float32),
        np.zeros(12 * n, bool),
    )


Part = tuple[tuple[float, float, float], tuple[float, float, float], Look]
"""A box of a thing: middle of its base and size (x, y, z), in the thing's own axes, and look."""


@dataclass
class Kit:
    """Collects what stands around the camera.

    eye_y     height of the camera.
    fine      how often the texture of the ground repeats.
    ground    meshes of the ground; extra: other ready meshes.
    casters   (x, z, half size across, along, yaw, top, leafy) of what casts a shadow.
    lamps     (x, y, z, strength): light indoors and at night.
    marks     (x, z, x, z) ends of painted lines on the ground.
    """

    rng: np.random.Generator
    eye_y: float
    fine: float = 1.0
    ground: list[Mesh] = field(default_factory=list)
    parts: list[tuple[Part, tuple[float, float, float], float, float, int]] = field(
        default_factory=list
    )
    shapes: list[tuple[Mesh, tuple, float, tuple, Colour]] = field(default_factory=list)
    casters: list[tuple[float, ...]] = field(default_factory=list)
    lamps: list[tuple[float, float, float, float]] = field(default_factory=list)
    marks: list[tuple[float, float, float, float]] = field(default_factory=list)
    extra: list[Mesh] = field(default_factory=list)
    groups: int = 0

    def put(
        self, parts: list[Part], x: float, z: float, yaw: float = 0.0, y: float = 0.0,
        fine: float = 1.0,
    ) -> None:  # fmt: skip
        """Put a thing made of boxes at a spot."""
        self.groups += 1
        self.parts += [(part, (x, y, z), yaw, fine, self.groups) for part in parts]

    def shape(
        self, mesh: Mesh, x: float, z: float, yaw: float = 0.0, scale: tuple = (1.0, 1.0, 1.0),
        colour: Colour = (0.5, 0.5, 0.5), foot: tuple[float, float, float] | None = None,
        y: float = 0.0, leafy: bool = False,
    ) -> bool:  # fmt: skip
        """Put a ready shape at a spot; foot: its size across, along and up (for shadows).

        Returns False and leaves it out where it would stand over the camera.
        """
        if foot is not None:
            where = np.array([[x, y, z]])
            size = np.array([[foot[0], foot[2], foot[1]]])
            if gap(where, size, np.array([yaw]))[0] < CLEAR_M:
                return False
            self.casters.append((x, z, foot[0] / 2, foot[1] / 2, yaw, foot[2], float(leafy)))
        self.shapes.append((mesh, (x, y, z), yaw, scale, colour))
        return True

    def boxes(self) -> Boxes | None:
        """Return all boxes but the groups that would stand over the camera."""
        if not self.parts:
            return None
        local = np.array([part[0] for part, *_ in self.parts], float)
        size = np.array([part[1] for part, *_ in self.parts], float)
        spot = np.array([row[1] for row in self.parts], float)
        yaw = np.array([row[2] for row in self.parts], float)
        fine = np.array([row[3] for row in self.parts], float)
        group = np.array([row[4] for row in self.parts])
        looks = [part[2] for part, *_ in self.parts]
        base = turned(local, yaw) + spot
        level = (base[:, 1] < self.eye_y + 0.2) & (base[:, 1] + size[:, 1] > self.eye_y - 0.2)
        near = level & (gap(base, size, yaw) < CLEAR_M)
        keep = np.bincount(group, near)[group] == 0
        tint = np.array([look.tint for look in looks])
        tile, label = (np.array([getattr(k, name) for k in looks]) for name in ('tile', 'label'))
        glow = np.array([look.glow for look in looks])
        return Boxes(
            *(a[keep] for a in (base, size, yaw, tint, tile, label, glow, fine, group)),
        )

    def build(self) -> tuple[Mesh, int, np.ndarray]:
        """Return all triangles, how many are ground (they come first), and (n, 7) casters."""
        land = joined(self.ground)
        meshes, casters = [land, *self.extra], [np.array(self.casters).reshape(-1, 7)]
        boxes = self.boxes()
        if boxes is not None:
            meshes.append(box_mesh(boxes))
            casters.append(box_casters(boxes))
        if self.shapes:
            columns = list(zip(*self.shapes, strict=True))
            places = Places(*(np.array(c, float) for c in columns[1:]))
            mesh = placed(list(columns[0]), places)
            label = np.where(mesh.label == UNLABELLED, OBSTACLE, mesh.label).astype(np.uint8)
            meshes.append(replace(mesh, label=label))
        return joined(meshes), len(land), np.concatenate(casters)


def gap(base: np.ndarray, size: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return (n,) metres on the plan from the origin to each box's footprint, 0 inside."""
    inward = turned(-base * [1, 0, 1], -yaw)
    out = np.maximum(np.abs(inward[:, [0, 2]]) - size[:, [0, 2]] / 2, 0)
    return np.hypot(out[:, 0], out[:, 1])


def box_casters(boxes: Boxes) -> np.ndarray:
    """Return (n, 7) shadow casters of the boxes that stand on the ground."""
    low = (boxes.base[:, 1] < 0.6) & (boxes.size[:, 1] > 0.04) & (boxes.size.max(1) < 60)
    b, s = boxes.base[low], boxes.size[low]
    top = b[:, 1] + s[:, 1]
    zero = np.zeros(len(b))
    return np.stack([b[:, 0], b[:, 2], s[:, 0] / 2, s[:, 2] / 2, boxes.yaw[low], top, zero], 1)


def strips(
    kit: Kit, cuts: list[float], surfaces: list[tuple[Look, float]], z: tuple[float, float]
) -> None:
    """Lay the ground: between cuts[i] and cuts[i + 1] a strip along Z of a look and height."""
    kerb = Look(CLASS_ID['sidewalk'], 0, (0.62, 0.61, 0.6))
    for k, (look, y) in enumerate(surfaces):
        a, b = cuts[k], cuts[k + 1]
        kit.ground.append(level(a, b, z, y, look, kit.fine))
        if k and surfaces[k - 1][1] != y:
            lower, upper = sorted((surfaces[k - 1][1], y))
            face = [(a, lower, z[0]), (a, lower, z[1]), (a, upper, z[1]), (a, upper, z[0])]
            mesh = quads(np.array([face]), kerb)
            side = -1.0 if y > surfaces[k - 1][1] else 1.0
            normals = np.tile(np.float32([side, 0, 0]), (2, 1))
            kit.extra.append(replace(mesh, normals=normals))


def level(x0: float, x1: float, z: tuple[float, float], y: float, look: Look, fine: float) -> Mesh:
    """Return a level rectangle of ground; uv is (x, z) times `fine`."""
    corners = np.array([[(x0, y, z[0]), (x0, y, z[1]), (x1, y, z[1]), (x1, y, z[0])]])
    uv = corners[..., [0, 2]] * fine
    mesh = quads(corners, look, uv)
    return replace(mesh, normals=np.tile(unit(np.float32([0, 1, 0])), (2, 1)))
