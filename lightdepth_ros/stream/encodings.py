# SPDX-License-Identifier: Apache-2.0
"""Raw image bytes -> (H, W, 3) uint8 RGB. No messages: plain numbers and buffers.

Everything is checked before anything is allocated, so a damaged header costs no memory.
Encoding names are those of sensor_msgs/image_encodings.h.
"""

from __future__ import annotations

import array
from typing import NamedTuple, Union

import cv2
import numpy as np

from lightdepth_ros.errors import BadImageError
from lightdepth_ros.picture import SampleBits, check_size

Buffer = Union[bytes, bytearray, 'array.array[int]', np.ndarray]
"""Image bytes; an array must be one-dimensional uint8."""


class Encoding(NamedTuple):
    """How one encoding is stored.

    bits    bits per pixel in a row; of `nv12` and its like, those of its first plane.
    deep    16 bits a sample, of which `used` are used (0: as many as the camera seems to use).
    code    OpenCV conversion to RGB; None = already RGB.
    rows    bytes of the whole image / (step * height): 1, or more where planes follow.
    """

    bits: int
    code: int | None
    deep: bool = False
    used: int = 0
    rows: float = 1.0


COLOURS = {
    ('rgb', '3'): None,
    ('bgr', '3'): cv2.COLOR_BGR2RGB,
    ('rgba', '4'): cv2.COLOR_RGBA2RGB,
    ('bgra', '4'): cv2.COLOR_BGRA2RGB,
    ('mono', '1'): cv2.COLOR_GRAY2RGB,
}
"""Beginning of the name, samples a pixel -> OpenCV conversion to RGB."""
TYPES = {'1': cv2.COLOR_GRAY2RGB, '3': cv2.COLOR_BGR2RGB, '4': cv2.COLOR_BGRA2RGB}
"""Channels of OpenCV's type names (8UC3) -> conversion: cv_bridge takes three for BGR too."""
SAMPLE_BITS = (10, 12, 14)
"""Of drivers that say so in the name: mono12 is 12 bits in 16."""


def _table() -> dict[str, Encoding]:
    table = {}
    for (name, samples), code in COLOURS.items():
        table[f'{name}8'] = Encoding(8 * int(samples), code)
        table[f'{name}16'] = Encoding(16 * int(samples), code, deep=True)
    for samples, code in TYPES.items():
        table[f'8UC{samples}'] = Encoding(8 * int(samples), code)
        table[f'16UC{samples}'] = Encoding(16 * int(samples), code, deep=True)
    for name in ('yuv422', 'uyvy'):
        table[name] = Encoding(16, cv2.COLOR_YUV2RGB_UYVY)
    for name in ('yuv422_yuy2', 'yuyv'):
        table[name] = Encoding(16, cv2.COLOR_YUV2RGB_YUY2)
    table['nv12'] = Encoding(8, cv2.COLOR_YUV2RGB_NV12, rows=1.5)
    table['nv21'] = Encoding(8, cv2.COLOR_YUV2RGB_NV21, rows=1.5)
    table['nv24'] = Encoding(8, cv2.COLOR_YUV2RGB_NV12, rows=3.0)
    # ROS names a pattern by its first two rows, OpenCV by the square one pixel further in.
    for ros, opencv in (('rggb', 'BG'), ('bggr', 'RG'), ('gbrg', 'GR'), ('grbg', 'GB')):
        code = getattr(cv2, f'COLOR_Bayer{opencv}2RGB')
        table[f'bayer_{ros}8'] = Encoding(8, code)
        table[f'bayer_{ros}16'] = Encoding(16, code, deep=True)
    deep = {name: known for name, known in table.items() if name.startswith(('mono16', 'bayer_'))}
    for name, known in deep.items():
        for used in SAMPLE_BITS if name.endswith('16') else ():
            table[f'{name[:-2]}{used}'] = known._replace(used=used)
    return table


ENCODINGS = _table()
EVEN = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv12', 'nv21', 'nv24')
"""Two pixels, or two rows, share a colour."""


def known_encoding(name: str) -> Encoding | None:
    """Return how an encoding is stored, None if it is not known; capitals do not count."""
    return ENCODINGS.get(name) or ENCODINGS.get(name.lower())


def check_layout(encoding: str, height: int, width: int, step: int, data_bytes: int) -> Encoding:
    """Return how an image is stored, or raise BadImageError saying what is wrong with it.

    step: bytes from one row to the next. data_bytes: length of the data.
    """
    known = known_encoding(encoding)
    if known is None:
        raise BadImageError(
            f'image encoding is {encoding!r}; supported are {", ".join(ENCODINGS)}. '
            'Set the camera driver to one of them.'
        )
    check_size(height, width)
    if encoding in EVEN and (width % 2 or (known.rows > 1 and height % 2)):
        raise BadImageError(
            f'{encoding} image is {width}x{height} pixels; the width must be even, of nv12 and '
            'its like the height too'
        )
    row_bytes = width * known.bits // 8
    if step < row_bytes:
        raise BadImageError(
            f'image row step is {step} bytes, but {width} pixels of {encoding} take {row_bytes}. '
            'The camera driver fills the message wrongly.'
        )
    whole = int(step * height * known.rows)
    if data_bytes != whole:
        raise BadImageError(
            f'image data has {data_bytes} bytes, but {height} rows of {step} bytes take '
            f'{whole}. The message is truncated or filled wrongly.'
        )
    return known


def raw_to_rgb(
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    data: Buffer,
    bits: SampleBits | None = None,
) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of raw image bytes; for rgb8 it is a view of `data`.

    data: step * height bytes, more where planes follow. bits: of the camera, for encodings with 16
    bits a sample; None = this image alone tells. Raises BadImageError.
    """
    known = check_layout(encoding, height, width, step, len(data))
    buffer = np.frombuffer(data, np.uint8)
    if known.rows > 1:
        return _planes_to_rgb(known, buffer, height, width, step)
    rows = buffer.reshape(height, step)[:, : width * known.bits // 8]
    if known.deep:
        words = np.ascontiguousarray(rows).view('>u2' if is_bigendian else '<u2')
        rows = (bits or SampleBits()).to_bytes(words, known.used)
    channels = rows.shape[1] // width
    pixels = rows.reshape(height, width, channels) if channels > 1 else rows
    if known.code is None:
        return pixels
    rgb: np.ndarray = cv2.cvtColor(pixels, known.code)
    return rgb


def _planes_to_rgb(
    known: Encoding, buffer: np.ndarray, height: int, width: int, step: int
) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of brightness, then pairs of colours for 2x2 pixels (nv12, nv21)
    or for each pixel (nv24, whose colours are averaged down to that)."""
    luma, pairs = buffer[: step * height].reshape(height, step), buffer[step * height :]
    if known.rows == 3.0:
        full = pairs.reshape(height, step, 2)[:, :width]
        colours = cv2.resize(full, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    else:
        colours = pairs.reshape(height // 2, step)[:, :width]
    planes = np.concatenate([luma[:, :width], colours.reshape(height // 2, width)])
    rgb: np.ndarray = cv2.cvtColor(planes, known.code or 0)
    return rgb
