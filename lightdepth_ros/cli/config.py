# SPDX-License-Identifier: Apache-2.0
"""Settings from the node's parameter file with flags above them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightdepth_ros.cli.settings import add_setting_flags
from lightdepth_ros.config import NodeConfig, Value
from lightdepth_ros.settings_file import read_settings


def add_config_flags(
    parser: argparse.ArgumentParser, names: Sequence[str], defaults: Mapping[str, Value]
) -> None:
    """Add --params-file, and a flag for each of the settings `names` that wins over it.

    defaults: settings for which this command's default differs from the node's.
    """
    group = parser.add_argument_group('settings of the node')
    group.add_argument(
        '--params-file',
        type=Path,
        metavar='YAML',
        help="The node's own parameter file; the flags below win over it. It is the way to give "
        'the settings that have no flag here.',
    )
    add_setting_flags(group, names, defaults)
    parser.set_defaults(**dict.fromkeys(names))  # None: not given


def config_of(
    args: argparse.Namespace, names: Sequence[str], defaults: Mapping[str, Value]
) -> NodeConfig:
    """Return the settings that file and flags give; ConfigError for a wrong one."""
    values: dict[str, Any] = dict(defaults)
    if args.params_file is not None:
        values |= read_settings(args.params_file)
    values |= {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return NodeConfig(**values)
