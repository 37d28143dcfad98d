# SPDX-License-Identifier: Apache-2.0
"""`lightdepth bag`: what the node would publish, bit for bit, whole after any interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import bags
import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from tiny_model import CANONICAL_FOCAL_PX, DEPTH_PER_RED_M, make_tiny_model

from lightdepth_ros import cli
from lightdepth_ros.bag import run as bag_run
from lightdepth_ros.bag import writer as bag_writer
from lightdepth_ros.bag.parts import PartedBag
from lightdepth_ros.bag.recording import Recording
from lightdepth_ros.files import WriteError
from lightdepth_ros.stream import outputs
from tools.ros_env import ROOT

TOPICS = {f'/{output.topic}' for output in outputs.TOPICS}
SMALL = ('--input-width', '64', '--input-height', '32')
IMAGE = '/cam/image_raw'


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A folder with the tiny model: depth = red * 0.5 m for a focal length of 600 px."""
    folder = tmp_path_factory.mktemp('models')
    make_tiny_model(folder, 'L', student='plain')
    return folder


def drive(count: int, bad: tuple[int, ...] = ()) -> list:
    """Return a camera at 10 Hz with camera_info and transforms; images in `bad` are cut short."""
    messages = [('/tf_static', bags.START_NS, m) for m in bags.tf_static()]
    rng = np.random.default_rng(5)
    for k in range(count):
        now = bags.START_NS + 100 * k * bags.MS
        pixels = rng.integers(10, 240, (*bags.HW, 3), np.uint8)
        message = bags.image(now, pixels, 'rgb8')
        if k in bad:
            message.data = message.data[:-9]
        messages.append(('/cam/camera_info', now, bags.camera_info()))
        messages.append((IMAGE, now, message))
    return messages


def command(model: Path, source: Path, out: Path, *flags) -> list[str]:
    return ['bag', str(source), str(out), '--model', str(model), *SMALL, *map(str, flags)]


def run(model: Path, source: Path, out: Path, *flags) -> int:
    return cli.main(command(model, source, out, *flags))


def contents(path: Path) -> list[tuple[str, int, bytes]]:
    """Return (topic, recording time, CDR bytes) of everything in a bag."""
    with AnyReader([path]) as reader:
        return [(c.topic, log_ns, bytes(raw)) for c, log_ns, raw in reader.messages()]


def messages_of(path: Path, topic: str) -> list:
    with AnyReader([path]) as reader:
        wanted = [c for c in reader.connections if c.topic == topic]
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(wanted)]


def depths(path: Path, topic: str = '/depth/image') -> list[np.ndarray]:
    return [m.data.view(np.float32).reshape(m.height, m.width) for m in messages_of(path, topic)]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_every_output_is_written_with_the_images_stamp_type_and_time(
    model, tmp_path, storage, capsys
):
    source = bags.write(tmp_path / 'in', drive(3), {'mcap': 'MCAP', 'sqlite3': 'SQLITE3'}[storage])
    out = tmp_path / 'out'
    assert run(model, source, out, '--storage', storage, '--keep-tf') == 0
    with AnyReader([out]) as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections}
        counts = Counter(c.topic for c, _, _ in reader.messages())
    assert {
        o.message_type for o in outputs.TOPICS if kinds[f'/{o.topic}'] != o.message_type
    } == set()
    assert counts == {**dict.fromkeys(TOPICS, 3), '/tf_static': 2, '/semantic/label_info': 1}
    images = messages_of(source, IMAGE)
    for topic in TOPICS:
        for image, result in zip(images, messages_of(out, topic), strict=True):
            assert str(result.header) == str(image.header)
    times = [log_ns for topic, log_ns, _ in contents(out) if topic == '/points']
    assert times == [log_ns for topic, log_ns, _ in contents(source) if topic == IMAGE]
    (info,) = messages_of(out, '/semantic/label_info')
    assert (info.class_map[11].class_id, info.class_map[11].class_name) == (11, 'person')
    text = capsys.readouterr().out
    assert 'times real time' in text
    assert not (tmp_path / 'out.part').exists()


def test_depth_is_that_of_the_model_for_this_focal_length(model, tmp_path):
    source = bags.write(tmp_path / 'in', drive(2))
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 0
    image = messages_of(source, IMAGE)[1]
    rgb = image.data.reshape(*bags.HW, 3)
    # 64x48 into 64x32: the middle 32 rows; one network pixel of each 2x2 block decides.
    red = rgb[8:40:2, ::2, 0].astype(np.float32)
    expected = red * np.float32(DEPTH_PER_RED_M) * np.float32(bags.FOCAL / CANONICAL_FOCAL_PX)
    depth = depths(tmp_path / 'out')[1]
    seen = np.isfinite(depth)
    assert seen.mean() > 0.5
    np.testing.assert_allclose(depth[seen], expected[seen], rtol=1e-6)
    assert {topic for topic, _, _ in contents(tmp_path / 'out')} == {'/depth/image'}


def test_the_same_through_the_nodes_stream_is_bit_equal_in_every_output(model, tmp_path):
    """The Stream of the node, fed with ROS messages, against the bytes in the bag."""
    pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')
    from test_stream import FakePublisher

    from lightdepth_ros.config import NodeConfig
    from lightdepth_ros.perception.loading import load_perception
    from lightdepth_ros.stream import messages
    from lightdepth_ros.stream.pipeline import Pipeline
    from lightdepth_ros.stream.stream import Stream
    from lightdepth_ros.stream.voice import Voice

    source = bags.write(tmp_path / 'in', drive(5))
    assert run(model, source, tmp_path / 'out', '--temporal-filter', '0.5') == 0
    config = NodeConfig(model=str(model), input_width=64, input_height=32, temporal_filter=0.5)
    pipeline = Pipeline(config, load_perception(config))
    publishers = {output.topic: FakePublisher() for output in outputs.TOPICS}
    for publisher in publishers.values():
        publisher.listeners = 1
    stream = Stream(
        name='node',
        image_topic=IMAGE,
        image_type='sensor_msgs/msg/Image',
        info_topic='/cam/camera_info',
        publishers=publishers,
        mismatches={},
        voice=Voice(lambda text: None, pytest.fail),
        clock_ns=lambda: 0,
    )
    stream.calibration.update(messages_of(source, '/cam/camera_info')[0])
    for recorded in messages_of(source, IMAGE):
        stamp = recorded.header.stamp
        header = messages.Header(frame_id=recorded.header.frame_id)
        header.stamp.sec, header.stamp.nanosec = stamp.sec, stamp.nanosec
        image = messages.rgb_to_image(recorded.data.reshape(*bags.HW, 3), header)
        stream.process(stream.receive(image, config), pipeline)
    for topic, publisher in publishers.items():
        written = messages_of(tmp_path / 'out', f'/{topic}')
        assert len(written) == len(publisher.sent) == 5
        for ours, nodes in zip(written, publisher.sent, strict=True):
            if hasattr(nodes, 'data'):
                assert ours.data.tobytes() == nodes.data.tobytes(), topic
            else:
                assert list(ours.k) == list(nodes.k)


def test_without_ros_the_bytes_are_the_same(model, tmp_path):
    source = bags.write(tmp_path / 'in', drive(2))
    assert run(model, source, tmp_path / 'with') == 0
    code = (
        'import sys\n'
        'class Blocker:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        "        if name.split('.')[0] in ('sensor_msgs', 'std_msgs', 'rclpy'):\n"
        '            raise ImportError(name)\n'
        'sys.meta_path.insert(0, Blocker())\n'
        'from lightdepth_ros import cli\n'
        f'sys.exit(cli.main({command(model, source, tmp_path / "without")!r}))\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert contents(tmp_path / 'without') == contents(tmp_path / 'with')


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_killed_run_goes_on_and_ends_with_the_same_bag(model, tmp_path, storage):
    source = bags.write(tmp_path / 'in', drive(40, bad=(3, 17)))
    flags = ('--storage', storage, '--temporal-filter', '0.6', '--keep-tf')
    assert run(model, source, tmp_path / 'whole', *flags) == 1
    code = (
        'import os, signal, sys\n'
        'from lightdepth_ros import cli\n'
        'from lightdepth_ros.bag import run as bag_run\n'
        'from lightdepth_ros.cli import bag_show as cli_bag_show\n'
        'bag_run.PART_IMAGES = 7\n'
        'real = cli_bag_show.Show.step\n'
        'def step(self):\n'
        '    go_on = real(self)\n'
        '    if self.images == self.begun_with + 17:\n'
        '        os.kill(os.getpid(), signal.SIGKILL)\n'
        '    return go_on\n'
        'cli_bag_show.Show.step = step\n'
        f'sys.exit(cli.main({command(model, source, tmp_path / "killed", *flags)!r}))\n'
    )
    codes, resumed = [], []
    for _ in range(4):
        result = subprocess.run(
            [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False
        )
        codes.append(result.returncode)
        resumed.append('Going on after' in result.stdout)
        assert result.returncode in (-signal.SIGKILL, 1), result.stderr
        if result.returncode == 1:
            break
        assert not (tmp_path / 'killed').exists()
    assert codes == [-9, -9, 1], codes
    assert resumed[-1]
    assert contents(tmp_path / 'killed') == contents(tmp_path / 'whole')
    assert len(list((tmp_path / 'killed').iterdir())) == 7  # six files and metadata.yaml
    assert not (tmp_path / 'killed.part').exists()


def test_ctrl_c_saves_the_frame_in_hand_and_the_same_command_goes_on(
    model, tmp_path, monkeypatch, capsys
):
    from lightdepth_ros.cli import bag_show as cli_bag_show

    source = bags.write(tmp_path / 'in', drive(9))
    real = cli_bag_show.Show.step

    def interrupted(self):
        if self.images == 3:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        return real(self)

    monkeypatch.setattr(cli_bag_show.Show, 'step', interrupted)
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 130
    progress = json.loads((tmp_path / 'out.part' / 'progress.json').read_text())
    assert progress['images'] == 4
    monkeypatch.setattr(cli_bag_show.Show, 'step', real)
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 0
    assert len(depths(tmp_path / 'out')) == 9
    assert 'Going on after 4 of 9 images' in capsys.readouterr().out


def lift(count: int) -> list:
    """Return a drive whose camera, 1.5 m over base_link, rises by 0.1 m with each image."""
    messages = [('/tf_static', bags.START_NS, m) for m in bags.tf_static()]
    for k in range(count):
        now = bags.START_NS + 100 * k * bags.MS
        pose = bags.transform('base_footprint', 'base_link', (0, 0, 0.1 * k), (0, 0, 0, 1))
        pose.header.stamp.sec, pose.header.stamp.nanosec = divmod(now, 10**9)
        tf = bags.make('tf2_msgs/TFMessage', transforms=[pose])
        messages.append(('/tf', now - bags.MS, tf))
        messages.append(('/cam/camera_info', now, bags.camera_info()))
        messages.append((IMAGE, now, bags.image(now, bags.picture(0), 'rgb8')))
    return messages


def test_recorded_transforms_say_where_the_camera_is_also_after_an_interruption(
    tmp_path, monkeypatch
):
    from lightdepth_ros.cli import bag_show as cli_bag_show

    make_tiny_model(tmp_path, 'L', student='plain', ground=True)
    source = bags.write(tmp_path / 'in', lift(8))
    flags = ('--mount', 'tf', '--outputs', 'depth/image')
    assert run(tmp_path, source, tmp_path / 'whole', *flags) == 0
    found = depths(tmp_path / 'whole')
    for k in (0, 3, 7):
        by_hand = ('--camera-height-m', f'{1.5 + 0.1 * k:.1f}', '--outputs', 'depth/image')
        assert run(tmp_path, source, tmp_path / f'hand{k}', *by_hand) == 0
        np.testing.assert_allclose(depths(tmp_path / f'hand{k}')[0], found[k], rtol=1e-5)
    assert float(found[7][0, 0]) > 1.3 * float(found[0][0, 0])

    real = cli_bag_show.Show.step
    monkeypatch.setattr(cli_bag_show.Show, 'step', lambda self: real(self) and self.images < 4)
    assert run(tmp_path, source, tmp_path / 'cut', *flags) == 130
    monkeypatch.setattr(cli_bag_show.Show, 'step', real)
    assert run(tmp_path, source, tmp_path / 'cut', *flags) == 0
    assert contents(tmp_path / 'cut') == contents(tmp_path / 'whole')


def test_a_recording_without_transforms_says_so_and_goes_on(tmp_path, capsys, monkeypatch):
    from lightdepth_ros.stream import mounting

    monkeypatch.setattr(mounting, 'GRACE_S', 0.0)
    make_tiny_model(tmp_path, 'L', student='plain', ground=True)
    messages = [m for m in lift(3) if not m[0].startswith('/tf')]
    source = bags.write(tmp_path / 'in', messages)
    flags = ('--mount', 'tf', '--outputs', 'depth/image')
    assert run(tmp_path, source, tmp_path / 'out', *flags) == 0
    said = ' '.join(capsys.readouterr().out.split())
    assert 'Record /tf and /tf_static too, or set camera_height_m' in said


def test_another_job_in_the_same_place_is_refused_with_what_differs(
    model, tmp_path, monkeypatch, capsys
):
    source = bags.write(tmp_path / 'in', drive(3))
    monkeypatch.setattr(bag_run.Runner, '_fill', lambda *_: (_ for _ in ()).throw(WriteError('x')))
    assert run(model, source, tmp_path / 'out') == 1
    monkeypatch.undo()
    part = tmp_path / 'out.part'
    (part / 'progress.json').write_text(json.dumps({'job': {'version': '0'}, 'images': 5}))
    assert run(model, source, tmp_path / 'out') == 1
    error = capsys.readouterr().err
    assert "version was '0', now it is" in error
    assert 'holds 5 frames of a job with other settings' in error


def test_full_disk_keeps_what_is_done_and_the_same_command_ends_the_job(
    model, tmp_path, monkeypatch, capsys
):
    source = bags.write(tmp_path / 'in', drive(12))
    monkeypatch.setattr(bag_run, 'PART_IMAGES', 5)
    real, calls = bag_writer.Writer.write, []

    def full(self, *args):
        calls.append(1)
        if len(calls) == 9:
            raise OSError(28, 'No space left on device')
        real(self, *args)

    monkeypatch.setattr(bag_writer.Writer, 'write', full)
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 1
    error = capsys.readouterr().err
    assert 'No space left on device' in error
    assert 'give the same command again' in error
    assert not (tmp_path / 'out').exists()
    assert not (tmp_path / 'out.part' / 'now').exists()
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 0
    assert 'Going on after 5 of 12' in capsys.readouterr().out
    assert len(depths(tmp_path / 'out')) == 12


def test_a_disk_that_will_be_too_small_is_told_early(model, tmp_path, monkeypatch, capsys):
    source = bags.write(tmp_path / 'in', drive(10))
    monkeypatch.setattr(bag_run, 'PART_IMAGES', 5)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=1000))
    assert run(model, source, tmp_path / 'out') == 0
    shown = ' '.join(capsys.readouterr().out.split())
    assert shown.count('The disk will be full before the end: about 0.0 GB are missing') == 1


def test_two_processes_at_one_bag_are_refused(model, tmp_path, capsys):
    source = bags.write(tmp_path / 'in', drive(1))
    with PartedBag(tmp_path / 'out').claimed({}):
        assert run(model, source, tmp_path / 'out') == 1
    assert 'another process is writing' in capsys.readouterr().err


def test_bad_images_are_counted_by_reason_and_the_rest_goes_on(
    model, tmp_path, monkeypatch, capsys
):
    source = bags.write(tmp_path / 'in', drive(8, bad=(2, 5)))
    real = AnyReader.deserialize

    def bad(self, raw, kind):
        stamp = int.from_bytes(raw[8:12], 'little')  # nanoseconds of the header
        broken = kind == 'sensor_msgs/msg/Image' and stamp == 700 * bags.MS
        return real(self, raw[:20] if broken else raw, kind)

    monkeypatch.setattr(AnyReader, 'deserialize', bad)
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 1
    monkeypatch.undo()
    assert len(depths(tmp_path / 'out')) == 5
    text = ' '.join(capsys.readouterr().out.split())
    assert '/cam/image_raw: frame dropped (bad_image): image data has' in text
    assert '8 │ 5 │ 3 the image message is damaged' in text


def test_recording_that_breaks_off_gives_its_beginning_and_says_so(
    model, tmp_path, monkeypatch, capsys
):
    from lightdepth_ros.bag.recording import DamagedRecordingError

    source = bags.write(tmp_path / 'in', drive(6))
    real = Recording.raw_messages

    def broken(self, topics, start_ns=None):
        for number, raw in enumerate(real(self, topics, start_ns)):
            if number == 6 and len(topics) > 1:
                raise DamagedRecordingError('disk on fire')
            yield raw

    monkeypatch.setattr(Recording, 'raw_messages', broken)
    assert run(model, source, tmp_path / 'out', '--outputs', 'depth/image') == 1
    assert len(depths(tmp_path / 'out')) == 3
    assert 'disk on fire' in capsys.readouterr().out


def write_compressed(path: Path, mode: CompressionMode) -> Path:
    """Write 300 images whose chunks zstd can compress, and return the one file."""
    rng = np.random.default_rng(0)
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections: dict = {}
        for k in range(300):
            now = bags.START_NS + k * bags.MS
            pixels = rng.integers(0, 8, (*bags.HW, 3), np.uint8)
            for topic, message in (
                ('/cam/camera_info', bags.camera_info()),
                (IMAGE, bags.image(now, pixels, 'rgb8')),
            ):
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=bags.STORE)
                data = bags.STORE.serialize_cdr(message, kind)
                writer.write(connections[topic], now, data)
    return next(path.glob('*.mcap'))


@pytest.mark.parametrize('mode', [CompressionMode.STORAGE, CompressionMode.NONE])
def test_wrong_bytes_inside_a_file_are_told(model, tmp_path, capsys, mode):
    file = write_compressed(tmp_path / 'in', mode)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20000] = bytes(b ^ 0x5A for b in data[middle : middle + 20000])
    file.write_bytes(data)
    assert run(model, tmp_path / 'in', tmp_path / 'out', '--outputs', 'depth/image') == 1
    assert 50 < len(depths(tmp_path / 'out')) < 300
    assert 'The recording is damaged' in capsys.readouterr().out


def test_two_cameras_and_compressed_images(model, tmp_path):
    messages = drive(2)
    for k in range(2):
        now = bags.START_NS + 100 * k * bags.MS
        rgb = np.full((*bags.HW, 3), 60, np.uint8)
        messages.append(('/rear/image/compressed', now, bags.compressed(now, rgb)))
        messages.append(('/rear/info', now, bags.camera_info()))
    source = bags.write(tmp_path / 'in', sorted(messages, key=lambda m: m[1]))
    flags = ('--camera', f'front={IMAGE}', '--camera', 'rear=/rear/image/compressed,/rear/info')
    assert run(model, source, tmp_path / 'out', *flags, '--namespace', 'bot') == 0
    (rear, _) = depths(tmp_path / 'out', '/bot/rear/depth/image')
    np.testing.assert_allclose(rear[np.isfinite(rear)], 60 * 0.5 / 6, rtol=1e-6)
    assert len(depths(tmp_path / 'out', '/bot/front/depth/image')) == 2
    counts = Counter(topic for topic, _, _ in contents(tmp_path / 'out'))
    assert counts['/bot/rear/semantic/label_info'] == 1


def test_a_bag_of_ros_1_gives_the_same_depth_as_the_same_drive_in_ros_2(model, tmp_path):
    messages = drive(2)
    new = bags.write(tmp_path / 'new', messages)
    old = bags.write_ros1(tmp_path / 'old.bag', messages)
    flags = ('--outputs', 'depth/image', 'points')
    assert run(model, new, tmp_path / 'out_new', *flags) == 0
    assert run(model, old, tmp_path / 'out_old', *flags) == 0
    for topic in ('/depth/image', '/points'):
        found = [
            [
                (bytes(m.data), m.header.frame_id, m.header.stamp.sec, m.header.stamp.nanosec)
                for m in messages_of(tmp_path / out, topic)
            ]
            for out in ('out_new', 'out_old')
        ]
        assert len(found[0]) == 2
        assert found[0] == found[1]


def test_what_a_bag_of_ros_1_cannot_give_is_refused_with_the_right_command(
    model, tmp_path, capsys
):
    old = bags.write_ros1(tmp_path / 'old.bag', drive(1))
    assert run(model, old, tmp_path / 'out', '--keep-tf') == 1
    assert '--dst-typestore ros2_jazzy' in ''.join(capsys.readouterr().err.split('\n  '))


def test_a_bag_that_was_converted_with_the_field_names_of_ros_1_is_read(model, tmp_path):
    old = bags.write_ros1(tmp_path / 'old.bag', drive(1))
    converted = tmp_path / 'converted'
    command = [str(Path(sys.executable).with_name('rosbags-convert')), '--src', str(old)]
    subprocess.run([*command, '--dst', str(converted)], check=True, timeout=60)
    assert run(model, converted, tmp_path / 'out', '--outputs', 'points') == 0
    assert len(messages_of(tmp_path / 'out', '/points')) == 1


def test_parameter_file_of_the_node_holds_and_flags_win(model, tmp_path):
    source = bags.write(tmp_path / 'in', drive(1))
    params = tmp_path / 'params.yaml'
    params.write_text('/**:\n  ros__parameters:\n    depth_scale: 2.0\n    max_range_m: 500.0\n')
    only = ('--outputs', 'depth/image')
    assert run(model, source, tmp_path / 'a', *only, '--max-range-m', 500) == 0
    assert run(model, source, tmp_path / 'b', *only, '--params-file', params) == 0
    flags = (*only, '--params-file', params, '--depth-scale', 3)
    assert run(model, source, tmp_path / 'c', *flags) == 0
    a, b, c = (depths(tmp_path / name)[0] for name in 'abc')
    seen = np.isfinite(a)
    np.testing.assert_allclose(b[seen], 2 * a[seen], rtol=1e-6)
    np.testing.assert_allclose(c[seen], 3 * a[seen], rtol=1e-6)


def no_images() -> list:
    return [m for m in drive(2) if m[0] != IMAGE]


def no_info() -> list:
    return [m for m in drive(2) if m[0] != '/cam/camera_info']


def two_images() -> list:
    return [*drive(2), ('/left/image_raw', bags.START_NS, bags.image(0, bags.picture(0), 'rgb8'))]


@pytest.mark.parametrize(
    ('messages', 'flags', 'parts'),
    [
        (no_images(), (), ['has no images', '/cam/camera_info  sensor_msgs/msg/CameraInfo']),
        (no_info(), (), ['no message on /cam/camera_info', '--fov-deg', '--uncalibrated']),
        (two_images(), (), ['2 topics may be the camera', '--image-topic', '--camera']),
        (drive(1), ('--image-topic', '/nope'), ['no message on /nope (--image-topic)']),
        (drive(1), ('--outputs', 'deph'), ['--outputs has deph; it takes all, or some of depth/']),
        (drive(1), ('--keep', '/odom'), ['no message on /odom (--keep)']),
        (drive(1), ('--output-resolution', 'auto'), ['follows the speed of the machine']),
        (drive(1), ('--camera', 'front'), ['NAME=IMAGE_TOPIC']),
        (drive(1), ('--params-file', '/no/such.yaml'), ['cannot read the parameter file']),
        (drive(2, bad=(0, 1)), (), ['none of 2 images could be used', 'is damaged']),
        (drive(1), ('--uncalibrated', '--camera-info-topic', '/x'), ['contradict each other']),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_the_remedy(model, tmp_path, capsys, messages, flags, parts):
    source = bags.write(tmp_path / 'in', messages)
    assert run(model, source, tmp_path / 'out', *flags) == 1
    error = capsys.readouterr().err
    for part in parts:
        assert part in error
    assert not (tmp_path / 'out').exists()


def test_existing_output_and_missing_input_are_refused(model, tmp_path, capsys):
    source = bags.write(tmp_path / 'in', drive(1))
    (tmp_path / 'out').mkdir()
    assert run(model, source, tmp_path / 'out') == 1
    assert 'exists already and is left as it is' in capsys.readouterr().err
    assert run(model, tmp_path / 'nothing', tmp_path / 'out2') == 1
    assert 'there is no recording' in capsys.readouterr().err


def test_missing_library_is_named_with_the_line_to_type(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert run(model, tmp_path, tmp_path / 'out') == 1
    assert 'pip install rosbags' in capsys.readouterr().err


def test_uncalibrated_gives_depth_but_no_cloud(model, tmp_path):
    source = bags.write(tmp_path / 'in', no_info())
    assert run(model, source, tmp_path / 'out', '--uncalibrated') == 0
    counts = Counter(topic for topic, _, _ in contents(tmp_path / 'out'))
    assert counts['/depth/image'] == 2
    assert '/points' not in counts
    assert run(model, source, tmp_path / 'fov', '--fov-deg', '35.5') == 0
    assert Counter(t for t, _, _ in contents(tmp_path / 'fov'))['/points'] == 2


def test_compressed_bag_holds_the_same(model, tmp_path):
    source = bags.write(tmp_path / 'in', drive(3))
    for storage in ('mcap', 'sqlite3'):
        assert run(model, source, tmp_path / storage, '--storage', storage, '--compress') == 0
    assert run(model, source, tmp_path / 'plain') == 0
    assert contents(tmp_path / 'mcap') == contents(tmp_path / 'plain')
    assert contents(tmp_path / 'sqlite3') == contents(tmp_path / 'plain')


def test_jpeg_pictures_are_decoded_as_the_node_does(model, tmp_path):
    now = bags.START_NS
    message = bags.compressed(now, bags.picture(0))
    message.format, rgb = 'jpeg', bags.picture(0)
    message.data = cv2.imencode('.jpg', rgb[..., ::-1])[1].ravel()
    source = bags.write(
        tmp_path / 'in',
        [('/cam/camera_info', now, bags.camera_info()), ('/cam/image/compressed', now, message)],
    )
    flags = ('--camera-info-topic', '/cam/camera_info', '--outputs', 'depth/image')
    assert run(model, source, tmp_path / 'out', *flags) == 0
    (depth,) = depths(tmp_path / 'out')
    np.testing.assert_allclose(depth, 40 * 0.5 / 6, atol=0.5)


@pytest.mark.slow
def test_memory_stays_flat_over_many_parts(model, tmp_path, monkeypatch):
    def resident_mib() -> float:
        pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 2**20

    from lightdepth_ros.cli import bag_show as cli_bag_show

    monkeypatch.setattr(bag_run, 'PART_IMAGES', 100)
    memory, real = {}, cli_bag_show.Show.step

    def step(self):
        go_on = real(self)
        memory[self.images] = resident_mib()
        return go_on

    monkeypatch.setattr(cli_bag_show.Show, 'step', step)
    source = bags.write(tmp_path / 'in', drive(2000))
    assert run(model, source, tmp_path / 'out', '--keep-tf') == 0
    assert memory[2000] - memory[500] < 5
