# SPDX-License-Identifier: Apache-2.0
"""Frames -> a recording for the Rerun viewer. The only file that knows rerun-sdk, which is
optional and never installed by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.classes import CLASSES
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.perception import cloud
from lightdepth_ros.perception.perception import Frame
from lightdepth_ros.perception.point_filter import without_flying
from lightdepth_ros.point import finite_points, unpacked_rgb


class RerunFile:
    """An .rrd file that is being written, one step of the timeline `frame` a frame."""

    def __init__(self, path: Path) -> None:
        """Start the file. Raises ConfigError where rerun-sdk is missing or the file cannot be
        written."""
        try:
            import rerun
        except ImportError as error:
            raise ConfigError(
                f'--rerun {path} needs the package rerun-sdk, which is not installed here '
                f'({error}). Install it: python3 -m pip install rerun-sdk'
            ) from error
        self._rerun: Any = rerun
        self._count = 0
        self._stream = rerun.RecordingStream('lightdepth')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream.save(path)
        except (OSError, RuntimeError) as error:
            raise ConfigError(
                f'cannot write {path}: {error}. Name a file in a folder that you may write to.'
            ) from error
        self._log('world', rerun.ViewCoordinates.RDF, static=True)
        named = [(c.id, c.name, c.color) for c in CLASSES]  # 255, unlabelled, has no name
        self._log('/', rerun.AnnotationContext(named), static=True)

    def add(self, name: str, frame: Frame, point_filter: float) -> None:
        """Append a frame: picture, depth, labels and, with a camera, the coloured cloud."""
        rerun, prediction = self._rerun, frame.prediction
        self._stream.set_time('frame', sequence=self._count)
        self._count += 1
        self._log('name', rerun.TextLog(name))
        if frame.rgb is not None:
            self._log('world/camera/image', rerun.Image(frame.rgb))
        known = np.isfinite(prediction.depth_m)
        depth_m = np.where(known, prediction.depth_m, 0).astype(np.float32)
        self._log('world/camera/depth', rerun.DepthImage(depth_m, meter=1.0))
        if prediction.label_id is not None:
            self._log('world/camera/labels', rerun.SegmentationImage(prediction.label_id))
        if prediction.camera is not None:
            self._add_cloud(frame, point_filter)

    def close(self) -> None:
        """Finish the file."""
        self._stream.flush()
        self._stream.disconnect()

    def _add_cloud(self, frame: Frame, point_filter: float) -> None:
        camera = frame.prediction.camera
        assert camera is not None
        pinhole = self._rerun.Pinhole(
            focal_length=(camera.fx, camera.fy),
            principal_point=(camera.cx + 0.5, camera.cy + 0.5),  # Rerun counts from the corner
            resolution=(camera.width, camera.height),
        )
        self._log('world/camera', pinhole)
        solid = without_flying(frame.prediction, point_filter)
        points = finite_points(cloud.points(solid, frame.rgb))
        positions = np.stack([points[axis] for axis in 'xyz'], axis=-1)
        colors = unpacked_rgb(points)
        self._log('world/points', self._rerun.Points3D(positions, colors=colors))

    def _log(self, path: str, content: Any, static: bool = False) -> None:
        self._stream.log(path, content, static=static)
