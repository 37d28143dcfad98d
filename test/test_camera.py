# SPDX-License-Identifier: Apache-2.0
"""Camera: rescaling, cropping, rays and refusals."""

import math

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError

CAMERA = Camera(640, 480, fx=500.0, fy=510.0, cx=300.0, cy=250.0)


def ray(camera: Camera, u: float, v: float) -> tuple[float, float]:
    return (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy


def test_field_of_view_gives_the_focal_length_of_the_tangent_rule():
    camera = Camera.from_fov(640, 480, 90.0)
    assert camera.fx == pytest.approx(320.0)
    assert camera.fy == pytest.approx(320.0)
    assert (camera.cx, camera.cy) == (319.5, 239.5)
    assert camera.horizontal_fov_deg == pytest.approx(90.0)


@pytest.mark.parametrize('size', [(320, 240), (1280, 960), (200, 77)])
def test_resizing_keeps_the_rays_of_the_image_corners(size):
    resized = CAMERA.resized(*size)
    for corner in ((-0.5, -0.5), (639.5, 479.5)):  # outer edges of the corner pixels
        scaled = ((corner[0] + 0.5) * size[0] / 640 - 0.5, (corner[1] + 0.5) * size[1] / 480 - 0.5)
        assert ray(resized, *scaled) == pytest.approx(ray(CAMERA, *corner), abs=1e-12)


def test_halving_puts_a_pixel_centre_between_two_old_centres():
    halved = CAMERA.resized(320, 240)
    assert ray(halved, 100, 60) == pytest.approx(ray(CAMERA, 200.5, 120.5), abs=1e-12)


def test_cropping_moves_the_centre_only():
    cropped = CAMERA.cropped(100, 50, 200, 100)
    assert (cropped.width, cropped.height, cropped.fx) == (200, 100, 500.0)
    assert ray(cropped, 10, 20) == pytest.approx(ray(CAMERA, 110, 70))


def test_negative_crop_is_padding():
    padded = CAMERA.cropped(-8, -16, 656, 512)
    assert ray(padded, 8, 16) == pytest.approx(ray(CAMERA, 0, 0))


def test_rays_are_x_and_y_at_one_metre_and_cannot_be_changed():
    rays = CAMERA.rays()
    assert rays.shape == (480, 640, 2)
    assert rays.dtype == np.float32
    np.testing.assert_allclose(rays[70, 110], ray(CAMERA, 110, 70), atol=1e-6)
    assert CAMERA.rays() is rays
    with pytest.raises(ValueError):
        rays[0, 0] = 0


def test_focal_length_is_the_geometric_mean():
    assert CAMERA.focal_px == pytest.approx(math.sqrt(500 * 510))


@pytest.mark.parametrize(
    'numbers', [(0, 500, 1, 1), (500, -1, 1, 1), (math.nan, 500, 1, 1), (500, 500, math.inf, 1)]
)
def test_impossible_intrinsics_are_refused(numbers):
    with pytest.raises(BadCameraError, match='calibrate'):
        Camera(640, 480, *numbers)


def test_empty_image_is_refused():
    with pytest.raises(BadCameraError, match='0x480'):
        Camera(0, 480, 500, 500, 1, 1)


@pytest.mark.parametrize('fov', [0.0, 180.0, -20.0])
def test_impossible_field_of_view_is_refused(fov):
    with pytest.raises(BadCameraError, match='field of view'):
        Camera.from_fov(640, 480, fov)
