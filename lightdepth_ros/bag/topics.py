# SPDX-License-Identifier: Apache-2.0
"""Which topics of a recording are cameras, and where their calibration is. No rosbags here."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.perception.calibration import base_topic, info_beside

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
NOT_CAMERAS = ('depth', 'disparity', 'infra', 'semantic', 'confidence', 'mask', 'preview')
"""Words in image topics that are rarely a camera's colour image; used only for guessing."""


class Topics(Protocol):
    """What is needed of a Recording (recording.py) here."""

    def topics(self) -> dict[str, str]:
        """Return topic -> type of all topics that have messages."""
        ...

    def listing(self) -> str:
        """Return the topics, one a line."""
        ...

    def require(self, topic: str, types: Collection[str], flag: str) -> None:
        """Refuse a topic that is missing, empty, or of another type."""
        ...


@dataclass(frozen=True)
class CameraTopics:
    """One camera of a recording.

    name   namespace of its outputs; '' = none.
    image  topic of the images.
    info   topic of its camera_info; '' = it has none.
    """

    name: str
    image: str
    info: str


def require_rosbags() -> None:
    """Raise ConfigError, with the line to type, if the library that reads bags is missing."""
    if importlib.util.find_spec('rosbags') is None:
        raise ConfigError(
            'reading bags needs the library rosbags, which is not installed. Install it with\n'
            "  pip install 'lightdepth_ros[bag]'\n"
            'or, beside a ROS installation, with\n'
            '  pip install rosbags'
        )


def find_image_topic(recording: Topics) -> str:
    """Return the only image topic; if there are more, DataError lists them.

    Of a raw and a compressed topic of the same camera, the raw one.
    """
    images = [topic for topic, kind in recording.topics().items() if kind in IMAGE_TYPES]
    if not images:
        raise DataError(
            f'the recording has no images ({" or ".join(IMAGE_TYPES)}). Record the camera too. '
            f'It has\n{recording.listing()}'
        )
    likely = [t for t in images if not any(word in t.lower() for word in NOT_CAMERAS)]
    likely = [t for t in likely if base_topic(t) not in set(likely) - {t}]
    if len(likely) == 1:
        return likely[0]
    raise DataError(
        f'{len(likely) or len(images)} topics may be the camera ({", ".join(likely or images)}): '
        f'name one with --image-topic, or several with --camera. The recording has\n'
        f'{recording.listing()}'
    )


def parse_camera(text: str) -> CameraTopics:
    """Turn NAME=IMAGE_TOPIC[,CAMERA_INFO_TOPIC] into a CameraTopics; ConfigError otherwise."""
    name, equals, topics = text.partition('=')
    image, comma, info = topics.partition(',')
    if not (name and equals and image) or (comma and not info):
        raise ConfigError(
            f'--camera is {text!r}; it is NAME=IMAGE_TOPIC or NAME=IMAGE_TOPIC,CAMERA_INFO_TOPIC, '
            'such as front=/front/image_raw'
        )
    return CameraTopics(name, image, info)


def choose_cameras(
    recording: Topics, named: Sequence[CameraTopics], image: str, info: str, calibration: str
) -> tuple[CameraTopics, ...]:
    """Return the cameras to use, checked against the recording.

    named: from --camera; without any, the one of --image-topic (`image`, '' = guess) and
    --camera-info-topic (`info`). calibration: 'needed'; 'optional', as there is something else to
    fall back on; or 'none', as it comes from elsewhere. Raises DataError where a topic is missing.
    """
    wanted = named or [CameraTopics('', image or find_image_topic(recording), info)]
    return tuple(_checked(recording, camera, calibration) for camera in wanted)


def _checked(recording: Topics, camera: CameraTopics, calibration: str) -> CameraTopics:
    flag = '--camera' if camera.name else '--image-topic'
    recording.require(camera.image, IMAGE_TYPES, flag)
    if calibration == 'none':
        return CameraTopics(camera.name, camera.image, '')
    info = camera.info or info_beside(camera.image)
    if camera.info:
        recording.require(info, (INFO_TYPE,), 'camera_info')
    elif recording.topics().get(info) != INFO_TYPE:
        if calibration == 'optional':
            return CameraTopics(camera.name, camera.image, '')
        raise DataError(
            f'{camera.image} has no calibration: there is no message on {info}. Give one of\n'
            '  --camera-info-topic TOPIC   if it is recorded under another name\n'
            '  --camera-yaml FILE          a ROS calibration file\n'
            '  --fov-deg DEGREES           the angle that the camera sees from left to right\n'
            '  --uncalibrated              none: depth up to a constant factor, and no clouds\n'
            f'The recording has\n{recording.listing()}'
        )
    return CameraTopics(camera.name, camera.image, info)
