# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile fits /dev/shm, and the node says what it really got."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from launch_stage import loaded, stage_for

from lightdepth_ros import shared_memory
from lightdepth_ros.shared_memory import (
    EXTRA_MB,
    MB,
    OVERHEAD,
    PROCESSES,
    PROFILES,
    VARIABLES,
    choose,
    report,
)
from tools.ros_env import ROOT, ros_environment

CONFIG = ROOT / 'config'
DDS = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
FREE_MB = (0.0, 8.0, 16.0, 17.0, 18.0, 64.0, 256.0, 272.0, 273.0, 24000.0)


def numbers(name: str, tag: str) -> list[int]:
    root = ElementTree.parse(CONFIG / name)
    return [int(element.text or 0) for element in root.iter(f'{DDS}{tag}')]


@pytest.mark.parametrize(('size_mb', 'name'), PROFILES.items())
def test_each_profile_asks_for_the_segment_that_it_stands_for(size_mb, name):
    assert numbers(name, 'segment_size') == [size_mb * MB]
    [largest] = numbers(name, 'maxMessageSize')
    assert largest <= size_mb * MB // 2


@pytest.mark.parametrize('free', FREE_MB)
def test_what_is_chosen_fits(free):
    size_of = {name: size for size, name in PROFILES.items()}
    chosen = size_of.get(choose(free), 0)
    needed = chosen * OVERHEAD + EXTRA_MB if chosen else 0
    assert needed <= free
    assert chosen in (0, min(PROFILES)) or needed * PROCESSES <= free


def test_a_container_of_64_mb_gets_the_small_profile_and_a_large_machine_the_large_one():
    assert choose(64.0) == 'fastdds_16mb.xml'
    assert choose(60.0) == 'fastdds_16mb.xml'  # another process has begun
    assert choose(24000.0) == 'fastdds.xml'
    assert choose(8.0) == ''


def test_launch_files_choose_as_the_package_does(monkeypatch):
    stage_for(monkeypatch)
    launch = loaded(ROOT / 'launch' / 'shared_memory.launch.py')
    assert [launch.choose(free) for free in FREE_MB] == [choose(free) for free in FREE_MB]
    for name in ('PROFILES', 'PROCESSES', 'OVERHEAD', 'EXTRA_MB', 'VARIABLES', 'TAKEN'):
        assert getattr(launch, name) == getattr(shared_memory, name)


def test_variables_of_the_user_stay():
    assert set(shared_memory.variables(CONFIG, {}, 1000.0)) == set(VARIABLES)
    for name in shared_memory.TAKEN:
        assert shared_memory.variables(CONFIG, {name: 'mine'}, 1000.0) == {}


PROFILE = {VARIABLES[0]: str(CONFIG / 'fastdds.xml')}


@pytest.mark.parametrize(
    ('env', 'segments', 'free', 'fine', 'sentence'),
    [
        (PROFILE, [64.0], 24000.0, True, 'Fast DDS shared memory: 64 MB ('),
        ({}, [0.5], 24000.0, True, 'start camera driver and node with config/fastdds.xml.'),
        ({}, [0.5], 64.0, True, 'start camera driver and node with config/fastdds_16mb.xml.'),
        (PROFILE, [], 64.0, False, 'no shared memory from'),
        (PROFILE, [], 4.0, False, 'docker run --shm-size=256m'),
        ({VARIABLES[1]: '/nowhere.xml'}, [0.5], 64.0, False, '/nowhere.xml is not there'),
    ],
)
def test_the_start_says_what_there_is_and_what_to_do(env, segments, free, fine, sentence):
    found, text = report(env, segments, free)
    assert found == fine
    assert sentence in text


def test_a_process_knows_its_own_segments(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_memory, 'FOLDER', tmp_path)
    assert shared_memory.own_segments_mb() == []
    assert shared_memory.own_segments_mb('no process') == []
    path = tmp_path / f'fastrtps_{"0123456789abcdef"}'
    code = (
        'import mmap, sys\n'
        f'file = open({str(path)!r}, "w+b"); file.truncate(3 << 20)\n'
        'kept = mmap.mmap(file.fileno(), 0)\n'
        'print("ready", flush=True); sys.stdin.read()'
    )
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
    with subprocess.Popen([sys.executable, '-c', code], **pipes) as process:
        assert process.stdout.readline() == b'ready\n'
        assert shared_memory.own_segments_mb(str(process.pid)) == [3.0]


SMALL = """
mount -t tmpfs -o size=64m tmpfs /dev/shm || exit 77
exec "$@"
"""
THREE_NODES = """
import rclpy
from lightdepth_ros import shared_memory

contexts = [rclpy.Context() for _ in range(3)]
nodes = []
for i, context in enumerate(contexts):
    rclpy.init(context=context)
    nodes.append(rclpy.create_node(f'n{i}', context=context))
print('segments', shared_memory.own_segments_mb())
"""


@pytest.mark.ros
@pytest.mark.parametrize('profile', ['chosen', 'fastdds.xml'])
def test_with_64_mb_the_chosen_profile_gets_its_segments_and_the_large_one_none(profile):
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    if os.geteuid() != 0 or shutil.which('unshare') is None:
        pytest.skip('mounting a small /dev/shm needs root and unshare')
    env = ros_environment(os.environ, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    name = choose(64.0) if profile == 'chosen' else profile
    env |= dict.fromkeys(VARIABLES, str(CONFIG / name))
    command = ['unshare', '-m', 'sh', '-c', SMALL, 'sh', sys.executable, '-c', THREE_NODES]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode == 77 or 'unshare' in done.stderr:
        pytest.skip(f'no small /dev/shm here: {done.stderr.strip()}')
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout.partition('segments ')[2])
    large = [size for size in sizes if size > 1]
    if profile == 'chosen':
        assert len(large) == 3
        assert all(16 <= size <= 16 * OVERHEAD for size in large)
        assert sum(sizes) <= 3 * (16 * OVERHEAD + EXTRA_MB)
    else:
        assert large == []
