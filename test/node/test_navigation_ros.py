# SPDX-License-Identifier: Apache-2.0
"""The running node as a costmap meets it: with a costmap's QoS, started as by a launch file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from launch_stage import stage_for
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_harness import OUTPUT_TYPES, NodeProcess, Peer
from semantic_layer import check_frame, check_labels
from tiny_model import make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.node import topics
from lightdepth_ros.node.topics import LATCHED
from lightdepth_ros.stream import messages
from tools.ros_env import ROOT

pytestmark = pytest.mark.ros

CAMERA = Camera(480, 320, 450.0, 450.0, 239.5, 159.5)
SENSOR_DATA = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""As Nav2's layers subscribe."""
LABELS = QoSProfile(
    depth=5,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""As semantic_segmentation_layer subscribes to its labels."""


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp('models')
    make_tiny_model(folder, 'L', student='plain')
    return str(folder)


def picture(peer: Peer, red: int) -> tuple[Any, Any, Any]:
    """Return (header, image, camera_info); labels and confidence differ from column to column."""
    header = peer.header()
    columns = np.arange(480) // 24
    rgb = np.empty((320, 480, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = red, columns % 19, columns * 12
    info = messages.camera_to_info(CAMERA, (320, 480), header)
    return header, messages.rgb_to_image(rgb, header), info


def subscribe(peer: Peer, message_type: Any, topic: str, qos: QoSProfile) -> list[Any]:
    got: list[Any] = []
    peer.node.create_subscription(message_type, topic, got.append, qos)
    return got


def test_semantic_layer_gets_whole_frames_and_the_labels(models: str, ros_env: dict[str, str]):
    text = (ROOT / 'config' / 'nav2_semantic.yaml').read_text(encoding='utf-8')
    costmap = yaml.safe_load(text)['local_costmap']['local_costmap']['ros__parameters']
    camera = costmap['semantic_layer']['camera']
    with NodeProcess(ros_env, model=models) as node, Peer() as peer:
        node.wait_for('ready:')
        peer.wait_for_subscriber()
        names = ('segmentation_topic', 'confidence_topic', 'pointcloud_topic')
        wanted = [camera[name] for name in names]
        got = [subscribe(peer, OUTPUT_TYPES[t[1:]], t, SENSOR_DATA) for t in wanted]
        label_type = topics.String if topics.vision_msgs is None else topics.vision_msgs.LabelInfo
        labels = subscribe(peer, label_type, camera['labels_topic'], LABELS)
        peer.spin_until(lambda: labels, 'the latched labels')
        peer.spin_until(
            lambda: all(peer.new_stats()['subscribers'][t[1:]] for t in wanted), 'subscribers'
        )
        for red in (10, 20, 30):
            _, image, info = picture(peer, red)
            peer.send(image, info)
            peer.spin_for(0.2)
        peer.spin_until(lambda: all(got), f'a frame on {wanted}')
    by_stamp = [{m.header.stamp.sec: m for m in each} for each in got]
    whole = set(by_stamp[0]) & set(by_stamp[1]) & set(by_stamp[2])
    assert whole
    for stamp in whole:
        check_frame(*(each[stamp] for each in by_stamp))
    groups = {name: camera[name] for name in camera['class_types']}
    check_labels(class_map(labels[0]), got[0][0], groups)


def class_map(labels: Any) -> dict[int, str]:
    if topics.vision_msgs is None:
        return {c['class_id']: c['class_name'] for c in json.loads(labels.data)['class_map']}
    return {c.class_id: c.class_name for c in labels.class_map}


def test_labels_are_published_as_their_readers_subscribe():
    assert LATCHED.reliability == LABELS.reliability
    assert LATCHED.durability == LABELS.durability


def test_two_cameras_run_as_their_launch_file_starts_them(
    models: str, ros_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    path = ROOT / 'launch' / 'two_cameras.launch.py'
    with monkeypatch.context() as only_here:
        [started] = stage_for(only_here).started(path, model=models)
    file, parameters = started.parameters
    arguments = ['--params-file', file]
    for name, target in started.remappings:
        arguments += ['-r', f'{name}:={target}']
    with (
        NodeProcess(ros_env, *arguments, **parameters) as node,
        Peer('/front', camera=0) as front,
        Peer('/left', camera=1) as left,
    ):
        node.wait_for('ready:')
        assert '/front/image_raw' in node.log
        for peer, red in ((front, 20), (left, 60)):
            sender = peer.node.create_publisher(topics.Image, 'image_raw', 5)
            informer = peer.node.create_publisher(topics.CameraInfo, 'camera_info', 5)
            peer.spin_until(informer.get_subscription_count, 'the node to subscribe')
            peer.spin_until(sender.get_subscription_count, 'the node to subscribe to image_raw')
            peer.listen('points_obstacles', 'depth/image')
            header, image, info = picture(peer, red)
            informer.publish(info)
            peer.spin_for(0.1)  # topics are not ordered among each other
            sender.publish(image)
            got = peer.wait_for_result(['points_obstacles', 'depth/image'], header)
            depth_m = messages.image_to_array(got['depth/image'])
            np.testing.assert_allclose(depth_m[0, 30], red * 0.5 * 450 / 600, rtol=1e-5)
