# SPDX-License-Identifier: Apache-2.0
"""The training benchmark: ratios of turns, verdicts, label making on a data set of its own."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('torch')
pytest.importorskip('lightning')

from training import bench_train
from training.bench_train import Row

pytestmark = pytest.mark.torch


def test_speed_up_is_the_median_over_rounds_so_that_one_slow_round_does_not_count():
    seconds = {('a', False): [2.0, 2.2, 20.0], ('b', False): [1.0, 1.0, 1.0]}
    row = bench_train.ratio('b against a', seconds, ('a', False), ('b', False))
    assert row.value == pytest.approx(2.2)


def test_table_says_what_was_needed_and_whether_it_was_met():
    rows = [Row('x', 30.0, '1/s', '>= 25', True), Row('y', 0.5, '', '>= 0.85', False),
            Row('z', 1.0, 'x')]  # fmt: skip
    lines = bench_train.markdown(rows, {'student': 'plain', 'threads': 1}).splitlines()
    assert lines[0] == 'student plain, threads 1.'
    verdicts = [line.split('|')[-2].strip() for line in lines[4:]]
    assert verdicts == ['yes', 'NO', '']


def test_label_making_of_a_few_frames_reports_growth_against_the_limit():
    (row,) = bench_train.label_memory(6)
    assert row.unit == 'MB'
    assert 0 <= row.value < bench_train.ALLOWED_GROWTH_MB
    assert row.met


@pytest.mark.slow
def test_whole_benchmark_writes_table_and_numbers(tmp_path):
    flags = ['--batch-size', '2', '--crops', '4', '--rounds', '2', '--frames', '6', '--no-compile',
             '--workers', '0', '--out', str(tmp_path)]  # fmt: skip
    assert bench_train.main(flags) == 0
    found = json.loads((tmp_path / 'bench_train.json').read_text())
    values = {row['what']: row['value'] for row in found['rows']}
    assert values['crops of 480x320 made by one core'] > 1
    share = values['share of a step in the network, 0 loader process(es)']
    assert 0.1 < share < 1
    assert share + values['share of a step waiting for data'] <= 1
    assert '| speed-up of bfloat16 against float32' in (tmp_path / 'bench_train.md').read_text()
