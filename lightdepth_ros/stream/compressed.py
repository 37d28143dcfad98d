# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures -> (H, W, 3) uint8 RGB, as compressed_image_transport and others send them.

The size is read from the header before anything is decoded, so a damaged one costs no memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lightdepth_ros.errors import BadImageError
from lightdepth_ros.picture import SampleBits, check_size
from lightdepth_ros.stream.encodings import Buffer, known_encoding

VIDEO = {
    'h264': 'H.264', 'avc': 'H.264', 'h265': 'H.265', 'hevc': 'H.265', 'av1': 'AV1', 'vp8': 'VP8',
    'vp9': 'VP9', 'mjpeg_stream': 'Motion JPEG',
}  # fmt: skip
"""Word of a format -> name of a video codec, whose pictures cannot be decoded one by one."""
START_CODES = (b'\x00\x00\x00\x01', b'\x00\x00\x01')
"""Of H.264 and H.265 streams (ITU-T H.264 annex B)."""
READ = 'JPEG, PNG, WebP or TIFF'


class Format(NamedTuple):
    """CompressedImage.format, taken apart: `bayer_rggb8; jpeg compressed mono8`.

    source   encoding of the image before compression; '' where the format does not tell.
    target   what it was converted to, and what the payload therefore holds; '' = nothing.
    told     whether the format has the parts of compressed_image_transport.
    """

    source: str
    target: str
    told: bool

    @property
    def mosaic(self) -> str:
        """The Bayer pattern that a payload of one channel still has; '' if it has none."""
        pattern = self.target or self.source
        return pattern if pattern.startswith('bayer_') else ''

    @property
    def swapped(self) -> bool:
        """Whether red and blue have changed places in the payload: compressed_image_transport
        writes colours as OpenCV wants them, BGR, only if it says so."""
        return self.told and 'bgr' not in self.target and self.source.startswith(('rgb', 'bgr'))


def parse_format(text: str) -> Format:
    """Take CompressedImage.format apart."""
    source, told, rest = text.partition(';')
    words = rest.split()
    after = words[words.index('compressed') + 1 :] if 'compressed' in words else []
    known = source.strip() if told or source.strip().startswith('bayer_') else ''
    return Format(known, after[0] if after else '', bool(told))


def compressed_to_rgb(
    image_format: str, data: Buffer, bits: SampleBits | None = None
) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of a compressed picture.

    image_format: CompressedImage.format, such as `jpeg` or `bgr8; jpeg compressed bgr8`. bits: of
    the camera, where the picture has 16 bits a sample; None = it alone tells. Raises
    BadImageError.
    """
    if 'compressedDepth' in image_format:
        raise BadImageError(
            f'compressed image format is {image_format!r}, a depth image; this node takes camera '
            f'images as {READ}'
        )
    check_compressed(image_format, data)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise BadImageError(
            f'compressed image of {len(data)} bytes ({image_format!r}) cannot be decoded; '
            'it is damaged'
        )
    if pixels.dtype == np.uint16:
        pixels = (bits or SampleBits()).to_bytes(pixels)
    if pixels.dtype != np.uint8:
        raise BadImageError(
            f'compressed image ({image_format!r}) has samples of type {pixels.dtype}; they must '
            'be whole numbers of 8 or 16 bits'
        )
    code = _conversion(pixels, parse_format(image_format))
    rgb: np.ndarray = pixels if code is None else cv2.cvtColor(pixels, code)
    return rgb


def _conversion(pixels: np.ndarray, told: Format) -> int | None:
    """Return OpenCV's conversion to RGB for what was decoded; None = it is RGB."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 1:
        mosaic = known_encoding(told.mosaic)
        return cv2.COLOR_GRAY2RGB if mosaic is None or mosaic.code is None else mosaic.code
    if channels == 4:
        return cv2.COLOR_RGBA2RGB if told.swapped else cv2.COLOR_BGRA2RGB
    return None if told.swapped else cv2.COLOR_BGR2RGB


def check_compressed(image_format: str, data: Buffer) -> tuple[int, int]:
    """Return the (height, width) that the header announces, or raise BadImageError: for video, for
    an unknown format, and for a size that no camera image has."""
    start = bytes(data[:4])
    video = [VIDEO[w] for w in image_format.lower().replace(';', ' ').split() if w in VIDEO]
    if video or start.startswith(START_CODES):
        raise BadImageError(
            f'compressed image is {video[0] if video else "H.264 or H.265"} video '
            f'({image_format!r}), of which no picture can be read without those before it; this '
            f'node reads {READ}. Set the driver to JPEG, or decode the video first: `ros2 run '
            'image_transport republish ffmpeg raw`.'
        )
    height, width = compressed_hw(data)
    check_size(height, width)
    return height, width


def compressed_hw(data: Buffer) -> tuple[int, int]:
    """Return (height, width) that the header of a picture announces.

    Raises BadImageError for anything but JPEG, PNG, WebP and TIFF.
    """
    view = bytes(data)
    for signature, read in HEADERS.items():
        if view.startswith(signature):
            size = read(view)
            if size is not None:
                return size
    raise BadImageError(
        f'compressed image of {len(view)} bytes starts with {view[:4].hex() or "nothing"}; it is '
        f'no whole {READ}'
    )


def _png_hw(view: bytes) -> tuple[int, int] | None:
    """PNG specification, 11.2.2."""
    if len(view) < 24:
        return None
    width, height = struct.unpack_from('>II', view, 16)
    return height, width


def _jpeg_hw(view: bytes) -> tuple[int, int] | None:
    """ITU-T T.81, B.2.2."""
    position = 2
    while position + 9 <= len(view) and view[position] == 0xFF:
        marker, length, _, height, width = struct.unpack_from('>xBHBHH', view, position)
        if marker == 0xFF:  # fill byte
            position += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return height, width
        else:
            position += 2 + length
    return None


def _webp_hw(view: bytes) -> tuple[int, int] | None:
    """RFC 9649: a lossy, a lossless or an extended file."""
    kind = view[12:16]
    if len(view) < 30 or view[8:12] != b'WEBP':
        return None
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', view, 26)
        return height & 0x3FFF, width & 0x3FFF
    if kind == b'VP8L':
        (packed,) = struct.unpack_from('<I', view, 21)
        return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
    if kind == b'VP8X':
        return (
            int.from_bytes(view[27:30], 'little') + 1,
            int.from_bytes(view[24:27], 'little') + 1,
        )
    return None


def _tiff_hw(view: bytes) -> tuple[int, int] | None:
    """TIFF 6.0, section 2: the tags 256 and 257 of the first directory."""
    order = '<' if view.startswith(b'II') else '>'
    sizes = {}
    try:
        (place,) = struct.unpack_from(f'{order}I', view, 4)
        (count,) = struct.unpack_from(f'{order}H', view, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f'{order}HH', view, entry)
            if tag in (256, 257):
                value = f'{order}{"H" if kind == 3 else "I"}'
                (sizes[tag],) = struct.unpack_from(value, view, entry + 8)
        return sizes[257], sizes[256]
    except (struct.error, KeyError):
        return None


HEADERS: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    b'\x89PNG\r\n\x1a\n': _png_hw,
    b'\xff\xd8': _jpeg_hw,
    b'RIFF': _webp_hw,
    b'II*\x00': _tiff_hw,
    b'MM\x00*': _tiff_hw,
}
"""How a file of a format begins -> what reads (height, width) from it, None if it is damaged."""
