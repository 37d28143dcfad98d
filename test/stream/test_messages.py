# SPDX-License-Identifier: Apache-2.0
"""Messages carry arrays there and back unchanged."""

import array
import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')

from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASSES
from lightdepth_ros.perception.calibration import view_of
from lightdepth_ros.perception.cloud import POINT, points
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.stream import messages

HEADER = Header(frame_id='camera_optical')
HEADER.stamp.sec = 7


def test_depth_message_keeps_metres_and_special_values():
    depth_m = np.array([[1.5, np.nan, np.inf], [-np.inf, 0.25, 80.0]], np.float32)
    msg = messages.depth_to_image(depth_m, HEADER)
    assert (msg.encoding, msg.height, msg.width, msg.step) == ('32FC1', 2, 3, 12)
    assert msg.header == HEADER
    np.testing.assert_array_equal(messages.image_to_array(msg), depth_m)


def test_millimetre_message_turns_all_special_values_and_what_does_not_fit_into_zero():
    depth_m = np.array([[1.5, np.nan, np.inf, -np.inf, 65.535, 65.536, 0.0004]], np.float32)
    expected = np.array([[1500, 0, 0, 0, 65535, 0, 0]], np.uint16)
    for times in (1, 40):  # OpenCV takes short rows one by one, long ones many at a time
        msg = messages.depth_to_mm_image(np.tile(depth_m, (3, times)), HEADER)
        assert msg.encoding == '16UC1'
        found = messages.image_to_array(msg)
        np.testing.assert_array_equal(found, np.tile(expected, (3, times)))


def test_millimetres_are_rounded():
    depth_m = np.random.default_rng(0).uniform(0, 65, (50, 60)).astype(np.float32)
    found = messages.image_to_array(messages.depth_to_mm_image(depth_m, HEADER))
    np.testing.assert_array_equal(found, np.rint(depth_m.astype(np.float64) * 1000))


def test_rgb_and_mono_messages_read_back_as_they_were():
    rgb = np.random.default_rng(0).integers(0, 256, (18, 24, 3), np.uint8)
    msg = messages.rgb_to_image(rgb[:, ::-1], HEADER)
    np.testing.assert_array_equal(messages.image_to_rgb(msg), rgb[:, ::-1])
    mono = messages.mono_to_image(rgb[..., 0], HEADER)
    np.testing.assert_array_equal(messages.image_to_array(mono), rgb[..., 0])


def test_message_data_is_the_array_type_that_rclpy_takes_without_a_loop():
    msg = messages.mono_to_image(np.zeros((2, 2), np.uint8), HEADER)
    assert isinstance(msg.data, array.array)
    assert msg.data.typecode == 'B'


def test_camera_info_says_what_the_camera_is_and_reads_back():
    camera = Camera(240, 160, 250.25, 251.0, 119.75, 80.5)
    info = messages.camera_to_info(camera, (160, 240), HEADER)
    assert (info.height, info.width, list(info.d)) == (160, 240, [0.0] * 5)
    assert view_of(info, 'raw') == view_of(info, 'rectified') == camera


def test_camera_info_of_a_second_stereo_camera_maps_its_cloud_back_onto_its_pixels():
    camera = Camera(240, 160, 250.0, 251.0, 119.75, 80.5, origin_x_m=0.12, origin_y_m=-0.01)
    info = messages.camera_to_info(camera, (160, 240), HEADER)
    assert info.p[3] == pytest.approx(-250.0 * 0.12)
    assert view_of(info, 'rectified') == camera
    labels = np.zeros((160, 240), np.uint8)
    cloud = points(Prediction(np.full((160, 240), 7.0, np.float32), labels, None, camera), None)
    x, y, z = (cloud[axis][30, 200].astype(float) for axis in 'xyz')
    u, v, w = info.p.reshape(3, 4) @ (x, y, z, 1.0)
    np.testing.assert_allclose((u / w, v / w), (200, 30), atol=1e-3)


def test_camera_info_of_an_uncalibrated_camera_is_zero():
    info = messages.camera_to_info(None, (160, 240), HEADER)
    assert (info.height, info.width) == (160, 240)
    assert view_of(info, 'raw') is None


def test_cloud_message_names_its_fields_and_reads_back():
    points = np.zeros((2, 3), POINT)
    points['x'] = np.arange(6).reshape(2, 3)
    points['label'] = 11
    msg = messages.points_to_cloud(points, HEADER)
    assert (msg.height, msg.width, msg.is_dense) == (2, 3, False)
    assert (msg.point_step, msg.row_step) == (POINT.itemsize, 3 * POINT.itemsize)
    fields = {f.name: (f.offset, f.datatype, f.count) for f in msg.fields}
    assert fields['rgb'] == (12, PointField.FLOAT32, 1)
    assert fields['label'] == (16, PointField.UINT8, 1)
    assert np.array_equal(messages.cloud_to_points(msg), points)


def test_a_cloud_message_is_written_in_place_until_its_size_changes():
    message, other = messages.CloudMessage(), Header(frame_id='later')
    camera = Camera(3, 2, 10.0, 10.0, 1.0, 0.5)

    def seen(value_m: float) -> Prediction:
        return Prediction(np.full((2, 3), value_m, np.float32), None, None, camera)

    first = message.fill(lambda out: points(seen(4.0), None, out), HEADER)
    assert np.array_equal(messages.cloud_to_points(first), points(seen(4.0), None))
    second = message.fill(lambda out: points(seen(9.0), None, out), other)
    assert second is first
    assert second.header == other
    assert np.array_equal(messages.cloud_to_points(second), points(seen(9.0), None))
    third = message.fill(lambda _: np.zeros((5, 4), POINT), HEADER)
    assert (third.height, third.width, len(third.data)) == (5, 4, 20 * POINT.itemsize)
    assert np.array_equal(messages.cloud_to_points(second), points(seen(9.0), None))


def test_list_of_points_becomes_a_cloud_of_one_row():
    assert messages.points_to_cloud(np.zeros(5, POINT), HEADER).height == 1
    empty = messages.points_to_cloud(np.zeros(0, POINT), HEADER)
    assert (empty.height, empty.width, len(empty.data)) == (1, 0, 0)


def test_label_names_are_latched_json_where_vision_msgs_is_missing():
    text = messages.classes_to_label_info(CLASSES, HEADER, None).data
    assert json.loads(text)['class_map'][10] == {'class_id': 10, 'class_name': 'sky'}


def test_label_names_are_label_info_where_vision_msgs_is_installed():
    fake = SimpleNamespace(LabelInfo=SimpleNamespace, VisionClass=SimpleNamespace)
    info = messages.classes_to_label_info(CLASSES, HEADER, fake)
    assert info.header == HEADER
    assert [(c.class_id, c.class_name) for c in info.class_map][:2] == [
        (0, 'road'),
        (1, 'sidewalk'),
    ]
