# SPDX-License-Identifier: Apache-2.0
"""The parameter file and the docs say what the code says."""

import pytest
import yaml

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.setting import as_setting
from tools.generate_config import main, outdated, parameters_md
from tools.ros_env import ROOT

REMEDY = 'run `python -m tools.generate_config`'


def test_parameter_file_and_parameter_docs_are_up_to_date():
    assert outdated(['config/depth.yaml', 'docs/parameters.md']) == [], REMEDY


def test_topic_docs_are_up_to_date():
    pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')
    assert outdated(['docs/topics.md']) == [], REMEDY
    assert main(['--check']) == 0


def test_parameter_file_holds_every_parameter_at_its_default():
    loaded = yaml.safe_load((ROOT / 'config' / 'depth.yaml').read_text(encoding='utf-8'))
    values = {name: as_setting(value) for name, value in loaded['/**']['ros__parameters'].items()}
    assert NodeConfig(**values) == NodeConfig()


def test_an_outdated_file_is_found(monkeypatch):
    monkeypatch.setattr('tools.generate_config.settings', lambda: ())
    assert 'docs/parameters.md' in outdated(['docs/parameters.md'])
    assert '| `fit` |' not in parameters_md()
