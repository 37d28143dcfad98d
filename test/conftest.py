# SPDX-License-Identifier: Apache-2.0
"""What all tests share: where the road data lies, a ROS domain of their own, and what runs under
colcon on a machine that has ROS but not every library of requirements/.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tools.ros_env import ROOT, claim_domain_id, node_executable, ros_environment

DATA_TREE = 'kitti/manifest.csv'
FAST = 'not ros and not data and not slow and not gpu'
"""The markers of the fast suite, as in the Makefile."""
OPTIONAL = {
    'apsw', 'hypothesis', 'lightning', 'matplotlib', 'onnx', 'psutil', 'rich', 'rosbags', 'scipy',
    'torch', 'torchmetrics',
}  # fmt: skip
"""Libraries without which the node runs: a test file that needs a missing one is skipped."""


def pytest_configure(config: pytest.Config) -> None:
    """Put this run into a ROS domain of its own, before any test imports rclpy."""
    if 'COLCON' in os.environ and not config.option.markexpr:
        config.option.markexpr = FAST  # others: colcon test --pytest-args " -m ros"
    env = ros_environment(os.environ, domain_id=claim_domain_id())
    # LD_LIBRARY_PATH was read when this process started; here only what is read later matters.
    for name in ('PYTHONPATH', 'RMW_IMPLEMENTATION'):
        if name not in env:
            os.environ.pop(name, None)
    os.environ.update(env)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """Skip a test file that cannot be imported because an optional library is missing."""
    report = (yield).get_result()
    missing = (
        re.search(r"No module named '(\w+)'", str(report.longrepr)) if report.failed else None
    )
    if missing and missing[1] in OPTIONAL:
        report.outcome = 'skipped'
        report.longrepr = (str(collector.path), 1, f'Skipped: {missing[1]} is not installed')


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Return the road data folder of `data` tests, or skip."""
    given = os.environ.get('LIGHTDEPTH_DATA')
    folder = Path(given) if given else ROOT.parent / 'shared' / 'data'
    if not (folder / DATA_TREE).is_file():
        if given:
            pytest.fail(f'LIGHTDEPTH_DATA is {given}, but {DATA_TREE} is not in it')
        pytest.skip(f'no road data: {folder / DATA_TREE} is not there (or set LIGHTDEPTH_DATA)')
    return folder


@pytest.fixture(scope='session')
def ros_env() -> dict[str, str]:
    """Return the variables for a child process that shall talk to this test run over DDS."""
    return ros_environment(os.environ, domain_id=int(os.environ['ROS_DOMAIN_ID']))


@pytest.fixture(scope='session')
def installed_node() -> Path:
    """Return the installed depth_node executable; without one the test cannot say anything."""
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    path = node_executable()
    if not path.is_file():
        pytest.fail(f'{path} is not there: install the package with `make install`')
    return path
