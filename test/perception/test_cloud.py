# SPDX-License-Identifier: Apache-2.0
"""The cloud: geometry, packing, and where there is no point."""

import struct

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.perception.cloud import points
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.point import POINT, finite_points, packed_rgb, unpacked_rgb

CAMERA = Camera(24, 16, 30.0, 31.0, 11.0, 8.0)
RNG = np.random.default_rng(0)
DEPTH = RNG.uniform(1, 50, (16, 24)).astype(np.float32)
LABEL = RNG.integers(0, 19, (16, 24), dtype=np.uint8)
RGB = RNG.integers(0, 256, (16, 24, 3), dtype=np.uint8)


def test_points_project_back_to_their_pixels_at_their_depth():
    cloud = points(Prediction(DEPTH, LABEL, LABEL, CAMERA), RGB)
    u = CAMERA.fx * cloud['x'] / cloud['z'] + CAMERA.cx
    v = CAMERA.fy * cloud['y'] / cloud['z'] + CAMERA.cy
    np.testing.assert_allclose(u, np.broadcast_to(np.arange(24), (16, 24)), atol=1e-4)
    np.testing.assert_allclose(v.T, np.broadcast_to(np.arange(16), (24, 16)), atol=1e-4)
    np.testing.assert_array_equal(cloud['z'], DEPTH)
    np.testing.assert_array_equal(cloud['label'], LABEL)


def test_layout_is_what_the_point_cloud_message_will_declare():
    assert POINT.itemsize == 20
    offsets = {name: POINT.fields[name][1] for name in POINT.names}
    assert offsets == {'x': 0, 'y': 4, 'z': 8, 'rgb': 12, 'label': 16, 'confidence': 17}


def test_bytes_of_one_point():
    depth = np.full((1, 1), 2.0, np.float32)
    label, confidence = np.array([[13]], np.uint8), np.array([[200]], np.uint8)
    camera = Camera(1, 1, 1.0, 1.0, -1.0, 0.5)
    rgb = np.array([[[1, 2, 3]]], np.uint8)
    data = points(Prediction(depth, label, confidence, camera), rgb).tobytes()
    assert struct.unpack('<fffIBB2x', data) == (2.0, -1.0, 2.0, 0x010203, 13, 200)


def test_no_finite_depth_means_no_point():
    depth = DEPTH.copy()
    depth[0, :3] = np.nan, np.inf, -np.inf
    cloud = points(Prediction(depth, None, None, CAMERA), None)
    for axis in 'xyz':
        assert np.isnan(cloud[axis][0, :3]).all()
        assert np.isfinite(cloud[axis]).sum() == DEPTH.size - 3
    assert finite_points(cloud).shape == (DEPTH.size - 3,)


def test_missing_outputs_have_neutral_values():
    cloud = points(Prediction(DEPTH, None, None, CAMERA), None)
    assert (cloud['label'] == 255).all()
    assert (cloud['confidence'] == 255).all()
    assert (cloud['rgb'].view(np.uint32) == 0).all()


def test_colours_survive_packing():
    cloud = points(Prediction(DEPTH, None, None, CAMERA), RGB)
    np.testing.assert_array_equal(unpacked_rgb(cloud), RGB)
    assert packed_rgb(np.array([[[255, 128, 1]]], np.uint8))[0, 0] == 0xFF8001


def test_a_given_buffer_is_filled_again_and_a_wrong_one_is_not():
    first = points(Prediction(DEPTH, LABEL, LABEL, CAMERA), RGB)
    expected = points(Prediction(DEPTH * 2, None, None, CAMERA), None)
    assert points(Prediction(DEPTH * 2, None, None, CAMERA), None, first) is first
    assert first.tobytes() == expected.tobytes()
    assert points(Prediction(DEPTH, None, None, CAMERA), None, first[:3]).shape == (16, 24)


def test_uncalibrated_camera_has_no_cloud():
    with pytest.raises(BadCameraError, match='calibrated'):
        points(Prediction(DEPTH, None, None, None), None)
