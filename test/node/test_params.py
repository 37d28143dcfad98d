# SPDX-License-Identifier: Apache-2.0
"""Every setting is a described, limited ROS parameter; wrong values are refused with a reason."""

import dataclasses

import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from rclpy.parameter import Parameter

from lightdepth_ros.config import NodeConfig, settings
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.node.params import changed, descriptor

SETTINGS = {setting.name: setting for setting in settings()}


@pytest.mark.parametrize('name', SETTINGS)
def test_descriptor_tells_meaning_unit_and_limits(name):
    setting = SETTINGS[name]
    described = descriptor(setting)
    assert setting.help in described.description
    if setting.unit:
        assert f'[{setting.unit}]' in described.description
    ranges = [*described.integer_range, *described.floating_point_range]
    assert [(r.from_value, r.to_value) for r in ranges] == (
        [setting.limits] if setting.limits else []
    )
    for choice in setting.choices:
        assert choice in described.additional_constraints
    assert setting.fixed in described.additional_constraints


def test_step_is_part_of_the_range():
    assert descriptor(SETTINGS['input_width']).integer_range[0].step == 32


def test_change_gives_a_new_config_and_passes_over_parameters_of_others():
    parameters = [Parameter('fit', value='pad'), Parameter('use_sim_time', value=True)]
    config = changed(NodeConfig(), parameters, configured=True)
    assert config == dataclasses.replace(NodeConfig(), fit='pad')


def test_two_values_that_only_fit_together_are_accepted_together():
    parameters = [
        Parameter('min_range_m', value=100.0),
        Parameter('max_range_m', value=200.0),
    ]
    config = changed(NodeConfig(), parameters, configured=True)
    assert (config.min_range_m, config.max_range_m) == (100.0, 200.0)
    with pytest.raises(ConfigError, match='the first must be the smaller one'):
        changed(NodeConfig(), parameters[:1], configured=True)


@pytest.mark.parametrize('name', [s.name for s in settings() if s.fixed])
def test_fixed_setting_cannot_change_while_configured_and_the_reason_is_told(name):
    setting = SETTINGS[name]
    others = {bool: False, int: 64, str: 'other', tuple: ('front',)}
    value = setting.choices[-1] if setting.choices else others[type(setting.default)]
    with pytest.raises(ConfigError, match=setting.fixed):
        changed(NodeConfig(), [Parameter(name, value=value)], configured=True)
    same = [Parameter(name, value=setting.default)]
    assert changed(NodeConfig(), same, configured=True) == NodeConfig()
    config = changed(NodeConfig(), [Parameter(name, value=value)], configured=False)
    assert getattr(config, name) == value
