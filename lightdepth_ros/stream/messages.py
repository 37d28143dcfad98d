# SPDX-License-Identifier: Apache-2.0
"""Arrays <-> sensor_msgs: pure functions that never see a node.

Data goes into a message by `msg.data.frombytes`: assigning `data` copies it (twice if given to
the constructor), and anything but an array('B') is looped over in Python where field checking is
on. It comes out as a NumPy view, without a copy.
"""

from __future__ import annotations

import array
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import SemanticClass
from lightdepth_ros.picture import SampleBits
from lightdepth_ros.stream.compressed import check_compressed, compressed_to_rgb
from lightdepth_ros.stream.encodings import check_layout, raw_to_rgb

try:
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
    from std_msgs.msg import Float32, Header, String
except ImportError:  # `lightdepth bag` needs no ROS
    from lightdepth_ros.stream.plain_messages import (
        CameraInfo,
        CompressedImage,
        Float32,
        Header,
        Image,
        PointCloud2,
        PointField,
        String,
    )

POINT_FIELD_TYPE = {'f4': PointField.FLOAT32, 'u1': PointField.UINT8, 'u4': PointField.UINT32}
MAX_MM_IMAGE_M = 65.5355
"""Depths beyond this have no 16-bit number of millimetres."""
OUTPUT_DTYPE: dict[str, np.dtype[Any]] = {
    '32FC1': np.dtype(np.float32),
    '16UC1': np.dtype(np.uint16),
    'mono8': np.dtype(np.uint8),
}


def check_image(msg: Image | CompressedImage) -> tuple[int, int]:
    """Return an image message's (height, width), or raise BadImageError; decodes nothing."""
    if isinstance(msg, CompressedImage):
        return check_compressed(msg.format, msg.data)
    check_layout(msg.encoding, msg.height, msg.width, msg.step, len(msg.data))
    return msg.height, msg.width


def image_to_rgb(msg: Any, bits: SampleBits | None = None) -> np.ndarray:
    """Return a message's picture as (H, W, 3) uint8 RGB. Raises BadImageError.

    msg: an Image or a CompressedImage, of rclpy or decoded by rosbags. bits: of the camera, for 16
    bits a sample; None = this image alone tells. The array may be a view into the message.
    """
    if hasattr(msg, 'format'):
        return compressed_to_rgb(msg.format, msg.data, bits)
    return raw_to_rgb(
        msg.encoding, msg.height, msg.width, msg.step, bool(msg.is_bigendian), msg.data, bits
    )


def image_to_array(msg: Image) -> np.ndarray:
    """Return a 32FC1, 16UC1 or mono8 message as an (h, w) array: the way back from our outputs.

    A view into the message. Raises KeyError for other encodings.
    """
    dtype = OUTPUT_DTYPE[msg.encoding]
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)
    values: np.ndarray = np.ascontiguousarray(rows[:, : msg.width * dtype.itemsize]).view(dtype)
    return values


def depth_to_image(depth_m: np.ndarray, header: Header) -> Image:
    """Return (h, w) float32 metres as 32FC1; NaN, +Inf and -Inf keep their meaning (REP-117)."""
    return _image(np.ascontiguousarray(depth_m, np.float32), '32FC1', header)


def depth_to_mm_image(depth_m: np.ndarray, header: Header) -> Image:
    """Return (h, w) float32 metres as 16UC1 millimetres, 0 = no reading (REP-118).

    Depths beyond 65.535 m do not fit and become 0 too.
    """
    near_m = cv2.threshold(depth_m, MAX_MM_IMAGE_M, 0, cv2.THRESH_TOZERO_INV)[1]
    # Conversion rounds; NaN and -Inf become the least number there is, which is 0.
    mm = cv2.multiply(near_m, 1000.0, dtype=cv2.CV_16U)  # type: ignore[call-overload]
    return _image(mm, '16UC1', header)


def mono_to_image(values: np.ndarray, header: Header) -> Image:
    """Return (h, w) uint8 as mono8."""
    return _image(np.ascontiguousarray(values, np.uint8), 'mono8', header)


def rgb_to_image(rgb: np.ndarray, header: Header) -> Image:
    """Return (h, w, 3) uint8 RGB as rgb8."""
    return _image(np.ascontiguousarray(rgb, np.uint8), 'rgb8', header)


def camera_to_info(camera: Camera | None, hw: tuple[int, int], header: Header) -> CameraInfo:
    """Return the calibration of an (h, w) grid: undistorted, so D is zero, R one and P is K.

    The fourth column of P is zero, but for a camera beside the origin of its frame (the second
    one of a stereo pair). camera None (not calibrated) gives K = 0, which readers take as such.
    """
    info = CameraInfo(header=header, height=hw[0], width=hw[1], distortion_model='plumb_bob')
    info.d = [0.0] * 5
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    if camera is not None:
        fx, fy, cx, cy = (float(n) for n in (camera.fx, camera.fy, camera.cx, camera.cy))
        info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
        tx, ty = 0.0 - fx * camera.origin_x_m, 0.0 - fy * camera.origin_y_m
        info.p = [fx, 0.0, cx, tx, 0.0, fy, cy, ty, 0.0, 0.0, 1.0, 0.0]
    return info


def number(value: float) -> Float32:
    """Return a std_msgs/Float32."""
    return Float32(data=float(value))


def classes_to_label_info(
    classes: Sequence[SemanticClass], header: Header, vision_msgs: Any
) -> Any:
    """Return the names of the label ids as vision_msgs/LabelInfo.

    vision_msgs: the module vision_msgs.msg; None, where it is not installed, gives the same as
    JSON in a std_msgs/String: {"class_map": [{"class_id": 0, "class_name": "road"}, ...],
    "threshold": 0.0}.
    """
    if vision_msgs is None:
        named = [{'class_id': c.id, 'class_name': c.name} for c in classes]
        return String(data=json.dumps({'class_map': named, 'threshold': 0.0}))
    info = vision_msgs.LabelInfo(header=header, threshold=0.0)
    info.class_map = [vision_msgs.VisionClass(class_id=c.id, class_name=c.name) for c in classes]
    return info


def points_to_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """Return an organised (h, w) or plain (n,) structured array (cloud.POINT) as PointCloud2."""
    rows = np.ascontiguousarray(np.atleast_2d(points))
    height, width = rows.shape
    msg = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=_fields(rows.dtype),
        is_bigendian=False,
        point_step=rows.dtype.itemsize,
        row_step=rows.dtype.itemsize * width,
        is_dense=False,
    )
    _fill(msg.data, rows)
    return msg


class CloudMessage:
    """A PointCloud2 that is written in place from frame to frame: its bytes are not copied.

    If you keep the message, it will hold the next frame; publishing copies it.
    """

    def __init__(self) -> None:
        self._msg: Any = None
        self._points: np.ndarray | None = None

    def fill(self, make: Callable[[np.ndarray | None], np.ndarray], header: Header) -> PointCloud2:
        """Return the message with the cloud that `make` gives.

        make: called with an (h, w) structured array to overwrite, which lies in the message, or
        None; returns that array, or a new one if it does not fit.
        """
        points = make(self._points)
        if points is self._points:
            self._msg.header = header
        else:
            self._msg = points_to_cloud(points, header)
            self._points = np.frombuffer(self._msg.data, points.dtype).reshape(points.shape)
        return self._msg


def cloud_to_points(msg: PointCloud2) -> np.ndarray:
    """Return a PointCloud2 as an (h, w) structured array: the way back from points_to_cloud."""
    formats = {number: text for text, number in POINT_FIELD_TYPE.items()}
    dtype = np.dtype(
        {
            'names': [f.name for f in msg.fields],
            'formats': [f'<{formats[f.datatype]}' for f in msg.fields],
            'offsets': [f.offset for f in msg.fields],
            'itemsize': msg.point_step,
        }
    )
    return np.frombuffer(msg.data, dtype).reshape(msg.height, msg.width)


def _fields(dtype: np.dtype[Any]) -> list[PointField]:
    assert dtype.fields is not None  # a structured array, by the callers' contract
    fields = []
    for name in dtype.names or ():
        kind, offset = dtype.fields[name][:2]
        number = POINT_FIELD_TYPE[kind.str[1:]]
        fields.append(PointField(name=name, offset=offset, datatype=number, count=1))
    return fields


def _image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    height, width = pixels.shape[:2]
    msg = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(sys.byteorder == 'big'),
        step=pixels.nbytes // height,
    )
    _fill(msg.data, pixels)
    return msg


def _fill(data: array.array[int], pixels: np.ndarray) -> None:
    data.frombytes(pixels.reshape(-1).view(np.uint8).data)
