# SPDX-License-Identifier: Apache-2.0
"""What training costs: data against network, precision and compiler, memory of label making.

  python -m training.bench_train --out out/bench_train

Rates on a CPU are per second of CPU time of this process, so other programs on the machine change
them little; on a GPU they are per second of the clock. Variants that are compared take turns, one
step each, and their ratio is the median over the rounds. Writes bench_train.md and .json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import track
from torch.utils.data import default_collate

from lightdepth_ros import terminal
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.files import depth_png, png, write_files
from training.config import TrainConfig
from training.crops.stream import CropStream, load_sources
from training.labels import files as labels
from training.labels.labelling import Labeller, Plan
from training.make_labels import outcomes
from training.model import throughput
from training.model.distill import Distillation, as_dict
from training.scoring.report import table
from training.train import make_trainer, prepare

NEEDED_CROPS = 25
"""Crops a second of one core at 480x320, so that data keeps up with the student."""
NEEDED_SHARE = 0.85
"""Of a training step spent in the network."""
ALLOWED_GROWTH_MB = 20.0
SETTLED_FRAMES = 200
"""Label making: caches and buffers have their size by then."""


@dataclass(frozen=True)
class Row:
    """One measured number; needed is what it is held against, '' = nothing."""

    what: str
    value: float
    unit: str
    needed: str = ''
    met: bool | None = None


def clock(device: str) -> float:
    """Return seconds: of CPU time of this process, or of the clock once the GPU is done."""
    if device == 'cpu':
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def loading(config: TrainConfig, stream: CropStream, crops: int) -> list[Row]:
    """Measure how many crops of 480x320 a second one core makes."""
    stream = CropStream(stream.sources, replace(config, crops='320x480'))
    stream[0]
    start = time.process_time()
    for index in range(1, crops + 1):
        stream[index]
    rate = crops / (time.process_time() - start)
    return [Row('crops of 480x320 made by one core', rate, '1/s', f'>= {NEEDED_CROPS}',
                rate >= NEEDED_CROPS)]  # fmt: skip


def step_share(config: TrainConfig, steps: int, root: Path | None) -> list[Row]:
    """Measure the share of a whole training step that is spent in the network, data included."""
    profiler = throughput.StepProfiler()
    module, data = prepare(config, root)
    trainer = make_trainer(
        config, max_steps=steps + throughput.WARM_UP, limit_val_batches=0, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, profiler=profiler,
    )  # fmt: skip
    trainer.fit(module, data)
    found = throughput.parts(profiler.recorded_durations)
    share = sum(found[part] for part in throughput.NETWORK) / found['everything']
    return [
        Row(f'share of a step in the network, {config.workers} loader process(es)', share, '',
            f'>= {NEEDED_SHARE}', share >= NEEDED_SHARE),
        Row('share of a step waiting for data', found['waiting for data'] / found['everything'],
            ''),
    ]  # fmt: skip


def step_of(config: TrainConfig, batch: dict[str, torch.Tensor], device: str) -> Callable[[], Any]:
    """Return a function that takes one training step on `batch`."""
    torch.manual_seed(0)
    module = Distillation(as_dict(config)).to(device)
    objective = module.objective
    if config.compile:
        objective = torch.compile(objective, dynamic=False)
    optimizer = module.configure_optimizers()['optimizer']
    mixed = config.precision == 'bf16-mixed'

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            loss, _ = objective(batch)
        loss.backward()
        optimizer.step()

    return step


def variants(
    config: TrainConfig, stream: CropStream, rounds: int, device: str, compiled: bool
) -> list[Row]:
    """Time steps in float32 and bfloat16, with and without torch.compile, taking turns."""
    batch = default_collate([stream[k] for k in range(config.batch_size)])
    batch = {k: v.to(device) for k, v in batch.items()}
    kinds = [(p, c) for c in ([False, True] if compiled else [False])
             for p in ('32-true', 'bf16-mixed')]  # fmt: skip
    steps = {k: step_of(replace(config, precision=k[0], compile=k[1]), batch, device)
             for k in kinds}  # fmt: skip
    for step in track(steps.values(), 'warming up'):
        step()
        step()
    seconds: dict[tuple[str, bool], list[float]] = {kind: [] for kind in kinds}
    for _ in track(range(rounds), 'timing steps'):
        for kind, step in steps.items():
            start = clock(device)
            step()
            seconds[kind].append(clock(device) - start)
    rows = [Row(f'images/s, {p}{", compiled" if c else ""}',
                config.batch_size / float(np.median(seconds[p, c])), '1/s')
            for p, c in kinds]  # fmt: skip
    rows.append(ratio('bfloat16 against float32', seconds, ('32-true', False),
                      ('bf16-mixed', False)))  # fmt: skip
    if compiled:
        rows += [ratio(f'compiled against not, {p}', seconds, (p, False), (p, True))
                 for p in ('32-true', 'bf16-mixed')]  # fmt: skip
    return rows


def ratio(
    what: str, seconds: dict[tuple[str, bool], list[float]], slow: tuple[str, bool],
    fast: tuple[str, bool],
) -> Row:  # fmt: skip
    """Return how many times faster `fast` is: the median over the rounds."""
    pairs = np.array(seconds[slow]) / np.array(seconds[fast])
    return Row(f'speed-up of {what}', float(np.median(pairs)), 'x')


def resident_mb() -> float:
    """Return the memory of this process that is in RAM, in MB (Linux)."""
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def write_pairs(folder: Path, frames: int) -> None:
    """Write a manifest of `frames` rows, all of one small stereo pair."""
    texture = np.random.default_rng(0).integers(0, 256, (96, 192, 3), dtype=np.uint8)
    texture = cv2.GaussianBlur(texture, (0, 0), 1.5)
    depth = np.full((96, 160), 6.0, np.float32)
    write_files({folder / 'left.png': png(texture[:, 8:168]),
                 folder / 'right.png': png(texture[:, 16:176]),
                 folder / 'depth.png': depth_png(depth)})  # fmt: skip
    with (folder / 'manifest.csv').open('w', newline='', encoding='utf-8') as file:
        rows = csv.writer(file)
        rows.writerow(['id', 'image', 'right', 'depth', 'baseline_m', 'fx', 'fy', 'cx', 'cy'])
        for k in range(frames):
            rows.writerow([f'frame{k:06d}', 'left.png', 'right.png', 'depth.png', 0.5, 96, 96,
                           79.5, 47.5])  # fmt: skip


def label_memory(frames: int) -> list[Row]:
    """Make `frames` labels with SGBM and see how far memory grows after the first ones."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_pairs(folder, frames)
        plan = Plan(f'manifest@{folder}', 'sgbm', folder / 'labels', threads=1)
        labeller = Labeller(plan)
        labels.prepare(plan.folder, labeller.description())
        settled = grown = 0.0
        with labels.ManifestWriter(plan.folder, 0, 1) as manifest:
            done = outcomes(plan, labeller, range(frames), 1)
            for number, outcome in enumerate(track(done, 'labelling', total=frames), 1):
                assert outcome.row is not None, outcome.message
                manifest.add(outcome.row)
                if number == min(SETTLED_FRAMES, frames // 2):
                    settled = resident_mb()
                if settled:
                    grown = max(grown, resident_mb() - settled)
    return [Row(f'label making, {frames} frames: memory grown after {SETTLED_FRAMES}', grown, 'MB',
                f'<= {ALLOWED_GROWTH_MB:g}', grown <= ALLOWED_GROWTH_MB)]  # fmt: skip


def markdown(rows: list[Row], about: dict[str, Any]) -> str:
    """Return the measured rows as a table under what they were measured with."""
    cells = [
        [row.what, f'{row.value:.3g} {row.unit}'.strip(), row.needed,
         {True: 'yes', False: 'NO', None: ''}[row.met]]
        for row in rows
    ]  # fmt: skip
    head = ', '.join(f'{key} {value}' for key, value in about.items())
    return f'{head}.\n\n{table(["what", "measured", "needed", "met"], cells)}\n'


def bench(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """Measure everything that is asked for."""
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(0)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    config = TrainConfig(
        student=args.student, sources=args.sources, validation=args.sources.split(',')[0],
        batch_size=args.batch_size, crops='256x416', threads=args.threads, workers=args.workers,
        accelerator='gpu' if device == 'cuda' else 'cpu', precision='bf16-mixed', warmup_steps=1,
    )  # fmt: skip
    stream = CropStream(load_sources(config, args.root), config)
    rows = loading(config, stream, args.crops)
    rows += variants(config, stream, args.rounds, device, not args.no_compile)
    rows += step_share(config, args.rounds, args.root)
    rows += label_memory(args.frames)
    about = {
        'student': args.student, 'data': args.sources, 'batch': f'{args.batch_size} of 256x416',
        'device': torch.cuda.get_device_name() if device == 'cuda' else 'CPU',
        'threads': args.threads, 'torch': torch.__version__,
    }  # fmt: skip
    return rows, about


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(
        prog='python -m training.bench_train', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add('--out', type=Path, default=Path('out/bench_train'), help='folder of table and JSON')
    add('--student', choices=('plain', 'paper'), default='plain', help='(plain)')
    add('--sources', default='synthetic-val', help='as in training.train (synthetic-val)')
    add('--root', type=Path, help='road data folder')
    add('--batch-size', type=int, default=8, help='crops a step (8)')
    add('--threads', type=int, default=1, help='PyTorch threads (1)')
    add('--workers', type=int, default=1, help='data loading processes (1)')
    add('--crops', type=int, default=200, help='crops to time data loading with (200)')
    add('--rounds', type=int, default=10, help='steps of each variant (10)')
    add('--frames', type=int, default=1000, help='frames to label (1000)')
    add('--no-compile', action='store_true', help='leave torch.compile out: a minute less')
    args = parser.parse_args(argv)
    try:
        rows, about = bench(args)
        data = {'about': about, 'rows': [vars(row) for row in rows]}
        write_files({
            args.out / 'bench_train.json': (json.dumps(data, indent=2) + '\n').encode(),
            args.out / 'bench_train.md': markdown(rows, about).encode(),
        })  # fmt: skip
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(markdown(rows, about))
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
