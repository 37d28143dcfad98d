# SPDX-License-Identifier: Apache-2.0
"""The launch files under a real ROS 2: runs wherever launch_ros and the built package are there.

test_launch.py and test_launch_examples.py check the same files without ROS, against stand-ins;
this is the real thing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.ros_env import ROOT

pytest.importorskip('launch_ros', reason='no launch_ros: it is not to be had as a wheel')
rclpy = pytest.importorskip('rclpy')

pytestmark = pytest.mark.ros
PATIENCE_S = 60.0


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `ros2 launch` as a user would, in a namespace, with RViz asked for."""
    ros2 = shutil.which('ros2')
    if ros2 is None:
        pytest.skip('launch_ros is there, but not the command ros2')
    command = [ros2, 'launch', 'lightdepth_ros', 'depth.launch.py', 'namespace:=front']
    with (tmp_path / 'launch.log').open('wb') as log:
        process = subprocess.Popen(
            [*command, 'rviz:=false', 'output_resolution:=XS'],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
            start_new_session=True,
        )
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize('name', sorted(p.name for p in (ROOT / 'launch').glob('*.launch.py')))
def test_launch_shows_the_arguments_of_every_file(name: str):
    ros2 = shutil.which('ros2')
    if ros2 is None:
        pytest.skip('launch_ros is there, but not the command ros2')
    shown = subprocess.run(
        [ros2, 'launch', 'lightdepth_ros', name, '--show-args'],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    ).stdout
    expected = 'range_max' if name == 'laserscan.launch.py' else 'params_file'
    assert f"'{expected}'" in shown


def until(said: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Wait for something to become true, for as long as the launch runs."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if said():
            return True
        time.sleep(0.2)
    return said()


def test_launch_starts_the_node_in_its_namespace_and_ends_on_interrupt(launched):
    rclpy.init()
    try:
        node = rclpy.create_node('launch_watcher')
        assert until(lambda: node.count_publishers('/front/depth/image') == 1, launched)
        assert until(lambda: node.count_subscribers('/front/image') == 1, launched)
    finally:
        rclpy.try_shutdown()
    os.killpg(launched.pid, signal.SIGINT)
    assert launched.wait(timeout=20) == 0
