# SPDX-License-Identifier: Apache-2.0
"""ROS calibration files become cameras and lenses."""

import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.perception.camera_yaml import read_camera_yaml
from lightdepth_ros.perception.lens import Lens

TEXT = """\
image_width: 640
image_height: 480
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [500.0, 0.0, 310.0, 0.0, 505.0, 245.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.001, 0.0, 0.0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [450.0, 0.0, 312.0, 0.0, 0.0, 455.0, 244.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""


def write(tmp_path, text):
    path = tmp_path / 'camera.yaml'
    path.write_text(text)
    return path


def test_a_raw_picture_gets_k_and_the_distortion(tmp_path):
    camera = Camera(640, 480, 500.0, 505.0, 310.0, 245.0)
    expected = Lens(camera, 'plumb_bob', (-0.3, 0.1, 0.001, 0.0, 0.0))
    assert read_camera_yaml(write(tmp_path, TEXT), 'raw') == expected


def test_a_rectified_picture_gets_p_and_no_distortion(tmp_path):
    expected = Camera(640, 480, 450.0, 455.0, 312.0, 244.0)
    assert read_camera_yaml(write(tmp_path, TEXT), 'rectified') == expected


def test_without_a_projection_matrix_p_is_k(tmp_path):
    text = TEXT[: TEXT.index('projection_matrix')]
    expected = Camera(640, 480, 500.0, 505.0, 310.0, 245.0)
    assert read_camera_yaml(write(tmp_path, text), 'rectified') == expected


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'not a ROS camera calibration'),
        ('just text', 'not a ROS camera calibration'),
        ('a: [1, 2', 'not a ROS camera calibration'),
        (TEXT.replace('image_width: 640\n', ''), 'image_width'),
        (TEXT.replace('505.0, ', ''), '8 numbers'),
        (TEXT.replace('505.0', 'x'), 'could not convert'),
        (TEXT.replace('500.0', '0.0'), 'never calibrated'),
        (TEXT.replace('plumb_bob', 'division'), 'division'),
    ],
)
def test_broken_files_are_refused_with_the_reason(tmp_path, text, message):
    with pytest.raises(BadCameraError, match=message):
        read_camera_yaml(write(tmp_path, text), 'raw')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadCameraError, match=r'gone\.yaml'):
        read_camera_yaml(tmp_path / 'gone.yaml', 'raw')
