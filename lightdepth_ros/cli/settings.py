# SPDX-License-Identifier: Apache-2.0
"""Command-line flags made from NodeConfig's fields, so that no default is written twice."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from lightdepth_ros.config import NodeConfig, Value, settings

ALIASES = {'horizontal_fov_deg': '--fov-deg'}


def add_setting_flags(
    parser: argparse._ActionsContainer, names: Sequence[str], defaults: Mapping[str, Value]
) -> None:
    """Add one flag for each of the NodeConfig fields `names` to a parser or group.

    defaults: fields for which this command's default differs from the node's.
    """
    known = {setting.name: setting for setting in settings()}
    for name in names:
        setting = known[name]
        default = defaults.get(name, setting.default)
        flags = [f'--{name.replace("_", "-")}']
        if name in ALIASES:
            flags.insert(0, ALIASES[name])
        unit = f' [{setting.unit}]' if setting.unit else ''
        shown = '' if default == '' else f' Default: {default}.'
        parser.add_argument(
            *flags,
            dest=name,
            type=type(setting.default),
            default=default,
            choices=setting.choices or None,
            metavar=None if setting.choices else (setting.unit or name).upper(),
            help=f'{setting.help}{unit}{shown}'.replace('%', '%%'),
        )


def config_from(args: argparse.Namespace, names: Sequence[str]) -> NodeConfig:
    """Return the NodeConfig that the flags give; ConfigError for a value out of its limits."""
    return NodeConfig(**{name: getattr(args, name) for name in names})
