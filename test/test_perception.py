# SPDX-License-Identifier: Apache-2.0
"""Perception: metric scale, special values, and nothing computed that nobody asked for."""

import numpy as np
import pytest
from tiny_model import CANONICAL_FOCAL_PX, make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import BadCameraError, BadImageError, ConfigError, EngineError
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.perception.perception import OUTPUTS, Perception

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

    def run(self, image, outputs):
        self.asked.append(tuple(outputs))
        return self.engine.run(image, outputs)

    def close(self):
        self.engine.close()


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    return load_engine(EngineRequest(make_tiny_model(tmp_path_factory.mktemp('model'))))


@pytest.fixture
def perceive(engine):
    def perceive(rgb, view=CANONICAL, outputs=OUTPUTS, **changes):
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


def test_depth_scale_multiplies(perceive):
    depth_m = perceive(plain(40), depth_scale=1.5).prediction.depth_m
    np.testing.assert_allclose(depth_m, 30.0, rtol=1e-6)


def test_without_calibration_depth_is_canonical_and_there_is_no_camera(perceive):
    prediction = perceive(plain(40), None, depth_scale=2.0).prediction
    np.testing.assert_allclose(prediction.depth_m, 40.0, rtol=1e-6)
    assert prediction.camera is None


def test_sky_is_infinitely_far_when_labels_are_asked_for(perceive):
    image = halves((40, SKY, 255), (40, ROAD, 255))
    depth_m = perceive(image).prediction.depth_m
    assert (depth_m[:, :24] == np.inf).all()
    assert (depth_m[:, 24:] == 20).all()
    assert (perceive(image, outputs=('depth',)).prediction.depth_m == 20).all()


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
    image[:8] = (40, SKY, 0)
    depth_m = perceive(image, min_confidence=0.5).prediction.depth_m
    assert (depth_m[:4] == np.inf).all()
    assert np.isnan(depth_m[4:, :24]).all()
    assert (depth_m[4:, 24:] == 20).all()


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
    first = perception.predict(plain(40), CANONICAL, OUTPUTS)
    kept = first.prediction.depth_m.copy(), first.rgb.copy()
    perception.predict(plain(80), CANONICAL, OUTPUTS)
    np.testing.assert_array_equal(first.prediction.depth_m, kept[0])
    np.testing.assert_array_equal(first.rgb, kept[1])


def test_the_same_frame_gives_bit_equal_depth_again(engine):
    image = np.random.default_rng(2).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    camera = Camera.from_fov(150, 100, 70.0)
    perception = Perception(engine, **SETTINGS)
    first = perception.predict(image, camera, OUTPUTS).prediction.depth_m
    perception.predict(image[::-1], camera, OUTPUTS)
    second = perception.predict(image, camera, OUTPUTS).prediction.depth_m
    assert first.tobytes() == second.tobytes()


def test_the_input_is_left_alone(perceive):
    image = plain(40)
    perceive(image)
    assert (image == (40, ROAD, 255)).all()


def test_timings_name_the_steps(perceive):
    timings = perceive(plain(40)).timings_ms
    assert set(timings) == {'preprocess', 'engine', 'postprocess'}
    assert all(0 < value < 10_000 for value in timings.values())


def test_adapt_tells_its_network_size(engine):
    perception = Perception(engine, **{**SETTINGS, 'input_hw': (320, 480), 'fit': 'adapt'})
    assert perception.network_hw((480, 640)) == (352, 480)
    frame = perception.predict(plain(40, hw=(480, 640)), None, ('depth',))
    assert frame.prediction.depth_m.shape == (176, 240)


def test_bad_frames_are_refused_and_the_next_one_works(engine):
    perception = Perception(engine, **SETTINGS)
    with pytest.raises(BadImageError):
        perception.predict(plain(40)[:0], CANONICAL, OUTPUTS)
    with pytest.raises(BadCameraError, match='96x64'):
        perception.predict(plain(40, hw=(32, 32)), CANONICAL, OUTPUTS)
    with pytest.raises(ValueError, match='colour'):
        perception.predict(plain(40), CANONICAL, ('colour',))
    assert (perception.predict(plain(40), CANONICAL, OUTPUTS).prediction.depth_m == 20).all()


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
        perception.predict(plain(40), CANONICAL, OUTPUTS)
