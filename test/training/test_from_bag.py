# SPDX-License-Identifier: Apache-2.0
"""A recording becomes a data set: a lidar point lands on its pixel with its depth."""

import json
from pathlib import Path

import bags
import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from lightdepth_ros.bag.recording import DamagedRecordingError, Recording
from lightdepth_ros.mount import Mount
from training import from_bag
from training.bag import conversion
from training.datasets.catalog import open_dataset

LIDAR = ('--image-topic', '/cam/image_raw', '--points-topic', '/lidar/points')
DEPTH = ('--image-topic', '/cam/image_raw', '--depth-topic', '/cam/depth')


def convert(bag, out, *flags) -> int:
    """Run the command."""
    return from_bag.main([str(bag), '--out', str(out), '--image-format', 'png', *map(str, flags)])


def samples(out, name='manifest'):
    """Open what was written."""
    data = open_dataset(f'{name}@{out}')
    return [data[i] for i in range(len(data))]


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_lidar_point_lands_on_its_pixel_with_its_depth(tmp_path, capsys, storage):
    bag = bags.write(tmp_path / 'bag', bags.drive(6), storage)
    assert convert(bag, tmp_path / 'out', *LIDAR) == 0
    found = samples(tmp_path / 'out')
    assert len(found) == 5  # the sixth image has no cloud
    for k, sample in enumerate(found):
        np.testing.assert_array_equal(sample.rgb, bags.picture(k))
        assert np.argwhere(sample.depth_m).tolist() == [list(bags.PIXEL)]
        assert sample.depth_m[bags.PIXEL] == pytest.approx(10 + k, abs=1 / 256)
        camera = sample.camera
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (100, 100, 32, 24)
        assert sample.name == f'{bags.START_NS + 100 * k * bags.MS:019d}'
    text = capsys.readouterr().out
    assert '5 written now, 0 there already; 1 images without a measurement' in text
    assert 'median +5.0 ms, largest +5.0 ms' in text
    assert f'pixels with depth: median {1 / (48 * 64):.2%}' in text


def test_single_mcap_file_can_be_named(tmp_path):
    bag = bags.write(tmp_path / 'bag', bags.drive(3))
    assert convert(next(bag.glob('*.mcap')), tmp_path / 'out', *LIDAR) == 0
    assert len(samples(tmp_path / 'out')) == 2


def test_end_of_the_drive_becomes_the_val_split(tmp_path):
    bag = bags.write(tmp_path / 'bag', bags.drive(11))
    assert convert(bag, tmp_path / 'out', *LIDAR, '--val-fraction', '0.2') == 0
    train = samples(tmp_path / 'out', 'manifest-train')
    val = samples(tmp_path / 'out', 'manifest-val')
    assert (len(train), len(val)) == (8, 2)
    assert max(s.name for s in train) < min(s.name for s in val)


def test_measurement_beyond_the_tolerance_is_not_used(tmp_path, capsys):
    bag = bags.write(tmp_path / 'bag', bags.drive(4, lag_ms=30))
    assert convert(bag, tmp_path / 'a', *LIDAR) == 1
    error = capsys.readouterr().err
    assert '4 have no message of /lidar/points within 0.02 s' in error
    assert convert(bag, tmp_path / 'b', *LIDAR, '--tolerance-s', '0.031') == 0


def test_every_second_image(tmp_path):
    bag = bags.write(tmp_path / 'bag', bags.drive(6))
    assert convert(bag, tmp_path / 'out', *LIDAR, '--every', '2') == 0
    assert [s.depth_m.max() for s in samples(tmp_path / 'out')] == [10, 12, 14]


def test_pose_by_hand_replaces_tf_static(tmp_path, capsys):
    messages = [m for m in bags.drive(3) if m[0] != '/tf_static']
    bag = bags.write(tmp_path / 'bag', messages)
    assert convert(bag, tmp_path / 'a', *LIDAR) == 1
    error = capsys.readouterr().err
    assert "no transforms lead from frame 'lidar' to 'camera_optical'" in error
    # The lidar sits 0.5 m behind and 0.5 m above the camera: (0, -0.5, -0.5) in its optical frame.
    # Its x axis is the camera's z: the inverse of the optical rotation.
    pose = (0, -0.5, -0.5, 0.5, -0.5, 0.5, 0.5)
    assert convert(bag, tmp_path / 'b', *LIDAR, '--lidar-to-camera', *pose) == 0
    assert samples(tmp_path / 'b')[0].depth_m[bags.PIXEL] == pytest.approx(10, abs=1 / 256)


def heights(out: Path) -> list[Mount]:
    return [s.pose for s in samples(out)]


def test_height_by_hand_is_written_into_the_manifest(tmp_path):
    bag = bags.write(tmp_path / 'bag', bags.drive(3))
    assert convert(bag, tmp_path / 'none', *LIDAR) == 0
    assert set(heights(tmp_path / 'none')) == {None}
    flags = ('--camera-height-m', '0.4', '--camera-pitch-deg', '5')
    assert convert(bag, tmp_path / 'out', *LIDAR, *flags) == 0
    assert set(heights(tmp_path / 'out')) == {Mount(0.4, 5.0, 0.0)}


def test_recorded_transforms_give_each_image_its_height(tmp_path):
    messages = []
    for k in range(3):  # the camera is 1.5 m over base_link
        now = bags.START_NS + 100 * k * bags.MS
        pose = bags.transform('base_footprint', 'base_link', (0, 0, 0.1 * k), (0, 0, 0, 1))
        pose.header.stamp.sec, pose.header.stamp.nanosec = divmod(now, 10**9)
        messages.append(('/tf', now, bags.make('tf2_msgs/TFMessage', transforms=[pose])))
    whole = sorted([*messages, *bags.drive(4)], key=lambda m: m[1])
    bag = bags.write(tmp_path / 'bag', whole)
    assert convert(bag, tmp_path / 'out', *LIDAR, '--ground-frame', 'base_footprint') == 0
    found = heights(tmp_path / 'out')
    np.testing.assert_allclose([m.height_m for m in found], [1.5, 1.6, 1.7], atol=1e-4)
    np.testing.assert_allclose([(m.pitch_deg, m.roll_deg) for m in found], 0, atol=1e-4)


@pytest.mark.parametrize(
    ('flags', 'words'),
    [
        (('--ground-frame', 'moon'), '--ground-frame moon: no transforms lead'),
        (('--camera-pitch-deg', '3'), 'need --camera-height-m'),
        (('--camera-height-m', '50'), 'the camera height is 50.0 m'),
        (('--camera-height-m', '1', '--ground-frame', 'base_link'), 'both say where'),
    ],
)
def test_a_mount_that_cannot_be_is_refused(tmp_path, capsys, flags, words):
    bag = bags.write(tmp_path / 'bag', bags.drive(3))
    assert convert(bag, tmp_path / 'out', *LIDAR, *flags) == 1
    assert words in capsys.readouterr().err


def depth_drive(depth: np.ndarray, encoding: str, frame: str = 'camera_optical'):
    """Return one image with one depth image."""
    now = bags.START_NS
    return [
        ('/cam/camera_info', now, bags.camera_info()),
        ('/cam/image_raw', now, bags.image(now, bags.picture(0)[..., ::-1], 'bgr8')),
        ('/cam/depth', now, bags.image(now, depth, encoding, frame)),
    ]


def test_float_depth_keeps_metres_and_drops_what_is_no_value(tmp_path):
    depth = np.full(bags.HW, 2.5, np.float32)
    depth[0, :5] = np.nan, np.inf, -np.inf, 0, 300
    bag = bags.write(tmp_path / 'bag', depth_drive(depth, '32FC1'))
    assert convert(bag, tmp_path / 'out', *DEPTH) == 0
    (sample,) = samples(tmp_path / 'out')
    np.testing.assert_array_equal(sample.rgb, bags.picture(0))
    assert (sample.depth_m[0, :5] == 0).all()
    assert (sample.depth_m.ravel()[5:] == 2.5).all()


def test_millimetre_depth_at_half_size_fills_the_image(tmp_path):
    depth = np.full((24, 32), 1500, np.uint16)
    depth[3, 4] = 0
    bag = bags.write(tmp_path / 'bag', depth_drive(depth, '16UC1'))
    assert convert(bag, tmp_path / 'out', *DEPTH) == 0
    expected = np.full(bags.HW, 1.5, np.float32)
    expected[6:8, 8:10] = 0
    np.testing.assert_array_equal(samples(tmp_path / 'out')[0].depth_m, expected)


def test_compressed_images_find_their_camera_info(tmp_path):
    messages = [m for m in bags.drive(3) if m[0] != '/cam/image_raw']
    for k in range(2):
        now = bags.START_NS + 100 * k * bags.MS
        message = bags.compressed(now, bags.picture(k))
        messages.append(('/cam/image_raw/compressed', now, message))
    bag = bags.write(tmp_path / 'bag', sorted(messages, key=lambda m: m[1]))
    flags = ('--image-topic', '/cam/image_raw/compressed', '--points-topic', '/lidar/points')
    assert convert(bag, tmp_path / 'out', *flags) == 0
    sample = samples(tmp_path / 'out')[1]
    np.testing.assert_array_equal(sample.rgb, bags.picture(1))
    assert sample.camera.fx == 100


def test_images_alone_without_calibration_make_an_uncalibrated_set(tmp_path, capsys):
    messages = [m for m in bags.drive(3) if m[0] == '/cam/image_raw']
    bag = bags.write(tmp_path / 'bag', messages)
    assert convert(bag, tmp_path / 'out', '--image-topic', '/cam/image_raw') == 0
    assert 'not calibrated' in capsys.readouterr().out
    assert all(s.camera is None and s.depth_m is None for s in samples(tmp_path / 'out'))


def test_distorted_image_and_lidar_meet_in_the_pinhole_image(tmp_path):
    # Ray x/z = 0.2, y/z = 0.1: r2 = 0.05, so k1 = -0.8 moves it to 0.96 of itself: raw pixel
    # (32 + 19.2, 24 + 9.6). Pinhole pixel (52, 34).
    raw = np.zeros((*bags.HW, 3), np.uint8)
    raw[33:35, 51:53] = 255
    now = bags.START_NS
    z = 8.0
    point = (z + 0.5, -0.2 * z, -0.1 * z - 0.5)
    depth = np.zeros(bags.HW, np.float32)
    depth[34, 51] = z
    messages = [
        *(('/tf_static', now, m) for m in bags.tf_static()),
        ('/cam/camera_info', now, bags.camera_info(d=(-0.8, 0, 0, 0, 0))),
        ('/cam/image_raw', now, bags.image(now, raw, 'rgb8')),
        ('/lidar/points', now, bags.cloud(now, [point])),
        ('/cam/depth', now, bags.image(now, depth, '32FC1')),
    ]
    bag = bags.write(tmp_path / 'bag', messages)
    assert convert(bag, tmp_path / 'lidar', *LIDAR) == 0
    assert convert(bag, tmp_path / 'depth', *DEPTH) == 0
    (sample,) = samples(tmp_path / 'lidar')
    assert np.argwhere(sample.depth_m).tolist() == [[34, 52]]
    assert sample.rgb[34, 52].min() > 100
    assert samples(tmp_path / 'depth')[0].depth_m[34, 52] == z


def test_rectified_topic_uses_p_with_the_shift_of_a_right_hand_camera(tmp_path):
    # P: f = 50, centre (30, 20), fx * tx = -10: u = (50 * 1 - 10) / 10 + 30 = 34, v = 22.5 -> 23.
    p = np.array([50, 0, 30, -10, 0, 50, 20, 0, 0, 0, 1, 0], float)
    messages = bags.drive(2)
    now = bags.START_NS
    info = bags.camera_info(d=(-0.8, 0, 0, 0, 0), p=p)
    messages = [m for m in messages if m[0] != '/cam/camera_info']
    messages.insert(0, ('/cam/camera_info', now, info))
    messages.insert(1, ('/cam/image_rect', now, bags.image(now, bags.picture(0), 'rgb8')))
    bag = bags.write(tmp_path / 'bag', messages)
    flags = ('--image-topic', '/cam/image_rect', '--points-topic', '/lidar/points')
    assert convert(bag, tmp_path / 'out', *flags) == 0
    (sample,) = samples(tmp_path / 'out')
    assert sample.depth_m[23, 34] == pytest.approx(10, abs=1 / 256)
    assert (sample.camera.fx, sample.camera.cx) == (50, 30)
    np.testing.assert_array_equal(sample.rgb, bags.picture(0))


def test_interrupted_conversion_goes_on_and_ends_the_same(tmp_path, monkeypatch, capsys):
    bag = bags.write(tmp_path / 'bag', bags.drive(6))
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    assert convert(bag, whole, *LIDAR) == 0
    real, calls = conversion.write_files, []

    def killed(contents):
        calls.append(contents)
        if len(calls) == 4:  # the options, two frames, then the blow
            raise KeyboardInterrupt
        real(contents)

    monkeypatch.setattr(conversion, 'write_files', killed)
    assert convert(bag, cut, *LIDAR) == 130
    assert not (cut / 'manifest.csv').exists()
    (cut / 'image' / '.x.png.1.tmp').write_bytes(b'half')
    monkeypatch.setattr(conversion, 'write_files', real)
    capsys.readouterr()
    assert convert(bag, cut, *LIDAR) == 0
    assert '3 written now, 2 there already' in capsys.readouterr().out
    files = sorted(p.relative_to(whole) for p in whole.rglob('*') if p.is_file())
    assert files == sorted(p.relative_to(cut) for p in cut.rglob('*') if p.is_file())
    for file in files:
        assert (cut / file).read_bytes() == (whole / file).read_bytes(), file


def test_folder_of_another_conversion_or_of_something_else_is_refused(tmp_path, capsys):
    bag = bags.write(tmp_path / 'bag', bags.drive(3))
    assert convert(bag, tmp_path / 'out', *LIDAR) == 0
    assert convert(bag, tmp_path / 'out', *LIDAR, '--every', 2) == 1
    assert 'holds another conversion' in capsys.readouterr().err
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'thesis.txt').write_text('')
    assert convert(bag, tmp_path / 'home', *LIDAR) == 1
    assert 'is not empty and holds no conversion' in capsys.readouterr().err
    assert json.loads((tmp_path / 'out' / 'from_bag.json').read_text())['every'] == 1


def test_damaged_image_is_counted_and_the_rest_converted(tmp_path, capsys):
    messages = []
    for k in range(3):
        now = bags.START_NS + k * bags.MS
        message = bags.compressed(now, bags.picture(k))
        if k == 1:
            message.data = message.data[:10]
        messages.append(('/cam/image/compressed', now, message))
    bag = bags.write(tmp_path / 'bag', messages)
    assert convert(bag, tmp_path / 'out', '--image-topic', '/cam/image/compressed') == 0
    text = capsys.readouterr().out
    assert '2 frames' in text
    assert '1 unusable' in text
    assert f'unusable: {bags.START_NS + bags.MS:019d}: ' in text


def test_jpeg_is_the_default_and_close_to_the_image(tmp_path):
    bag = bags.write(tmp_path / 'bag', bags.drive(2))
    assert from_bag.main([str(bag), '--out', str(tmp_path / 'out'), *LIDAR]) == 0
    (path,) = (tmp_path / 'out' / 'image').glob('*.jpg')
    written = cv2.imread(str(path))[..., ::-1].astype(int)
    assert abs(written - bags.picture(0)).max() <= 3


def with_info(info) -> list:
    """Return a drive whose camera_info is `info`."""
    return [(t, n, info if t == '/cam/camera_info' else m) for t, n, m in bags.drive(2)]


def without(topic: str) -> list:
    """Return a drive without the topic."""
    return [m for m in bags.drive(2) if m[0] != topic]


def far_away() -> list:
    """Return a drive whose clouds are behind the camera."""
    behind = bags.cloud(bags.START_NS, [(-9.0, 0.0, 0.0)])
    return [(t, n, behind if t == '/lidar/points' else m) for t, n, m in bags.drive(2)]


UNCALIBRATED = bags.camera_info(k=np.zeros(9))
OTHER_SIZE = bags.camera_info(width=128, height=96)
WIDE = np.ones((10, 64), np.float32)


@pytest.mark.parametrize(
    ('messages', 'flags', 'parts'),
    [
        (
            bags.drive(2),
            ('--image-topic', '/nope'),
            ['no message on /nope (--image-topic)', '/lidar/points  sensor_msgs/msg/PointCloud2'],
        ),
        (
            bags.drive(2),
            ('--image-topic', '/cam/image_raw', '--points-topic', '/cam/camera_info'),
            ['is sensor_msgs/msg/CameraInfo; sensor_msgs/msg/PointCloud2 is expected'],
        ),
        (bags.drive(2), (*LIDAR, '--depth-topic', '/d'), ['are both given']),
        (bags.drive(2), (*LIDAR, '--every', 0), ['--every is 0']),
        (bags.drive(2), (*LIDAR, '--camera-info-topic', ''), ['was switched off']),
        (without('/cam/camera_info'), LIDAR, ['no message on /cam/camera_info']),
        (with_info(UNCALIBRATED), LIDAR, ['/cam/camera_info has K = 0']),
        (with_info(OTHER_SIZE), LIDAR, ['images are 64x48, but camera_info is for 128x96']),
        (far_away(), LIDAR, ['not a single measurement falls into an image']),
        (depth_drive(WIDE, '32FC1'), DEPTH, ['64x10 and images 64x48: the aspects differ']),
        (
            depth_drive(np.ones(bags.HW, np.float32), '32FC1', 'ir_optical'),
            DEPTH,
            ["seen from frame 'ir_optical'", 'registered'],
        ),
        (
            depth_drive(np.ones(bags.HW, np.uint8), 'mono8'),
            DEPTH,
            ["a depth image on /cam/depth is 'mono8'; 32FC1"],
        ),
    ],
)
def test_mistakes_are_named_with_the_remedy(tmp_path, capsys, messages, flags, parts):
    bag = bags.write(tmp_path / 'bag', messages)
    assert convert(bag, tmp_path / 'out', *flags) == 1
    error = capsys.readouterr().err
    for part in parts:
        assert part in error
    assert not (tmp_path / 'out' / 'manifest.csv').exists()


def test_recording_that_breaks_off_gives_its_beginning_and_says_so(tmp_path, monkeypatch, capsys):
    bag = bags.write(tmp_path / 'bag', bags.drive(6))
    real = Recording.messages

    def broken(self, topics):
        for number, recorded in enumerate(real(self, topics)):
            if number == 5:  # the third image's cloud
                raise DamagedRecordingError('disk on fire')
            yield recorded

    monkeypatch.setattr(Recording, 'messages', broken)
    assert convert(bag, tmp_path / 'out', *LIDAR) == 1
    assert 'only the beginning was converted: disk on fire' in capsys.readouterr().err
    assert [s.depth_m.max() for s in samples(tmp_path / 'out')] == [10, 11]


def test_message_that_cannot_be_decoded_is_counted(tmp_path, monkeypatch, capsys):
    bag = bags.write(tmp_path / 'bag', bags.drive(4))
    real = AnyReader.deserialize

    def bad(self, raw, kind):
        is_image = kind == 'sensor_msgs/msg/Image'
        broken = is_image and real(self, raw, kind).data[0] == 41
        return real(self, raw[:20] if broken else raw, kind)

    monkeypatch.setattr(AnyReader, 'deserialize', bad)
    assert convert(bag, tmp_path / 'out', *LIDAR) == 0
    assert '1 messages could not be decoded' in capsys.readouterr().out
    assert [s.depth_m.max() for s in samples(tmp_path / 'out')] == [10, 12]


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_cut_off_recording_names_the_repair(tmp_path, capsys, storage):
    bag = bags.write(tmp_path / 'bag', bags.drive(4), storage)
    (file,) = [*bag.glob('*.mcap'), *bag.glob('*.db3')]
    file.write_bytes(file.read_bytes()[:9000])
    assert convert(bag, tmp_path / 'out', *LIDAR) == 1
    assert 'mcap recover' in capsys.readouterr().err


def test_wrong_recordings_are_named(tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'ros1.bag').write_bytes(b'#ROSBAG V2.0\n')
    (tmp_path / 'cut.mcap').write_bytes(b'\x89MCAP0\r\n')
    for name, message in (
        ('none', 'there is no recording'),
        ('empty', 'cannot be opened as a recording'),
        ('ros1.bag', 'or a .bag file of ROS 1'),
        ('cut.mcap', 'cannot be opened as a recording'),
    ):
        assert convert(tmp_path / name, tmp_path / 'out', *LIDAR) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        from_bag.main(['--help'])
    assert 'at 10 m/s, 20 ms are 0.2 m' in capsys.readouterr().out
