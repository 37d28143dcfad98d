# SPDX-License-Identifier: Apache-2.0
"""A ROS parameter file -> NodeConfig, without ROS: what `--params-file` gives the node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightdepth_ros.config import NodeConfig, settings
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.setting import as_setting

NODE = 'depth_node'
ROS_OWN = ('use_sim_time', 'qos_overrides')
"""Parameters of every ROS node, which mean nothing here."""


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings that a parameter file has for the node: name -> value.

    Sections for the node's name, in any namespace, and for `/**` count; later ones win, as in
    ROS. Raises ConfigError for a file that cannot be read, has no such section, or has unknown
    names in it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read the parameter file {path}: {error}') from error
    sections = content if isinstance(content, dict) else {}
    values: dict[str, Any] = {}
    found = False
    for name, section in sections.items():
        given = section.get('ros__parameters') if isinstance(section, dict) else None
        if isinstance(given, dict) and _is_for_node(str(name)):
            found = True
            values.update(given)
    if not found:
        raise ConfigError(
            f'{path} has no section for {NODE}: it begins with `/**:` or `{NODE}:`, below that '
            '`ros__parameters:`, and below that the settings (config/depth.yaml shows it)'
        )
    return _checked(values, path)


def _is_for_node(section: str) -> bool:
    return section.rsplit('/', 1)[-1] in (NODE, '*', '**')


def _checked(values: dict[str, Any], path: Path) -> dict[str, Any]:
    known = {setting.name for setting in settings()}
    own = {name: as_setting(value) for name, value in values.items() if name not in ROS_OWN}
    unknown = sorted(set(own) - known)
    if unknown:
        raise ConfigError(
            f'{path} sets {", ".join(unknown)}, which {NODE} does not have; '
            'docs/parameters.md lists its parameters'
        )
    NodeConfig(**own)  # refuses wrong values by name
    return own
