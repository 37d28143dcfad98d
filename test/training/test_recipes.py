# SPDX-License-Identifier: Apache-2.0
"""Recipes: their commands parse, run once each in order, and go on where they stopped."""

from __future__ import annotations

import argparse
import json
import subprocess
from types import SimpleNamespace

import pytest

from lightdepth_ros.contract import load_contract, shipped_contract
from lightdepth_ros.errors import ConfigError
from training import config as config_module
from training.recipes import paper, plain, stages
from training.recipes.stages import Stage

TWO = (
    Stage('a', 'train', '--steps 3', 'first'),
    Stage('b', 'average', '{out}/a/resume.ckpt --out {out}/b.ckpt', 'second'),
)


@pytest.fixture
def started(monkeypatch):
    """The commands that were run; those that hold a word of `fails` end with code 1."""
    commands, fails = [], []

    def run(command, check):
        commands.append(command[1:])
        return SimpleNamespace(returncode=int(any(word in command for word in fails)))

    monkeypatch.setattr(subprocess, 'run', run)
    return SimpleNamespace(commands=commands, fails=fails)


def flags_of(stage: Stage, out) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('--out')
    parser.add_argument('--stop-at', type=int)
    config_module.add_flags(parser)
    return parser.parse_args(stage.words(out)[2:])


@pytest.mark.parametrize('recipe', [plain, paper], ids=['plain', 'paper'])
def test_runs_of_a_recipe_have_settings_that_training_takes(recipe, tmp_path):
    runs = [stage for stage in recipe.STAGES if stage.program == 'train']
    assert len(runs) >= 2
    for stage in runs:
        config_module.from_flags(flags_of(stage, tmp_path))


@pytest.mark.parametrize('recipe', [plain, paper], ids=['plain', 'paper'])
def test_a_stage_starts_from_what_an_earlier_one_wrote(recipe, tmp_path):
    made = set()
    for stage in recipe.STAGES:
        read = [w for w in stage.words(tmp_path) if w.endswith(('.ckpt', '.onnx'))]
        read = [w for w in read if w != f'{tmp_path}/{stage.name}.ckpt']
        for path in read:
            start = path.removeprefix(f'{tmp_path}/')
            assert start in made or start.split('/')[0] in made, path
        made |= {stage.name, f'{stage.name}.ckpt', stage.name.removesuffix('-files')}


@pytest.mark.parametrize(('recipe', 'student'), [(plain, 'plain'), (paper, 'paper')])
def test_the_last_run_has_the_settings_that_the_shipped_contract_records(
    recipe, student, tmp_path
):
    last = [stage for stage in recipe.STAGES if stage.program == 'train'][-1]
    config = config_module.from_flags(flags_of(last, tmp_path))
    recorded = load_contract(shipped_contract(student, 'L')).training['config']
    elsewhere = {'init', 'save_every', 'val_every', 'threads', 'workers'}
    shared = (recorded.keys() & vars(config).keys()) - elsewhere
    assert len(shared) > 25
    assert {k: getattr(config, k) for k in shared} == {k: recorded[k] for k in shared}


def test_stages_run_once_each_in_order_with_the_flags_that_are_free(started, tmp_path):
    stages.run(TWO, tmp_path, ['--threads', '4'])
    assert started.commands == [
        ['-m', 'training.train', '--steps', '3', '--out', f'{tmp_path}/a', '--threads', '4'],
        ['-m', 'training.average', f'{tmp_path}/a/resume.ckpt', '--out', f'{tmp_path}/b.ckpt'],
    ]
    stages.run(TWO, tmp_path)
    assert len(started.commands) == 2
    assert list(json.loads((tmp_path / 'done.json').read_text())) == ['a', 'b']


def test_a_stage_that_fails_ends_the_recipe_and_is_run_again(started, tmp_path):
    started.fails.append('training.average')
    with pytest.raises(ConfigError, match='stage b ended with code 1'):
        stages.run(TWO, tmp_path)
    started.fails.clear()
    stages.run(TWO, tmp_path)
    assert [c[1] for c in started.commands] == [
        'training.train', 'training.average', 'training.average',
    ]  # fmt: skip


def test_a_stage_with_another_command_than_the_one_that_is_done_is_refused(started, tmp_path):
    stages.run(TWO, tmp_path)
    with pytest.raises(ConfigError, match=r'stage a .* was made by another command'):
        stages.run((Stage('a', 'train', '--steps 4', 'first'),), tmp_path)


def test_listing_prints_every_command_and_runs_none(started, capsys, tmp_path):
    assert stages.main('plain', '', plain.STAGES, ['--list', '--out', str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count('python -m training.') == len(plain.STAGES)
    assert started.commands == []
