# SPDX-License-Identifier: Apache-2.0
"""Image bytes become RGB, or an error that says what is wrong, before memory is spent."""

import struct
import tracemalloc

import cv2
import numpy as np
import pytest

from lightdepth_ros.errors import BadImageError
from lightdepth_ros.picture import SampleBits
from lightdepth_ros.stream.compressed import compressed_to_rgb
from lightdepth_ros.stream.encodings import ENCODINGS, check_layout, raw_to_rgb

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
    """Return rows of `rgb` in `encoding`: (H, bytes of a row) uint8; more rows where planes
    follow."""
    if encoding.startswith('bayer'):
        return deepened(bayer(rgb, encoding[6:10]), encoding)
    if encoding in ('yuv422', 'uyvy'):
        return interleaved(rgb, luma_first=False)
    if encoding in ('yuv422_yuy2', 'yuyv'):
        return interleaved(rgb, luma_first=True)
    if encoding.startswith('nv'):
        return planes(rgb, encoding)
    alpha = np.full((H, W, 1), 7, np.uint8)
    layouts = {
        ('rgb',): rgb,
        ('bgr', '8UC3', '16UC3'): rgb[..., ::-1],
        ('rgba',): np.concatenate([rgb, alpha], axis=-1),
        ('bgra', '8UC4', '16UC4'): np.concatenate([rgb[..., ::-1], alpha], axis=-1),
        ('mono', '8UC1', '16UC1'): rgb[..., 1],
    }
    letters = encoding.rstrip('0123456789') if 'UC' not in encoding else encoding
    [pixels] = [pixels for names, pixels in layouts.items() if letters in names]
    return deepened(pixels.reshape(H, -1), encoding)


def interleaved(rgb: np.ndarray, luma_first: bool) -> np.ndarray:
    """Return rows of brightness and colours in turn; OpenCV writes them only from 4.8 on."""
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    u, v = i420[H:].reshape(2, H // 2, W // 2)
    colours = np.stack([u, v], axis=-1).reshape(H // 2, W).repeat(2, 0)
    pair = [i420[:H], colours] if luma_first else [colours, i420[:H]]
    return np.stack(pair, axis=-1).reshape(H, -1)


def planes(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return brightness (H, W), then the colours of 2x2 pixels, or of each for nv24."""
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    u, v = i420[H:].reshape(2, H // 2, W // 2)
    pairs = np.stack([v, u] if encoding == 'nv21' else [u, v], axis=-1)
    if encoding == 'nv24':
        pairs = pairs.repeat(2, 0).repeat(2, 1)
    return np.concatenate([i420[:H], pairs.reshape(-1, W)])


def deepened(rows: np.ndarray, encoding: str) -> np.ndarray:
    """Return the rows with as many bits a sample as the encoding's name says."""
    if encoding[-1] == '8' or encoding.startswith('8UC'):
        return rows
    return sixteen_bits(rows, bits=int(encoding[-2:]) if 'UC' not in encoding else 16)


def sixteen_bits(rows: np.ndarray, order: str = '<', bits: int = 16) -> np.ndarray:
    noise = (1 << bits - 8) // 3
    words = (rows.astype(f'{order}u2') << (bits - 8)) + np.array(noise, f'{order}u2')
    return words.astype(f'{order}u2').view(np.uint8).reshape(rows.shape[0], -1)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_every_encoding_gives_back_the_picture(encoding, padding):
    rgb = picture()
    padding *= encoding != 'nv24'
    rows = np.pad(encode(rgb, encoding), ((0, 0), (0, padding)), constant_values=99)
    step = rows.shape[1]
    result = raw_to_rgb(encoding, H, W, step, False, rows.tobytes())
    if 'mono' in encoding or encoding.endswith('UC1'):
        rgb = np.repeat(rgb[..., 1:2], 3, axis=-1)
    tolerance = 5 if encoding.startswith('bayer') else 0
    if encoding.startswith(('nv', 'yu', 'uy')):  # 2x2 pixels share a colour here
        tolerance = 10
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(result[inner].astype(int) - rgb[inner]).max() <= tolerance
    assert result.shape == (H, W, 3)


def test_big_endian_sixteen_bit_images_are_read_by_their_high_byte():
    grey = picture()[..., 0]
    data = sixteen_bits(grey, '>').tobytes()
    result = raw_to_rgb('mono16', H, W, 2 * W, True, data)
    np.testing.assert_array_equal(result[..., 0], grey)


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1', 'bayer_rggb16'])
def test_a_camera_of_fewer_bits_is_as_bright_as_one_of_sixteen(encoding, bits):
    level = np.full((H, W), 180, np.uint8)
    data = sixteen_bits(level, bits=bits).tobytes()
    result = raw_to_rgb(encoding, H, W, 2 * W, False, data)
    assert (result == 180).all()
    assert (raw_to_rgb(encoding, H, W, 2 * W, False, data, SampleBits(bits)) == 180).all()


def test_bits_that_were_seen_once_hold_for_darker_images():
    held = SampleBits()
    levels = (np.full((H, W), level, np.uint8) for level in (200, 9))
    bright, dark = (sixteen_bits(level, bits=12).tobytes() for level in levels)
    assert raw_to_rgb('mono16', H, W, 2 * W, False, dark, held).max() > 100  # nothing else known
    assert (raw_to_rgb('mono16', H, W, 2 * W, False, bright, held) == 200).all()
    assert held.bits == 12
    assert (raw_to_rgb('mono16', H, W, 2 * W, False, dark, held) == 9).all()


def test_values_above_the_bits_that_were_set_stay_white():
    data = np.full((H, W), 60_000, '<u2').tobytes()
    assert (raw_to_rgb('mono16', H, W, 2 * W, False, data, SampleBits(12)) == 255).all()


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
        (('32FC1', 18, 24, 96, 1728), "encoding is '32FC1'; supported are rgb8, rgb16"),
        (('nv12', 18, 24, 24, 432), 'has 432 bytes, but 18 rows of 24 bytes take 648'),
        (('nv21', 17, 24, 24, 612), 'the width must be even, of nv12 and its like the height too'),
        (('', 18, 24, 72, 1296), "encoding is ''"),
        (('yuv422', 18, 25, 50, 900), 'image is 25x18 pixels; the width must be even'),
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


def test_names_in_capitals_are_the_same_encodings():
    data = picture().tobytes()
    assert (raw_to_rgb('BGR8', H, W, 3 * W, False, data) == picture()[..., ::-1]).all()
