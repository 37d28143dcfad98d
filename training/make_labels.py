# SPDX-License-Identifier: Apache-2.0
"""Let a teacher label a data set: resumable, parallel, over as many machines as you have.

    # dense depth of stereo pairs, bent to the lidar of each frame
    python -m training.make_labels --data kitti-raw-stereo --teacher psmnet \\
        --compensate local --out labels/psmnet
    # classes from a model folder of `transformers`
    python -m training.make_labels --data kitti-raw --teacher transformers:models/deeplab \\
        --out labels/deeplab
    # a quarter of the frames (of four machines), or one shard for each GPU of this one
    python -m training.make_labels ... --shard 0/4
    torchrun --nproc-per-node 8 -m training.make_labels ...

Stop it at any time; the same command continues. Frames whose labels are there and undamaged are
kept, missing, half-written or corrupt ones are made. The folder's layout:
training/labels/files.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lightdepth_ros import terminal
from lightdepth_ros.errors import ConfigError, DataError, LightdepthError
from training.datasets.catalog import describe
from training.labels import files as labels
from training.labels.labelling import Labeller, Outcome, Plan
from training.teachers.teacher import TEACHERS

GIVE_UP_AFTER = 10
"""When the first frames all fail, so will the rest."""

_labeller: list[Labeller] = []
"""The worker process' own; set once by `start_worker`."""


def start_worker(plan: Plan) -> None:
    """Open data set and teacher in a worker process."""
    _labeller[:] = [Labeller(plan)]


def work(index: int) -> Outcome:
    """Label one frame in a worker process."""
    return _labeller[0](index)


def outcomes(plan: Plan, here: Labeller, indices: range, workers: int) -> Iterator[Outcome]:
    """Yield what becomes of each frame, in order of completion.

    At most four frames for each worker are under way, so memory does not grow with the data set.
    """
    if workers <= 1:
        yield from map(here, indices)
        return
    with ProcessPoolExecutor(workers, get_context('spawn'), start_worker, (plan,)) as pool:
        waiting: set[Future[Outcome]] = set()
        try:
            for index in indices:
                waiting.add(pool.submit(work, index))
                if len(waiting) >= 4 * workers:
                    ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in ready)
            for future in wait(waiting).done:
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def parse_shard(text: str | None) -> tuple[int, int]:
    """Return (shard, shards) of I/N, or of torchrun's RANK and WORLD_SIZE, or (0, 1)."""
    if text is None:
        text = f'{os.environ.get("RANK", "0")}/{os.environ.get("WORLD_SIZE", "1")}'
    first, _, second = text.partition('/')
    if not (first.isdigit() and second.isdigit() and int(first) < int(second)):
        raise ConfigError(f'shard is {text!r}; write I/N with 0 <= I < N, as in 0/4')
    return int(first), int(second)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    teachers = '\n'.join(f'  {name:13} {about}' for name, about in TEACHERS.items())
    parser = argparse.ArgumentParser(
        prog='python -m training.make_labels',
        description=f'{__doc__}\nTeachers:\n{teachers}\n\nData sets:\n{describe()}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--data', required=True, help='data set to label (see above)')
    add('--root', type=Path, help='where it lies (default: the data folder)')
    add('--teacher', required=True, help='NAME or NAME:FILE (see above)')
    add('--option', action='append', default=[], metavar='KEY=VALUE',
        help="one of the teacher's options, as scale=0.5; may be repeated")  # fmt: skip
    add('--out', type=Path, required=True, help='label store; made if missing')
    add('--compensate', default='none', metavar='HOW',
        help="none; local: bend depth to each frame's own lidar; bins:FILE: subtract the mean "
             'error by depth, as `python -m training.estimate_bins` measures it')  # fmt: skip
    add('--sky', default='', metavar='STORE',
        help="with --compensate: labels that say where sky is (default: the teacher's own, or "
             "the data set's)")  # fmt: skip
    add('--no-narrow', action='store_true',
        help='do not limit classes to the coarse truth of CamVid and IDD')  # fmt: skip
    add('--shard', metavar='I/N', help="this process' part (default: torchrun's rank, or all)")
    add('--workers', type=int, default=1, help='processes; 1 is right for a GPU (default 1)')
    add('--threads', type=int, default=0, help='threads of each worker (default: all cores)')
    add('--limit', type=int, default=0, help='only the first frames; 0 = all')
    return parser.parse_args(arguments)


def plan_of(args: argparse.Namespace) -> Plan:
    """Turn the command line into a plan."""
    wrong = [o for o in args.option if '=' not in o]
    if wrong:
        raise ConfigError(f'option is {wrong[0]!r}; write KEY=VALUE, as in scale=0.5')
    if args.workers < 1:
        raise ConfigError(f'workers is {args.workers}; it must be at least 1')
    threads = args.threads or (max(1, (os.cpu_count() or 1) // args.workers) if args.workers > 1
                               else 0)  # fmt: skip
    return Plan(
        data=args.data, teacher=args.teacher, folder=args.out, root=args.root,
        options=dict(o.partition('=')[::2] for o in args.option), compensation=args.compensate,
        sky=args.sky, narrow=not args.no_narrow, threads=threads,
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Label this shard; return the number of frames that failed."""
    plan = plan_of(args)
    shard, shards = parse_shard(args.shard)
    here = Labeller(plan)
    labels.prepare(plan.folder, here.description())
    end = min(args.limit or len(here.dataset), len(here.dataset))
    indices = range(shard, end, shards)
    counts = dict.fromkeys(('made', 'kept', 'failed'), 0)
    columns = (
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn('left'), TimeRemainingColumn(),
    )  # fmt: skip
    with (
        labels.ManifestWriter(plan.folder, shard, shards) as manifest,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task(f'{plan.teacher} shard {shard}/{shards}', total=len(indices))
        for outcome in outcomes(plan, here, indices, args.workers):
            counts[outcome.state] += 1
            if outcome.row is not None:
                manifest.add(outcome.row)
            if outcome.state == 'failed':
                tell_failure(progress.console, outcome, counts)
            progress.advance(task)
    console.print(', '.join(f'{n} {state}' for state, n in counts.items()), f'in {plan.folder}')
    return counts['failed']


def tell_failure(console: Console, outcome: Outcome, counts: dict[str, int]) -> None:
    """Say which frame failed and why; stop where nothing works."""
    if counts['failed'] <= GIVE_UP_AFTER:
        console.print(f'{outcome.name}: {outcome.message}', highlight=False, markup=False)
    if counts['failed'] == GIVE_UP_AFTER and not counts['made'] and not counts['kept']:
        raise DataError(f'the first {GIVE_UP_AFTER} frames all failed: stopped')


def main(arguments: list[str] | None = None) -> int:
    """Return 0, 1 after an error or failed frames, 130 when interrupted."""
    args = parse(arguments)
    console = Console(stderr=True)
    try:
        return 1 if run(args, console) else 0
    except LightdepthError as error:
        console.print(f'error: {error}', highlight=False, markup=False)
        return 1
    except BrokenProcessPool:
        console.print(
            'error: a worker process was killed, most likely for memory: use fewer --workers '
            '(what is finished is kept)'
        )
        return 1
    except KeyboardInterrupt:
        console.print('stopped; the same command continues from here')
        return 130


if __name__ == '__main__':
    sys.exit(terminal.run(main))
