# SPDX-License-Identifier: Apache-2.0
"""What users see of an engine that is built, refused, or interrupted: depth_node as a process,
with the stand-in for TensorRT (test/fake_tensorrt.py) as its backend."""

import signal
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from ros_harness import NodeProcess, Peer
from tiny_model import CANONICAL_FOCAL_PX, DEPTH_PER_RED_M, make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages
from lightdepth_ros.stream.health import ERROR, OK, WARN

pytestmark = pytest.mark.ros

CAMERA = Camera(480, 320, 450.0, 450.0, 239.5, 159.5)
STOP_S = 3.0
"""A stop must take less than a second; the rest is for a machine that is busy with other tests."""

NODE = """
import pathlib, sys, threading, time
sys.path.insert(0, 'test')
from fake_tensorrt import FakeCuda, fake_trt
from lightdepth_ros.engines import handover as engine_handover
from lightdepth_ros.engines import tensorrt, tensorrt_build

folder, factor = pathlib.Path(sys.argv[1]), float(sys.argv[2])
cuda = FakeCuda()
trt = fake_trt(cuda)
trt.gate.clear()
cuda.fault = lambda found: found.update(depth=found['depth'] * factor)
tensorrt.import_tensorrt, tensorrt.import_cuda = lambda: trt, lambda: cuda
tensorrt_build.REPORT_S, engine_handover.PATIENCE_S = 0.3, 0.2

def open_gate():
    while not (folder / 'gate').exists():
        time.sleep(0.02)
    trt.gate.set()

threading.Thread(target=open_gate, daemon=True).start()
from lightdepth_ros.node.depth_node import leave, main
leave(main(sys.argv[3:]))
"""


class Start:
    """Starts a node whose engine is not finished before `finish_build`."""

    def __init__(self, folder, ros_env) -> None:
        self.folder = folder
        self.env = ros_env | {'XDG_CACHE_HOME': str(folder / 'cache')}
        for exit_name in ('L', 'S'):
            make_tiny_model(folder, exit_name, student='plain')

    def node(self, factor: float = 1.0) -> NodeProcess:
        command = [sys.executable, '-c', NODE, str(self.folder), str(factor)]
        return NodeProcess(self.env, command=command, model=str(self.folder), backend='tensorrt')

    def finish_build(self) -> None:
        (self.folder / 'gate').touch()


@pytest.fixture
def start(tmp_path, ros_env):
    return Start(tmp_path, ros_env)


def depth_is_right(peer: Peer) -> bool:
    """Send a frame of even colour and compare the depth that comes back."""
    header = peer.header()
    rgb = np.full((320, 480, 3), 40, np.uint8)
    info = messages.camera_to_info(CAMERA, (320, 480), header)
    peer.send(messages.rgb_to_image(rgb, header), info)
    depth = messages.image_to_array(peer.wait_for_result(['depth/image'], header)['depth/image'])
    expected_m = 40 * DEPTH_PER_RED_M * CAMERA.fx / CANONICAL_FOCAL_PX
    return bool(np.allclose(depth, expected_m, rtol=5e-3))


def status_saying(peer: Peer, text: str):
    """Send frames until /diagnostics says `text` in its message; return that status."""
    found = []

    def said() -> bool:
        assert depth_is_right(peer)  # a camera that is silent would be the worse news
        status = peer.new_diagnostics()
        found[:] = [status] if text in status.message else []
        return bool(found)

    peer.spin_until(said, text)
    return found[0]


def test_build_is_shown_frames_are_served_and_the_engine_takes_over(start):
    with start.node() as node, Peer() as peer:
        peer.wait_for_subscriber()
        peer.listen('depth/image')
        assert depth_is_right(peer)
        node.wait_for('so far')
        stats = peer.new_stats()
        assert (stats['engine'], stats['backend']) == ('building', 'onnxruntime')
        assert status_saying(peer, 'building the tensorrt').level == bytes([WARN])
        start.finish_build()
        peer.spin_until(lambda: peer.new_stats()['engine'] == 'ready', 'the engine')
        assert peer.new_stats()['backend'] == 'tensorrt'
        assert depth_is_right(peer)
        status = status_saying(peer, 'frames/s')
        values = {pair.key: pair.value for pair in status.values}
        assert 'Stand-in GPU' in status.hardware_id
        assert 'on the golden frame' in values['engine_note']
        assert status.level == bytes([OK])
        assert 'tensorrt fp16 serves from now on' in node.log


def test_engine_with_wrong_numbers_is_an_error_in_diagnostics_and_onnxruntime_serves(start):
    start.finish_build()
    with start.node(factor=1.02) as node, Peer() as peer:
        peer.wait_for_subscriber()
        peer.listen('depth/image')
        peer.spin_until(lambda: peer.new_stats()['engine'] == 'refused', 'the verdict')
        assert depth_is_right(peer)
        status = status_saying(peer, 'depth differs by 2.00%')
        assert status.level == bytes([ERROR])
        assert 'onnxruntime serves' in status.message
        assert peer.new_stats()['backend'] == 'onnxruntime'
        assert '[WARN]' in next(line for line in node.log.splitlines() if 'refused' in line)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_middle_of_a_build_ends_the_node_with_zero(start, number):
    with start.node() as node:
        node.wait_for('ready:')
        node.wait_for('so far')
        segments = node.shared_memory
        code, seconds = node.stop(number)
        assert code == 0, node.log
        assert segments
        assert not any(segment.exists() for segment in segments)
        assert seconds < STOP_S
        print(f'{number.name}: {seconds:.2f} s')
        assert 'Traceback' not in node.log
