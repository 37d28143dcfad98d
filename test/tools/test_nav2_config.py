# SPDX-License-Identifier: Apache-2.0
"""The costmap files say what the node publishes, and every name in them is one the layers read.

Nav2 itself is not run: the names below are those of the layers' sources, as the files' heads say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, CLASSES, NAV7_ID
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.perception.navigation import class_mask, clearing_points
from lightdepth_ros.perception.prediction import Prediction
from tools import nav2_config
from tools.generate_config import FILES, outdated
from tools.ros_env import ROOT

NAMES = ('voxel', 'stvl', 'semantic')
DEFAULTS = NodeConfig()
INSCRIBED, LETHAL = 253, 254
"""Costs of nav2_costmap_2d: from the first on, the robot's centre may not be there."""

OBSERVATION = {
    'topic': str, 'data_type': str, 'marking': bool, 'clearing': bool,
    'min_obstacle_height': float, 'max_obstacle_height': float, 'expected_update_rate': float,
}  # fmt: skip
LAYERS: dict[str, dict[str, type]] = {
    'voxel': {
        'plugin': str, 'enabled': bool, 'footprint_clearing_enabled': bool,
        'min_obstacle_height': float, 'max_obstacle_height': float, 'z_voxels': int,
        'origin_z': float, 'z_resolution': float, 'mark_threshold': int,
        'combination_method': int, 'publish_voxel_map': bool, 'observation_sources': str,
    },
    'stvl': {
        'plugin': str, 'enabled': bool, 'voxel_size': float, 'decay_model': int,
        'voxel_decay': float, 'mark_threshold': int, 'update_footprint_enabled': bool,
        'combination_method': int, 'transform_tolerance': float, 'publish_voxel_map': bool,
        'mapping_mode': bool, 'observation_sources': str,
    },
    'semantic': {
        'plugin': str, 'enabled': bool, 'combination_method': int, 'observation_sources': str,
    },
}  # fmt: skip
SOURCES: dict[str, dict[str, type]] = {
    'voxel': OBSERVATION | {
        'obstacle_min_range': float, 'obstacle_max_range': float,
        'raytrace_min_range': float, 'raytrace_max_range': float,
    },
    'stvl': OBSERVATION | {
        'obstacle_range': float, 'filter': str, 'voxel_min_points': int,
        'observation_persistence': float, 'clear_after_reading': bool, 'model_type': int,
        'horizontal_fov_angle': float, 'vertical_fov_angle': float, 'min_z': float,
        'max_z': float, 'decay_acceleration': float,
    },
    'semantic': {
        'segmentation_topic': str, 'confidence_topic': str, 'labels_topic': str,
        'pointcloud_topic': str, 'min_obstacle_distance': float, 'max_obstacle_distance': float,
        'tile_map_decay_time': float, 'use_cost_selection': bool, 'visualize_tile_map': bool,
        'class_types': list,
    },
}  # fmt: skip
CLASS_TYPE = {
    'classes': list, 'base_cost': int, 'max_cost': int, 'mark_confidence': int,
    'samples_to_max_cost': int, 'dominant_priority': bool,
}  # fmt: skip
"""Name -> type: a parameter of another type than the layer declares ends Nav2 at its start."""


FLAT = LAYERS['voxel'].keys() - {'z_voxels', 'origin_z', 'z_resolution', 'mark_threshold'}
"""Parameters that the ObstacleLayer has too."""


def costmap(name: str) -> dict[str, Any]:
    text = (ROOT / 'config' / f'nav2_{name}.yaml').read_text(encoding='utf-8')
    parameters: dict[str, Any] = yaml.safe_load(text)['local_costmap']['local_costmap'][
        'ros__parameters'
    ]
    return parameters


def layer(name: str) -> dict[str, Any]:
    parameters = costmap(name)
    result: dict[str, Any] = parameters[parameters['plugins'][0]]
    return result


def sources(name: str) -> dict[str, dict[str, Any]]:
    return {source: layer(name)[source] for source in layer(name)['observation_sources'].split()}


def class_types() -> dict[str, dict[str, Any]]:
    camera = sources('semantic')['camera']
    return {name: camera[name] for name in camera['class_types']}


def kinds(values: dict[str, Any]) -> dict[str, type]:
    return {key: type(value) for key, value in values.items()}


def test_the_files_are_what_the_generator_writes():
    names = [f'config/nav2_{name}.yaml' for name in NAMES]
    assert set(names) <= set(FILES)
    assert outdated(names) == [], 'run `python -m tools.generate_config`'


@pytest.mark.parametrize('name', NAMES)
def test_every_layer_that_is_named_is_there_and_has_a_plugin(name: str):
    parameters = costmap(name)
    assert [type(parameters[p]['plugin']) for p in parameters['plugins']] == [str, str]


@pytest.mark.parametrize('name', NAMES)
def test_every_parameter_is_one_that_the_layer_declares_with_that_type(name: str):
    top = {k: v for k, v in layer(name).items() if k not in sources(name)}
    assert kinds(top) == {k: v for k, v in LAYERS[name].items() if k in top}
    for source in sources(name).values():
        flat = {k: v for k, v in source.items() if k not in NAV7_ID}
        assert kinds(flat) == {k: v for k, v in SOURCES[name].items() if k in flat}
    for group in class_types().values():
        assert kinds(group) == CLASS_TYPE


@pytest.mark.parametrize('name', NAMES)
def test_every_topic_is_published_with_the_type_that_the_layer_wants(name: str):
    outputs = pytest.importorskip(
        'lightdepth_ros.stream.outputs', reason='needs the ROS 2 messages'
    )
    published = {output.topic: output.message_type.split('/')[-1] for output in outputs.TOPICS}
    published['semantic/label_info'] = 'LabelInfo'
    wanted = {'segmentation_topic': 'Image', 'confidence_topic': 'Image'}
    wanted |= {'labels_topic': 'LabelInfo', 'pointcloud_topic': 'PointCloud2'}
    for source in sources(name).values():
        named = {k: v for k, v in source.items() if k.endswith('topic')}
        assert named
        for key, topic in named.items():
            assert topic.startswith('/')  # a relative one belongs to the costmap's namespace
            assert published[topic[1:]] == (source.get('data_type') or wanted[key])


def test_flat_layer_is_the_voxel_layer_without_heights_and_clears_with_what_it_marks():
    flat = costmap('voxel')['obstacle_layer']
    source = flat['obstacles']
    assert flat.keys() - {'obstacles'} <= FLAT
    assert kinds(source) == {k: v for k, v in SOURCES['voxel'].items() if k in source}
    assert source['marking'] is source['clearing'] is True
    voxel = sources('voxel')
    assert source.items() >= {**voxel['obstacles'], 'clearing': True}.items()
    assert source['raytrace_max_range'] == voxel['clearing']['raytrace_max_range']


def test_obstacles_mark_and_the_other_cloud_clears():
    voxel = sources('voxel')
    assert (voxel['obstacles']['topic'], voxel['clearing']['topic']) == (
        '/points_obstacles',
        '/points_clearing',
    )
    for source in [*voxel.values(), *sources('stvl').values()]:
        assert source['marking'] != source['clearing']
        assert source['clearing'] or source['topic'] == '/points_obstacles'


def test_ranges_agree_with_the_node_and_with_each_other():
    obstacles, clearing = sources('voxel').values()
    mark_m, clear_m = obstacles['obstacle_max_range'], clearing['raytrace_max_range']
    assert DEFAULTS.min_range_m == obstacles['obstacle_min_range'] < mark_m < clear_m
    assert clear_m <= DEFAULTS.max_range_m  # no point of the clearing cloud is farther
    stvl = sources('stvl')
    assert (stvl['obstacles']['obstacle_range'], stvl['fading']['max_z']) == (mark_m, clear_m)
    assert sources('semantic')['camera']['max_obstacle_distance'] == mark_m
    for name in NAMES:
        assert min(costmap(name)['width'], costmap(name)['height']) >= 2 * mark_m


def test_heights_of_layer_and_source_agree_and_a_camera_fits_below_the_top_of_the_grid():
    voxel, source = layer('voxel'), sources('voxel')['obstacles']
    for key in ('min_obstacle_height', 'max_obstacle_height'):
        assert voxel[key] == source[key] == sources('stvl')['obstacles'][key]
    assert voxel['z_voxels'] <= 16
    top_m = voxel['origin_z'] + voxel['z_voxels'] * voxel['z_resolution']
    assert top_m >= max(voxel['max_obstacle_height'], 3.0)


@pytest.mark.parametrize('vertical_fov_deg', [30.0, 90.0])
def test_no_ray_into_the_open_sky_is_lost_to_the_height_limits(vertical_fov_deg: float):
    focal_px = 80 / np.tan(np.radians(vertical_fov_deg) / 2)
    camera = Camera(240, 160, focal_px, focal_px, 119.5, 79.5)
    sky = Prediction(np.full((160, 240), np.inf, np.float32), None, None, camera)
    clearing = clearing_points(sky, DEFAULTS.max_range_m, class_mask([]))
    height_m = 1.5 - clearing['y']
    limits = sources('voxel')['clearing']
    assert limits['min_obstacle_height'] < height_m.min()
    assert height_m.max() < limits['max_obstacle_height']


def test_frustum_that_fades_is_no_wider_than_the_view_of_the_default_camera():
    fading = sources('stvl')['fading']
    height, width = DEFAULTS.input_hw
    camera = Camera(width, height, 600.0, 600.0, (width - 1) / 2, (height - 1) / 2)
    assert np.degrees(fading['horizontal_fov_angle']) == pytest.approx(
        camera.horizontal_fov_deg, abs=0.05
    )
    assert 0 < fading['vertical_fov_angle'] < fading['horizontal_fov_angle']
    assert fading['expected_update_rate'] == 0.0  # or the costmap would never be current


def test_every_class_has_one_group_and_groups_are_those_of_the_class_table():
    listed = [name for group in class_types().values() for name in group['classes']]
    assert sorted(listed) == sorted(CLASS_ID)
    for name, group in class_types().items():
        assert {CLASSES[CLASS_ID[c]].nav7 for c in group['classes']} == {NAV7_ID[name]}


def test_ground_can_be_driven_on_and_everything_else_becomes_lethal():
    for group in class_types().values():
        assert 0 <= group['base_cost'] <= group['max_cost'] <= LETHAL
        assert 0 <= group['mark_confidence'] <= 255
        if 'sky' in group['classes'] or set(group['classes']) <= set(DEFAULTS.classes_ground):
            assert group['max_cost'] < INSCRIBED
        else:
            assert group['max_cost'] == LETHAL


def test_a_class_that_moves_to_another_group_moves_in_the_file(monkeypatch: pytest.MonkeyPatch):
    moved = tuple(c._replace(nav7=4) if c.name == 'vegetation' else c for c in CLASSES)
    monkeypatch.setattr(nav2_config, 'CLASSES', moved)
    assert 'classes: [building]\n' in nav2_config.semantic_yaml('')
