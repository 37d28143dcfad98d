# SPDX-License-Identifier: Apache-2.0
"""Writes messages, of ROS or plain_messages, to one file of a bag with rosbags."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lightdepth_ros.bag.recording import Raw, Recording
from lightdepth_ros.files import WriteError

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
SUFFIXES = {'mcap': '.mcap', 'sqlite3': '.db3'}
VERSION = 8
"""Of metadata.yaml. 9 writes QoS as a list of names instead of text, which is new in Jazzy."""
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
VISION_MSGS = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    LABEL_INFO: 'std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold\n',
}
"""The two messages of vision_msgs 4 that are needed; rosbags brings only the common ones."""

FOREVER = QosTime(9223372036, 854775807)


def _qos(depth: int, durability: QosDurability) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE,
        durability,
        FOREVER,
        FOREVER,
        QosLiveliness.AUTOMATIC,
        FOREVER,
        False,
    )


RELIABLE = _qos(2, QosDurability.VOLATILE)
LATCHED = _qos(1, QosDurability.TRANSIENT_LOCAL)
"""As node/topics.py publishes them."""


def _typestore() -> Any:
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind, text in VISION_MSGS.items():
        store.register(get_types_from_msg(text, kind))
    return store


class BagFile:
    """One file of a bag being written, in a folder of its own. Use it in a `with` block.

    Whatever fails while writing, such as a full disk, is raised as WriteError.
    """

    def __init__(self, folder: Path, storage: str, compress: bool) -> None:
        """storage: key of STORAGES. compress: zstd, for mcap by chunk, for sqlite3 by message."""
        self.folder = folder
        self._store = _typestore()
        self._writer = Writer(folder, version=VERSION, storage_plugin=STORAGES[storage])  # type: ignore[arg-type]
        if compress:
            mode = CompressionMode.STORAGE if storage == 'mcap' else CompressionMode.MESSAGE
            self._writer.set_compression(mode, CompressionFormat.ZSTD)
        self._connections: dict[tuple[str, str], Any] = {}
        self.count = 0
        self.bytes = 0

    def __enter__(self) -> BagFile:
        self._safely(self._writer.open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self._safely(self._writer.close)
        else:
            self._writer.abort()

    def write(self, topic: str, kind: str, log_ns: int, message: Any, latched: bool) -> None:
        """Write a message of type `kind`, such as sensor_msgs/msg/Image."""
        key = (topic, kind)
        if key not in self._connections:
            profile = LATCHED if latched else RELIABLE
            self._connections[key] = self._writer.add_connection(
                topic, kind, typestore=self._store, offered_qos_profiles=[profile]
            )
        data = self._store.serialize_cdr(self._converted(message, kind), kind)
        self._write(self._connections[key], log_ns, data)

    def copy(self, raw: Raw, source: Recording) -> None:
        """Write a message of the source as it is, with its definition and QoS."""
        key = (raw.topic, raw.kind)
        if key not in self._connections:
            connection = source.connection(raw.topic)
            self._connections[key] = self._writer.add_connection(
                raw.topic,
                raw.kind,
                typestore=source.reader.typestore,
                offered_qos_profiles=connection.ext.offered_qos_profiles,
            )
        self._write(self._connections[key], raw.log_ns, raw.data)

    def _write(self, connection: Any, log_ns: int, data: Any) -> None:
        self._safely(self._writer.write, connection, log_ns, data)
        self.count += 1
        self.bytes += len(data)

    def _safely(self, function: Any, *args: Any) -> None:
        try:
            function(*args)
        except (OSError, apsw.Error) as error:
            reason = getattr(error, 'strerror', None) or error
            raise WriteError(
                f'cannot write {self.folder}: {reason}. Make room there and give the same command '
                'again: it continues after what is done. To need less space: fewer --outputs, a '
                'coarser --output-resolution, or --compress.'
            ) from error

    def _converted(self, value: Any, kind: str) -> Any:
        """Return a message with rosbags's classes and NumPy arrays, as serialising needs."""
        fields = {}
        for name, (node, about) in self._store.fielddefs[kind][1]:
            fields[name] = self._field(getattr(value, name), int(node), about)
        return self._store.types[kind](**fields)

    def _field(self, value: Any, node: int, about: Any) -> Any:
        if node == 1:  # a number or text
            return value
        if node == 2:  # a message
            return self._converted(value, about)
        (inner, what), _ = about  # an array or sequence
        if int(inner) == 2:
            return [self._converted(item, what) for item in value]
        if isinstance(value, (bytes, bytearray)) or hasattr(value, 'frombytes'):
            return np.frombuffer(value, value.typecode if hasattr(value, 'typecode') else 'u1')
        return np.asarray(value, what[0])
