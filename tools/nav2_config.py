# SPDX-License-Identifier: Apache-2.0
"""The numbers of config/nav2_*.yaml: costmap layers fed by our topics.

`python -m tools.generate_config` writes the files. Ranges come from NodeConfig, classes from the
class table; what is a choice stands below with its reason. The words around the numbers are in
tools/nav2_text.py. docs/navigation.md explains the use.
"""

from __future__ import annotations

import math
import textwrap
from typing import NamedTuple

from lightdepth_ros.classes import CLASSES, NAV7_NAMES
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import load_contract
from tools.nav2_text import (
    COSTMAP_YAML,
    SEMANTIC_HEAD,
    SEMANTIC_YAML,
    STVL_HEAD,
    STVL_YAML,
    VOXEL_HEAD,
    VOXEL_YAML,
)
from tools.ros_env import ROOT

DEFAULTS = NodeConfig()
MARK_RANGE_M = 15.0
"""Obstacles farther away are not marked: MODEL_CARD.md has the error growing with distance."""
CLEAR_RANGE_M = 20.0
"""Rays clear somewhat farther than they mark, so that what was marked at the rim can go again."""
HEIGHT_M = (-0.5, 2.0)
"""Heights that are marked. Depth that is too large puts the foot of an obstacle below the ground;
the ground itself is left out by its labels."""
CLEAR_HEIGHT_M = 2 * DEFAULTS.max_range_m
"""Points of open sky lie at depth max_range_m; up to 63 degrees above the camera they are lower
than this."""
Z_RESOLUTION_M, Z_VOXELS = 0.2, 16
"""The most voxels that the layer has. The camera must be lower than their product, or no ray is
cleared."""
RESOLUTION_M = 0.1
SILENT_S = 1.0
"""A source that is silent for so long makes the costmap count as stale."""
DECAY_S = 3.0


class Cost(NamedTuple):
    """Cost of a group of classes: at first sight, and once seen often and surely enough."""

    first: int
    full: int
    confidence: int
    samples: int
    dominant: bool


COSTS = {
    'drivable': Cost(0, 0, 0, 1, False),
    'non_drivable_ground': Cost(50, 100, 128, 3, False),
    'person': Cost(254, 254, 0, 1, True),
    'vehicle': Cost(254, 254, 0, 1, True),
    'roadside_object': Cost(150, 254, 128, 2, False),
    'far': Cost(150, 254, 128, 2, False),
    'sky': Cost(0, 0, 0, 1, False),
}
"""nav7 group -> cost; 254 is lethal. Who moves counts at once; what stands still must be seen
again. Sky has no points; it is listed because the layer logs an error for a class it does not
know."""


def field_of_view_rad() -> tuple[float, float]:
    """Return (across, down) what the default network input shows at the canonical focal length."""
    contract = load_contract(ROOT / 'lightdepth_ros/models/lightdepth_plain_L.json')
    height, width = DEFAULTS.input_hw
    across, down = (2 * math.atan(px / 2 / contract.canonical_focal_px) for px in (width, height))
    return round(across, 3), round(down, 3)


def voxel_yaml(note: str) -> str:
    """Return config/nav2_voxel.yaml. note: where the file comes from."""
    head, costmap = _head(note, VOXEL_HEAD), _costmap('voxel_layer')
    return VOXEL_YAML.format(head=head, costmap=costmap, **NUMBERS)


def stvl_yaml(note: str) -> str:
    """Return config/nav2_stvl.yaml. note: where the file comes from."""
    across, down = field_of_view_rad()
    head, costmap = _head(note, STVL_HEAD), _costmap('stvl_layer')
    return STVL_YAML.format(head=head, costmap=costmap, across=across, down=down, **NUMBERS)


def semantic_yaml(note: str) -> str:
    """Return config/nav2_semantic.yaml. note: where the file comes from."""
    groups = '\n'.join(_group_yaml(index, name) for index, name in enumerate(NAV7_NAMES))
    return SEMANTIC_YAML.format(
        head=_head(note, SEMANTIC_HEAD),
        costmap=_costmap('semantic_layer'),
        types=', '.join(NAV7_NAMES),
        groups=groups,
        **NUMBERS,
    )


NUMBERS = {
    'near': DEFAULTS.min_range_m,
    'mark': MARK_RANGE_M,
    'clear': CLEAR_RANGE_M,
    'low': HEIGHT_M[0],
    'high': HEIGHT_M[1],
    'clear_high': CLEAR_HEIGHT_M,
    'z_resolution': Z_RESOLUTION_M,
    'z_voxels': Z_VOXELS,
    'resolution': RESOLUTION_M,
    'silent': SILENT_S,
    'decay': DECAY_S,
}


def _group_yaml(index: int, name: str) -> str:
    cost = COSTS[name]
    members = ', '.join(c.name for c in CLASSES if c.nav7 == index)
    return textwrap.indent(
        f'{name}:\n'
        f'  classes: [{members}]\n'
        f'  base_cost: {cost.first}\n'
        f'  max_cost: {cost.full}\n'
        f'  mark_confidence: {cost.confidence}\n'
        f'  samples_to_max_cost: {cost.samples}\n'
        f'  dominant_priority: {str(cost.dominant).lower()}',
        ' ' * 10,
    )


def _head(note: str, text: str) -> str:
    lines = textwrap.wrap(' '.join(text.split()), 97)
    return '\n'.join(f'# {line}' for line in ('SPDX-License-Identifier: Apache-2.0', note, *lines))


def _costmap(layer: str) -> str:
    size = math.ceil(2 * MARK_RANGE_M)
    return COSTMAP_YAML.format(layer=layer, size=size, resolution=RESOLUTION_M).rstrip()
