# SPDX-License-Identifier: Apache-2.0
"""The text of config/nav2_*.yaml: costmap layers fed by our topics.

`python -m tools.generate_config` writes the files. Ranges come from NodeConfig, classes from the
class table; what is a choice stands below with its reason. docs/navigation.md explains the use.
"""

from __future__ import annotations

import math
import textwrap
from typing import NamedTuple

from lightdepth_ros.classes import CLASSES, NAV7_NAMES
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import load_contract
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


COSTMAP_YAML = """\
local_costmap:
  local_costmap:
    ros__parameters:
      # Take over what your own file has for these; the layers below are what matters.
      global_frame: odom
      robot_base_frame: base_link
      rolling_window: true
      width: {size}
      height: {size}
      resolution: {resolution}
      plugins: [{layer}, inflation_layer]
      inflation_layer:
        plugin: nav2_costmap_2d::InflationLayer
        inflation_radius: 0.55
        cost_scaling_factor: 3.0
"""

VOXEL_HEAD = """
Nav2's VoxelLayer, marked by points_obstacles and cleared along points_clearing. Parameter names
as in Nav2's documentation (rolling) and nav2_costmap_2d/plugins/obstacle_layer.cpp and
voxel_layer.cpp (navigation2 021483b, 0537cb2). Read, not run: Nav2 is not on the machine that
this package is tested on. docs/navigation.md says what to adapt.
"""
VOXEL_YAML = """\
{head}
{costmap}
      voxel_layer:
        plugin: nav2_costmap_2d::VoxelLayer
        enabled: true
        footprint_clearing_enabled: true
        # The camera must be lower than origin_z + z_voxels * z_resolution: no ray is cleared from
        # outside of the grid.
        origin_z: 0.0
        z_resolution: {z_resolution}
        z_voxels: {z_voxels}
        mark_threshold: 0
        # Heights above the ground of global_frame. Set the upper one to the height of the robot.
        min_obstacle_height: {low}
        max_obstacle_height: {high}
        combination_method: 1
        publish_voxel_map: false
        observation_sources: obstacles clearing
        # No sensor_frame: rays start at the frame_id of the clouds, the camera's optical frame.
        obstacles:
          topic: /points_obstacles
          data_type: PointCloud2
          marking: true
          clearing: false
          min_obstacle_height: {low}
          max_obstacle_height: {high}
          obstacle_min_range: {near}
          obstacle_max_range: {mark}
          # Seconds of silence after which the costmap counts as stale.
          expected_update_rate: {silent}
        clearing:
          topic: /points_clearing
          data_type: PointCloud2
          marking: false
          clearing: true
          # Points outside of these heights are dropped before the ray is drawn, and open sky is
          # far up: twice max_range_m.
          min_obstacle_height: -{clear_high}
          max_obstacle_height: {clear_high}
          raytrace_min_range: 0.0
          raytrace_max_range: {clear}
          expected_update_rate: {silent}
"""

STVL_HEAD = """
spatio_temporal_voxel_layer (LGPL 2.1, installed apart), marked by points_obstacles; what lies in
the camera's frustum fades. Parameter names as in its src/spatio_temporal_voxel_layer.cpp and
measurement_buffer.cpp (package 2.6.0, 0559ae8). Read, not run: the layer is not on the machine
that this package is tested on. docs/navigation.md says what to adapt.
"""
STVL_YAML = """\
{head}
{costmap}
      stvl_layer:
        plugin: spatio_temporal_voxel_layer/SpatioTemporalVoxelLayer
        enabled: true
        voxel_size: {resolution}
        # Seconds until a voxel that is not seen again is gone (decay_model 0: linear).
        decay_model: 0
        voxel_decay: {decay}
        mark_threshold: 0
        update_footprint_enabled: true
        combination_method: 1
        transform_tolerance: 0.2
        publish_voxel_map: false
        mapping_mode: false
        observation_sources: obstacles fading
        obstacles:
          topic: /points_obstacles
          data_type: PointCloud2
          marking: true
          clearing: false
          obstacle_range: {mark}
          min_obstacle_height: {low}
          max_obstacle_height: {high}
          # 0: at small output resolutions few points fall into one voxel, far away one or none.
          filter: voxel
          voxel_min_points: 0
          observation_persistence: 0.0
          clear_after_reading: true
          # Seconds of silence after which the costmap counts as stale.
          expected_update_rate: {silent}
        fading:
          # Of this source the layer uses frame and stamp alone, so the same topic serves.
          topic: /points_obstacles
          data_type: PointCloud2
          marking: false
          clearing: true
          model_type: 0
          # What the camera sees, in radians: 2 atan(width / 2 / fx) and 2 atan(height / 2 / fy) of
          # depth/camera_info. Here: the camera that the networks were trained for. Rather too
          # narrow than too wide: what is in here and not seen again fades fast.
          horizontal_fov_angle: {across}
          vertical_fov_angle: {down}
          min_z: 0.1
          max_z: {clear}
          decay_acceleration: 5.0
          clear_after_reading: true
          # Must stay 0: a source that only clears never counts as updated.
          expected_update_rate: 0.0
"""

SEMANTIC_HEAD = """
kiwicampus/semantic_segmentation_layer: labels become costs. Parameter names as in its README.md
and src/semantic_segmentation_layer.cpp (package 1.0.0, 084337f). Read, not run: the layer is not
on the machine that this package is tested on. It needs vision_msgs where depth_node runs.
docs/navigation.md says what to adapt.
"""
SEMANTIC_YAML = """\
{head}
{costmap}
      semantic_layer:
        plugin: semantic_segmentation_layer::SemanticSegmentationLayer
        enabled: true
        combination_method: 1
        observation_sources: camera
        camera:
          segmentation_topic: /semantic/image
          # How sure the network is of the depth, 0 to 255: of where the label is, not of which.
          confidence_topic: /semantic/confidence
          labels_topic: /semantic/label_info
          pointcloud_topic: /points
          min_obstacle_distance: {near}
          max_obstacle_distance: {mark}
          tile_map_decay_time: {decay}
          # Of several pixels on one tile the costliest counts. The layer knows no heights: what
          # hangs over the road (trees, lights, bridges) is costed like what stands on it.
          use_cost_selection: true
          visualize_tile_map: false
          # One group for each nav7 group; max_cost needs samples_to_max_cost frames whose mean
          # confidence is above mark_confidence.
          class_types: [{types}]
{groups}
"""
