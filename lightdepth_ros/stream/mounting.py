# SPDX-License-Identifier: Apache-2.0
"""Where the camera of a stream is mounted: by the parameters, or by the transforms, live."""

from __future__ import annotations

import time

import numpy as np

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import ConfigError, DataError, NoTransformError, TransformTimeError
from lightdepth_ros.mount import Mount
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

SLACK_NS = 10**9
"""Images may be so much newer than the last transform: joint states come late, and seldom."""
GRACE_S = 2.0
"""A camera may wait so long for its transforms before the log complains."""
NOT_KNOWN = 'not known'


class Mounting:
    """Answers for each image where its camera was; remembers the last answer of the transforms."""

    def __init__(self, image_topic: str, transforms: Transforms, voice: Voice) -> None:
        self.problem = ''
        """Why the transforms do not tell it, with the remedy; empty if they do, or need not."""
        self.text = NOT_KNOWN
        """The mount in words."""
        self._topic = image_topic
        self._transforms = transforms
        self._voice = voice
        self._frames = ('', '')
        self._last: Mount | None = None
        self._missed_since_s: float | None = None

    def mount(self, config: NodeConfig, frame: str, stamp_ns: int) -> Mount | None:
        """Return the mount for an image of the optical frame `frame`; None = not known.

        With mount tf, what the transforms said last goes on where they fall silent, and before
        they have said anything the parameters hold.
        """
        if config.mount != 'tf':
            self.problem, self._missed_since_s = '', None
            mount = config.fixed_mount
            self.text = describe(mount, 'parameters')
            return mount
        self._ask(config.ground_frame, frame, stamp_ns)
        if self._last is None:
            self.text = describe(config.fixed_mount, 'parameters, while transforms are missing')
            return config.fixed_mount
        self.text = describe(self._last, 'the last transforms' if self.problem else 'tf')
        return self._last

    def _ask(self, ground_frame: str, frame: str, stamp_ns: int) -> None:
        if self._frames != (ground_frame, frame):
            self._frames, self._last = (ground_frame, frame), None
        try:
            pose, self.problem = self._pose(ground_frame, frame, stamp_ns)
            self._last = Mount.from_pose(pose)
        except (DataError, ConfigError) as error:
            self.problem = self._explain(error)
        if not self.problem:
            self._missed_since_s = None
            return
        now_s = time.perf_counter()
        self._missed_since_s = self._missed_since_s or now_s
        if now_s - self._missed_since_s >= GRACE_S:
            self._voice.warn_once(f'mount {self._topic} {self.problem[:40]}', self.problem)

    def _pose(self, ground_frame: str, frame: str, stamp_ns: int) -> tuple[np.ndarray, str]:
        """Return the camera's pose, and why it is not that of the stamp."""
        if stamp_ns == 0:
            return self._transforms.lookup(ground_frame, frame), ''
        try:
            return self._transforms.lookup(ground_frame, frame, stamp_ns, SLACK_NS), ''
        except TransformTimeError as error:
            why = f'the mount of {self._topic} is that of another time: {error}'
            return self._transforms.lookup(ground_frame, frame), why

    def _explain(self, error: DataError | ConfigError) -> str:
        ground_frame, frame = self._frames
        start = f'mount is tf, but where the camera of {self._topic} stands is not known: '
        if not frame:
            return (
                f'{start}its images have no frame_id. Set it in the camera driver, or set '
                'camera_height_m and mount to parameters.'
            )
        if isinstance(error, ConfigError):
            return (
                f'{start}by the transforms from {frame!r} to {ground_frame!r}, {error} Correct '
                "the robot's description, or ground_frame."
            )
        nothing = isinstance(error, NoTransformError) and not self._transforms.frames()
        if nothing and not self._transforms.remedy:
            return (
                f'{start}no transform has come on /tf or /tf_static. Start '
                'robot_state_publisher, or publish the pose of the camera: ros2 run tf2_ros '
                f'static_transform_publisher --frame-id {ground_frame} --child-frame-id {frame} '
                '--z HEIGHT --roll -1.5708 --yaw -1.5708; or set camera_height_m and mount to '
                'parameters.'
            )
        if self._transforms.remedy:
            return f'{start}{error}.'
        return (
            f'{start}{error}. Set ground_frame to a level frame on the ground that is connected '
            'to the camera, or publish the transform that is missing.'
        )


def describe(mount: Mount | None, source: str) -> str:
    """Return a mount in words."""
    if mount is None:
        return NOT_KNOWN
    return (
        f'{mount.height_m:.2f} m high, pitch {mount.pitch_deg:.1f}, roll {mount.roll_deg:.1f} '
        f'degrees ({source})'
    )
