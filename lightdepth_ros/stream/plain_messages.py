# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the ROS message classes that `messages.py` fills, for machines without ROS.

Same fields, same defaults, `data` an array('B') to be filled by `frombytes`. Nothing is checked.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def _bytes() -> array.array[int]:
    return array.array('B')


def _zeros(count: int) -> Callable[[], list[float]]:
    return lambda: [0.0] * count


@dataclass
class Time:
    """builtin_interfaces/Time."""

    sec: int = 0
    nanosec: int = 0


@dataclass
class Header:
    """std_msgs/Header."""

    stamp: Time = field(default_factory=Time)
    frame_id: str = ''


@dataclass
class Float32:
    """std_msgs/Float32."""

    data: float = 0.0


@dataclass
class String:
    """std_msgs/String."""

    data: str = ''


@dataclass
class Image:
    """sensor_msgs/Image."""

    header: Header = field(default_factory=Header)
    height: int = 0
    width: int = 0
    encoding: str = ''
    is_bigendian: int = 0
    step: int = 0
    data: array.array[int] = field(default_factory=_bytes)


@dataclass
class CompressedImage:
    """sensor_msgs/CompressedImage."""

    header: Header = field(default_factory=Header)
    format: str = ''
    data: array.array[int] = field(default_factory=_bytes)


@dataclass
class RegionOfInterest:
    """sensor_msgs/RegionOfInterest."""

    x_offset: int = 0
    y_offset: int = 0
    height: int = 0
    width: int = 0
    do_rectify: bool = False


@dataclass
class CameraInfo:
    """sensor_msgs/CameraInfo."""

    header: Header = field(default_factory=Header)
    height: int = 0
    width: int = 0
    distortion_model: str = ''
    d: list[float] = field(default_factory=list)
    k: list[float] = field(default_factory=_zeros(9))
    r: list[float] = field(default_factory=_zeros(9))
    p: list[float] = field(default_factory=_zeros(12))
    binning_x: int = 0
    binning_y: int = 0
    roi: RegionOfInterest = field(default_factory=RegionOfInterest)


@dataclass
class PointField:
    """sensor_msgs/PointField, with its numbers of sample types."""

    INT8 = 1
    UINT8 = 2
    INT16 = 3
    UINT16 = 4
    INT32 = 5
    UINT32 = 6
    FLOAT32 = 7
    FLOAT64 = 8

    name: str = ''
    offset: int = 0
    datatype: int = 0
    count: int = 0


@dataclass
class PointCloud2:
    """sensor_msgs/PointCloud2."""

    header: Header = field(default_factory=Header)
    height: int = 0
    width: int = 0
    fields: list[PointField] = field(default_factory=list)
    is_bigendian: bool = False
    point_step: int = 0
    row_step: int = 0
    data: array.array[int] = field(default_factory=_bytes)
    is_dense: bool = False


@dataclass
class VisionClass:
    """vision_msgs/VisionClass."""

    class_id: int = 0
    class_name: str = ''


@dataclass
class LabelInfo:
    """vision_msgs/LabelInfo."""

    header: Any = field(default_factory=Header)
    class_map: list[VisionClass] = field(default_factory=list)
    threshold: float = 0.0
