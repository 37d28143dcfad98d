# SPDX-License-Identifier: Apache-2.0
"""Clouds for costmaps: what to mark and what to clear; no messages.

Nav2's costmap layers drop points that are not finite, so free space up to the sky or beyond the
range has to be said with points: the clearing cloud puts them far away on the same rays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from lightdepth_ros.classes import CLASS_ID, SKY
from lightdepth_ros.perception.cloud import finite_or_nan, interleaved, position_planes
from lightdepth_ros.perception.ground_view import SKY_MARGIN_DEG
from lightdepth_ros.perception.heights import Plane
from lightdepth_ros.perception.prediction import Prediction

POSITION = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4')])
"""As in cloud.POINT, and nothing else: a costmap reads positions alone, and a cloud of 240x160
fits into a shared memory segment of Fast DDS's default size, 512 KiB."""

DEPTH_ERROR = 0.1
"""Share by which depth may be off: ground that seems so much nearer is ground all the same."""
LYING = 0.5
"""What rises less than this share of the least height lies on the ground, whatever its label."""
PEOPLE = ('person', 'rider', 'bicycle', 'motorcycle')
"""Never taken for ground."""


def class_mask(names: Iterable[str]) -> np.ndarray:
    """Return (256,) bool by label id: True for the classes of these names; '' is no class."""
    mask = np.zeros(256, bool)
    for name in names:
        if name:
            mask[CLASS_ID[name]] = True
    return mask


def by_height(
    prediction: Prediction, ground: np.ndarray, plane: Plane, min_height_m: float
) -> np.ndarray:
    """Return (h, w) bool: where one may drive, by label and by height over `plane`.

    ground: (256,) bool, labels of the ground. The prediction has a camera and labels. What is
    labelled ground and rises more than `min_height_m` over it is none: hedges, banks, walls taken
    for grass. What is labelled as a thing and does not rise LYING of it is drivable, unless it is
    one of PEOPLE: a wet road taken for a car, a green crossing taken for a bush. Both allow for
    the depth's own error.
    """
    assert prediction.camera is not None
    assert prediction.label_id is not None
    drop_m = prediction.depth_m * plane.below(prediction.camera.rays())  # NaN, Inf stay
    height_m = np.float32(plane.height_m) - drop_m
    label = np.ascontiguousarray(prediction.label_id)
    with np.errstate(invalid='ignore'):
        slack = np.float32(min_height_m) + np.abs(drop_m) * np.float32(DEPTH_ERROR)
        stands = height_m > slack
        lies = (height_m < np.float32(min_height_m * LYING)) & (height_m > -slack)
    lies &= drop_m > 0  # not above the horizon
    free: np.ndarray = cv2.LUT(label, ground.astype(np.uint8)).view(bool)
    people = cv2.LUT(label, class_mask(PEOPLE).astype(np.uint8)).view(bool)
    drivable: np.ndarray = (free & ~stands) | (lies & ~people)
    return drivable


def obstacle_points(
    prediction: Prediction,
    passable: np.ndarray,
    out: np.ndarray | None = None,
    *,
    ground: np.ndarray | None = None,
    plane: Plane | None = None,
    min_height_m: float = 0.0,
) -> np.ndarray:
    """Return the (h, w) POSITION of a prediction without where one may drive.

    passable: (256,) bool by label id; x y z are NaN there, and where the depth is not finite.
    Pixels without a label stay: what is not known to be ground may be an obstacle.
    ground: those of `passable` that are judged by their height over `plane` too, see `by_height`;
    without one of them, or with min_height_m 0, labels alone decide. `out`: as in cloud.points.
    """
    z = finite_or_nan(prediction.depth_m)
    known = plane is not None and ground is not None and prediction.label_id is not None
    if not known or min_height_m <= 0:
        return _positions(prediction, z, passable, out)
    assert plane is not None
    assert ground is not None
    np.putmask(z, by_height(prediction, ground, plane, min_height_m), np.nan)
    return _positions(prediction, z, passable & ~ground, out)


def clearing_points(
    prediction: Prediction,
    far_m: float,
    ignored: np.ndarray,
    out: np.ndarray | None = None,
    *,
    plane: Plane | None = None,
) -> np.ndarray:
    """Return the (h, w) POSITION of a prediction, with points where it sees infinitely far.

    Pixels of depth +Inf get the point of their ray at depth `far_m`; unknown pixels and those
    nearer than the range are NaN, and so are the classes `ignored`, (256,) bool by label id.
    plane: the ground; with it, sky more than SKY_MARGIN_DEG below its horizon is no sky, and
    nothing is cleared there. `out`: as in cloud.points.
    """
    z = prediction.depth_m.copy()
    if plane is not None and prediction.label_id is not None:
        np.putmask(z, _sunken_sky(prediction, plane), np.nan)
    np.putmask(z, z == np.inf, far_m)
    np.putmask(z, z == -np.inf, np.nan)
    return _positions(prediction, z, ignored, out)


def _sunken_sky(prediction: Prediction, plane: Plane) -> np.ndarray:
    """Return (h, w) bool: infinite depth of sky where the ground tells that no sky can be."""
    sky = (prediction.label_id == SKY) & (prediction.depth_m == np.inf)
    assert prediction.camera is not None
    rays = prediction.camera.rays()
    length = np.sqrt(rays[..., 0] ** 2 + rays[..., 1] ** 2 + 1)
    sunken = plane.below(rays) > math.sin(math.radians(SKY_MARGIN_DEG)) * length
    no_sky: np.ndarray = sky & sunken
    return no_sky


def _positions(
    prediction: Prediction, z: np.ndarray, without: np.ndarray, out: np.ndarray | None
) -> np.ndarray:
    """Return the (h, w) POSITION at depths `z`, (h, w) float32, without some classes.

    The prediction has a camera: there is no cloud otherwise.
    """
    assert prediction.camera is not None
    if prediction.label_id is not None and without.any():
        # A sum with NaN is three times as fast as writing NaN where a mask says so.
        unknown = np.where(without, np.float32(np.nan), np.float32(0))
        z += cv2.LUT(np.ascontiguousarray(prediction.label_id), unknown)
    return interleaved(position_planes(prediction.camera, z), POSITION, out)
