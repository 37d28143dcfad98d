# SPDX-License-Identifier: Apache-2.0
"""Small ROS 2 recordings with geometry worked out by hand.

Camera: 64x48, f = 100, centre (32, 24), frame `camera_optical`, 1.5 m ahead of and above
`base_link`. Lidar: frame `lidar`, 1 m ahead, 2 m above, looking along x. The point that cloud k
holds lies at (Z/10, Z/20, Z) of the camera with Z = 10 + k: always at u = 100 / 10 + 32 = 42,
v = 100 / 20 + 24 = 29. In the lidar's frame that is (Z + 0.5, -Z/10, -Z/20 - 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
HW, FOCAL, CENTRE = (48, 64), 100.0, (32.0, 24.0)
PIXEL = (29, 42)
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def make(name: str, /, **fields: Any) -> Any:
    """Return a message of type `name`, as in sensor_msgs/Image."""
    return TYPES[name.replace('/', '/msg/')](**fields)


def header(stamp_ns: int, frame: str) -> Any:
    """Return a header."""
    sec, nanosec = divmod(stamp_ns, 10**9)
    return make('std_msgs/Header', stamp=make('builtin_interfaces/Time', sec=sec, nanosec=nanosec),
                frame_id=frame)  # fmt: skip


def image(stamp_ns: int, pixels: np.ndarray, encoding: str, frame: str = 'camera_optical') -> Any:
    """Return an Image."""
    data = np.ascontiguousarray(pixels)
    return make(
        'sensor_msgs/Image',
        header=header(stamp_ns, frame),
        height=data.shape[0],
        width=data.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.strides[0],
        data=data.view(np.uint8).ravel(),
    )


def compressed(stamp_ns: int, rgb: np.ndarray) -> Any:
    """Return a CompressedImage (PNG, so that pixels stay exact)."""
    data = cv2.imencode('.png', rgb[..., ::-1])[1]
    return make(
        'sensor_msgs/CompressedImage',
        header=header(stamp_ns, 'camera_optical'),
        format='rgb8; png compressed bgr8',
        data=data.ravel(),
    )


def camera_info(k: Iterable[float] | None = None, d: Iterable[float] = (), **fields: Any) -> Any:
    """Return the CameraInfo of the camera above."""
    f, (cx, cy) = FOCAL, CENTRE
    k = np.array(k if k is not None else [f, 0, cx, 0, f, cy, 0, 0, 1], float)
    values = {
        'header': header(START_NS, 'camera_optical'),
        'height': HW[0],
        'width': HW[1],
        'distortion_model': 'plumb_bob',
        'd': np.array(list(d), float),
        'k': k,
        'r': np.eye(3).ravel(),
        'p': np.array([*k[:3], 0, *k[3:6], 0, *k[6:], 0], float),
        'binning_x': 0,
        'binning_y': 0,
        'roi': make('sensor_msgs/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0,
                    do_rectify=False),
    }  # fmt: skip
    return make('sensor_msgs/CameraInfo', **(values | fields))


def lidar_point(z: float) -> tuple[float, float, float]:
    """Return the point at depth z on the ray of PIXEL, in the lidar's frame."""
    return z + 0.5, -z / 10, -z / 20 - 0.5


def cloud(stamp_ns: int, points: Iterable[Iterable[float]], frame: str = 'lidar') -> Any:
    """Return a PointCloud2 with x y z intensity float32."""
    rows = np.array([[*p, 0.5] for p in points], np.float32)
    names = ('x', 'y', 'z', 'intensity')
    fields = [
        make('sensor_msgs/PointField', name=n, offset=4 * i, datatype=7, count=1)
        for i, n in enumerate(names)
    ]
    return make(
        'sensor_msgs/PointCloud2',
        header=header(stamp_ns, frame),
        height=1,
        width=len(rows),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(rows),
        data=rows.view(np.uint8).ravel(),
        is_dense=True,
    )


def transform(parent: str, child: str, xyz: Iterable[float], xyzw: Iterable[float]) -> Any:
    """Return a TransformStamped."""
    t = make('geometry_msgs/Vector3', **dict(zip('xyz', xyz, strict=True)))
    r = make('geometry_msgs/Quaternion', **dict(zip('xyzw', xyzw, strict=True)))
    return make(
        'geometry_msgs/TransformStamped',
        header=header(START_NS, parent),
        child_frame_id=child,
        transform=make('geometry_msgs/Transform', translation=t, rotation=r),
    )


def tf_static() -> list[Any]:
    """Return two messages, as two publishers would send: the sensors, and the optical frame."""
    straight = (0.0, 0.0, 0.0, 1.0)
    first = [
        transform('base_link', 'lidar', (1.0, 0.0, 2.0), straight),
        transform('base_link', 'camera_link', (1.5, 0.0, 1.5), straight),
    ]
    second = [transform('camera_link', 'camera_optical', (0.0, 0.0, 0.0), OPTICAL)]
    return [make('tf2_msgs/TFMessage', transforms=t) for t in (first, second)]


def picture(index: int) -> np.ndarray:
    """Return the RGB pixels of image `index`."""
    return np.full((*HW, 3), (40 + index, 90, 200), np.uint8)


def write(path: Path, messages: Iterable[tuple[str, int, Any]], storage: str = 'MCAP') -> Path:
    """Write (topic, recording time in ns, message) and return `path`."""
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage]) as writer:
        connections: dict[str, Any] = {}
        for topic, log_ns, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], log_ns, STORE.serialize_cdr(message, kind))
    return path


def write_ros1(path: Path, messages: Iterable[tuple[str, int, Any]]) -> Path:
    """Write the same messages as a bag of ROS 1 and return `path`."""
    store = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(path) as writer:
        connections: dict[str, Any] = {}
        for topic, log_ns, message in messages:
            kind = message.__msgtype__
            if kind not in store.types:  # transforms, which rosbags does not know of ROS 1
                continue
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            old = as_ros1(store, message)
            writer.write(connections[topic], log_ns, store.serialize_ros1(old, kind))
    return path


def as_ros1(store: Any, message: Any) -> Any:
    """Return a message, or whatever else stands in one, with the fields of ROS 1."""
    if isinstance(message, list):
        return [as_ros1(store, part) for part in message]
    kind = getattr(message, '__msgtype__', None)
    if kind is None:
        return message
    fields = {'seq': 0} if kind == 'std_msgs/msg/Header' else {}
    for name, value in vars(message).items():
        old = name.upper() if name in 'dkrp' else name
        fields[old] = as_ros1(store, value)
    return store.types[kind](**fields)


def drive(count: int = 6, lag_ms: int = 5) -> list[tuple[str, int, Any]]:
    """Return images at 10 Hz and clouds `lag_ms` later; the last image has no cloud."""
    messages: list[tuple[str, int, Any]] = []
    for message in tf_static():
        messages.append(('/tf_static', START_NS, message))
    for k in range(count):
        now = START_NS + 100 * k * MS
        messages.append(('/cam/camera_info', now, camera_info()))
        messages.append(('/cam/image_raw', now, image(now, picture(k), 'rgb8')))
        if k < count - 1:
            later = now + lag_ms * MS
            points = [lidar_point(10.0 + k + 5), lidar_point(10.0 + k), (-4.0, 0.0, 0.0)]
            messages.append(('/lidar/points', later + 20 * MS, cloud(later, points)))
    return messages
