# SPDX-License-Identifier: Apache-2.0
"""docs/navigation.md says what the costmap files, the model card and the launch files say."""

from __future__ import annotations

import re

import numpy as np
from test_nav2_config import DEFAULTS, costmap, layer, sources

from lightdepth_ros.config import settings
from tools.ros_env import ROOT

DOCUMENT = (ROOT / 'docs' / 'navigation.md').read_text(encoding='utf-8')


def test_document_has_the_errors_by_distance_of_the_model_card():
    card = (ROOT / 'MODEL_CARD.md').read_text(encoding='utf-8')
    remedy = 'copy the errors by distance of exit L from MODEL_CARD.md into docs/navigation.md'
    errors = re.findall(r'(\d+-\d+)\sm\s(\d+\.\d+)\s/\s(\d+\.\d+)', card)
    assert len(errors) == 5, remedy  # also where the card's lines break between them
    cell_m = costmap('voxel')['resolution']
    for distance, abs_rel, rmse_m in errors:
        row = f'| {distance} m | {abs_rel} | {rmse_m} m | {float(rmse_m) / cell_m:.0f} |'
        assert row in DOCUMENT, f'{row}: {remedy}'


def test_document_has_the_numbers_of_the_files():
    voxel, fading = sources('voxel'), sources('stvl')['fading']
    top_m = layer('voxel')['z_voxels'] * layer('voxel')['z_resolution']
    for sentence in (
        f'Nothing is marked beyond {voxel["obstacles"]["obstacle_max_range"]:g} m',
        f'Rays clear up to {voxel["clearing"]["raytrace_max_range"]:g} m',
        f'lower than {top_m:g} m',
        f'{fading["horizontal_fov_angle"]} and {fading["vertical_fov_angle"]}',
        f'mark from {layer("voxel")["min_obstacle_height"]} m up',
        f'`max_range_m` ({DEFAULTS.max_range_m:g} m)',
    ):
        assert sentence in DOCUMENT


def test_transform_of_the_document_turns_an_optical_frame_into_a_body_frame():
    angles = [float(a) for a in re.findall(r'--(?:roll|pitch|yaw) (-?[\d.]+)', DOCUMENT)]
    (cr, cp, cy), (sr, sp, sy) = np.cos(angles), np.sin(angles)
    rotation = (
        np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    )
    forward, right_is_minus_left, down_is_minus_up = rotation[:, 2], rotation[:, 0], rotation[:, 1]
    np.testing.assert_allclose(forward, [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(right_is_minus_left, [0, -1, 0], atol=1e-5)
    np.testing.assert_allclose(down_is_minus_up, [0, 0, -1], atol=1e-5)


def test_every_launch_file_and_test_of_the_document_exists():
    for name in re.findall(r'lightdepth_ros (\w+\.launch\.py)', DOCUMENT):
        assert (ROOT / 'launch' / name).is_file(), name
    tests = re.findall(r'test/[\w/]+\.py', DOCUMENT)
    assert tests
    for name in tests:
        assert (ROOT / name).is_file(), name


def test_settings_that_the_document_names_are_settings():
    table = DOCUMENT.split('## Settings of the node')[1].split('## ')[0]
    named = set(re.findall(r'(?m)^\| `(\w+)` \|', table))
    assert named
    assert named <= {s.name for s in settings()}
