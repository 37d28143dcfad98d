# SPDX-License-Identifier: Apache-2.0
"""Where a camera is over the ground: fitted, carried into crops, made uncertain."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import HEIGHT_LIMITS_M, Mount
from lightdepth_ros.perception.ground import fit_ground
from training.crops.augment import View
from training.crops.ground import ASSUMED_FOCAL, horizon_row
from training.datasets.sample import Sample

ROAD = CLASS_ID['road']
GROUND_RANGE_M = (2.0, 25.0)
LEAST_POINTS = 150
MOST_POINTS = 4000
LARGEST_SPREAD = 0.08
"""Robust deviation of ln depth from the plane, above which the ground is not called flat."""
HEIGHT_TOLERANCE = 0.2
"""Share by which a fitted height may differ from the one that the data set's makers say."""
TILT_LIMIT_DEG = 10.0


def with_pose(sample: Sample) -> Sample:
    """Give a sample the pose that its depth and labels, or its rough mount, tell.

    The plane through its road pixels gives pitch and roll, and the height where nobody says it.
    Where there is no flat road, a frame of known height is taken to be level. A frame without
    depth has the pitch of its horizon (training.crops.ground).
    """
    if sample.pose is not None:
        return sample
    if sample.mount is not None and sample.label_id is not None:
        return replace(sample, pose=_pose_of_horizon(sample))
    if sample.camera is None:
        return sample
    fitted = _fitted(sample)
    if fitted is None and sample.height_m is not None:
        fitted = Mount(sample.height_m)
    return sample if fitted is None else replace(sample, pose=fitted)


def _pose_of_horizon(sample: Sample) -> Mount | None:
    assert sample.mount is not None
    assert sample.label_id is not None
    height, width = sample.label_id.shape
    focal = sample.camera.fy if sample.camera else ASSUMED_FOCAL * width
    middle = sample.camera.cy if sample.camera else (height - 1) / 2
    horizon = horizon_row(sample.label_id, sample.mount, focal)
    return Mount(sample.mount.height_m, math.degrees(math.atan((middle - horizon) / focal)))


def _fitted(sample: Sample) -> Mount | None:
    depth = sample.teacher_depth_m if sample.teacher_depth_m is not None else sample.depth_m
    if depth is None or sample.camera is None or sample.label_id is None:
        return None
    if depth.shape != sample.label_id.shape:
        return None
    near, far = GROUND_RANGE_M
    road = (sample.label_id == ROAD) & (depth > near) & (depth < far)
    spots = np.flatnonzero(road)
    if spots.size < LEAST_POINTS:
        return None
    picked = spots[:: max(1, spots.size // MOST_POINTS)]
    flat = np.ones((1, picked.size), bool)
    rays = sample.camera.rays().reshape(-1, 2)[picked][None]
    ground = fit_ground(depth.reshape(-1)[picked][None], rays, flat)
    if ground is None or not ground.spread <= LARGEST_SPREAD:
        return None
    height = sample.height_m or ground.height_m
    likely = abs(ground.height_m / height - 1) <= HEIGHT_TOLERANCE
    try:
        found = Mount.from_down(height, np.array(ground.normal))
    except ConfigError:
        return None
    level = max(abs(found.pitch_deg), abs(found.roll_deg)) <= TILT_LIMIT_DEG
    return found if likely and level else None


def of_view(sample: Sample, view: View) -> tuple[Camera | None, Mount | None]:
    """Return camera and mount of a crop: the view's similarity turns and mirrors both."""
    source = sample.camera
    if source is None:
        return None, None
    linear = view.matrix[:, :2]
    scale = math.sqrt(abs(float(np.linalg.det(linear))))
    cx, cy = (float(v) for v in view.matrix @ (source.cx, source.cy, 1.0))
    focal = source.focal_px * scale
    camera = Camera(view.hw[1], view.hw[0], focal, focal, cx, cy)
    if sample.pose is None:
        return camera, None
    down = np.array(sample.pose.down)
    down[:2] = linear / scale @ down[:2]
    try:
        return camera, Mount.from_down(sample.pose.height_m, down)
    except ConfigError:
        return camera, None


def uncertain(
    rng: np.random.Generator, mount: Mount | None, known: float, noise_deg: float
) -> Mount | None:
    """Return the mount as a robot would know it: with errors, or (1 - `known`) not at all.

    The deviation of pitch and roll is drawn too, up to `noise_deg`, so that a student sees good
    mounts and bad ones; the height errs by up to 3 %.
    """
    sigma = rng.uniform(0, noise_deg)
    errors = rng.normal(0, 1, 3)
    if mount is None or rng.random() >= known:
        return None
    low, high = HEIGHT_LIMITS_M
    height = float(np.clip(mount.height_m * math.exp(0.015 * errors[2]), low, high))
    try:
        return Mount(
            height, mount.pitch_deg + sigma * errors[0], mount.roll_deg + sigma * errors[1]
        )
    except ConfigError:
        return None
