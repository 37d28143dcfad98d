# SPDX-License-Identifier: Apache-2.0
"""Scores of frames and their averages: a predictor and a data set in, plain data out.

Unanswered pixels (NaN depth, label 255) are left out of the errors and counted in `coverage`: it
stands beside every error, so a network that answers less is seen to answer less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.progress import track

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASSES, NAV7_NAMES, UNLABELLED, nav7_table
from lightdepth_ros.errors import DataError
from lightdepth_ros.mount import Mount
from training.datasets.sample import Dataset, Sample
from training.scoring import breakdown, metrics, nearest, protocols
from training.scoring.fullframe import FullFrame, Predictor
from training.scoring.protocols import Protocol

NOMINAL_FOV_DEG = 60.0
"""Field of view given to uncalibrated frames: labels do not depend on it, depth is not scored."""
DROPPED_SHARE = 0.2
"""Share of least confident pixels left out in the sparsification measure."""


@dataclass(frozen=True)
class DepthScore:
    """What one frame's depth is worth; sums and counts add up over frames.

    coverage  share of asked truth pixels that got an answer.
    by_class, by_third, obstacles  see breakdown.py and nearest.py.
    kept_rmse_m, best_rmse_m  RMSE after dropping the least confident, and the truly worst, fifth.
    """

    sums: metrics.DepthSums
    by_distance: list[metrics.DepthSums]
    coverage: float
    confidence: np.ndarray
    kept_rmse_m: float
    best_rmse_m: float
    by_class: list[metrics.DepthSums]
    by_third: list[metrics.DepthSums]
    obstacles: nearest.NearestCounts


@dataclass(frozen=True)
class FrameScore:
    """One frame's scores; None where the frame lacks that truth.

    nav7, classes: (answered share of labelled pixels, confusion of the answered ones).
    height_m: of the camera. own_labels: classes of the depth error are the data set's.
    """

    name: str
    depth: DepthScore | None
    nav7: tuple[float, np.ndarray] | None
    classes: tuple[float, np.ndarray] | None
    height_m: float | None = None
    own_labels: bool = False


def camera_of(sample: Sample) -> Camera:
    """Return the sample's camera, or a nominal one for an uncalibrated frame."""
    height, width = sample.rgb.shape[:2]
    return sample.camera or Camera.from_fov(width, height, NOMINAL_FOV_DEG)


def depth_score(frame: FullFrame, sample: Sample, protocol: Protocol) -> DepthScore | None:
    """Score one frame's depth; None without truth that the protocol asks for."""
    truth_m = sample.depth_m
    if truth_m is None or sample.camera is None:
        return None
    pixels = protocols.compare(frame.depth_m, truth_m, protocol)
    if not pixels.asked:
        return None
    prediction, truth = pixels.prediction_m, pixels.truth_m
    confidence = np.nan_to_num(frame.confidence.ravel()[pixels.index])
    ratio = np.maximum(prediction / truth, truth / prediction)
    error = np.abs(prediction - truth)
    label = best_labels(sample, frame).ravel()[pixels.index]
    obstacles = nearest.NearestCounts()
    if not protocol.median_scaling:  # a planner has no truth to scale by
        obstacles = nearest.count_nearest(frame, truth_m, sample.camera, protocol.cap_m)
    third = breakdown.third_of(pixels.index, truth_m.shape[1])
    return DepthScore(
        pixels.sums(),
        metrics.sums_by_distance(prediction, truth),
        pixels.coverage,
        metrics.confidence_counts(confidence, ratio < metrics.DELTA_FACTOR),
        metrics.rmse_of_kept(prediction, truth, confidence, DROPPED_SHARE),
        metrics.rmse_of_kept(prediction, truth, -error, DROPPED_SHARE),
        breakdown.sums_by_group(prediction, truth, label, len(CLASSES)),
        breakdown.sums_by_group(prediction, truth, third, len(breakdown.THIRDS)),
        obstacles,
    )


def mount_of(sample: Sample) -> Mount | None:
    """Return what the data set knows of the camera's mount: its pose, or level at its height."""
    if sample.pose is not None:
        return sample.pose
    return None if sample.height_m is None else Mount(sample.height_m)


def ask(predictor: Predictor, sample: Sample, far_m: float) -> FullFrame:
    """Return the predictor's answer for a sample."""
    return predictor(sample.rgb, camera_of(sample), far_m, mount_of(sample))


def best_labels(sample: Sample, frame: FullFrame) -> np.ndarray:
    """Return the sample's own labels where it has them, else the network's."""
    return frame.label_id if sample.label_id is None else sample.label_id


def classes_from(scores: Sequence[FrameScore]) -> str:
    """Say whose labels told the classes of the depth error."""
    own = sum(s.own_labels for s in scores)
    if own in (0, len(scores)):
        return 'data set' if own else 'prediction'
    return f'data set in {own} of {len(scores)} frames, else prediction'


def label_score(
    said: np.ndarray, truth: np.ndarray | None, classes: int
) -> tuple[float, np.ndarray] | None:
    """Return coverage and confusion of (H, W) ids; None without truth. 255 = none, in both."""
    if truth is None or not (truth != UNLABELLED).any():
        return None
    asked = truth != UNLABELLED
    answered = asked & (said != UNLABELLED)
    counts = metrics.confusion(said[answered], truth[answered], classes)
    return float(answered.sum() / asked.sum()), counts


def score_frame(sample: Sample, predictor: Predictor, protocol: Protocol) -> FrameScore:
    """Predict one sample and compare it with whatever truth it has."""
    frame = ask(predictor, sample, protocol.cap_m)
    depth = depth_score(frame, sample, protocol)
    nav7 = label_score(nav7_table()[frame.label_id], sample.nav7_id, len(NAV7_NAMES))
    classes = label_score(frame.label_id, sample.label_id, len(CLASSES))
    own = sample.label_id is not None
    mount = mount_of(sample)
    height_m = None if mount is None else mount.height_m
    return FrameScore(sample.name, depth, nav7, classes, height_m, own)


def wanted(sample: Sample, protocol: Protocol) -> bool:
    """Say whether the protocol scores this frame."""
    if not protocol.annotated_only:
        return True
    return sample.depth_m is not None and protocols.is_accumulated(sample.depth_m)


def score(
    dataset: Dataset, predictor: Predictor, protocol: Protocol, title: str = ''
) -> list[FrameScore]:
    """Score every frame of a data set (those with annotated truth, if the protocol says so)."""
    scores = []
    for index in track(range(len(dataset)), description=title or dataset.name):
        sample = dataset[index]
        if wanted(sample, protocol):
            scores.append(score_frame(sample, predictor, protocol))
    if not any(s.depth or s.nav7 or s.classes for s in scores):
        raise DataError(
            f'{dataset.name} has no frame that protocol {protocol.name} can score. '
            'Choose another --protocol or --data.'
        )
    return scores


def summary(scores: Sequence[FrameScore], protocol: Protocol) -> dict[str, Any]:
    """Return every average as plain data, ready for JSON."""
    result: dict[str, Any] = {'protocol': asdict(protocol) | {'words': protocol.sentence()}}
    scored = [s for s in scores if s.depth is not None]
    depths = [s.depth for s in scores if s.depth is not None]
    if depths:
        result |= depth_summary(depths, protocol)
        result['by_height'] = breakdown.by_height(
            [(s.height_m, d.sums) for s, d in zip(scored, depths, strict=True)]
        )
        result['classes_from'] = classes_from(scored)
    for key, names in (('nav7', NAV7_NAMES), ('classes', [c.name for c in CLASSES])):
        rows = [getattr(s, key) for s in scores if getattr(s, key) is not None]
        if rows:
            result[key] = iou_summary(rows, names)
    result['frames'] = [frame_row(s) for s in scores]
    return result


def depth_summary(depths: Sequence[DepthScore], protocol: Protocol) -> dict[str, Any]:
    """Return depth averages, error by distance and what the confidence is worth."""
    sums = [d.sums for d in depths]
    calibration = metrics.reliability(sum(d.confidence for d in depths))
    edges = metrics.DISTANCE_EDGES_M
    bands = [sum((d.by_distance[k] for d in depths), metrics.DepthSums()) for k in range(5)]
    rmse = metrics.mean_per_image(sums)['rmse']
    kept, best = (
        float(np.nanmean([getattr(d, name) for d in depths]))
        for name in ('kept_rmse_m', 'best_rmse_m')
    )
    return {
        'depth': protocols.headline(sums, protocol),
        'per_image': metrics.mean_per_image(sums),
        'per_pixel': metrics.mean_per_pixel(sums),
        'coverage': float(np.mean([d.coverage for d in depths])),
        'by_distance': [
            {'from_m': edges[k], 'to_m': edges[k + 1], **breakdown.row(band)}
            for k, band in enumerate(bands)
        ],
        'by_class': breakdown.by_class(breakdown.added([d.by_class for d in depths])),
        'by_third': breakdown.by_third(breakdown.added([d.by_third for d in depths])),
        'nearest': nearest.nearest_summary([d.obstacles for d in depths]),
        'confidence': {
            'count': calibration.count.tolist(),
            'said': calibration.said.tolist(),
            'found': calibration.found.tolist(),
            'calibration_error': calibration.error,
            'rmse_m': rmse,
            'rmse_without_least_confident_fifth_m': kept,
            'rmse_without_worst_fifth_m': best,
            'rmse_cut': 1 - kept / rmse,
        },
    }


def iou_summary(rows: Sequence[tuple[float, np.ndarray]], names: Sequence[str]) -> dict[str, Any]:
    """Return mean IoU, IoU by class and the share of right pixels of all frames together."""
    counts = sum(c for _, c in rows)
    iou = metrics.class_iou(counts)
    return {
        'miou': metrics.mean_iou(counts),
        'iou': dict(zip(names, iou.tolist(), strict=True)),
        'pixel_accuracy': float(np.diag(counts).sum() / max(counts.sum(), 1)),
        'coverage': float(np.mean([share for share, _ in rows])),
    }


def frame_row(frame: FrameScore) -> dict[str, Any]:
    """Return one frame's numbers: what picks the worst frames."""
    row: dict[str, Any] = {'name': frame.name}
    if frame.depth is not None:
        row |= {'coverage': frame.depth.coverage, **frame.depth.sums.metrics()}
    for key in ('nav7', 'classes'):
        score = getattr(frame, key)
        if score is not None:
            row[f'{key}_miou'] = metrics.mean_iou(score[1])
    return row
