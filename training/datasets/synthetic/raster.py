# SPDX-License-Identifier: Apache-2.0
"""Which triangle does each pixel see, and where on it: a z-buffer for ids, then exact planes.

OpenCV 5 has a triangle rasteriser (about 0.4 microseconds a triangle); for older OpenCV there is a
slow one in NumPy with the same rules. Either gives only the id of the nearest triangle; depth and
texture coordinates are then computed from that triangle's plane, so they are exact to float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Mesh, cross

BICYCLE = CLASS_ID['bicycle']
NEAR_M = 0.15
FAR_M = 4000.0
GUARD = 2.0
"""Triangles are cut this many image widths (heights) from the optical axis."""
ID_SCALE = float(1 << 18)
"""Ids travel as fractions of this power of two, which float32 holds exactly."""


@dataclass(frozen=True)
class Pose:
    """Where the camera stands: position (3,) in world metres and rotation (3, 3).

    Rows of `rotation` are the camera's axes (x right, y down, z ahead) in world coordinates:
    p_camera = rotation @ (p_world - position). World Y is up, so its determinant is -1.
    """

    position: np.ndarray
    rotation: np.ndarray

    def moved_right(self, metres: float) -> Pose:
        """Return the pose of the right-hand camera of a rectified pair."""
        return Pose(self.position + metres * self.rotation[0], self.rotation)


def pose(position: np.ndarray, yaw: float, pitch: float, roll: float) -> Pose:
    """Return a pose: yaw turns right, pitch looks up, roll leans right; radians."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    ahead = np.array([sy * cp, sp, cy * cp])
    right = np.array([cy, 0.0, -sy])
    down = cross(right, ahead)
    cr, sr = np.cos(roll), np.sin(roll)
    turned = np.stack([cr * right + sr * down, -sr * right + cr * down, ahead])
    return Pose(np.asarray(position, float), turned)


def to_camera(vertices: np.ndarray, view: Pose) -> np.ndarray:
    """Return (N, 3, 3) world points in camera axes, float32."""
    rotation = view.rotation.astype(np.float32)
    moved = vertices.reshape(-1, 3) - view.position.astype(np.float32)
    return (moved @ rotation.T).reshape(-1, 3, 3)


def facing(mesh: Mesh, view: Pose) -> np.ndarray:
    """Return numbers of the triangles that do not turn their back (leaves have no back)."""
    to_eye = view.position.astype(np.float32) - mesh.vertices[:, 0]
    front = np.einsum('nc,nc->n', to_eye, mesh.normals) > 0
    return np.flatnonzero(front | (mesh.tile == textures.LEAVES) | (mesh.label == BICYCLE))


def visible(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Return (N,) bool: triangles in camera axes that are not wholly outside one image border."""
    x, y, z = points.transpose(2, 1, 0)
    left, right = -(camera.cx + 1) / camera.fx, (camera.width - camera.cx) / camera.fx
    top, bottom = -(camera.cy + 1) / camera.fy, (camera.height - camera.cy) / camera.fy
    # Corner by corner: NumPy reduces an axis of three an order of magnitude more slowly.
    inside = [z[k] > NEAR_M for k in range(3)]
    keep = inside[0] | inside[1] | inside[2]
    for side, sign in (
        (x - np.float32(left) * z, 1),
        (x - np.float32(right) * z, -1),
        (y - np.float32(top) * z, 1),
        (y - np.float32(bottom) * z, -1),
    ):
        keep &= (sign * side[0] > 0) | (sign * side[1] > 0) | (sign * side[2] > 0)
    return keep


def clipped(points: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Cut (N, 3, 3) triangles to what can be seen; return the pieces and each piece's triangle.

    OpenCV's rasteriser drops triangles that cross its near plane, which the ground always does,
    and leaves holes in those that reach tens of thousands of pixels beyond the image.
    """
    pieces, owners = cut(points, points[..., 2] - np.float32(NEAR_M))
    wide = np.float32(GUARD * camera.width / camera.fx)
    high = np.float32(GUARD * camera.height / camera.fy)
    x, y, z = np.moveaxis(pieces, -1, 0)
    outside = ((np.abs(x) > wide * z) | (np.abs(y) > high * z)).any(1)
    inner, inner_owners = pieces[~outside], owners[~outside]
    pieces, owners = pieces[outside], owners[outside]
    for axis, slope in ((0, wide), (0, -wide), (1, high), (1, -high)):
        signed = np.sign(slope) * (slope * pieces[..., 2] - pieces[..., axis])
        pieces, kept = cut(pieces, signed)
        owners = owners[kept]
    return np.concatenate([inner, pieces]), np.concatenate([inner_owners, owners])


def cut(points: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of (N, 3, 3) triangles where (N, 3) corner distances to a plane are > 0.

    The second array holds each part's triangle.
    """
    front = distance > 0
    count = front.sum(1)
    whole = np.flatnonzero(count == 3)
    pieces, owners = [points[whole]], [whole]
    for kept in (1, 2):
        crossing = np.flatnonzero(count == kept)
        # Turn the corners so that the odd one out comes first.
        odd = np.argmax(front[crossing] == (kept == 1), axis=1)
        order = (odd[:, None] + np.arange(3)) % 3
        rows = crossing[:, None]
        a, b, c = np.moveaxis(points[rows, order], 1, 0)
        to_a, to_b, to_c = distance[rows, order].T
        ab = a + (to_a / (to_a - to_b))[:, None] * (b - a)
        ac = a + (to_a / (to_a - to_c))[:, None] * (c - a)
        triangles = [(a, ab, ac)] if kept == 1 else [(ab, b, c), (ab, c, ac)]
        pieces += [np.stack(t, 1) for t in triangles]
        owners += [crossing] * len(triangles)
    return np.concatenate(pieces), np.concatenate(owners)


def triangle_ids(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Return (H, W) int32: 1 + number of the nearest triangle, 0 = none.

    points: (N, 3, 3) float32 in camera axes.
    """
    if not hasattr(cv2, 'triangleRasterize'):
        return triangle_ids_numpy(points, camera)
    pieces, owners = clipped(points, camera)
    ids = piece_ids(pieces, camera)
    return np.concatenate([[0], owners + 1]).astype(np.int32)[ids]


def piece_ids(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Do what `triangle_ids` does, with OpenCV 5, for triangles beyond the near plane."""
    height, width = camera.size_hw
    focal = height / 2
    # Bring any pinhole camera to the rasteriser's: 90 degrees high, optical axis in the middle.
    gl = np.empty_like(points)
    shift_x, shift_y = camera.cx + 0.5 - width / 2, camera.cy + 0.5 - height / 2
    gl[..., 0] = (points[..., 0] * camera.fx + points[..., 2] * shift_x) / focal
    gl[..., 1] = -(points[..., 1] * camera.fy + points[..., 2] * shift_y) / focal
    gl[..., 2] = -points[..., 2]
    count = len(points)
    colours = np.repeat(np.arange(1, count + 1, dtype=np.float32) / ID_SCALE, 9)
    settings = cv2.TriangleRasterizeSettings()
    settings = settings.setShadingType(cv2.RASTERIZE_SHADING_FLAT)
    settings = settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    seen, _ = cv2.triangleRasterize(
        gl.reshape(-1, 3),
        np.arange(3 * count, dtype=np.int32).reshape(-1, 3),
        colours.reshape(-1, 3),
        np.zeros((height, width, 3), np.float32),
        np.full((height, width), FAR_M, np.float32),
        np.eye(4, dtype=np.float32),
        np.pi / 2,
        0.9 * NEAR_M,
        FAR_M,
        settings,
    )
    return (cv2.extractChannel(seen, 0) * ID_SCALE).astype(np.int32)


def triangle_ids_numpy(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Do what `triangle_ids` does without OpenCV 5, some 50 times slower."""
    ids = np.zeros(camera.size_hw, np.int32)
    nearness = np.full(camera.size_hw, 1 / FAR_M, np.float32)
    inverse = weights_per_ray(points)
    rays = camera.rays()
    for k in np.flatnonzero(np.isfinite(inverse).all((1, 2))):
        rows, cols = window(points[k], camera)
        ray = rays[rows, cols]
        w = ray @ inverse[k, :, :2].T + inverse[k, :, 2]
        inverse_z = w.sum(-1)
        near = (w >= 0).all(-1) & (inverse_z > nearness[rows, cols]) & (inverse_z < 1 / NEAR_M)
        nearness[rows, cols][near] = inverse_z[near]
        ids[rows, cols][near] = k + 1
    return ids


def window(points: np.ndarray, camera: Camera) -> tuple[slice, slice]:
    """Return the rows and columns a triangle can touch; everything when it crosses the camera."""
    if (points[:, 2] <= NEAR_M).any():
        return slice(0, camera.height), slice(0, camera.width)
    u = points[:, 0] / points[:, 2] * camera.fx + camera.cx
    v = points[:, 1] / points[:, 2] * camera.fy + camera.cy
    first = np.clip(np.floor([v.min(), u.min()]), 0, camera.size_hw).astype(int)
    last = np.clip(np.ceil([v.max(), u.max()]) + 1, 0, camera.size_hw).astype(int)
    return slice(first[0], last[0]), slice(first[1], last[1])


def weights_per_ray(points: np.ndarray) -> np.ndarray:
    """Return (N, 3, 3) float32 W: W @ (x, y, 1) = the corner weights divided by z.

    A point of the triangle is the weighted mean of its corners P (columns), and it is z (x, y, 1):
    weights / z = inverse(P) @ (x, y, 1). Hence 1/z and attribute/z are linear in pixels. Triangles
    seen edge-on (singular P) give zeros.
    """
    p = points.astype(np.float64)
    a, b, c = p[:, 0], p[:, 1], p[:, 2]
    rows = np.stack([cross(b, c), cross(c, a), cross(a, b)], 1)
    volume = np.einsum('nc,nc->n', a, rows[:, 0])
    safe = np.where(np.abs(volume) > 1e-12, volume, np.inf)
    return (rows / safe[:, None, None]).astype(np.float32)
