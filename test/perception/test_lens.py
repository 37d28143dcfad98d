# SPDX-License-Identifier: Apache-2.0
"""Lens distortion: the same maps as OpenCV's calibration module, and honest edges."""

import cv2
import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.perception.lens import Lens, lens_map
from lightdepth_ros.perception.placement import plan
from lightdepth_ros.perception.preprocess import Preprocessor

CAMERA = Camera(640, 480, 420.0, 430.0, 310.0, 250.0)
LENSES = [
    Lens(CAMERA, 'plumb_bob', (-0.31, 0.12, 0.001, -0.0007, -0.02)),
    Lens(CAMERA, 'plumb_bob', (0.08, -0.05, 0.002, 0.001)),
    Lens(CAMERA, 'rational_polynomial', (0.4, 0.1, 0.001, 0.0005, 0.01, 0.7, 0.2, 0.02)),
    Lens(CAMERA, 'equidistant', (-0.02, 0.004, -0.001, 0.0003)),
]


def matrix(camera: Camera) -> np.ndarray:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


def raw_pixels(lens: Lens, target: Camera) -> np.ndarray:
    rays = target.rays().astype(np.float64)
    x, y = lens.distort(rays[..., 0], rays[..., 1])
    return np.stack([x * lens.camera.fx + lens.camera.cx, y * lens.camera.fy + lens.camera.cy], -1)


def test_the_tangential_part_of_the_modified_model_acts_on_the_radially_bent_ray():
    k1, k2, p1, p2, k3 = (0.11, -0.04, 0.003, -0.002, 0.01)
    x, y = 0.4, -0.3
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent_x, bent_y = x * radial, y * radial
    lens = Lens(CAMERA, 'modified_brown_conrady', (k1, k2, p1, p2, k3))
    found_x, found_y = lens.distort(np.array([x]), np.array([y]))
    assert found_x[0] == pytest.approx(
        bent_x + 2 * p1 * bent_x * bent_y + p2 * (r2 + 2 * bent_x**2), abs=1e-12
    )
    assert found_y[0] == pytest.approx(
        bent_y + 2 * p2 * bent_x * bent_y + p1 * (r2 + 2 * bent_y**2), abs=1e-12
    )
    plain = Lens(CAMERA, 'plumb_bob', lens.coefficients).distort(np.array([x]), np.array([y]))
    assert abs(plain[0][0] - found_x[0]) > 1e-5
    without = (k1, k2, 0.0, 0.0, k3)
    same = [
        Lens(CAMERA, model, without).distort(np.array([x]), np.array([y]))
        for model in ('plumb_bob', 'modified_brown_conrady')
    ]
    np.testing.assert_allclose(same[0], same[1], rtol=1e-12)


@pytest.mark.parametrize('lens', LENSES, ids=lambda lens: lens.model)
def test_distortion_agrees_with_opencv(lens):
    target = plan((480, 640), (320, 480), 'crop', 32).camera(CAMERA)
    size = (target.width, target.height)
    module = cv2.fisheye if lens.model == 'equidistant' else cv2
    u, v = module.initUndistortRectifyMap(
        matrix(CAMERA),
        np.array(lens.coefficients),
        np.eye(3),
        matrix(target),
        size,
        cv2.CV_32FC1,
    )
    np.testing.assert_allclose(raw_pixels(lens, target), np.stack([u, v], -1), atol=2e-3)


@pytest.mark.parametrize('fit', ['crop', 'pad', 'adapt'])
@pytest.mark.parametrize('lens', LENSES, ids=lambda lens: lens.model)
def test_network_pixels_show_the_raw_pixel_their_ray_falls_on(lens, fit):
    raw = np.zeros((480, 640, 3), np.uint8)
    raw[..., 0] = np.arange(640) // 3
    raw[..., 1] = (np.arange(480) // 2)[:, None]
    preprocessor = Preprocessor((320, 480), fit, 32, 2)
    prepared = preprocessor.prepare(raw, lens)
    target = plan((480, 640), (320, 480), fit, 32).camera(CAMERA)
    expected = raw_pixels(lens, target)
    inside = (expected >= 2).all(-1) & (expected[..., 0] < 636) & (expected[..., 1] < 476)
    shown = prepared.batch[0].astype(float)
    # The ramps are stairs of 3 and 2 pixels: half a step, and one for the two roundings.
    assert np.abs(shown[..., 0] - (expected[..., 0] - 1) / 3)[inside].max() < 1.5
    assert np.abs(shown[..., 1] - (expected[..., 1] - 0.5) / 2)[inside].max() < 1.5
    assert inside.mean() > 0.5


def test_no_distortion_gives_what_a_plain_camera_gives():
    image = cv2.GaussianBlur(
        np.random.default_rng(5).integers(0, 256, (480, 640, 3), dtype=np.uint8), (0, 0), 2
    )
    preprocessor = Preprocessor((320, 480), 'crop', 32, 2)
    plain = preprocessor.prepare(image, CAMERA)
    lensed = preprocessor.prepare(image, Lens(CAMERA, 'plumb_bob', (0.0,) * 5))
    assert lensed.camera == plain.camera
    assert lensed.unknown is None
    difference = np.abs(lensed.batch.astype(int) - plain.batch)
    assert difference.max() <= 2  # remap knows 1/32 of a pixel


def test_large_raw_images_are_averaged_before_the_map():
    camera = Camera(1920, 1280, 1500.0, 1500.0, 959.5, 639.5)
    stripes = np.zeros((1280, 1920, 3), np.uint8)
    stripes[:, ::2] = 200
    lens = Lens(camera, 'plumb_bob', (-0.2, 0.0, 0.0, 0.0))
    prepared = Preprocessor((320, 480), 'crop', 32, 2).prepare(stripes, lens)
    np.testing.assert_allclose(prepared.batch, 100, atol=2)


def test_rays_the_raw_image_does_not_show_are_unknown():
    lens = Lens(CAMERA, 'plumb_bob', (0.3, 0.0, 0.0, 0.0))  # pincushion: corners lie outside
    prepared = Preprocessor((320, 480), 'adapt', 32, 2).prepare(
        np.full((480, 640, 3), 255, np.uint8), lens
    )
    middle = tuple(side // 2 for side in prepared.unknown.shape)
    assert prepared.unknown[0, 0]
    assert not prepared.unknown[middle]
    seen = ~np.kron(prepared.unknown, np.ones((2, 2), bool))
    assert prepared.batch[0][seen].min() == 255  # no fill colour leaks into what counts as seen


def test_rays_beyond_the_turning_point_of_the_polynomial_are_unknown():
    wide = Camera(640, 480, 200.0, 200.0, 319.5, 239.5)
    lens = Lens(wide, 'plumb_bob', (-0.3, 0.0, 0.0, 0.0))
    # r (1 - 0.3 r^2) turns back at r = 1 / sqrt(0.9) = 1.054, on the x axis.
    x, _ = lens.distort(np.array([1.0, 1.1, 3.0]), np.zeros(3))
    np.testing.assert_array_equal(np.isnan(x), [False, True, True])
    assert lens_map(lens, wide, 0).inside is not None


def test_maps_are_built_once():
    assert lens_map(LENSES[0], CAMERA, 0) is lens_map(LENSES[0], CAMERA, 0)


@pytest.mark.parametrize(
    ('model', 'coefficients', 'message'),
    [
        ('thin_prism', (0.1,) * 4, 'thin_prism'),
        ('plumb_bob', (0.1,) * 3, '4 or 5'),
        ('equidistant', (0.1,) * 5, '4 finite'),
        ('rational_polynomial', (0.1,) * 5, '8 finite'),
        ('plumb_bob', (float('nan'),) * 5, 'finite'),
    ],
)
def test_what_cannot_be_undone_is_refused(model, coefficients, message):
    with pytest.raises(BadCameraError, match=message):
        Lens(CAMERA, model, coefficients)


def test_lens_for_another_image_size_is_refused():
    with pytest.raises(BadCameraError, match='640x480'):
        Preprocessor((320, 480), 'crop', 32, 2).prepare(
            np.zeros((240, 320, 3), np.uint8), LENSES[0]
        )
