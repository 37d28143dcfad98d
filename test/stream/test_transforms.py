# SPDX-License-Identifier: Apache-2.0
"""The tree of frames: chains up and down, interpolation between stamps, and what it refuses."""

from __future__ import annotations

import threading
from types import SimpleNamespace as Message

import numpy as np
import pytest

from lightdepth_ros.errors import DataError, NoTransformError, TransformTimeError
from lightdepth_ros.stream.transforms import KEPT_NS, MOST_KEPT, Transforms, pose_matrix

LEVEL = (0.0, 0.0, 0.0, 1.0)
TURN_LEFT = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
S = 10**9


def turned(degrees: float) -> tuple[float, ...]:
    half = np.radians(degrees) / 2
    return 0.0, 0.0, float(np.sin(half)), float(np.cos(half))


def heading_deg(matrix: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def test_pose_turns_then_moves():
    t = pose_matrix((1, 2, 3), TURN_LEFT)
    np.testing.assert_allclose(t @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    np.testing.assert_allclose(pose_matrix((1, 2, 3), np.multiply(TURN_LEFT, 5)), t, atol=1e-12)
    with pytest.raises(DataError, match='length must not be 0'):
        pose_matrix((0, 0, 0), (0, 0, 0, 0))


def test_transforms_chain_up_and_down_the_tree():
    transforms = Transforms()
    transforms.add('base', '/lidar', (0, 0, 2), TURN_LEFT)
    transforms.add('/base', 'mast', (1, 0, 0), LEVEL)
    transforms.add('mast', 'camera', (0, 0, 1), LEVEL)
    # (1, 0, 0) of the lidar is (0, 1, 2) of base, (-1, 1, 2) of mast, (-1, 1, 1) of camera.
    point = transforms.lookup('camera', 'lidar') @ [1, 0, 0, 1]
    np.testing.assert_allclose(point, [-1, 1, 1, 1], atol=1e-12)
    back = transforms.lookup('lidar', 'camera') @ point
    np.testing.assert_allclose(back, [1, 0, 0, 1], atol=1e-12)
    np.testing.assert_array_equal(transforms.lookup('base', 'base'), np.eye(4))
    assert transforms.latest_ns('camera', 'lidar') is None
    assert transforms.frames() == ['base', 'camera', 'lidar', 'mast']


def test_unconnected_frame_is_named_with_what_is_connected_and_the_remedy():
    transforms = Transforms('Record more')
    transforms.add('base', 'lidar', (0, 0, 0), LEVEL)
    with pytest.raises(NoTransformError, match=r"from frame 'lidar' to 'camera'.*nothing"):
        transforms.lookup('camera', 'lidar')
    with pytest.raises(DataError, match=r"'base' is connected to \['lidar'\]. Record more"):
        transforms.lookup('base', 'radar')


def test_moving_frame_is_interpolated_at_the_stamp():
    transforms = Transforms()
    transforms.add('odom', 'base', (0, 0, 0), turned(170), 1 * S)
    transforms.add('odom', 'base', (2, 0, 0), turned(-170), 2 * S)  # 20 degrees on, not 340 back
    transforms.add('base', 'camera', (0, 0, 1), LEVEL)
    at = transforms.lookup('odom', 'camera', 1 * S + S // 4)
    np.testing.assert_allclose(at[:3, 3], [0.5, 0, 1], atol=1e-9)
    assert heading_deg(at) == pytest.approx(175, abs=1e-6)
    assert heading_deg(transforms.lookup('odom', 'camera', 2 * S)) == pytest.approx(-170, abs=1e-6)


def test_latest_is_the_newest_time_that_every_moving_part_knows():
    transforms = Transforms()
    for second in range(1, 6):
        transforms.add('odom', 'base', (second, 0, 0), LEVEL, second * S)
    transforms.add('base', 'tilt', (0, 10, 0), LEVEL, 1 * S)
    transforms.add('base', 'tilt', (0, 20, 0), LEVEL, 3 * S)
    assert transforms.latest_ns('odom', 'tilt') == 3 * S
    np.testing.assert_allclose(transforms.lookup('odom', 'tilt')[:3, 3], [3, 20, 0])
    np.testing.assert_allclose(transforms.lookup('odom', 'base')[:3, 3], [5, 0, 0])


def test_time_outside_of_what_is_known_is_refused_beyond_the_slack():
    transforms = Transforms()
    transforms.add('odom', 'base', (1, 0, 0), LEVEL, 1 * S)
    transforms.add('odom', 'base', (2, 0, 0), LEVEL, 2 * S)
    late = 2 * S + S // 20
    with pytest.raises(TransformTimeError, match=r"0\.050 s after the newest.*'base' in 'odom'"):
        transforms.lookup('odom', 'base', late)
    np.testing.assert_array_equal(transforms.lookup('odom', 'base', late, S // 10)[0, 3], 2)
    with pytest.raises(TransformTimeError, match=r'0\.500 s before the oldest'):
        transforms.lookup('base', 'odom', S // 2, S // 10)


def test_stamps_in_any_order_and_twice_are_put_in_order():
    transforms = Transforms()
    for second in (3, 1, 2, 3):
        transforms.add('odom', 'base', (10 * second, 0, 0), LEVEL, second * S)
    assert transforms.lookup('odom', 'base', 3 * S // 2)[0, 3] == pytest.approx(15)
    assert transforms.lookup('odom', 'base')[0, 3] == 30


def test_past_is_forgotten_and_memory_bounded():
    transforms = Transforms()
    rate_hz = 1000
    for k in range(15 * rate_hz):
        transforms.add('odom', 'base', (0, 0, 0), LEVEL, k * S // rate_hz)
    assert len(transforms._edges['base'].poses) <= MOST_KEPT
    with pytest.raises(TransformTimeError, match='before the oldest'):
        transforms.lookup('odom', 'base', 1 * S)
    transforms.lookup('odom', 'base', 14 * S)


def test_clock_that_is_set_back_begins_anew():
    transforms = Transforms()
    transforms.add('odom', 'base', (1, 0, 0), LEVEL, 100 * S)
    transforms.add('odom', 'base', (2, 0, 0), LEVEL, 100 * S - KEPT_NS - 1)
    assert transforms.lookup('odom', 'base')[0, 3] == 2


def test_a_new_parent_or_a_static_pose_replaces_what_was_known():
    transforms = Transforms()
    transforms.add('arm', 'camera', (1, 0, 0), LEVEL, 5 * S)
    transforms.add('mast', 'camera', (2, 0, 0), LEVEL, 1 * S)
    assert transforms.lookup('mast', 'camera')[0, 3] == 2
    with pytest.raises(NoTransformError):
        transforms.lookup('arm', 'camera')
    transforms.add('mast', 'camera', (3, 0, 0), LEVEL)
    assert transforms.lookup('mast', 'camera', 77 * S)[0, 3] == 3


def test_frames_in_a_circle_are_an_error_and_no_endless_loop():
    transforms = Transforms()
    transforms.add('a', 'b', (0, 0, 0), LEVEL)
    transforms.add('b', 'a', (0, 0, 0), LEVEL)
    with pytest.raises(NoTransformError, match='circle: a -> b -> a'):
        transforms.lookup('b', 'a')


@pytest.mark.parametrize(
    ('parent', 'child', 'xyz', 'quaternion'),
    [
        ('a', 'a', (0, 0, 0), LEVEL),
        ('', 'a', (0, 0, 0), LEVEL),
        ('a', 'b', (0, np.nan, 0), LEVEL),
        ('a', 'b', (0, 0, 0), (0, 0, 0, 0)),
        ('a', 'b', (0, 0, 0), (0, np.inf, 0, 1)),
    ],
)
def test_what_is_no_pose_is_refused_and_changes_nothing(parent, child, xyz, quaternion):
    transforms = Transforms()
    with pytest.raises(DataError):
        transforms.add(parent, child, xyz, quaternion)
    assert transforms.frames() == []


def test_message_is_read_with_its_stamps():
    def part(parent, child, x, sec):
        stamp = Message(sec=sec, nanosec=500_000_000)
        return Message(
            header=Message(frame_id=parent, stamp=stamp),
            child_frame_id=child,
            transform=Message(
                translation=Message(x=x, y=0.0, z=0.0),
                rotation=Message(x=0.0, y=0.0, z=0.0, w=1.0),
            ),
        )

    transforms = Transforms()
    transforms.add_message(Message(transforms=[part('base', 'camera', 1.0, 0)]))
    moving = [part('odom', 'base', 2.0, 7), part('odom', 'base', 3.0, 8)]
    transforms.add_message(Message(transforms=moving), static=False)
    assert transforms.latest_ns('odom', 'camera') == 8 * S + S // 2
    assert transforms.lookup('odom', 'camera', 8 * S)[0, 3] == pytest.approx(3.5)


def test_adding_and_looking_up_in_two_threads_never_gives_half_a_pose():
    transforms = Transforms()
    transforms.add('odom', 'base', (0, 0, 0), LEVEL, 0)
    stop = threading.Event()

    def publish() -> None:
        for k in range(1, 20000):
            transforms.add('odom', 'base', (k, k, k), LEVEL, k * S // 1000)
        stop.set()

    thread = threading.Thread(target=publish)
    thread.start()
    while not stop.is_set():
        x, y, z = transforms.lookup('odom', 'base')[:3, 3]
        assert x == y == z
    thread.join()
    assert transforms.lookup('odom', 'base')[0, 3] == 19999
