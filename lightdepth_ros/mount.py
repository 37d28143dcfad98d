# SPDX-License-Identifier: Apache-2.0
"""Where the camera is mounted over the ground, and the ground map that tells the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import ConfigError

CANONICAL_HEIGHT_M = 1.65
"""With a known mount, depth is learnt as if every camera stood this high: KITTI's height."""
HEIGHT_LIMITS_M = (0.05, 20.0)
TILT_LIMIT_DEG = 60.0
"""Beyond this pitch or roll a picture hardly shows ground in front of the robot."""

MAP_CHANNELS = 4
MAP_STRIDE = 16
"""Network pixels per cell of the ground map, along each side."""
ROW_UNIT_PX, COLUMN_UNIT_PX = 100.0, 300.0
"""What one unit of the first two channels means in network pixels."""
ROW_OF_ZERO_PX = 50.0
"""Rows below the horizon where the third channel is zero: 19.8 m for the canonical camera."""
LOG_LIMIT = 2.5
HEIGHT_CUE_GAIN, LEAST_CUE, MOST_CUE = 0.5, 0.25, 3.0


@dataclass(frozen=True)
class Mount:
    """The pose of a camera over level ground.

    height_m   metres from the ground to the optical centre.
    pitch_deg  positive looks down; roll_deg: positive tilts the right side down. Both as in the
               rpy of a URDF for the camera's body (REP-103: x forward, y left, z up).
    """

    height_m: float
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        low, high = HEIGHT_LIMITS_M
        if not low <= self.height_m <= high:
            raise ConfigError(
                f'the camera height is {self.height_m} m; it must lie in [{low}, {high}]. It is '
                'measured from the ground to the lens.'
            )
        for name, angle in (('pitch', self.pitch_deg), ('roll', self.roll_deg)):
            if not abs(angle) <= TILT_LIMIT_DEG:
                raise ConfigError(
                    f'the camera {name} is {angle} degrees; it must lie within '
                    f'{TILT_LIMIT_DEG:.0f} degrees of level. Is it given in radians, or is the '
                    'optical frame taken for the body of the camera?'
                )

    @property
    def down(self) -> tuple[float, float, float]:
        """The unit vector towards the ground in the optical frame (x right, y down, z ahead)."""
        pitch, roll = math.radians(self.pitch_deg), math.radians(self.roll_deg)
        return (
            math.cos(pitch) * math.sin(roll),
            math.cos(pitch) * math.cos(roll),
            math.sin(pitch),
        )

    @classmethod
    def from_down(cls, height_m: float, down: np.ndarray) -> Mount:
        """Return the mount of a camera that sees the ground in the direction `down`, (3,)."""
        x, y, z = np.asarray(down, np.float64) / np.linalg.norm(down)
        pitch = math.degrees(math.asin(max(-1.0, min(1.0, z))))
        return cls(height_m, pitch, math.degrees(math.atan2(x, y)))

    @classmethod
    def from_pose(cls, t_ground_camera: np.ndarray) -> Mount:
        """Return the mount of a camera from its optical frame's pose in a level frame.

        t_ground_camera: (4, 4), maps points of the optical frame to a frame with z up and the
        ground at z = 0. Raises ConfigError for a camera that cannot stand like that.
        """
        return cls.from_down(float(t_ground_camera[2, 3]), -t_ground_camera[2, :3])


def height_factor(mount: Mount | None, canonical_height_m: float = CANONICAL_HEIGHT_M) -> float:
    """Return what turns depth for the canonical height into metres; 1 for an unknown mount."""
    return 1.0 if mount is None else mount.height_m / canonical_height_m


def height_cue(mount: Mount) -> float:
    """Return the fourth channel of the ground map for a known mount."""
    low = math.log(CANONICAL_HEIGHT_M / mount.height_m)
    return min(max(1 + HEIGHT_CUE_GAIN * low, LEAST_CUE), MOST_CUE)


def ground_map(
    camera: Camera | None,
    mount: Mount | None,
    input_hw: tuple[int, int],
    stride: int = MAP_STRIDE,
) -> np.ndarray:
    """Return the ground map of a network input: (1, 4, H / stride, W / stride) float32.

    stride: pixels per cell; models take MAP_STRIDE.
    camera: that of the network input; None = not calibrated, then its middle is taken for the
    principal point. Channels, at the middle of each cell:
    0  rows below the level horizon, in hundreds of network pixels; with an unknown mount rows
       below the principal point;
    1  columns right of the principal point, in units of 300 network pixels;
    2  ln of the level ground's depth for the canonical camera, over 19.8 m; at most 2.5, which
       also stands for everything above the horizon; 0 with an unknown mount;
    3  0 = the mount is not known; else 1 for the canonical height, and by half the ln of the
       ratio more for a lower camera (0.2 m: 2.06; 2.5 m: 0.79), at least 0.25.

    Level ground `height` below a camera is seen at depth Z = height / d along the optical axis,
    where d is the ray's component towards the ground per metre of Z; so f * d are the rows below
    the horizon, and in canonical units (focal length and height) Z depends on them alone. What
    stands on the ground has a usual size, which in canonical units depends on the camera's height:
    hence the fourth channel. (docs/lab/experiments.md says what it brought so far: little.)
    """
    height, width = input_hw
    camera = camera or Camera(width, height, 1.0, 1.0, (width - 1) / 2, (height - 1) / 2)
    focal = camera.focal_px
    half = (stride - 1) / 2
    x = (np.arange(width // stride) * stride + half - camera.cx) / camera.fx
    y = (np.arange(height // stride) * stride + half - camera.cy) / camera.fy
    across, along = np.meshgrid(x, y)
    result = np.zeros((1, MAP_CHANNELS, *across.shape), np.float32)
    result[0, 1] = np.clip(across * focal / COLUMN_UNIT_PX, -4, 4)
    if mount is None:
        result[0, 0] = np.clip(along * focal / ROW_UNIT_PX, -6, 6)
        return result
    down_x, down_y, down_z = mount.down
    rows = focal * (down_x * across + down_y * along + down_z)
    result[0, 0] = np.clip(rows / ROW_UNIT_PX, -6, 6)
    below = np.maximum(rows, ROW_OF_ZERO_PX * math.exp(-LOG_LIMIT))
    result[0, 2] = np.clip(np.log(ROW_OF_ZERO_PX / below), -LOG_LIMIT, LOG_LIMIT)
    result[0, 3] = height_cue(mount)
    return result
