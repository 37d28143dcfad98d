# SPDX-License-Identifier: Apache-2.0
"""Building and testing as users do: colcon and pip install a node, colcon runs the tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import conftest
import pytest

from tools.make_env import PACKAGE_PARTS
from tools.ros_env import ROOT


def test_node_wrapper_goes_on_with_the_python_of_its_virtual_environment(tmp_path: Path):
    wrapper = tmp_path / 'lib' / 'lightdepth_ros' / 'depth_node'
    python = tmp_path / 'bin' / 'python3'
    for path in (wrapper, python):
        path.parent.mkdir(parents=True)
    (tmp_path / 'pyvenv.cfg').touch()
    shutil.copy2(ROOT / 'scripts' / 'depth_node', wrapper)
    python.write_text('#!/bin/sh\necho "$@"\necho "mark=$_ROS_WHEELS_BOOTSTRAP_COMPLETE"\n')
    python.chmod(0o755)
    env = {**os.environ, '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1'}
    said = subprocess.run(
        [sys.executable, wrapper, '--ros-args', '-p', 'a:=b c'],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said == f'{wrapper} --ros-args -p a:=b c\nmark=\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a copy of what a build reads, so that it leaves nothing in the repository."""
    copy = tmp_path / 'src' / 'lightdepth_ros'
    copy.mkdir(parents=True)
    for part in PACKAGE_PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, copy / part, ignore=shutil.ignore_patterns('__pycache__'))
        elif path.exists():
            shutil.copy2(path, copy)
    return copy


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert result.returncode == 0, f'{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}'


def shared_files() -> list[str]:
    """Return the launch files and configurations of the repository, as installed."""
    found = [*(ROOT / 'launch').glob('*.launch.py'), *(ROOT / 'config').iterdir()]
    return [str(path.relative_to(ROOT)) for path in found]


def check_installed(prefix: Path, libraries: Path) -> None:
    """Check what `ros2 run`, `ros2 launch` and the ament index need under an install prefix."""
    assert (prefix / 'share/ament_index/resource_index/packages/lightdepth_ros').is_file()
    share = prefix / 'share' / 'lightdepth_ros'
    for name in ('package.xml', *shared_files()):
        assert (share / name).is_file(), name
    assert os.access(prefix / 'lib/lightdepth_ros/depth_node', os.X_OK)
    package = libraries / 'lightdepth_ros'
    shipped = {p.name for p in (ROOT / 'lightdepth_ros' / 'models').glob('*.*')}
    assert {p.name for p in (package / 'models').glob('*.*')} == shipped
    assert not (libraries / 'training').exists()


@pytest.mark.slow
def test_pip_installs_the_node_where_ros_looks_for_it(source: Path, tmp_path: Path):
    prefix = tmp_path / 'prefix'
    options = ['--no-deps', '--no-build-isolation', '--quiet', '--prefix', str(prefix)]
    options.append('--ignore-installed')  # or pip takes away what the environment itself has
    installed = Path(sys.prefix) / 'bin' / 'lightdepth'
    before = installed.is_file()
    run([sys.executable, '-m', 'pip', 'install', *options, str(source)], tmp_path)
    [libraries] = (prefix / 'lib').glob('python3.*/site-packages')
    check_installed(prefix, libraries)
    assert os.access(prefix / 'bin' / 'lightdepth', os.X_OK)
    assert installed.is_file() == before


@pytest.fixture
def colcon_install(source: Path, tmp_path: Path, ros_env: dict[str, str]) -> Path:
    """Build with colcon as in a ROS workspace; return the install folder."""
    colcon = shutil.which('colcon', path=ros_env['PATH'])
    if colcon is None:
        pytest.skip('no colcon: see requirements/test.txt')
    run([colcon, 'build', '--base-paths', str(source)], tmp_path, ros_env)
    return tmp_path / 'install' / 'lightdepth_ros'


@pytest.mark.slow
@pytest.mark.ros
def test_colcon_build_gives_a_node_that_starts_and_ends(
    colcon_install: Path, tmp_path: Path, ros_env: dict[str, str]
):
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    pytest.importorskip('onnx')
    from tiny_model import make_tiny_model

    [libraries] = (colcon_install / 'lib').glob('python3.*/site-packages')
    check_installed(colcon_install, libraries)
    assert os.access(colcon_install / 'lib/lightdepth_ros/lightdepth', os.X_OK)
    make_tiny_model(tmp_path / 'models', 'L', 'plain')
    log = tmp_path / 'node.log'
    # The colcon of the test set knows no ament hooks, so the overlay is made by hand.
    env = {**ros_env, 'PYTHONPATH': str(libraries)}
    env['AMENT_PREFIX_PATH'] = f'{colcon_install}:{ros_env["AMENT_PREFIX_PATH"]}'
    command = [str(colcon_install / 'lib/lightdepth_ros/depth_node'), '--ros-args']
    command += ['--params-file', str(colcon_install / 'share/lightdepth_ros/config/depth.yaml')]
    command += ['-p', f'model:={tmp_path / "models"}']
    with log.open('wb') as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 60
        while 'ready' not in log.read_text() and process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0, log.read_text()
    finally:
        process.kill()


COUNTED = """
import pytest

def test_quick(): pass

@pytest.mark.{marker}
def test_that_needs_more(): raise AssertionError('not a part of the fast suite')
"""


@pytest.mark.slow
@pytest.mark.ros
def test_colcon_test_runs_the_fast_suite_and_shows_its_count(
    colcon_install: Path, source: Path, tmp_path: Path, ros_env: dict[str, str]
):
    (source / 'test').mkdir()
    shutil.copytree(ROOT / 'tools', source / 'tools')
    shutil.copy2(ROOT / 'test' / 'conftest.py', source / 'test')
    for marker in ('ros', 'data', 'slow', 'gpu'):
        (source / 'test' / f'test_{marker}.py').write_text(COUNTED.format(marker=marker))
    where = ['--base-paths', str(source), '--packages-select', 'lightdepth_ros']
    env = {k: v for k, v in ros_env.items() if not k.startswith('PYTEST_')}
    colcon = shutil.which('colcon', path=env['PATH']) or 'colcon'
    run([colcon, 'test', *where, '--return-code-on-test-failure'], tmp_path, env)
    shown = subprocess.run(
        [colcon, 'test-result', '--all'], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert 'Summary: 4 tests, 0 errors, 0 failures, 0 skipped' in shown.stdout
    command = [
        colcon,
        'test',
        *where,
        '--return-code-on-test-failure',
        '--pytest-args',
        ' -m slow',
    ]
    other = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert other.returncode != 0  # what is asked for by name is run


def test_fast_suite_under_colcon_is_the_one_of_make_test():
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    assert f"-m pytest -q -m '{conftest.FAST}'" in makefile


@pytest.mark.slow
def test_a_file_whose_optional_library_is_missing_is_skipped_and_others_fail(tmp_path: Path):
    (tmp_path / 'conftest.py').write_text((ROOT / 'test' / 'conftest.py').read_text())
    (tmp_path / 'torch.py').write_text('raise ModuleNotFoundError("No module named \'torch\'")')
    (tmp_path / 'test_a.py').write_text('import torch')
    (tmp_path / 'test_b.py').write_text('import no_such_library')
    (tmp_path / 'test_c.py').write_text('def test_c(): pass')
    env = {**os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'}
    said = subprocess.run(
        [sys.executable, '-m', 'pytest', '-rsE', '-p', 'no:cacheprovider', str(tmp_path)],
        env=env, cwd=tmp_path, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert 'torch is not installed' in said
    assert re.search(r'ERROR \S*test_b.py', said)
    assert '1 skipped, 1 error' in said
