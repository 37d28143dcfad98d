# SPDX-License-Identifier: Apache-2.0
"""`lightdepth predict`: every file it promises, with the right numbers, and honest failures."""

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_camera_yaml import TEXT as CALIBRATION
from test_files import cut_video, write_video
from tiny_model import make_tiny_model, tiny_outputs

from lightdepth_ros import files
from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.cli import main
from lightdepth_ros.cli.predict import PICTURE_PIXELS
from lightdepth_ros.contract import file_sha256
from lightdepth_ros.errors import EngineError
from lightdepth_ros.mount import Mount, ground_map
from lightdepth_ros.perception.perception import Perception

KINDS = ['cloud.ply', 'depth.png', 'depth_color.png', 'label.png', 'overlay.png']
CAR = CLASS_ID['car']


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    for exit_name in ('L', 'S'):
        make_tiny_model(folder, exit_name, student='plain')
    return folder


@pytest.fixture
def predict(model, tmp_path):
    """Run the command on a path; return its exit code and {name: path} of what it wrote."""

    def predict(source, *words):
        out = tmp_path / 'out'
        code = main(['predict', str(source), '--out', str(out), '--model', str(model), *words])
        written = {path.name: path for path in out.iterdir()} if out.is_dir() else {}
        return code, written

    return predict


def save(path: Path, color=(100, CAR, 255), hw=(320, 480)) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(files.png(np.full((*hw, 3), color, np.uint8)))
    return path


def test_a_picture_gives_every_file_with_the_models_numbers(predict, tmp_path, capsys):
    code, written = predict(save(tmp_path / 'a.png'), '--fx', '300')
    assert code == 0
    assert sorted(written) == [f'a_{kind}' for kind in KINDS]
    depth_m = files.read_depth_png(written['a_depth.png'])
    assert depth_m.shape == (160, 240)
    np.testing.assert_allclose(depth_m, 25.0, atol=1 / 256)  # 100 * 0.5 m * 300 px / 600 px
    assert (cv2.imread(str(written['a_label.png']), cv2.IMREAD_UNCHANGED) == CAR).all()
    data = written['a_cloud.ply'].read_bytes()
    vertices = np.frombuffer(data[data.index(b'end_header\n') + 11 :], files.PLY_POINT)
    assert len(vertices) == 160 * 240
    np.testing.assert_allclose(vertices['z'], 25.0, rtol=1e-6)
    # 240 pixels see 480 / 300 metres at one metre: 40 m at 25 m, less one pixel.
    assert np.ptp(vertices['x']) == pytest.approx(40 * 239 / 240, rel=1e-5)
    assert '1 frames written' in capsys.readouterr().out


def test_pictures_for_people_are_large_and_as_wide_as_each_other(predict, tmp_path):
    _, written = predict(save(tmp_path / 'a.png'), '--fov-deg', '60')
    shapes = [files.read_rgb(written[f'a_{kind}']).shape for kind in KINDS[2::2]]
    assert {shape[1] for shape in shapes} == {960}
    assert all(shape[0] > 640 for shape in shapes)


@pytest.mark.parametrize('hw', [(480, 640), (375, 1242), (40, 50), (1080, 1920)])
def test_the_network_adapts_to_the_shape_of_the_picture(predict, tmp_path, hw):
    code, written = predict(save(tmp_path / 'a.png', hw=hw), '--fov-deg', '70')
    depth_m = files.read_depth_png(written['a_depth.png'])
    assert code == 0
    assert depth_m.shape[1] / depth_m.shape[0] == pytest.approx(hw[1] / hw[0], rel=0.07)


def test_resolution_and_fit_can_be_chosen(predict, tmp_path):
    picture = save(tmp_path / 'a.png', hw=(320, 320))
    _, written = predict(picture, '--output-resolution', 'S', '--fit', 'pad', '--fov-deg', '60')
    depth_m = files.read_depth_png(written['a_depth.png'])
    assert depth_m.shape == (40, 60)
    assert np.isnan(depth_m[:, :10]).all()
    assert np.isfinite(depth_m[:, 10:50]).all()


def test_without_a_camera_depth_is_canonical_and_it_says_so(predict, tmp_path, capsys):
    code, written = predict(save(tmp_path / 'a.png'))
    assert code == 0
    assert 'a_cloud.ply' not in written
    np.testing.assert_allclose(files.read_depth_png(written['a_depth.png']), 50.0)
    assert 'up to one constant factor' in ' '.join(capsys.readouterr().out.split())


def test_the_height_of_the_camera_is_taken_and_missed(tmp_path, capsys):
    """100 red are 50 m; the ground map adds what its mean says; 300 px halve it."""
    make_tiny_model(tmp_path / 'model', student='plain', ground=True)
    picture = save(tmp_path / 'a.png')
    camera = Camera(480, 320, 300.0, 300.0, 239.5, 159.5)
    words = ['predict', str(picture), '--out', str(tmp_path / 'out'), '--fx', '300']
    words += ['--model', str(tmp_path / 'model')]
    for more, mount, factor in (
        ([], None, 1.0),
        (['--camera-height-m', '0.825', '--camera-pitch-deg', '5'], Mount(0.825, 5.0), 0.5),
    ):
        assert main([*words, *more]) == 0
        depth_m = files.read_depth_png(tmp_path / 'out' / 'a_depth.png')
        cells = ground_map(camera, mount, (320, 480))
        image = np.full((1, 320, 480, 3), (100, CAR, 255), np.uint8)
        expected = tiny_outputs(image, 2, cells)['depth'][0] * 0.5 * factor
        np.testing.assert_allclose(depth_m, expected, atol=2 / 256)
        told = 'height of the camera is not known' in ' '.join(capsys.readouterr().out.split())
        assert told == (mount is None)


def test_a_model_file_of_another_resolution_is_used_and_it_says_so(model, tmp_path, capsys):
    picture = str(save(tmp_path / 'a.png'))
    file = str(model / 'lightdepth_plain_S.json')
    assert main(['predict', picture, '--out', str(tmp_path / 'out'), '--model', file]) == 0
    assert files.read_depth_png(tmp_path / 'out' / 'a_depth.png').shape == (40, 60)
    assert 'output resolution L has no effect' in ' '.join(capsys.readouterr().out.split())


def test_a_calibration_file_with_distortion_works(predict, tmp_path):
    calibration = tmp_path / 'camera.yaml'
    calibration.write_text(CALIBRATION)
    picture = save(tmp_path / 'a.png', hw=(480, 640))
    code, written = predict(picture, '--camera-yaml', str(calibration), '--fit', 'crop')
    assert code == 0
    depth_m = files.read_depth_png(written['a_depth.png'])
    focal_px = np.sqrt(500 * 480 / 640 * 505 * 320 / 427)  # the crop is 427 lines high
    np.testing.assert_allclose(depth_m, 50 * focal_px / 600, atol=1 / 256)


def test_a_folder_skips_what_is_no_picture_and_goes_on(predict, tmp_path, capsys):
    save(tmp_path / 'in' / 'a.png')
    (tmp_path / 'in' / 'b.jpg').write_bytes(b'not a picture')
    save(tmp_path / 'in' / 'c.png')
    code, written = predict(tmp_path / 'in', '--fov-deg', '60')
    assert code == 1
    assert sorted(written) == [f'{name}_{kind}' for name in 'ac' for kind in KINDS]
    text = ' '.join(capsys.readouterr().out.split())
    assert '2 frames written' in text
    assert 'skipped b:' in text
    assert 'not a picture that OpenCV can read' in text


@pytest.mark.parametrize('hw', [(400, 16), (16, 400)])
def test_pictures_for_people_of_narrow_pictures_stay_of_a_size_that_can_be_drawn(
    predict, tmp_path, hw
):
    code, written = predict(save(tmp_path / 'a.png', hw=hw))
    assert code == 0
    shown = files.read_rgb(written['a_overlay.png'])
    assert shown.shape[0] * shown.shape[1] < 1.5 * PICTURE_PIXELS


def test_a_folder_goes_on_after_a_picture_that_is_too_thin_or_that_the_engine_refuses(
    predict, tmp_path, capsys, monkeypatch
):
    save(tmp_path / 'in' / 'a.png', hw=(400, 2))
    save(tmp_path / 'in' / 'b.png', color=(7, CAR, 255))
    save(tmp_path / 'in' / 'c.png')
    save(tmp_path / 'in' / '._c.png', hw=(400, 2))
    whole = Perception.predict

    def sometimes(self, rgb, *arguments, **named):
        if rgb[0, 0, 0] == 7:
            raise EngineError('out of memory')
        return whole(self, rgb, *arguments, **named)

    monkeypatch.setattr(Perception, 'predict', sometimes)
    code, written = predict(tmp_path / 'in', '--fov-deg', '60')
    assert code == 1
    assert sorted(written) == [f'c_{kind}' for kind in KINDS]
    text = ' '.join(capsys.readouterr().out.split())
    assert '1 frames written' in text
    assert 'skipped b: out of memory' in text
    assert '._c' not in text


def test_pictures_of_one_name_do_not_overwrite_each_other(predict, tmp_path):
    save(tmp_path / 'in' / 'a.png')
    save(tmp_path / 'in' / 'a.bmp')
    _, written = predict(tmp_path / 'in')
    assert {'a_png_depth.png', 'a_bmp_depth.png'} <= set(written)


def test_a_video_gives_numbered_frames(predict, tmp_path):
    write_video(tmp_path / 'v.avi', 3)
    code, written = predict(tmp_path / 'v.avi', '--fov-deg', '60')
    assert code == 0
    assert sorted(written) == [f'v_00000{i}_{kind}' for i in range(3) for kind in KINDS]


def test_a_video_that_ends_early_keeps_its_frames_and_fails(predict, tmp_path, capsys):
    path = tmp_path / 'v.avi'
    write_video(path, 6)
    cut_video(path)
    code, written = predict(path)
    assert code == 1
    assert 'v_000000_depth.png' in written
    assert 'of 6 frames' in ' '.join(capsys.readouterr().out.split())


def test_a_calibration_of_another_size_skips_the_frame(predict, tmp_path, capsys):
    calibration = tmp_path / 'camera.yaml'
    calibration.write_text(CALIBRATION)
    code, written = predict(save(tmp_path / 'a.png'), '--camera-yaml', str(calibration))
    assert code == 1
    assert written == {}
    assert 'calibration is for 640x480' in ' '.join(capsys.readouterr().out.split())


def test_an_empty_folder_is_an_error(predict, tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    code, written = predict(tmp_path / 'in')
    assert code == 1
    assert written == {}
    assert 'holds no picture' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['gone.png', 'gone.mp4', 'gone'])
def test_a_source_that_is_not_there_is_an_error(predict, tmp_path, name, capsys):
    assert predict(tmp_path / name)[0] == 1
    assert 'does not exist' in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_made_is_an_error(model, tmp_path, capsys):
    picture = save(tmp_path / 'a.png')
    code = main(['predict', str(picture), '--out', str(picture / 'x'), '--model', str(model)])
    assert code == 1
    assert 'cannot write' in capsys.readouterr().err


def test_a_disk_that_fills_up_stops_it_and_leaves_whole_frames_only(
    predict, tmp_path, monkeypatch, capsys
):
    for name in 'abc':
        save(tmp_path / 'in' / f'{name}.png')
    write = Path.write_bytes

    def fill_up(path, data):
        if path.name.startswith('.b_overlay'):
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', fill_up)
    code, written = predict(tmp_path / 'in', '--fov-deg', '60')
    assert code == 1
    assert sorted(written) == [f'a_{kind}' for kind in KINDS]
    captured = capsys.readouterr()
    assert 'No space left on device' in captured.err
    assert '1 frames written' in captured.out


def test_a_missing_and_a_corrupt_model_are_errors(model, tmp_path, capsys):
    picture = str(save(tmp_path / 'a.png'))
    assert main(['predict', picture, '--out', str(tmp_path), '--model', 'no/model.json']) == 1
    assert 'cannot read the model contract' in capsys.readouterr().err
    path = make_tiny_model(tmp_path / 'broken')
    onnx_path = path.with_suffix('.onnx')
    onnx_path.write_bytes(b'garbage')
    assert main(['predict', picture, '--out', str(tmp_path), '--model', str(path)]) == 1
    assert 'SHA-256' in capsys.readouterr().err
    contract = json.loads(path.read_text())
    contract['onnx_sha256'] = file_sha256(onnx_path)
    path.write_text(json.dumps(contract))
    assert main(['predict', picture, '--out', str(tmp_path), '--model', str(path)]) == 1
    assert 'damaged' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--fx', '500', '--fov-deg', '60'], '--fx and --fov-deg both say'),
        (['--cx', '240'], 'need --fx'),
        (['--rectified'], '--camera-yaml'),
        (['--fx', '-3'], 'focal'),
        (['--min-range-m', '90'], 'min_range_m'),
        (['--input-width', '500'], 'multiple of 32'),
    ],
)
def test_flags_that_cannot_work_are_refused(predict, tmp_path, words, message, capsys):
    assert predict(save(tmp_path / 'a.png'), *words)[0] == 1
    captured = capsys.readouterr()
    assert message in captured.err + captured.out


def test_a_picture_is_anchored_to_its_ground(predict, tmp_path):
    rows = np.maximum(np.arange(320) - 159.5, 0.5)
    true_m = 1.65 * 300 / rows  # level ground, 1.65 m below the lens
    rgb = np.zeros((320, 480, 3), np.uint8)  # green 0: road
    rgb[..., 0] = np.minimum(true_m * 1.5 / 0.25, 255)[:, None]  # predicted half as far again
    picture = tmp_path / 'road.png'
    picture.write_bytes(files.png(rgb))
    near = np.s_[115:150, 100:140]
    factors = {}
    for words in ((), ('--anchor', 'ground', '--camera-height-m', '1.65')):
        code, written = predict(picture, '--fx', '300', *words)
        assert code == 0
        depth_m = files.read_depth_png(written['road_depth.png'])
        factors[words] = np.median((depth_m / true_m.reshape(160, 2).mean(1)[:, None])[near])
    assert factors[()] == pytest.approx(1.5, rel=0.05)
    assert factors[words] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize('words', [('--anchor', 'scan'), ('--anchor', 'ground')])
def test_what_a_picture_cannot_be_anchored_to_is_refused(predict, tmp_path, capsys, words):
    code, written = predict(save(tmp_path / 'a.png'), '--fx', '300', *words)
    assert code == 1
    assert not written
    assert '--anchor ground with --camera-height-m' in capsys.readouterr().err


def test_depth_at_the_size_of_the_picture(predict, tmp_path):
    picture = save(tmp_path / 'a.png', hw=(360, 500))
    code, written = predict(picture, '--fx', '300', '--publish-size', 'camera')
    assert code == 0
    assert files.read_depth_png(written['a_depth.png']).shape == (360, 500)
    assert cv2.imread(str(written['a_label.png']), cv2.IMREAD_UNCHANGED).shape == (360, 500)
