# SPDX-License-Identifier: Apache-2.0
"""`lightdepth scale`: the factor put in comes out, and a bad measurement is refused."""

from __future__ import annotations

import re

import bags
import cv2
import numpy as np
import pytest
from tiny_model import CANONICAL_FOCAL_PX, DEPTH_PER_RED_M, make_tiny_model, tiny_outputs

from lightdepth_ros import cli
from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import DataError
from lightdepth_ros.mount import Mount, ground_map
from lightdepth_ros.perception.ground import fit_ground
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.scale.bag import projected, sampled
from lightdepth_ros.scale.fit import Fit, Limits, Pairs, check_fit, fit_scale
from lightdepth_ros.scale.view import source_pixels
from lightdepth_ros.settings_file import read_settings

ROAD, CAR = 0, 13
FOCAL = 300.0


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A folder with the tiny model: depth = red * 0.5 m, label = green."""
    folder = tmp_path_factory.mktemp('models')
    make_tiny_model(folder, 'L', student='plain')
    return folder


def metres_of(red: float, focal_px: float = FOCAL) -> float:
    """Return what the tiny model predicts for a red value."""
    return red * DEPTH_PER_RED_M * focal_px / CANONICAL_FOCAL_PX


def scale_in(path) -> float:
    return read_settings(path)['depth_scale']


# The fit


def pairs(groups: int, points: int, scale: float, noise: float, bias: float, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(2, 40, groups * points)
    group = np.repeat(np.arange(groups), points)
    logs = rng.normal(0, noise, group.size) + rng.normal(0, bias, groups)[group]
    return Pairs(predicted * scale * np.exp(logs), predicted, group)


def test_the_factor_put_in_comes_out_although_a_third_of_the_pairs_is_wrong():
    given = pairs(40, 200, 1.3, 0.1, 0.03, seed=1)
    wrong = np.random.default_rng(2).random(given.true_m.size) < 0.33
    true_m = np.where(wrong, given.true_m * 9, given.true_m)
    fit = fit_scale(Pairs(true_m, given.predicted_m, given.group))
    clean = fit_scale(given)
    assert clean.scale == pytest.approx(1.3, rel=0.02)
    assert fit.scale == pytest.approx(1.3, rel=0.12)
    assert clean.spread == pytest.approx(np.hypot(0.1, 0.03), rel=0.1)


def test_the_error_told_is_the_error_made():
    """Over 300 repetitions, (result - truth) / told error scatters like a standard normal."""
    told = []
    for seed in range(300):
        fit = fit_scale(pairs(25, 40, 1.3, 0.1, 0.08, seed))
        told.append(np.log(fit.scale / 1.3) / fit.error)
    assert np.mean(np.abs(told) < 1) == pytest.approx(0.68, abs=0.1)
    assert np.mean(np.abs(told) < 2) > 0.88


def test_one_pair_has_no_known_error_and_two_have_their_spread():
    one = fit_scale(Pairs(np.array([3.0]), np.array([2.0]), np.array([0])))
    assert (one.scale, one.points) == (pytest.approx(1.5), 1)
    assert np.isnan(one.error)
    two = fit_scale(Pairs(np.array([3.0, 3.3]), np.array([2.0, 2.0]), np.arange(2)))
    assert two.error == pytest.approx(1.4826 * np.log(1.1) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ('fit', 'part'),
    [
        (Fit(1.0, 0.01, 0.1, 9, 3), '9 points from 3 images are too few: at least 10 from 3'),
        (Fit(1.0, 0.01, 0.1, 10, 2), '10 points from 2 images are too few'),
        (Fit(1.0, 0.01, 0.31, 10, 3), 'contradict each other (scale 1, spread 31%'),
        (Fit(1.0, 0.01, float('nan'), 10, 3), 'contradict each other'),
        (Fit(2.6, 0.01, 0.1, 10, 3), 'implausible (scale 2.6, spread 10%'),
        (Fit(0.3, 0.01, 0.1, 10, 3), 'feet for metres'),
    ],
)
def test_bad_fit_is_refused_with_numbers_and_remedy(fit, part):
    limits = Limits(10, 3, 0.3, 0.4, 2.5)
    with pytest.raises(DataError, match=re.escape(part)):
        check_fit(fit, limits, 'points', 'images', 'Take more.')
    check_fit(Fit(1.0, 0.01, 0.3, 10, 3), limits, 'points', 'images', 'Take more.')


# The ground


def plane(height_m: float, pitch_deg: float, roll_deg: float = 0.0) -> tuple:
    """Return (depth, rays, seen) of a plane, for a 120x80 camera; 0 where it is not seen."""
    camera = Camera(120, 80, 90.0, 90.0, 59.5, 39.5)
    pitch, roll = np.radians(pitch_deg), np.radians(roll_deg)
    normal = np.array([np.tan(roll) * np.cos(pitch), np.cos(pitch), np.sin(pitch)])
    normal /= np.linalg.norm(normal)
    rays = camera.rays()
    slope = np.concatenate([rays, np.ones((80, 120, 1))], axis=-1) @ normal
    depth = np.where(slope > 0.03, height_m / np.maximum(slope, 0.03), 0)
    seen = (depth > 0) & (depth < 20)
    return depth.astype(np.float32), rays, seen


@pytest.mark.parametrize(('pitch', 'roll'), [(0, 0), (12, 0), (-5, 3), (30, -8)])
def test_plane_is_found_with_its_pitch_and_roll(pitch, roll):
    depth, rays, seen = plane(1.4, pitch, roll)
    ground = fit_ground(depth, rays, seen)
    assert ground.height_m == pytest.approx(1.4, rel=1e-4)
    assert ground.pitch_deg == pytest.approx(pitch, abs=0.01)
    assert ground.roll_deg == pytest.approx(roll, abs=0.05)


def test_plane_is_found_under_noise_and_with_a_quarter_of_wrong_labels():
    rng = np.random.default_rng(4)
    depth, rays, seen = plane(1.4, 8)
    noisy = (depth * np.exp(rng.normal(0, 0.08, depth.shape))).astype(np.float32)
    wrong = seen & (rng.random(depth.shape) < 0.25)
    noisy[wrong] *= 0.5
    ground = fit_ground(noisy, rays, seen)
    assert ground.height_m == pytest.approx(1.4, rel=0.02)
    assert ground.pitch_deg == pytest.approx(8, abs=0.5)
    assert ground.points == pytest.approx(0.75 * seen.sum(), rel=0.1)
    assert fit_ground(depth, rays, np.zeros(depth.shape, bool)) is None


# Where pixels come from


def test_source_pixels_go_back_through_crop_scale_and_lens():
    camera = Camera(640, 480, 500.0, 500.0, 310.0, 250.0)
    network = camera.cropped(0, 40, 640, 400).resized(160, 100)
    uv = source_pixels(network, camera)
    np.testing.assert_allclose(uv[10, 20], [20.5 * 4 - 0.5, 10.5 * 4 - 0.5 + 40], atol=1e-4)
    lens = Lens(camera, 'plumb_bob', (-0.2, 0.05, 0.0, 0.0))
    bent = source_pixels(network, lens)
    x, y = (uv[10, 20] - [310, 250]) / 500
    r2 = x * x + y * y
    factor = 1 - 0.2 * r2 + 0.05 * r2 * r2
    np.testing.assert_allclose(bent[10, 20], [500 * x * factor + 310, 500 * y * factor + 250],
                               atol=1e-3)  # fmt: skip


def test_lidar_returns_fall_on_their_pixels_the_nearest_wins():
    camera = Camera(20, 10, 10.0, 10.0, 9.5, 4.5, origin_x_m=1.0)
    turn = np.eye(4)
    turn[:3, 3] = 0, 0, 1
    points = np.array([[1.0, 0, 4], [1.0, 0, 9], [3.0, 1, 4], [0, 0, -3], [99, 0, 4]])
    depth = projected(points, turn, camera)
    assert depth[5, 10] == 5
    assert (
        depth[7, 14] == 5
    )  # u = 10 * (3 - 1) / 5 + 9.5 = 13.5 -> 14, v = 10 / 5 + 4.5 = 6.5 -> 7
    assert np.count_nonzero(depth) == 2


def test_registered_depth_of_half_the_size_is_read_at_the_same_place():
    depth = np.arange(12, dtype=np.float32).reshape(3, 4)
    uv = np.array([[[0.0, 0.0], [7.0, 5.0], [8.0, 0.0], [np.nan, 0.0]]])
    np.testing.assert_array_equal(sampled(depth, uv, (8, 6)), [[0, 11, 0, 0]])
    with pytest.raises(DataError, match='the aspects differ'):
        sampled(depth, uv, (8, 10))


# By tape


def yard(tmp_path, reds=((0, 60), (160, 120), (320, 160)), name='yard.png'):
    """Write a 480x320 picture of three upright stripes, each at a depth of its own."""
    rgb = np.zeros((320, 480, 3), np.uint8)
    for left, red in reds:
        rgb[:, left:] = (red, CAR, 100)
    path = tmp_path / name
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def tape(model, tmp_path, *words) -> int:
    flags = ('--model', str(model), '--out', str(tmp_path / 'scale.yaml'))
    return cli.main(['scale', 'tape', *map(str, words), *flags])


def ranges(red: float, u: float, v: float) -> float:
    """Return the straight distance to what the model predicts at a pixel."""
    x, y = (u - 239.5) / FOCAL, (v - 159.5) / FOCAL
    return metres_of(red) * float(np.sqrt(1 + x * x + y * y))


def test_taped_distances_give_the_factor_and_a_file_for_the_node(model, tmp_path, capsys):
    picture = yard(tmp_path)
    flags = []
    for red, u, off in ((60, 80, 1.0), (120, 240, 1.02), (160, 400, 0.98)):
        flags += ['--at', f'{u},160={ranges(red, u, 160) * 1.25 * off}']
    assert tape(model, tmp_path, picture, '--fx', FOCAL, *flags) == 0
    assert scale_in(tmp_path / 'scale.yaml') == pytest.approx(1.25, rel=0.003)
    text = (tmp_path / 'scale.yaml').read_text()
    assert text.startswith('# Measured by `lightdepth scale tape`')
    assert '(1 sigma), from 3 taped distances' in text
    assert cv2.imread(str(tmp_path / 'scale.png')) is not None
    shown = capsys.readouterr().out
    assert '-1.9' in shown or '-2.0' in shown  # the second tape, 2 % longer than the fit
    assert 'yard.png' in shown


def test_mount_that_the_network_was_told_goes_into_the_file(tmp_path, capsys):
    make_tiny_model(tmp_path, student='plain', ground=True)
    picture = yard(tmp_path, [(0, 100)])
    camera = Camera(480, 320, FOCAL, FOCAL, 239.5, 159.5)
    image = np.full((1, 320, 480, 3), 100, np.uint8)
    for mount in (None, Mount(0.825, 5.0)):
        cells = ground_map(camera, mount, (320, 480))
        depth_m = tiny_outputs(image, 2, cells)['depth'][0, 0, 0] * FOCAL / CANONICAL_FOCAL_PX
        words = []
        if mount is not None:
            depth_m *= 0.5
            words = ['--camera-height-m', '0.825', '--camera-pitch-deg', '5']
        at = f'240,160={1.25 * depth_m}'
        code = tape(tmp_path, tmp_path, picture, '--fx', FOCAL, '--along-axis', '--at', at, *words)
        assert code == 0
        assert scale_in(tmp_path / 'scale.yaml') == pytest.approx(1.25, rel=0.003)
        config = NodeConfig(**read_settings(tmp_path / 'scale.yaml'))
        assert config.fixed_mount == mount
        said = ' '.join(capsys.readouterr().out.split())
        assert ('was not told where the camera stands' in said) == (mount is None)


def test_mount_tf_is_refused_because_nothing_follows_it_here(model, tmp_path, capsys):
    (tmp_path / 'tf.yaml').write_text('/**:\n  ros__parameters:\n    mount: tf\n')
    words = ('--fx', FOCAL, '--at', '240,160=5', '--params-file', tmp_path / 'tf.yaml')
    assert tape(model, tmp_path, yard(tmp_path), *words) == 1
    assert 'mount is tf, which is not followed here' in capsys.readouterr().err


def test_region_csv_and_distance_along_the_axis(model, tmp_path, capsys):
    yard(tmp_path)
    csv = tmp_path / 'tapes.csv'
    metres = metres_of(60) * 1.1
    csv.write_text(f'image,u,v,metres\n# near\nyard.png,20,20,100,300,{metres}\n')
    assert tape(model, tmp_path, '--pairs', csv, '--fx', FOCAL, '--along-axis') == 0
    assert scale_in(tmp_path / 'scale.yaml') == pytest.approx(1.1, rel=1e-3)
    assert 'Fewer than three distances' in capsys.readouterr().out


def test_a_low_camera_may_need_a_low_factor(model, tmp_path, capsys):
    picture = yard(tmp_path, ((0, 60), (160, 60), (320, 60)))
    low = '--at', '80,160=3.9', '--at', '240,160=3.9', '--at', '400,160=3.9'
    assert tape(model, tmp_path, picture, '--fx', FOCAL, *low) == 0
    found = scale_in(tmp_path / 'scale.yaml')
    assert 0.1 < found < 0.4
    assert 'far below the height of a car' in capsys.readouterr().out
    assert tape(model, tmp_path, picture, '--fx', FOCAL, *low, '--camera-height-m', '0.49') == 0
    assert 'far below the height of a car' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('words', 'part'),
    [
        (('--at', '80,160=9999'), 'must lie between 0 and 1000 m'),
        (('--at', '80=4'), '--at is'),
        (('--at', '900,160=4'), 'is not in the part of the image'),
        (('--at', '80,160=150'), 'implausible'),
        (('--at', '80,160=0.4'), 'implausible'),
        (('--at', '80,160=15', '--at', '240,160=60', '--at', '400,160=200'), 'contradict'),
        ((), 'give distances'),
        (('--at', '80,160=15', '--plausible', '2', '1'), '0 < LOW < HIGH'),
    ],
)
def test_bad_tapes_are_refused_and_write_nothing(model, tmp_path, capsys, words, part):
    picture = yard(tmp_path, ((0, 60), (160, 60), (320, 60)))
    assert tape(model, tmp_path, picture, '--fx', FOCAL, *words) == 1
    assert part in capsys.readouterr().err
    assert not (tmp_path / 'scale.yaml').exists()


# By the height of the camera


def ground_picture(path, height_m: float, pitch_deg: float) -> None:
    """Write a 480x320 picture in whose prediction a road lies under the camera."""
    v, u = np.mgrid[:320, :480]
    x, y = (u - 239.5) / FOCAL, (v - 159.5) / FOCAL
    pitch = np.radians(pitch_deg)
    slope = y * np.cos(pitch) + np.sin(pitch) + 0 * x
    depth = height_m / np.maximum(slope, 1e-3)
    red = np.clip(np.rint(depth / metres_of(1)), 0, 255)
    rgb = np.zeros((320, 480, 3), np.uint8)
    rgb[..., 0] = red
    rgb[..., 1] = np.where(red < 100, ROAD, CAR)
    cv2.imwrite(str(path), rgb[..., ::-1])


def height(model, tmp_path, *words) -> int:
    flags = ('--model', str(model), '--out', str(tmp_path / 'scale.yaml'), '--fx', str(FOCAL))
    return cli.main(['scale', 'height', *map(str, words), *flags])


def test_camera_height_gives_the_factor_and_the_pitch(model, tmp_path, capsys):
    folder = tmp_path / 'drive'
    folder.mkdir()
    for k, height_m in enumerate((2.9, 3.0, 3.1)):
        ground_picture(folder / f'{k}.png', height_m, 10)
    assert height(model, tmp_path, folder, '--height-m', 3.6) == 0
    assert scale_in(tmp_path / 'scale.yaml') == pytest.approx(1.2, rel=0.02)
    pitch = float(re.search(r'pitch ([+-][\d.]+)', (tmp_path / 'scale.yaml').read_text())[1])
    assert pitch == pytest.approx(10, abs=0.5)
    assert '2.png' in capsys.readouterr().out


def test_pictures_without_ground_are_refused_with_the_reason(model, tmp_path, capsys):
    picture = yard(tmp_path)
    assert height(model, tmp_path, picture, '--height-m', 1.5) == 1
    out, err = capsys.readouterr()
    assert '0 heights over the ground from 0 images are too few' in err
    assert 'ground' in out
    assert not (tmp_path / 'scale.yaml').exists()


# By a recording


def lidar_drive(scale: float, lag_ms: int = 5, depth_image: bool = False, d=()) -> list:
    """Return images at 10 Hz whose predicted depth, times `scale`, the other sensor measures."""
    messages = [('/tf_static', bags.START_NS, m) for m in bags.tf_static()]
    for k in range(6):
        now = bags.START_NS + 100 * k * bags.MS
        later = now + lag_ms * bags.MS
        red = 60 + 20 * k
        rgb = np.full((*bags.HW, 3), red, np.uint8)
        z = scale * metres_of(red, bags.FOCAL)
        messages.append(('/cam/camera_info', now, bags.camera_info(d=d)))
        messages.append(('/cam/image_raw', now, bags.image(now, rgb, 'rgb8')))
        if depth_image:
            depth = bags.image(later, np.full(bags.HW, z, np.float32), '32FC1')
            messages.append(('/cam/depth', later, depth))
            continue
        tangents = np.stack(np.meshgrid(np.linspace(-0.25, 0.25, 24), np.linspace(-0.1, 0.1, 12)))
        points = [(z + 0.5, -a * z, -b * z - 0.5) for a, b in tangents.reshape(2, -1).T]
        messages.append(('/lidar/points', later, bags.cloud(later, points)))
    return messages


def by_bag(model, tmp_path, messages, *words) -> int:
    bag = bags.write(tmp_path / 'bag', messages)
    flags = ('--model', model, '--out', tmp_path / 'scale.yaml', '--input-width', 64,
             '--input-height', 32)  # fmt: skip
    return cli.main(['scale', 'bag', str(bag), *map(str, (*words, *flags))])


LIDAR = ('--points-topic', '/lidar/points', '--image-topic', '/cam/image_raw')
DEPTH = ('--depth-topic', '/cam/depth', '--image-topic', '/cam/image_raw')


def test_lidar_in_a_bag_gives_the_factor(model, tmp_path, capsys):
    assert by_bag(model, tmp_path, lidar_drive(1.15), *LIDAR) == 0
    assert scale_in(tmp_path / 'scale.yaml') == pytest.approx(1.15, rel=1e-3)
    shown = capsys.readouterr().out
    assert '10 to 15 m' in shown
    assert '6 images compared' in (tmp_path / 'scale.yaml').read_text()
    assert cv2.imread(str(tmp_path / 'scale.png')) is not None


@pytest.mark.parametrize('d', [(), (-0.2, 0.0, 0.0, 0.0, 0.0)])
def test_depth_topic_in_a_bag_gives_the_factor_through_a_lens_too(model, tmp_path, d):
    assert by_bag(model, tmp_path, lidar_drive(0.9, depth_image=True, d=d), *DEPTH) == 0
    assert scale_in(tmp_path / 'scale.yaml') == pytest.approx(0.9, rel=1e-3)


def without(topic: str) -> list:
    return [m for m in lidar_drive(1.0) if m[0] != topic]


@pytest.mark.parametrize(
    ('messages', 'words', 'parts'),
    [
        (lidar_drive(1.0, lag_ms=50), LIDAR, ['0 pixels', 'without a measurement near enough']),
        (lidar_drive(1.0), (), ['--points-topic (a lidar) or --depth-topic']),
        (lidar_drive(1.0), ('--points-topic', '/nope'), ['no message on /nope (--points-topic)']),
        (without('/tf_static'), LIDAR, ["no transforms lead from frame 'lidar'"]),
        (without('/cam/camera_info'), LIDAR, ['no message on /cam/camera_info']),
        (lidar_drive(3.0), LIDAR, ['implausible (scale 3']),
        (lidar_drive(1.0)[:5], LIDAR, ['1 images are too few']),
    ],
)
def test_bad_recordings_are_refused_with_the_numbers(
    model, tmp_path, capsys, messages, words, parts
):
    assert by_bag(model, tmp_path, messages, *words) == 1
    error = capsys.readouterr().err
    for part in parts:
        assert part in error
    assert not (tmp_path / 'scale.yaml').exists()


@pytest.mark.parametrize('way', ['tape', 'bag', 'height'])
def test_each_way_explains_itself_with_an_example(way, capsys):
    with pytest.raises(SystemExit, match='0'):
        cli.main(['scale', way, '--help'])
    text = capsys.readouterr().out
    assert f'lightdepth scale {way} ' in text.split('example')[1]
    assert '--params-file depth_scale.yaml' in text
