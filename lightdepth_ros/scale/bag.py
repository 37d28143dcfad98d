# SPDX-License-Identifier: Apache-2.0
"""Depth of a lidar or depth camera in a recording, with the network's depth at the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lightdepth_ros.bag.matching import NearestStamps, Pair
from lightdepth_ros.bag.recording import (
    DEPTH_TYPES,
    POINTS_TYPES,
    TF_TYPES,
    UNRECORDED_POSE,
    Recording,
)
from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import DataError
from lightdepth_ros.scale.view import Seen
from lightdepth_ros.stream import measurements as bag_measurements
from lightdepth_ros.stream.messages import image_to_rgb
from lightdepth_ros.stream.transforms import Transforms, pose_matrix

TF_STATIC = '/tf_static'
Pose = Callable[[str, str], np.ndarray]
"""(camera frame, lidar frame) -> T_camera_lidar, (4, 4)."""


@dataclass(frozen=True)
class Measured:
    """Where to look for true depth. One of points and depth is a topic, the other ''.

    image, camera_info  topics; '' = the only one, and the one beside it.
    near_m, far_m       only depths between them count.
    image_kind, image_bits  as the settings of those names.
    lidar_to_camera     x y z qx qy qz qw of the lidar in the optical frame; () = /tf_static.
    """

    image: str
    points: str
    depth: str
    tolerance_s: float
    frames: int
    near_m: float
    far_m: float
    camera_info: str = ''
    image_kind: str = 'auto'
    image_bits: int = 0
    lidar_to_camera: tuple[float, ...] = ()

    @property
    def topic(self) -> str:
        """The topic true depth comes from."""
        return self.points or self.depth


def check_topics(recording: Recording, measured: Measured) -> None:
    """Refuse topics that the recording does not have; the error lists those it has."""
    if measured.points:
        recording.require(measured.points, POINTS_TYPES, '--points-topic')
    else:
        recording.require(measured.depth, DEPTH_TYPES, '--depth-topic')


def pairs(recording: Recording, measured: Measured) -> Iterator[Pair]:
    """Yield about `frames` images, evenly over the recording, with their nearest measurement."""
    matcher = NearestStamps(round(measured.tolerance_s * 1e9))
    every = max(1, recording.count([measured.image]) // measured.frames)
    seen = 0
    for recorded in recording.messages([measured.image, measured.topic]):
        if recorded.topic != measured.image:
            yield from matcher.add_measurement(recorded)
            continue
        seen += 1
        if (seen - 1) % every == 0:
            yield from matcher.add_image(recorded)
    yield from matcher.rest()


def lidar_pose(recording: Recording, by_hand: tuple[float, ...]) -> Pose:
    """Return where the lidar is, by hand (x y z qx qy qz qw) or from /tf_static."""
    if by_hand:
        fixed = pose_matrix(by_hand[:3], by_hand[3:])
        return lambda camera_frame, lidar_frame: fixed
    transforms = Transforms(UNRECORDED_POSE)
    if recording.has(TF_STATIC):
        recording.require(TF_STATIC, TF_TYPES, 'static transforms')
        for recorded in recording.messages([TF_STATIC]):
            transforms.add_message(recorded.message)
    return lru_cache(maxsize=None)(transforms.lookup)


def true_depth(seen: Seen, pair: Pair, measured: Measured, pose: Pose) -> np.ndarray:
    """Return (h, w) float metres along the axis on the prediction's grid, 0 = not measured."""
    assert pair.measurement is not None
    message, topic = pair.measurement.message, pair.measurement.topic
    frames = (pair.image.message.header.frame_id, message.header.frame_id)
    if measured.points:
        xyz = bag_measurements.cloud_xyz(message, topic)
        depth = projected(xyz, pose(*frames), seen.camera)
    else:
        if frames[0].lstrip('/') != frames[1].lstrip('/'):
            raise DataError(
                f'depth on {topic} is seen from frame {frames[1]!r}, the images from '
                f'{frames[0]!r}: record depth registered (aligned) to the camera'
            )
        size_wh = image_size(pair.image.message)
        depth = sampled(bag_measurements.depth_image_m(message, topic), seen.source_uv, size_wh)
    inside = (depth >= measured.near_m) & (depth <= measured.far_m)
    return np.where(inside, depth, 0)


def image_size(message: Any) -> tuple[int, int]:
    """Return (width, height) of an image message."""
    height, width = image_to_rgb(message).shape[:2]
    return width, height


def projected(xyz_m: np.ndarray, t_camera_lidar: np.ndarray, camera: Camera) -> np.ndarray:
    """Return (h, w) float64: the nearest return of each pixel of `camera`, 0 = none.

    xyz_m (n, 3) in the lidar's frame; t_camera_lidar (4, 4) into the camera's optical frame.
    """
    points = xyz_m @ t_camera_lidar[:3, :3].T + t_camera_lidar[:3, 3]
    points = points[points[:, 2] > 0.1]
    z = points[:, 2]
    u = np.floor(camera.fx * (points[:, 0] - camera.origin_x_m) / z + camera.cx + 0.5)
    v = np.floor(camera.fy * (points[:, 1] - camera.origin_y_m) / z + camera.cy + 0.5)
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    depth = np.full(camera.size_hw, np.inf)
    np.minimum.at(depth, (v[inside].astype(int), u[inside].astype(int)), z[inside])
    return np.where(np.isfinite(depth), depth, 0.0)


def sampled(depth_m: np.ndarray, uv: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Return a registered depth image at the image pixels `uv`, (h, w, 2); 0 = no value.

    The depth image may have another size than the image, `size_wh`, but must show the same view.
    """
    height, width = depth_m.shape
    if abs(width * size_wh[1] - height * size_wh[0]) > max(size_wh):
        raise DataError(
            f'depth images are {width}x{height} and images {size_wh[0]}x{size_wh[1]}: the aspects '
            'differ, so they do not show the same view. Record depth registered to the camera'
        )
    scale = np.array([width / size_wh[0], height / size_wh[1]])
    place = np.floor(np.nan_to_num((uv + 0.5) * scale, nan=-1)).astype(int)
    inside = (place >= 0).all(axis=-1) & (place < [width, height]).all(axis=-1)
    column, row = (np.where(inside, place[..., axis], 0) for axis in (0, 1))
    return np.where(inside, depth_m[row, column], 0.0)
