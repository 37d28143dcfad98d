# SPDX-License-Identifier: Apache-2.0
"""Messages sent as bytes are the messages that would have been sent."""

from __future__ import annotations

import struct
from functools import partial

import numpy as np
import pytest

from lightdepth_ros import cdr, messages
from lightdepth_ros.cloud import POINT
from lightdepth_ros.plain_messages import Image


def plain_cdr(msg, order: str = '<') -> bytes:
    """Serialise width and data of an image as CDR does."""
    head = b'\0\1\0\0' if order == '<' else b'\0\0\0\0'
    return head + struct.pack(f'{order}II', msg.width, len(msg.data)) + msg.data.tobytes()


def read_plain_cdr(data: bytes) -> Image:
    """The way back; RuntimeError where lengths do not fit, as rclpy raises it."""
    order = '<' if data[1] else '>'
    width, length = struct.unpack_from(f'{order}II', data, 4)
    if len(data) != 12 + length:
        raise RuntimeError('not the length that was announced')
    msg = Image(width=width)
    msg.data.frombytes(data[12:])
    return msg


@pytest.mark.parametrize('order', ['<', '>'])
def test_data_is_put_where_the_serialiser_would_put_it(order):
    msg = Image(width=7)
    msg.data.frombytes(bytes(range(250)))
    assert cdr.with_data(msg, 0, partial(plain_cdr, order=order)) == plain_cdr(msg, order)
    assert msg.data.tobytes() == bytes(range(250))  # it still has them


def test_what_comes_after_the_data_stays_there():
    msg = Image(width=7)
    msg.data.frombytes(b'abc')
    assert cdr.with_data(msg, 1, lambda m: plain_cdr(m) + b'\1') == plain_cdr(msg) + b'\1'


def test_the_message_keeps_its_data_when_the_serialiser_fails():
    def fails(msg) -> bytes:
        raise RuntimeError

    msg = Image()
    msg.data.frombytes(b'abc')
    with pytest.raises(RuntimeError):
        cdr.with_data(msg, 0, fails)
    assert msg.data.tobytes() == b'abc'


def test_another_encoding_is_found_out():
    assert cdr.holds_for(Image, 0, plain_cdr, read_plain_cdr)
    assert not cdr.holds_for(Image, 1, plain_cdr, read_plain_cdr)
    assert not cdr.holds_for(Image, 0, lambda msg: b'', read_plain_cdr)
    wide = struct.Struct('<Q')
    lengths_of_8 = lambda m: b'\0\1\0\0' + wide.pack(len(m.data)) + m.data.tobytes()  # noqa: E731
    assert not cdr.holds_for(Image, 0, lengths_of_8, read_plain_cdr)


@pytest.mark.ros
def test_the_middleware_reads_bytes_as_the_same_message():
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    from rclpy.serialization import deserialize_message, serialize_message
    from std_msgs.msg import Header

    from lightdepth_ros import topics

    rng = np.random.default_rng(3)
    depth_m = rng.uniform(1, 80, (160, 240)).astype(np.float32)
    depth_m[:9] = np.nan
    cloud = rng.integers(0, 255, (160, 240, POINT.itemsize), np.uint8).view(POINT)[..., 0]
    for frame_id in ('', 'camera', 'front_camera_optical_frame'):  # lengths move the alignment
        header = Header(frame_id=frame_id)
        header.stamp.sec = 12
        for msg in (
            messages.depth_to_image(depth_m, header),
            messages.rgb_to_image(rng.integers(0, 255, (160, 241, 3), np.uint8), header),
            messages.points_to_cloud(cloud, header),
        ):
            sent = topics.ready_to_send(msg)
            assert isinstance(sent, bytes)
            assert deserialize_message(sent, type(msg)) == msg
            assert len(sent) == len(serialize_message(msg))


@pytest.mark.ros
def test_small_messages_and_those_without_data_are_sent_as_they_are():
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    from std_msgs.msg import Header

    from lightdepth_ros import topics

    small = messages.mono_to_image(np.zeros((9, 9), np.uint8), Header())
    info = messages.camera_to_info(None, (9, 9), Header())
    assert topics.ready_to_send(small) is small
    assert topics.ready_to_send(info) is info
