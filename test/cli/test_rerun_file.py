# SPDX-License-Identifier: Apache-2.0
"""`--rerun` writes what the viewer reads, and says what is missing where it cannot."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.cli.rerun_file import RerunFile
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.perception.perception import Frame
from lightdepth_ros.perception.prediction import Prediction

CAMERA = Camera(24, 16, 30.0, 30.0, 11.5, 7.5)


def frame(camera: Camera | None = CAMERA) -> Frame:
    depth_m = np.full((16, 24), 5.0, np.float32)
    depth_m[:4] = np.inf
    label = np.full((16, 24), 2, np.uint8)
    rgb = np.full((16, 24, 3), (10, 20, 30), np.uint8)
    return Frame(Prediction(depth_m, label, None, camera), rgb, {})


def test_without_the_package_the_remedy_is_said_and_no_file_is_made(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    with pytest.raises(ConfigError, match='python3 -m pip install rerun-sdk'):
        RerunFile(tmp_path / 'a.rrd')
    assert not list(tmp_path.iterdir())


def test_every_frame_is_in_the_file_with_its_points(tmp_path: Path):
    rerun = pytest.importorskip('rerun')
    path = tmp_path / 'new' / 'a.rrd'
    recording = RerunFile(path)
    recording.add('first', frame(), 0.12)
    recording.add('second', frame(None), 0.12)
    recording.close()
    chunks = [c for c in rerun.experimental.RrdReader(str(path)).stream()]
    paths = [chunk.entity_path for chunk in chunks]
    assert paths.count('/world/camera/depth') >= 1
    assert '/world/camera/labels' in paths
    points = [c for c in chunks if c.entity_path == '/world/points']
    assert len(points) == 1
    assert points[0].num_rows == 1
