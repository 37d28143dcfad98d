# SPDX-License-Identifier: Apache-2.0
"""Anchors over real DDS: subscribed only when asked for, used, told, and switched live."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from rclpy.qos import qos_profile_sensor_data
from ros_harness import NodeProcess, Peer
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32
from tiny_model import CANONICAL_FOCAL_PX, DEPTH_PER_RED_M, make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages

pytestmark = pytest.mark.ros

CAMERA = Camera(480, 320, 450.0, 450.0, 239.5, 159.5)
PREDICTED_M = 40 * DEPTH_PER_RED_M * CAMERA.fx / CANONICAL_FOCAL_PX
POINTS = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4')])


@pytest.fixture
def node(tmp_path, ros_env):
    make_tiny_model(tmp_path, 'L', student='plain')
    with NodeProcess(ros_env, model=str(tmp_path), camera_info_timeout_s=0.5) as process:
        process.wait_for('ready:')
        yield process


def send(peer: Peer, lidar, factor: float | None) -> np.ndarray:
    """Send an image, and before it a wall of lidar points, in the camera's own frame, at `factor`
    times the predicted depth; return the depth that comes."""
    header = peer.header()
    if factor is not None:
        z = PREDICTED_M * factor
        x, y = np.meshgrid(np.linspace(-0.5, 0.5, 40) * z, np.linspace(-0.3, 0.3, 30) * z)
        points = np.empty(x.shape, POINTS)
        points['x'], points['y'], points['z'] = x, y, z
        lidar.publish(messages.points_to_cloud(points, header))
        peer.spin_for(0.2)
    rgb = np.empty((320, 480, 3), np.uint8)
    rgb[:] = (40, 11, 200)
    info = messages.camera_to_info(CAMERA, (320, 480), header)
    peer.send(messages.rgb_to_image(rgb, header), info)
    got = peer.wait_for_result(('depth/image',), header)
    return messages.image_to_array(got['depth/image'])


def test_a_lidar_bends_depth_while_the_setting_asks_for_it(node):
    with Peer() as peer:
        lidar = peer.node.create_publisher(PointCloud2, 'anchor/points', qos_profile_sensor_data)
        peer.wait_for_subscriber()
        peer.listen('depth/image')
        peer.listen_to(Float32, 'depth/scale')
        assert np.median(send(peer, lidar, 1.5)) == pytest.approx(PREDICTED_M, rel=1e-4)
        assert lidar.get_subscription_count() == 0

        assert peer.set_parameter('anchor', 'clout')[0] is False
        assert peer.set_parameter('anchor', 'cloud') == (True, '')
        peer.spin_until(lambda: lidar.get_subscription_count() == 1, 'the node to subscribe')
        assert np.median(send(peer, lidar, 1.5)) == pytest.approx(1.5 * PREDICTED_M, rel=0.03)
        stats = peer.new_stats()
        assert stats['anchor'] == 'cloud'
        assert stats['anchor_points'] > 500
        assert stats['anchor_factor'] == pytest.approx(1.5, rel=0.03)
        peer.spin_until(lambda: peer.received['depth/scale'], 'depth/scale')
        assert peer.received['depth/scale'][-1].data == pytest.approx(1.5, rel=0.03)

        held = send(peer, lidar, None)  # the lidar is silent: the last factor holds
        assert np.median(held) == pytest.approx(1.5 * PREDICTED_M, rel=0.05)
        assert 'cloud: its nearest message is 1.00 s older' in peer.new_stats()['anchor_why_not']

        assert peer.set_parameter('anchor', 'none') == (True, '')
        peer.spin_until(lambda: lidar.get_subscription_count() == 0, 'the node to unsubscribe')
        assert np.median(send(peer, lidar, 1.5)) == pytest.approx(PREDICTED_M, rel=1e-4)
        assert 'anchor' not in peer.new_stats()
