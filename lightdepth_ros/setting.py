# SPDX-License-Identifier: Apache-2.0
"""The description of one setting, and the check of its values; config.py lists the settings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple, TypeVar

from lightdepth_ros.errors import ConfigError

Value = bool | int | float | str | tuple[str, ...]
T = TypeVar('T', bool, int, float, str, tuple[str, ...])


class Setting(NamedTuple):
    """The description of one field of NodeConfig.

    default  a tuple is a list of words; an empty word in it means nothing.
    limits   smallest and largest value, both allowed; None = any.
    step     values must be whole multiples of it above the lower limit; 0 = any.
    choices  the allowed words (of a list: its allowed elements); empty = any.
    fixed    why the value cannot change while the node is configured; empty = it can.
    """

    name: str
    default: Value
    help: str
    unit: str
    limits: tuple[float, float] | None
    step: int
    choices: tuple[str, ...]
    fixed: str


def setting(
    default: T,
    help_text: str,
    *,
    unit: str = '',
    limits: tuple[float, float] | None = None,
    step: int = 0,
    choices: tuple[str, ...] = (),
    fixed: str = '',
) -> T:
    """Return a dataclass field that carries a Setting; its name is filled in later."""
    known = Setting('', default, help_text, unit, limits, step, choices, fixed)
    value: T = dataclasses.field(default=default, metadata={'setting': known})
    return value


def as_setting(value: Any) -> Any:
    """Return a value of a YAML file or a ROS parameter as a setting: tuples for lists."""
    return tuple(value) if isinstance(value, list) else value


def check(known: Setting, value: Any) -> None:
    """Raise ConfigError, naming value, limits and remedy, if `value` cannot be used."""
    expected = type(known.default)
    if type(value) is not expected:
        hint = f' Write {float(value)}.' if expected is float and type(value) is int else ''
        raise ConfigError(
            f'{known.name} is {value!r}, of type {type(value).__name__}; '
            f'it must be of type {expected.__name__}.{hint}'
        )
    words = [word for word in value if word] if isinstance(value, tuple) else [value]
    for word in words:
        if known.choices and word not in known.choices:
            raise ConfigError(
                f'{known.name} is {word!r}; it must be one of {", ".join(known.choices)}.'
            )
    if known.limits is not None:
        _check_number(known, value, known.limits)


def _check_number(known: Setting, value: Any, limits: tuple[float, float]) -> None:
    low, high = limits
    unit = f' {known.unit}' if known.unit else ''
    if not (math.isfinite(value) and low <= value <= high):
        raise ConfigError(f'{known.name} is {value:g}; it must lie in [{low:g}, {high:g}]{unit}.')
    if known.step and (value - low) % known.step:
        raise ConfigError(f'{known.name} is {value:g}; it must be a multiple of {known.step}.')
