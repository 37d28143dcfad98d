# SPDX-License-Identifier: Apache-2.0
"""Repeat the paper's ablations on any data: what each ingredient is worth, and each exit.

Five arms, each with everything of the one before it: sparse depth only, teacher labels,
compensated labels, + log depth, + segmentation. All arms have the same steps, data and seeds; the
last arm is also scored at its four exits. A run that is finished is not repeated, one that was
stopped goes on.

  python -m training.ablate --data kitti-train --steps 300 --seeds 3 --out runs/ablation

Every option of training.train works here too; --help lists them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from lightdepth_ros import terminal
from lightdepth_ros.contract import model_name
from lightdepth_ros.engines import OUTPUTS
from lightdepth_ros.errors import DataError, LightdepthError
from lightdepth_ros.files import write_files
from training import config as config_module
from training import export
from training.config import TrainConfig
from training.crops.stream import load_sources
from training.datasets.catalog import open_dataset
from training.datasets.sample import Dataset
from training.model import run_folder
from training.scoring import ablation_report
from training.scoring.fullframe import Model
from training.scoring.protocols import PROTOCOLS
from training.scoring.score import score, summary
from training.students.interface import EXITS
from training.train import Sources, train

Runs = dict[str, list[dict[str, Any]]]
"""Arm -> for each seed: exit -> scores."""
console = Console()
PROTOCOL = PROTOCOLS['raw']
DEPTH_ONLY = ('depth', 'confidence')
PROBED_SAMPLES = 8
"""Samples of each source that are looked at to know which truths the data has."""


@dataclass(frozen=True)
class Arm:
    """One row of the ablation table: the settings it changes and the truths it needs."""

    name: str
    title: str
    depth_truth: str
    log_depth: bool
    labels: bool
    needs: frozenset[str]

    def config(self, base: TrainConfig, seed: int) -> TrainConfig:
        """Return the training configuration of one run of this arm."""
        return replace(
            base, depth_truth=self.depth_truth, log_depth=self.log_depth, seed=seed,
            beta=base.beta if self.labels else 0.0,
        )  # fmt: skip


SENSOR, TEACHER, LABEL = 'depth_m', 'teacher_depth_m', 'label_id'
ARMS = (
    Arm('sparse', 'sparse depth only', 'sparse', False, False, frozenset({SENSOR})),
    Arm('teacher', 'teacher labels', 'teacher', False, False, frozenset({TEACHER})),
    Arm('compensated', 'compensated labels', 'compensated', False, False,
        frozenset({SENSOR, TEACHER})),
    Arm('log', '+ log depth', 'compensated', True, False, frozenset({SENSOR, TEACHER})),
    Arm('full', '+ segmentation', 'compensated', True, True,
        frozenset({SENSOR, TEACHER, LABEL})),
)  # fmt: skip


def fitted(base: TrainConfig, sources: str) -> TrainConfig:
    """Return the configuration that all arms share, fitted to runs that may be short.

    Weights are averaged over a tenth of the run at most, and warm-up takes a tenth at most: the
    defaults are for long runs, and an average that still holds the first random weights would
    compare nothing. Validation happens once, at the end: no arm picks its best step.
    """
    steps = base.steps
    return replace(
        base, sources=sources, val_every=steps, warmup_steps=min(base.warmup_steps, steps // 10),
        ema=min(base.ema, max(0.0, 1 - 10 / steps)),
    )  # fmt: skip


def truths_of(config: TrainConfig, root: Path | None) -> set[str]:
    """Return which of the three truths occur in the data, by looking at a few samples of each."""
    found = set()
    for name in config.source_weights():
        dataset = open_dataset(name, root)
        step = max(1, len(dataset) // PROBED_SAMPLES)
        for index in range(0, len(dataset), step):
            sample = dataset[index]
            found |= {t for t in (SENSOR, TEACHER, LABEL) if getattr(sample, t) is not None}
    return found


def possible_arms(config: TrainConfig, root: Path | None) -> list[Arm]:
    """Return the arms that the data can feed; say which it cannot, and stop if none is left."""
    truths = truths_of(config, root)
    for arm in ARMS:
        if missing := arm.needs - truths:
            print(f'left out: "{arm.title}" ({config.sources} has no {", ".join(missing)})')
    arms = [arm for arm in ARMS if arm.needs <= truths]
    if not arms:
        raise DataError(
            f'{config.sources} has neither sensor nor teacher depth: nothing to ablate. Make '
            'teacher labels with `python -m training.make_labels`, or give another --data.'
        )
    return arms


@lru_cache(maxsize=1)  # two truths in memory at a time, while the next is read
def sources_of(names: tuple[str, ...], depth_truth: str, root: Path | None) -> Sources:
    """Return the samples that arms with this truth learn from, decoded and bent to lidar once."""
    config = TrainConfig(sources=','.join(names), depth_truth=depth_truth)
    return load_sources(config, root)


def run_arm(arm: Arm, config: TrainConfig, out: Path, root: Path | None) -> dict[str, Any]:
    """Train, export and score one run; returns exit -> scores. Reads them back if they exist."""
    done = out / 'scores.json'
    if is_finished(config, out):
        result: dict[str, Any] = json.loads(done.read_text(encoding='utf-8'))
        return result
    sources = sources_of(tuple(config.source_weights()), config.depth_truth, root)
    trainer = train(config, out, root, sources)
    trainer.save_checkpoint(out / 'final.ckpt')
    exits = EXITS[::-1] if arm.labels else EXITS[-1:]
    result = score_checkpoint(out / 'final.ckpt', exits, arm.labels, config, root)
    write_files({done: (json.dumps(result, indent=2) + '\n').encode()})
    return result


def is_finished(config: TrainConfig, out: Path) -> bool:
    """Tell whether `out` holds the scores of this very run; ConfigError where of another one."""
    if not (out / 'scores.json').is_file():
        return False
    run_folder.refuse_other_run(
        out, run_folder.differences(run_folder.read_config(out) or {}, config)
    )
    return True


def score_checkpoint(
    checkpoint: Path, exits: Sequence[str], labels: bool, config: TrainConfig, root: Path | None
) -> dict[str, dict[str, float]]:
    """Export some exits of a checkpoint beside it and score them on the validation sets."""
    trained = export.read_checkpoint(checkpoint)
    plain = export.inference_form(trained.student)
    folder = checkpoint.parent / 'models'
    datasets = [open_dataset(name.strip(), root) for name in config.validation.split(',')]
    result = {}
    for name in exits:
        export.export_exit(trained, plain, name, folder)
        contract = folder / f'{model_name(trained.name, name)}.json'
        result[name] = score_contract(contract, datasets, labels)
    return result


def score_contract(contract: Path, datasets: Sequence[Dataset], labels: bool) -> dict[str, float]:
    """Return the depth metrics, and where `labels` were learnt their mIoU, over the data sets.

    Depth is scored without labels in every arm: an arm that never learnt labels must not have its
    depth set to far where its untrained label head happens to say sky. Where several data sets
    have the same truth, the first one counts.
    """
    scores: dict[str, float] = {}
    for dataset in datasets:
        probe = dataset[0]
        if probe.depth_m is not None:
            scores = scored(dataset, contract, DEPTH_ONLY).get('depth', {}) | scores
        if labels and (probe.nav7_id is not None or probe.label_id is not None):
            found = scored(dataset, contract, OUTPUTS)
            miou = {f'{k}_miou': found[k]['miou'] for k in ('nav7', 'classes') if k in found}
            scores = miou | scores
    return scores


def scored(dataset: Dataset, contract: Path, outputs: Sequence[str]) -> dict[str, Any]:
    """Return the averages of one data set for a model asked for these outputs."""
    return summary(score(dataset, Model(contract, outputs=outputs), PROTOCOL), PROTOCOL)


def mean_and_spread(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return for each metric its mean over the seeds and their standard deviation (n - 1)."""
    result = {}
    for key in runs[0]:
        values = np.array([run[key] for run in runs])
        spread = float(values.std(ddof=1)) if len(values) > 1 else float('nan')
        result[key] = {'mean': float(values.mean()), 'spread': spread}
    return result


def run_all(
    arms: Sequence[Arm], base: TrainConfig, seeds: int, out: Path, root: Path | None
) -> Iterator[Runs]:
    """Run every arm with every seed, saying how far it is; yields the scores after each seed.

    Seeds change in the outer loop, so that stopping early leaves whole tables of fewer seeds.
    """
    runs: Runs = {arm.name: [] for arm in arms}
    todo = [(arm, seed) for seed in range(base.seed, base.seed + seeds) for arm in arms]
    spent: list[float] = []
    for number, (arm, seed) in enumerate(todo, 1):
        folder, config = out / f'{arm.name}_seed{seed}', arm.config(base, seed)
        finished = is_finished(config, folder)
        minutes = np.mean(spent) * (len(todo) - number + 1) / 60 if spent else 0
        left = f', about {minutes:.0f} min left' if spent else ''
        console.rule(f'run {number} of {len(todo)}: {arm.title}, seed {seed}'
                     + (' (finished before)' if finished else left))  # fmt: skip
        start = time.monotonic()
        runs[arm.name].append(run_arm(arm, config, folder, root))
        if not finished:
            spent.append(time.monotonic() - start)
        if arm is arms[-1]:
            yield runs


def result_of(arms: Sequence[Arm], base: TrainConfig, runs: Runs) -> dict[str, Any]:
    """Return the averages over the seeds run so far as plain data."""
    result: dict[str, Any] = {
        'data': base.sources, 'validation': base.validation, 'steps': base.steps,
        'batch_size': base.batch_size, 'crops': base.crops, 'student': base.student,
        'seeds': len(runs[arms[0].name]), 'protocol': PROTOCOL.sentence(),
        'arms': [
            {'name': arm.name, 'title': arm.title,
             **mean_and_spread([run['L'] for run in runs[arm.name]])}
            for arm in arms
        ],
    }  # fmt: skip
    if 'full' in runs:
        result['exits'] = [
            {'exit': name, **mean_and_spread([run[name] for run in runs['full']])}
            for name in reversed(EXITS)
        ]
    return result


def ablate(base: TrainConfig, seeds: int, out: Path, root: Path | None) -> dict[str, Any]:
    """Run every possible arm; tables are written after each seed. Returns the last averages."""
    arms = possible_arms(base, root)
    result: dict[str, Any] = {}
    for runs in run_all(arms, base, seeds, out, root):
        result = result_of(arms, base, runs)
        ablation_report.write(result, out)
    return result


def make_parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """Return the flags that every comparison of short runs has."""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', help='data sets to train on; same as --sources')
    parser.add_argument('--seeds', type=int, default=3, help='runs of each arm (3)')
    parser.add_argument('--out', type=Path, required=True, help='folder of runs, tables and plot')
    parser.add_argument('--root', type=Path, default=None, help='road data folder')
    config_module.add_flags(parser)
    return parser


def base_config(args: argparse.Namespace) -> TrainConfig:
    """Return the configuration that all runs of a comparison share."""
    base = config_module.from_flags(args)
    return fitted(base, args.data or base.sources)


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    args = make_parser('python -m training.ablate', __doc__).parse_args(argv)
    try:
        result = ablate(base_config(args), args.seeds, args.out, args.root)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(ablation_report.markdown(result))
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
