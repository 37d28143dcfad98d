# SPDX-License-Identifier: Apache-2.0
"""Where the camera of a recording was over the ground: given by hand, or by its transforms."""

from __future__ import annotations

from typing import Any

from lightdepth_ros.bag.frames import RecordedFrames
from lightdepth_ros.bag.recording import Recording
from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.mount import Mount
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

SLACK_NS = 10**9
"""An image may lie so far outside of the times that the transforms know."""
COLUMNS = ('camera_height_m', 'camera_pitch_deg', 'camera_roll_deg')


class Mounts:
    """Answers for each image of a conversion where its camera was."""

    def __init__(self, fixed: tuple[float, ...], ground_frame: str, recording: Recording) -> None:
        """fixed: height in metres, pitch and roll in degrees; empty = not given. ground_frame: the
        level frame over which the transforms tell it; '' = they are not asked."""
        self._fixed = Mount(*fixed) if fixed else None
        self._ground_frame = ground_frame
        voice = Voice(print, print)
        self._frames = RecordedFrames(recording, bool(ground_frame), voice)
        self._frames.start(None)

    @property
    def topics(self) -> list[str]:
        """Topics whose messages `take` wants, in the order of recording."""
        return sorted(self._frames.topics)

    @property
    def transforms(self) -> Transforms:
        """What has been heard of the frames."""
        return self._frames.transforms

    def take(self, message: Any) -> None:
        """Hear a message of `topics`."""
        self._frames.hear(message)

    def cells(self, image: Any, stamp_ns: int) -> dict[str, str | float]:
        """Return the manifest's cells for an image message; none of them where it is not known.

        Raises DataError where the transforms were asked and do not tell.
        """
        mount = self._fixed
        if self._ground_frame:
            mount = self._told(image.header.frame_id, stamp_ns)
        if mount is None:
            return {}
        values = mount.height_m, mount.pitch_deg, mount.roll_deg
        return {name: round(v, 4) for name, v in zip(COLUMNS, values, strict=True)}

    def _told(self, frame: str, stamp_ns: int) -> Mount:
        try:
            pose = self.transforms.lookup(self._ground_frame, frame, stamp_ns, SLACK_NS)
            return Mount.from_pose(pose)
        except (ConfigError, DataError) as error:
            raise DataError(
                f'--ground-frame {self._ground_frame}: {error} (image of {stamp_ns} ns). Leave it '
                'out, or give --camera-height-m.'
            ) from error
