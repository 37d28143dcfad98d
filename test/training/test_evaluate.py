# SPDX-License-Identifier: Apache-2.0
"""training.evaluate: predictions brought to frame pixels, scores, tables and the command line."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.perception.placement import plan
from lightdepth_ros.perception.prediction import Prediction
from training import evaluate
from training.datasets.sample import Sample
from training.scoring import fullframe, report
from training.scoring import score as scoring
from training.scoring.fullframe import FullFrame, Model, full_size, merge_tiles
from training.scoring.protocols import PROTOCOLS

RAW = PROTOCOLS['raw']
FINE = Camera(64, 32, 50.0, 50.0, 31.5, 15.5)
COARSE = FINE.resized(32, 16)


class Listed:
    """A data set of samples given as a list."""

    def __init__(self, name: str, samples: list[Sample]) -> None:
        self.name, self.samples = name, samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def prediction(depth_m: np.ndarray, camera: Camera = COARSE) -> Prediction:
    """Return a prediction of this depth with labels counting columns and confidence 0.4."""
    label = np.broadcast_to(np.arange(depth_m.shape[1]) % 19, depth_m.shape).astype(np.uint8)
    return Prediction(depth_m, label, np.full(depth_m.shape, 102, np.uint8), camera)


def test_depth_that_is_linear_in_its_logarithm_is_brought_to_frame_pixels_exactly():
    u = np.arange(COARSE.width)
    depth = np.broadcast_to(np.exp(1 + 0.05 * u), (16, 32)).astype(np.float32)
    frame = full_size(prediction(depth), FINE, 80.0)
    at = (np.arange(FINE.width) + 0.5) / 2 - 0.5  # the half-pixel rule
    inner = slice(1, -1)
    ramp = np.broadcast_to(1 + 0.05 * at[inner], (32, 62))
    np.testing.assert_allclose(np.log(frame.depth_m[:, inner]), ramp, atol=1e-3)
    np.testing.assert_allclose(frame.depth_m[:, 0], depth[0, 0], rtol=1e-5)
    np.testing.assert_array_equal(frame.label_id[5], (np.arange(64) // 2) % 19)
    np.testing.assert_allclose(frame.confidence, 0.4, atol=1e-6)


def test_unknown_depth_stays_unknown_and_does_not_spoil_its_neighbours():
    depth = np.full((16, 32), 7, np.float32)
    depth[4, 10] = np.nan
    frame = full_size(prediction(depth), FINE, 80.0)
    unknown = np.isnan(frame.depth_m)
    assert unknown[8:10, 20:22].all()
    assert unknown.sum() == 4
    np.testing.assert_allclose(frame.depth_m[~unknown], 7, rtol=1e-5)


def test_sky_becomes_the_far_limit_and_too_near_stays_an_answer():
    depth = np.full((16, 32), np.inf, np.float32)
    depth[8:] = -np.inf
    frame = full_size(prediction(depth), FINE, 80.0)
    np.testing.assert_allclose(frame.depth_m[:15], 80, rtol=1e-5)
    assert (frame.depth_m[17:] < 1e-3).all()
    assert not np.isnan(frame.depth_m).any()


def test_pixels_outside_a_cropped_prediction_have_no_answer():
    camera = FINE.cropped(16, 0, 32, 32).resized(16, 16)
    frame = full_size(prediction(np.full((16, 16), 7, np.float32), camera), FINE, 80.0)
    inside = np.zeros((32, 64), bool)
    inside[:, 16:48] = True
    np.testing.assert_array_equal(~np.isnan(frame.depth_m), inside)
    np.testing.assert_array_equal(frame.label_id != 255, inside)
    np.testing.assert_array_equal(~np.isnan(frame.confidence), inside)


def test_one_pass_over_a_kitti_frame_is_320_by_1056():
    assert fullframe.pass_size((375, 1242), 320, 32) == (320, 1056)
    assert fullframe.pass_size((320, 480), 320, 32) == (320, 480)
    with pytest.raises(ConfigError, match='input height is 300'):
        fullframe.pass_size((375, 1242), 300, 32)


def test_three_tiles_cover_a_wide_frame_and_one_a_narrow_one():
    assert fullframe.tile_starts((375, 1242)) == [0, 340, 680]
    assert fullframe.tile_width((375, 1242)) == 562
    assert fullframe.tile_starts((360, 480)) == [0]
    assert fullframe.tile_width((360, 480)) == 480


def test_overlapping_tiles_are_averaged_in_log_depth():
    def tile(metres: float, label: int, sure: float) -> FullFrame:
        return FullFrame(np.full((2, 4), metres, np.float32), np.full((2, 4), label, np.uint8),
                         np.full((2, 4), sure, np.float32))  # fmt: skip

    left, right = tile(4, 1, 0.2), tile(16, 2, 0.6)
    right.depth_m[0, 0] = np.nan
    merged = merge_tiles([left, right], [0, 2], 7)
    np.testing.assert_allclose(merged.depth_m[1], [4, 4, 8, 8, 16, 16, np.nan], rtol=1e-6)
    assert merged.depth_m[0, 2] == pytest.approx(4)
    np.testing.assert_array_equal(merged.label_id[1], [1, 1, 1, 2, 2, 2, 255])
    np.testing.assert_allclose(merged.confidence[1], [0.2, 0.2, 0.4, 0.4, 0.6, 0.6, np.nan],
                               rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    ('wide', 'answers'),
    [('node', 0.45), ('predict', 0.9), ('one-pass', 0.97), ('three-tiles', 0.97)],
)
def test_a_wide_frame_gets_true_metres_in_every_form(tmp_path: Path, wide: str, answers: float):
    model = Model(make_tiny_model(tmp_path), wide=wide)
    rgb = np.full((192, 640, 3), (40, 13, 51), np.uint8)
    camera = Camera.from_fov(640, 192, 60.0)
    frame = model(rgb, camera, 80.0)
    rows = model.network_hw(camera.size_hw)[0]
    focal_px = camera.fx * rows / 192  # the network sees all rows of the frame
    answered = ~np.isnan(frame.depth_m)
    assert answers <= answered.mean() <= answers + 0.1
    np.testing.assert_allclose(frame.depth_m[answered], 20 * focal_px / 600, rtol=2e-3)
    assert (frame.label_id[answered] == 13).all()
    np.testing.assert_allclose(frame.confidence[answered], 0.2, atol=1e-6)


def test_an_unknown_wide_form_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match='wide is'):
        Model(make_tiny_model(tmp_path), wide='panorama')
    with pytest.raises(ConfigError, match='wide is'):
        Model(make_tiny_model(tmp_path)).with_way('panorama', 320)


def test_users_ways_are_the_defaults_of_node_and_predict_whatever_rows_are_asked_for(tmp_path):
    model = Model(make_tiny_model(tmp_path), input_height=160)
    kitti = (375, 1242)
    assert model.placement(kitti).input_hw == (160, 544)
    node, predict = model.with_way('node', 160), model.with_way('predict', 160)
    config = NodeConfig()
    assert node.input_of(kitti) == (config.input_hw, config.fit)
    assert predict.placement(kitti) == plan(kitti, config.input_hw, 'adapt', 32)
    assert node.with_height(192).input_of(kitti)[0] == (192, 288)


@pytest.mark.parametrize(
    ('choice', 'told'),
    [('unknown', None), ('dataset', Mount(0.31)), (Mount(0.5, 4), Mount(0.5, 4))],
)
def test_the_network_is_told_the_mount_that_was_chosen(tmp_path, monkeypatch, choice, told):
    heard = []
    predict = Perception.predict

    def listening(self, rgb, view, outputs, mount=None):
        heard.append(mount)
        return predict(self, rgb, view, outputs, mount)

    monkeypatch.setattr(Perception, 'predict', listening)
    model = Model(make_tiny_model(tmp_path)).with_mount(choice)
    sample = dataclasses.replace(calibrated('a', 40, 20.0), height_m=0.31)
    for wide in ('node', 'three-tiles'):
        scoring.ask(model.with_way(wide, 320), sample, 80.0)
    assert set(heard) == {told}


def test_a_pose_of_the_data_set_goes_before_its_height_alone():
    sample = dataclasses.replace(calibrated('a', 40, 20.0), height_m=1.65)
    assert scoring.mount_of(sample) == Mount(1.65)
    posed = dataclasses.replace(sample, pose=Mount(1.6, 2.0, -1.0))
    assert scoring.mount_of(posed) == Mount(1.6, 2.0, -1.0)
    assert scoring.mount_of(dataclasses.replace(sample, height_m=None)) is None


def test_mounts_are_read_as_metres_and_degrees():
    assert evaluate.parse_mount('dataset') == 'dataset'
    assert evaluate.parse_mount('0.42') == Mount(0.42)
    assert evaluate.parse_mount('0.42,5,-1') == Mount(0.42, 5.0, -1.0)
    for wrong in ('high', '1,2,3,4', '0'):
        with pytest.raises(ConfigError, match=r'mount is|camera height is 0'):
            evaluate.parse_mount(wrong)


def test_each_mount_has_its_own_table_and_pictures(tmp_path, two_frames, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, 'open_dataset', lambda _name, _root: two_frames)
    arguments = ['--model', str(make_tiny_model(tmp_path)), '--out', str(tmp_path / 'out')]
    assert evaluate.main([*arguments, '--mount', 'unknown', '--mount', '0.4,5']) == 0
    printed = capsys.readouterr().out
    assert 'one-pass, mount unknown' in printed
    assert 'one-pass, mount 0.4,5' in printed
    assert (tmp_path / 'out' / 'two-frames_node_0_4_5_distance.png').is_file()
    assert (tmp_path / 'out' / 'two-frames_node_distance.png').is_file()


def test_ways_that_come_to_the_same_are_scored_once(tmp_path, two_frames):
    model = Model(make_tiny_model(tmp_path))
    everything = 'node,predict,one-pass,three-tiles'
    found = evaluate.ways_of(model, two_frames, everything, 320)
    same = [same for _, same in found]
    assert same == [['node', 'predict', 'one-pass'], ['three-tiles']], 'the frames are 480x320'
    wide = Listed('wide', [Sample(np.zeros((94, 311, 3), np.uint8), None, None, None, 'w')])
    assert len(evaluate.ways_of(model, wide, everything, 320)) == 4


def calibrated(name: str, red: int, truth_m: float, label: int = 0) -> Sample:
    """Return a 320x480 frame for which the tiny model says red / 2 metres everywhere."""
    camera = Camera(480, 320, 600.0, 600.0, 239.5, 159.5)
    depth = np.zeros((320, 480), np.float32)
    depth[100:110, 100:200] = truth_m
    rgb = np.full((320, 480, 3), (red, label, 204), np.uint8)
    return Sample(rgb, camera, depth, None, name)


@pytest.fixture
def two_frames() -> Listed:
    return Listed('two-frames', [calibrated('good', 40, 20.0), calibrated('bad', 60, 20.0)])


def test_scores_of_two_frames_equal_the_numbers_worked_by_hand(tmp_path, two_frames):
    result = evaluate.evaluate_model(Model(make_tiny_model(tmp_path)), two_frames, RAW)
    assert result['depth']['abs_rel'] == pytest.approx((0 + 0.5) / 2, abs=1e-5)
    assert result['depth']['rmse'] == pytest.approx((0 + 10) / 2, abs=1e-4)
    assert result['per_pixel']['rmse'] == pytest.approx(math.sqrt(50), abs=1e-4)
    assert result['depth']['delta1'] == 0.5
    assert result['coverage'] == 1
    assert [b['pixels'] for b in result['by_distance']] == [0, 0, 2000, 0, 0]
    assert result['confidence']['calibration_error'] == pytest.approx(0.8 - 0.5, abs=1e-6)
    assert [f['name'] for f in result['frames']] == ['good', 'bad']
    assert result['input_hw'] == (320, 480)


def test_labels_alone_are_scored_without_a_calibration():
    frame = FullFrame(np.full((2, 4), 9, np.float32), np.zeros((2, 4), np.uint8),
                      np.ones((2, 4), np.float32))  # fmt: skip
    frame.label_id[0] = [CLASS_ID['road'], CLASS_ID['terrain'], CLASS_ID['sky'], 255]
    coarse = np.full((2, 4), 255, np.uint8)
    coarse[0] = [0, 1, 0, 0]
    sample = Sample(np.zeros((2, 4, 3), np.uint8), None, None, None, 'street', nav7_id=coarse)
    result = scoring.summary([scoring.score_frame(sample, lambda *_: frame, RAW)], RAW)
    assert result['nav7']['iou']['drivable'] == 0.5
    assert result['nav7']['iou']['non_drivable_ground'] == 1
    assert result['nav7']['miou'] == 0.75, 'sky is not in the truth: it has no IoU of its own'
    assert result['nav7']['coverage'] == 0.75, 'the unanswered pixel is counted'
    assert 'depth' not in result


def test_frames_that_no_protocol_can_score_are_an_error(two_frames):
    with pytest.raises(DataError, match='two-frames has no frame that protocol annotated'):
        scoring.score(two_frames, lambda *_: None, PROTOCOLS['annotated'])


def test_sisters_of_a_model_are_found_by_exit_name():
    found = evaluate.contracts_of(Path('m/lightdepth_plain_L.json'), 'L,XS')
    assert found == [Path('m/lightdepth_plain_L.json'), Path('m/lightdepth_plain_XS.json')]
    assert evaluate.contracts_of(Path('m/other.json'), '') == [Path('m/other.json')]
    with pytest.raises(ConfigError, match="exit is 'XL'"):
        evaluate.contracts_of(Path('m/lightdepth_plain_L.json'), 'L,XL')


@pytest.mark.slow
def test_the_command_prints_one_row_per_exit_and_writes_every_file(
    tmp_path, two_frames, monkeypatch, capsys
):
    for name in ('L', 'XS'):
        model = make_tiny_model(tmp_path / 'models', name)
    monkeypatch.setattr(evaluate, 'open_dataset', lambda _name, _root: two_frames)
    out = tmp_path / 'out'
    arguments = ['--model', str(model), '--exits', 'L,XS', '--data', 'any', '--out', str(out)]
    assert evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith('| lightdepth_tiny_L '))
    assert row.split('|')[2].strip() == '0.250'
    assert 'lightdepth_tiny_XS' in printed
    assert RAW.sentence()[1:] in printed
    results = json.loads((out / 'evaluation.json').read_text())
    assert [r['exit'] for r in results] == ['L', 'XS']
    assert (out / 'evaluation.md').read_text() in printed
    assert {p.name for p in out.iterdir()} == {
        'evaluation.json', 'evaluation.md', 'two-frames_node_distance.png',
        'two-frames_node_reliability.png', 'two-frames_node_lightdepth_tiny_L_worst.png',
        'two-frames_node_lightdepth_tiny_XS_worst.png',
    }  # fmt: skip


def test_a_missing_model_ends_with_a_message_and_code_2(tmp_path, two_frames, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, 'open_dataset', lambda _name, _root: two_frames)
    assert evaluate.main(['--model', str(tmp_path / 'none.json')]) == 2
    assert 'cannot read the model contract' in capsys.readouterr().err


def test_a_limit_scores_the_first_frames_and_says_so(tmp_path, two_frames, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, 'open_dataset', lambda _name, _root: two_frames)
    assert evaluate.main(['--model', str(make_tiny_model(tmp_path)), '--limit', '1']) == 0
    printed = capsys.readouterr().out
    assert '## two-frames, first 1, 1 frames, node = predict = one-pass, mount unknown' in printed
    assert '| lightdepth_tiny_L | 0.000 ' in printed


def test_the_worst_frames_come_first():
    from training.scoring.worst import worst_rows

    depth = [{'name': 'a', 'abs_rel': 0.1}, {'name': 'b', 'abs_rel': 0.3},
             {'name': 'c', 'abs_rel': math.nan}]  # fmt: skip
    assert [f['name'] for f in worst_rows(depth, 2)] == ['b', 'a']
    labels = [{'name': 'a', 'nav7_miou': 0.9}, {'name': 'b', 'nav7_miou': 0.2}]
    assert [f['name'] for f in worst_rows(labels, 1)] == ['b']


def test_tables_are_markdown_with_one_width_per_column():
    text = report.table(['a', 'b'], [['long cell', '1'], ['x', '22']])
    assert len({len(line) for line in text.splitlines()}) == 1
    assert text.splitlines()[1].replace('-', '') == '|||'


@pytest.mark.data
def test_the_row_median_baseline_lands_where_a_baseline_must(data_root):
    from training.datasets.catalog import open_dataset

    depths = [open_dataset('kitti-train', data_root)[i].depth_m for i in range(0, 68, 4)]
    rows = [np.concatenate([d[min(k, len(d) - 1)] for d in depths]) for k in range(376)]
    median = np.array([np.median(r[r > 0]) if (r > 0).any() else 80 for r in rows], np.float32)

    def predictor(rgb: np.ndarray, _camera: Camera, _far_m: float, *_: object) -> FullFrame:
        depth = np.repeat(median[: rgb.shape[0], None], rgb.shape[1], 1)
        return FullFrame(depth, np.zeros(depth.shape, np.uint8), np.ones_like(depth))

    frames = open_dataset('kitti-val', data_root)
    result = scoring.summary(scoring.score(frames, predictor, RAW), RAW)
    assert 0.2 < result['depth']['abs_rel'] < 0.35
    assert 10 < result['depth']['rmse'] < 13
    annotated = scoring.score(frames, predictor, PROTOCOLS['annotated'])
    assert len(annotated) == 3
