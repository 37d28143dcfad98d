# SPDX-License-Identifier: Apache-2.0
"""Large messages as the bytes that go over the wire. No ROS.

rclpy copies a message's data into a C message, which the DDS then copies as any other. Bytes that
are already serialised spare the C message: 0.25 of 0.7 ms for a cloud of 768 kB.
"""

from __future__ import annotations

import array
import struct
from collections.abc import Callable
from typing import Any

LARGE_BYTES = 32_768
"""Below that, rclpy's own way costs no more."""
LENGTH_BYTES = 4

Serialize = Callable[[Any], bytes]
"""Such as rclpy.serialization.serialize_message."""


def with_data(msg: Any, bytes_after: int, serialize: Serialize) -> bytes:
    """Return a message with a field `data`, a sequence of bytes, as `serialize` would.

    bytes_after: how many bytes come after the data. In CDR (OMG DDSI-RTPS 2.2, 10) a sequence is
    its length, as four bytes, and its elements; bytes that follow bytes are not aligned. Two bytes
    before everything name the encoding; the lowest bit of the second one: little endian.
    """
    data = msg.data
    msg.data = array.array('B')
    try:
        empty = serialize(msg)
    finally:
        msg.data = data
    split = len(empty) - bytes_after
    order = '<' if empty[1] & 1 else '>'
    length = struct.pack(f'{order}I', len(data))
    return b''.join((empty[: split - LENGTH_BYTES], length, data, empty[split:]))


def holds_for(
    message_type: Any, bytes_after: int, serialize: Serialize, read: Callable[[bytes], Any]
) -> bool:
    """Return whether `with_data` gives what the middleware in use reads as the same message.

    read: the way back from `serialize`. For another encoding than plain CDR it is False.
    """
    sample = message_type(width=3)
    sample.data.frombytes(bytes(range(1, 10)))
    try:
        return bool(read(with_data(sample, bytes_after, serialize)) == sample)
    except (RuntimeError, ValueError, IndexError):
        return False
