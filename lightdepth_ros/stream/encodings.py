# SPDX-License-Identifier: Apache-2.0
"""Raw and compressed image bytes -> (H, W, 3) uint8 RGB. No messages: plain numbers and buffers.

Everything is checked before anything is allocated, so a damaged header costs no memory.
Encoding names are those of sensor_msgs/image_encodings.h.
"""

from __future__ import annotations

import array
import struct
from typing import NamedTuple, Union

import cv2
import numpy as np

from lightdepth_ros.errors import BadImageError

Buffer = Union[bytes, bytearray, 'array.array[int]', np.ndarray]
"""Image bytes; an array must be one-dimensional uint8."""

MIN_SIDE_PX = 16
MAX_SIDE_PX = 16384
MAX_PIXELS = 1 << 26
"""8192 x 8192. Larger pictures are taken for damaged headers."""


class Encoding(NamedTuple):
    """How one encoding is stored.

    bits   bits per pixel.
    deep   16 bits a sample: only the high byte is used, as cv_bridge does.
    code   OpenCV conversion to RGB; None = already RGB.
    """

    bits: int
    deep: bool
    code: int | None


def _table() -> dict[str, Encoding]:
    table = {
        'rgb8': Encoding(24, False, None),
        'bgr8': Encoding(24, False, cv2.COLOR_BGR2RGB),
        'rgba8': Encoding(32, False, cv2.COLOR_RGBA2RGB),
        'bgra8': Encoding(32, False, cv2.COLOR_BGRA2RGB),
        'mono8': Encoding(8, False, cv2.COLOR_GRAY2RGB),
        '8UC1': Encoding(8, False, cv2.COLOR_GRAY2RGB),
        'mono16': Encoding(16, True, cv2.COLOR_GRAY2RGB),
        '16UC1': Encoding(16, True, cv2.COLOR_GRAY2RGB),
    }
    for name in ('yuv422', 'uyvy'):
        table[name] = Encoding(16, False, cv2.COLOR_YUV2RGB_UYVY)
    for name in ('yuv422_yuy2', 'yuyv'):
        table[name] = Encoding(16, False, cv2.COLOR_YUV2RGB_YUY2)
    # ROS names a pattern by its first two rows, OpenCV by the square one pixel further in.
    for ros, opencv in (('rggb', 'BG'), ('bggr', 'RG'), ('gbrg', 'GR'), ('grbg', 'GB')):
        code = getattr(cv2, f'COLOR_Bayer{opencv}2RGB')
        table[f'bayer_{ros}8'] = Encoding(8, False, code)
        table[f'bayer_{ros}16'] = Encoding(16, True, code)
    return table


ENCODINGS = _table()
YUV = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv')


def check_layout(encoding: str, height: int, width: int, step: int, data_bytes: int) -> Encoding:
    """Return how an image is stored, or raise BadImageError saying what is wrong with it.

    step: bytes from one row to the next. data_bytes: length of the data.
    """
    known = ENCODINGS.get(encoding)
    if known is None:
        raise BadImageError(
            f'image encoding is {encoding!r}; supported are {", ".join(ENCODINGS)}. '
            'Set the camera driver to one of them.'
        )
    check_size(height, width)
    if encoding in YUV and width % 2:
        raise BadImageError(f'{encoding} image is {width} pixels wide; the width must be even')
    row_bytes = width * known.bits // 8
    if step < row_bytes:
        raise BadImageError(
            f'image row step is {step} bytes, but {width} pixels of {encoding} take {row_bytes}. '
            'The camera driver fills the message wrongly.'
        )
    if data_bytes != step * height:
        raise BadImageError(
            f'image data has {data_bytes} bytes, but {height} rows of {step} bytes take '
            f'{step * height}. The message is truncated or filled wrongly.'
        )
    return known


def check_size(height: int, width: int) -> None:
    """Raise BadImageError for a size that no camera image has."""
    small = min(height, width) < MIN_SIDE_PX
    if small or max(height, width) > MAX_SIDE_PX or height * width > MAX_PIXELS:
        raise BadImageError(
            f'the image is {width}x{height} pixels; each side must have {MIN_SIDE_PX} to '
            f'{MAX_SIDE_PX} pixels, and the whole at most {MAX_PIXELS}'
        )


def raw_to_rgb(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Buffer
) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of raw image bytes; for rgb8 it is a view of `data`.

    data: height * step bytes. Raises BadImageError.
    """
    known = check_layout(encoding, height, width, step, len(data))
    buffer = np.frombuffer(data, np.uint8)
    rows = buffer.reshape(height, step)[:, : width * known.bits // 8]
    if known.deep:
        rows = np.ascontiguousarray(rows[:, 0 if is_bigendian else 1 :: 2])
    channels = rows.shape[1] // width
    pixels = rows.reshape(height, width, channels) if channels > 1 else rows
    if known.code is None:
        return pixels
    rgb: np.ndarray = cv2.cvtColor(pixels, known.code)
    return rgb


def compressed_to_rgb(image_format: str, data: Buffer) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of JPEG or PNG bytes.

    image_format: CompressedImage.format, such as `jpeg` or `bgr8; jpeg compressed bgr8`; a Bayer
    pattern named first is demosaiced. Raises BadImageError.
    """
    if 'compressedDepth' in image_format:
        raise BadImageError(
            f'compressed image format is {image_format!r}, a depth image; this node takes camera '
            'images as JPEG or PNG'
        )
    check_size(*compressed_hw(data))
    code, flag = cv2.COLOR_BGR2RGB, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    named = ENCODINGS.get(image_format.split(';')[0].strip())
    if image_format.startswith('bayer') and named is not None and named.code is not None:
        code, flag = named.code, cv2.IMREAD_GRAYSCALE
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None:
        raise BadImageError(
            f'compressed image of {len(data)} bytes ({image_format!r}) cannot be decoded; '
            'it is damaged'
        )
    rgb: np.ndarray = cv2.cvtColor(pixels, code)
    return rgb


def compressed_hw(data: Buffer) -> tuple[int, int]:
    """Return (height, width) that the header of a JPEG or PNG announces.

    Raises BadImageError for anything else. Formats: ITU-T T.81 B.2.2 and the PNG specification,
    11.2.2.
    """
    view = bytes(data)
    if view[:8] == b'\x89PNG\r\n\x1a\n' and len(view) >= 24:
        width, height = struct.unpack_from('>II', view, 16)
        return height, width
    position = 2 if view[:2] == b'\xff\xd8' else len(view)
    while position + 9 <= len(view) and view[position] == 0xFF:
        marker, length, _, height, width = struct.unpack_from('>xBHBHH', view, position)
        if marker == 0xFF:  # fill byte
            position += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return height, width
        else:
            position += 2 + length
    raise BadImageError(
        f'compressed image of {len(view)} bytes starts with {view[:4].hex() or "nothing"}; it is '
        'neither a whole JPEG nor a PNG'
    )
