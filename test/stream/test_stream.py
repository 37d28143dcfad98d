# SPDX-License-Identifier: Apache-2.0
"""One camera's way through the node, without ROS: values, laziness, honesty, exact counts."""

import copy
import dataclasses
import time

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')

from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tiny_model import CANONICAL_FOCAL_PX, DEPTH_PER_RED_M, make_tiny_model, tiny_outputs

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig, settings
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import EngineError
from lightdepth_ros.mount import Mount, ground_map
from lightdepth_ros.perception.loading import perception_of
from lightdepth_ros.stream import counters, messages, outputs
from lightdepth_ros.stream.pipeline import Pipeline
from lightdepth_ros.stream.stream import Stream
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

TOPICS = [output.topic for output in outputs.TOPICS]
CAMERA = Camera(480, 320, 500.0, 500.0, 239.5, 159.5)
HEADER = Header(frame_id='camera_optical')
HEADER.stamp.sec, HEADER.stamp.nanosec = 100, 500_000_000


class FakePublisher:
    def __init__(self) -> None:
        self.listeners = 0
        self.sent: list = []

    def get_subscription_count(self) -> int:
        return self.listeners

    def publish(self, msg) -> None:
        self.sent.append(copy.deepcopy(msg))  # clouds are written into the same message again


class CountingEngine:
    """Passes on to the tiny model's engine and remembers what was asked of it."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.contract, self.backend, self.device = engine.contract, engine.backend, engine.device
        self.asked: list[tuple[str, ...]] = []
        self.fails = False

    def run(self, image, outputs, ground=None):
        self.asked.append(tuple(sorted(outputs)))
        if self.fails:
            raise EngineError('the engine is on fire')
        return self.engine.run(image, outputs, ground)

    def close(self) -> None:
        self.engine.close()


class World:
    """A stream with everything around it replaced."""

    def __init__(self, engine) -> None:
        self.engine = CountingEngine(engine)
        self.config = NodeConfig(camera_info_timeout_s=0.0)
        self.publishers = {topic: FakePublisher() for topic in TOPICS}
        self.transforms = Transforms()
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.stream = Stream(
            name='node',
            image_topic='/image',
            image_type='sensor_msgs/msg/Image',
            info_topic='/camera_info',
            publishers=self.publishers,
            mismatches={},
            voice=Voice(self.warnings.append, self.errors.append),
            clock_ns=lambda: 100_700_000_000,
            transforms=self.transforms,
        )

    def listen(self, *topics: str) -> None:
        for topic, publisher in self.publishers.items():
            publisher.listeners = int(topic in topics)

    def calibrate(self, camera: Camera | None, size_hw: tuple[int, int] = (320, 480)) -> None:
        self.stream.calibration.update(messages.camera_to_info(camera, size_hw, HEADER))

    def feed(self, msg: Image) -> None:
        waiting = self.stream.receive(msg, self.config)
        if waiting is not None:
            pipeline = Pipeline(self.config, perception_of(self.config, self.engine))
            self.stream.process(waiting, pipeline)

    def sent(self, topic: str):
        return self.publishers[topic].sent[-1]

    def counts(self) -> dict[str, int]:
        seen = self.stream.counters.snapshot(time.perf_counter())
        assert seen.received == seen.published + sum(seen.dropped.values())
        return {'published': seen.published, **seen.dropped}


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    return load_engine(EngineRequest(make_tiny_model(tmp_path_factory.mktemp('model'), 'L')))


@pytest.fixture
def world(engine) -> World:
    return World(engine)


def image(red: int = 40, green: int = 0, blue: int = 200, size_hw=(320, 480)) -> Image:
    rgb = np.empty((*size_hw, 3), np.uint8)
    rgb[:] = (red, green, blue)
    return messages.rgb_to_image(rgb, HEADER)


def metres(red: int, camera: Camera = CAMERA) -> float:
    return red * DEPTH_PER_RED_M * camera.focal_px / CANONICAL_FOCAL_PX


def test_all_outputs_have_the_images_header_and_one_size(world):
    world.listen(*TOPICS)
    world.calibrate(CAMERA)
    world.feed(image())
    for topic in TOPICS:
        msg = world.sent(topic)
        assert msg.header == HEADER, topic
        assert (msg.height, msg.width) == (160, 240), topic
    assert world.counts() == {'published': 1}


def test_values_are_those_of_the_model_for_this_cameras_focal_length(world):
    world.listen(*TOPICS)
    world.calibrate(CAMERA)
    world.feed(image(red=40, green=11, blue=200))
    depth_m = messages.image_to_array(world.sent('depth/image'))
    np.testing.assert_allclose(depth_m, metres(40), rtol=1e-5)
    assert (messages.image_to_array(world.sent('semantic/image')) == 11).all()
    assert (messages.image_to_rgb(world.sent('semantic/color')) == (220, 20, 60)).all()
    assert (messages.image_to_rgb(world.sent('rgb/image')) == (40, 11, 200)).all()
    points = messages.cloud_to_points(world.sent('points'))
    np.testing.assert_allclose(points['z'], metres(40), rtol=1e-5)
    assert (points['label'] == 11).all()
    assert (points['confidence'] == 200).all()
    assert (messages.image_to_array(world.sent('semantic/confidence')) == 200).all()
    mm = messages.image_to_array(world.sent('depth/image_mm'))
    np.testing.assert_allclose(mm, metres(40) * 1000, atol=0.6)
    info = world.sent('depth/camera_info')
    assert info.k[0] == pytest.approx(250.0)
    assert info.k[2] == pytest.approx((239.5 + 0.5) / 2 - 0.5)


def test_sky_is_infinitely_far_whoever_listens(world):
    world.calibrate(CAMERA)
    for topics in (['depth/image'], TOPICS):
        world.listen(*topics)
        world.feed(image(red=120, green=10))
        assert np.isposinf(messages.image_to_array(world.sent('depth/image'))).all()


def test_obstacle_and_clearing_clouds_follow_the_class_settings(world):
    world.listen('points_obstacles', 'points_clearing')
    world.calibrate(CAMERA)

    def finite(**settings) -> tuple[bool, bool]:
        world.config = dataclasses.replace(NodeConfig(), camera_info_timeout_s=0.0, **settings)
        world.feed(image(green=0))  # road
        clouds = [world.sent(t) for t in ('points_obstacles', 'points_clearing')]
        return tuple(bool(np.isfinite(messages.cloud_to_points(c)['z']).all()) for c in clouds)

    assert finite() == (False, True)
    for topic in ('points_obstacles', 'points_clearing'):
        assert messages.cloud_to_points(world.sent(topic)).dtype.names == ('x', 'y', 'z')
    assert finite(classes_ground=('sidewalk',)) == (True, True)
    assert finite(classes_ground=('',), classes_ignore=('road',)) == (False, False)


def test_sky_clears_at_the_maximum_range(world):
    world.config = dataclasses.replace(world.config, max_range_m=33.0)
    world.listen('points_clearing')
    world.calibrate(CAMERA)
    world.feed(image(red=120, green=10))
    points = messages.cloud_to_points(world.sent('points_clearing'))
    assert (points['z'] == 33.0).all()


def test_temporal_filter_steadies_depth(world):
    world.config = dataclasses.replace(world.config, temporal_filter=0.5)
    world.listen('depth/image')
    world.calibrate(CAMERA)
    for red in (40, 42):
        world.feed(image(red=red))
    depth_m = messages.image_to_array(world.sent('depth/image'))
    np.testing.assert_allclose(depth_m, np.sqrt(metres(40) * metres(42)), rtol=1e-5)


def test_a_clock_that_jumps_back_starts_the_filter_anew_and_loses_no_frame(world):
    """As a recording does that is played again: stamps, and the node's clock, run backwards."""
    world.config = dataclasses.replace(world.config, temporal_filter=0.5)
    world.listen('depth/image')
    world.calibrate(CAMERA)
    later, earlier, next_one = image(red=40), image(red=42), image(red=40)
    later.header = Header(frame_id='camera_optical')
    later.header.stamp.sec = HEADER.stamp.sec + 3600
    next_one.header = Header(frame_id='camera_optical')
    next_one.header.stamp.sec = HEADER.stamp.sec + 1
    depths = []
    for msg in (later, earlier, next_one):
        world.feed(msg)
        depths.append(messages.image_to_array(world.sent('depth/image')))
    np.testing.assert_allclose(depths[1], metres(42), rtol=1e-5)  # nothing of an hour later
    np.testing.assert_allclose(depths[2], np.sqrt(metres(42) * metres(40)), rtol=1e-5)
    assert world.counts() == {'published': 3}


def test_nothing_is_inferred_while_nobody_listens(world):
    world.feed(image())
    assert world.counts() == {'published': 0, counters.NOBODY_LISTENS: 1}
    assert world.engine.asked == []


@pytest.mark.parametrize(
    ('topic', 'asked'),
    [
        ('depth/image', ('depth', 'label')),
        ('semantic/image', ('label',)),
        ('semantic/color', ('label',)),
        ('semantic/confidence', ('confidence', 'depth', 'label')),
        ('rgb/image', None),
        ('depth/camera_info', None),
        ('points_obstacles', ('depth', 'label')),
        ('points_clearing', ('depth', 'label')),
        ('points', ('confidence', 'depth', 'label')),
    ],
)
def test_only_what_is_listened_to_is_computed_and_built(world, topic, asked):
    world.listen(topic)
    world.calibrate(CAMERA)
    world.feed(image())
    assert world.engine.asked == ([] if asked is None else [asked])
    assert {t for t, publisher in world.publishers.items() if publisher.sent} == {topic}


def test_without_calibration_depth_is_published_and_the_cloud_is_not_and_it_says_so(world):
    world.listen('depth/image', 'depth/camera_info', 'points')
    world.calibrate(None)
    world.feed(image())
    world.feed(image())
    assert len(world.publishers['depth/image'].sent) == 2
    assert world.publishers['points'].sent == []
    assert world.sent('depth/camera_info').k[0] == 0
    assert len(world.warnings) == 1
    assert 'no cloud is published' in world.warnings[0]
    assert 'horizontal_fov_deg' in world.warnings[0]


def test_cloud_alone_without_calibration_costs_no_inference_and_is_counted(world):
    world.listen('points')
    world.feed(image())
    assert world.counts() == {'published': 0, counters.NOT_CALIBRATED: 1}
    assert world.engine.asked == []


def test_field_of_view_stands_in_for_calibration_only_where_there_is_none(world):
    world.config = dataclasses.replace(world.config, horizontal_fov_deg=60.0)
    world.listen('points', 'depth/camera_info')
    world.feed(image())
    guessed = Camera.from_fov(480, 320, 60.0)
    z = messages.cloud_to_points(world.sent('points'))['z']
    np.testing.assert_allclose(z, metres(40, guessed), rtol=1e-5)
    world.calibrate(CAMERA)
    world.feed(image())
    z = messages.cloud_to_points(world.sent('points'))['z']
    np.testing.assert_allclose(z, metres(40), rtol=1e-5)


def test_images_wait_for_the_first_camera_info_until_the_time_is_over(world):
    world.config = dataclasses.replace(world.config, camera_info_timeout_s=60.0)
    world.listen('depth/image')
    world.feed(image())
    assert world.counts() == {'published': 0, counters.WAITING_FOR_CAMERA_INFO: 1}
    world.config = dataclasses.replace(world.config, camera_info_timeout_s=0.0)
    world.feed(image())
    assert world.counts()['published'] == 1
    world.config = dataclasses.replace(world.config, camera_info_timeout_s=60.0)
    world.calibrate(CAMERA)
    world.feed(image())
    assert world.counts()['published'] == 2


def test_calibration_that_changes_holds_from_the_next_image(world):
    world.listen('depth/image')
    for focal_px in (500.0, 600.0, 250.0):
        camera = dataclasses.replace(CAMERA, fx=focal_px, fy=focal_px)
        world.calibrate(camera)
        world.feed(image(red=20))
        depth_m = messages.image_to_array(world.sent('depth/image'))
        np.testing.assert_allclose(depth_m, metres(20, camera), rtol=1e-5)


def test_image_of_another_size_than_camera_info_is_dropped_and_named(world):
    world.listen('depth/image')
    world.calibrate(dataclasses.replace(CAMERA, width=640, height=480), (480, 640))
    world.feed(image())
    assert world.counts() == {'published': 0, counters.BAD_CAMERA_INFO: 1}
    assert 'calibration is for 640x480 pixels, the image has 480x320' in world.errors[0]
    world.calibrate(CAMERA)
    world.feed(image())
    assert world.counts()['published'] == 1


def test_unusable_camera_info_is_refused_with_every_image_until_a_good_one_comes(world):
    world.listen('depth/image')
    world.calibrate(CAMERA)
    world.feed(image())
    bad = messages.camera_to_info(CAMERA, (320, 480), HEADER)
    bad.d, bad.distortion_model = [0.1, 0.2], 'mystery'
    world.stream.calibration.update(bad)
    world.feed(image())
    world.feed(image())
    world.calibrate(CAMERA)
    world.feed(image())
    assert world.counts() == {'published': 2, counters.BAD_CAMERA_INFO: 2}


def bad_images() -> dict[str, Image]:
    cut, thin, strange = image(), image(), image()
    cut.data = cut.data[:100]
    thin.step = 17
    strange.encoding = 'ultraviolet8'
    return {'no pixels': Image(), 'cut': cut, 'step': thin, 'encoding': strange}


@pytest.mark.parametrize('what', sorted(bad_images()))
def test_damaged_image_is_counted_and_the_next_good_one_published(world, what):
    world.listen('depth/image')
    world.calibrate(CAMERA)
    world.feed(bad_images()[what])
    world.feed(image())
    assert world.counts() == {'published': 1, counters.BAD_IMAGE: 1}
    assert len(world.errors) == 1


def test_failing_engine_is_counted_and_the_stream_goes_on(world):
    world.listen('depth/image')
    world.calibrate(CAMERA)
    world.engine.fails = True
    world.feed(image())
    world.engine.fails = False
    world.feed(image())
    assert world.counts() == {'published': 1, counters.ENGINE_ERROR: 1}
    assert 'on fire' in world.errors[0]


def test_image_that_changes_size_in_mid_stream_is_followed(world):
    world.listen('depth/image')
    world.calibrate(CAMERA)
    world.feed(image())
    camera = Camera(640, 480, 600.0, 600.0, 319.5, 239.5)
    world.calibrate(camera, (480, 640))
    world.feed(image(size_hw=(480, 640)))
    depth_m = messages.image_to_array(world.sent('depth/image'))
    np.testing.assert_allclose(depth_m, metres(40, camera) * 480 / 640, rtol=1e-3)


CHANGES = {
    'fit': 'pad',
    'publish_size': 'camera',
    'depth_scale': 2.0,
    'min_range_m': 5.0,
    'max_range_m': 20.0,
    'min_confidence': 0.5,
    'temporal_filter': 0.5,
    'point_filter': 0.0,
    'classes_ground': ('',),
    'classes_ignore': ('person',),
    'image_kind': 'rectified',
    'rate_limit_hz': 0.01,
}
CHANGES_UNCALIBRATED = {'horizontal_fov_deg': 60.0, 'camera_info_timeout_s': 60.0}
CHANGES_MOUNTED = {
    'camera_height_m': 0.6,
    'camera_pitch_deg': 5.0,
    'camera_roll_deg': 5.0,
    'mount': 'tf',
    'ground_frame': 'cellar',
    'obstacle_min_height_m': 0.0,
}
ELSEWHERE = {
    *('output_resolution', 'max_latency_ms', 'image_reliability', 'image_bits'),
    *('anchor', 'anchor_max_age_s', 'odom_frame'),
}
"""The first two choose the model: test_pipeline.py. image_reliability: test_inputs_ros.py.
image_bits: the test of 12 bits below. The others need messages of range sensors:
test_anchors.py."""


def everything_published(world: World, calibrated: bool, **changes) -> list:
    """Feed two structured images of a distorted camera; return all bytes sent and the counts."""
    world.config = dataclasses.replace(world.config, **changes)
    world.listen(*TOPICS)
    v, u = np.mgrid[:480, :640]
    for shift in (0, 3):
        rgb = np.stack([u // 4 + shift, v // 100 * 11 % 19, u % 256], axis=-1).astype(np.uint8)
        info = messages.camera_to_info(
            Camera(640, 480, 500, 500, 319.5, 239.5), (480, 640), HEADER
        )
        info.d[0] = -0.1
        if calibrated:
            world.stream.calibration.update(info)
        world.feed(messages.rgb_to_image(rgb, HEADER))
    sent = [bytes(m.data) for t in TOPICS for m in world.publishers[t].sent if hasattr(m, 'data')]
    return [*sent, world.counts()]


@pytest.mark.parametrize('name', [*CHANGES, *CHANGES_UNCALIBRATED])
def test_changing_a_live_setting_changes_what_is_published(engine, name):
    calibrated = name in CHANGES
    value = (CHANGES | CHANGES_UNCALIBRATED)[name]
    before = everything_published(World(engine), calibrated)
    assert everything_published(World(engine), calibrated) == before
    assert everything_published(World(engine), calibrated, **{name: value}) != before


@pytest.fixture(scope='module')
def grounded(tmp_path_factory):
    folder = tmp_path_factory.mktemp('grounded')
    return load_engine(EngineRequest(make_tiny_model(folder, 'L', ground=True)))


def standing(engine) -> World:
    """A stream whose camera stands 0.8 m over base_footprint, by its transforms."""
    world = World(engine)
    optical = (-0.5, 0.5, -0.5, 0.5)
    world.transforms.add('base_footprint', HEADER.frame_id, (0.0, 0.0, 0.8), optical)
    world.transforms.add('cellar', 'base_footprint', (0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0))
    return world


@pytest.mark.parametrize('name', CHANGES_MOUNTED)
def test_changing_where_the_camera_stands_changes_what_is_published(grounded, name):
    held = {'camera_height_m': 0.4, 'mount': 'tf' if name == 'ground_frame' else 'parameters'}
    before = everything_published(standing(grounded), True, **held)
    assert everything_published(standing(grounded), True, **held) == before
    changed = held | {name: CHANGES_MOUNTED[name]}
    assert everything_published(standing(grounded), True, **changed) != before


def test_transforms_give_the_height_and_their_silence_keeps_it(grounded):
    world = standing(grounded)
    world.config = dataclasses.replace(world.config, mount='tf')
    world.listen('depth/image')
    world.calibrate(CAMERA)
    cells = ground_map(CAMERA, Mount(0.8), (320, 480))
    expected = tiny_outputs(messages.image_to_rgb(image())[None], 2, cells)['depth'][0]
    expected = expected * CAMERA.focal_px / CANONICAL_FOCAL_PX * 0.8 / 1.65
    world.feed(image())
    np.testing.assert_allclose(messages.image_to_array(world.sent('depth/image')), expected, 1e-5)
    assert world.stream.mounting.problem == ''
    world.transforms.add('moon', 'base_footprint', (0, 0, 0), (0, 0, 0, 1))  # the tree falls apart
    world.transforms.add('mars', HEADER.frame_id, (0, 0, 0), (0, 0, 0, 1))
    world.feed(image())
    np.testing.assert_allclose(messages.image_to_array(world.sent('depth/image')), expected, 1e-5)
    assert 'no transforms lead' in world.stream.mounting.problem


def test_mount_is_asked_for_the_moment_of_the_image(world, monkeypatch):
    asked = []
    monkeypatch.setattr(world.stream.mounting, 'mount', lambda _, *where: asked.append(where))
    world.listen('depth/image')
    world.calibrate(CAMERA)
    world.feed(image())
    assert asked == [('camera_optical', 100_500_000_000)]


def test_stream_tells_whether_its_last_image_had_a_calibration(world):
    world.listen('depth/image')
    assert not world.stream.uncalibrated
    world.calibrate(None)
    world.feed(image())
    assert world.stream.uncalibrated
    world.calibrate(CAMERA)
    world.feed(image())
    assert not world.stream.uncalibrated


def test_no_live_setting_goes_without_such_a_test():
    live = {setting.name for setting in settings() if not setting.fixed}
    tested = CHANGES.keys() | CHANGES_UNCALIBRATED.keys() | CHANGES_MOUNTED.keys()
    assert live == tested | ELSEWHERE


def test_twelve_bits_of_sixteen_are_found_held_told_and_can_be_set(world):
    world.listen('rgb/image')

    def brightness(level: int) -> int:
        words = np.full((320, 480), level << 4, '<u2')
        msg = Image(header=HEADER, height=320, width=480, encoding='mono16', step=960)
        msg.data.frombytes(words.tobytes())
        world.feed(msg)
        return int(messages.image_to_rgb(world.sent('rgb/image'))[80, 120, 0])

    assert [brightness(200), brightness(20)] == [200, 20]
    [warning] = [w for w in world.warnings if 'of 16 bits' in w]
    assert warning.startswith('/image uses 12 of 16 bits')
    assert 'Set image_bits' in warning
    world.config = dataclasses.replace(world.config, image_bits=16)
    assert brightness(200) == 200 >> 4


def test_rate_limit_drops_and_counts(world):
    world.config = dataclasses.replace(world.config, rate_limit_hz=0.01)
    world.listen('depth/image')
    for _ in range(3):
        world.feed(image())
    assert world.counts() == {'published': 1, counters.RATE_LIMIT: 2}


def test_view_lost_by_cropping_is_told_once_with_the_remedy(world):
    world.listen('depth/image')
    for _ in range(2):
        world.feed(image(size_hw=(200, 660)))
    told = [warning for warning in world.warnings if 'cut away' in warning]
    assert len(told) == 1
    assert '55% of the 660x200 image' in told[0]
    assert 'Set fit to adapt' in told[0]


@pytest.mark.parametrize(
    ('width', 'share'), [(520, None), (550, '13% of the 550x320'), (580, '17% of the 580x320')]
)
def test_view_lost_by_cropping_is_told_above_a_tenth(world, width, share):
    world.listen('depth/image')
    world.feed(image(size_hw=(320, width)))
    told = [warning for warning in world.warnings if 'cut away' in warning]
    assert [share in warning for warning in told] == ([True] if share else [])


def test_focal_length_unlike_the_training_is_told_once(world):
    trained = {'config': {'focal_min_px': 300.0, 'focal_max_px': 950.0}}
    world.engine.contract = dataclasses.replace(world.engine.contract, training=trained)
    world.listen('depth/image')
    world.calibrate(CAMERA)
    world.feed(image())
    assert world.warnings == []
    for _ in range(2):
        world.calibrate(dataclasses.replace(CAMERA, fx=200.0, fy=200.0))
        world.feed(image())
    assert len(world.warnings) == 1
    assert '200 px of the network input; the model was trained on 300 to 950' in world.warnings[0]


def test_age_is_counted_from_the_stamp_by_the_clock_of_the_stamps(world):
    world.listen('depth/image')
    world.feed(image())
    seen = world.stream.counters.snapshot(time.perf_counter())
    assert seen.age_ms == pytest.approx(200.0)


def test_last_sign_is_the_newest_of_activation_and_image(world):
    before_s = time.perf_counter()
    world.stream.activate()
    activated_s = world.stream.last_sign_s
    assert activated_s >= before_s
    world.feed(image())
    assert world.stream.last_sign_s > activated_s


def test_compressed_info_and_camera_info_types_do_not_mix_up(world):
    world.listen('depth/image')
    world.stream.calibration.update(CameraInfo())
    world.feed(image())
    assert world.stream.calibration.text == 'none'


def test_at_the_size_of_the_camera_all_outputs_have_its_pixels_and_its_calibration(world):
    world.config = dataclasses.replace(world.config, publish_size='camera')
    camera = Camera(640, 480, 600.0, 610.0, 310.0, 250.0)
    world.calibrate(camera, (480, 640))
    world.listen(*TOPICS)
    world.feed(image(size_hw=(480, 640)))
    for topic in TOPICS:
        sent = world.sent(topic)
        assert (sent.height, sent.width) == (480, 640), topic
    k = world.sent('depth/camera_info').k
    np.testing.assert_allclose([k[0], k[4], k[2], k[5]], [600.0, 610.0, 310.0, 250.0])
    cloud = messages.cloud_to_points(world.sent('points'))
    v, u = np.nonzero(np.isfinite(cloud['z']))
    assert len(u) > 100_000
    np.testing.assert_allclose(cloud['x'][v, u] / cloud['z'][v, u] * 600 + 310, u, atol=1e-2)
    np.testing.assert_allclose(cloud['y'][v, u] / cloud['z'][v, u] * 610 + 250, v, atol=1e-2)


def test_the_scale_of_a_frame_without_depth_is_not_told(world):
    world.stream.scale = FakePublisher()
    world.stream.scale.listeners = 1
    world.config = dataclasses.replace(world.config, anchor='scan')
    world.calibrate(CAMERA)
    world.listen('depth/image')
    world.feed(image())
    world.listen('semantic/image')
    world.feed(image())
    assert len(world.stream.scale.sent) == 1
