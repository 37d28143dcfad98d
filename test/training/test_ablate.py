# SPDX-License-Identifier: Apache-2.0
"""training.ablate: arms, what data allows, tables; and one tiny ablation from end to end."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('lightning')

from trees import write_manifest

from lightdepth_ros.errors import ConfigError, DataError
from training import ablate
from training.config import TrainConfig
from training.datasets.sample import Sample
from training.scoring import ablation_report

pytestmark = pytest.mark.torch


def test_each_arm_changes_what_its_row_says_and_nothing_else():
    base = TrainConfig(beta=0.6)
    configs = {arm.name: arm.config(base, seed=7) for arm in ablate.ARMS}
    told = {n: (c.depth_truth, c.log_depth, c.beta) for n, c in configs.items()}
    assert told == {
        'sparse': ('sparse', False, 0.0), 'teacher': ('teacher', False, 0.0),
        'compensated': ('compensated', False, 0.0), 'log': ('compensated', True, 0.0),
        'full': ('compensated', True, 0.6),
    }  # fmt: skip
    assert all((c.seed, c.steps, c.sources) == (7, base.steps, base.sources)
               for c in configs.values())  # fmt: skip


def test_short_runs_average_over_a_tenth_and_validate_once_at_the_end():
    short = ablate.fitted(TrainConfig(steps=100), 'kitti')
    assert (short.sources, short.val_every, short.warmup_steps, short.ema) == (
        'kitti',
        100,
        10,
        0.9,
    )
    base = TrainConfig(steps=100000)
    assert ablate.fitted(base, 'kitti').ema == base.ema


@pytest.mark.parametrize(('columns', 'arms'), [
    (('depth', 'teacher_depth', 'label'), ['sparse', 'teacher', 'compensated', 'log', 'full']),
    (('depth', 'teacher_depth'), ['sparse', 'teacher', 'compensated', 'log']),
    (('depth',), ['sparse']), (('teacher_depth', 'label'), ['teacher']),
])  # fmt: skip
def test_arms_that_the_data_cannot_feed_are_left_out_aloud(tmp_path, capsys, columns, arms):
    source = write_manifest(tmp_path / 'data', columns)
    found = ablate.possible_arms(TrainConfig(sources=source), None)
    assert [arm.name for arm in found] == arms
    assert capsys.readouterr().out.count('left out:') == 5 - len(arms)


def test_data_without_any_depth_is_refused_with_the_next_step(tmp_path):
    source = write_manifest(tmp_path / 'data', ('label',))
    with pytest.raises(DataError, match=r'training\.make_labels'):
        ablate.possible_arms(TrainConfig(sources=source), None)


def test_means_and_spreads_over_seeds_are_those_of_the_numbers():
    found = ablate.mean_and_spread([{'rmse': 4.0}, {'rmse': 5.0}, {'rmse': 6.0}])
    assert found == {'rmse': {'mean': 5.0, 'spread': 1.0}}
    assert math.isnan(ablate.mean_and_spread([{'rmse': 4.0}])['rmse']['spread'])


def result_of(rmse: list[tuple[float, float]], seeds: int = 3) -> dict:
    """Return an ablation result with one arm per (mean, spread) of RMSE."""
    arms = [{'name': str(k), 'title': f'arm {k}', 'rmse': {'mean': m, 'spread': s}}
            for k, (m, s) in enumerate(rmse)]  # fmt: skip
    return {'student': 'plain', 'data': 'd', 'validation': 'v', 'steps': 5, 'batch_size': 2,
            'seeds': seeds, 'protocol': 'protocol raw', 'arms': arms}  # fmt: skip


def test_a_gain_within_the_scatter_of_the_seeds_is_not_called_one():
    text = ablation_report.markdown(result_of([(5.0, 0.1), (4.0, 0.1), (3.95, 0.1), (4.5, 0.1)]))
    verdicts = [line.split('|')[-2].strip() for line in text.splitlines() if '| arm' in line][1:]
    assert verdicts == ['-', '-1.00 m (better)', '-0.05 m (within scatter)', '+0.55 m (worse)']
    one = ablation_report.markdown(result_of([(5.0, math.nan), (4.0, math.nan)], seeds=1))
    assert '-1.00 m (one seed)' in one
    assert '+-' not in one.split('\n\n')[1]


@pytest.mark.slow
def test_a_tiny_ablation_trains_exports_scores_and_is_not_repeated(tmp_path, capsys, monkeypatch):
    source = write_manifest(tmp_path / 'data', ('depth', 'teacher_depth', 'label'))
    out = tmp_path / 'out'
    command = ['--data', source, '--validation', source, '--steps', '2', '--batch-size', '2',
               '--seeds', '1', '--crops', '64x96', '--focal-min-px', '90', '--workers', '0',
               '--focal-max-px', '150', '--accelerator', 'cpu', '--threads', '1',
               '--out', str(out)]  # fmt: skip
    assert ablate.main(command) == 0
    result = json.loads((out / 'ablation.json').read_text())
    assert [arm['name'] for arm in result['arms']] == [arm.name for arm in ablate.ARMS]
    assert [row['exit'] for row in result['exits']] == ['L', 'M', 'S', 'XS']
    assert all(0 < arm['rmse']['mean'] < 80 for arm in result['arms'])
    assert result['arms'][-1]['rmse'] == result['exits'][0]['rmse']
    assert len({arm['rmse']['mean'] for arm in result['arms']}) > 1
    assert '| + segmentation' in capsys.readouterr().out
    assert (out / 'ablation.png').stat().st_size > 5000
    monkeypatch.setattr(ablate, 'train', lambda *_: pytest.fail('a finished run was repeated'))
    assert ablate.main(command) == 0
    assert ablate.main([*command, '--threads', '2']) == 0  # the same result: not repeated either
    assert capsys.readouterr().out.count('finished before') == 10
    assert ablate.main([*command, '--lr', '1e-4']) == 2
    assert f'lr: there {TrainConfig().lr}, now 0.0001' in capsys.readouterr().err


def test_a_finished_run_of_other_settings_is_not_taken_for_this_one(tmp_path):
    config = TrainConfig(steps=10, threads=1)
    (tmp_path / 'config.json').write_text(config.to_json())
    assert not ablate.is_finished(config, tmp_path)
    (tmp_path / 'scores.json').write_text('{}')
    assert ablate.is_finished(TrainConfig(steps=10, threads=2, workers=0), tmp_path)
    with pytest.raises(ConfigError, match='steps: there 10, now 11'):
        ablate.is_finished(TrainConfig(steps=11), tmp_path)


def test_labels_and_depth_of_one_data_set_are_both_scored(monkeypatch, tmp_path):
    """Depth without labels, then labels: the first data set with a truth gives its number."""
    asked = []

    def scored(dataset, _contract, outputs):
        asked.append((dataset[0].name, outputs))
        n = len(asked)
        return {'depth': {'rmse': float(n)}, 'classes': {'miou': n / 10}}

    monkeypatch.setattr(ablate, 'scored', scored)
    empty = np.zeros((2, 2))
    full = Sample(empty, None, empty, empty, 'full')
    depth = Sample(empty, None, empty, None, 'depth')
    scores = ablate.score_contract(tmp_path, [[full], [depth]], labels=True)
    assert asked == [('full', ablate.DEPTH_ONLY), ('full', ablate.OUTPUTS),
                     ('depth', ablate.DEPTH_ONLY)]  # fmt: skip
    assert scores == {'rmse': 1.0, 'classes_miou': 0.2}
    assert ablate.score_contract(tmp_path, [[full]], labels=False) == {'rmse': 4.0}
