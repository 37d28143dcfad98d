# SPDX-License-Identifier: Apache-2.0
"""Packing training data: what is kept, how small it gets, and that training reads it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from lightdepth_ros.errors import ConfigError  # noqa: E402
from training import pack  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.crops.stream import load_sources  # noqa: E402
from training.datasets.catalog import open_dataset  # noqa: E402
from training.datasets.sample import Sample  # noqa: E402

pytestmark = pytest.mark.torch
HW = (200, 320)


@pytest.fixture
def recorded(tmp_path) -> Path:
    """Return a manifest of three frames with every kind of truth."""
    folder = tmp_path / 'recorded'
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ['id,image,depth,teacher_depth,label,w,h,fx,fy,cx,cy']
    for number in range(3):
        smooth = cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), HW[::-1])
        cv2.imwrite(str(folder / f'{number}.png'), smooth)
        depth = np.zeros(HW, np.uint16)
        depth[100::7, ::5] = 256 * (10 + number)
        cv2.imwrite(str(folder / f'{number}_d.png'), depth)
        teacher = np.full((100, 160), 256 * (12 + number), np.uint16)
        cv2.imwrite(str(folder / f'{number}_t.png'), teacher)
        cv2.imwrite(str(folder / f'{number}_l.png'), np.full(HW, 13, np.uint8))
        names = f'{number}.png,{number}_d.png,{number}_t.png,{number}_l.png'
        lines.append(f'frame{number},{names},320,200,300,300,159.5,99.5')
    (folder / 'manifest.csv').write_text('\n'.join(lines) + '\n')
    return folder


def settings(folder: Path) -> TrainConfig:
    return TrainConfig(
        sources=f'manifest@{folder}:2,synthetic-val:1', validation=f'manifest@{folder}'
    )


def test_packed_frames_keep_camera_and_truth_at_the_smaller_size(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack.pack(settings(recorded), Path('out'), pack.Limits(rows=100), None)
    name = (tmp_path / 'out' / 'validation.txt').read_text().strip()
    packed, whole = open_dataset(name), open_dataset(f'manifest@{recorded}')
    assert [s.name for s in packed] == [s.name for s in whole]
    small, large = packed[1], whole[1]
    assert small.rgb.shape == (100, 160, 3)
    assert small.camera.fx == pytest.approx(large.camera.fx / 2)
    assert small.camera.cx == pytest.approx((large.camera.cx + 0.5) / 2 - 0.5)
    shrunk = cv2.resize(large.rgb, (160, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(small.rgb.astype(int) - shrunk).mean() < 4
    np.testing.assert_array_equal(small.depth_m, pack.shrink_sparse(large.depth_m, (100, 160)))
    assert np.abs(small.teacher_depth_m / 13 - 1).max() < 0.006
    assert (small.label_id == 13).all()


def test_training_reads_the_pack_as_its_file_says(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack.pack(settings(recorded), Path('out'), pack.Limits(), None)
    sources = Path('out/sources.txt').read_text().strip()
    assert sources.endswith(',synthetic-val:1')
    config = TrainConfig(sources=sources.split(',')[0])
    (samples,) = load_sources(config, None).values()
    assert len(samples) == 3


def test_shrinking_sparse_depth_keeps_the_nearest_point_of_each_cell():
    depth = np.zeros((4, 6), np.float32)
    depth[0, 0], depth[1, 1], depth[3, 5] = 20, 8, 30
    small = pack.shrink_sparse(depth, (2, 3))
    assert small.tolist() == [[8, 0, 0], [0, 0, 30]]


def test_pack_that_cannot_fit_says_how_much_is_needed(recorded, tmp_path):
    with pytest.raises(ConfigError, match=r'needs .* MiB even at image quality 65'):
        pack.pack(settings(recorded), tmp_path / 'out', pack.Limits(mib=0.0001), None)


def test_frames_are_thinned_evenly():
    assert pack.spread(10, 4) == [0, 2, 5, 7]
    assert pack.spread(3, 10) == [0, 1, 2]


def test_soft_labels_and_the_cameras_height_are_packed_as_they_are():
    rgb = np.zeros((40, 60, 3), np.uint8)
    soft = np.full((10, 15, 3), (13, 14, 200), np.uint8)
    sample = Sample(rgb, None, None, None, 'a', soft_label=soft, height_m=0.31)
    frame = pack.pack_frame(sample, 0, 20)
    written = frame.files[frame.row['soft_label']]
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(written, np.uint8), -1), soft)
    assert frame.row['camera_height_m'] == '0.31'
