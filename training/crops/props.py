# SPDX-License-Identifier: Apache-2.0
"""Drawn obstacles of known size: posts, signs, trunks, bollards and boxes (ours).

Thin things are what a depth teacher blurs away and lidar hardly hits, so frames teach little about
their depth; but a robot that meets one stops. These are stood on the ground by
training.crops.paste, among the obstacles cut out of frames.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.crops.paste import Cutout

PX_A_METRE = 80
"""Resolution of a drawing: a post 6 m away needs no enlarging at the canonical focal length."""
ALONE = 200
SIGN_COLOURS = ((200, 30, 30), (30, 60, 170), (230, 190, 20), (235, 235, 235), (20, 110, 60))


def among(rng: np.random.Generator, cut_out: int, share: float) -> list[Cutout]:
    """Return as many as make up `share` (below 1) of all obstacles, with `cut_out` others.

    Where nothing could be cut out all obstacles are drawn, ALONE of them.
    """
    return draw(rng, round(cut_out * share / (1 - share)) if cut_out else ALONE)


def draw(rng: np.random.Generator, count: int) -> list[Cutout]:
    """Return `count` drawn obstacles of all kinds."""
    kinds: tuple[Callable[[np.random.Generator], Cutout], ...] = (post, sign, trunk, bollard, box)
    return [kinds[k % len(kinds)](rng) for k in range(count)]


def post(rng: np.random.Generator) -> Cutout:
    """Draw a lamp post or pole, 2.5 to 8 m high."""
    rgb = _cylinder(rng, rng.uniform(2.5, 8), rng.uniform(0.07, 0.3), _metal(rng))
    return _cutout(rgb, 'pole')


def trunk(rng: np.random.Generator) -> Cutout:
    """Draw the trunk of a tree, 2 to 4 m of it."""
    bark = np.array([95, 80, 65]) * rng.uniform(0.4, 1.4)
    rgb = _cylinder(rng, rng.uniform(2, 4), rng.uniform(0.15, 0.5), bark)
    streaks = cv2.GaussianBlur(
        rng.normal(0, 60, rgb.shape[:2]).astype(np.float32), (0, 0), 1, sigmaY=6
    )
    return _cutout(np.clip(rgb + streaks[..., None], 0, 255).astype(np.uint8), 'vegetation')


def bollard(rng: np.random.Generator) -> Cutout:
    """Draw a bollard, or a beacon with slanted stripes, 0.7 to 1.3 m high."""
    height_m, width_m = rng.uniform(0.7, 1.3), rng.uniform(0.1, 0.3)
    rgb = _cylinder(rng, height_m, width_m, _metal(rng))
    if rng.random() < 0.5:
        rows, columns = np.indices(rgb.shape[:2])
        stripe = ((rows + columns * rng.choice([-1, 0, 1])) // int(rng.integers(8, 20))) % 2 == 0
        painted = np.where(stripe[..., None], (205, 40, 35), (225, 225, 220))
        rgb = (
            (painted * (rgb.mean(2, keepdims=True) / max(rgb.mean(), 1)))
            .clip(0, 255)
            .astype(np.uint8)
        )
    return _cutout(rgb, 'pole')


def box(rng: np.random.Generator) -> Cutout:
    """Draw a box, bin or cabinet: one front, plain or in panels, 0.5 to 1.8 m high."""
    height, width = (round(rng.uniform(*m) * PX_A_METRE) for m in ((0.5, 1.8), (0.4, 2.0)))
    colour = rng.uniform(20, 230) + rng.normal(0, 25, 3)
    rgb = np.broadcast_to(colour, (height, width, 3)).astype(np.float32).copy()
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.integers(0, width), rng.integers(0, height)
        part = rgb[y : y + height // 2, x : x + width // 2]
        part *= rng.uniform(0.7, 1.3)
    rgb *= np.linspace(rng.uniform(0.9, 1.3), rng.uniform(0.6, 1), height)[:, None, None]
    return _cutout(_grainy(rng, rgb), 'wall')


def sign(rng: np.random.Generator) -> Cutout:
    """Draw a traffic sign on its post: a disc, a triangle or a plate."""
    stem = _cylinder(rng, rng.uniform(2.2, 3.2), rng.uniform(0.06, 0.1), _metal(rng))
    size = round(rng.uniform(0.5, 0.9) * PX_A_METRE)
    height, width = stem.shape[0], max(size, stem.shape[1])
    rgb = np.zeros((height, width, 3), np.uint8)
    label = np.full((height, width), UNLABELLED, np.uint8)
    left = (width - stem.shape[1]) // 2
    rgb[:, left : left + stem.shape[1]] = stem
    label[:, left : left + stem.shape[1]] = CLASS_ID['pole']
    plate = np.zeros((size, width), np.uint8)
    corners = int(rng.choice([3, 4, 40]))
    turn = np.arange(corners) * 2 * np.pi / corners + (np.pi / 4 if corners == 4 else -np.pi / 2)
    reach = size / 2 * (1.3 if corners == 4 else 1)
    outline = np.stack([width / 2 + reach * np.cos(turn), size / 2 + reach * np.sin(turn)], 1)
    cv2.fillPoly(plate, [np.rint(outline).astype(np.int32)], 1)
    inner = cv2.erode(plate, np.ones((3, 3), np.uint8), iterations=max(1, size // 12))
    rim, field = (SIGN_COLOURS[int(k)] for k in rng.choice(len(SIGN_COLOURS), 2, replace=False))
    face = np.where(inner[..., None] > 0, field, rim) * rng.uniform(0.4, 1.1)
    shown = plate > 0
    rgb[:size][shown] = _grainy(rng, face.astype(np.float32))[shown]
    label[:size][shown] = CLASS_ID['traffic_sign']
    return Cutout(rgb, label, height / PX_A_METRE)


def _metal(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(25, 210) + rng.normal(0, 12, 3)


def _cylinder(
    rng: np.random.Generator, height_m: float, width_m: float, colour: np.ndarray
) -> np.ndarray:
    """Return an upright cylinder lit from one side: (height, width, 3) uint8."""
    height, width = round(height_m * PX_A_METRE), max(3, round(width_m * PX_A_METRE))
    across = np.linspace(-1, 1, width)
    light = 0.45 + 0.75 * np.sqrt(np.clip(1 - (across - rng.uniform(-0.8, 0.8)) ** 2 / 3, 0, 1))
    return _grainy(rng, np.broadcast_to(colour * light[None, :, None], (height, width, 3)))


def _grainy(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(0, 20, rgb.shape[:2]).astype(np.float32), (0, 0), 1.5)
    return np.clip(rgb + noise[..., None], 0, 255).astype(np.uint8)


def _cutout(rgb: np.ndarray, name: str) -> Cutout:
    label = np.full(rgb.shape[:2], CLASS_ID[name], np.uint8)
    return Cutout(rgb, label, rgb.shape[0] / PX_A_METRE)
