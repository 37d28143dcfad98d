# SPDX-License-Identifier: Apache-2.0
"""`lightdepth scale bag`: collects measured and predicted depth from a recording."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress

from lightdepth_ros.bag.topics import choose_cameras, require_rosbags
from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import BadCameraError, BadImageError, ConfigError
from lightdepth_ros.perception.calibration import describe, kind_of_topic, view_of
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.scale.fit import Pairs
from lightdepth_ros.scale.gathered import Gathered
from lightdepth_ros.scale.report import Tile
from lightdepth_ros.scale.view import Seen, look

if TYPE_CHECKING:
    from lightdepth_ros.bag.recording import Recorded

Looks = list[tuple[Seen, np.ndarray]]
"""Images seen, with the (h, w) true depth in metres, 0 = not measured."""


def from_bag(
    args: argparse.Namespace, config: NodeConfig, perception: Perception, console: Console
) -> Gathered:
    """Compare a lidar or depth topic of a recording with the prediction, pixel by pixel."""
    if bool(args.points_topic) == bool(args.depth_topic):
        raise ConfigError('give --points-topic (a lidar) or --depth-topic (a depth camera)')
    if args.frames < 1 or not 0 < args.near_m < args.far_m:
        raise ConfigError('--frames must be at least 1, and 0 < --near-m < --far-m')
    require_rosbags()
    from lightdepth_ros.bag.recording import open_recording
    from lightdepth_ros.scale import bag as scale_bag  # needs rosbags

    with open_recording(args.bag) as recording:
        (camera,) = choose_cameras(
            recording, (), args.image_topic, args.camera_info_topic, 'needed'
        )
        measured = scale_bag.Measured(
            camera.image,
            args.points_topic,
            args.depth_topic,
            args.tolerance_s,
            args.frames,
            args.near_m,
            args.far_m,
        )
        scale_bag.check_topics(recording, measured)
        kind = kind_of_topic(camera.image, config.image_kind)
        view = view_of(recording.first(camera.info), kind)
        if view is None:
            raise BadCameraError(f'{camera.info} has K = 0: calibrate the camera first')
        pose = scale_bag.lidar_pose(recording, tuple(args.lidar_to_camera))
        looks: Looks = []
        told: Counter[str] = Counter()
        with Progress(console=console) as progress:
            pairs = scale_bag.pairs(recording, measured)
            total = min(args.frames, recording.count([camera.image]))
            for pair in progress.track(pairs, total=total, description='comparing'):
                if pair.measurement is None:
                    told['without a measurement near enough in time'] += 1
                    continue
                seen = _look(perception, pair.image, view)
                if seen is None:
                    told['unusable'] += 1
                    continue
                looks.append((seen, scale_bag.true_depth(seen, pair, measured, pose)))
    parts = [f'{len(looks)} images compared', *(f'{n} {why}' for why, n in told.items())]
    return _gathered(looks, ', '.join(parts), measured.topic, describe(view))


def _look(perception: Perception, image: Recorded, view: Camera | Lens) -> Seen | None:
    """Predict a recorded image; None if it is damaged."""
    from lightdepth_ros.scale import bag as scale_bag  # needs rosbags

    try:
        rgb = scale_bag.image_rgb(image.message)
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
