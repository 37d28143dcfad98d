# SPDX-License-Identifier: Apache-2.0
"""training.compare: both students, all exits, their scores and their share of time."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('torch')
pytest.importorskip('lightning')

from trees import write_manifest

from training import ablate, compare
from training.config import TrainConfig

pytestmark = pytest.mark.torch


def test_rows_hold_the_mean_over_seeds_and_the_time_against_the_papers_exit_l():
    runs = {
        name: [{e: {'rmse': value + seed} for e in compare.EXITS} for seed in (0, 2)]
        for name, value in (('plain', 5.0), ('paper', 6.0))
    }
    times = {f'{name} {e}': ms for name, ms in (('plain', 5.0), ('paper', 10.0))
             for e in compare.EXITS}  # fmt: skip
    result = compare.result_of(TrainConfig(), runs, times)
    assert [(r['student'], r['exit'], r['time'], r['rmse']['mean']) for r in result['rows']] == [
        *(('plain', e, 0.5, 6.0) for e in ('L', 'M', 'S', 'XS')),
        *(('paper', e, 1.0, 7.0) for e in ('L', 'M', 'S', 'XS')),
    ]
    assert result['seeds'] == 2
    text = compare.markdown(result)
    assert '| plain   | L ' in text
    assert '6.00 +- 1.41' in text
    assert 'paper L = 1' in text
    times = {'plain L': 8.0, 'plain M': 6.0, 'plain S': 4.0, 'plain XS': 2.0}
    alone = compare.result_of(TrainConfig(), {'plain': runs['plain']}, times)
    assert alone['reference'] == 'plain L'
    assert [r['time'] for r in alone['rows']] == [1, 0.75, 0.5, 0.25]


def test_a_student_that_does_not_exist_is_refused_by_name(capsys, tmp_path):
    assert compare.main(['--students', 'plain,fast', '--out', str(tmp_path)]) == 2
    assert "'fast'; it must be one of plain, paper" in capsys.readouterr().err


@pytest.mark.slow
def test_both_students_are_trained_scored_and_timed_once(tmp_path, capsys, monkeypatch):
    source = write_manifest(tmp_path / 'data', ('depth', 'teacher_depth', 'label'))
    out = tmp_path / 'out'
    command = [
        '--data', source, '--validation', source, '--steps', '2', '--seeds', '2', '--out',
        str(out), '--crops', '64x96', '--batch-size', '2', '--workers', '0', '--threads', '1',
        '--accelerator', 'cpu', '--focal-min-px', '80', '--focal-max-px', '120', '--paste', '0',
        '--restyle', '0', '--rounds', '2', '--val-height', '64', '--ema', '0',
    ]  # fmt: skip
    assert compare.main(command) == 0
    result = json.loads((out / 'compare.json').read_text())
    assert {(r['student'], r['exit']) for r in result['rows']} == {
        (s, e) for s in ('plain', 'paper') for e in compare.EXITS
    }
    assert next(r for r in result['rows'] if r['student'] == 'paper')['time'] == 1.0
    assert all(0 < r['rmse']['mean'] < 80 and 0 < r['time'] < 3 for r in result['rows'])
    assert (out / 'compare.png').stat().st_size > 5000
    assert '| paper' in capsys.readouterr().out
    monkeypatch.setattr(ablate, 'train', lambda *_: pytest.fail('a finished run was repeated'))
    assert compare.main(command) == 0
