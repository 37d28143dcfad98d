# SPDX-License-Identifier: Apache-2.0
"""Start the node, let it work, end it: over and over, because one exit in forty once crashed after
its last message. LIGHTDEPTH_EXITS sets how often (default 2)."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from ros_harness import OUTPUT_TYPES, NodeProcess, Peer
from tiny_model import make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages

pytestmark = pytest.mark.ros

EXITS = int(os.environ.get('LIGHTDEPTH_EXITS', '2'))
CAMERA = Camera(640, 480, 600.0, 600.0, 319.5, 239.5)
RGB = np.full((480, 640, 3), 40, np.uint8)
BETWEEN_S = 0.02
"""Between two images."""


@pytest.fixture(scope='module')
def models(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp('models')
    make_tiny_model(folder, 'L', student='plain')
    return str(folder)


@pytest.mark.parametrize('number', range(EXITS))
def test_node_ends_with_zero_in_the_middle_of_its_work(models, ros_env, number):
    chance = random.Random(number)
    env = {**ros_env, 'PYTHONFAULTHANDLER': '1'}  # a crash then tells where
    with NodeProcess(env, model=models, camera_info_timeout_s=0.0) as node, Peer() as peer:
        node.wait_for('ready:')
        peer.wait_for_subscriber()
        peer.listen(*OUTPUT_TYPES)
        for _ in range(chance.randint(5, 60)):
            header = peer.header()
            info = messages.camera_to_info(CAMERA, (480, 640), header)
            peer.send(messages.rgb_to_image(RGB, header), info)
            peer.spin_for(BETWEEN_S * chance.random())
        code, _ = node.stop(chance.choice([signal.SIGINT, signal.SIGTERM]))
        assert code == 0, node.log
        assert 'Traceback' not in node.log
        assert 'Fatal Python error' not in node.log


@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
def test_node_leaves_no_shared_memory_behind(models, ros_env, signal_number):
    others = set(Path('/dev/shm').glob('fastrtps_*'))  # it maps those of its neighbours too
    with NodeProcess(ros_env, model=models) as node:
        node.wait_for('ready:')
        segments = node.shared_memory - others
        assert segments
        assert all(segment.exists() for segment in segments)
        assert node.stop(signal_number)[0] == 0
    assert not [segment.name for segment in segments if segment.exists()]
