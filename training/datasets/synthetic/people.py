# SPDX-License-Identifier: Apache-2.0
"""Pedestrians in mid-step and riders on two wheels, facing +Z."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import Look, Mesh, ball, box, joined, tube

VARIANTS, RIDER_VARIANTS = 24, 8
SKIN = ((0.85, 0.66, 0.55), (0.72, 0.53, 0.42), (0.5, 0.35, 0.27), (0.35, 0.25, 0.2))
TROUSERS = (
    (0.16, 0.18, 0.27),
    (0.12, 0.12, 0.13),
    (0.3, 0.28, 0.25),
    (0.45, 0.42, 0.36),
    (0.2, 0.25, 0.4),
)
HAIR = ((0.1, 0.08, 0.07), (0.25, 0.17, 0.1), (0.5, 0.42, 0.3), (0.4, 0.4, 0.4))


def limb(points: list[tuple[float, float, float]], radii: list[float], look: Look) -> list[Mesh]:
    """Return tubes through `points` with these radii."""
    ends = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    return [tube(np.array(a), np.array(b), (r, s), 6, look) for a, b, r, s in ends]


def looks(rng: np.random.Generator, label: int) -> tuple[Look, Look, Look, Look]:
    """Return skin, coat (to be repainted), trousers and hair."""
    skin = Look(label, 0, SKIN[rng.integers(4)])
    coat = Look(label, textures.CLOTH, (0.5, 0.5, 0.5), paint=True)
    trousers = Look(label, textures.CLOTH, TROUSERS[rng.integers(5)])
    return skin, coat, trousers, Look(label, 0, HAIR[rng.integers(4)])


def head(z: float, y: float, skin: Look, hair: Look) -> list[Mesh]:
    """Return a head with hair, its middle at height y."""
    return [
        ball((0, y, z), (0.085, 0.125, 0.1), skin),
        ball((0, y + 0.045, z - 0.02), (0.092, 0.105, 0.105), hair),
        tube(np.array([0, y - 0.2, z - 0.01]), np.array([0, y - 0.06, z]), (0.06, 0.055), 6, skin),
    ]


@lru_cache(maxsize=64)
def pedestrian(variant: int, far: bool) -> Mesh:
    """Return a walking or standing person 1.72 m tall; some carry a bag or wear a long coat."""
    rng = np.random.default_rng(700 + variant)
    skin, coat, trousers, hair = looks(rng, CLASS_ID['person'])
    stride = rng.uniform(0.0, 0.42) if variant % 4 else 0.03
    girth = rng.uniform(0.85, 1.2)
    if far:
        return joined(
            [
                box((0, 1.47, 0.02), (0.17, 0.25, 0.18), skin),
                box((0, 0.85, 0), (0.5 * girth, 0.63, 0.26 * girth), coat),
                box((-0.1, 0, -0.6 * stride), (0.15, 0.9, 0.17), trousers),
                box((0.1, 0, 0.6 * stride), (0.15, 0.9, 0.17), trousers),
            ]
        )
    shoe = Look(CLASS_ID['person'], 0, (0.1, 0.09, 0.08))
    parts = head(0.02, 1.6, skin, hair)
    for side in (-1, 1):
        step = side * stride
        knee = (side * 0.1, 0.48, 0.6 * step + 0.04)
        foot = (side * 0.1, 0.06, step - (0.12 if step < 0 else 0))
        parts += limb([(side * 0.09, 0.92, 0), knee, foot], [0.1 * girth, 0.07, 0.05], trousers)
        parts.append(box((foot[0], 0, foot[2] + 0.06), (0.09, 0.08, 0.26), shoe))
        elbow = (side * 0.25 * girth, 1.13, -0.5 * step - 0.03)
        hand = (side * 0.24 * girth, 0.88, -0.8 * step + 0.08)
        parts += limb([(side * 0.19 * girth, 1.42, 0), elbow, hand], [0.062, 0.05, 0.035], coat)
        parts.append(box((hand[0], hand[1] - 0.05, hand[2]), (0.06, 0.1, 0.07), skin))
    hem = 0.6 if variant % 5 == 0 else 0.86
    parts.append(torso(hem, girth, coat))
    if variant % 3 == 0:
        bag = Look(CLASS_ID['person'], textures.CLOTH, tuple(rng.uniform(0.08, 0.5, 3)))
        parts.append(box((0, 1.0, -0.22), (0.3, 0.42, 0.16), bag))
    return joined(parts)


def torso(hem: float, girth: float, coat: Look) -> Mesh:
    """Return a torso from the hem to the shoulders, flatter than a tube."""
    body = joined(
        [
            tube(np.array([0, hem, 0]), np.array([0, 1.05, 0]), (0.19, 0.17), 8, coat),
            tube(np.array([0, 1.05, 0]), np.array([0, 1.38, 0]), (0.17, 0.21), 8, coat),
            tube(np.array([0, 1.38, 0]), np.array([0, 1.48, 0]), (0.21, 0.08), 8, coat),
        ]
    )
    squash = np.array([girth, 1, 0.68 * girth], np.float32)
    uv, tint, tile, label, glow, paint = (
        body.uv,
        body.tint,
        body.tile,
        body.label,
        body.glow,
        body.paint,
    )
    return Mesh(body.vertices * squash, body.normals, uv, tint, tile, label, glow, paint)


@lru_cache(maxsize=64)
def rider(variant: int, motor: bool, far: bool) -> Mesh:
    """Return a person riding (label rider), without the machine, matching vehicles.py's sizes."""
    rng = np.random.default_rng(900 + variant)
    label = CLASS_ID['rider']
    skin, coat, trousers, hair = looks(rng, label)
    seat_y, lean = (0.8, 0.22) if motor else (0.95, 0.28)
    grip = (0.3, 1.02, 0.32)
    shoulder_y, shoulder_z = seat_y + 0.52, -0.25 + lean
    if far:
        return joined(
            [
                box((0, shoulder_y + 0.08, shoulder_z + 0.06), (0.2, 0.28, 0.22), skin),
                box((0, seat_y, -0.12), (0.46, 0.56, 0.3), coat),
                box((0, 0.35, 0.02), (0.36, seat_y - 0.35, 0.3), trousers),
            ]
        )
    parts = head(shoulder_z + 0.06, shoulder_y + 0.22, skin, hair)
    if motor or variant % 2:
        shell = Look(label, 0, tuple(rng.uniform(0.1, 0.9, 3)))
        parts.append(ball((0, shoulder_y + 0.25, shoulder_z + 0.05), (0.13, 0.15, 0.15), shell))
    hip, chest = np.array([0, seat_y, -0.25]), np.array([0, shoulder_y, shoulder_z])
    parts.append(tube(hip, chest, (0.16, 0.2), 8, coat))
    parts.append(tube(chest, chest + np.array([0, 0.1, 0.02]), (0.2, 0.07), 8, coat))
    for side in (-1, 1):
        hand = (side * grip[0], grip[1], grip[2])
        elbow = (side * 0.3, (shoulder_y + grip[1]) / 2 - 0.05, (shoulder_z + grip[2]) / 2)
        shoulder = (side * 0.2, shoulder_y - 0.02, shoulder_z)
        parts += limb([shoulder, elbow, hand], [0.06, 0.05, 0.04], coat)
        down = 0.12 if side < 0 else 0.38
        foot = (side * 0.16, down + (0.15 if motor else 0), -0.05)
        knee = (side * 0.17, (seat_y + foot[1]) / 2 + 0.12, 0.15)
        parts += limb([(side * 0.1, seat_y, -0.22), knee, foot], [0.1, 0.07, 0.05], trousers)
    return joined(parts)
