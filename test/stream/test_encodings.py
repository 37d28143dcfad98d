# SPDX-License-Identifier: Apache-2.0
"""Image bytes become RGB, or an error that says what is wrong, before memory is spent."""

import struct
import tracemalloc

import cv2
import numpy as np
import pytest

from lightdepth_ros.errors import BadImageError
from lightdepth_ros.stream.encodings import (
    ENCODINGS,
    check_layout,
    compressed_hw,
    compressed_to_rgb,
    raw_to_rgb,
)

H, W = 18, 24


def picture() -> np.ndarray:
    """A smooth (H, W, 3) picture, so that Bayer and YUV subsampling lose little."""
    v, u = np.mgrid[:H, :W]
    return np.stack([40 + 6 * u, 60 + 5 * v, 200 - 3 * u - 2 * v], axis=-1).astype(np.uint8)


def bayer(rgb: np.ndarray, pattern: str) -> np.ndarray:
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = rgb[row::2, column::2, 'rgb'.index(letter)]
    return mosaic


def encode(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return (H, W * bytes per pixel) uint8, rows of `rgb` in `encoding`."""
    if encoding.startswith('bayer'):
        rows = bayer(rgb, encoding[6:10])
        return sixteen_bits(rows) if encoding.endswith('16') else rows
    if encoding in ('yuv422', 'uyvy'):
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_UYVY).reshape(H, -1)
    if encoding in ('yuv422_yuy2', 'yuyv'):
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_YUY2).reshape(H, -1)
    grey = rgb[..., 1]
    if encoding in ('mono16', '16UC1'):
        return sixteen_bits(grey)
    alpha = np.full((H, W, 1), 7, np.uint8)
    layouts = {
        'rgb8': rgb,
        'bgr8': rgb[..., ::-1],
        'rgba8': np.concatenate([rgb, alpha], axis=-1),
        'bgra8': np.concatenate([rgb[..., ::-1], alpha], axis=-1),
        'mono8': grey,
        '8UC1': grey,
    }
    return layouts[encoding].reshape(H, -1)


def sixteen_bits(rows: np.ndarray, order: str = '<') -> np.ndarray:
    words = (rows.astype(f'{order}u2') << 8) + np.array(99, f'{order}u2')
    return words.astype(f'{order}u2').view(np.uint8).reshape(rows.shape[0], -1)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_every_encoding_gives_back_the_picture(encoding, padding):
    rgb = picture()
    rows = np.pad(encode(rgb, encoding), ((0, 0), (0, padding)), constant_values=99)
    result = raw_to_rgb(encoding, H, W, rows.shape[1], False, rows.tobytes())
    if 'mono' in encoding or encoding.endswith('UC1'):
        rgb = np.repeat(rgb[..., 1:2], 3, axis=-1)
    tolerance = 5 if encoding.startswith(('bayer', 'yu', 'uy')) else 0
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(result[inner].astype(int) - rgb[inner]).max() <= tolerance
    assert result.shape == (H, W, 3)


def test_big_endian_sixteen_bit_images_are_read_by_their_high_byte():
    grey = picture()[..., 0]
    data = sixteen_bits(grey, '>').tobytes()
    result = raw_to_rgb('mono16', H, W, 2 * W, True, data)
    np.testing.assert_array_equal(result[..., 0], grey)


def test_rgb8_is_not_copied():
    data = bytearray(picture().tobytes())
    assert np.shares_memory(
        raw_to_rgb('rgb8', H, W, 3 * W, False, data), np.frombuffer(data, 'u1')
    )


@pytest.mark.parametrize(
    ('layout', 'sentence'),
    [
        (('rgb8', 0, 24, 72, 0), 'image is 24x0 pixels'),
        (('rgb8', 18, 0, 0, 0), 'image is 0x18 pixels'),
        (('rgb8', 18, 24, 71, 18 * 71), 'row step is 71 bytes, but 24 pixels of rgb8 take 72'),
        (('rgb8', 18, 24, 72, 1295), 'has 1295 bytes, but 18 rows of 72 bytes take 1296'),
        (('rgb8', 18, 24, 72, 1400), 'has 1400 bytes'),
        (('8UC3', 18, 24, 72, 1296), "encoding is '8UC3'; supported are rgb8, bgr8"),
        (('', 18, 24, 72, 1296), "encoding is ''"),
        (('yuv422', 18, 25, 50, 900), '25 pixels wide; the width must be even'),
        (('rgb8', 65535, 65535, 196605, 10), 'image is 65535x65535 pixels'),
        (('rgb8', 16384, 16384, 49152, 10), 'image is 16384x16384 pixels'),
    ],
)
def test_wrong_layout_is_refused_with_its_numbers(layout, sentence):
    with pytest.raises(BadImageError, match=sentence):
        check_layout(*layout)


def test_huge_header_with_little_data_costs_no_memory():
    png = b'\x89PNG\r\n\x1a\n' + struct.pack('>I4sII', 13, b'IHDR', 65535, 65535) + bytes(40)
    tracemalloc.start()
    with pytest.raises(BadImageError):
        raw_to_rgb('rgb8', 65535, 65535, 3 * 65535, False, bytes(100))
    with pytest.raises(BadImageError):
        compressed_to_rgb('png', png)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100_000


@pytest.mark.parametrize(('suffix', 'tolerance'), [('.png', 0), ('.jpg', 12)])
def test_compressed_picture_comes_back_as_rgb(suffix, tolerance):
    rgb = cv2.resize(picture(), (96, 64))
    data = cv2.imencode(suffix, rgb[..., ::-1])[1]
    assert compressed_hw(data) == (64, 96)
    result = compressed_to_rgb('bgr8; jpeg compressed bgr8', data.tobytes())
    assert np.abs(result.astype(int) - rgb).max() <= tolerance


def test_compressed_bayer_picture_is_demosaiced():
    rgb = picture()
    data = cv2.imencode('.png', bayer(rgb, 'grbg'))[1]
    result = compressed_to_rgb('bayer_grbg8; png compressed bayer_grbg8', data.tobytes())
    assert np.abs(result[2:-2, 2:-2].astype(int) - rgb[2:-2, 2:-2]).max() <= 5


@pytest.mark.parametrize(
    ('image_format', 'data', 'sentence'),
    [
        ('jpeg', b'', 'starts with nothing'),
        ('jpeg', b'GIF89a' + bytes(50), 'starts with 47494638'),
        ('jpeg', b'\xff\xd8\xff', 'neither a whole JPEG nor a PNG'),
        ('16UC1; compressedDepth png', b'', 'a depth image'),
    ],
)
def test_damaged_compressed_picture_is_refused(image_format, data, sentence):
    with pytest.raises(BadImageError, match=sentence):
        compressed_to_rgb(image_format, data)


def test_cut_off_png_is_refused():
    data = cv2.imencode('.png', picture())[1].tobytes()[:60]
    with pytest.raises(BadImageError, match='cannot be decoded'):
        compressed_to_rgb('png', data)
