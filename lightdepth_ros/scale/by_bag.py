# SPDX-License-Identifier: Apache-2.0
"""`lightdepth scale bag`: collects measured and predicted depth from a recording."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from lightdepth_ros.bag.recording import Recorded, Recording, open_recording
from lightdepth_ros.bag.topics import choose_cameras
from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError, BadImageError
from lightdepth_ros.perception.calibration import describe, kind_of_topic, view_of
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.picture import SampleBits
from lightdepth_ros.scale import bag as scale_bag
from lightdepth_ros.scale.bag import Measured
from lightdepth_ros.scale.fit import Pairs
from lightdepth_ros.scale.gathered import Gathered
from lightdepth_ros.scale.report import Tile
from lightdepth_ros.scale.view import Seen, look
from lightdepth_ros.stream.messages import image_to_rgb

Looks = list[tuple[Seen, np.ndarray]]
"""Images seen, with the (h, w) true depth in metres, 0 = not measured."""


def from_bag(path: Path, wanted: Measured, perception: Perception, console: Console) -> Gathered:
    """Compare a lidar or depth topic of a recording with the prediction, pixel by pixel."""
    with open_recording(path) as recording:
        (camera,) = choose_cameras(recording, (), wanted.image, wanted.camera_info, 'needed')
        measured = replace(wanted, image=camera.image, camera_info=camera.info)
        scale_bag.check_topics(recording, measured)
        kind = kind_of_topic(camera.image, measured.image_kind)
        view = view_of(recording.first(camera.info), kind)
        if view is None:
            raise BadCameraError(f'{camera.info} has K = 0: calibrate the camera first')
        looks, told = _look_at_all(recording, measured, perception, view, console)
    parts = [f'{len(looks)} images compared', *(f'{n} {why}' for why, n in told.items())]
    return _gathered(looks, ', '.join(parts), measured.topic, describe(view))


def _look_at_all(
    recording: Recording,
    measured: Measured,
    perception: Perception,
    view: Camera | Lens,
    console: Console,
) -> tuple[Looks, Counter[str]]:
    """Predict the images of a recording; return them, and why how many were left out."""
    pose = scale_bag.lidar_pose(recording, measured.lidar_to_camera)
    looks: Looks = []
    told: Counter[str] = Counter()
    bits = SampleBits(measured.image_bits)
    with Progress(console=console) as progress:
        pairs = scale_bag.pairs(recording, measured)
        total = min(measured.frames, recording.count([measured.image]))
        for pair in progress.track(pairs, total=total, description='comparing'):
            if pair.measurement is None:
                told['without a measurement near enough in time'] += 1
                continue
            seen = _look(perception, pair.image, view, bits)
            if seen is None:
                told['unusable'] += 1
                continue
            looks.append((seen, scale_bag.true_depth(seen, pair, measured, pose)))
    return looks, told


def _look(
    perception: Perception, image: Recorded, view: Camera | Lens, bits: SampleBits
) -> Seen | None:
    """Predict a recorded image; None if it is damaged."""
    try:
        rgb = image_to_rgb(image.message, bits)
    except BadImageError:
        return None
    return look(perception, f'{image.stamp_ns} ns', rgb, view)


def _gathered(looks: Looks, told: str, topic: str, camera: str) -> Gathered:
    kept = [(s, t, (t > 0) & np.isfinite(s.prediction.depth_m)) for s, t in looks]
    pairs = Pairs(
        np.concatenate([np.empty(0), *(t[ok] for _, t, ok in kept)]),
        np.concatenate([np.empty(0), *(s.prediction.depth_m[ok] for s, _, ok in kept)]),
        np.concatenate(
            [np.empty(0, int), *(np.full(ok.sum(), i) for i, (*_, ok) in enumerate(kept))]
        ),
    )

    def tiles(scale: float) -> list[Tile]:
        result = []
        for s, t, ok in kept:
            residual = np.full(t.shape, np.nan)
            residual[ok] = np.log(t[ok] / (scale * s.prediction.depth_m[ok]))
            result.append(Tile(s.name, s.rgb, residual))
        return result

    return Gathered(
        pairs=pairs,
        tables=lambda scale: [],
        tiles=tiles,
        what=f'pixels with depth of {topic}',
        groups='images',
        remedy=f'{told}. Record longer; a larger --tolerance-s pairs more of them; if points are '
        'few, check /tf_static, and that an optical frame has x right, y down, z forward.',
        least_points=100,
        least_groups=3,
        facts=[f'{told}; camera {camera}.'],
    )
