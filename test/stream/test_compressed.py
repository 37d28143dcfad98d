# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures become RGB as their format says, or an error that names codec and remedy."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from lightdepth_ros.errors import BadImageError
from lightdepth_ros.picture import SampleBits
from lightdepth_ros.stream.compressed import check_compressed, compressed_hw, compressed_to_rgb

H, W = 18, 24


def picture(height: int = H, width: int = W) -> np.ndarray:
    """A smooth (H, W, 3) picture, so that Bayer subsampling and JPEG lose little."""
    v, u = np.mgrid[:height, :width] * (24 / width)
    rgb = np.stack([40 + 6 * u, 60 + 5 * v, 200 - 3 * u - 2 * v], axis=-1)
    return rgb.clip(0, 255).astype(np.uint8)


def bayer(rgb: np.ndarray, pattern: str) -> np.ndarray:
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = rgb[row::2, column::2, 'rgb'.index(letter)]
    return mosaic


def coded(suffix: str, pixels: np.ndarray) -> bytes:
    """Return a file of `pixels` as OpenCV writes it: (H, W, 3) is blue, green, red."""
    options = {'.jpg': [cv2.IMWRITE_JPEG_QUALITY, 100], '.webp': [cv2.IMWRITE_WEBP_QUALITY, 101]}
    return cv2.imencode(suffix, pixels, options.get(suffix, []))[1].tobytes()


def grey(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def close(found: np.ndarray, expected: np.ndarray, tolerance: int) -> bool:
    inner = (slice(2, -2), slice(2, -2))
    return bool(np.abs(found[inner].astype(int) - expected[inner]).max() <= tolerance)


COLOURS = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16')
MOSAICS = tuple(f'bayer_{p}{bits}' for p in ('rggb', 'bggr', 'gbrg', 'grbg') for bits in (8, 16))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('source', COLOURS)
def test_colours_that_were_turned_to_bgr_for_compression_come_back(source, suffix):
    rgb = picture()
    data = coded(suffix, rgb[..., ::-1])
    codec = {'.jpg': 'jpeg', '.png': 'png'}[suffix]
    found = compressed_to_rgb(f'{source}; {codec} compressed bgr8', data)
    assert close(found, rgb, 12 if suffix == '.jpg' else 0)


@pytest.mark.parametrize('target', ['', 'rgb8'])
@pytest.mark.parametrize('source', ['rgb8', 'bgr8'])
def test_colours_that_were_compressed_as_rgb_come_back(source, target):
    rgb = picture()
    found = compressed_to_rgb(f'{source}; png compressed {target}', coded('.png', rgb))
    assert close(found, rgb, 0)


@pytest.mark.parametrize('image_format', ['jpeg', 'png', '', 'jpg', 'image/jpeg', 'rgb8'])
def test_a_bare_format_is_an_ordinary_picture(image_format):
    rgb = picture()
    assert close(compressed_to_rgb(image_format, coded('.png', rgb[..., ::-1])), rgb, 0)


@pytest.mark.parametrize('source', ['mono8', 'mono16', '8UC1', '16UC1'])
@pytest.mark.parametrize('target', ['', 'mono8'])
def test_grey_stays_grey(source, target):
    level = grey(picture())
    found = compressed_to_rgb(f'{source}; jpeg compressed {target}', coded('.jpg', level))
    assert close(found, level[..., None].repeat(3, -1), 3)


@pytest.mark.parametrize('source', MOSAICS)
@pytest.mark.parametrize('target', ['', 'same'])
def test_a_mosaic_that_was_compressed_as_such_is_demosaiced(source, target):
    rgb = picture()
    target = source if target else ''
    data = coded('.png', bayer(rgb, source[6:10]))
    assert close(compressed_to_rgb(f'{source}; png compressed {target}', data), rgb, 5)
    assert close(compressed_to_rgb(source, data), rgb, 5)


@pytest.mark.parametrize('source', MOSAICS)
def test_a_mosaic_that_was_made_grey_or_coloured_for_compression_is_not_demosaiced(source):
    rgb = picture()
    level = grey(rgb)[..., None].repeat(3, -1)
    as_grey = compressed_to_rgb(f'{source}; jpeg compressed mono8', coded('.jpg', grey(rgb)))
    assert close(as_grey, level, 3)
    data = coded('.jpg', rgb[..., ::-1])
    assert close(compressed_to_rgb(f'{source}; jpeg compressed bgr8', data), rgb, 12)
    assert close(compressed_to_rgb(f'{source}; jpeg compressed ', data), rgb, 12)


@pytest.mark.parametrize('bits', [10, 12, 16])
def test_deep_pictures_are_as_bright_as_their_camera_meant(bits):
    words = np.full((H, W), 180 << (bits - 8), np.uint16)
    data = coded('.png', words)
    assert (compressed_to_rgb('mono16; png compressed ', data) == 180).all()
    held = SampleBits()
    compressed_to_rgb('mono16; png compressed ', data, held)
    assert held.bits == bits


@pytest.mark.parametrize(
    ('suffix', 'tolerance'), [('.png', 0), ('.jpg', 12), ('.webp', 2), ('.tiff', 0)]
)
@pytest.mark.parametrize('size', [(64, 96), (33, 17), (480, 640)])
def test_pictures_of_every_kind_announce_their_size_and_come_back(suffix, tolerance, size):
    rgb = picture(*size)
    data = coded(suffix, rgb[..., ::-1])
    assert compressed_hw(data) == size
    assert close(compressed_to_rgb(suffix[1:], data), rgb, tolerance)


@pytest.mark.parametrize('quality', [30, 101])
def test_lossy_and_lossless_webp_announce_their_size(quality):
    data = cv2.imencode('.webp', picture(40, 60), [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    assert compressed_hw(data) == (40, 60)
    alpha = np.dstack([picture(40, 60), np.full((40, 60), 99, np.uint8)])
    data = cv2.imencode('.webp', alpha, [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    assert compressed_hw(data) == (40, 60)


@pytest.mark.parametrize('order', ['<', '>'])
def test_tiff_of_both_byte_orders_announces_its_size(order):
    entries = [(256, 3, 640), (257, 4, 480)]
    packed = [
        struct.pack(f'{order}HHI{"Hxx" if kind == 3 else "I"}', tag, kind, 1, value)
        for tag, kind, value in entries
    ]
    start = b'II*\x00' if order == '<' else b'MM\x00*'
    head = start + struct.pack(f'{order}IH', 8, len(entries))
    assert compressed_hw(head + b''.join(packed)) == (480, 640)


@pytest.mark.parametrize(
    ('image_format', 'data', 'sentence'),
    [
        ('jpeg', b'', 'starts with nothing'),
        ('jpeg', b'GIF89a' + bytes(50), 'starts with 47494638'),
        ('jpeg', b'\xff\xd8\xff', 'no whole JPEG, PNG, WebP or TIFF'),
        ('webp', b'RIFF' + bytes(40), 'no whole JPEG'),
        ('tiff', b'II*\x00' + bytes(4), 'no whole JPEG'),
        ('16UC1; compressedDepth png', b'', 'a depth image'),
        ('h264', b'\x00\x00\x00\x01\x67' + bytes(90), r'is H\.264 video .*Set the driver to JPEG'),
        ('rgb8; h265 compressed', bytes(90), r'is H\.265 video'),
        ('jpeg', b'\x00\x00\x01\x09' + bytes(90), r'is H\.264 or H\.265 video'),
    ],
)
def test_what_cannot_be_read_is_refused_with_codec_and_remedy(image_format, data, sentence):
    with pytest.raises(BadImageError, match=sentence):
        compressed_to_rgb(image_format, data)
    if 'Depth' not in image_format:
        with pytest.raises(BadImageError, match=sentence):
            check_compressed(image_format, data)


def test_cut_off_png_is_refused():
    data = coded('.png', picture())[:60]
    with pytest.raises(BadImageError, match='cannot be decoded'):
        compressed_to_rgb('png', data)
