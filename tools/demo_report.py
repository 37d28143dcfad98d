# SPDX-License-Identifier: Apache-2.0
"""What the demo found: the numbers of its two passes, and everything that went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lightdepth_ros.classes import CLASSES, UNLABELLED
from tools.demo_drive import DriveFrame

MIN_KNOWN_SHARE = 0.1
"""On a road at least this much of the picture is nearer than the largest depth."""
TRUTH_RANGE_M = 80.0
MIN_KEPT_SHARE = 0.5
"""More than this share of a depth image is surfaces, not their edges."""


@dataclass(frozen=True)
class Answer:
    """What the node said to one frame, decoded.

    depth_m (h, w) float32 metres; label_id (h, w) uint8; cloud (h, w) structured (cloud.POINT);
    info_hw, focal_px and frame_id are those of depth/camera_info.
    """

    depth_m: np.ndarray
    label_id: np.ndarray
    cloud: np.ndarray
    info_hw: tuple[int, int]
    focal_px: float
    frame_id: str


@dataclass(frozen=True)
class Pass:
    """One pass over the drive.

    latency_ms: from publishing a frame until all its outputs had come, for the frames that were
    answered. seconds: how long frames were sent in real time; None = each waited for the answer
    to the one before and for its picture, so that a rate would say nothing.
    """

    title: str
    sent: int
    latency_ms: Sequence[float]
    seconds: float | None

    @property
    def out(self) -> int:
        """Frames of which every output came."""
        return len(self.latency_ms)

    def row(self) -> list[str]:
        """Return the pass as cells of COLUMNS."""
        p50, p99 = np.percentile(self.latency_ms, (50, 99)) if self.out else (np.nan, np.nan)
        return [
            self.title,
            str(self.sent),
            str(self.out),
            str(self.sent - self.out),
            f'{p50:.1f} ms',
            f'{p99:.1f} ms',
            f'{self.out / self.seconds:.1f} Hz' if self.seconds else '',
        ]


COLUMNS = ('pass', 'frames in', 'out', 'dropped', 'latency p50', 'p99', 'rate out')


@dataclass
class Truth:
    """How near the answers are to the exact truth of a rendered scene, frame by frame."""

    abs_rel: list[float] = field(default_factory=list)
    right_labels: list[float] = field(default_factory=list)

    def add(self, frame: DriveFrame, answer: Answer) -> tuple[float | None, float | None]:
        """Compare one frame; frames without truth are left out.

        Returns abs_rel and the share of right labels; None where there is nothing to compare.
        """
        if frame.depth_m is None or frame.label_id is None:
            return None, None
        true_m = covered(frame.depth_m, answer.depth_m.shape)
        true_id = covered(frame.label_id, answer.depth_m.shape)
        both = (true_m > 0) & (true_m <= TRUTH_RANGE_M) & np.isfinite(answer.depth_m)
        abs_rel = right = None
        if both.any():
            error = np.abs(answer.depth_m[both] - true_m[both]) / true_m[both]
            abs_rel = float(error.mean())
            self.abs_rel.append(abs_rel)
        known = true_id != UNLABELLED
        if known.any():
            right = float((answer.label_id == true_id)[known].mean())
            self.right_labels.append(right)
        return abs_rel, right

    def sentence(self) -> str:
        """Return the comparison in words; empty without truth."""
        if not self.abs_rel:
            return ''
        return (
            f'Against the exact truth of the rendered scene, up to {TRUTH_RANGE_M:g} m: abs_rel '
            f'{np.mean(self.abs_rel):.3f}, {100 * np.mean(self.right_labels):.0f} % of the labels '
            f'right (mean of {len(self.abs_rel)} frames).'
        )


def covered(array: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Return the middle of a camera-sized (H, W) array that an (h, w) output covers, at (h, w)."""
    height, width = array.shape
    scale = min(height / hw[0], width / hw[1])
    crop_h, crop_w = round(hw[0] * scale), round(hw[1] * scale)
    y, x = (height - crop_h) // 2, (width - crop_w) // 2
    part = array[y : y + crop_h, x : x + crop_w]
    return cv2.resize(part, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def wrong_with(answer: Answer, name: str) -> list[str]:
    """Return what is wrong with one frame's answer, in words; empty = nothing."""
    hw = answer.depth_m.shape
    sizes = {
        'semantic/image': answer.label_id.shape,
        'points': answer.cloud.shape,
        'depth/camera_info': answer.info_hw,
    }
    wrong = [f'{name}: {t} is {size}, depth {hw}' for t, size in sizes.items() if size != hw]
    known = float(np.isfinite(answer.depth_m).mean())
    if known < MIN_KNOWN_SHARE:
        wrong.append(f'{name}: only {100 * known:.1f} % of the depth pixels have a value')
    if (answer.depth_m[np.isfinite(answer.depth_m)] <= 0).any():
        wrong.append(f'{name}: depth that is not positive')
    ids = set(np.unique(answer.label_id).tolist())
    if unknown := ids - {UNLABELLED, *(c.id for c in CLASSES)}:
        wrong.append(f'{name}: labels {sorted(unknown)} are no class')
    if answer.info_hw == answer.cloud.shape == hw and not reprojects(answer):
        wrong.append(f'{name}: the cloud does not lie where depth and camera_info put it')
    return wrong


def reprojects(answer: Answer) -> bool:
    """Tell whether z of the cloud is the depth and x runs along the image as fx says.

    A share of the points may be missing: those that point_filter leaves out.
    """
    z = answer.cloud['z']
    kept, finite = np.isfinite(z), np.isfinite(answer.depth_m)
    if kept.sum() < MIN_KEPT_SHARE * finite.sum():
        return False
    if not np.array_equal(z[kept], answer.depth_m[kept]):
        return False
    step = np.diff(answer.cloud['x'] / z, axis=1)
    return bool(np.nanmax(np.abs(step * answer.focal_px - 1), initial=0.0) < 0.05)


def missing_messages(
    heard: Mapping[str, int], required: Mapping[str, str], frames: int
) -> list[str]:
    """Return which topics did not bring one message for every frame."""
    return [
        f'{topic}: {heard.get(topic, 0)} messages for {frames} frames'
        for topic in required
        if heard.get(topic, 0) < frames
    ]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ['---'] * len(columns), *rows]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)
