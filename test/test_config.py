# SPDX-License-Identifier: Apache-2.0
"""NodeConfig refuses what cannot work, in a sentence that says what to do."""

import dataclasses

import pytest

from lightdepth_ros.config import NodeConfig, settings
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import Mount


def test_defaults_are_valid_and_each_setting_explains_itself():
    config = NodeConfig()
    for setting in settings():
        assert getattr(config, setting.name) == setting.default
        assert setting.help.endswith('.'), setting.name
        assert setting.limits is None or isinstance(setting.default, int | float)


def test_input_hw_is_height_then_width():
    assert NodeConfig(input_width=640, input_height=192).input_hw == (192, 640)


@pytest.mark.parametrize(
    ('name', 'value', 'sentence'),
    [
        ('output_resolution', 'XL', "output_resolution is 'XL'; it must be one of L, M, S, XS"),
        ('fit', 'stretch', "fit is 'stretch'; it must be one of crop, pad, adapt"),
        ('threads', 0, r'threads is 0; it must lie in \[1, 64\]'),
        ('input_width', 500, 'input_width is 500; it must be a multiple of 32'),
        ('input_height', 0, r'input_height is 0; it must lie in \[32, 4096\] px'),
        ('depth_scale', -1.0, 'depth_scale is -1; it must lie in'),
        ('depth_scale', 1, 'depth_scale is 1, of type int; it must be of type float. Write 1.0.'),
        ('max_range_m', float('nan'), 'max_range_m is nan; it must lie in'),
        ('max_range_m', float('inf'), 'max_range_m is inf; it must lie in'),
        ('min_range_m', 90.0, 'min_range_m is 90.0 and max_range_m 80.0'),
        ('horizontal_fov_deg', 0.5, 'must be at least 1 degree'),
        ('camera_height_m', 0.01, 'camera_height_m is 0.01; it must be at least 0.05 m, or 0'),
        ('camera_height_m', -1.0, r'camera_height_m is -1; it must lie in \[0, 20\] m'),
        ('camera_pitch_deg', 90.0, r'camera_pitch_deg is 90; it must lie in \[-60, 60\] deg'),
        ('mount', 'urdf', "mount is 'urdf'; it must be one of unknown, parameters, tf"),
        ('ground_frame', '/', "ground_frame is '/'; it must name a frame"),
        ('autostart', 1, 'autostart is 1, of type int; it must be of type bool'),
        ('fit', '', "fit is ''; it must be one of"),
        ('classes_ground', ('road', 'moon'), "classes_ground is 'moon'; it must be one of road"),
        ('classes_ground', 'road', 'of type str; it must be of type tuple'),
        ('cameras', ('front', 'front'), 'must name each camera once'),
        ('cameras', ('front/left',), "cameras has the name 'front/left'"),
        ('cameras', (), 'must name each camera once'),
        ('model', 3, 'model is 3, of type int; it must be of type str'),
    ],
)
def test_wrong_value_is_refused_with_value_and_remedy(name, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        NodeConfig(**{name: value})


def test_both_ends_of_every_limit_are_allowed():
    for setting in settings():
        if setting.limits is None or setting.name in ('min_range_m', 'max_range_m'):
            continue
        for end in setting.limits:
            value = type(setting.default)(end)
            config = dataclasses.replace(NodeConfig(), **{setting.name: value})
            assert getattr(config, setting.name) == value


def test_height_alone_is_enough_and_zero_means_not_known():
    assert NodeConfig().fixed_mount is None
    assert NodeConfig(camera_pitch_deg=5.0).fixed_mount is None
    assert NodeConfig(camera_height_m=0.4).fixed_mount == Mount(0.4)
    tilted = NodeConfig(camera_height_m=0.4, camera_pitch_deg=5.0, camera_roll_deg=-1.0)
    assert tilted.fixed_mount == Mount(0.4, 5.0, -1.0)
    assert dataclasses.replace(tilted, mount='tf').fixed_mount == tilted.fixed_mount
    assert dataclasses.replace(tilted, mount='unknown').fixed_mount is None
