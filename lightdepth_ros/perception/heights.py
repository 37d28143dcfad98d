# SPDX-License-Identifier: Apache-2.0
"""How high everything in a prediction stands over the ground that it predicts itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lightdepth_ros.perception.ground import fit_ground
from lightdepth_ros.perception.prediction import Prediction

FIT_PIXELS, LEAST_PIXELS = 1500, 60
FIT_RANGE_M = 25.0
LARGEST_SPREAD = 0.15
"""Robust deviation of ln depth from the plane, above which the ground is not flat."""
OFF_MOUNT_DEG, OFF_LEVEL_DEG = 8.0, 35.0
"""How far the plane may lean against the mount, or against level where that is not known."""


@dataclass(frozen=True)
class Plane:
    """The ground below a camera, in the prediction's metres: its height over it, and the unit
    vector towards it in the optical frame."""

    height_m: float
    down: tuple[float, float, float]

    def below(self, rays: np.ndarray) -> np.ndarray:
        """Return (h, w) float32: metres towards the ground per metre of depth along each ray."""
        x, y, z = (np.float32(value) for value in self.down)
        below: np.ndarray = rays[..., 0] * x + rays[..., 1] * y + z
        return below


def ground_of(prediction: Prediction, ground: np.ndarray) -> Plane | None:
    """Return the plane of the pixels labelled `ground`, (256,) bool; None where none is seen and
    the mount is not known.

    The plane is fitted to the prediction's own depth, so a wrong factor of it moves ground and
    things alike. Without flat ground in the picture the mount stands in.
    """
    mount = prediction.mount
    known = None if mount is None else Plane(mount.height_m, mount.down)
    if prediction.label_id is None or prediction.camera is None:
        return known
    step = max(1, int(math.sqrt(prediction.depth_m.size / FIT_PIXELS / 2)))
    depth = prediction.depth_m[::step, ::step]
    with np.errstate(invalid='ignore'):
        seen = ground[prediction.label_id[::step, ::step]] & (depth > 0) & (depth < FIT_RANGE_M)
    if np.count_nonzero(seen) < LEAST_PIXELS:
        return known
    found = fit_ground(depth, prediction.camera.rays()[::step, ::step], seen)
    if found is None or found.points < LEAST_PIXELS or not found.spread <= LARGEST_SPREAD:
        return known
    upright, limit = (0.0, 1.0, 0.0), OFF_LEVEL_DEG
    if mount is not None:
        upright, limit = mount.down, OFF_MOUNT_DEG
    if np.dot(found.normal, upright) < math.cos(math.radians(limit)):
        return known
    return Plane(found.height_m, found.normal)
