# SPDX-License-Identifier: Apache-2.0
"""NodeConfig <-> ROS parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from lightdepth_ros.config import NodeConfig, Setting, Value, settings
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.setting import as_setting


def descriptor(setting: Setting) -> ParameterDescriptor:
    """Return what `ros2 param describe` and rqt_reconfigure show of a setting."""
    unit = f' [{setting.unit}]' if setting.unit else ''
    described = ParameterDescriptor(
        name=setting.name,
        description=f'{setting.help}{unit}',
        additional_constraints=rule(setting),
    )
    if setting.limits is not None:
        low, high = setting.limits
        if isinstance(setting.default, int):
            limits = IntegerRange(from_value=int(low), to_value=int(high), step=setting.step)
            described.integer_range = [limits]
        else:
            described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return described


def rule(setting: Setting) -> str:
    """Return what a range cannot say: the allowed words, and whether the value is fixed."""
    choices = f'One of {", ".join(setting.choices)}.' if setting.choices else ''
    fixed = f'Fixed while the node is configured: {setting.fixed}.' if setting.fixed else ''
    return ' '.join(part for part in (choices, fixed) if part)


def to_ros(value: Value) -> bool | int | float | str | list[str]:
    """Return a setting's value as rclpy takes it: lists for tuples."""
    return list(value) if isinstance(value, tuple) else value


def declare(node: Node) -> NodeConfig:
    """Declare every setting and return what the user's files and arguments say.

    Raises ConfigError for a value of a wrong type or out of its limits.
    """
    values = {}
    for setting in settings():
        try:
            parameter = node.declare_parameter(
                setting.name, to_ros(setting.default), descriptor(setting)
            )
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            hint = ' Write a decimal point.' if isinstance(setting.default, float) else ''
            raise ConfigError(
                f'{error}.{hint} {setting.name} means: {setting.help} Correct the parameter file '
                'or argument that sets it.'
            ) from error
        values[setting.name] = as_setting(parameter.value)
    return NodeConfig(**values)


def changed(config: NodeConfig, parameters: Iterable[Parameter], configured: bool) -> NodeConfig:
    """Return `config` with the values of `parameters`; those of others are passed over.

    configured: the node is past its configure transition, so fixed settings must stay. Raises
    ConfigError, whose text is the reason a user sees.
    """
    known = {setting.name: setting for setting in settings()}
    changes: dict[str, Any] = {}
    for parameter in parameters:
        setting = known.get(parameter.name)
        if setting is None:
            continue
        value = as_setting(parameter.value)
        if configured and setting.fixed and value != getattr(config, setting.name):
            raise ConfigError(
                f'{setting.name} cannot change while the node is configured: {setting.fixed}. '
                'Run `ros2 lifecycle set <node> deactivate` and `cleanup`, set it, then '
                '`configure` and `activate`.'
            )
        changes[setting.name] = value
    return dataclasses.replace(config, **changes)
