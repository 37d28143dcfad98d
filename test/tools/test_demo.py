# SPDX-License-Identifier: Apache-2.0
"""The demo: what it plays, how it counts, that it notices what is wrong; and the whole of it."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lightdepth_ros import draw
from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadImageError, DataError
from lightdepth_ros.perception import cloud
from lightdepth_ros.perception.prediction import Prediction
from tools import demo_drive, demo_report
from tools.demo_drive import DriveFrame
from tools.demo_pictures import GAP_PX, PANEL_WIDTH, side_by_side
from tools.demo_report import Answer, Pass, Truth, wrong_with
from tools.ros_env import ROOT

CAMERA = Camera.from_fov(60, 40, 70.0)


def flags(**given) -> argparse.Namespace:
    unset = dict.fromkeys(
        ('images', 'video', 'frames', 'fx', 'fy', 'cx', 'cy', 'camera_yaml', 'rectified')
    )
    return argparse.Namespace(**{**unset, 'fps': 10.0, 'fov_deg': 0.0, **given})


def write_pictures(folder: Path, count: int, hw: tuple[int, int] = (48, 72)) -> Path:
    """Write pictures whose red channel gives the tiny model positive depth."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        bgr = np.full((*hw, 3), 60, np.uint8)
        bgr[..., 2] = np.linspace(150, 20, hw[0])[:, None]
        bgr[:, : 8 + index] = 90
        cv2.imwrite(str(folder / f'{index:02d}.png'), bgr)
    return folder


def good_answer() -> Answer:
    depth_m = np.full(CAMERA.size_hw, 12.0, np.float32)
    depth_m[:10] = np.inf
    depth_m[10, :5] = np.nan
    label = np.zeros(CAMERA.size_hw, np.uint8)
    points = cloud.points(Prediction(depth_m, label, None, CAMERA), None)
    return Answer(depth_m, label, points, CAMERA.size_hw, CAMERA.fx, 'camera')


# What is played


def test_pictures_are_played_in_order_with_the_camera_that_was_given(tmp_path: Path):
    folder = write_pictures(tmp_path / 'in', 3)
    drive = demo_drive.open_drive(flags(images=folder, fx=80.0))
    frames = list(drive.frames)
    assert [f.name for f in frames] == ['00.png', '01.png', '02.png']
    assert [f.view.fx for f in frames] == [80.0] * 3
    assert (drive.total, drive.note) == (3, '')
    assert frames[2].rgb[0, 30].tolist() == [150, 60, 60]


def test_an_assumed_camera_is_said_and_kitti_is_known_by_its_size(tmp_path: Path):
    small = demo_drive.open_drive(flags(images=write_pictures(tmp_path / 'a', 1)))
    kitti = demo_drive.open_drive(flags(images=write_pictures(tmp_path / 'b', 1, (375, 1242))))
    assert 'ASSUMED' in small.note
    assert '65 degrees' in small.note
    assert '81.4 degrees' in kitti.note
    assert next(kitti.frames).view.fx == pytest.approx(721.5, rel=0.005)


def test_frames_limits_how_much_is_played(tmp_path: Path):
    drive = demo_drive.open_drive(flags(images=write_pictures(tmp_path / 'in', 5), frames=2))
    assert (drive.total, len(list(drive.frames))) == (2, 2)


def test_a_folder_that_is_missing_or_without_pictures_is_named(tmp_path: Path):
    for folder in (tmp_path / 'absent', tmp_path):
        with pytest.raises(DataError, match=str(folder)):
            demo_drive.open_drive(flags(images=folder))


def test_a_damaged_picture_is_named(tmp_path: Path):
    (write_pictures(tmp_path / 'in', 1) / '00.png').write_bytes(b'\x89PNG')
    with pytest.raises(BadImageError, match=r'00\.png'):
        demo_drive.open_drive(flags(images=tmp_path / 'in'))


def write_video(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (72, 48))
    for index in range(count):
        writer.write(np.full((48, 72, 3), 5 * index, np.uint8))
    writer.release()
    return path


def test_a_video_is_played_frame_by_frame(tmp_path: Path):
    drive = demo_drive.open_drive(flags(video=write_video(tmp_path / 'a.avi', 6), fov_deg=90.0))
    frames = list(drive.frames)
    assert drive.total == len(frames) == 6
    assert frames[0].view.fx == pytest.approx(36.0)
    assert frames[5].rgb.mean() == pytest.approx(25, abs=3)


def test_a_video_that_is_cut_short_is_an_error_after_its_last_frame(tmp_path: Path):
    path = write_video(tmp_path / 'a.avi', 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r'a\.avi'):
        list(demo_drive.open_drive(flags(video=path)).frames)


def test_the_built_in_drive_has_moving_pictures_and_exact_truth():
    drive = demo_drive.synthetic_drive(2)
    first, second = drive.frames
    assert first.rgb.shape == (*demo_drive.SYNTHETIC_HW, 3)
    assert (first.rgb != second.rgb).any()
    assert first.depth_m.max() > 20
    assert {0, 10} <= set(np.unique(first.label_id).tolist())  # road and sky


# How it counts


def test_a_pass_counts_dropped_frames_and_takes_percentiles_of_the_answered():
    row = Pass('p', sent=200, latency_ms=[*range(1, 101)], seconds=5.0).row()
    assert row == ['p', '200', '100', '100', '50.5 ms', '99.0 ms', '20.0 Hz']


def test_truth_is_compared_where_both_have_metres():
    frame_depth = np.full((80, 120), 10.0, np.float32)
    frame_depth[:40] = 0  # no value
    labels = np.zeros((80, 120), np.uint8)
    labels[:, 60:] = 10
    frame = DriveFrame('a', np.zeros((80, 120, 3), np.uint8), CAMERA, frame_depth, labels)
    truth = Truth()
    truth.add(frame, good_answer())  # says 12 m where 10 is true, and road everywhere
    assert truth.abs_rel == [pytest.approx(0.2)]
    assert truth.right_labels == [0.5]
    assert 'abs_rel 0.200, 50 % of the labels' in truth.sentence()


def test_truth_of_a_wide_picture_is_cropped_as_the_node_crops_it():
    wide = np.zeros((40, 100), np.uint8)
    wide[:, 20:80] = 7
    np.testing.assert_array_equal(demo_report.covered(wide, (20, 30)), np.full((20, 30), 7))


# That it notices


def test_a_good_answer_has_nothing_wrong():
    assert wrong_with(good_answer(), 'f') == []


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'label_id': np.zeros((4, 6), np.uint8)}, r'semantic/image is \(4, 6\)'),
        ({'info_hw': (20, 30)}, r'depth/camera_info is \(20, 30\)'),
        ({'depth_m': np.full((40, 60), np.nan, np.float32)}, '0.0 % of the depth'),
        ({'depth_m': np.full((40, 60), -1, np.float32)}, 'not positive'),
        ({'label_id': np.full((40, 60), 77, np.uint8)}, r'labels \[77\]'),
        ({'depth_m': np.full((40, 60), 13, np.float32)}, 'the cloud does not lie'),
        ({'focal_px': CAMERA.fx * 1.2}, 'the cloud does not lie'),
    ],
)
def test_a_bad_answer_is_named(change: dict, words: str):
    [first, *_] = wrong_with(replace(good_answer(), **change), 'f')
    assert first.startswith('f: ')
    assert re.search(words, first), first


def test_missing_messages_are_counted_for_each_topic():
    heard = {'/a': 3, '/b': 2}
    wrong = demo_report.missing_messages(heard, {'/a': 't', '/b': 't', '/c': 't'}, 3)
    assert wrong == ['/b: 2 messages for 3 frames', '/c: 0 messages for 3 frames']


def test_four_panels_lie_side_by_side():
    frame = DriveFrame('a', np.full((80, 120, 3), 200, np.uint8), Camera.from_fov(120, 80, 70.0))
    picture = side_by_side(frame, good_answer())
    assert picture.dtype == np.uint8
    assert picture.shape[1] == 2 * PANEL_WIDTH + GAP_PX
    assert (picture[200, 10] == 200).all()  # the camera, top left
    assert picture[60, PANEL_WIDTH + 100].tolist() == list(draw.SKY_COLOR)  # the depth, beside it
    assert picture[480 + GAP_PX + 300, 100].tolist() != [200] * 3  # the labels, below


def test_panels_of_a_wide_picture_lie_above_each_other_beside_the_cloud():
    camera = Camera.from_fov(60, 20, 70.0)
    depth_m = np.full((20, 60), 9.0, np.float32)
    label = np.zeros((20, 60), np.uint8)
    points = cloud.points(Prediction(depth_m, label, None, camera), None)
    answer = Answer(depth_m, label, points, (20, 60), camera.fx, 'camera')
    frame = DriveFrame('a', np.full((40, 120, 3), 200, np.uint8), camera.resized(120, 40))
    picture = side_by_side(frame, answer)
    assert picture.shape[1] == 2 * PANEL_WIDTH + GAP_PX
    assert picture.shape[0] > 3 * 240


# The whole of it


def run_demo(out: Path, ros_env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'tools.demo', '--out', str(out), *words]
    env = {**ros_env, 'COLUMNS': '120'}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.ros
def test_demo_plays_pictures_through_the_installed_node(installed_node, tmp_path, ros_env):
    pytest.importorskip('onnx')
    from tiny_model import make_tiny_model

    from tools.demo_recording import messages_in

    make_tiny_model(tmp_path / 'model', 'L', 'plain')
    pictures = write_pictures(tmp_path / 'in', 4, (320, 480))
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'mine.txt').write_text('stays')
    words = ['--images', str(pictures), '--model', str(tmp_path / 'model'), '--fov-deg', '70']
    done = run_demo(out, ros_env, *words, '--rate', '5')
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((out / 'frames').glob('*.png'))) == 4
    counts = messages_in(out / 'recording')
    assert counts['/semantic/label_info'] == 1  # latched: sent once, before the recording began
    assert {counts[t] for t in ('/image', '/camera_info', '/depth/image', '/points')} == {4}
    layout = (ROOT / 'config' / 'foxglove_layout.json').read_text(encoding='utf-8')
    shown = set(re.findall(r'"(/[a-z_/]+)"', layout))
    assert shown - {'/diagnostics'} <= set(counts)  # once a second: may be too late for 4 frames
    page = (out / 'index.html').read_text(encoding='utf-8')
    assert '<p>ready: model ' in page
    assert page.count('"abs_rel":null') == 4  # no truth is known of one's own pictures
    table = (out / 'table.md').read_text(encoding='utf-8')
    assert re.search(r'\| one at a time, \d+ topics \| 4 \| 4 \| 0 \|', table)
    assert (out / 'mine.txt').is_file()


@pytest.mark.slow
@pytest.mark.ros
def test_demo_fails_with_the_words_of_a_node_that_cannot_start(installed_node, tmp_path, ros_env):
    pictures = write_pictures(tmp_path / 'in', 1, (320, 480))
    missing = tmp_path / 'no_model_here.json'
    words = ['--images', str(pictures), '--model', str(missing)]
    done = run_demo(tmp_path / 'out', ros_env, *words)
    assert done.returncode == 1
    assert 'no_model_here' in done.stdout
    assert 'depth_node ended with code' in done.stdout
