# SPDX-License-Identifier: Apache-2.0
"""From a sample's sensor depth, teacher depth and labels to the one target the student learns."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from lightdepth_ros.classes import CLASS_ID, NAV7_ID, SKY, UNLABELLED, nav7_table
from lightdepth_ros.perception.occlusion import hidden_returns
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops.augment import View, warp
from training.crops.ground import with_ground
from training.crops.pose import with_pose
from training.datasets.sample import Sample
from training.labels.local_correction import correct_locally

Example = dict[str, np.ndarray | bool]
"""One training example, see `crop`."""
SKY_CANONICAL_M = 320.0
"""What sky is learnt as: 50 m from a camera 0.5 m high at a focal length of 300 px. Nothing is
learnt as farther than that. (The paper sets sky to 80 m.)"""
UPRIGHT_GAIN = np.float32(1.5)
"""The ground makes up most of a picture and is told by its row; what stands on it is not."""
NEAR_CANONICAL_M, NEAR_GAIN = 6.0, np.float32(2.5)
"""What stands nearer than this a robot must know well, and few pixels show it."""
THING_PX = 4000.0
THING_GAIN = 4.0
"""A thing of fewer pixels than THING_PX counts more, by the square root, up to THING_GAIN."""
TEACHER_ABS_REL_LIMIT = 0.2
SPARSE_SHARE = 0.2
CLEARLY = 0.6
"""A class is clearly the likelier of two with this share of their chance."""
PERSON = NAV7_ID['person']
THINGS = [NAV7_ID[name] for name in ('person', 'vehicle', 'roadside_object')]
FLAT = [NAV7_ID[name] for name in ('drivable', 'non_drivable_ground')]
TWO_WHEELS = [CLASS_ID[name] for name in ('motorcycle', 'bicycle')]


def clean(sample: Sample, depth_truth: str) -> Sample:
    """Do what needs doing once per frame, before any crop.

    Sparse sensor depth (under a fifth of the pixels) loses the returns that the camera cannot see,
    and a teacher that is off by more than 20 % on average on the frame's own sensor points is not
    used there. With depth_truth 'compensated' the other teachers are bent to those points first.
    Labels agree with what people drew (`with_whole_riders`), and unsure ones take the teacher's
    likelier class (`with_likelier_labels`). A frame without any depth gets that
    of level ground, if its camera's mount is known (training.crops.ground). Its pose over the
    ground is fitted where nobody says it (training.crops.pose).
    """
    sample = with_ground(with_pose(with_likelier_labels(with_whole_riders(sample))))
    depth, teacher, camera = sample.depth_m, sample.teacher_depth_m, sample.camera
    if depth is None:
        return sample
    sparse = np.count_nonzero(depth) < SPARSE_SHARE * depth.size
    if sparse and camera is not None:
        depth = np.where(hidden_returns(depth, camera.fx), np.float32(0), depth)
    if teacher is not None and not trustworthy(teacher, depth):
        teacher = None
    if sparse and camera is not None and teacher is not None and depth_truth == 'compensated':
        teacher = correct_locally(teacher, depth, camera.fx).depth_m
    return replace(sample, depth_m=depth, teacher_depth_m=teacher)


def with_whole_riders(sample: Sample) -> Sample:
    """Call a rider what people drew as a person and a teacher took for a two-wheeler.

    CamVid's cyclists include their bicycles.
    """
    if sample.nav7_id is None or sample.label_id is None:
        return sample
    ridden = (sample.nav7_id == PERSON) & np.isin(sample.label_id, TWO_WHEELS)
    return replace(sample, label_id=np.where(ridden, np.uint8(CLASS_ID['rider']), sample.label_id))


def with_likelier_labels(sample: Sample) -> Sample:
    """Label pixels that a teacher left open, where one class is clearly likelier than the next.

    A teacher's label needs most of the chance of all classes; its two likeliest ones, which are
    kept beside it (Sample.soft_label), tell more: mostly about poles, signs, fences and edges.
    """
    soft, label = sample.soft_label, sample.label_id
    if soft is None or label is None or sample.nav7_id is not None:
        return sample
    full = cv2.resize(soft, label.shape[::-1], interpolation=cv2.INTER_NEAREST)
    clear = (full[..., 0] != UNLABELLED) & (full[..., 2] >= CLEARLY * 255)
    return replace(sample, label_id=np.where((label == UNLABELLED) & clear, full[..., 0], label))


def trustworthy(teacher_m: np.ndarray, sensor_m: np.ndarray) -> bool:
    """Say whether a teacher is right to 20 % on average where the sensor knows better."""
    known = (sensor_m > 0) & (teacher_m > 0)
    error = np.abs(teacher_m[known] / sensor_m[known] - 1)
    return not error.size or float(error.mean()) <= TEACHER_ABS_REL_LIMIT


def depth_target(
    sensor_m: np.ndarray, teacher_m: np.ndarray, label_id: np.ndarray, config: TrainConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Merge truths into (metres, weight), both float32 of the input's shape; weight 0 = none.

    The sensor wins where it has a value, then the teacher. Sky has no depth: it gets weight but
    the value 0, which `canonical` turns into the far limit.
    """
    use = config.depth_truth
    depth = np.zeros_like(sensor_m)
    weight = np.zeros_like(sensor_m)
    if use != 'sparse':
        known = teacher_m > 0
        depth[known], weight[known] = teacher_m[known], config.teacher_weight
        sky = label_id == SKY
        depth[sky], weight[sky] = 0, config.sky_weight
    if use != 'teacher':
        known = sensor_m > 0
        depth[known], weight[known] = sensor_m[known], 1
    return depth, weight


def canonical(depth_m: np.ndarray, focal_px: float) -> np.ndarray:
    """Metres as the canonical camera would see them; 0 (sky) becomes the far limit.

    Enlarging an image by s multiplies its focal length by s and changes no depth; a network that
    sees only pixels can therefore learn d * canonical / focal, not d. An uncalibrated image
    (focal_px 0) keeps its numbers: its loss is blind to scale.
    """
    ratio = CANONICAL_FOCAL_PX / focal_px if focal_px > 0 else 1.0
    return np.where(depth_m > 0, depth_m * np.float32(ratio), np.float32(SKY_CANONICAL_M))


def crop(sample: Sample, view: View, config: TrainConfig) -> Example:
    """Return the training example of one view.

    image (h, w, 3) uint8; depth (h, w) float32 canonical metres (valid where weight > 0);
    weight (h, w) float32; label (h, w) uint8, 255 = unlabelled; unscaled: True where there is
    depth but no focal length. An image with labels alone teaches nothing about depth.
    """
    source_hw = sample.rgb.shape[:2]
    empty = np.zeros(view.hw, np.float32)

    def warped(image: np.ndarray | None) -> np.ndarray:
        return empty if image is None else warp(image, view, source_hw, nearest=True)

    label = np.full(view.hw, UNLABELLED, np.uint8)
    if sample.label_id is not None:  # outside the source warp gives 0 = road: shift ids by one
        shifted = warp(sample.label_id + np.uint8(1), view, source_hw, nearest=True)
        label = shifted - np.uint8(1)
    depth, weight = depth_target(
        warped(sample.depth_m), warped(sample.teacher_depth_m), label, config
    )
    has_depth = sample.depth_m is not None or sample.teacher_depth_m is not None
    if not has_depth:  # sky alone would teach that everything of its kind of picture is far
        weight = empty
    return {
        'image': warp(sample.rgb, view, source_hw, nearest=False),
        'depth': canonical(depth, view.focal_px),
        'weight': weight * np.float32(sample.trust),
        'label': label,
        'unscaled': has_depth and view.focal_px == 0,
    }


def finish(example: Example, config: TrainConfig) -> None:
    """Bring depth to the canonical camera height where the mount is told, and set weights.

    In place, when everything has been put into the picture. 'factor' (h, w) float32, the camera's
    height over the canonical one (1 = not told), is taken out of the example. Then nothing is
    farther than the sky, and what stands counts more than the ground (`emphasis`).
    """
    depth, factor = np.asarray(example['depth']), np.asarray(example.pop('factor'))
    sky = depth >= SKY_CANONICAL_M
    weight = np.asarray(example['weight'])
    if config.standing:
        gain = 1 + config.standing * (emphasis(np.asarray(example['label']), depth) - 1)
        example['weight'] = weight * np.where(sky, np.float32(1), gain).astype(np.float32)
    scaled = np.where(sky, np.float32(SKY_CANONICAL_M), depth / factor)
    example['depth'] = np.minimum(scaled, np.float32(SKY_CANONICAL_M)).astype(np.float32)


def emphasis(label: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return (h, w) float32, 1 or more: how much each pixel's depth counts.

    label (h, w) uint8 train ids; depth (h, w) canonical metres. An image's loss is a mean over
    its pixels; without this the road and a wall decide it, and a post does not show.
    """
    group = nav7_table()[label]
    things = np.isin(group, THINGS).astype(np.uint8)
    count, component = cv2.connectedComponents(things, connectivity=4)
    area = np.bincount(component.ravel(), minlength=count)
    gain = np.clip(np.sqrt(THING_PX / np.maximum(area, 1)), 1, THING_GAIN).astype(np.float32)
    gain[0] = 1
    upright = ~np.isin(group, FLAT)
    near = upright & (depth > 0) & (depth < NEAR_CANONICAL_M)
    least = np.where(near, NEAR_GAIN, np.where(upright, UPRIGHT_GAIN, np.float32(1)))
    return np.maximum(gain[component], least)
