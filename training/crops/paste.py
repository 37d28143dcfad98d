# SPDX-License-Identifier: Apache-2.0
"""Obstacles cut from some frames and stood on the ground of others (ours).

Few frames hold a person or a cyclist near the camera, so a network takes either for a car. Cutting
and pasting makes such frames. What a cut-out must keep is its size in metres: in canonical pixels
an upright thing of H metres whose foot is at depth Z is f * H / Z pixels high, whatever camera
either picture came from. (Pasting instances as augmentation: Dwibedi et al., "Cut, Paste and
Learn", ICCV 2017; standing them on the ground at their metric size is ours.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from rich.progress import track

from lightdepth_ros.classes import CLASS_ID, NAV7_ID, UNLABELLED, nav7_table
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops.ground import ground_m
from training.crops.truth import PERSON, TWO_WHEELS, Example
from training.datasets.sample import Sample

PERSON_M = 1.7
"""Height given to every person and rider, plus or minus SPREAD."""
SPREAD = 0.08
LEAST_HEIGHT_PX = 28
"""Lower things are too blurred to be worth pasting."""
MOST_ENLARGED = 1.6
PERSON_ASPECT = (0.2, 1.3)
VEHICLE_ASPECT = (0.7, 2.8)
"""Width over height of what may be whole, seen from anywhere."""
LEAST_PERSON = 0.3
"""Share of the pixels of a person and what they ride that are the person."""
VEHICLE_M = (1.2, 3.8)
LEAST_FILL = 0.45
"""Share of its bounding box that a whole thing covers at least."""
FOOT_M = (3.0, 45.0)
"""Canonical depths at which a thing may be put down."""
HORIZON_ROW = 0.45
CAMERA_M = 1.5
"""Where the ground's depth is not known: level ground seen from this height, with its horizon at
this share of the crop's height, both give or take a quarter."""
MOST_LOOKED_AT = 2000
GROUND = [CLASS_ID[name] for name in ('road', 'sidewalk', 'terrain')]
VEHICLE = NAV7_ID['vehicle']
PERSONS, VEHICLES = (np.flatnonzero(nav7_table() == n) for n in (PERSON, VEHICLE))
VEHICLES = VEHICLES[~np.isin(VEHICLES, TWO_WHEELS)]


@dataclass(frozen=True)
class Cutout:
    """One thing cut out of a frame.

    rgb (h, w, 3) uint8; label_id (h, w) uint8, Cityscapes train ids, 255 = not the thing;
    height_m: its height standing upright.
    """

    rgb: np.ndarray
    label_id: np.ndarray
    height_m: float


def collect(sources: Mapping[str, Sequence[Sample]]) -> list[Cutout]:
    """Cut every whole person, rider and (where depth tells its size) vehicle out of `sources`.

    Of a source of more than MOST_LOOKED_AT samples, which lies on disk, evenly spread ones are
    read.
    """
    found: list[Cutout] = []
    for name, samples in sources.items():
        count = min(len(samples), MOST_LOOKED_AT)
        picks = [k * len(samples) // count for k in range(count)]
        for pick in track(picks, description=f'cutting obstacles out of {name}'):
            found += cutouts(samples[pick])
    return found


def cutouts(sample: Sample) -> Iterable[Cutout]:
    """Yield the things in one sample that lie whole in the picture."""
    label = sample.label_id
    if label is None:
        return
    human = sample.nav7_id
    person = np.isin(label, PERSONS) if human is None else human == PERSON
    ridden = person | np.isin(label, TWO_WHEELS)
    for box, mask in _things(ridden, PERSON_ASPECT):
        if person[box][mask].mean() > LEAST_PERSON:  # else a parked bicycle
            yield _cut(sample, box, mask, PERSON_M)
    teacher = sample.teacher_depth_m
    if teacher is None or sample.camera is None:
        return
    for box, mask in _things(np.isin(label, VEHICLES), VEHICLE_ASPECT):
        known = mask & (teacher[box] > 0)
        if not known.any():
            continue
        height_m = mask.shape[0] * float(np.median(teacher[box][known])) / sample.camera.fy
        if VEHICLE_M[0] <= height_m <= VEHICLE_M[1]:
            yield _cut(sample, box, mask, height_m)


def _things(
    mask: np.ndarray, aspect: tuple[float, float]
) -> Iterable[tuple[tuple[slice, slice], np.ndarray]]:
    count, component, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    rows, columns = mask.shape
    for index in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[index])
        whole = x > 1 and y > 1 and x + w < columns - 1 and y + h < rows - 1
        if not whole or h < LEAST_HEIGHT_PX or area < LEAST_FILL * w * h:
            continue
        if aspect[0] <= w / h <= aspect[1]:
            box = np.s_[y : y + h, x : x + w]
            yield box, component[box] == index


def _cut(sample: Sample, box: tuple[slice, slice], mask: np.ndarray, height_m: float) -> Cutout:
    assert sample.label_id is not None
    label = np.where(mask, sample.label_id[box], np.uint8(UNLABELLED))
    return Cutout(sample.rgb[box].copy(), label, height_m)


def paste(
    rng: np.random.Generator, example: Example, bank: Sequence[Cutout],
    config: TrainConfig,
) -> None:  # fmt: skip
    """Stand things on the ground of a training example (training.crops.truth.crop), in place.

    config.paste is the mean of a Poisson law. Where the ground has a depth the thing gets that of
    its foot, trusted as a teacher's, and is hidden by what is nearer; elsewhere it has a label
    alone, and no depth.
    """
    count = int(rng.poisson(config.paste))
    if not count or not bank:
        return
    feet = sorted(_feet(rng, example, count), reverse=True)
    for depth_m, row, column, weight in feet:
        thing = bank[int(rng.integers(len(bank)))]
        height_m = thing.height_m * float(np.exp(rng.uniform(-SPREAD, SPREAD)))
        scale = CANONICAL_FOCAL_PX * height_m / depth_m / thing.rgb.shape[0]
        if 0.1 < scale <= MOST_ENLARGED:
            weight = min(weight, config.teacher_weight)
            _stand(rng, example, thing, scale, (depth_m, row, column, weight))


def _feet(
    rng: np.random.Generator, example: Example, count: int
) -> list[tuple[float, int, int, float]]:
    """Draw (canonical depth, row, column, weight of that depth) of spots on the ground."""
    label, depth, weight = (np.asarray(example[k]) for k in ('label', 'depth', 'weight'))
    rows, columns = np.nonzero(np.isin(label, GROUND))
    if not rows.size:
        return []
    has_depth = bool((weight[rows, columns] > 0).any()) and not example['unscaled']
    horizon = label.shape[0] * HORIZON_ROW * float(np.exp(rng.uniform(-0.2, 0.2)))
    camera_m = CAMERA_M * float(np.exp(rng.uniform(-0.25, 0.25)))
    found = []
    for pick in rng.integers(rows.size, size=4 * count):
        row, column = int(rows[pick]), int(columns[pick])
        if has_depth:
            foot_m, w = float(depth[row, column]), float(weight[row, column])
        else:
            foot_m, w = float(ground_m(row - horizon, camera_m, CANONICAL_FOCAL_PX)), 0.0
        if FOOT_M[0] <= foot_m <= FOOT_M[1] and (w > 0 or not has_depth):
            found.append((foot_m, row, column, w))
    return found[:count]


def _stand(
    rng: np.random.Generator, example: Example, thing: Cutout, scale: float,
    foot: tuple[float, int, int, float],
) -> None:  # fmt: skip
    depth_m, row, column, weight = foot
    rgb, label = _resized(thing, scale, mirrored=bool(rng.random() < 0.5))
    top, left = row - rgb.shape[0] + 1, column - rgb.shape[1] // 2
    image = np.asarray(example['image'])
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = row + 1, min(left + rgb.shape[1], image.shape[1])
    if y1 - y0 < 4 or x1 - x0 < 2:
        return
    here = np.s_[y0:y1, x0:x1]
    part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    rgb, label = rgb[part], label[part]
    depths, weights = np.asarray(example['depth'])[here], np.asarray(example['weight'])[here]
    mask = (label != UNLABELLED) & ((weights == 0) | (depths > 0.97 * depth_m))
    if not mask.any():
        return
    image[here] = _blended(image[here], rgb, mask)
    np.asarray(example['label'])[here][mask] = label[mask]
    depths[mask] = depth_m
    weights[mask] = weight


def _resized(thing: Cutout, scale: float, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    height, width = (max(2, round(n * scale)) for n in thing.label_id.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    rgb = cv2.resize(thing.rgb, (width, height), interpolation=how)
    label = cv2.resize(thing.label_id, (width, height), interpolation=cv2.INTER_NEAREST)
    return (rgb[:, ::-1], label[:, ::-1]) if mirrored else (rgb, label)


def _blended(below: np.ndarray, rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return `rgb` over `below` within the mask, half adapted to its light, with a soft edge."""
    gain = np.sqrt((below[mask].mean() + 8) / (rgb[mask].mean() + 8))
    lit = np.clip(rgb * float(np.clip(gain, 0.5, 2.0)), 0, 255)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None]
    alpha = np.where(mask[..., None], np.maximum(alpha, 0.5), 0)
    return (lit * alpha + below * (1 - alpha)).astype(np.uint8)
