# SPDX-License-Identifier: Apache-2.0
"""The words of config/nav2_*.yaml; tools/nav2_config.py puts in the numbers."""

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
      # For a flat costmap on a small computer: put its name into plugins instead of voxel_layer.
      # It clears with the marking cloud alone. Along points_clearing it would also clear what lies
      # below the rays, and what is too near to be seen would not be marked again.
      obstacle_layer:
        plugin: nav2_costmap_2d::ObstacleLayer
        enabled: true
        footprint_clearing_enabled: true
        min_obstacle_height: {low}
        max_obstacle_height: {high}
        combination_method: 1
        observation_sources: obstacles
        obstacles:
          topic: /points_obstacles
          data_type: PointCloud2
          marking: true
          clearing: true
          min_obstacle_height: {low}
          max_obstacle_height: {high}
          obstacle_min_range: {near}
          obstacle_max_range: {mark}
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
