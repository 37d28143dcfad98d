# SPDX-License-Identifier: Apache-2.0
"""Compare the students fairly: same data, loss, steps and seeds; error beside milliseconds.

Each student is trained from random weights with every seed; all four exits are exported, scored
by the code that the robot runs, and timed in turns in ONNX Runtime on one thread. Times are ratios
to the paper student's exit L. Finished runs are not repeated; stopped ones continue.

  python -m training.compare --data kitti-train,camvid-train --steps 1500 --out runs/compare

Every option of training.train works here too; --help lists them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')  # files only: a training machine has no screen
import matplotlib.pyplot as plt
from rich.console import Console

from lightdepth_ros import terminal
from lightdepth_ros.bench.timing import Case, Times, interleave, runner
from lightdepth_ros.contract import model_name
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import write_files
from training.ablate import (
    ARMS,
    PROTOCOL,
    base_config,
    make_parser,
    mean_and_spread,
    run_arm,
)
from training.config import TrainConfig
from training.scoring.ablation_report import HEADS, SHOWN, cell
from training.scoring.plots import save
from training.scoring.report import table
from training.students import STUDENTS
from training.students.interface import EXITS

INPUT_HW = (320, 480)
REFERENCE = 'paper L'
"""Its time is 1; where it is not compared, that of the slowest is."""
ROUNDS = 40
console = Console()


def train_all(
    students: Sequence[str], base: TrainConfig, seeds: int, out: Path, root: Path | None
) -> dict[str, list[dict[str, Any]]]:
    """Train and score every student with every seed: student -> for each seed: exit -> scores."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in students}
    for seed in range(base.seed, base.seed + seeds):
        for name in students:
            console.rule(f'{name}, seed {seed}')
            config = replace(base, student=name, seed=seed)
            runs[name].append(run_arm(ARMS[-1], config, folder(out, name, seed), root))
    return runs


def folder(out: Path, student: str, seed: int) -> Path:
    """Return where one run lies."""
    return out / f'{student}_seed{seed}'


def time_all(students: Sequence[str], seed: int, out: Path, rounds: int) -> dict[str, float]:
    """Return the milliseconds of 'student exit', the median of `rounds` interleaved rounds of
    several images.

    The files of one seed are timed; how long they take does not depend on the weights.
    """
    runners, closers = {}, []
    for name in students:
        for exit_name in EXITS:
            contract = folder(out, name, seed) / 'models' / f'{model_name(name, exit_name)}.json'
            case = Case(name, exit_name, 'onnxruntime', 'fp32', 'fp32', 1, INPUT_HW, contract)
            runners[f'{name} {exit_name}'], close = runner(case)
            closers.append(close)
    seconds = interleave(runners, rounds)
    for close in closers:
        close()
    return {key: Times.of(values).median_ms for key, values in seconds.items()}


def result_of(
    base: TrainConfig, runs: dict[str, list[dict[str, Any]]], times_ms: dict[str, float]
) -> dict[str, Any]:
    """Return one row for each student and exit, its share of time and its scores: plain data."""
    reference = REFERENCE if REFERENCE in times_ms else max(times_ms, key=times_ms.__getitem__)
    rows = [
        {
            'student': name, 'exit': exit_name,
            'time': times_ms[f'{name} {exit_name}'] / times_ms[reference],
            **mean_and_spread([run[exit_name] for run in scores]),
        }
        for name, scores in runs.items()
        for exit_name in reversed(EXITS)
    ]  # fmt: skip
    return {
        'data': base.sources, 'validation': base.validation, 'steps': base.steps,
        'batch_size': base.batch_size, 'crops': base.crops, 'protocol': PROTOCOL.sentence(),
        'seeds': len(next(iter(runs.values()))), 'reference': reference, 'rows': rows,
    }  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    """Return what was run and the table of students and exits."""
    rows = result['rows']
    shown = [k for k in SHOWN if any(k in row for row in rows)]
    lines = [
        [r['student'], r['exit'], f'{r["time"]:.2f}', *(cell(r, k) for k in shown)] for r in rows
    ]
    return (
        f'Trained on {result["data"]}, {result["steps"]} steps of {result["batch_size"]} crops of '
        f'{result["crops"]}, {result["seeds"]} seed(s); validated on {result["validation"]}. '
        f'{result["protocol"]}. Mean +- standard deviation over seeds; time at '
        f'{INPUT_HW[1]}x{INPUT_HW[0]} in ONNX Runtime, one thread, {result["reference"]} = 1.\n\n'
        + table(['student', 'exit', 'time', *(HEADS[k] for k in shown)], lines)
        + '\n'
    )


def draw(result: dict[str, Any]) -> Any:
    """Draw RMSE (and mIoU, where labels were scored) of every exit over its time."""
    rows = result['rows']
    keys = [k for k in ('rmse', 'nav7_miou', 'classes_miou') if k in rows[0]][:2]
    figure, axes = plt.subplots(1, len(keys), figsize=(4.5 * len(keys), 3.4), squeeze=False)
    for axis, key in zip(axes[0], keys, strict=True):
        for name in dict.fromkeys(r['student'] for r in rows):
            own = [r for r in rows if r['student'] == name]
            spread = [0 if math.isnan(s := r[key]['spread']) else s for r in own]
            axis.errorbar([r['time'] for r in own], [r[key]['mean'] for r in own], spread,
                          fmt='o-', capsize=3, label=name)  # fmt: skip
            for r in own:
                axis.annotate(r['exit'], (r['time'], r[key]['mean']), xytext=(4, 4),
                              textcoords='offset points', fontsize=8)  # fmt: skip
        axis.set_xlabel(f'time, {result["reference"]} = 1')
        axis.set_ylabel(HEADS[key] + (', m' if key == 'rmse' else ''))
        axis.grid(alpha=0.3)
    axes[0][0].legend()
    figure.suptitle(f'{result["steps"]} steps, {result["seeds"]} seed(s), {result["validation"]}')
    figure.tight_layout()
    return figure


def compare(
    students: Sequence[str], base: TrainConfig, seeds: int, out: Path, root: Path | None,
    rounds: int = ROUNDS,
) -> dict[str, Any]:  # fmt: skip
    """Train, score and time the students; writes compare.json, .md and .png into `out`."""
    runs = train_all(students, base, seeds, out, root)
    result = result_of(base, runs, time_all(students, base.seed, out, rounds))
    write_files({
        out / 'compare.json': (json.dumps(result, indent=2) + '\n').encode(),
        out / 'compare.md': markdown(result).encode(),
    })  # fmt: skip
    save(draw(result), out / 'compare.png')
    return result


def chosen(names: str) -> list[str]:
    """Return the students named by --students; ConfigError for one that does not exist."""
    students = [name.strip() for name in names.split(',')]
    for name in students:
        if name not in STUDENTS:
            raise ConfigError(f'student is {name!r}; it must be one of {", ".join(STUDENTS)}')
    return students


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    parser = make_parser('python -m training.compare', __doc__)
    parser.add_argument('--students', default=','.join(STUDENTS), help='(all of them)')
    parser.add_argument('--rounds', type=int, default=ROUNDS, help='timing rounds (%(default)s)')
    args = parser.parse_args(argv)
    try:
        students, base = chosen(args.students), base_config(args)
        result = compare(students, base, args.seeds, args.out, args.root, args.rounds)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(markdown(result))
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
