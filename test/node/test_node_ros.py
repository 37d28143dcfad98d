# SPDX-License-Identifier: Apache-2.0
"""depth_node as its own process, over real DDS: what users see, in the order they meet it."""

import json
import signal
import sys
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')

from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from ros_harness import OUTPUT_TYPES, NodeProcess, Peer
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from tiny_model import CANONICAL_FOCAL_PX, DEPTH_PER_RED_M, make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages
from tools.ros_env import ROOT

pytestmark = pytest.mark.ros

CAMERA = Camera(480, 320, 450.0, 450.0, 239.5, 159.5)
OUTPUTS = tuple(OUTPUT_TYPES)
BEFORE_ITS_FIRST_LINE = ((-signal.SIGINT, 0), (-signal.SIGTERM, 0), (1, 1))
"""How Python itself ends by a signal before it runs the node."""
QUICK_S = 10.0
"""Far above the half second a stop takes, far below a hang."""


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """A folder with a tiny model for every resolution."""
    folder = tmp_path_factory.mktemp('models')
    for exit_name in ('L', 'M', 'S', 'XS'):
        make_tiny_model(folder, exit_name, student='plain')
    return folder


@pytest.fixture(scope='module')
def node(models, ros_env):
    """A node that has started itself; the tests of this module share it."""
    with NodeProcess(ros_env, model=str(models), camera_info_timeout_s=0.5) as process:
        process.wait_for('ready:')
        yield process


@pytest.fixture
def peer(node):
    with Peer() as result:
        result.wait_for_subscriber()
        yield result


def frame(peer: Peer, red: int = 40, green: int = 11, camera: Camera | None = CAMERA):
    """Return (header, image, camera_info) of an evenly coloured picture."""
    header = peer.header()
    rgb = np.empty((320, 480, 3), np.uint8)
    rgb[:] = (red, green, 200)
    info = messages.camera_to_info(camera, (320, 480), header)
    return header, messages.rgb_to_image(rgb, header), info


def latched(peer: Peer, topic: str) -> dict:
    """Return the JSON that a latched String topic holds."""
    got: list = []
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    subscription = peer.node.create_subscription(String, topic, got.append, qos)
    peer.spin_until(lambda: got, topic)
    peer.node.destroy_subscription(subscription)
    return json.loads(got[0].data)


def exact(stats: dict) -> bool:
    total = stats['published'] + sum(stats['dropped'].values()) + stats['in_work']
    return stats['received'] == total


def test_start_line_names_model_backend_device_and_sizes(node):
    line = next(line for line in node.log.splitlines() if 'ready:' in line)
    for fact in ('lightdepth_plain_L.onnx', 'onnxruntime', 'CPU', '480x320', '240x160', '/image'):
        assert fact in line


def test_every_output_arrives_with_stamp_frame_size_and_values(node, peer):
    peer.listen(*OUTPUTS)
    header, image, info = frame(peer)
    peer.send(image, info)
    got = peer.wait_for_result(OUTPUTS, header)
    assert {(msg.height, msg.width) for msg in got.values()} == {(160, 240)}
    depth_m = messages.image_to_array(got['depth/image'])
    expected_m = 40 * DEPTH_PER_RED_M * CAMERA.fx / CANONICAL_FOCAL_PX
    np.testing.assert_allclose(depth_m, expected_m, rtol=1e-5)
    assert (messages.image_to_array(got['semantic/image']) == 11).all()
    assert (messages.image_to_rgb(got['semantic/color']) == (220, 20, 60)).all()
    assert (messages.image_to_rgb(got['rgb/image']) == (40, 11, 200)).all()
    assert got['depth/camera_info'].k[0] == pytest.approx(CAMERA.fx / 2)
    points = messages.cloud_to_points(got['points'])
    np.testing.assert_allclose(points['z'], expected_m, rtol=1e-5)
    np.testing.assert_allclose(points['x'][:, 0], -119.5 / 225 * expected_m, rtol=1e-5)


def test_nothing_is_inferred_without_subscribers(node, peer):
    before = peer.new_stats()
    _, image, info = frame(peer)
    peer.send(image, info)
    peer.spin_until(lambda: peer.new_stats()['received'] > before['received'], 'the image')
    stats = peer.new_stats()
    assert stats['published'] == before['published']
    assert stats['dropped']['nobody_listens'] > before['dropped'].get('nobody_listens', 0)
    assert exact(stats)


def test_bad_input_keeps_the_node_up_and_is_counted(node, peer):
    peer.listen('depth/image', 'points')
    before = peer.new_stats()
    _, thin, _ = frame(peer)
    thin.step = 17
    _, cut, _ = frame(peer)
    cut.data = cut.data[:1000]
    _, strange, _ = frame(peer)
    strange.encoding = 'ultraviolet8'
    for bad in (Image(header=peer.header()), thin, cut, strange):
        peer.send(bad)
        peer.spin_for(0.05)
    _, image, _ = frame(peer)
    other_size = messages.camera_to_info(CAMERA.resized(240, 160), (160, 240), peer.header())
    peer.send(image, other_size)
    peer.spin_for(0.1)
    header, image, info = frame(peer)
    peer.send(image, info)
    peer.wait_for_result(['depth/image', 'points'], header)
    stats = peer.new_stats()
    new = {r: n - before['dropped'].get(r, 0) for r, n in stats['dropped'].items()}
    assert new['bad_image'] == 4
    assert new['bad_camera_info'] == 1
    assert exact(stats)
    assert '/image: frame dropped (bad_image): image encoding is' in node.log


def test_uncalibrated_camera_gives_depth_and_no_cloud(node, peer):
    peer.listen('depth/image', 'depth/camera_info', 'points')
    header, image, info = frame(peer, camera=None)
    peer.send(image, info)
    got = peer.wait_for_result(['depth/image', 'depth/camera_info'], header)
    assert got['depth/camera_info'].k[0] == 0
    peer.spin_for(0.2)
    assert not peer.results('points', header)
    assert 'no cloud is published' in node.log


def test_resolution_changes_live_and_no_frame_is_mixed(node, peer):
    topics = ('depth/image', 'depth/camera_info', 'semantic/image', 'points')
    peer.listen(*topics)
    before = peer.new_stats()
    headers = []
    for resolution in ('S', 'XS', 'M', 'L'):
        assert peer.set_parameter('output_resolution', resolution) == (True, '')
        for _ in range(5):
            header, image, info = frame(peer)
            headers.append(header)
            peer.send(image, info)
            peer.spin_for(0.05)
    peer.wait_for_result(topics, headers[-1])
    sizes = set()
    for header in headers:
        got = [peer.results(topic, header)[0] for topic in topics if peer.results(topic, header)]
        assert len({(msg.height, msg.width) for msg in got}) <= 1
        sizes |= {(msg.height, msg.width) for msg in got}
    assert sizes >= {(160, 240), (20, 30)}
    stats = peer.new_stats()
    assert exact(stats)
    assert stats['output_resolution'] == 'L'
    assert stats['published'] - before['published'] >= len(headers) - 3  # a busy machine


def test_wrong_parameter_is_refused_with_the_reason_and_changes_nothing(node, peer):
    accepted, reason = peer.set_parameter('output_resolution', 'XXL')
    assert not accepted
    assert 'must be one of L, M, S, XS' in reason
    accepted, reason = peer.set_parameter('depth_scale', -1.0)
    assert not accepted
    assert '0.01' in reason
    accepted, reason = peer.set_parameter('threads', 2)
    assert not accepted
    assert 'cannot change while the node is configured' in reason


def test_parameter_changes_the_output(node, peer):
    peer.listen('depth/image')
    depths = []
    for scale in (2.0, 1.0):
        assert peer.set_parameter('depth_scale', scale)[0]
        header, image, info = frame(peer)
        peer.send(image, info)
        got = peer.wait_for_result(['depth/image'], header)
        depths.append(messages.image_to_array(got['depth/image'])[0, 0])
    assert depths[0] == pytest.approx(2 * depths[1])


def test_label_names_reach_who_comes_late(node, peer):
    assert latched(peer, 'semantic/label_info')['class_map'][11]['class_name'] == 'person'


def test_consumer_with_another_qos_is_named_in_diagnostics(node, peer):
    wants_history = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    consumer = peer.node.create_subscription(Image, 'depth/preview', print, wants_history)
    peer.listen('depth/image')

    def message() -> str:
        _, image, info = frame(peer)
        peer.send(image, info)
        return peer.new_diagnostics().message

    why = 'QoS does not fit on /depth/preview: a subscriber asks for a durability that this node'
    remedy = 'qos_overrides./depth/preview.publisher.durability transient_local'
    peer.spin_until(lambda: why in message(), 'the mismatch in diagnostics')
    assert remedy in message()
    assert why in node.log
    assert remedy in node.log
    assert all(why in message() for _ in range(3))  # as long as it is there
    peer.node.destroy_subscription(consumer)
    peer.spin_until(lambda: why not in message(), 'the mismatch to be forgotten')


def test_camera_with_another_qos_is_named_as_the_reason_of_silence(models, ros_env):
    override = ['-p', 'qos_overrides./front/image.subscription.reliability:=reliable']
    arguments = ['-r', '__ns:=/front', *override]
    with (
        NodeProcess(ros_env, *arguments, model=str(models)) as node,
        Peer('/front', '/front/depth_node') as peer,
    ):
        camera = peer.node.create_publisher(Image, 'image', qos_profile_sensor_data)
        why = 'QoS does not fit on /front/image: this node asks for a reliability that a publisher'
        node.wait_for(why)

        def messages() -> list[str]:
            peer.new_diagnostics()  # of whichever node: others are in this domain too
            return [s.message for array in peer.received['/diagnostics'] for s in array.status]

        remedy = 'qos_overrides./front/image.subscription.reliability auto'
        peer.spin_until(
            lambda: any(
                m.startswith('no image for') and why in m and remedy in m for m in messages()
            ),
            'the mismatch in diagnostics',
        )
        assert camera.get_subscription_count() == 0


def test_silence_is_explained(node, peer):
    peer.spin_until(
        lambda: 'no image for' in peer.new_diagnostics().message, 'the diagnosis of silence'
    )
    status = peer.new_diagnostics()
    assert status.level == b'\x02'
    assert '/image: peer is a publisher (reliable)' in status.message


def test_lifecycle_stops_frames_survives_illegal_requests_and_starts_again(node, peer):
    peer.listen('depth/image')
    assert peer.state() == 'active'
    assert not peer.transition('activate')  # illegal: it is active
    assert not peer.transition('configure')
    assert peer.transition('deactivate')
    header, image, info = frame(peer)
    peer.send(image, info)
    peer.spin_for(0.3)
    assert not peer.results('depth/image', header)
    assert peer.transition('cleanup')
    assert peer.state() == 'unconfigured'
    assert peer.set_parameter('threads', 2)[0]
    assert peer.transition('configure')
    assert peer.transition('activate')
    peer.wait_for_subscriber()
    peer.spin_for(0.3)
    header, image, info = frame(peer)
    peer.send(image, info)
    peer.wait_for_result(['depth/image'], header)
    assert '2 CPU threads' in node.log


def test_sigint_ends_the_node_with_zero(node, peer):
    code, seconds = node.stop(signal.SIGINT)
    assert code == 0, node.log
    assert seconds < QUICK_S
    assert 'Traceback' not in node.log


@pytest.mark.parametrize('second', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('every_s', [0.0005, 0.02])
def test_signals_that_come_while_the_node_ends_change_nothing(models, ros_env, second, every_s):
    with NodeProcess(ros_env, model=str(models)) as node:
        node.wait_for('ready:')
        code = node.stop_again_and_again([signal.SIGINT, second], every_s)
        assert code == 0, node.log
        assert 'Traceback' not in node.log


@pytest.mark.parametrize('after_s', [0.05, 0.3, 0.6, 0.9, 1.2])
def test_signals_that_come_while_the_node_starts_end_it_with_zero(models, ros_env, after_s):
    with NodeProcess(ros_env, model=str(models)) as node:
        time.sleep(after_s)
        code = node.stop_again_and_again([signal.SIGINT, signal.SIGTERM], 0.05)
        assert (code, node.log.count('Traceback')) in ((0, 0), *BEFORE_ITS_FIRST_LINE), node.log


def test_what_a_transition_raises_is_logged(models, ros_env, tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(
        'import lightdepth_ros.node.topics as topics\n'
        'def broken(*_): raise ArithmeticError("on purpose")\n'
        'topics.open_stream = broken\n'
    )
    env = ros_env | {'PYTHONPATH': str(tmp_path)}
    with NodeProcess(env, model=str(models)) as node:
        assert node.wait() == 1
        assert 'ArithmeticError: on purpose' in node.log


def test_managed_node_with_a_missing_model_stays_unconfigured_and_says_why(models, ros_env):
    with (
        NodeProcess(ros_env, model='/nowhere/model.json', autostart=False) as node,
        Peer() as peer,
    ):
        assert peer.state() == 'unconfigured'
        assert not peer.transition('configure')
        assert peer.state() == 'unconfigured'
        assert '/nowhere/model.json' in peer.new_diagnostics().message
        assert peer.set_parameter('model', str(models))[0]
        assert peer.transition('configure')
        assert peer.state() == 'inactive'
        code, seconds = node.stop(signal.SIGTERM)
        assert code == 0, node.log
        assert seconds < QUICK_S
        assert 'Traceback' not in node.log


def test_autostart_with_a_corrupt_model_ends_with_one_and_names_the_file(tmp_path, ros_env):
    contract = make_tiny_model(tmp_path, 'L', student='plain')
    (tmp_path / 'lightdepth_plain_L.onnx').write_bytes(b'not a model')
    with NodeProcess(ros_env, model=str(contract)) as node:
        assert node.wait() == 1
        assert 'lightdepth_plain_L.onnx has SHA-256' in node.log
        assert 'Traceback' not in node.log


@pytest.mark.parametrize('arguments', [('--log-level', 'chatty'), ('-p', 'depth_scale')])
def test_ros_arguments_that_make_no_sense_end_with_two_and_a_sentence(ros_env, arguments):
    with NodeProcess(ros_env, *arguments) as node:
        assert node.wait() == 2
        assert 'the ROS arguments cannot be used: ' in node.log
        assert 'Correct what follows --ros-args' in node.log
        assert 'Traceback' not in node.log


def test_wrong_parameter_at_start_ends_with_two_and_a_sentence(ros_env):
    with NodeProcess(ros_env, fit='stretch') as node:
        assert node.wait() == 2
        assert "fit is 'stretch'; it must be one of crop, pad, adapt" in node.log
        assert 'Traceback' not in node.log


def test_shipped_parameter_file_namespace_compressed_images_and_sim_time_work(models, ros_env):
    arguments = ['--params-file', str(ROOT / 'config' / 'depth.yaml'), '-r', '__ns:=/front']
    parameters = {'model': str(models), 'output_resolution': 'M', 'image_transport': 'compressed'}
    parameters['use_sim_time'] = True  # with no /clock, so that the node's time stands still
    with (
        NodeProcess(ros_env, *arguments, **parameters) as node,
        Peer('/front', '/front/depth_node') as peer,
    ):
        node.wait_for('ready:')
        assert '/front/image/compressed' in node.log
        peer.wait_for_subscriber()
        peer.listen('depth/image', 'rgb/image')
        header, image, info = frame(peer)
        rgb = messages.image_to_rgb(image)
        data = cv2.imencode('.jpg', rgb[..., ::-1])[1].tobytes()
        picture = CompressedImage(header=header, format='jpeg')
        picture.data.frombytes(data)
        peer.send(picture, info)
        got = peer.wait_for_result(['depth/image', 'rgb/image'], header)
        assert (got['depth/image'].height, got['depth/image'].width) == (80, 120)
        shown = messages.image_to_rgb(got['rgb/image']).astype(int)
        assert np.abs(shown - (40, 11, 200)).max() <= 4


def test_the_height_of_the_camera_is_set_live_and_transforms_that_are_missing_are_said(
    tmp_path, ros_env
):
    make_tiny_model(tmp_path, 'L', student='plain', ground=True)
    with NodeProcess(ros_env, model=str(tmp_path), camera_height_m=0.4) as process, Peer() as peer:
        process.wait_for('ready:')
        peer.wait_for_subscriber()
        peer.listen('depth/image')

        def depth_m() -> float:
            header, image, info = frame(peer)
            peer.send(image, info)
            got = peer.wait_for_result(['depth/image'], header)
            return float(messages.image_to_array(got['depth/image'])[0, 0])

        low_m = depth_m()
        assert peer.set_parameter('camera_height_m', 0.6)[0]
        high_m = depth_m()  # the ground map tells the height too, so not 1.5 times exactly
        assert high_m == pytest.approx(1.5 * low_m, rel=0.1)
        assert high_m != pytest.approx(low_m, rel=0.2)
        peer.spin_until(lambda: '0.60 m high' in peer.new_stats()['mount'], 'the mount in stats')
        accepted, reason = peer.set_parameter('camera_height_m', 0.01)
        assert not accepted
        assert 'it must be at least 0.05 m, or 0 if it is not known' in reason
        assert peer.set_parameter('mount', 'tf')[0]

        def message() -> str:
            assert depth_m() == pytest.approx(high_m, rel=1e-5)  # the parameters go on
            return peer.new_diagnostics().message

        peer.spin_until(lambda: 'mount is tf, but' in message(), 'the missing transforms')


def test_several_cameras_share_one_model_and_an_unplugged_one_hurts_nobody(models, ros_env):
    with (
        NodeProcess(ros_env, model=str(models), cameras=['front', 'left', 'unplugged']) as node,
        Peer('/front', camera=0) as front,
        Peer('/left', camera=1) as left,
        Peer('/unplugged', camera=2) as unplugged,
    ):
        node.wait_for('ready:')
        for peer, red in ((front, 20), (left, 60)):
            peer.wait_for_subscriber()
            peer.listen('depth/image')
            header, image, info = frame(peer, red)
            peer.send(image, info)
            got = peer.wait_for_result(['depth/image'], header)
            expected_m = red * DEPTH_PER_RED_M * CAMERA.fx / CANONICAL_FOCAL_PX
            depth_m = messages.image_to_array(got['depth/image'])
            np.testing.assert_allclose(depth_m, expected_m, rtol=1e-5)
        assert exact(front.new_stats())
        stats = unplugged.new_stats()
        assert (stats['name'], stats['received']) == ('/depth_node: unplugged', 0)


def test_auto_resolution_steps_down_while_frames_are_late(models, ros_env):
    parameters = {'output_resolution': 'auto', 'max_latency_ms': 1.0, 'model': str(models)}
    with NodeProcess(ros_env, **parameters) as node, Peer() as peer:
        peer.wait_for_subscriber()
        peer.listen('depth/image', 'points')
        sizes = [(160, 240), (80, 120), (40, 60), (20, 30)]

        def size() -> tuple[int, int]:
            header, image, info = frame(peer)
            peer.send(image, info)
            peer.spin_for(0.02)
            got = peer.results('depth/image', header)
            return (got[0].height, got[0].width) if got else (0, 0)

        peer.spin_until(lambda: size() == sizes[-1], 'the coarsest resolution')
        told = [line for line in node.log.splitlines() if 'above 1 ms' in line]
        assert len(told) == 3
        assert peer.new_stats()['output_resolution'] == 'XS'


SLOW_START = """
import sys, time
from lightdepth_ros.stream import model_set
def serving_engine(*args, **kwargs):
    print('loading the engine', flush=True)
    time.sleep(600)
model_set.serving_engine = serving_engine
from lightdepth_ros.node.depth_node import main
sys.exit(main())
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_middle_of_loading_ends_the_node_with_zero(models, ros_env, number):
    command = [sys.executable, '-c', SLOW_START]
    with NodeProcess(ros_env, command=command, model=str(models)) as node:
        node.wait_for('loading the engine')
        code, seconds = node.stop(number)
        assert code == 0, node.log
        assert seconds < QUICK_S
