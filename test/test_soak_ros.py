# SPDX-License-Identifier: Apache-2.0
"""Everything that goes wrong on a robot, at once: the node must stay up, lose no count, and mix
or reorder nothing. LIGHTDEPTH_SOAK_S sets how long (default 15 s; `make soak` takes longer)."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from ros_harness import OUTPUT_TYPES, NodeProcess, Peer, memory_mib
from sensor_msgs.msg import CameraInfo, Image
from tiny_model import make_tiny_model

from lightdepth_ros import messages
from lightdepth_ros.camera import Camera

pytestmark = pytest.mark.ros

SOAK_S = float(os.environ.get('LIGHTDEPTH_SOAK_S', '15'))
LEAK_FROM_S = 120.0
"""Shorter runs cannot tell a leak from caches that are still filling."""
MAX_GROWTH_MIB = 5.0
RATE_HZ = 30.0
SETTINGS = [
    ('output_resolution', ('L', 'M', 'S', 'XS', 'auto', 'HUGE')),
    ('fit', ('crop', 'pad', 'adapt', '')),
    ('depth_scale', (1.0, 0.5, -1.0)),
    ('max_range_m', (80.0, 20.0, 0.0)),
    ('min_confidence', (0.0, 0.5, 2.0)),
    ('temporal_filter', (0.0, 0.8)),
    ('rate_limit_hz', (0.0, 20.0)),
    ('image_kind', ('auto', 'raw', 'rectified')),
    ('horizontal_fov_deg', (0.0, 70.0, 500.0)),
    ('max_latency_ms', (100.0, 5.0)),
    ('threads', (2,)),
]
FAULTY_ENGINE = """
import random, sys
from lightdepth_ros.engines import onnxruntime
from lightdepth_ros.errors import EngineError
run = onnxruntime.OnnxRuntimeEngine.run
def sometimes(self, image, outputs=('depth', 'label', 'confidence')):
    if random.random() < 0.01:
        raise EngineError('a fault on purpose')
    return run(self, image, outputs)
onnxruntime.OnnxRuntimeEngine.run = sometimes
from lightdepth_ros.depth_node import main
sys.exit(main())
"""


class FaultScript:
    """A camera, its consumers and its operator, all of them unreliable."""

    def __init__(self, peer: Peer, seed: int) -> None:
        self.peer = peer
        self.random = random.Random(seed)
        self.rgb = np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8)
        self.camera = Camera(640, 480, 600.0, 600.0, 319.5, 239.5)
        self.sent: list[int] = []
        self.counts: Counter[str] = Counter()
        self.quiet_until_s = 0.0
        self.next_setting_s = 0.0

    def step(self) -> None:
        """Do what happens in one thirtieth of a second."""
        now_s = time.monotonic()
        if now_s >= self.quiet_until_s:
            self.send_image()
        if self.random.random() < 0.003:
            self.quiet_until_s = now_s + 1.0  # the camera is unplugged
            self.counts['camera stopped'] += 1
        if now_s >= self.next_setting_s:
            self.next_setting_s = now_s + 0.6  # 100 a minute
            name, values = self.random.choice(SETTINGS)
            self.peer.set_parameter(name, self.random.choice(values))
            self.counts['settings'] += 1
        if self.random.random() < 0.02:
            self.change_subscribers()
        self.peer.spin_for(1 / RATE_HZ)

    def send_image(self) -> None:
        header = self.peer.header()
        image = messages.rgb_to_image(self.rgb, header)
        if self.random.random() < 0.02:
            self.corrupt(image)
            self.counts['corrupt images'] += 1
        self.sent.append(header.stamp.sec)
        self.peer.send(image, self.calibration(header))

    def corrupt(self, image: Image) -> None:
        kind = self.random.randrange(8)
        if kind < 4:
            name, value = [('step', 17), ('height', 0), ('width', 65535), ('encoding', 'x')][kind]
            setattr(image, name, value)
        elif kind == 4:
            image.height = image.width = 2**32 - 1
        elif kind == 5:
            image.data = image.data[:1000]
        elif kind == 6:
            image.data = type(image.data)('B')
        else:
            image.encoding = 'bgra8'

    def calibration(self, header) -> CameraInfo:
        info = messages.camera_to_info(self.camera, (480, 640), header)
        if self.random.random() < 0.03:
            kind = self.random.randrange(4)
            if kind == 0:
                info.k = [0.0] * 9
            elif kind == 1:
                info.width = 320
            elif kind == 2:
                info.d, info.distortion_model = [0.1, 0.2], 'mystery'
            else:
                info.d = [-0.1, 0.01, 0.0, 0.0, 0.0]
            self.counts['calibration flips'] += 1
        return info

    def change_subscribers(self) -> None:
        self.counts['subscribers changed'] += 1
        topic = self.random.choice(list(OUTPUT_TYPES))
        if self.peer.listening_to(topic):
            self.peer.stop_listening_to(topic)
        else:
            self.peer.listen_to(OUTPUT_TYPES[topic], topic)


def check_order(peer: Peer, sent: list[int]) -> None:
    """Stamps come in the order sent, each at most once, on every topic."""
    for topic in OUTPUT_TYPES:
        stamps = [msg.header.stamp.sec for msg in peer.received.get(topic, [])]
        assert stamps == sorted(set(stamps)), topic
        assert set(stamps) <= set(sent)


def check_sizes(peer: Peer) -> None:
    """All that one image gave has one size."""
    sizes: dict[int, set[tuple[int, int]]] = {}
    for topic in OUTPUT_TYPES:
        for msg in peer.received.get(topic, []):
            sizes.setdefault(msg.header.stamp.sec, set()).add((msg.height, msg.width))
    assert all(len(found) == 1 for found in sizes.values())


def test_node_survives_everything_at_once(tmp_path, ros_env):
    for exit_name in ('L', 'M', 'S', 'XS'):
        make_tiny_model(tmp_path, exit_name, student='plain')
    command = [sys.executable, '-c', FAULTY_ENGINE]
    parameters = {'model': str(tmp_path), 'camera_info_timeout_s': 0.5}
    with NodeProcess(ros_env, command=command, **parameters) as node, Peer() as peer:
        peer.wait_for_subscriber()
        peer.listen(*OUTPUT_TYPES)
        script = FaultScript(peer, seed=0)
        memories_mib = []
        end_s = time.monotonic() + SOAK_S
        while time.monotonic() < end_s:
            script.step()
            assert node.running, node.log
            if len(script.sent) % 300 == 0:
                memories_mib.append(memory_mib(node.pid))
                check_order(peer, script.sent)
                check_sizes(peer)
                for topic in OUTPUT_TYPES:
                    peer.received.get(topic, []).clear()
        check_order(peer, script.sent)
        check_sizes(peer)
        stats = peer.new_stats()
        print(dict(script.counts), stats, memories_mib)
        total = stats['published'] + sum(stats['dropped'].values()) + stats['in_work']
        assert stats['received'] == total
        assert stats['published'] > 0
        if SOAK_S >= LEAK_FROM_S:
            half = memories_mib[len(memories_mib) // 2 :]
            assert max(half) - half[0] < MAX_GROWTH_MIB, memories_mib
        code, _ = node.stop(signal.SIGINT)
        assert code == 0, node.log
        assert 'Traceback' not in node.log
