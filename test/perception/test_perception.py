# SPDX-License-Identifier: Apache-2.0
"""Perception: metric scale, special values, and nothing computed that nobody asked for."""

import threading
import time

import numpy as np
import pytest
from tiny_model import CANONICAL_FOCAL_PX, make_tiny_model, tiny_outputs

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import BadCameraError, BadImageError, ConfigError, EngineError
from lightdepth_ros.mount import Mount, ground_map
from lightdepth_ros.perception import perception as perception_module
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.perception.perception import PARTS, Perception

HW = (64, 96)
CANONICAL = Camera(96, 64, CANONICAL_FOCAL_PX, CANONICAL_FOCAL_PX, 47.5, 31.5)
SETTINGS = {
    'input_hw': HW,
    'fit': 'crop',
    'depth_scale': 1.0,
    'min_range_m': 0.0,
    'max_range_m': 100.0,
    'min_confidence': 0.0,
}
ROAD = CLASS_ID['road']


class Spy:
    """An engine that remembers what was asked of it."""

    def __init__(self, engine):
        self.engine = engine
        self.contract = engine.contract
        self.asked = []
        self.grounds = []

    def run(self, image, outputs, ground=None):
        self.asked.append(tuple(outputs))
        self.grounds.append(ground)
        return self.engine.run(image, outputs, ground)

    def close(self):
        self.engine.close()


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    return load_engine(EngineRequest(make_tiny_model(tmp_path_factory.mktemp('model'))))


@pytest.fixture
def perceive(engine):
    def perceive(rgb, view=CANONICAL, outputs=PARTS, **changes):
        return Perception(engine, **{**SETTINGS, **changes}).predict(rgb, view, outputs)

    return perceive


def plain(red, green=ROAD, blue=255, hw=HW):
    """An image of one colour: the tiny model answers red / 2 metres, class green, chance blue."""
    return np.full((*hw, 3), (red, green, blue), np.uint8)


def halves(left, right):
    image = plain(*left)
    image[:, 48:] = right
    return image


def test_each_pixel_gets_the_models_answer_at_the_canonical_focal_length(perceive):
    image = np.random.default_rng(0).integers(1, 192, (*HW, 3), dtype=np.uint8)
    image[..., 1] %= SKY  # no sky
    frame = perceive(image)
    seen = image[::2, ::2]
    np.testing.assert_allclose(frame.prediction.depth_m, seen[..., 0] * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(frame.prediction.label_id, seen[..., 1])
    np.testing.assert_array_equal(frame.prediction.confidence, seen[..., 2])
    assert frame.prediction.camera == CANONICAL.resized(48, 32)


@pytest.mark.parametrize(('focal_px', 'metres'), [(600.0, 20.0), (300.0, 10.0), (1200.0, 40.0)])
def test_depth_grows_with_the_focal_length_in_network_pixels(perceive, focal_px, metres):
    camera = Camera(96, 64, focal_px, focal_px, 47.5, 31.5)
    depth_m = perceive(plain(40), camera).prediction.depth_m
    np.testing.assert_allclose(depth_m, metres, rtol=1e-6)


def test_the_same_view_at_twice_the_pixels_gives_the_same_depth(perceive):
    sharp = Camera(192, 128, 700.0, 700.0, 95.5, 63.5)
    coarse = sharp.resized(96, 64)
    first = perceive(plain(40, hw=(128, 192)), sharp).prediction
    second = perceive(plain(40), coarse).prediction
    np.testing.assert_allclose(first.depth_m, second.depth_m, rtol=1e-6)
    assert first.camera == second.camera


def test_threads_that_share_one_get_the_answers_to_their_own_images(engine):
    perception = Perception(engine, **SETTINGS)
    wrong: list[int] = []

    def ask(red: int) -> None:
        for _ in range(40):
            found = perception.predict(plain(red), CANONICAL, ('depth', 'rgb'))
            if not (found.prediction.depth_m == red / 2).all() or (found.rgb[..., 0] != red).any():
                wrong.append(red)

    threads = [threading.Thread(target=ask, args=(red,)) for red in (20, 40, 60, 80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_depth_scale_multiplies(perceive):
    depth_m = perceive(plain(40), depth_scale=1.5).prediction.depth_m
    np.testing.assert_allclose(depth_m, 30.0, rtol=1e-6)


def test_without_calibration_depth_is_canonical_and_there_is_no_camera(perceive):
    prediction = perceive(plain(40), None, depth_scale=2.0).prediction
    np.testing.assert_allclose(prediction.depth_m, 40.0, rtol=1e-6)
    assert prediction.camera is None


def test_sky_is_infinitely_far_when_labels_are_asked_for(perceive):
    image = halves((80, SKY, 255), (80, ROAD, 255))
    depth_m = perceive(image).prediction.depth_m
    assert (depth_m[:, :24] == np.inf).all()
    assert (depth_m[:, 24:] == 40).all()
    assert (perceive(image, outputs=('depth',)).prediction.depth_m == 40).all()


def test_a_wall_that_is_labelled_sky_keeps_its_depth(perceive):
    """Saturated is 96 m here: sky from 24 m on, and from a quarter less where it is 9.6 m."""
    image = halves((47, SKY, 255), (49, SKY, 255))
    depth_m = perceive(image).prediction.depth_m
    assert (depth_m[:, :24] == 23.5).all()
    assert (depth_m[:, 24:] == np.inf).all()
    wide = Camera(96, 64, 60.0, 60.0, 47.5, 31.5)
    np.testing.assert_array_equal(
        perceive(image, wide).prediction.depth_m == np.inf, depth_m == np.inf
    )
    near = perceive(image, min_range_m=24.0).prediction.depth_m
    assert (near[:, :24] == -np.inf).all()


@pytest.mark.parametrize('pitch_deg', [0.0, 3.0, -3.0])
def test_below_the_horizon_of_the_mount_there_is_no_sky(perceive, pitch_deg):
    """Half the focal length of the output is 150 px: a degree is 2.6 rows there."""
    camera = Camera(96, 64, 300.0, 300.0, 47.5, 31.5)
    image = plain(160, SKY)
    depth_m = perceive(image, camera, mount=Mount(1.0, pitch_deg)).prediction.depth_m
    horizon = 15.5 - 150 * np.tan(np.deg2rad(pitch_deg))
    finite = np.isfinite(depth_m).all(axis=1)
    expected = np.arange(32) > horizon + 150 * np.tan(np.deg2rad(2.0))
    np.testing.assert_allclose(np.flatnonzero(finite)[:1], np.flatnonzero(expected)[:1], atol=1)
    assert (depth_m[finite] == 40).all()
    assert np.isinf(depth_m[~finite]).all()
    assert np.isinf(perceive(image, camera).prediction.depth_m).all()


@pytest.fixture(scope='module')
def grounded(tmp_path_factory):
    return load_engine(
        EngineRequest(make_tiny_model(tmp_path_factory.mktemp('grounded'), ground=True))
    )


def test_model_gets_the_ground_map_of_the_networks_camera(grounded):
    spy = Spy(grounded)
    perception = Perception(spy, **SETTINGS)
    camera, mount = Camera(192, 128, 200.0, 200.0, 90.0, 70.0), Mount(0.4, 5.0, 1.0)
    frame = perception.predict(plain(40, hw=(128, 192)), camera, PARTS, mount)
    network = camera.resized(96, 64)
    np.testing.assert_array_equal(spy.grounds[0], ground_map(network, mount, HW))
    assert frame.prediction.mount == mount
    frame = perception.predict(plain(40, hw=(128, 192)), camera, PARTS)
    np.testing.assert_array_equal(spy.grounds[1], ground_map(network, None, HW))
    assert frame.prediction.mount is None


def test_metres_follow_the_height_of_the_camera(grounded):
    perception = Perception(grounded, **SETTINGS)
    flat = plain(40)[None]
    for mount, factor in ((None, 1.0), (Mount(0.33), 0.2), (Mount(1.65), 1.0)):
        depth_m = perception.predict(plain(40), CANONICAL, ('depth',), mount).prediction.depth_m
        answer = tiny_outputs(flat, 2, ground_map(CANONICAL, mount, HW))['depth'][0]
        np.testing.assert_allclose(depth_m, answer * factor, rtol=1e-5)


def test_models_own_limit_follows_the_height_too(grounded):
    """Saturated is 96 m at 1.65 m, so 19.2 m at 0.33 m."""
    perception = Perception(grounded, **SETTINGS)
    image = halves((100, ROAD, 255), (240, ROAD, 255))
    depth_m = perception.predict(image, CANONICAL, ('depth',), Mount(0.33)).prediction.depth_m
    assert (depth_m[:, :24] < 19.2).all()
    assert (depth_m[:, 24:] == np.inf).all()


def test_a_model_without_ground_map_is_told_nothing_and_scaled_by_no_height(engine):
    spy = Spy(engine)
    frame = Perception(spy, **SETTINGS).predict(plain(40), CANONICAL, PARTS, Mount(0.33))
    assert spy.grounds == [None]
    assert (frame.prediction.depth_m == 20).all()
    assert frame.prediction.mount == Mount(0.33)


def test_mount_of_the_settings_holds_until_a_frame_brings_another(grounded):
    perception = Perception(grounded, **SETTINGS, mount=Mount(0.5))
    mounts = [
        perception.predict(plain(40), CANONICAL, ('depth',), mount).prediction.mount
        for mount in (None, Mount(0.7), None)
    ]
    assert mounts == [Mount(0.5), Mount(0.7), Mount(0.5)]


def test_without_calibration_there_is_no_mount(grounded):
    spy = Spy(grounded)
    prediction = (
        Perception(spy, **SETTINGS, mount=Mount(0.5, 3.0))
        .predict(plain(40), None, ('depth',))
        .prediction
    )
    assert prediction.mount is None
    np.testing.assert_array_equal(spy.grounds[0], ground_map(None, None, HW))


def test_shaking_mount_keeps_its_map_and_drifting_one_gets_new_ones(grounded):
    spy = Spy(grounded)
    perception = Perception(spy, **SETTINGS)
    for step in range(21):  # 0.02 degrees a frame
        perception.predict(plain(40), CANONICAL, ('depth',), Mount(1.0, step * 0.02))
    assert len({id(cells) for cells in spy.grounds}) == 7
    for step, cells in enumerate(spy.grounds):
        truth = ground_map(CANONICAL, Mount(1.0, step * 0.02), HW)
        np.testing.assert_allclose(cells[0, 0], truth[0, 0], atol=600 * np.deg2rad(0.051) / 100)


def test_two_cameras_in_turn_make_their_maps_once(grounded):
    spy = Spy(grounded)
    perception = Perception(spy, **SETTINGS)
    other = Camera.from_fov(96, 64, 90.0)
    for _ in range(5):
        perception.predict(plain(40), CANONICAL, ('depth',), Mount(1.0))
        perception.predict(plain(40), other, ('depth',), Mount(0.3, 10.0))
        perception.predict(plain(40), other, ('depth',))
    assert len({id(cells) for cells in spy.grounds}) == 3


def test_beyond_max_range_is_infinite_and_nearer_is_kept(perceive):
    image = halves((80, ROAD, 255), (82, ROAD, 255))
    depth_m = perceive(image, max_range_m=40.5).prediction.depth_m
    assert (depth_m[:, :24] == 40).all()
    assert (depth_m[:, 24:] == np.inf).all()


def test_depth_at_the_models_own_limit_is_infinite_whatever_max_range_says(perceive):
    wide = Camera(96, 64, 60.0, 60.0, 47.5, 31.5)  # 120 m become 12: 9.6 m is the limit
    image = halves((191, ROAD, 255), (193, ROAD, 255))
    depth_m = perceive(image, wide).prediction.depth_m
    np.testing.assert_allclose(depth_m[:, :24], 9.55, rtol=1e-5)
    assert (depth_m[:, 24:] == np.inf).all()


def test_nearer_than_min_range_is_minus_infinite(perceive):
    image = halves((3, ROAD, 255), (4, ROAD, 255))
    depth_m = perceive(image, min_range_m=1.6).prediction.depth_m
    assert (depth_m[:, :24] == -np.inf).all()
    assert (depth_m[:, 24:] == 2).all()


def test_low_confidence_is_unknown_but_labelled_sky_stays_sky(perceive):
    image = halves((40, ROAD, 127), (40, ROAD, 128))
    image[:8] = (40, SKY, 120)  # at 20 m, of which the network is a little less than half sure
    depth_m = perceive(image, min_confidence=0.5).prediction.depth_m
    assert (depth_m[:4] == np.inf).all()
    assert np.isnan(depth_m[4:, :24]).all()
    assert (depth_m[4:, 24:] == 20).all()


def test_depth_at_the_limits_of_confidence_and_of_near_is_kept(perceive):
    image = halves((40, ROAD, 51), (2, ROAD, 255))  # 51 = 0.2 of 255; 1 m
    depth_m = perceive(image, min_confidence=0.2, min_range_m=1.0).prediction.depth_m
    assert (depth_m[:, :24] == 20).all()
    assert (depth_m[:, 24:] == 1).all()


def test_only_full_confidence_may_be_asked_for(perceive):
    image = halves((40, ROAD, 254), (40, ROAD, 255))
    depth_m = perceive(image, min_confidence=1.0).prediction.depth_m
    assert np.isnan(depth_m[:, :24]).all()
    assert (depth_m[:, 24:] == 20).all()


def test_low_confidence_wins_over_too_near_and_too_far(perceive):
    image = halves((1, ROAD, 0), (250, ROAD, 0))
    depth_m = perceive(image, min_confidence=0.5, min_range_m=1.0).prediction.depth_m
    assert np.isnan(depth_m).all()


def test_padding_is_unknown_unlabelled_and_without_confidence(perceive):
    image = plain(40, hw=(64, 64))
    camera = Camera.from_fov(64, 64, 60.0)
    prediction = perceive(image, camera, fit='pad').prediction
    rim = np.zeros((32, 48), bool)
    rim[:, :8] = rim[:, 40:] = True
    np.testing.assert_array_equal(np.isnan(prediction.depth_m), rim)
    np.testing.assert_array_equal(prediction.label_id == 255, rim)
    np.testing.assert_array_equal(prediction.confidence == 0, rim)


def test_what_a_lens_does_not_show_is_unknown(perceive):
    camera = Camera(96, 64, 60.0, 60.0, 47.5, 31.5)
    lens = Lens(camera, 'plumb_bob', (0.3, 0.0, 0.0, 0.0))
    depth_m = perceive(plain(40), lens).prediction.depth_m
    assert np.isnan(depth_m[0, 0])
    assert depth_m[16, 24] == pytest.approx(2.0)


def test_rgb_is_the_image_on_the_output_grid(perceive):
    image = np.random.default_rng(1).integers(0, 256, (*HW, 3), dtype=np.uint8)
    frame = perceive(image, outputs=('rgb', 'depth'))
    mean = image.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(frame.rgb, mean, atol=0.51)


def test_only_what_is_asked_for_is_computed(engine):
    spy = Spy(engine)
    perception = Perception(spy, **SETTINGS)
    frame = perception.predict(plain(40), CANONICAL, ('depth',))
    assert frame.rgb is frame.prediction.label_id is frame.prediction.confidence is None
    perception.predict(plain(40), CANONICAL, ('label', 'depth'))
    labels = perception.predict(plain(40), CANONICAL, {'label'}).prediction
    assert np.isnan(labels.depth_m).all()
    assert (labels.label_id == ROAD).all()
    assert spy.asked == [('depth',), ('depth', 'label'), ('label',)]


def test_min_confidence_asks_for_confidence_but_does_not_hand_it_out(engine):
    spy = Spy(engine)
    perception = Perception(spy, **{**SETTINGS, 'min_confidence': 0.5})
    prediction = perception.predict(plain(40, blue=0), CANONICAL, ('depth',)).prediction
    assert spy.asked == [('depth', 'confidence')]
    assert prediction.confidence is None
    assert np.isnan(prediction.depth_m).all()


def test_frames_do_not_share_memory(engine):
    perception = Perception(engine, **SETTINGS)
    first = perception.predict(plain(40), CANONICAL, PARTS)
    kept = first.prediction.depth_m.copy(), first.rgb.copy()
    perception.predict(plain(80), CANONICAL, PARTS)
    np.testing.assert_array_equal(first.prediction.depth_m, kept[0])
    np.testing.assert_array_equal(first.rgb, kept[1])


def test_the_same_frame_gives_bit_equal_depth_again(engine):
    image = np.random.default_rng(2).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    camera = Camera.from_fov(150, 100, 70.0)
    perception = Perception(engine, **SETTINGS)
    first = perception.predict(image, camera, PARTS).prediction.depth_m
    perception.predict(image[::-1], camera, PARTS)
    second = perception.predict(image, camera, PARTS).prediction.depth_m
    assert first.tobytes() == second.tobytes()


def test_the_input_is_left_alone(perceive):
    image = plain(40)
    perceive(image)
    assert (image == (40, ROAD, 255)).all()


def test_timings_name_the_steps(perceive):
    timings = perceive(plain(40)).timings_ms
    assert set(timings) == {'preprocess', 'engine', 'postprocess'}
    assert all(0 < value < 10_000 for value in timings.values())


def test_timings_are_milliseconds_and_add_up_to_no_more_than_the_call_took(engine):
    perception = Perception(engine, **SETTINGS)
    perception.predict(plain(40), None, ('depth',))
    started = time.perf_counter()
    timings = perception.predict(plain(40), None, ('depth',)).timings_ms
    took_ms = (time.perf_counter() - started) * 1e3
    assert 0 < sum(timings.values()) <= took_ms


def test_each_step_is_timed_in_milliseconds_by_the_clock(perceive, monkeypatch):
    ticks = iter((10.0, 10.003, 10.008, 10.019))
    monkeypatch.setattr(perception_module, 'perf_counter', lambda: next(ticks))
    timings = perceive(plain(40)).timings_ms
    expected = {'preprocess': 3.0, 'engine': 5.0, 'postprocess': 11.0}
    assert timings == pytest.approx(expected, abs=1e-6)


def test_adapt_tells_its_network_size(engine):
    perception = Perception(engine, **{**SETTINGS, 'input_hw': (320, 480), 'fit': 'adapt'})
    assert perception.network_hw((480, 640)) == (352, 480)
    frame = perception.predict(plain(40, hw=(480, 640)), None, ('depth',))
    assert frame.prediction.depth_m.shape == (176, 240)


def test_bad_frames_are_refused_and_the_next_one_works(engine):
    perception = Perception(engine, **SETTINGS)
    with pytest.raises(BadImageError):
        perception.predict(plain(40)[:0], CANONICAL, PARTS)
    with pytest.raises(BadCameraError, match='96x64'):
        perception.predict(plain(40, hw=(32, 32)), CANONICAL, PARTS)
    with pytest.raises(ValueError, match='colour'):
        perception.predict(plain(40), CANONICAL, ('colour',))
    assert (perception.predict(plain(40), CANONICAL, PARTS).prediction.depth_m == 20).all()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'depth_scale': 0.0}, 'depth_scale'),
        ({'depth_scale': float('nan')}, 'depth_scale'),
        ({'min_range_m': 5.0, 'max_range_m': 4.0}, 'min_range_m'),
        ({'min_range_m': -1.0}, 'min_range_m'),
        ({'min_confidence': 1.5}, 'min_confidence'),
        ({'fit': 'stretch'}, 'fit'),
        ({'input_hw': (100, 96)}, 'multiples'),
    ],
)
def test_settings_that_cannot_work_are_refused(engine, changes, message):
    with pytest.raises(ConfigError, match=message):
        Perception(engine, **{**SETTINGS, **changes})


def test_closing_frees_the_engine(tmp_path):
    perception = Perception(load_engine(EngineRequest(make_tiny_model(tmp_path))), **SETTINGS)
    perception.close()
    with pytest.raises(EngineError, match='closed'):
        perception.predict(plain(40), CANONICAL, PARTS)
