# SPDX-License-Identifier: Apache-2.0
"""What a robot needs beyond the mean error; `training.evaluate --robot` prints it.

Ground flatness, obstacle depth, image faults and focal length need depth truth; flicker needs
consecutive frames (training.scoring.flicker); level ground needs labels alone, so it tells whether
depth means anything for a camera that has no depth truth. Error by distance and confidence are in
training.scoring.score, which measures them always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.progress import track

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import NAV7_ID, nav7_table
from training.crops.ground import level_ground
from training.datasets.sample import Dataset
from training.scoring import faults, metrics, protocols
from training.scoring.flicker import View, flicker_summary, pair_flicker, static_mask
from training.scoring.fullframe import Model, Predictor
from training.scoring.protocols import Protocol
from training.scoring.score import ask, best_labels, camera_of
from training.scoring.shift import measure_shift

GROUND_REACH_M = 20.0
FEWEST_GROUND_POINTS = 200
DRIVABLE, PERSON, VEHICLE = (NAV7_ID[name] for name in ('drivable', 'person', 'vehicle'))
LOWEST_HORIZON, SANE_RESIDUAL = 0.7, 0.15
OBSTACLE_TOLERANCES = (0.10, 0.25)
ZOOMS = (1.25, 1.5, 2.0)
HEIGHT_STEPS = (0.6, 0.8)
"""Shorter focal lengths: the whole frame on a network input of this share of the height."""


def plane_flatness(points: np.ndarray) -> tuple[float, float]:
    """Fit a plane to (n, 3) points, metres; return (RMS distance to it, the origin's distance).

    Total least squares: the normal is the direction of least variance. The second number is the
    camera's height above the ground when the points are ground seen by the camera.
    """
    centre = points.mean(0)
    values, vectors = np.linalg.eigh(np.cov((points - centre).T, bias=True))
    return float(np.sqrt(max(values[0], 0.0))), float(abs(centre @ vectors[:, 0]))


def ground_flatness(
    depth_m: np.ndarray, camera: Camera, ground: np.ndarray
) -> tuple[float, float] | None:
    """Apply plane_flatness to the pixels of `ground` within 20 m; None where there are too few.

    depth_m (H, W) metres, NaN or 0 = unknown; ground (H, W) bool.
    """
    use = ground & (depth_m > 0) & (depth_m < GROUND_REACH_M)
    if use.sum() < FEWEST_GROUND_POINTS:
        return None
    depth = depth_m[use].astype(np.float64)
    return plane_flatness(np.column_stack([camera.rays()[use] * depth[:, None], depth]))


def ground_without_truth(
    dataset: Dataset, predictor: Predictor, protocol: Protocol
) -> dict[str, float]:
    """Measure level ground on the frames of a data set whose labels tell what is drivable."""
    found = []
    for index in track(range(len(dataset)), description='level ground'):
        sample = dataset[index]
        nav7 = sample.nav7_id
        if nav7 is None and sample.label_id is not None:
            nav7 = nav7_table()[sample.label_id]
        if nav7 is not None:
            frame = ask(predictor, sample, protocol.cap_m)
            found += [level_ground(frame.depth_m, nav7 == DRIVABLE)]
    fits = np.array([f for f in found if f is not None])
    if not fits.size:
        return {'frames': 0}
    above = fits[:, 1] < LOWEST_HORIZON
    return {
        'frames': len(fits),
        'residual': float(np.median(fits[:, 0])),
        'residual_p90': float(np.percentile(fits[:, 0], 90)),
        'horizon': float(np.median(fits[:, 1])),
        'sane': float(np.mean(above & (fits[:, 1] > 0) & (fits[:, 0] < SANE_RESIDUAL))),
    }


def ground_and_obstacles(
    dataset: Dataset, predictor: Predictor, protocol: Protocol
) -> dict[str, Any]:
    """Measure flatness of drivable ground and depth on people and vehicles.

    Classes come from the data set's labels; where it has none, from the network itself.
    """
    flat: dict[str, list[tuple[float, float]]] = {'prediction': [], 'truth': []}
    obstacles: dict[int, list[np.ndarray]] = {PERSON: [], VEHICLE: []}
    own_labels = 0
    for sample in frames_with_depth(dataset, 'ground and obstacles'):
        camera = camera_of(sample)
        frame = ask(predictor, sample, protocol.cap_m)
        own_labels += sample.label_id is not None
        nav7 = nav7_table()[best_labels(sample, frame)]
        for key, depth in (('prediction', frame.depth_m), ('truth', sample.depth_m)):
            found = ground_flatness(depth, camera, nav7 == DRIVABLE)
            flat[key] += [found] if found else []
        pixels = protocols.compare(frame.depth_m, sample.depth_m, protocol)
        pair = np.stack([pixels.prediction_m, pixels.truth_m])
        for kind, rows in obstacles.items():
            rows.append(pair[:, nav7.ravel()[pixels.index] == kind])
    return {
        'labels_from': 'data set' if own_labels else 'prediction',
        'ground': {key: flatness_row(rows) for key, rows in flat.items()},
        'obstacles': {
            'person': obstacle_row(obstacles[PERSON]),
            'vehicle': obstacle_row(obstacles[VEHICLE]),
        },
    }


def flatness_row(rows: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return means over frames: RMS to the plane and the camera's height above it, metres."""
    if not rows:
        return {'frames': 0}
    rms, height = np.mean(rows, axis=0)
    return {'frames': len(rows), 'rms_m': float(rms), 'camera_height_m': float(height)}


def obstacle_row(pairs: Sequence[np.ndarray]) -> dict[str, float]:
    """Return how many pixels there are and which share is within 10 % and 25 % of the truth."""
    prediction, truth = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0))
    shares = {
        f'within_{round(100 * t)}_percent': metrics.share_within(prediction, truth, t)
        for t in OBSTACLE_TOLERANCES
    }
    return {'pixels': truth.size, **shares}


def frames_with_depth(dataset: Dataset, title: str) -> Any:
    """Yield the calibrated samples with depth truth, showing progress."""
    for index in track(range(len(dataset)), description=title):
        sample = dataset[index]
        if sample.depth_m is not None and sample.camera is not None:
            yield sample


def variants(model: Model) -> dict[str, dict[str, Predictor]]:
    """Return the model behind every fault and every focal length: group -> name -> predictor."""
    divisor = model.contract.divisor
    focal: dict[str, Predictor] = {}
    for share in HEIGHT_STEPS:
        height = max(1, round(share * model.input_height / divisor)) * divisor
        focal[f'{height / model.input_height:.2f}'] = model.with_height(height)
    focal |= {f'{zoom:.2f}': faults.zoomed(model, zoom) for zoom in ZOOMS}
    return {
        'faults': {name: faults.faulty(model, f) for name, f in faults.FAULTS.items()},
        'focal': focal,
    }


def compare_variants(
    dataset: Dataset, base: Predictor, others: dict[str, Predictor], protocol: Protocol
) -> dict[str, dict[str, float]]:
    """Score each variant beside the unchanged predictor, on the pixels that both answer.

    Per variant: delta1 and abs_rel (means over frames) of both; kept = share of delta1 kept;
    scale_change = mean over frames of the median ln(variant / base), 0 where metric depth stays;
    moved = mean of the median |ln(variant / base)|, over all answered pixels nearer than the cap.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in others}
    for sample in frames_with_depth(dataset, 'faults and focal lengths'):
        plain = ask(base, sample, protocol.cap_m).depth_m
        for name, predictor in others.items():
            other = ask(predictor, sample, protocol.cap_m).depth_m
            row = variant_row(plain, other, sample.depth_m, protocol)
            rows[name] += [row] if row else []
    return {name: mean_row(found) for name, found in rows.items() if found}


def variant_row(
    plain_m: np.ndarray, other_m: np.ndarray, truth_m: np.ndarray, protocol: Protocol
) -> dict[str, float] | None:
    """Compare two (H, W) depths of one frame with each other and with the truth."""
    both = ~np.isnan(plain_m) & ~np.isnan(other_m)
    seen = np.where(both, truth_m, 0)
    near = both & (plain_m < protocol.cap_m)
    if not protocols.asked_pixels(seen, protocol).any() or not near.any():
        return None
    a, b = (protocols.compare(d, seen, protocol).sums().metrics() for d in (plain_m, other_m))
    change = np.log(other_m[near] / plain_m[near])
    return {
        'base_delta1': a['delta1'], 'delta1': b['delta1'],
        'base_abs_rel': a['abs_rel'], 'abs_rel': b['abs_rel'],
        'scale_change': float(np.median(change)), 'moved': float(np.median(np.abs(change))),
    }  # fmt: skip


def mean_row(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each column, and the share of delta1 that was kept."""
    mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return mean | {'kept': mean['delta1'] / mean['base_delta1'] if mean['base_delta1'] else 0.0}


def flicker(dataset: Dataset, predictor: Predictor, protocol: Protocol) -> dict[str, Any]:
    """Measure flicker over the consecutive frames of a data set, in its own order."""
    pairs, previous, own_labels = [], None, 0
    for index in track(range(len(dataset)), description='flicker'):
        sample = dataset[index]
        camera = camera_of(sample)
        frame = ask(predictor, sample, protocol.cap_m)
        own_labels += sample.label_id is not None
        view = View(sample.rgb, frame.depth_m, static_mask(best_labels(sample, frame)))
        if previous is not None and previous.rgb.shape == view.rgb.shape:
            pairs.append(pair_flicker(previous, view, camera))
        previous = view
    labels_from = 'data set' if own_labels else 'prediction'
    return {'labels_from': labels_from, **flicker_summary(pairs)}


def measure(dataset: Dataset, model: Model, protocol: Protocol) -> dict[str, Any]:
    """Return every robot measure that the data set allows: truth-based ones, or flicker."""
    sample = dataset[0]
    shifted = {}
    if model.wide != 'three-tiles':
        shifted = {'shift': measure_shift(dataset, model, model.network_hw, protocol)}
    if sample.depth_m is None:
        level = {'level': ground_without_truth(dataset, model, protocol)} | shifted
        if sample.camera is None:
            return level
        return level | {'flicker': flicker(dataset, model, protocol)}
    result = ground_and_obstacles(dataset, model, protocol) | shifted
    for group, predictors in variants(model).items():
        result[group] = compare_variants(dataset, model, predictors, protocol)
    return result
