# SPDX-License-Identifier: Apache-2.0
"""The node's subscriptions over real DDS: they follow their publishers, and lose nothing by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from ros_harness import NodeProcess, Peer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tiny_model import make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages

pytestmark = pytest.mark.ros

CAMERA = Camera(480, 320, 450.0, 450.0, 239.5, 159.5)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
PERIOD_S = 0.04


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp('model'), 'L', student='plain'))


@contextmanager
def pair(
    ros_env: dict[str, str], name: str, *arguments: str, **parameters: Any
) -> Iterator[tuple[NodeProcess, Peer]]:
    """Start a node in the namespace `name` that listens to topics below /NAME_camera, where
    nobody publishes yet, and a peer for it."""
    topics = [part for t in ('image', 'camera_info') for part in ('-r', f'{t}:=/{name}_cam/{t}')]
    arguments = ('-r', f'__ns:=/{name}', *(arguments or topics))
    with (
        NodeProcess(ros_env, *arguments, **parameters) as node,
        Peer(f'/{name}', f'/{name}/depth_node') as peer,
    ):
        yield node, peer


def picture(peer: Peer) -> tuple[Any, Image]:
    header = peer.header()
    return header, messages.rgb_to_image(np.full((320, 480, 3), 40, np.uint8), header)


def asked(peer: Peer, topic: str) -> list[ReliabilityPolicy]:
    """Return the reliability of every subscription on a topic."""
    found = peer.node.get_subscriptions_info_by_topic(topic)
    return [info.qos_profile.reliability for info in found]


def status(peer: Peer) -> Any:
    """Return the newest status of the peer's own node, which is not alone in this domain."""
    name = peer.node.get_namespace() + '/depth_node'
    while True:
        peer.new_diagnostics()
        for array in reversed(peer.received['/diagnostics']):
            for found in array.status:
                if found.name == name:
                    return found


def test_image_subscription_follows_its_publishers_and_loses_nothing(model, ros_env):
    with pair(ros_env, 'follow', model=model, camera_info_timeout_s=0.0) as (node, peer):
        node.wait_for('ready:')
        topic = '/follow_cam/image'
        peer.spin_until(lambda: asked(peer, topic) == [BEST_EFFORT], 'a subscription for anybody')
        sent = 0
        camera = peer.node.create_publisher(Image, topic, 5)
        peer.spin_until(camera.get_subscription_count, 'a match')

        def send() -> None:
            nonlocal sent
            camera.publish(picture(peer)[1])
            sent += 1
            peer.spin_for(PERIOD_S)

        def send_until(wanted: list[ReliabilityPolicy]) -> None:
            for _ in range(int(20 / PERIOD_S)):
                send()
                if asked(peer, topic) == wanted:
                    return
            raise AssertionError(f'{asked(peer, topic)} is not {wanted}')

        send_until([RELIABLE])
        other = peer.node.create_publisher(Image, topic, qos_profile_sensor_data)
        send_until([BEST_EFFORT])
        peer.spin_until(other.get_subscription_count, 'the other camera to be heard')
        peer.node.destroy_publisher(other)
        send_until([RELIABLE])
        assert peer.set_parameter('image_reliability', 'best_effort')[0]
        send_until([BEST_EFFORT])
        send()
        peer.spin_for(0.5)
        stats = peer.new_stats()
        missed = sent - stats['received'] - stats['not_delivered']
        assert 0 <= missed <= 5, stats  # sent before the first subscription had matched
        assert stats['not_delivered'] <= 0.15 * sent, stats  # a busy machine
        assert 'QoS does not fit' not in node.log


def test_camera_info_latched_once_before_the_node_starts_gives_a_cloud(model, ros_env):
    with Peer('/before', '/latch/depth_node') as early:
        info = messages.camera_to_info(CAMERA, (320, 480), early.header())
        latched = early.node.create_publisher(CameraInfo, '/latch_cam/camera_info', LATCHED)
        latched.publish(info)
        camera = early.node.create_publisher(Image, '/latch_cam/image', 5)
        with pair(ros_env, 'latch', model=model) as (node, peer):
            node.wait_for('ready:')
            peer.listen('points')
            peer.spin_until(camera.get_subscription_count, 'the node to subscribe')

            def calibrated() -> bool:
                camera.publish(picture(early)[1])
                return bool(peer.received['points'])

            peer.spin_until(calibrated, 'a cloud')
            assert 'focal length 450.0 px' in peer.new_stats()['calibration']

            # Another publisher that is not latched takes nothing away from the first.
            early.node.create_publisher(CameraInfo, '/latch_cam/camera_info', 5).publish(info)
            both = sorted([DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL])
            peer.spin_until(
                lambda: (
                    sorted(
                        i.qos_profile.durability
                        for i in peer.node.get_subscriptions_info_by_topic(
                            '/latch_cam/camera_info'
                        )
                    )
                    == both
                ),
                'a subscription for each',
            )
            assert 'QoS does not fit' not in node.log


def test_a_raw_node_beside_a_compressed_camera_names_the_topic_and_the_parameter(model, ros_env):
    with pair(ros_env, 'raw', model=model) as (node, peer):
        peer.node.create_publisher(CompressedImage, '/raw_cam/image/compressed', 5)
        node.wait_for('ready:')
        why = 'publishes /raw_cam/image/compressed instead'
        peer.spin_until(lambda: why in status(peer).message, 'the compressed topic to be named')
        assert status(peer).level == b'\x02'
        assert 'Start this node with image_transport compressed' in status(peer).message


def test_an_image_topic_that_names_the_transport_itself_is_taken_as_it_is(model, ros_env):
    remap = ('-r', 'image:=/zip_cam/image_raw/compressed', '-r', 'camera_info:=/zip_cam/info')
    with pair(ros_env, 'zip', *remap, model=model, image_transport='compressed') as (node, _):
        node.wait_for('images from /zip_cam/image_raw/compressed with /zip_cam/info')


def test_a_node_waits_for_its_manager_aloud_and_stays_finalized_after_shutdown(model, ros_env):
    with pair(ros_env, 'managed', model=model, autostart=False) as (node, peer):
        node.wait_for('autostart is false: waiting for a lifecycle manager')
        node.wait_for('ros2 lifecycle set /managed/depth_node configure')
        peer.spin_until(
            lambda: status(peer).message.startswith('unconfigured: no image'), 'unconfigured'
        )
        assert peer.transition('shutdown')
        peer.spin_until(
            lambda: status(peer).message.startswith('finalized: no image'), 'finalized'
        )
        assert status(peer).level == b'\x01'
