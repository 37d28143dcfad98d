# SPDX-License-Identifier: Apache-2.0
"""docs/training.md: its commands run, from raw KITTI and from a recording to a prediction.

The commands are taken from the page's blocks `sh kitti` and `sh robot`. Only what CHANGES says is
replaced: where files lie, and how long training takes.
"""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import bags
import numpy as np
import pytest
import trees

pytest.importorskip('torch')
pytest.importorskip('lightning')

from tools.ros_env import ROOT

pytestmark = [pytest.mark.torch, pytest.mark.slow]

DRIVE = '2011_09_26_drive_0001_sync'
SHORT = (
    '--val-every 2 --batch-size 2 --crops 64x96 --threads 1 --workers 0 --accelerator cpu '
    '--warmup-steps 1 --ema 0.5 --val-height 64'
)
CHANGES = {
    '/data/kitti_raw': '{kitti}',
    'models/segformer': '{here}/segformer',
    'drive.mcap': '{here}/bag',
    '/camera/image_raw': '/cam/image_raw',
    '--steps 12000': f'--steps 2 {SHORT}',
    '--steps 2000': f'--steps 2 {SHORT}',
    'synthetic:1': 'synthetic-val:1',  # 60 scenes instead of 2,000
    '--fx 721.5': '--fx 100',
}


def commands(kind: str) -> list[str]:
    """Return the command lines of the page's blocks of one kind."""
    page = (ROOT / 'docs' / 'training.md').read_text(encoding='utf-8')
    blocks = re.findall(rf'(?ms)^```sh {kind}\n(.*?)^```$', page)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def play(lines: list[str], here: Path, monkeypatch) -> None:
    """Run the commands in `here` as a reader does, but in this process: imports cost seconds."""
    monkeypatch.chdir(here)
    for line in lines:
        for old, new in CHANGES.items():
            line = line.replace(old, new.format(kitti=here / 'kitti_raw', here=here))
        program, *rest = shlex.split(line)
        if program == 'python':
            flag, name, *rest = rest
            assert flag == '-m'
        code = import_module(name if program == 'python' else 'lightdepth_ros.cli').main(rest)
        assert not code, line


def test_raw_kitti_to_a_scored_student(tmp_path, monkeypatch):
    library = pytest.importorskip('transformers')
    monkeypatch.setattr(trees, 'KITTI_HW', (32, 64))  # its lidar point lies in Garg's crop
    root = trees.kitti_raw(tmp_path / 'kitti_raw', frames=3)
    for split, frame in (('train', 0), ('val', 1), ('test', 1)):
        line = f'2011_09_26/{DRIVE}/image_02/data/{frame:010d}.png'
        trees.eigen_list(root, split, line if split == 'test' else f'2011_09_26/{DRIVE} {frame} l')
    config = library.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], hidden_sizes=[8, 16], num_attention_heads=[1, 2],
        decoder_hidden_size=8, sr_ratios=[4, 2], patch_sizes=[7, 3], strides=[4, 2],
        mlp_ratios=[2, 2], id2label={0: 'road', 1: 'sky', 2: 'car'},
        label2id={'road': 0, 'sky': 1, 'car': 2},
    )  # fmt: skip
    model = library.SegformerForSemanticSegmentation(config)
    model.save_pretrained(tmp_path / 'segformer')
    library.SegformerImageProcessorPil().save_pretrained(tmp_path / 'segformer')
    lines = commands('kitti')
    kinds = [line.split()[2].removeprefix('training.') for line in lines]
    assert kinds == ['inspect', 'make_labels', 'make_labels', 'inspect', 'train', 'export',
                     'evaluate', lines[-1].split()[2]]  # fmt: skip
    play(lines, tmp_path, monkeypatch)
    assert (tmp_path / 'out' / 'inspect.png').is_file()
    assert len(list((tmp_path / 'labels').rglob('*.png'))) >= 2
    assert len(list((tmp_path / 'models' / 'mine').glob('*.onnx'))) == 4
    assert '| lightdepth_plain_XS' in (tmp_path / 'out/evaluation/evaluation.md').read_text()
    assert list((tmp_path / 'out' / 'predicted').glob('*_depth.png'))


def test_recording_to_an_adapted_student(tmp_path, monkeypatch):
    monkeypatch.setattr(bags, 'picture', lambda k: trees.picture(bags.HW, k))
    bags.write(tmp_path / 'bag', bags.drive(9))
    lines = commands('robot')
    assert any('--init lightdepth' in line for line in lines)
    play(lines, tmp_path, monkeypatch)
    assert len(list((tmp_path / 'models' / 'robot').glob('*.json'))) == 4


def test_every_change_is_needed_and_the_page_names_nothing_else_to_replace():
    text = '\n'.join(commands('kitti') + commands('robot'))
    assert [old for old in CHANGES if old not in text] == []
    assert np.unique([line.split()[0] for line in text.splitlines()]).tolist() == [
        'lightdepth', 'python',
    ]  # fmt: skip
