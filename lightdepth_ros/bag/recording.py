# SPDX-License-Identifier: Apache-2.0
"""A recording of ROS 2, or of ROS 1: its topics, and its messages one by one.

Messages have the fields of their ROS types; arrays are NumPy arrays. Importing this file needs
rosbags: call `require_rosbags` of topics.py first to get a readable error.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import apsw
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag1 import ReaderError as Ros1ReaderError
from rosbags.rosbag2 import ReaderError, storage_mcap
from rosbags.typesys import Stores, get_typestore

from lightdepth_ros.errors import DataError

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
DEPTH_TYPES = ('sensor_msgs/msg/Image',)
INFO_TYPES = ('sensor_msgs/msg/CameraInfo',)
POINTS_TYPES = ('sensor_msgs/msg/PointCloud2',)
TF_TYPES = ('tf2_msgs/msg/TFMessage',)
UNRECORDED_POSE = 'Record /tf_static too, or give the pose by hand with --lidar-to-camera'
"""What errors tell about a lidar whose place the recording does not know."""
ZSTD_ERROR: type[Exception] = getattr(
    getattr(storage_mcap, 'zstd', None), 'ZstdError', RuntimeError
)
"""Of whichever library rosbags decompresses with; RuntimeError is what lz4 raises."""
DAMAGE = (
    AnyReaderError, ReaderError, Ros1ReaderError, apsw.Error, OSError, ValueError, KeyError,
    IndexError, TypeError, OverflowError, MemoryError, RuntimeError, struct.error, ZSTD_ERROR,
)  # fmt: skip
"""What rosbags lets through when bytes of a recording are wrong (found by trying, 0.11)."""


class DamagedRecordingError(DataError):
    """A recording cannot be read beyond some point."""


class Recorded(NamedTuple):
    """One message: its topic, when it was recorded, and when it was measured (header stamp)."""

    topic: str
    log_ns: int
    stamp_ns: int
    message: Any


class Raw(NamedTuple):
    """One message as recorded: CDR bytes of the type `kind`."""

    topic: str
    kind: str
    log_ns: int
    data: bytes


class Recording:
    """An open recording."""

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self.path = path
        self.reader = reader
        self.unreadable = 0

    def listing(self) -> str:
        """Return its topics, one a line, for error messages."""
        rows = sorted((c.topic, c.msgtype, c.msgcount) for c in self.reader.connections)
        return '\n'.join(f'  {topic}  {kind}  {count} messages' for topic, kind, count in rows)

    def topics(self) -> dict[str, str]:
        """Return topic -> type of all topics that have messages."""
        return {c.topic: c.msgtype for c in self.reader.connections if c.msgcount}

    def connection(self, topic: str) -> Any:
        """Return rosbags's description of a topic; KeyError if there is none."""
        for connection in self.reader.connections:
            if connection.topic == topic:
                return connection
        raise KeyError(topic)

    def span_ns(self) -> tuple[int, int]:
        """Return when the first and the last message were recorded."""
        return self.reader.start_time, self.reader.end_time - 1

    @property
    def is_ros1(self) -> bool:
        """Tell whether the bytes of its messages are those of ROS 1, which no ROS 2 bag holds."""
        return not self.reader.is2

    def has(self, topic: str) -> bool:
        """Return whether the topic has at least one message."""
        return any(c.topic == topic and c.msgcount for c in self.reader.connections)

    def require(self, topic: str, types: Collection[str], flag: str) -> None:
        """Refuse a topic that is missing, empty, or of another type."""
        found = [c for c in self.reader.connections if c.topic == topic]
        if not any(c.msgcount for c in found):
            raise DataError(
                f'{self.path} has no message on {topic} ({flag}). It has\n{self.listing()}'
            )
        if found[0].msgtype not in types:
            raise DataError(
                f'{topic} ({flag}) is {found[0].msgtype}; {" or ".join(types)} is expected. '
                f'{self.path} has\n{self.listing()}'
            )

    def count(self, topics: Collection[str]) -> int:
        """Return how many messages the topics have together."""
        return sum(c.msgcount for c in self.reader.connections if c.topic in topics)

    def messages(self, topics: Collection[str]) -> Iterator[Recorded]:
        """Yield the messages of the topics in the order in which they were recorded.

        A header stamp of 0 (drivers without a clock) is replaced by the time of recording. A
        message that cannot be decoded is counted in `unreadable`; where the file itself cannot be
        read on, DamagedRecordingError is raised.
        """
        for raw in self.raw_messages(topics):
            message = self.decoded(raw.data, raw.kind)
            if message is not None:
                stamp_ns = stamp_of(message) or raw.log_ns
                yield Recorded(raw.topic, raw.log_ns, stamp_ns, message)

    def raw_messages(self, topics: Collection[str], start_ns: int | None = None) -> Iterator[Raw]:
        """Yield the messages undecoded, in the order of recording, always the same order.

        start_ns: leave out what was recorded before. DamagedRecordingError as in `messages`.
        """
        wanted = [c for c in self.reader.connections if c.topic in topics]
        if not wanted:
            return
        try:
            for connection, log_ns, data in self.reader.messages(wanted, start=start_ns):
                yield Raw(connection.topic, connection.msgtype, log_ns, data)
        except DAMAGE as error:
            raise DamagedRecordingError(
                f'{self.path} cannot be read on: {error!r}. `mcap recover` may repair it'
            ) from error

    def decoded(self, raw: bytes, kind: str) -> Any:
        """Return the message, or None (and count it) if it cannot be decoded."""
        try:
            return modern(self.reader.deserialize(raw, kind))
        except DAMAGE:
            self.unreadable += 1
            return None

    def first(self, topic: str) -> Any:
        """Return the first message of a topic."""
        for recorded in self.messages([topic]):
            return recorded.message
        raise DataError(f'{self.path}: no message on {topic} can be decoded')


def modern(message: Any) -> Any:
    """Return a message with the field names of ROS 2: ROS 1 has D, K, R and P in CameraInfo, and
    so has a recording that `rosbags-convert` made without `--dst-typestore`."""
    if not hasattr(message, 'K') or hasattr(message, 'k'):
        return message
    return SimpleNamespace(**{name.lower(): value for name, value in vars(message).items()})


def stamp_of(message: Any) -> int:
    """Return the header stamp in nanoseconds; 0 without a header."""
    header = getattr(message, 'header', None)
    if header is None:
        return 0
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a recording: the folder with metadata.yaml, or its .mcap or .db3 file; or the .bag file
    of ROS 1.

    Types that the recording does not define are taken from ROS 2 Jazzy.
    """
    if not path.exists():
        raise DataError(f'there is no recording {path}: name the folder that `ros2 bag` wrote')
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except DAMAGE as error:
        raise DataError(
            f'{path} cannot be opened as a recording: {error!r}. A right one is a folder with '
            'metadata.yaml and .mcap or .db3 files, or a .bag file of ROS 1. `mcap recover` '
            'repairs an .mcap that was cut off, `ros2 bag reindex` a lost metadata.yaml, `rosbag '
            'reindex` a .bag'
        ) from error
    try:
        yield Recording(path, reader)
    finally:
        reader.close()
