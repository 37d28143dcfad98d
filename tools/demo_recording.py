# SPDX-License-Identifier: Apache-2.0
"""An MCAP recording of messages as they went over the wire; readable by ros2 bag and Foxglove."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore


class Recording:
    """A recording that is being written into a new folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: Counter[str] = Counter()
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[str, Connection] = {}
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()

    def can_write(self, type_name: str) -> bool:
        """Tell whether the definition of a message type is known here."""
        return type_name in self._types.types

    def write(self, topic: str, type_name: str, time_ns: int, data: bytes) -> None:
        """Append a serialised message; types that are not known here are left out."""
        if not self.can_write(type_name):
            return
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=self._types
            )
        self._writer.write(self._connections[topic], time_ns, data)
        self.written[topic] += 1

    def close(self) -> None:
        """Finish the files; nothing can be written afterwards."""
        self._writer.close()


def messages_in(folder: Path) -> dict[str, int]:
    """Open a finished recording and count the messages of each topic that can be decoded."""
    types = get_typestore(Stores.ROS2_JAZZY)
    counts: Counter[str] = Counter()
    with Reader(folder) as reader:
        for connection, _, data in reader.messages():
            types.deserialize_cdr(data, connection.msgtype)
            counts[connection.topic] += 1
    return dict(counts)
