# SPDX-License-Identifier: Apache-2.0
"""Read the image files of data sets; a missing, cut off or wrong file is a DataError naming it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lightdepth_ros.classes import CLASSES, NAV7_NAMES, UNLABELLED
from lightdepth_ros.errors import DataError
from lightdepth_ros.files import DEPTH_UNITS_PER_M

DEPTH_PNG_PER_M = DEPTH_UNITS_PER_M
"""KITTI's depth convention: uint16 PNG, value = metres x 256, 0 = no value."""

END_MARKS = {b'\xff\xd8': b'\xff\xd9', b'\x89PNG': b'IEND'}
"""How complete JPEG and PNG files end. Decoders fill the rest of a cut-off file with grey."""

TAIL_BYTES = 4096
SOFT_CHANNELS = 3


def require_folder(folder: Path, what: str, tree: str) -> Path:
    """Return `folder`, or raise a DataError that shows the right tree."""
    if not folder.is_dir():
        raise DataError(f'{what}: there is no folder {folder}. A right tree looks like\n{tree}')
    return folder


def decode(path: Path, flags: int) -> np.ndarray:
    """Return the decoded image as OpenCV gives it (BGR, or as stored with IMREAD_UNCHANGED)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f'cannot read the image {path}: {error.strerror}') from error
    for start, end in END_MARKS.items():
        if data.startswith(start) and end not in data[-TAIL_BYTES:]:
            raise DataError(
                f'{path} is cut off after {len(data)} bytes (no end mark): copy it again'
            )
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if image is None:
        raise DataError(f'{path} ({len(data)} bytes) is no image that OpenCV can decode')
    return image


def read_rgb(path: Path) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of any 8-bit image file."""
    return cv2.cvtColor(decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def check_size(array: np.ndarray, hw: tuple[int, int], path: Path) -> None:
    """Refuse a truth image whose size is not its camera image's `hw`."""
    if array.shape != hw:
        raise DataError(
            f'{path} has shape {array.shape}, but its camera image is {hw[1]}x{hw[0]}: one '
            'channel of the same size is expected; these files do not belong together'
        )


def read_depth(path: Path, hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value, of a uint16 depth PNG of size `hw`."""
    depth = read_depth_any_size(path)
    check_size(depth, hw, path)
    return depth


def read_depth_any_size(path: Path) -> np.ndarray:
    """Return (h, w) float32 metres, 0 = no value, of a uint16 depth PNG."""
    raw = decode(path, cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise DataError(
            f'{path} is {raw.dtype} {raw.shape}; a depth PNG has one uint16 channel '
            f'(metres x {DEPTH_PNG_PER_M}, 0 = no value)'
        )
    return raw.astype(np.float32) / DEPTH_PNG_PER_M


def read_teacher_depth(path: Path, hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32 metres, 0 = no value; other sizes are brought to `hw`.

    Nearest neighbour: interpolation would invent surfaces between an object and what is behind
    it, and would blend the 0 of "no value" into its neighbours.
    """
    depth = read_depth_any_size(path)
    if depth.shape == hw:
        return depth
    return cv2.resize(depth, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def read_ids(table: np.ndarray, path: Path, hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) uint8 ids of an 8-bit label PNG after mapping them through `table`.

    table: (256,) int16, file id -> our id; -1 = an id that must not occur.
    """
    raw = decode(path, cv2.IMREAD_UNCHANGED)
    check_size(raw, hw, path)
    if raw.dtype != np.uint8:
        raise DataError(f'{path} is {raw.dtype}; a label PNG has 8-bit ids')
    mapped = table[raw]
    if (mapped < 0).any():
        known = np.flatnonzero(table >= 0).tolist()
        raise DataError(
            f'{path} holds label id {int(raw[mapped < 0][0])}; the ids known here are {known}'
        )
    ids: np.ndarray = mapped.astype(np.uint8)
    return ids


def read_soft_label(path: Path) -> np.ndarray:
    """Return (h, w, 3) uint8 of a soft label PNG: first id, second id, 255 * share of the first.

    The file's channels are in the order in which OpenCV reads them (blue first). Every pixel is
    two train ids, or 255 in all three channels.
    """
    soft = decode(path, cv2.IMREAD_UNCHANGED)
    if soft.dtype != np.uint8 or soft.ndim != 3 or soft.shape[2] != SOFT_CHANNELS:
        raise DataError(
            f'{path} is {soft.dtype} {soft.shape}; a soft label PNG has three 8-bit channels: '
            'likeliest class, second class, 255 x share of the first'
        )
    none = (soft == UNLABELLED).all(axis=2)
    wrong = ~none & (soft[..., :2] >= len(CLASSES)).any(axis=2)
    if wrong.any():
        raise DataError(
            f'{path} holds the pair of classes {soft[wrong][0, :2].tolist()}: two train ids from '
            f'0 to {len(CLASSES) - 1} are expected, or {UNLABELLED} in all three channels'
        )
    return soft


def id_table(mapping: dict[int, int]) -> np.ndarray:
    """Return the (256,) int16 table of `mapping`; every other id must not occur (-1)."""
    table = np.full(256, -1, np.int16)
    for source, target in mapping.items():
        table[source] = target
    return table


TRAIN_IDS = id_table({c.id: c.id for c in CLASSES} | {UNLABELLED: UNLABELLED})
"""Label files that hold Cityscapes train ids already."""

NAV7_IDS = id_table({i: i for i in range(len(NAV7_NAMES))} | {UNLABELLED: UNLABELLED})
"""Label files that hold nav7 ids already."""
