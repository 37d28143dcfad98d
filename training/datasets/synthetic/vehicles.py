# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, trucks, buses, motorcycles and bicycles, standing at the origin, front to +Z."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lightdepth_ros.classes import CLASS_ID
from training.datasets.synthetic import textures
from training.datasets.synthetic.mesh import (
    Look,
    Mesh,
    box,
    disc,
    hexahedron,
    joined,
    quads,
    ring,
    tube,
)

CAR, TRUCK, BUS = CLASS_ID['car'], CLASS_ID['truck'], CLASS_ID['bus']
CAR_VARIANTS, TRUCK_VARIANTS, BUS_VARIANTS = 18, 8, 4
RUBBER, STEEL, GLASS = (0.09, 0.09, 0.1), (0.55, 0.56, 0.58), (0.12, 0.15, 0.18)


def wheel(x: float, z: float, radius: float, side: int, look: Look, far: bool) -> Mesh:
    """Return one wheel: tread, tyre wall and rim; side -1 or +1 is the way its face looks."""
    middle = np.array([x, radius, z])
    out = np.array([side, 0.0, 0.0])
    if far:
        return disc(middle, out, radius, 6, look)
    return joined(
        [
            tube(middle - 0.2 * out, middle, (radius, radius), 10, look),
            disc(middle, out, radius, 12, look),
            disc(middle + 0.012 * out, out, 0.62 * radius, 8, Look(look.label, 0, STEEL)),
            disc(middle + 0.02 * out, out, 0.2 * radius, 5, Look(look.label, 0, (0.2, 0.2, 0.2))),
        ]
    )


def wheels(
    half_width: float, axles: tuple[float, ...], radius: float, label: int, far: bool = False
) -> Mesh:
    """Return wheels on both ends of each axle at these z."""
    rubber = Look(label, 0, RUBBER)
    pairs = [(side, z) for z in axles for side in (-1, 1)]
    return joined([wheel(s * half_width, z, radius, s, rubber, far) for s, z in pairs])


def inset(face: np.ndarray, share: float, out_m: float) -> np.ndarray:
    """Return a (4, 3) face shrunk about its middle and moved outward."""
    middle = face.mean(0)
    normal = np.cross(face[1] - face[0], face[3] - face[0])
    return middle + (face - middle) * share + normal / np.linalg.norm(normal) * out_m


def patch(
    x: float, y: float, z: float, size: tuple[float, float], front: bool, look: Look
) -> Mesh:
    """Return a small upright rectangle facing +Z (front) or -Z, `x y` its middle."""
    w, h = size[0] / 2, size[1] / 2
    s = 1 if front else -1
    points = [(-s * w, -h), (s * w, -h), (s * w, h), (-s * w, h)]
    return quads(np.array([[(x + a, y + b, z) for a, b in points]]), look)


def lamps(half_width: float, y: float, front_z: float, rear_z: float, label: int) -> Mesh:
    """Return head lamps, tail lamps and number plates."""
    head = Look(label, 0, (0.9, 0.9, 0.85), glow=0.9)
    tail = Look(label, 0, (0.7, 0.05, 0.05), glow=0.8)
    plate = Look(label, 0, (0.85, 0.85, 0.8))
    parts = [patch(0, y - 0.22, rear_z - 0.02, (0.5, 0.12), False, plate)]
    parts.append(patch(0, y - 0.25, front_z + 0.02, (0.5, 0.12), True, plate))
    for side in (-1, 1):
        x = side * (half_width - 0.22)
        parts.append(patch(x, y, front_z + 0.02, (0.34, 0.16), True, head))
        parts.append(patch(x, y + 0.08, rear_z - 0.02, (0.28, 0.2), False, tail))
    return joined(parts)


def cabin(lower: np.ndarray, upper: np.ndarray, label: int) -> Mesh:
    """Return a cabin between two rings: painted pillars and roof, glass on all four sides."""
    paint = Look(label, 0, (0.5, 0.5, 0.5), paint=True)
    glass = Look(label, 0, GLASS)
    after = [1, 2, 3, 0]
    faces = np.stack([lower, lower[after], upper[after], upper], 1)
    parts = [hexahedron(lower, upper, paint)]
    for i, face in enumerate(faces):
        if i % 2 == 1:
            parts.append(quads(inset(face, 0.88, 0.015)[None], glass))
            continue
        for a, b in ((0.06, 0.48), (0.52, 0.95)):
            low = face[0] + np.outer([a, b], face[1] - face[0])
            high = face[3] + np.outer([a, b], face[2] - face[3])
            part = np.array([low[0], low[1], high[1], high[0]])
            parts.append(quads(inset(part, 0.86, 0.015)[None], glass))
    return joined(parts)


@lru_cache(maxsize=64)
def car(variant: int, far: bool) -> Mesh:
    """Return a car; variants are saloons, hatchbacks, estates, off-roaders and vans."""
    rng = np.random.default_rng(100 + variant)
    kind = variant % 5
    length = (4.6, 4.0, 4.7, 4.5, 5.0)[kind] * rng.uniform(0.95, 1.06)
    width = rng.uniform(1.72, 1.92)
    height = (1.44, 1.5, 1.5, 1.72, 2.0)[kind] * rng.uniform(0.97, 1.05)
    belt = height * rng.uniform(0.6, 0.66)
    hood = length * (0.24, 0.22, 0.22, 0.23, 0.13)[kind]
    trunk = length * (0.17, 0.04, 0.02, 0.02, 0.01)[kind]
    rake = (0.75, 0.6, 0.65, 0.45, 0.5)[kind], (0.55, 0.35, 0.3, 0.2, 0.1)[kind]
    w, front, rear = width / 2, length / 2, -length / 2
    clear = rng.uniform(0.2, 0.3)
    paint = Look(CAR, 0, (0.5, 0.5, 0.5), paint=True)
    dark = Look(CAR, 0, (0.1, 0.1, 0.1))
    nose = belt * rng.uniform(0.82, 0.92)
    waist = ring(-w, w, clear + 0.25, rear, front)
    deck = ring(-w + 0.04, w - 0.04, belt, rear + 0.08, front - 0.12)
    deck[1, 1] = deck[2, 1] = nose
    glass_low = ring(-w + 0.07, w - 0.07, belt - 0.03, rear + trunk + 0.1, front - hood)
    roof = ring(-w + 0.22, w - 0.22, height, rear + trunk + rake[1], front - hood - rake[0])
    radius = rng.uniform(0.3, 0.36)
    axles = (front - 0.19 * length, rear + 0.19 * length)
    parts = [
        hexahedron(ring(-w, w, clear, rear + 0.06, front - 0.06), waist, paint),
        hexahedron(waist, deck, paint),
        cabin(glass_low, roof, CAR),
        lamps(w, belt - 0.14, front - 0.03, rear, CAR),
        wheels(w + 0.01, axles, radius, CAR, far),
    ]
    if far:
        return joined(parts)
    parts.append(patch(0, nose - 0.25, front - 0.02, (0.7, 0.16), True, dark))
    parts.append(box((0, clear - 0.02, 0), (2 * w, 0.04, length - 0.6), dark))
    for side in (-1, 1):
        for z in axles:
            middle = (side * (w + 0.004), radius + 0.04, z)
            parts.append(disc(middle, (side, 0, 0), radius * 1.22, 12, dark))
        mirror = (side * (w + 0.09), belt - 0.02, front - hood - 0.25)
        parts.append(box(mirror, (0.16, 0.13, 0.1), paint))
    return joined(parts)


def truck_length(variant: int) -> float:
    """Return a truck's length in metres."""
    return float(np.ptp(truck(variant).vertices[..., 2]))


@lru_cache(maxsize=32)
def truck(variant: int) -> Mesh:
    """Return a truck: cab and box, flat bed or tank-like body; some long with three axles."""
    rng = np.random.default_rng(300 + variant)
    width, height = rng.uniform(2.2, 2.5), rng.uniform(2.6, 3.9)
    body, cab = rng.uniform(4.0, 9.0), rng.uniform(1.7, 2.3)
    w, front, rear = width / 2, (body + cab) / 2, -(body + cab) / 2
    split = front - cab
    paint = Look(TRUCK, 0, (0.5, 0.5, 0.5), paint=True)
    dark = Look(TRUCK, 0, (0.13, 0.13, 0.14))
    tone = rng.choice([0.85, 0.7, 0.4])
    cargo = Look(
        TRUCK, int(rng.choice([0, textures.PLASTER])), tuple(tone * rng.uniform(0.6, 1.0, 3))
    )
    cab_height = min(height, rng.uniform(2.3, 3.0))
    belt = 0.5 + 0.45 * cab_height
    low = ring(-w, w, belt, split + 0.1, front)
    top = ring(-w + 0.08, w - 0.08, cab_height, split + 0.1, front - 0.25)
    floor = 1.0
    cargo_top = height if variant % 4 else floor + 0.6
    parts = [
        box((0, 0.45, 0), (width * 0.7, 0.5, body + cab - 0.4), dark),
        hexahedron(ring(-w, w, 0.5, split + 0.1, front), low, paint),
        cabin(low, top, TRUCK),
        box((0, floor, (rear + split) / 2), (width, cargo_top - floor, body), cargo),
        lamps(w, 0.85, front, rear, TRUCK),
        patch(0, 0.7, front + 0.015, (width * 0.6, 0.3), True, dark),
        box((0, 0.45, rear + 0.05), (width, 0.12, 0.1), Look(TRUCK, 0, (0.7, 0.2, 0.15))),
        wheels(w, (front - 0.9, rear + 1.2) + ((rear + 2.3,) if body > 6 else ()), 0.48, TRUCK),
    ]
    return joined(parts)


@lru_cache(maxsize=16)
def bus(variant: int) -> Mesh:
    """Return a city bus or coach: long box, a band of windows, doors, a destination sign."""
    rng = np.random.default_rng(500 + variant)
    length, height, w = rng.uniform(9.5, 12.5), rng.uniform(2.9, 3.4), 1.27
    front, rear = length / 2, -length / 2
    paint = Look(BUS, 0, (0.5, 0.5, 0.5), paint=True)
    glass, dark = Look(BUS, 0, GLASS), Look(BUS, 0, (0.1, 0.1, 0.11))
    parts = [
        box((0, 0.35, 0), (2 * w, height - 0.35, length), paint),
        lamps(w, 0.8, front, rear, BUS),
        patch(0, 1.75, front + 0.02, (2.2, 1.3), True, glass),
        patch(0, 2.0, rear - 0.02, (1.9, 0.9), False, glass),
        patch(
            0, height - 0.25, front + 0.03, (1.5, 0.28), True, Look(BUS, 0, (0.9, 0.6, 0.1), 0.7)
        ),
        box((0, height, -1.0), (1.6, 0.22, 3.0), Look(BUS, 0, (0.6, 0.6, 0.6))),
        wheels(w + 0.01, (front - 2.4, rear + 3.0), 0.48, BUS),
    ]
    for side in (-1, 1):
        x = side * (w + 0.012)
        for z in np.arange(rear + 0.5, front - 1.4, 1.45):
            ends = (z, z + 1.3) if side < 0 else (z + 1.3, z)
            face = [(x, 1.3, ends[0]), (x, 1.3, ends[1]), (x, 2.5, ends[1]), (x, 2.5, ends[0])]
            parts.append(quads(np.array(face)[None], glass))
        skirt = [(x, 0.4, rear), (x, 0.4, front), (x, 0.55, front), (x, 0.55, rear)]
        parts.append(quads(np.array(skirt if side < 0 else skirt[::-1])[None], dark))
    return joined(parts)


def spoked(z: float, radius: float, label: int, far: bool) -> Mesh:
    """Return a bicycle wheel: a thin ring and a few spokes in the plane x = 0."""
    count = 7 if far else 14
    angle = np.arange(count + 1) * (2 * np.pi / count)
    rim = np.stack([0 * angle, radius + radius * np.cos(angle), z + radius * np.sin(angle)], 1)
    hub, width = np.array([0, radius, z]), np.array([0.025, 0, 0])
    inner = hub + (rim - hub) * 0.88
    rubber = Look(label, 0, RUBBER)
    parts = [quads(np.stack([rim[:-1], rim[1:], inner[1:], inner[:-1]], 1), rubber)]
    if far:
        return parts[0]
    parts.append(tube(hub - width, hub + width, (radius, radius), 14, rubber))
    for a in np.arange(4) * (np.pi / 4):
        arm = np.array([0, np.cos(a), np.sin(a)]) * radius * 0.9
        parts.append(tube(hub - arm, hub + arm, (0.008, 0.008), 3, Look(label, 0, STEEL)))
    return joined(parts)


@lru_cache(maxsize=2)
def bicycle(far: bool) -> Mesh:
    """Return a bicycle."""
    label = CLASS_ID['bicycle']
    frame = Look(label, 0, (0.5, 0.5, 0.5), paint=True)
    dark = Look(label, 0, (0.12, 0.12, 0.12))
    rear, front, crank = (0, 0.34, -0.52), (0, 0.34, 0.52), (0, 0.3, -0.05)
    seat, head = (0, 0.85, -0.2), (0, 0.82, 0.35)
    tubes = [
        (rear, crank),
        (rear, seat),
        (crank, seat),
        (crank, head),
        (seat, head),
        (front, head),
    ]
    parts = [
        tube(np.array(a), np.array(b), (0.028, 0.028), 3 if far else 5, frame) for a, b in tubes
    ]
    parts += [spoked(z, 0.34, label, far) for z in (-0.52, 0.52)]
    parts.append(box((0, 0.9, -0.22), (0.14, 0.06, 0.26), dark))
    parts.append(tube(np.array(head), np.array([0, 1.0, 0.32]), (0.02, 0.02), 4, dark))
    parts.append(
        tube(np.array([-0.28, 1.02, 0.28]), np.array([0.28, 1.02, 0.28]), (0.02, 0.02), 4, dark)
    )
    return joined(parts)


@lru_cache(maxsize=2)
def motorcycle(far: bool) -> Mesh:
    """Return a motorcycle."""
    label = CLASS_ID['motorcycle']
    paint = Look(label, 0, (0.5, 0.5, 0.5), paint=True)
    dark, steel = Look(label, 0, (0.1, 0.1, 0.1)), Look(label, 0, STEEL)
    sides = 7 if far else 12
    parts = [
        box((0, 0.32, 0), (0.34, 0.35, 0.6), steel),
        hexahedron(ring(-0.16, 0.16, 0.62, -0.05, 0.5), ring(-0.14, 0.14, 0.95, 0.0, 0.42), paint),
        box((0, 0.7, -0.4), (0.3, 0.12, 0.75), dark),
        patch(0, 0.78, -1.01, (0.16, 0.1), False, Look(label, 0, (0.7, 0.05, 0.05), 0.7)),
        patch(0, 0.97, 0.565, (0.18, 0.14), True, Look(label, 0, (0.9, 0.9, 0.85), 0.9)),
        box((0, 0.86, 0.5), (0.24, 0.22, 0.12), paint),
    ]
    for z in (-0.7, 0.7):
        ends = np.array([-0.07, 0.31, z]), np.array([0.07, 0.31, z])
        parts.append(tube(*ends, (0.31, 0.31), sides, dark))
        parts += [disc((s * 0.071, 0.31, z), (s, 0, 0), 0.31, sides, dark) for s in (-1, 1)]
        if not far:
            parts += [disc((s * 0.08, 0.31, z), (s, 0, 0), 0.17, 8, steel) for s in (-1, 1)]
    if not far:
        bar = np.array([-0.36, 1.02, 0.36]), np.array([0.36, 1.02, 0.36])
        parts.append(tube(*bar, (0.025, 0.025), 5, dark))
        fork = np.array([0, 0.31, 0.7]), np.array([0, 1.0, 0.42])
        parts.append(tube(*fork, (0.06, 0.05), 6, steel))
        parts.append(box((0, 0.62, -0.85), (0.22, 0.14, 0.3), paint))
    return joined(parts)
