# SPDX-License-Identifier: Apache-2.0
"""Messages of range sensors as anchors: what a robot sends, right and wrong, at the level of a
stream. Whatever is wrong, depth goes on, and it is said what."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import DataError
from lightdepth_ros.stream import anchors as anchors_module
from lightdepth_ros.stream.anchors import Anchors
from lightdepth_ros.stream.measurements import cloud_xyz, scan_xyz
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

CAMERA = Camera.from_fov(240, 160, 75)
DEPTH = np.full((160, 240), 4, np.float32)
NOW_NS = 100 * 10**9
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Rotation of an optical frame in a body whose x axis looks ahead."""


def header(frame: str, stamp_ns: int = NOW_NS):
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(frame_id=frame, stamp=stamp)


def scan(ranges, stamp_ns: int = NOW_NS, frame: str = 'laser'):
    """A planar scan of 180 degrees around straight ahead."""
    return SimpleNamespace(
        header=header(frame, stamp_ns),
        ranges=list(ranges),
        angle_min=-np.pi / 2,
        angle_increment=np.pi / (len(ranges) - 1),
        range_min=0.1,
        range_max=30.0,
    )


def wall_scan(ahead_m: float, **more):
    angle = np.linspace(-np.pi / 2, np.pi / 2, 721)
    with np.errstate(divide='ignore'):
        ranges = np.where(np.cos(angle) > 0.03, ahead_m / np.cos(angle), np.inf)
    return scan(ranges, **more)


def cloud(points: np.ndarray, stamp_ns: int = NOW_NS, frame: str = 'lidar'):
    data = np.ascontiguousarray(points, '<f4').tobytes()
    fields = [SimpleNamespace(name=n, offset=4 * k, datatype=7) for k, n in enumerate('xyz')]
    return SimpleNamespace(
        header=header(frame, stamp_ns),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=data,
    )


def depth_image(depth: np.ndarray, encoding: str, frame: str = 'tof'):
    pixels = np.ascontiguousarray(depth)
    return SimpleNamespace(
        header=header(frame),
        height=depth.shape[0],
        width=depth.shape[1],
        encoding=encoding,
        is_bigendian=False,
        step=pixels.strides[0],
        data=pixels.tobytes(),
    )


def info(camera: Camera):
    k = [camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
    p = [camera.fx, 0, camera.cx, 0, 0, camera.fy, camera.cy, 0, 0, 0, 1, 0]
    roi = SimpleNamespace(width=0, height=0, x_offset=0, y_offset=0)
    return SimpleNamespace(
        k=k, p=p, d=[], distortion_model='', width=camera.width, height=camera.height,
        binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def robot() -> Transforms:
    tree = Transforms()
    tree.add('base', 'camera', (0.2, 0.0, 0.5), OPTICAL)
    tree.add('base', 'laser', (0.2, 0.0, 0.45), (0, 0, 0, 1))
    tree.add('base', 'lidar', (0.2, 0.0, 0.6), (0, 0, 0, 1))
    tree.add('base', 'tof', (0.2, 0.05, 0.5), OPTICAL)
    return tree


class Robot:
    """A camera 4 m of predicted depth before everything, with what it says."""

    def __init__(self, tree: Transforms | None = None, **settings) -> None:
        self.said: list[str] = []
        voice = Voice(self.said.append, self.said.append)
        self.anchors = Anchors('/image', robot() if tree is None else tree, voice)
        self.config = NodeConfig(**settings)

    def bend(self, stamp_ns: int = NOW_NS) -> np.ndarray:
        bend = self.anchors.bend_for(self.config, 'camera', stamp_ns)
        return DEPTH if bend is None else bend(DEPTH, None, None, CAMERA, None)[0]

    @property
    def facts(self):
        return self.anchors.facts()


def test_without_the_setting_nothing_is_done_or_told():
    subject = Robot()
    subject.anchors.inputs.add('scan', wall_scan(6))
    assert subject.bend() is DEPTH
    assert subject.facts == {}


def test_a_scan_anchors_the_row_that_it_sees_and_the_rest_by_its_factor():
    subject = Robot(anchor='scan')
    subject.anchors.inputs.add('scan', wall_scan(6))
    bent = subject.bend()
    assert np.median(bent[80:83]) == pytest.approx(6, rel=0.04)
    assert np.median(bent) > 4.8
    assert subject.facts['anchor'] == 'scan'
    assert subject.facts['anchor_points'] > 100
    assert subject.facts['anchor_frames'] == {'anchored': 1}


def test_a_cloud_anchors():
    rng = np.random.default_rng(0)
    points = np.column_stack(
        [np.full(4000, 6.0), rng.uniform(-4, 4, 4000), rng.uniform(-2, 3, 4000)]
    )
    subject = Robot(anchor='cloud')
    subject.anchors.inputs.add('cloud', cloud(points))
    assert np.median(subject.bend()[20:]) == pytest.approx(6, rel=0.03)


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_a_depth_image_anchors_and_its_holes_do_not(encoding):
    metres = np.full((120, 160), 6.0)
    metres[:, 80:] = 0 if encoding == '16UC1' else np.nan
    pixels = (metres * 1000).astype(np.uint16) if encoding == '16UC1' else metres.astype('f4')
    subject = Robot(anchor='depth')
    subject.anchors.inputs.add('depth', depth_image(pixels, encoding))
    subject.bend()
    assert 'no calibration' in subject.facts['anchor_why_not']
    subject.anchors.inputs.add_depth_info(info(Camera.from_fov(160, 120, 75)))
    bent = subject.bend()
    assert np.median(bent[:, :90]) == pytest.approx(6, rel=0.02)


def test_motion_between_scan_and_image_is_undone():
    tree = robot()
    for k in range(11):  # ahead with 5 m/s
        tree.add('odom', 'base', (0.5 * k, 0, 0), (0, 0, 0, 1), NOW_NS - 10**9 + k * 10**8)
    then_ns = NOW_NS - 150_000_000
    moving, still = Robot(tree, anchor='scan'), Robot(anchor='scan')
    moving.anchors.inputs.add('scan', wall_scan(6.75, stamp_ns=then_ns))
    still.anchors.inputs.add('scan', wall_scan(6.0, stamp_ns=then_ns))
    np.testing.assert_allclose(moving.bend(), still.bend(), rtol=0.01)


def test_late_odometry_stops_only_what_needs_it():
    tree = robot()
    for k in range(5):  # 0.6 s behind the image
        tree.add('odom', 'base', (0.1 * k, 0, 0), (0, 0, 0, 1), NOW_NS - 10**9 + k * 10**8)
    together, apart = Robot(tree, anchor='scan'), Robot(tree, anchor='scan')
    together.anchors.inputs.add('scan', wall_scan(6, stamp_ns=NOW_NS - 5_000_000))
    apart.anchors.inputs.add('scan', wall_scan(6, stamp_ns=NOW_NS - 150_000_000))
    assert np.median(together.bend()[80:83]) == pytest.approx(6, rel=0.04)
    assert apart.bend() is DEPTH
    assert 'after the newest' in apart.facts['anchor_why_not']


def test_the_nearest_message_in_time_is_taken():
    subject = Robot(anchor='scan')
    for lag_ms, ahead_m in ((150, 9.0), (20, 6.0), (-90, 3.0)):
        message = wall_scan(ahead_m, stamp_ns=NOW_NS - lag_ms * 10**6)
        subject.anchors.inputs.add('scan', message)
    assert np.median(subject.bend()[80:83]) == pytest.approx(6.0, rel=0.04)
    assert subject.facts['anchor_age_s'] == pytest.approx(0.02)


BAD = {
    'nothing came': (None, 'no message has come'),
    'all Inf': (scan([np.inf] * 181), 'holds no finite point'),
    'all NaN': (scan([np.nan] * 181), 'holds no finite point'),
    'a clock 5 s ahead': (wall_scan(6, stamp_ns=NOW_NS + 5 * 10**9), 'newer than the image'),
    'a clock 5 s behind': (wall_scan(6, stamp_ns=NOW_NS - 5 * 10**9), 'older than the image'),
    'an unknown frame': (wall_scan(6, frame='roof'), 'roof'),
    'no increment': (
        SimpleNamespace(**vars(wall_scan(6)) | {'angle_increment': 0.0}),
        'increment',
    ),
}


@pytest.mark.parametrize('name', BAD)
def test_a_scan_that_cannot_be_used_leaves_depth_as_it_is(name):
    message, why = BAD[name]
    subject = Robot(anchor='scan')
    if message is not None:
        subject.anchors.inputs.add('scan', message)
    assert subject.bend() is DEPTH
    assert why in subject.facts['anchor_why_not']
    assert subject.facts['anchor_missed'] == {'scan': 1}
    assert subject.facts['anchor'] == 'nothing'


def test_a_tree_without_the_camera_leaves_depth_as_it_is():
    tree = Transforms()
    tree.add('base', 'laser', (0, 0, 0.4), (0, 0, 0, 1))
    for nothing in (Transforms(), tree):
        subject = Robot(nothing, anchor='scan')
        subject.anchors.inputs.add('scan', wall_scan(6))
        assert subject.bend() is DEPTH
        assert 'no transforms lead' in subject.facts['anchor_why_not']


def test_transforms_from_the_future_leave_depth_as_it_is():
    tree = Transforms()
    tree.add('base', 'camera', (0.2, 0.0, 0.5), OPTICAL, NOW_NS + 8 * 10**9)
    tree.add('base', 'laser', (0.2, 0.0, 0.4), (0, 0, 0, 1))
    subject = Robot(tree, anchor='scan')
    subject.anchors.inputs.add('scan', wall_scan(6))
    assert subject.bend() is DEPTH
    assert 'before the oldest' in subject.facts['anchor_why_not']


def test_a_cloud_of_nan_and_one_without_xyz_leave_depth_as_it_is():
    subject = Robot(anchor='cloud')
    subject.anchors.inputs.add('cloud', cloud(np.full((500, 3), np.nan)))
    assert subject.bend() is DEPTH
    broken = cloud(np.zeros((9, 3)))
    broken.fields = broken.fields[:2]
    subject.anchors.inputs.add('cloud', broken)
    subject.bend()
    with pytest.raises(DataError, match='x, y and z'):
        cloud_xyz(broken, 'cloud')


def test_a_huge_unorganised_cloud_is_read_in_part():
    rng = np.random.default_rng(0)
    points = rng.uniform((1, -9, -0.4), (20, 9, 3), (300_000, 3))
    points[::7] = np.nan
    assert len(cloud_xyz(cloud(points), 'cloud', 40_000)) < 40_000
    subject = Robot(anchor='cloud')
    subject.anchors.inputs.add('cloud', cloud(points))
    assert np.isfinite(subject.bend()).all()


def test_what_is_missing_for_long_is_said_once(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(anchors_module.time, 'perf_counter', lambda: now_s[0])
    subject = Robot(anchor='scan')
    for k in range(40):
        now_s[0] = k * 0.1
        subject.bend(NOW_NS + k * 10**8)
    assert len(subject.said) == 1
    assert 'no anchor from scan: no message has come' in subject.said[0]
    assert subject.anchors.problem
    subject.anchors.inputs.add('scan', wall_scan(6, stamp_ns=NOW_NS + 40 * 10**8))
    subject.bend(NOW_NS + 40 * 10**8)
    assert not subject.anchors.problem


def test_a_message_that_grows_old_is_said_once_and_not_with_each_age(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(anchors_module.time, 'perf_counter', lambda: now_s[0])
    subject = Robot(anchor='scan')
    subject.anchors.inputs.add('scan', wall_scan(6))
    for k in range(60):
        now_s[0] = k * 0.1
        subject.bend(NOW_NS + k * 10**8)
    assert len(subject.said) == 1
    assert 'older than the image' in subject.said[0]


def test_points_that_are_refused_for_long_are_a_problem(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(anchors_module.time, 'perf_counter', lambda: now_s[0])
    subject = Robot(anchor='scan')
    for k in range(40):
        now_s[0] = k * 0.1
        far_off = wall_scan(0.4 + 0.001 * k, stamp_ns=NOW_NS + k * 10**8)  # 4 m are predicted
        subject.anchors.inputs.add('scan', far_off)
        subject.bend(NOW_NS + k * 10**8)
    assert 'points can be used' in subject.anchors.problem
    assert len(subject.said) == 1
    assert subject.facts['anchor_missed'] == {'scan': 40}


def test_without_a_calibration_it_says_that_nothing_is_anchored():
    subject = Robot(anchor='scan')
    subject.anchors.inputs.add('scan', wall_scan(6))
    subject.bend()
    assert subject.anchors.factor != 1
    assert subject.anchors.bend_for(subject.config, 'camera', NOW_NS, calibrated=False) is None
    assert 'no calibration' in subject.anchors.problem
    assert subject.anchors.factor is None
    subject.bend()
    assert not subject.anchors.problem


def test_the_setting_changes_while_it_runs():
    subject = Robot(anchor='scan')
    subject.anchors.inputs.add('scan', wall_scan(6))
    subject.bend()
    subject.config = NodeConfig(anchor='none')
    assert subject.bend() is DEPTH
    subject.config = NodeConfig(anchor='scan, cloud')
    subject.bend()
    assert subject.facts['anchor_missed'] == {'scan': 1, 'cloud': 1}


def test_scans_have_their_angles_and_limits():
    xyz = scan_xyz(scan([1.0, 2.0, 0.05, 31.0, np.nan]), 'scan')
    np.testing.assert_allclose(xyz, [[0, -1, 0], [2**0.5, -(2**0.5), 0]], atol=1e-9)
