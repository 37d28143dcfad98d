# SPDX-License-Identifier: Apache-2.0
"""`lightdepth bag` against depth_node: the same messages give the same bytes, over real DDS."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

import bags
import numpy as np
from ros_harness import NodeProcess, Peer
from test_bag import IMAGE, SMALL, depths, drive, messages_of
from tiny_model import make_tiny_model

from lightdepth_ros import cli
from lightdepth_ros.bag.camera import node_message
from lightdepth_ros.camera import Camera
from lightdepth_ros.stream.messages import camera_to_info

pytestmark = pytest.mark.ros

TOPICS = ('depth/image', 'semantic/image', 'points')


def test_the_node_publishes_what_the_bag_holds_bit_for_bit(tmp_path, ros_env):
    model = tmp_path / 'models'
    make_tiny_model(model, 'L', student='plain')
    source = bags.write(tmp_path / 'in', drive(4))
    words = ['bag', str(source), str(tmp_path / 'out'), '--model', str(model), *SMALL]
    assert cli.main([*words, '--outputs', *TOPICS]) == 0
    camera = Camera(bags.HW[1], bags.HW[0], bags.FOCAL, bags.FOCAL, *bags.CENTRE)
    parameters = {'model': str(model), 'input_width': 64, 'input_height': 32}
    with NodeProcess(ros_env, **parameters) as process, Peer() as peer:
        process.wait_for('ready:')
        peer.wait_for_subscriber()
        peer.listen(*TOPICS)
        for number, recorded in enumerate(messages_of(source, IMAGE)):
            image = node_message(recorded)
            peer.send(image, camera_to_info(camera, bags.HW, image.header))
            results = peer.wait_for_result(TOPICS, image.header)
            for topic in TOPICS:
                written = messages_of(tmp_path / 'out', f'/{topic}')[number]
                assert written.data.tobytes() == results[topic].data.tobytes(), topic
    assert all(np.isfinite(depth).any() for depth in depths(tmp_path / 'out'))
