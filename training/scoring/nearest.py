# SPDX-License-Identifier: Apache-2.0
"""What a planner acts on: the nearest thing that stands in each direction, and what is said of it.

The definition is ours. The true depth alone says where the obstacles are:

1. The ground is the plane below the camera that holds most points.
2. What rises 0.5 to 2 m over it within 20 m is an obstacle. (Grass banks are mostly lower.)
3. Every 2 degrees of azimuth have one nearest obstacle: the points within 10 % of the third
   smallest distance. The third, so that a stray return is none.

The answer is read at the pixels of these points. The obstacle is *not seen* where most of them are
called ground or sky, or have no depth nearer than the cap; else its error is the median of
predicted over true depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY
from lightdepth_ros.config import NodeConfig
from training.scoring.fullframe import FullFrame

SECTOR_DEG = 2.0
REACH_M = 20.0
LOWEST_M, HIGHEST_M = 0.5, 2.0
RANK = 2
"""The third smallest distance of a sector is its obstacle's."""
FACE = 1.10
FEWEST_POINTS = 3

PLANE_TRIES, PLANE_POINTS = 400, 3000
PLANE_REACH_M = 25.0
LARGEST_TILT_DEG = 25.0
HEIGHTS_M = (0.05, 5.0)
PLANE_SLACK = (0.05, 0.01)
"""A point lies on the plane within 5 cm and 1 % of its depth."""
LEAST_ON_PLANE = 0.1


@dataclass(frozen=True)
class NearestCounts:
    """Sectors with an obstacle, by what was said of it; frames add up.

    sectors     those whose obstacle lies where the network answers; the other fields are parts.
    unanswered  not among them: its pixels lie outside the network's view.
    """

    sectors: int = 0
    within_10: int = 0
    too_far_125: int = 0
    too_far_150: int = 0
    too_near_125: int = 0
    not_seen: int = 0
    unanswered: int = 0

    def __add__(self, other: NearestCounts) -> NearestCounts:
        return NearestCounts(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(NearestCounts))
        )


def ground_plane(points: np.ndarray) -> np.ndarray | None:
    """Return (4,): unit normal towards the ground and height, of the plane of most points.

    points (n, 3) metres, x right, y down, z ahead. The plane lies below the camera and within 25
    degrees of level; None where no such plane holds a tenth of the points within 25 m.
    """
    near = points[(points[:, 2] < PLANE_REACH_M)]
    if len(near) < FEWEST_POINTS:
        return None
    rng = np.random.default_rng(0)
    some = near[rng.permutation(len(near))[:PLANE_POINTS]]
    a, b, c = (some[rng.integers(0, len(some), PLANE_TRIES)] for _ in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    normal = normal / np.where(length > 0, length, 1)[:, None]
    normal *= np.where(normal[:, 1] < 0, -1, 1)[:, None]
    height = (normal * a).sum(1)
    level = normal[:, 1] > np.cos(np.radians(LARGEST_TILT_DEG))
    fine = (length > 0) & level & (height > HEIGHTS_M[0]) & (height < HEIGHTS_M[1])
    if not fine.any():
        return None
    slack = PLANE_SLACK[0] + PLANE_SLACK[1] * some[:, 2]
    on = (np.abs(some @ normal.T - height) < slack[:, None]).sum(0) * fine
    best = int(on.argmax())
    if on[best] < LEAST_ON_PLANE * len(some):
        return None
    return refined(near, np.array([*normal[best], height[best]]))


def refined(points: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Fit the plane anew to the (n, 3) points that lie on it."""
    slack = PLANE_SLACK[0] + PLANE_SLACK[1] * points[:, 2]
    on = points[np.abs(points @ plane[:3] - plane[3]) < slack]
    centre = on.mean(0)
    normal = np.linalg.svd(on - centre, full_matrices=False)[2][2]
    normal = normal if normal[1] > 0 else -normal
    return np.array([*normal, normal @ centre])


def nearest_obstacles(truth_m: np.ndarray, camera: Camera) -> list[np.ndarray]:
    """Return the flat pixel indices of each sector's nearest obstacle; [] without a ground plane.

    truth_m: (H, W) float metres along Z, 0 = no value.
    """
    index = np.flatnonzero(truth_m > 0)
    z = truth_m.ravel()[index].astype(np.float64)
    points = np.column_stack([camera.rays().reshape(-1, 2)[index] * z[:, None], z])
    plane = ground_plane(points)
    if plane is None:
        return []
    over = plane[3] - points @ plane[:3]
    distance = np.hypot(points[:, 0], z)
    stands = (over > LOWEST_M) & (over < HIGHEST_M) & (distance < REACH_M)
    index, distance, points = index[stands], distance[stands], points[stands]
    azimuth = np.degrees(np.arctan2(points[:, 0], points[:, 2]))
    sector = np.floor(azimuth / SECTOR_DEG).astype(int)
    faces = []
    for number in np.unique(sector):
        here = sector == number
        if here.sum() >= FEWEST_POINTS:
            at = np.partition(distance[here], RANK)[RANK]
            faces.append(index[here][distance[here] <= FACE * at])
    return faces


def hidden_classes() -> np.ndarray:
    """Return (256,) bool by label id: what no costmap of this node marks, by default."""
    config = NodeConfig()
    hidden = np.zeros(256, bool)
    names = [n for n in (*config.classes_ground, *config.classes_ignore) if n]
    hidden[[*(CLASS_ID[n] for n in names), SKY]] = True
    return hidden


def count_nearest(
    frame: FullFrame, truth_m: np.ndarray, camera: Camera, cap_m: float
) -> NearestCounts:
    """Compare a frame's answer with the nearest obstacles of its truth."""
    hidden = hidden_classes()[frame.label_id.ravel()]
    said = frame.depth_m.ravel()
    total = NearestCounts()
    for face in nearest_obstacles(truth_m, camera):
        face = face[~np.isnan(said[face])]
        if not face.size:
            total += NearestCounts(unanswered=1)
            continue
        unseen = hidden[face] | (said[face] >= cap_m)
        if unseen.mean() > 0.5:
            total += NearestCounts(1, not_seen=1)
            continue
        total += verdict(float(np.median(said[face] / truth_m.ravel()[face])))
    return total


def verdict(ratio: float) -> NearestCounts:
    """Count one obstacle that was seen at `ratio` times its true distance."""
    return NearestCounts(
        1, int(abs(ratio - 1) <= 0.10), int(ratio > 1.25), int(ratio > 1.5), int(ratio < 0.8)
    )


def nearest_summary(frames: Sequence[NearestCounts]) -> dict[str, float]:
    """Return how many sectors there were, and each part as a share of them; {} for none."""
    total = sum(frames, NearestCounts())
    if not total.sectors:
        return {}
    parts = ('within_10', 'too_far_125', 'too_far_150', 'too_near_125', 'not_seen')
    shares = {name: getattr(total, name) / total.sectors for name in parts}
    return {'sectors': total.sectors, 'unanswered': total.unanswered, **shares}
