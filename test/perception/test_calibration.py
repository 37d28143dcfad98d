# SPDX-License-Identifier: Apache-2.0
"""camera_info's numbers become the camera of the image they come with."""

from types import SimpleNamespace

import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.perception.calibration import (
    Calibration,
    base_topic,
    describe,
    info_beside,
    kind_of_topic,
    view_of,
)
from lightdepth_ros.perception.lens import Lens

K = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
P = [450.0, 0.0, 310.0, 0.0, 0.0, 455.0, 235.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def info(**changes) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    fields = dict(width=640, height=480, k=K, p=P, d=[0.0] * 5, roi=roi)
    fields.update(distortion_model='plumb_bob', binning_x=0, binning_y=0)
    return SimpleNamespace(**(fields | changes))


def window(x_offset: int, y_offset: int, width: int, height: int) -> SimpleNamespace:
    return SimpleNamespace(x_offset=x_offset, y_offset=y_offset, width=width, height=height)


def test_raw_image_takes_k_and_rectified_image_takes_p():
    assert view_of(info(), 'raw') == Camera(640, 480, 500.0, 510.0, 320.0, 240.0)
    assert view_of(info(), 'rectified') == Camera(640, 480, 450.0, 455.0, 310.0, 235.0)


def test_second_camera_of_a_stereo_pair_is_placed_beside_the_first_ones_frame():
    right = [*P[:3], -54.0, *P[4:7], 9.1, *P[8:]]
    view = view_of(info(p=right), 'rectified')
    assert isinstance(view, Camera)
    assert (view.origin_x_m, view.origin_y_m) == pytest.approx((54.0 / 450.0, -9.1 / 455.0))
    assert 'optical centre at (0.120, -0.020, 0) m of its frame' in describe(view)
    smaller = view.cropped(10, 20, 600, 400).resized(150, 100)
    assert (smaller.origin_x_m, smaller.origin_y_m) == (view.origin_x_m, view.origin_y_m)


def test_raw_image_of_a_stereo_pair_is_seen_from_its_own_centre():
    right = [*P[:3], -54.0, *P[4:]]
    assert view_of(info(p=right), 'raw') == view_of(info(), 'raw')


@pytest.mark.parametrize(
    ('place', 'value', 'sentence'),
    [
        (11, 0.5, 'one image plane'),
        (3, float('nan'), 'fourth column'),
        (7, float('inf'), 'fourth'),
    ],
)
def test_fourth_column_that_cannot_be_is_refused(place, value, sentence):
    p = [*P[:place], value, *P[place + 1 :]]
    with pytest.raises(BadCameraError, match=sentence):
        view_of(info(p=p), 'rectified')


def test_k_of_zeros_means_not_calibrated():
    assert view_of(info(k=[0.0] * 9, p=[0.0] * 12, width=0, height=0), 'raw') is None
    assert describe(None) == 'none'


def test_distortion_of_a_raw_image_becomes_a_lens():
    view = view_of(info(d=[0.1, -0.05, 0.001, 0.0, 0.0]), 'raw')
    assert view == Lens(
        Camera(640, 480, 500.0, 510.0, 320.0, 240.0), 'plumb_bob', (0.1, -0.05, 0.001, 0.0, 0.0)
    )
    assert describe(view) == '640x480, focal length 505.0 px, plumb_bob'


def test_distortion_does_not_matter_to_a_rectified_image():
    assert isinstance(view_of(info(d=[0.1, 0.0, 0.0, 0.0, 0.0]), 'rectified'), Camera)


def test_switched_off_terms_of_longer_models_are_dropped():
    view = view_of(info(distortion_model='equidistant', d=[0.1, 0.0, 0.0, 0.0, 0.0]), 'raw')
    assert isinstance(view, Lens)
    assert view.coefficients == (0.1, 0.0, 0.0, 0.0)


def test_unknown_distortion_of_a_raw_image_is_refused():
    with pytest.raises(BadCameraError, match='supported are plumb_bob'):
        view_of(info(distortion_model='mystery', d=[0.1]), 'raw')


def test_region_of_interest_then_binning_gives_the_camera_of_the_published_pixels():
    view = view_of(info(roi=window(100, 50, 401, 300), binning_x=2, binning_y=2), 'raw')
    assert view == Camera(200, 150, 250.0, 255.0, 220.5 / 2 - 0.5, 190.5 / 2 - 0.5)


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(roi=window(600, 0, 100, 480)), 'leaves the 640x480 image'),
        (dict(roi=window(0, 480, 0, 0)), 'leaves the 640x480 image'),
        (dict(binning_x=641), 'leaves nothing of 640x480'),
        (dict(width=0), 'both sides must be positive'),
        (dict(k=[float('nan'), *K[1:]]), 'must be finite'),
    ],
)
def test_calibration_that_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BadCameraError, match=sentence):
        view_of(info(**changes), 'raw')


def test_rectified_image_without_p_is_refused_with_the_remedy():
    with pytest.raises(BadCameraError, match='set image_kind to raw'):
        view_of(info(p=[0.0] * 12), 'rectified')


@pytest.mark.parametrize(
    ('topic', 'image_kind', 'kind'),
    [
        ('/camera/image_raw', 'auto', 'raw'),
        ('/camera/image_rect_color', 'auto', 'rectified'),
        ('/camera/image_rect/compressed', 'auto', 'rectified'),
        ('/camera/image_rect_color/ffmpeg', 'auto', 'rectified'),
        ('/camera/image_raw/compressed', 'auto', 'raw'),
        ('/zed/rgb/color/rect/image', 'auto', 'rectified'),
        ('/zed/rgb/color/rect/image/compressed', 'auto', 'rectified'),
        ('/left/rectified', 'auto', 'rectified'),
        ('/left/imageRect', 'auto', 'rectified'),
        ('image_rect', 'auto', 'rectified'),
        ('/rectory/image', 'auto', 'raw'),
        ('/camera/image_corrected', 'auto', 'raw'),
        ('/camera/direct', 'auto', 'raw'),
        ('/camera/image_rect', 'raw', 'raw'),
        ('/camera/image_raw', 'rectified', 'rectified'),
    ],
)
def test_kind_of_image_follows_the_parameter_and_then_the_topic_name(topic, image_kind, kind):
    assert kind_of_topic(topic, image_kind) == kind


@pytest.mark.parametrize(
    ('topic', 'base', 'info'),
    [
        ('/cam/image_raw', '/cam/image_raw', '/cam/camera_info'),
        ('/cam/image_raw/compressed', '/cam/image_raw', '/cam/camera_info'),
        ('/cam/image_raw/ffmpeg', '/cam/image_raw', '/cam/camera_info'),
        ('/image', '/image', '/camera_info'),
    ],
)
def test_a_transport_belongs_to_the_topic_of_the_raw_image(topic, base, info):
    assert base_topic(topic) == base
    assert info_beside(topic) == info


@pytest.mark.parametrize('suffix', ['', '/compressed', '/ffmpeg'])
def test_a_rectified_image_is_not_undistorted_again_whatever_carries_it(suffix):
    calibration = Calibration(f'/cam/image_rect{suffix}', '/cam/camera_info')
    calibration.update(info(d=[-0.3, 0.1, 0.0, 0.0, 0.0]))
    view = calibration.view(NodeConfig(), (480, 640))
    assert isinstance(view, Camera)
    assert view.fx == info().p[0]


@pytest.mark.parametrize(
    ('name', 'model', 'd'),
    [
        ('modified_brown_conrady', 'modified_brown_conrady', [0.1, 0.02, 0.001, 0.002, 0.03]),
        ('inverse_brown_conrady', 'modified_brown_conrady', [0.1, 0.02, 0.001, 0.002, 0.03]),
        ('Brown_Conrady', 'plumb_bob', [0.1, 0.02, 0.001, 0.002, 0.03]),
        ('fisheye', 'equidistant', [0.1, 0.02, 0.001, 0.002]),
        ('kannala_brandt4', 'equidistant', [0.1, 0.02, 0.001, 0.002, 0.0]),
    ],
)
def test_models_are_known_by_the_names_that_drivers_use(name, model, d):
    lens = view_of(info(distortion_model=name, d=d), 'raw')
    assert isinstance(lens, Lens)
    used = 4 if model == 'equidistant' else 5
    assert (lens.model, lens.coefficients) == (model, tuple(d[:used]))
