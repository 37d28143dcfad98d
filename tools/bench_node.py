# SPDX-License-Identifier: Apache-2.0
"""What the node costs beside its engine: 640x480 images at 30 Hz over DDS, as a robot runs it.

For each set of subscribed outputs it measures, for some seconds:
- the CPU time of the whole node process less that of the engine, as a share of one core;
- from image callback to last publish, less the engine: by the clock, which other programs move,
  and as CPU time of the inference thread, which they hardly do.

The same node, started again, differs by up to a third by the clock, so it is started several
times; the table shows medians over the starts.

    make bench-node

With --delivery it measures instead how many images of a camera in another process arrive and come
out, by image size, encoding, QoS and Fast DDS profile; see tools/bench_delivery.py.

Exit code 0: within the bounds, judged by CPU time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lightdepth_ros import terminal
from tools import bench_delivery
from tools.bench_delivery import load
from tools.ros_env import claim_domain_id, ros_environment
from tools.soak import SoakNode, machine, version
from tools.soak_camera import RATE_HZ, CameraDriver
from tools.soak_node import FRAME
from tools.soak_operator import OUTPUT_TYPES, Operator
from tools.soak_watch import Sample, sample

WARM_UP_S = 3.0
TABLE_WIDTH = 150
"""Columns that the table needs; a narrower terminal wraps its lines, which beats cut words."""
MAX_CPU_SHARE = 0.25
"""Of one core, at 30 Hz with all outputs, engine not counted."""
DELIVERY_FLAGS = {
    'size': tuple(bench_delivery.SIZES),
    'encoding': bench_delivery.ENCODINGS,
    'profile': bench_delivery.PROFILES,
}
RESTING, IDLE = 'no camera', 'nothing'
CASES = {
    RESTING: ((), float('nan')),
    IDLE: ((), float('nan')),
    'all outputs': (tuple(OUTPUT_TYPES), 3.0),
    'depth, labels, cloud': (
        ('depth/image', 'depth/camera_info', 'semantic/image', 'points'),
        3.0,
    ),
    'depth only': (('depth/image',), 1.5),
}
"""Subscribed outputs, and the most milliseconds from callback to publish beside the engine."""


@dataclass(frozen=True)
class Cost:
    """What one set of subscribers costs; medians where it is by frame.

    rate_hz     published frames a second; the camera sends 30.
    cpu_share   CPU time of the node without engine, as a share of one core, with 30 frames a
                second in and out: see `Fixed`.
    received_hz images a second that reached the node.
    added_ms    from image callback to last publish without engine, by the clock.
    added_cpu_ms  the same in CPU time of the inference thread.
    engine_ms   inference, by the clock.
    others      cores that other programs used meanwhile.
    added_range_ms  least and most `added_ms` of several starts.
    """

    name: str
    rate_hz: float
    received_hz: float
    cpu_share: float
    added_ms: float
    added_cpu_ms: float
    engine_ms: float
    others: float
    max_added_ms: float
    added_range_ms: tuple[float, float] = (float('nan'), float('nan'))

    @property
    def ok(self) -> bool:
        """Whether it is within the bounds, by CPU time."""
        return self.cpu_share <= MAX_CPU_SHARE and not self.added_cpu_ms > self.max_added_ms


@dataclass(frozen=True)
class Fixed:
    """What the node costs anyway. A busy machine drops frames, so 30 a second in and out are added
    up of what each thing costs: rest + 30 * (an image received + one published).

    rest      CPU seconds a second without any image.
    image_s   CPU seconds for an image that nobody listens to.
    """

    rest: float = 0.0
    image_s: float = 0.0

    def share(self, beyond_s: float, seconds: float, received: int, published: int) -> float:
        """Return the share of one core at 30 frames a second of what took `beyond_s`."""
        left_s = beyond_s - self.rest * seconds
        if received == 0:
            return self.rest + left_s / seconds
        if published == 0:
            return self.rest + RATE_HZ * left_s / received
        published_s = (left_s - self.image_s * received) / published
        return self.rest + RATE_HZ * (self.image_s + published_s)


def cost(
    name: str,
    before: Sample,
    after: Sample,
    frames: np.ndarray,
    received: int,
    fixed: Fixed,
    max_added_ms: float,
) -> Cost:
    """Return what the frames between two samples cost.

    frames: array of FRAME. received: images that reached the node.
    """
    seconds = after.at_s - before.at_s
    inside = frames[(frames['at_s'] > before.at_s) & (frames['at_s'] <= after.at_s)]
    published = inside.size
    beyond_s = after.node_s - before.node_s - float(inside['engine_cpu_ms'].sum()) * 1e-3
    ours_s = after.node_s - before.node_s + after.soak_s - before.soak_s
    return Cost(
        name=name,
        rate_hz=published / seconds,
        received_hz=received / seconds,
        cpu_share=fixed.share(beyond_s, seconds, received, published),
        added_ms=_median(inside['latency_ms'] - inside['engine_ms']),
        added_cpu_ms=_median(inside['cpu_ms'] - inside['engine_cpu_ms']),
        engine_ms=_median(inside['engine_ms']),
        others=max(0.0, (after.busy_s - before.busy_s - ours_s) / seconds),
        max_added_ms=max_added_ms,
    )


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the medians of what one case cost in several starts of the node."""
    names = [f.name for f in dataclasses.fields(Cost) if f.type == 'float']
    medians = {name: statistics.median(getattr(c, name) for c in costs) for name in names}
    added = [c.added_ms for c in costs]
    return dataclasses.replace(costs[0], **medians, added_range_ms=(min(added), max(added)))


def measure(
    seconds: float, names: Sequence[str], folder: Path, parameters: dict[str, str]
) -> list[Cost]:
    """Run the node and measure each of CASES, one after the other."""
    node = SoakNode(folder, os.environ, {'use_sim_time': 'false', **parameters})
    camera = CameraDriver(seed=0)
    operator = Operator(lambda topic, msg: None)
    try:
        operator.wait(lambda: operator.ready, 'the services of the node')
        camera.start()
        operator.wait(lambda: camera.subscribed, 'the node to subscribe')
        resting = _measure_one(RESTING, seconds, node, operator, folder, Fixed())
        camera.paused = False
        fixed = Fixed(rest=resting.cpu_share)
        idle = _measure_one(IDLE, seconds, node, operator, folder, fixed)
        fixed = Fixed(fixed.rest, (idle.cpu_share - fixed.rest) / RATE_HZ)
        others = [_measure_one(name, seconds, node, operator, folder, fixed) for name in names]
        return [resting, idle, *others]
    finally:
        camera.close()
        operator.close()
        node.stop()
        node.close()


def _measure_one(
    name: str,
    seconds: float,
    node: SoakNode,
    operator: Operator,
    folder: Path,
    fixed: Fixed,
) -> Cost:
    topics, max_added_ms = CASES[name]
    for topic in operator.listening - set(topics):
        operator.leave(topic)
    for topic in set(topics) - operator.listening:
        operator.listen(topic)
    operator.spin(WARM_UP_S)
    pids = (node.process.pid, [os.getpid()])
    _next_stats(operator)
    before, received = sample(*pids), operator.stats['received']
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        node.check()
        operator.spin(0.5)
    _next_stats(operator)
    after = sample(*pids)
    received = operator.stats['received'] - received
    frames = np.fromfile(folder / 'frames', FRAME)
    return cost(name, before, after, frames, received, fixed, max_added_ms)


def _next_stats(operator: Operator) -> None:
    """Wait for the node's next statistics, so that they are of now."""
    count = operator.stats_count
    operator.wait(lambda: operator.stats_count > count, '~/stats')


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float('nan')


def table(costs: Sequence[Cost], title: str) -> Table:
    """Return the costs for a terminal."""
    made = Table(title=title, caption='judged by CPU time; * = above the bound')
    for column in ('subscribed', 'in Hz', 'out Hz', 'CPU without engine, of a core at 30 Hz',
                   'callback to publish without engine, ms', 'the same, ms of CPU',
                   'engine ms', 'others, cores'):  # fmt: skip
        made.add_column(column, justify='left' if column == 'subscribed' else 'right')
    for c in costs:
        made.add_row(
            c.name, f'{c.received_hz:.1f}', f'{c.rate_hz:.1f}',
            f'{c.cpu_share:.1%}' + '*' * (c.cpu_share > MAX_CPU_SHARE),
            *_frame_cells(c), f'{c.others:.1f}',
        )  # fmt: skip
    return made


def _frame_cells(c: Cost) -> tuple[str, str, str]:
    if math.isnan(c.added_ms):
        return '', '', ''
    above = '*' * (c.added_cpu_ms > c.max_added_ms)
    least, most = c.added_range_ms
    return (
        f'{c.added_ms:.2f} ({least:.1f} to {most:.1f}; at most {c.max_added_ms:g})',
        f'{c.added_cpu_ms:.2f}{above}',
        f'{c.engine_ms:.1f}',
    )


def main() -> int:
    """Measure as the flags say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--seconds', type=float, default=10.0, help='for each case and start (default 10)'
    )
    parser.add_argument(
        '--starts', type=int, default=5, help='how often the node is started (default 5)'
    )
    parser.add_argument(
        '--case', choices=list(CASES)[2:], action='append', help='only this one; repeatable'
    )
    parser.add_argument('--json', type=Path, help='write the numbers here too')
    parser.add_argument('--delivery', action='store_true', help='images that arrive, instead')
    for flag, choices in DELIVERY_FLAGS.items():
        parser.add_argument(
            f'--{flag}', choices=choices, action='append', help='--delivery: only it; repeatable'
        )
    args = parser.parse_args()
    os.environ.update(ros_environment(os.environ, domain_id=claim_domain_id()))
    return delivery(args) if args.delivery else costs_of_node(args)


def delivery(args: argparse.Namespace) -> int:
    """Measure how many images arrive; exit code 0."""
    chosen = [getattr(args, flag) or choices for flag, choices in DELIVERY_FLAGS.items()]
    rows = [
        bench_delivery.measure(case, args.seconds, os.environ)
        for case in track(list(bench_delivery.cases(*chosen)), 'measuring', transient=True)
    ]
    title = f'images at 30 Hz that reach the node; {machine()}; {version()}; {load()}'
    _print(bench_delivery.table(rows, title))
    if args.json:
        _save(args.json, title, 'deliveries', rows)
    return 0


def costs_of_node(args: argparse.Namespace) -> int:
    """Measure what the node costs; 0 if it is within the bounds."""
    parameters = {'backend': 'onnxruntime', 'threads': '1'}
    names = args.case or list(CASES)[2:]
    starts = []
    for _ in track(range(max(1, args.starts)), 'starting the node', transient=True):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(measure(args.seconds, names, Path(folder), parameters))
    costs = [median_cost(of_case) for of_case in zip(*starts, strict=True)]
    title = (
        f'node at 640x480, 30 Hz, onnxruntime, 1 thread, {len(starts)} starts; '
        f'{machine()}; {version()}'
    )
    _print(table(costs, title))
    if args.json:
        _save(args.json, title, 'costs', costs)
    return int(not all(c.ok for c in costs))


def _print(made: Table) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)
    console.print(made)


def _save(path: Path, title: str, name: str, rows: Sequence[Any]) -> None:
    numbers = {'title': title, name: [dataclasses.asdict(row) for row in rows]}
    path.write_text(json.dumps(numbers, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    sys.exit(terminal.run(main))
