# SPDX-License-Identifier: Apache-2.0
"""make_labels on a small stereo data set that the test writes: whole runs, resumes, shards."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from stereo_pairs import HW, write_pairs

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, SKY, nav7_table
from training import estimate_bins, make_labels
from training.datasets.catalog import REPOSITORY
from training.datasets.sample import Sample
from training.labels import files as labels
from training.labels import labelling
from training.make_labels import parse_shard
from training.teachers.teacher import TeacherOutput

FRAMES = 5


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> str:
    return write_pairs(tmp_path_factory.mktemp('pairs'), FRAMES)


def run(data: str, out: Path, *more: str) -> int:
    return make_labels.main(['--data', data, '--teacher', 'sgbm', '--out', str(out), *more])


def depths(out: Path) -> dict[str, np.ndarray]:
    return {n: labels.read_frame(out, r)['depth_m'] for n, r in labels.read_rows(out).items()}


def stamps(out: Path) -> dict[str, int]:
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob('*.png')}


def test_every_frame_is_labelled_and_described(data, tmp_path):
    assert run(data, tmp_path) == 0
    found = depths(tmp_path)
    assert set(found) == {f'f{i}' for i in range(FRAMES)}
    for depth in found.values():
        inner = depth[10:-10, 30:-20]
        assert np.median(inner[inner > 0]) == pytest.approx(15.0, rel=0.01)
    text = json.loads((tmp_path / 'labels.json').read_text())
    assert text['teacher'] == 'sgbm'
    assert text['data'] == 'manifest'
    assert text['options']['block_px'] == 5
    assert str(tmp_path) not in json.dumps(text)


def test_a_second_run_keeps_what_is_there(data, tmp_path, capsys):
    run(data, tmp_path)
    before = stamps(tmp_path)
    assert run(data, tmp_path) == 0
    assert stamps(tmp_path) == before
    assert f'{FRAMES} kept' in capsys.readouterr().err


def test_damaged_and_missing_labels_are_made_again_and_no_others(data, tmp_path):
    run(data, tmp_path)
    before, whole = stamps(tmp_path), depths(tmp_path)
    cut = tmp_path / 'depth' / 'f1.png'
    cut.write_bytes(cut.read_bytes()[:200])
    (tmp_path / 'depth' / 'f3.png').unlink()
    assert run(data, tmp_path) == 0
    after = stamps(tmp_path)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {'depth/f1.png', 'depth/f3.png'}
    for name, depth in depths(tmp_path).items():
        np.testing.assert_array_equal(depth, whole[name])


def test_shards_share_the_work_and_each_can_be_repeated(data, tmp_path, monkeypatch):
    assert run(data, tmp_path, '--shard', '0/2') == 0
    assert set(depths(tmp_path)) == {'f0', 'f2', 'f4'}
    before = stamps(tmp_path)
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert run(data, tmp_path) == 0
    assert set(depths(tmp_path)) == {f'f{i}' for i in range(FRAMES)}
    assert run(data, tmp_path, '--shard', '0/2') == 0
    assert {k: v for k, v in stamps(tmp_path).items() if k in before} == before


@pytest.mark.parametrize('text', ['2/2', '1', 'a/b', '5/2', '1/0'])
def test_a_wrong_shard_is_refused(text, data, tmp_path, capsys):
    assert run(data, tmp_path, '--shard', text) == 1
    assert 'write I/N' in capsys.readouterr().err


def test_shard_comes_from_the_flag_before_the_environment(monkeypatch):
    monkeypatch.setenv('RANK', '3')
    monkeypatch.setenv('WORLD_SIZE', '8')
    assert parse_shard(None) == (3, 8)
    assert parse_shard('1/4') == (1, 4)


@pytest.mark.slow
def test_worker_processes_give_the_same_labels(data, tmp_path):
    assert run(data, tmp_path / 'one') == 0
    assert run(data, tmp_path / 'two', '--workers', '2') == 0
    one, two = depths(tmp_path / 'one'), depths(tmp_path / 'two')
    assert set(one) == set(two)
    for name, depth in one.items():
        np.testing.assert_array_equal(depth, two[name])


def test_a_run_stopped_by_hand_goes_on(data, tmp_path, monkeypatch, capsys):
    real = labelling.Labeller.__call__

    def interrupted(self, index):
        if index == 2:
            raise KeyboardInterrupt
        return real(self, index)

    monkeypatch.setattr(labelling.Labeller, '__call__', interrupted)
    assert run(data, tmp_path) == 130
    assert set(depths(tmp_path)) == {'f0', 'f1'}
    monkeypatch.setattr(labelling.Labeller, '__call__', real)
    before = stamps(tmp_path)
    assert run(data, tmp_path) == 0
    assert len(depths(tmp_path)) == FRAMES
    assert {k: v for k, v in stamps(tmp_path).items() if k in before} == before


@pytest.mark.slow
def test_a_killed_run_leaves_a_store_that_the_next_run_completes(data, tmp_path):
    command = [sys.executable, '-m', 'training.make_labels', '--data', data, '--teacher', 'sgbm',
               '--out', str(tmp_path)]  # fmt: skip
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if list(tmp_path.glob('depth/*.png')):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    process.wait()
    assert run(data, tmp_path) == 0
    rows = labels.read_rows(tmp_path)
    assert len(rows) == FRAMES
    assert all(labels.is_whole(tmp_path, row) for row in rows.values())


def test_labels_of_another_making_are_not_mixed(data, tmp_path, capsys):
    run(data, tmp_path)
    before = stamps(tmp_path)
    assert run(data, tmp_path, '--option', 'block_px=7') == 1
    assert 'made in another way' in capsys.readouterr().err
    assert stamps(tmp_path) == before


def test_frames_that_cannot_be_labelled_are_told_and_tried_again(data, tmp_path, capsys):
    folder = Path(data.partition('@')[2])
    right = folder / 'right2.png'
    kept = right.read_bytes()
    right.write_bytes(kept[:100])
    try:
        assert run(data, tmp_path) == 1
    finally:
        right.write_bytes(kept)
    error = ''.join(capsys.readouterr().err.split())
    assert 'f2:' in error
    assert '1failed' in error
    assert len(depths(tmp_path)) == FRAMES - 1
    assert run(data, tmp_path) == 0
    assert len(depths(tmp_path)) == FRAMES


def test_it_stops_where_no_frame_works(tmp_path, capsys):
    image = tmp_path / 'image.png'
    cv2.imwrite(str(image), np.zeros((*HW, 3), np.uint8))
    rows = [f'm{i},image.png' for i in range(30)]
    (tmp_path / 'manifest.csv').write_text('\n'.join(['id,image', *rows]))
    assert run(f'manifest@{tmp_path}', tmp_path / 'out') == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert 'a stereo teacher needs all three' in error
    assert 'the first 10 frames all failed' in error


def test_local_compensation_takes_the_lidar_and_is_recorded(data, tmp_path):
    assert run(data, tmp_path, '--compensate', 'local') == 0
    for depth in depths(tmp_path).values():
        inner = depth[12:-12, 30:-30]
        np.testing.assert_allclose(inner[inner > 0], 14.5, rtol=0.02)
    description = labels.describe(tmp_path)
    assert description.compensation['local']['smoothness'] > 0
    assert labels.read_rows(tmp_path)['f0'].notes['lidar_points'] > 100


def test_bins_are_measured_on_raw_labels_and_applied_without_the_teacher(data, tmp_path, capsys):
    raw, out, bins = tmp_path / 'raw', tmp_path / 'out', tmp_path / 'bins.json'
    assert run(data, raw) == 0
    arguments = ['--data', data, '--labels', str(raw), '--out', str(bins)]
    assert estimate_bins.main(arguments) == 0
    assert '20 m:' in capsys.readouterr().out
    error_m = json.loads(bins.read_text())['error_m'][15]
    assert error_m == pytest.approx(0.5, abs=0.1)
    arguments = ['--data', data, '--teacher', f'stored:{raw}', '--out', str(out)]
    assert make_labels.main([*arguments, '--compensate', f'bins:{bins}']) == 0
    for depth in depths(out).values():
        inner = depth[12:-12, 30:-30]
        assert np.median(inner[inner > 0]) == pytest.approx(14.5, abs=0.1)
    description = labels.describe(out)
    assert description.teacher == 'sgbm'
    assert len(description.compensation['bins_sha256']) == 64
    # Compensated labels are not compensated twice.
    assert make_labels.main(['--data', data, '--teacher', f'stored:{out}', '--out', str(raw)]) == 1


class Scene:
    """One frame, half sky, with coarse truth: the lower half is vehicle."""

    name = 'scene'

    def __init__(self, frames: int = 1) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: int) -> Sample:
        coarse = np.full(HW, nav7_table()[SKY], np.uint8)
        coarse[HW[0] // 2 :] = nav7_table()[CLASS_ID['car']]
        rgb = np.zeros((*HW, 3), np.uint8)
        return Sample(
            rgb, Camera.from_fov(HW[1], HW[0], 60), None, None, f's{index}', nav7_id=coarse
        )


class Fake:
    """Believes in road everywhere, a little in bus and sky; depth 30 m."""

    name, weights_sha256, options = 'fake', '', {}

    def __call__(self, sample: Sample) -> TeacherOutput:
        chances = np.zeros((19, *HW), np.float32)
        for name, chance in (('road', 0.7), ('bus', 0.2), ('sky', 0.1)):
            chances[CLASS_ID[name]] = chance
        depth = np.full(HW, 30, np.float32)
        confidence = np.full(HW, 178, np.uint8)
        return TeacherOutput(depth, np.zeros(HW, np.uint8), confidence, chances)


@pytest.fixture
def fakes(monkeypatch) -> None:
    monkeypatch.setattr(labelling, 'open_dataset', lambda name, root: Scene(int(name)))
    monkeypatch.setattr(labelling, 'open_teacher', lambda name, options: Fake())


@pytest.mark.usefixtures('fakes')
def test_classes_are_narrowed_by_coarse_truth_and_sky_goes_far(tmp_path):
    arguments = ['--data', '1', '--teacher', 'fake', '--out', str(tmp_path)]
    assert make_labels.main([*arguments, '--compensate', 'local']) == 0
    maps = labels.read_frame(tmp_path, labels.read_rows(tmp_path)['s0'])
    half = HW[0] // 2
    assert (maps['label_id'][:half] == SKY).all()
    assert (maps['label_id'][half:] == CLASS_ID['bus']).all()
    assert (maps['confidence'] == 255).all()
    assert (maps['depth_m'][:half] == 80).all()
    assert (maps['depth_m'][half:] == 30).all()


@pytest.mark.usefixtures('fakes')
def test_narrowing_can_be_turned_off(tmp_path):
    arguments = ['--data', '1', '--teacher', 'fake', '--out', str(tmp_path), '--no-narrow']
    assert make_labels.main(arguments) == 0
    maps = labels.read_frame(tmp_path, labels.read_rows(tmp_path)['s0'])
    assert (maps['label_id'] == CLASS_ID['road']).all()
    assert (maps['confidence'] == 178).all()
    pair = CLASS_ID['road'], CLASS_ID['bus'], round(255 * 0.7 / 0.9)
    assert (maps['soft_label'] == pair).all()


@pytest.mark.usefixtures('fakes')
def test_sky_may_come_from_another_store(tmp_path):
    sky = np.zeros(HW, np.uint8)
    sky[:, :50] = SKY
    with labels.ManifestWriter(tmp_path / 'sky', 0, 1) as manifest:
        manifest.add(labels.write_frame(tmp_path / 'sky', 's0', {'label_id': sky}, {}))
    out = tmp_path / 'out'
    arguments = ['--data', '1', '--teacher', 'fake', '--out', str(out), '--compensate', 'local']
    assert make_labels.main([*arguments, '--sky', str(tmp_path / 'sky')]) == 0
    depth = labels.read_frame(out, labels.read_rows(out)['s0'])['depth_m']
    assert (depth[:, :50] == 80).all()
    assert (depth[:, 50:] == 30).all()


@pytest.mark.slow
@pytest.mark.usefixtures('fakes')
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, monkeypatch):
    real, held = labelling.Labeller.__call__, {}

    def watched(self, index):
        if index in (50, 299):
            gc.collect()
            held[index] = tracemalloc.get_traced_memory()[0]
        return real(self, index)

    monkeypatch.setattr(labelling.Labeller, '__call__', watched)
    tracemalloc.start()
    try:
        assert (
            make_labels.main(['--data', '300', '--teacher', 'fake', '--out', str(tmp_path)]) == 0
        )
    finally:
        tracemalloc.stop()
    # Each frame's maps and chances take 1.9 MB; the manifest, were it kept, 0.6 kB.
    assert held[299] - held[50] < 100_000


@pytest.mark.parametrize(
    ('more', 'words'),
    [
        (['--option', 'block_px'], 'KEY=VALUE'),
        (['--workers', '0'], 'at least 1'),
        (['--compensate', 'magic'], 'none, local or bins:FILE'),
        (['--compensate', 'bins:/no/such.json'], 'holds no depth bins'),
        (['--sky', '/no/such', '--compensate', 'local'], 'no finished labels'),
    ],
)
def test_wrong_flags_say_what_is_right(more, words, data, tmp_path, capsys):
    assert run(data, tmp_path, *more) == 1
    assert words in ' '.join(capsys.readouterr().err.split())
    assert not list(tmp_path.rglob('*.png'))


def test_help_names_every_teacher_and_an_example(capsys):
    with pytest.raises(SystemExit):
        make_labels.main(['--help'])
    text = capsys.readouterr().out
    for word in ('psmnet', 'sgbm', 'transformers', 'stored', 'torchrun', '--shard', 'kitti-raw'):
        assert word in text


@pytest.mark.slow
@pytest.mark.torch
def test_torchrun_gives_each_process_its_shard(data, tmp_path):
    pytest.importorskip('torch')
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2',
               '--master-port', '0', '-m', 'training.make_labels', '--data', data,
               '--teacher', 'sgbm', '--out', str(tmp_path)]  # fmt: skip
    stamps = []
    for _ in range(2):  # the second time there is nothing to do
        subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=300)
        lines = {p.name: len(p.read_text().splitlines()) for p in tmp_path.glob('manifest-*')}
        assert lines == {'manifest-0-of-2.jsonl': 3, 'manifest-1-of-2.jsonl': 2}
        assert len(depths(tmp_path)) == FRAMES
        stamps.append({p: p.stat().st_mtime_ns for p in tmp_path.glob('depth/**/*.png')})
    assert stamps[0] == stamps[1]
