# SPDX-License-Identifier: Apache-2.0
"""The short form of `make soak`: everything that goes wrong on a robot, each fault at least once.

LIGHTDEPTH_SOAK_S sets how long it goes on at least. Memory and latency need a longer run."""

from __future__ import annotations

import os

import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from tiny_model import make_tiny_model

from tools.soak import soak
from tools.soak_report import text, verdicts

pytestmark = pytest.mark.ros

SOAK_S = float(os.environ.get('LIGHTDEPTH_SOAK_S', '25'))


def test_node_survives_everything_at_once(tmp_path):
    models, work = tmp_path / 'models', tmp_path / 'work'
    work.mkdir()
    for exit_name in ('L', 'M', 'S', 'XS'):
        make_tiny_model(models, exit_name, student='plain')
    parameters = {'model': str(models), 'backend': 'auto'}
    run = soak(SOAK_S, parameters=parameters, command='test', folder=work)
    print(text(run))
    assert [v for v in verdicts(run) if v.ok is False] == []
    assert run.rounds >= 1
    judged = {v.name for v in verdicts(run) if v.ok}
    assert len(judged) >= 8  # all but memory and latency
