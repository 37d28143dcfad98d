# SPDX-License-Identifier: Apache-2.0
"""Messages of range sensors, live or recorded -> NumPy arrays in metres."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightdepth_ros.errors import DataError

FLOATS = {7: 'f4', 8: 'f8'}
"""PointField datatype numbers of float32 and float64 (sensor_msgs/msg/PointField)."""

DEPTH_ENCODINGS = {'32FC1': ('f4', 1.0), '16UC1': ('u2', 0.001), 'mono16': ('u2', 0.001)}
"""Encoding -> sample type, metres per unit (REP 118)."""


def scan_xyz(message: Any, topic: str) -> np.ndarray:
    """Return (n, 3) float64 x y z in metres in the frame of a sensor_msgs/LaserScan.

    What lies outside of [range_min, range_max] is dropped, as REP-117 has it: NaN, too near, +Inf.
    """
    ranges = np.asarray(message.ranges, np.float64)
    numbers = (message.angle_min, message.angle_increment, message.range_min, message.range_max)
    if not np.isfinite(numbers[:3]).all() or message.angle_increment == 0:
        raise DataError(
            f'a scan on {topic} has angle_min {numbers[0]}, angle_increment {numbers[1]} and '
            f'range_min {numbers[2]}; finite numbers and an increment other than 0 are needed'
        )
    angle = numbers[0] + numbers[1] * np.arange(len(ranges))
    with np.errstate(invalid='ignore'):
        good = np.isfinite(ranges) & (ranges >= numbers[2]) & (ranges <= numbers[3])
    good &= ranges > 0
    r, angle = ranges[good], angle[good]
    return np.stack([r * np.cos(angle), r * np.sin(angle), np.zeros(len(r))], 1)


def cloud_xyz(message: Any, topic: str, most: int | None = None) -> np.ndarray:
    """Return (n, 3) float64 x y z in metres in the cloud's frame; NaN and Inf points dropped.

    most: of larger clouds every k-th point is read, so that at most so many are.
    """
    fields = {f.name: f for f in message.fields}
    wrong = [n for n in 'xyz' if n not in fields or fields[n].datatype not in FLOATS]
    if wrong:
        raise DataError(
            f'a cloud on {topic} has the fields {", ".join(fields)}; x, y and z as float32 or '
            'float64 are needed'
        )
    order = '>' if message.is_bigendian else '<'
    dtype = np.dtype(
        {
            'names': list('xyz'),
            'formats': [order + FLOATS[fields[n].datatype] for n in 'xyz'],
            'offsets': [fields[n].offset for n in 'xyz'],
            'itemsize': message.point_step,
        }
    )
    if len(message.data) < message.row_step * message.height:
        raise DataError(
            f'a cloud on {topic} has {len(message.data)} bytes; {message.height} rows of '
            f'{message.row_step} bytes are announced'
        )
    rows = np.frombuffer(message.data, np.uint8)[: message.row_step * message.height]
    rows = rows.reshape(message.height, message.row_step)
    used = np.ascontiguousarray(rows[:, : message.width * message.point_step])
    points = used.view(dtype).ravel()
    if most is not None and len(points) > most:
        points = points[:: -(-len(points) // most)]
    xyz = np.stack([points[n] for n in 'xyz'], axis=-1).astype(np.float64)
    return xyz[np.isfinite(xyz).all(axis=1)]


def depth_image_m(message: Any, topic: str) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value, of a 32FC1 or 16UC1 depth image."""
    if message.encoding not in DEPTH_ENCODINGS:
        raise DataError(
            f'a depth image on {topic} is {message.encoding!r}; 32FC1 (metres) or 16UC1 '
            '(millimetres) is needed'
        )
    kind, metres = DEPTH_ENCODINGS[message.encoding]
    dtype = np.dtype(('>' if message.is_bigendian else '<') + kind)
    used = message.width * dtype.itemsize
    if message.step < used or len(message.data) != message.step * message.height:
        raise DataError(
            f'a depth image on {topic} has {len(message.data)} bytes in rows of {message.step}; '
            f'{message.height} rows of at least {used} bytes are needed'
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :used]
    depth = np.ascontiguousarray(rows).view(dtype).astype(np.float32) * np.float32(metres)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))
