# SPDX-License-Identifier: Apache-2.0
"""A user without a home has caches and logs all the same, and nobody else can write to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lightdepth_ros import folders
from lightdepth_ros.engines.cache import cache_dir
from tools.ros_env import ROOT


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, 'tempdir', str(tmp_path))
    folders.own_temporary.cache_clear()
    yield tmp_path
    folders.own_temporary.cache_clear()


@pytest.fixture
def homeless(temporary, monkeypatch):
    def none() -> Path:
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.setattr(folders.Path, 'home', none)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    return temporary


def test_the_cache_is_that_of_the_desktop_standard_where_there_is_a_home(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert cache_dir() == tmp_path / '.cache' / 'lightdepth_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', '/var/mine')
    assert cache_dir() == Path('/var/mine/lightdepth_ros')


def test_without_a_home_the_cache_is_private_and_the_same_at_the_next_start(homeless):
    first = cache_dir()
    assert first.parent == homeless / f'lightdepth_ros-{os.getuid()}'
    assert first.parent.stat().st_mode & 0o777 == 0o700
    folders.own_temporary.cache_clear()
    assert cache_dir() == first


@pytest.mark.parametrize('trap', ['open to all', 'a link', 'a file'])
def test_a_folder_that_somebody_else_has_prepared_is_not_used(temporary, trap):
    expected = temporary / f'lightdepth_ros-{os.getuid()}'
    if trap == 'open to all':
        expected.mkdir()
        expected.chmod(0o777)
    elif trap == 'a link':
        (temporary / 'theirs').mkdir(mode=0o700)
        expected.symlink_to(temporary / 'theirs')
    else:
        expected.write_text('')
    found = folders.own_temporary()
    assert found != expected
    assert found.stat().st_mode & 0o777 == 0o700


def test_ros_writes_its_logs_where_it_wants_to_if_it_can(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert folders.ros_log_folder({'HOME': str(tmp_path)}) == ('', '')
    assert folders.ros_log_folder({'ROS_LOG_DIR': str(tmp_path / 'a')}) == ('', '')
    assert folders.ros_log_folder({'ROS_HOME': str(tmp_path / 'b')}) == ('', '')


@pytest.mark.parametrize(
    ('env', 'why'),
    [
        ({}, 'there is no HOME, so logs go to '),
        ({'HOME': '/proc'}, '/proc/.ros/log cannot be written, so logs go to '),
        ({'ROS_LOG_DIR': '/proc/log'}, '/proc/log cannot be written, so logs go to '),
    ],
)
def test_else_they_go_to_a_folder_of_its_own_and_that_is_said(temporary, monkeypatch, env, why):
    monkeypatch.setenv('HOME', env.get('HOME', ''))
    folder, sentence = folders.ros_log_folder(env)
    assert folder == str(temporary / f'lightdepth_ros-{os.getuid()}' / 'ros_log')
    assert sentence.startswith(why)
    assert 'Set ROS_LOG_DIR' in sentence


STRANGER = (
    *('setpriv', '--reuid', '54321', '--regid', '54321', '--clear-groups'),
    *('--inh-caps', '+dac_read_search', '--ambient-caps', '+dac_read_search'),
)
"""A user whom the passwd file does not know, who may read what root has installed."""


def as_stranger(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    if os.geteuid() != 0 or shutil.which('setpriv') is None:
        pytest.skip('becoming another user needs root and setpriv')
    kept = {k: v for k, v in os.environ.items() if k not in ('HOME', 'USER', 'XDG_CACHE_HOME')}
    return subprocess.run(
        [*STRANGER, sys.executable, *command],
        env=kept | {'PYTHONPATH': str(ROOT)} | env,
        cwd='/',
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize('env', [{}, {'HOME': '/'}])
def test_the_command_line_works_for_a_user_without_home_and_name(env):
    done = as_stranger('-m', 'lightdepth_ros.cli', 'engine', 'list', **env)
    assert done.returncode == 0, done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.ros
@pytest.mark.parametrize('env', [{}, {'HOME': '/'}])
def test_the_node_starts_for_a_user_without_home_and_name(env):
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    done = as_stranger(
        '-m', 'lightdepth_ros.node.depth_node', '--ros-args', '-p', 'fit:=stretch', **env
    )
    assert done.returncode == 2, done.stderr
    assert 'so logs go to /tmp/lightdepth_ros-54321/ros_log' in done.stderr + done.stdout
    assert "fit is 'stretch'; it must be one of" in done.stderr + done.stdout
