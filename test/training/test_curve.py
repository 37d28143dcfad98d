# SPDX-License-Identifier: Apache-2.0
"""Error against steps and images: joining runs, fitting, extrapolating."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lightdepth_ros.errors import DataError
from training import curve


def write_run(folder: Path, steps: np.ndarray, errors: np.ndarray) -> Path:
    (folder / 'log').mkdir(parents=True)
    lines = ['step,loss,val/abs_rel,val/nav7_miou']
    for step, error in zip(steps, errors, strict=True):
        lines += [f'{step - 1},1.0,,', f'{step - 1},,{error},{1 - error}']
    (folder / 'log' / 'metrics.csv').write_text('\n'.join(lines) + '\n')
    return folder


def law(steps: np.ndarray) -> np.ndarray:
    return 0.1 + 5 * steps**-0.6


def test_power_law_is_found_across_two_joined_runs_and_extrapolated(tmp_path):
    first, second = np.arange(500, 3001, 500.0), np.arange(500, 5001, 500.0)
    a = write_run(tmp_path / 'a', first.astype(int), law(first))
    b = write_run(tmp_path / 'b', second.astype(int), law(3000 + second))
    points = curve.join_runs([a, b], 'abs_rel')
    assert points[-1, 0] == 8000
    found = curve.fit(points)
    assert found.floor == pytest.approx(0.1, abs=0.002)
    assert found.at(32000) == pytest.approx(law(np.array(32000.0)), rel=0.01)
    assert found.reaches(0.12) == pytest.approx((0.02 / 5) ** (-1 / 0.6), rel=0.1)
    assert found.reaches(0.09) is None


@pytest.mark.parametrize(('metric', 'target'), [('abs_rel', '0.09'), ('nav7_miou', '0.92')])
def test_command_says_when_steps_alone_cannot_reach_the_target(
    tmp_path, capsys, metric, target
):  # fmt: skip
    steps = np.arange(500, 6001, 500.0)
    run = write_run(tmp_path / 'a', steps.astype(int), law(steps))
    picture = tmp_path / 'curve.png'
    flags = ['--metric', metric, '--target', target, '--out', str(picture)]
    assert curve.main([str(run), *flags]) == 0
    assert 'not by steps alone' in ' '.join(capsys.readouterr().out.split())
    assert picture.stat().st_size > 5000


def test_images_are_extrapolated_from_the_last_validation_of_each_share(tmp_path, capsys):
    runs = []
    for share in (1, 1 / 2, 1 / 4, 1 / 8, 1 / 16):
        error = 0.1 + 0.05 * share**-0.5
        run = write_run(tmp_path / f'{share}', np.array([500, 1000]), np.array([0.9, error]))
        (run / 'config.json').write_text(f'{{"image_share": {share}}}')
        runs.append(run)
    found = curve.fit(curve.last_of_each(runs, 'abs_rel'))
    assert found.at(4.0) == pytest.approx(0.125, abs=1e-3)
    names = [str(run) for run in runs]
    flags = ['--against', 'images', '--target', '0.12', '--out', str(tmp_path / 'images.png')]
    assert curve.main([*names, *flags]) == 0
    told = ' '.join(capsys.readouterr().out.split())
    assert '6.25 times the images' in told
    assert '4 times the images' in told
    assert curve.main([*names[:3], '--against', 'images']) == 2
    assert '3 different shares' in capsys.readouterr().err


def test_too_few_validations_and_no_run_are_refused(tmp_path, capsys):
    run = write_run(tmp_path / 'a', np.array([500]), np.array([0.3]))
    with pytest.raises(DataError, match='1 validations of abs_rel, at least 5'):
        curve.join_runs([run], 'abs_rel')
    assert curve.main([str(tmp_path / 'none')]) == 2
    assert 'does not exist' in capsys.readouterr().err
