# SPDX-License-Identifier: Apache-2.0
"""Preprocessing: the pixels land where the scaled camera says, and sizes are what was asked."""

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError, BadImageError, ConfigError
from lightdepth_ros.perception.placement import adapted_hw, blocks_not_all, plan
from lightdepth_ros.perception.preprocess import PADDING_GREY, Preprocessor, halve

SIZES_WH = [(640, 480), (1242, 375), (1280, 720), (1920, 1080), (3840, 2160), (480, 320)]
SIZES_WH += [(320, 240), (100, 37), (375, 1242), (641, 479), (2001, 1333)]
INPUT_HW = (320, 480)


def ramp(width: int, height: int) -> np.ndarray:
    """Image whose red grows by 200 from left to right and green by 200 from top to bottom."""
    image = np.zeros((height, width, 3), np.float64)
    image[..., 0] = 20 + 200 * (np.arange(width) + 0.5) / width
    image[..., 1] = (20 + 200 * (np.arange(height) + 0.5) / height)[:, None]
    return np.rint(image).astype(np.uint8)


@pytest.mark.parametrize('fit', ['crop', 'pad', 'adapt'])
@pytest.mark.parametrize(('width', 'height'), SIZES_WH)
def test_pixels_show_the_ray_that_the_scaled_camera_names(width, height, fit):
    camera = Camera(width, height, 0.9 * width, 0.9 * width, 0.45 * width, 0.52 * height)
    preprocessor = Preprocessor(INPUT_HW, fit, 32, 2)
    prepared = preprocessor.prepare(ramp(width, height), camera)
    output = prepared.camera
    small = halve(prepared.batch[0], 1)
    rays = output.rays()
    u = rays[..., 0] * camera.fx + camera.cx
    v = rays[..., 1] * camera.fy + camera.cy
    seen = np.ones(u.shape, bool) if prepared.unknown is None else ~prepared.unknown
    seen[[0, -1]] = seen[:, [0, -1]] = False  # bilinear enlarging repeats the border pixels
    expected = np.stack([20 + 200 * (u + 0.5) / width, 20 + 200 * (v + 0.5) / height], -1)
    difference = np.abs(small[..., :2].astype(float) - expected)[seen]
    # Rounding to 8 bits in the ramp, in each halving and in the resize.
    assert seen.any()
    assert difference.max() <= 1.5


@pytest.mark.parametrize('fit', ['crop', 'pad', 'adapt'])
@pytest.mark.parametrize(('width', 'height'), SIZES_WH)
def test_pixels_stay_square_and_the_crop_stays_inside(width, height, fit):
    place = plan((height, width), INPUT_HW, fit, 32)
    crop, target = place.crop, place.target
    assert crop.x0 >= 0
    assert crop.x0 + crop.width <= width
    assert crop.y0 >= 0
    assert crop.y0 + crop.height <= height
    scale_x, scale_y = target.width / crop.width, target.height / crop.height
    pixel = 1 << place.halvings  # the crop is rounded to this, the target to one
    tolerance = pixel / min(crop.width, crop.height) + 1 / min(target.width, target.height)
    assert scale_x / scale_y == pytest.approx(1.0, abs=tolerance)


@pytest.mark.parametrize(('width', 'height'), SIZES_WH)
def test_crop_loses_one_direction_only_and_is_centred(width, height):
    place = plan((height, width), INPUT_HW, 'crop', 32)
    pixel = 1 << place.halvings
    crop = place.crop
    assert width - crop.width < pixel or height - crop.height < pixel
    assert abs(2 * crop.x0 + crop.width - width) <= 1
    assert abs(2 * crop.y0 + crop.height - height) <= 1


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        ((480, 640), (352, 480)),
        ((375, 1242), (224, 736)),
        ((720, 1280), (288, 512)),
        ((320, 480), (320, 480)),
    ],
)
def test_adapt_follows_the_aspect_of_common_cameras(size, expected):
    assert adapted_hw(size, INPUT_HW, 32) == expected


@pytest.mark.parametrize(
    ('size', 'expected', 'better_but_too'),
    [
        ((60, 740), (128, 1568), (96, 1184)),  # 0.74 of the area
        ((60, 760), (96, 1216), None),  # 0.76
        ((80, 1780), (96, 2112), (96, 2144)),  # 1.34
        ((1240, 100), (1504, 128), None),  # 1.25
    ],
)
def test_adapt_keeps_to_three_quarters_and_four_thirds_of_the_area(size, expected, better_but_too):
    found = adapted_hw(size, INPUT_HW, 32)
    assert found == expected
    area = INPUT_HW[0] * INPUT_HW[1]
    assert 0.75 <= found[0] * found[1] / area <= 4 / 3
    if better_but_too:
        aspect = size[1] / size[0]
        lost, lost_there = (abs(np.log(w / h / aspect)) for h, w in (found, better_but_too))
        assert lost_there < lost


@pytest.mark.parametrize(('width', 'height'), SIZES_WH)
def test_adapt_keeps_the_view_and_about_the_area(width, height):
    hw = adapted_hw((height, width), INPUT_HW, 32)
    assert not hw[0] % 32
    assert not hw[1] % 32
    assert 0.75 <= hw[0] * hw[1] / (320 * 480) <= 4 / 3
    crop = plan((height, width), INPUT_HW, 'adapt', 32).crop
    assert crop.width * crop.height / (width * height) > 0.93


@pytest.mark.parametrize('size', [(1, 1), (1, 5000), (5000, 1), (2, 3)])
@pytest.mark.parametrize('fit', ['crop', 'pad', 'adapt'])
def test_the_smallest_and_thinnest_images_pass(size, fit):
    prepared = Preprocessor(INPUT_HW, fit, 32, 2).prepare(np.zeros((*size, 3), np.uint8), None)
    assert prepared.batch.ndim == 4
    assert prepared.batch.shape[1] % 32 == 0


def test_padding_is_grey_and_marked_unknown_and_nothing_else_is():
    image = np.full((320, 320, 3), 255, np.uint8)
    prepared = Preprocessor(INPUT_HW, 'pad', 32, 16).prepare(image, None)
    expected = np.full((320, 480, 3), PADDING_GREY, np.uint8)
    expected[:, 80:400] = 255
    np.testing.assert_array_equal(prepared.batch[0], expected)
    mask = np.ones((20, 30), bool)
    mask[:, 5:25] = False
    np.testing.assert_array_equal(prepared.unknown, mask)


def test_a_block_that_saw_any_padding_is_unknown():
    inside = np.ones((4, 4), bool)
    inside[3, 0] = False
    np.testing.assert_array_equal(blocks_not_all(inside, 2), [[False, False], [True, False]])


def test_fitting_image_is_copied_exactly_and_has_no_mask():
    image = np.random.default_rng(1).integers(0, 256, (320, 480, 3), dtype=np.uint8)
    for fit in ('crop', 'pad', 'adapt'):
        prepared = Preprocessor(INPUT_HW, fit, 32, 2).prepare(image, None)
        np.testing.assert_array_equal(prepared.batch[0], image)
        assert prepared.unknown is None
        assert prepared.camera is None


def test_halving_twice_is_the_mean_of_four_by_four():
    image = np.random.default_rng(2).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mean = image.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(halve(image, 2), mean, atol=1.0)  # each halving rounds


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((1280, 1920, 3), np.uint8)
    stripes[:, ::2] = 200  # one pixel wide: skipping would show all or nothing
    prepared = Preprocessor(INPUT_HW, 'crop', 32, 2).prepare(stripes, None)
    np.testing.assert_allclose(prepared.batch, 100, atol=2)


def test_a_view_into_a_larger_array_gives_the_same_pixels():
    big = np.random.default_rng(3).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    window = big[10:490, 20:660]
    preprocessor = Preprocessor(INPUT_HW, 'crop', 32, 2)
    first = preprocessor.prepare(window, None).batch.copy()
    np.testing.assert_array_equal(first, preprocessor.prepare(window.copy(), None).batch)


def test_buffers_are_reused_and_streams_do_not_mix():
    preprocessor = Preprocessor(INPUT_HW, 'crop', 32, 2)
    wide, tall = np.full((480, 640, 3), 10, np.uint8), np.full((640, 480, 3), 90, np.uint8)
    first = preprocessor.prepare(wide, None).batch
    second = preprocessor.prepare(tall, None).batch
    assert first is not second
    assert first.max() == 10
    assert second.min() == 90
    assert preprocessor.prepare(wide, None).batch is first


def test_many_streams_do_not_grow_memory_without_bound():
    preprocessor = Preprocessor((32, 32), 'crop', 32, 2)
    for width in range(32, 132):
        preprocessor.prepare(np.zeros((32, width, 3), np.uint8), None)
    assert len(preprocessor._recipes) <= 8


def test_eight_streams_keep_their_buffers_and_a_ninth_starts_afresh():
    preprocessor = Preprocessor((32, 32), 'crop', 32, 2)
    images = [np.zeros((32, 32 + index, 3), np.uint8) for index in range(9)]
    first = [preprocessor.prepare(image, None).batch for image in images[:8]]
    again = [preprocessor.prepare(image, None).batch for image in images[:8]]
    assert all(a is b for a, b in zip(first, again, strict=True))
    preprocessor.prepare(images[8], None)
    assert preprocessor.prepare(images[0], None).batch is not first[0]


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
)
def test_other_arrays_are_refused(image):
    with pytest.raises(BadImageError, match='uint8 RGB'):
        Preprocessor(INPUT_HW, 'crop', 32, 2).prepare(image, None)


def test_calibration_of_another_size_is_refused():
    camera = Camera.from_fov(1280, 720, 60)
    with pytest.raises(BadCameraError, match=r'1280x720.*640x480'):
        Preprocessor(INPUT_HW, 'crop', 32, 2).prepare(np.zeros((480, 640, 3), np.uint8), camera)


@pytest.mark.parametrize('hw', [(300, 480), (0, 480), (-32, 480)])
def test_input_sizes_off_the_grid_are_refused(hw):
    with pytest.raises(ConfigError, match='multiples of 32'):
        Preprocessor(hw, 'crop', 32, 2)


def test_unknown_fit_is_refused():
    with pytest.raises(ConfigError, match="'stretch'"):
        Preprocessor(INPUT_HW, 'stretch', 32, 2)
