# SPDX-License-Identifier: Apache-2.0
"""The README's pictures: small enough, whole, and never of training scenes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.errors import ConfigError
from tools import drive_pictures, sample_pictures
from tools.ros_env import ROOT


def test_pictures_are_written_small_and_side_by_side(tmp_path):
    model = make_tiny_model(tmp_path / 'model')
    out = tmp_path / 'images'
    code = sample_pictures.main(
        ['--model', str(model), '--out', str(out), '--scenes', '101:1', '--drive-frames', '4']
    )
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == ['demo.gif', 'rviz.png', 'scenes.png']
    for path in out.glob('*.png'):
        assert path.stat().st_size <= sample_pictures.MAX_BYTES
        picture = cv2.imread(str(path))
        assert picture.shape[1] > 400
        assert picture.std() > 20
    _, animation = cv2.imreadanimation(str(out / 'demo.gif'))
    assert len(animation.frames) == 2  # each third frame
    assert list(animation.durations) == [300, 300]  # so it plays as fast as the drive is
    assert animation.loop_count == 0  # for ever


def test_an_animation_is_shrunk_until_it_fits():
    noise = np.random.default_rng(0).integers(0, 255, (2, 200, 300, 3), dtype=np.uint8)
    coded = drive_pictures.gif(list(noise), limit=50_000)
    assert 20_000 < len(coded) <= 50_000


def test_the_repository_holds_the_three_pictures_within_their_limits():
    folder = ROOT / 'docs' / 'images'
    assert (folder / 'demo.gif').stat().st_size <= drive_pictures.MAX_BYTES
    for name in ('rviz.png', 'scenes.png'):
        assert (folder / name).stat().st_size <= sample_pictures.MAX_BYTES


def test_noise_is_shrunk_until_it_fits():
    noise = np.random.default_rng(0).integers(0, 255, (700, 900, 3), dtype=np.uint8)
    coded = sample_pictures.small_png(noise)
    assert 100_000 < len(coded) <= sample_pictures.MAX_BYTES


@pytest.mark.parametrize('text', ['7', 'a:1', '101:', '1:-2'])
def test_a_scene_that_is_not_seed_and_index_is_refused(text):
    with pytest.raises(ConfigError, match='expected SEED:INDEX'):
        sample_pictures.scene(text)


def test_training_scenes_are_refused():
    with pytest.raises(ConfigError, match='seed 0 is training data'):
        sample_pictures.scene('0:4')


def test_a_missing_model_is_an_error_message_and_code_1(tmp_path, capsys):
    code = sample_pictures.main(['--model', str(tmp_path / 'no.json'), '--scenes', '101:1'])
    assert code == 1
    assert 'no.json' in capsys.readouterr().err
