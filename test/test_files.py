# SPDX-License-Identifier: Apache-2.0
"""Files: formats that other programs read, and nothing half-written."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from lightdepth_ros import files
from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadImageError, DataError
from lightdepth_ros.perception.cloud import points
from lightdepth_ros.perception.prediction import Prediction

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize('name', ['a.png', 'a.bmp', 'ö ß.png'])
def test_pictures_come_back_as_rgb(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(cv2.imencode(path.suffix, RGB[..., ::-1])[1].tobytes())
    np.testing.assert_array_equal(files.read_rgb(path), RGB)


def test_grey_and_sixteen_bit_pictures_become_rgb(tmp_path):
    path = tmp_path / 'grey.png'
    path.write_bytes(files.png((RGB[..., 0].astype(np.uint16) << 8) + 7))
    rgb = files.read_rgb(path)
    np.testing.assert_array_equal(rgb, np.repeat(RGB[..., :1], 3, axis=2))


def test_twelve_bits_in_sixteen_are_as_bright_as_they_were_meant(tmp_path):
    path = tmp_path / 'deep.png'
    path.write_bytes(files.png(np.full((32, 48), 180 << 4, np.uint16)))
    assert (files.read_rgb(path) == 180).all()


@pytest.mark.parametrize('hw', [(400, 1), (15, 300), (2, 2)])
def test_pictures_of_a_size_that_no_camera_has_are_refused(tmp_path, hw):
    path = tmp_path / 'thin.png'
    path.write_bytes(files.png(np.zeros((*hw, 3), np.uint8)))
    with pytest.raises(BadImageError, match=rf'thin\.png: the image is {hw[1]}x{hw[0]} pixels'):
        files.read_rgb(path)


@pytest.mark.parametrize('data', [b'', b'hello', b'\x89PNG\r\n\x1a\n' + b'0' * 99])
def test_files_that_are_no_picture_are_refused(tmp_path, data):
    path = tmp_path / 'no.png'
    path.write_bytes(data)
    with pytest.raises(BadImageError, match=r'no\.png'):
        files.read_rgb(path)


def test_a_jpeg_cut_short_is_refused_instead_of_half_shown(tmp_path):
    path = tmp_path / 'cut.jpg'
    data = cv2.imencode('.jpg', np.tile(RGB, (8, 8, 1)))[1].tobytes()
    path.write_bytes(data)
    assert files.read_rgb(path).shape == (160, 240, 3)
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(BadImageError, match='cut short'):
        files.read_rgb(path)


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(BadImageError, match=r'gone\.png'):
        files.read_rgb(tmp_path / 'gone.png')


def test_pictures_of_a_folder_come_by_name_and_other_files_do_not(tmp_path):
    for name in ('b.png', 'a.JPG', 'notes.txt', 'c.jpeg', '._a.JPG', '.hidden.png'):
        (tmp_path / name).touch()
    (tmp_path / 'folder.png').mkdir()
    assert [path.name for path in files.images_in(tmp_path)] == ['a.JPG', 'b.png', 'c.jpeg']


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(DataError, match='no picture'):
        files.images_in(tmp_path)


def test_depth_png_keeps_metres_to_half_a_unit(tmp_path):
    depth_m = np.random.default_rng(1).uniform(0.1, 255, (10, 12)).astype(np.float32)
    path = tmp_path / 'depth.png'
    path.write_bytes(files.depth_png(depth_m))
    np.testing.assert_allclose(files.read_depth_png(path), depth_m, atol=0.5 / 256 + 1e-5)
    units = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert units.dtype == np.uint16
    np.testing.assert_array_equal(units, np.rint(depth_m * 256))


def test_depth_png_has_no_value_for_unknown_sky_and_too_near(tmp_path):
    path = tmp_path / 'depth.png'
    path.write_bytes(files.depth_png(np.array([[np.nan, np.inf, -np.inf, 2, 900]], np.float32)))
    depth_m = files.read_depth_png(path)
    np.testing.assert_array_equal(np.isnan(depth_m), [[True, True, True, False, False]])
    np.testing.assert_allclose(depth_m[0, 3:], [2, 65535 / 256])


def test_an_eight_bit_picture_is_no_depth_png(tmp_path):
    path = tmp_path / 'x.png'
    path.write_bytes(files.png(RGB))
    with pytest.raises(BadImageError, match='16-bit'):
        files.read_depth_png(path)


def test_ply_lists_the_finite_points_with_colours_and_labels():
    depth_m = np.array([[1.0, np.nan], [np.inf, 4.0]], np.float32)
    label = np.array([[1, 2], [3, 4]], np.uint8)
    rgb = RGB[:2, :2]
    camera = Camera(2, 2, 1.0, 1.0, 0.0, 0.0)
    data = files.ply(points(Prediction(depth_m, label, label * 9, camera), rgb))
    header, body = data.split(b'end_header\n')
    assert header.startswith(b'ply\nformat binary_little_endian 1.0\n')
    assert b'element vertex 2\nproperty float x\nproperty float y\nproperty float z\n' in header
    assert b'property uchar red\n' in header
    vertices = np.frombuffer(body, files.PLY_POINT)
    np.testing.assert_array_equal(vertices['x'], [0, 4])
    np.testing.assert_array_equal(vertices['z'], [1, 4])
    np.testing.assert_array_equal(vertices['label'], [1, 4])
    np.testing.assert_array_equal(vertices['confidence'], [9, 36])
    for channel, name in enumerate(('red', 'green', 'blue')):
        np.testing.assert_array_equal(vertices[name], rgb[[0, 1], [0, 1], channel])


def test_files_are_written_and_no_temporary_ones_stay(tmp_path):
    paths = {tmp_path / 'new' / 'a': b'1', tmp_path / 'new' / 'b': b'2'}
    files.write_files(paths)
    assert {p: p.read_bytes() for p in (tmp_path / 'new').iterdir()} == paths


def test_a_full_disk_leaves_the_old_files_and_nothing_else(tmp_path, monkeypatch):
    old, new = tmp_path / 'old', tmp_path / 'new'
    old.write_bytes(b'before')
    write = Path.write_bytes

    def full(path, data):
        if 'new' in path.name:
            write(path, data[:1])
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(files.WriteError, match=r'No space left.*make room'):
        files.write_files({old: b'after', new: b'data'})
    assert [path.name for path in tmp_path.iterdir()] == ['old']
    assert old.read_bytes() == b'before'


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(files.WriteError, match='file'):
        files.check_writable(tmp_path / 'file' / 'out')


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    files.check_writable(tmp_path / 'a' / 'b')
    assert list((tmp_path / 'a' / 'b').iterdir()) == []


def write_video(path: Path, count: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    assert writer.isOpened()
    for index in range(count):
        writer.write(np.full((48, 64, 3), (index * 10, 50, 200), np.uint8))
    writer.release()


def cut_video(path: Path) -> None:
    """Keep the header, which promises all frames, and half of the pictures."""
    data = path.read_bytes()
    pictures = data.index(b'movi')
    path.write_bytes(data[: (pictures + len(data)) // 2])


def test_a_video_gives_all_its_frames_in_rgb(tmp_path):
    path = tmp_path / 'v.avi'
    write_video(path, 12)
    video = files.Video(path)
    frames = list(video.frames())
    assert video.frame_count == len(frames) == 12
    for index, rgb in enumerate(frames):
        assert np.abs(rgb.mean(axis=(0, 1)) - (200, 50, index * 10)).max() < 4  # JPEG loss


def test_a_video_cut_short_gives_its_frames_and_then_an_error(tmp_path):
    path = tmp_path / 'v.avi'
    write_video(path, 40)
    cut_video(path)
    frames = []
    with pytest.raises(DataError, match=r'ends after .* of 40 frames'):
        frames.extend(iter_into(frames, files.Video(path)))
    assert 5 < len(frames) < 35


def iter_into(frames, video):
    for rgb in video.frames():
        frames.append(rgb)
    return ()


@pytest.mark.parametrize('data', [b'', b'not a video at all' * 100])
def test_a_file_that_is_no_video_is_refused(tmp_path, data):
    path = tmp_path / 'v.mp4'
    path.write_bytes(data)
    with pytest.raises(DataError, match='neither a picture'):
        files.Video(path)


def test_a_missing_video_is_named(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        files.Video(tmp_path / 'gone.mp4')


@pytest.mark.parametrize('durable', [False, True])
def test_written_files_have_the_permissions_of_the_umask(tmp_path, durable):
    before = os.umask(0o027)
    try:
        files.write_files({tmp_path / 'a': b'a'}, durable=durable)
    finally:
        os.umask(before)
    assert (tmp_path / 'a').stat().st_mode & 0o777 == 0o640


def test_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    def full_disk(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / 'file'
    files.write_files({path: b'old'}, durable=True)
    monkeypatch.setattr(files.os, 'fsync', full_disk)
    with pytest.raises(files.WriteError, match='No space'):
        files.write_files({path: b'new'}, durable=True)
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['file']
