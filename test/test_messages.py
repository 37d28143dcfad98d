# SPDX-License-Identifier: Apache-2.0
"""Messages carry arrays there and back unchanged, and no message can break the message layer."""

import array
import json
import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointField
from std_msgs.msg import Header

from lightdepth_ros import messages
from lightdepth_ros.calibration import KINDS, describe, view_of
from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASSES
from lightdepth_ros.cloud import POINT, points
from lightdepth_ros.encodings import ENCODINGS, MAX_SIDE_PX
from lightdepth_ros.errors import BadCameraError, BadImageError
from lightdepth_ros.prediction import Prediction

CASES = int(os.environ.get('LIGHTDEPTH_FUZZ_CASES', '300'))
"""Random messages of each kind; set it to 10000 for the long form."""
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
    msg = messages.depth_to_mm_image(depth_m, HEADER)
    assert msg.encoding == '16UC1'
    np.testing.assert_array_equal(
        messages.image_to_array(msg), np.array([[1500, 0, 0, 0, 65535, 0, 0]], np.uint16)
    )


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


SIDES = st.one_of(st.integers(0, 40), st.sampled_from([0, 1, MAX_SIDE_PX, 65535, 2**32 - 1]))
NAMES = st.one_of(st.sampled_from(sorted(ENCODINGS)), st.text(max_size=12))


@st.composite
def images(draw):
    """Image messages that are right, nearly right, or nonsense."""
    msg = Image(encoding=draw(NAMES), height=draw(SIDES), width=draw(SIDES))
    known = ENCODINGS.get(msg.encoding)
    right = msg.width * known.bits // 8 if known else 3 * msg.width
    step = draw(st.one_of(st.just(right), st.integers(0, 200)))
    msg.step = min(step, 2**32 - 1)
    total = msg.step * msg.height
    length = draw(st.one_of(st.just(total), st.integers(0, 5000)))
    msg.data = array.array('B', bytes(length if length < 10_000 else 100))
    msg.is_bigendian = draw(st.sampled_from([0, 1, 255]))
    return msg


@settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(images())
def test_any_image_message_is_read_or_refused(msg):
    try:
        assert messages.check_image(msg) == (msg.height, msg.width)
    except BadImageError:
        with pytest.raises(BadImageError):
            messages.image_to_rgb(msg)
        return
    rgb = messages.image_to_rgb(msg)
    assert rgb.shape == (msg.height, msg.width, 3)
    assert rgb.dtype == np.uint8


JPEG = cv2.imencode('.jpg', np.full((32, 48, 3), 90, np.uint8))[1].tobytes()
PNG = cv2.imencode('.png', np.full((32, 48, 3), 90, np.uint8))[1].tobytes()


@settings(max_examples=CASES, deadline=None)
@given(
    start=st.sampled_from([JPEG, PNG, b'']),
    cut=st.integers(0, 700),
    changes=st.lists(st.tuples(st.integers(0, 699), st.integers(0, 255)), max_size=4),
    image_format=st.one_of(st.sampled_from(['jpeg', 'bayer_rggb8; jpeg']), st.text(max_size=9)),
)
def test_any_compressed_message_is_read_or_refused(start, cut, changes, image_format):
    data = bytearray(start[:cut])
    for position, value in changes:
        if position < len(data):
            data[position] = value
    msg = CompressedImage(format=image_format, data=array.array('B', bytes(data)))
    try:
        rgb = messages.image_to_rgb(msg)
    except BadImageError:
        return
    assert rgb.ndim == 3
    assert rgb.dtype == np.uint8


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=CASES, deadline=None)
@given(
    k=st.one_of(st.just([0.0] * 9), st.lists(NUMBERS, min_size=9, max_size=9)),
    p=st.lists(NUMBERS, min_size=12, max_size=12),
    d=st.lists(NUMBERS, max_size=9),
    size=st.tuples(SIDES, SIDES),
    roi=st.tuples(SIDES, SIDES, SIDES, SIDES),
    binning=st.tuples(SIDES, SIDES),
    model=st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', '', 'x']),
    kind=st.sampled_from(KINDS),
)
def test_any_camera_info_is_read_or_refused(k, p, d, size, roi, binning, model, kind):
    info = CameraInfo(k=k, p=p, d=d, height=size[0], width=size[1], distortion_model=model)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = roi
    info.binning_x, info.binning_y = binning
    try:
        view = view_of(info, kind)
    except BadCameraError:
        return
    assert view is None or 'focal length' in describe(view)
