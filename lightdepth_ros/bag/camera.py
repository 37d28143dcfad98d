# SPDX-License-Identifier: Apache-2.0
"""One camera of a recording: the node's Stream, fed from a recording instead of DDS."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from lightdepth_ros.bag.recording import Raw, Recording
from lightdepth_ros.bag.topics import CameraTopics
from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.perception.calibration import Calibration, describe
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.stream import counters, messages
from lightdepth_ros.stream.outputs import TOPICS
from lightdepth_ros.stream.pipeline import Pipeline
from lightdepth_ros.stream.stream import Stream
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

Publish = Callable[[str, str, Any], None]
"""(topic, message type, message): takes a message that the node would publish."""


class RecordingPublisher:
    """Replaces a publisher of the node; an output that is not wanted has no subscriber."""

    def __init__(self, topic: str, kind: str, wanted: bool, publish: Publish) -> None:
        self._topic = topic
        self._kind = kind
        self._wanted = wanted
        self._publish = publish

    def get_subscription_count(self) -> int:
        """Return 1 if the topic is written to the bag, else 0."""
        return int(self._wanted)

    def publish(self, msg: Any) -> None:
        """Write a message."""
        self._publish(self._topic, self._kind, msg)


class FixedCalibration(Calibration):
    """A calibration that does not come from the recording."""

    def __init__(self, view: Camera | Lens) -> None:
        super().__init__('', '')
        self._fixed = view

    @property
    def text(self) -> str:
        """The calibration in words."""
        return describe(self._fixed)

    def view(self, config: NodeConfig, size_hw: tuple[int, int]) -> Camera | Lens | None:
        """Return the calibration, whatever the image is."""
        return self._fixed


class BagCamera:
    """Feeds the images and calibrations of one camera to a Stream, in the order of recording."""

    def __init__(
        self,
        topics: CameraTopics,
        recording: Recording,
        *,
        prefix: str,
        outputs: Collection[str],
        publish: Publish,
        voice: Voice,
        view: Camera | Lens | None,
        transforms: Transforms,
    ) -> None:
        """prefix: begin of all output topics, ending with /. outputs: which are written.

        view: the calibration, where it does not come from the recording. transforms: see Stream.
        """
        self.topics = topics
        self.prefix = prefix
        self._recording = recording
        self._voice = voice
        self._before: Counter[str] = Counter()
        self._info: Raw | None = None
        self.stream = Stream(
            name=topics.name,
            image_topic=topics.image,
            image_type=recording.topics()[topics.image],
            info_topic=topics.info or 'no camera_info',
            publishers={
                o.topic: RecordingPublisher(
                    prefix + o.topic, o.message_type, o.topic in outputs, publish
                )
                for o in TOPICS
            },
            mismatches={},
            voice=voice,
            clock_ns=lambda: 0,
            transforms=transforms,
        )
        if view is not None:
            self.stream.calibration = FixedCalibration(view)
        elif topics.info:  # images before the first one must not be lost
            self.stream.calibration.update(recording.first(topics.info))

    def take_info(self, raw: Raw) -> None:
        """Take a new camera_info; one that cannot be decoded leaves the one before."""
        info = self._recording.decoded(raw.data, raw.kind)
        if info is not None:
            self._info = raw
            self.stream.calibration.update(info)

    def take_image(self, raw: Raw, pipeline: Pipeline) -> None:
        """Handle an image as the node does."""
        image = self._recording.decoded(raw.data, raw.kind)
        if image is None:
            self.stream.counters.receive(time.perf_counter())
            self.stream.counters.drop(counters.BAD_IMAGE)
            self._voice.error(
                f'{self.topics.image}: frame dropped ({counters.BAD_IMAGE}): the '
                f'{len(raw.data)} bytes recorded at {raw.log_ns} ns are no {raw.kind}'
            )
            return
        waiting = self.stream.receive(node_message(image), pipeline.config)
        if waiting is not None:
            self.stream.process(waiting, pipeline)

    def tally(self) -> dict[str, int]:
        """Return the counts since the start, including those before `resume`."""
        now = self.stream.counters.snapshot(time.perf_counter())
        counts = Counter({'received': now.received, 'published': now.published, **now.dropped})
        return dict(self._before + counts)

    def memory(self) -> dict[str, Any]:
        """Return the state that `resume` needs, as JSON."""
        log_m, stamp_s = self.stream.temporal.memory()
        info = self._info
        return {
            'info': None if info is None else [info.kind, _text(info.data)],
            'stamp_s': stamp_s if np.isfinite(stamp_s) else None,
            'log_m': None if log_m is None else [list(log_m.shape), _text(log_m.tobytes())],
        }

    def resume(self, tally: dict[str, int], memory: dict[str, Any]) -> None:
        """Continue a run that stopped with this `tally` and `memory`."""
        self._before = Counter(tally)
        if memory['info'] is not None:
            kind, data = memory['info']
            self.take_info(Raw(self.topics.info, kind, 0, base64.b64decode(data)))
        if memory['stamp_s'] is None:
            return
        log_m = None
        if memory['log_m'] is not None:
            shape, data = memory['log_m']
            log_m = np.frombuffer(base64.b64decode(data), np.float32).reshape(shape)
        self.stream.temporal.remember(log_m, memory['stamp_s'])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')


def node_message(recorded: Any) -> Any:
    """Return a decoded Image or CompressedImage as the class that the node gets."""
    ros: Any = messages  # the classes that it found
    stamp = recorded.header.stamp
    header = ros.Header(frame_id=recorded.header.frame_id)
    header.stamp.sec, header.stamp.nanosec = int(stamp.sec), int(stamp.nanosec)
    if hasattr(recorded, 'format'):
        image = ros.CompressedImage(header=header, format=recorded.format)
    else:
        image = ros.Image(
            header=header,
            height=int(recorded.height),
            width=int(recorded.width),
            encoding=recorded.encoding,
            is_bigendian=int(recorded.is_bigendian),
            step=int(recorded.step),
        )
    image.data.frombytes(recorded.data)
    return image
