# SPDX-License-Identifier: Apache-2.0
"""Where a stream's camera stands: by parameters, by transforms, and what is said of bad ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.mount import Mount
from lightdepth_ros.stream import mounting as module
from lightdepth_ros.stream.mounting import Mounting
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

TF = NodeConfig(mount='tf')
S = 10**9
LEVEL = (0.0, 0.0, 0.0, 1.0)
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Of an optical frame in the body frame of a camera that looks ahead (REP-103)."""


def pitched(degrees: float) -> tuple[float, float, float, float]:
    half = np.radians(degrees) / 2
    return 0.0, float(np.sin(half)), 0.0, float(np.cos(half))


class World:
    def __init__(self) -> None:
        self.transforms = Transforms()
        self.said: list[str] = []
        self.mounting = Mounting('/cam/image', self.transforms, Voice(self.said.append, print))

    def robot(self, height_m: float = 0.4, pitch_deg: float = 10.0) -> None:
        self.transforms.add('base_footprint', 'base_link', (0, 0, 0.1), LEVEL)
        self.transforms.add('base_link', 'cam', (0.2, 0, height_m - 0.1), pitched(pitch_deg))
        self.transforms.add('cam', 'cam_optical', (0, 0, 0), OPTICAL)

    def ask(self, config: NodeConfig = TF, frame: str = 'cam_optical', stamp_ns: int = 100 * S):
        return self.mounting.mount(config, frame, stamp_ns)


@pytest.fixture
def world() -> World:
    return World()


def close(mount: Mount | None, height_m: float, pitch_deg: float, roll_deg: float = 0.0) -> bool:
    assert mount is not None
    found = mount.height_m, mount.pitch_deg, mount.roll_deg
    return bool(np.allclose(found, (height_m, pitch_deg, roll_deg), atol=1e-6))


def test_parameters_hold_and_change_live(world):
    config = NodeConfig(camera_height_m=0.5, camera_pitch_deg=3.0)
    assert world.ask(config) == Mount(0.5, 3.0)
    assert world.mounting.text == '0.50 m high, pitch 3.0, roll 0.0 degrees (parameters)'
    assert world.ask(dataclasses.replace(config, camera_height_m=0.6)) == Mount(0.6, 3.0)
    assert world.ask(dataclasses.replace(config, mount='unknown')) is None
    assert world.mounting.text == 'not known'
    assert world.mounting.problem == ''


def test_static_transforms_tell_height_and_tilt_at_any_time(world):
    world.robot()
    for stamp_ns in (0, 1 * S, 10**6 * S):
        assert close(world.ask(stamp_ns=stamp_ns), 0.4, 10.0)
    assert world.mounting.problem == ''
    assert world.mounting.text.endswith('(tf)')


def test_a_camera_that_tilts_is_followed_at_the_images_stamp(world):
    world.robot()
    for second, degrees in ((100, 0.0), (101, 20.0)):
        world.transforms.add('base_link', 'cam', (0, 0, 0.3), pitched(degrees), second * S)
    assert close(world.ask(stamp_ns=100 * S + S // 4), 0.4, 5.0)
    assert close(world.ask(stamp_ns=101 * S + S // 2), 0.4, 20.0)  # a little newer: no matter
    assert world.mounting.problem == ''


def test_parameters_hold_until_transforms_come_and_the_lack_of_them_is_said(world):
    config = dataclasses.replace(TF, camera_height_m=0.5)
    assert world.ask(config) == Mount(0.5)
    assert world.ask() is None
    for part in ('no transform has come on /tf', 'robot_state_publisher', 'camera_height_m'):
        assert part in world.mounting.problem
    world.robot()
    assert close(world.ask(config), 0.4, 10.0)
    assert world.mounting.problem == ''


def test_silence_is_said_and_the_last_known_mount_goes_on(world):
    world.robot()
    world.transforms.add('base_link', 'cam', (0, 0, 0.3), pitched(5.0), 100 * S)
    assert close(world.ask(stamp_ns=100 * S), 0.4, 5.0)
    assert close(world.ask(stamp_ns=107 * S), 0.4, 5.0)
    assert "7.000 s after the newest transform of frame 'cam'" in world.mounting.problem
    assert 'still being published' in world.mounting.problem
    assert world.mounting.text.endswith('(the last transforms)')


@pytest.mark.parametrize(
    ('break_it', 'parts'),
    [
        (
            lambda t: t.add('moon', 'base_link', (0, 0, 0), LEVEL),
            ["no transforms lead from frame 'cam_optical' to 'base_footprint'", 'ground_frame'],
        ),
        (
            lambda t: t.add('base_footprint', 'base_link', (0, 0, -1.0), LEVEL),
            ['height is -0.7', "to 'base_footprint'", "robot's description"],
        ),
        (
            lambda t: t.add('cam', 'cam_optical', (0, 0, 0), LEVEL),
            ['optical frame taken for the body'],
        ),
        (lambda t: t.add('cam_optical', 'base_footprint', (0, 0, 0), LEVEL), ['circle']),
    ],
    ids=['unconnected', 'under the ground', 'body for optical', 'circle'],
)
def test_a_wrong_tree_is_said_and_the_last_known_mount_goes_on(world, break_it, parts):
    world.robot()
    before = world.ask()
    break_it(world.transforms)
    assert world.ask() == before
    for part in (*parts, '/cam/image'):
        assert part in world.mounting.problem
    world.robot()
    world.transforms.add('base_link', 'base_footprint_2', (0, 0, 0), LEVEL)


def test_images_without_a_frame_are_said(world):
    world.robot()
    assert world.ask(frame='') is None
    assert 'no frame_id. Set it in the camera driver' in world.mounting.problem


def test_the_last_mount_of_one_frame_does_not_stand_in_for_another(world):
    world.robot()
    assert world.ask() is not None
    assert world.ask(frame='other_optical') is None
    assert world.ask(dataclasses.replace(TF, ground_frame='mars')) is None


def test_the_log_complains_once_and_not_at_once(world, monkeypatch):
    now_s = [50.0]
    monkeypatch.setattr(module.time, 'perf_counter', lambda: now_s[0])
    world.ask()
    now_s[0] += 1.0
    world.ask()
    assert world.said == []
    for _ in range(5):
        now_s[0] += 1.0
        world.ask()
    assert len(world.said) == 1
    world.robot()
    world.ask()
    assert world.mounting.problem == ''
