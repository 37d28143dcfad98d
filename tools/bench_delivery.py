# SPDX-License-Identifier: Apache-2.0
"""How many of a camera's images reach the node, and how many come out: `bench_node --delivery`.

Camera and node are two processes of one machine, both restarted for every case. The node runs at
its smallest output, so that the engine does not limit the rate.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from lightdepth_ros.shared_memory import VARIABLES
from tools.ros_env import ROOT
from tools.soak import SoakNode
from tools.soak_operator import Operator

SIZES = {'VGA': (640, 480), '720p': (1280, 720), '1080p': (1920, 1080), '4K': (3840, 2160)}
ENCODINGS = ('rgb8', 'yuyv', 'jpeg')
RELIABILITIES = ('best_effort', 'reliable')
PROFILES = ('none', 'node', 'both')
"""Who is started with config/fastdds.xml."""
RATE_HZ = 30.0
WARM_UP_S = 3.0
PATIENCE_S = 10.0
WANTED = 'depth/image'


@dataclass(frozen=True)
class Case:
    """One camera, and who has the profile."""

    size: str
    encoding: str
    reliability: str
    profile: str


@dataclass(frozen=True)
class Delivery:
    """What came of RATE_HZ images a second: per second in and out, and lost on the way in."""

    case: Case
    in_hz: float
    out_hz: float
    lost_hz: float


def cases(
    sizes: Sequence[str], encodings: Sequence[str], profiles: Sequence[str]
) -> Iterator[Case]:
    """Yield every combination."""
    for row in itertools.product(sizes, encodings, RELIABILITIES, profiles):
        yield Case(*row)


def environment(base: Mapping[str, str], with_profile: bool) -> dict[str, str]:
    """Return the variables for a process with or without the Fast DDS profile of `base`."""
    if with_profile:
        return dict(base)
    return {name: value for name, value in base.items() if name not in VARIABLES}


def measure(case: Case, seconds: float, base: Mapping[str, str]) -> Delivery:
    """Run camera and node, and count."""
    width, height = SIZES[case.size]
    transport = 'compressed' if case.encoding == 'jpeg' else 'raw'
    parameters = {
        'use_sim_time': 'false',
        'output_resolution': 'XS',
        'image_transport': transport,
    }
    with tempfile.TemporaryDirectory() as folder:
        node_env = environment(base, case.profile != 'none')
        node = SoakNode(Path(folder), node_env, parameters)
        camera = subprocess.Popen(
            [
                *(sys.executable, '-m', 'tools.bench_camera'),
                *('--width', str(width), '--height', str(height)),
                *('--encoding', case.encoding, '--reliability', case.reliability),
                *('--rate-hz', str(RATE_HZ)),
            ],
            cwd=ROOT,
            env=environment(base, case.profile == 'both'),
        )
        operator = Operator(lambda topic, msg: None)
        try:
            operator.listen(WANTED)
            operator.wait(lambda: operator.ready, 'the services of the node')
            operator.wait(lambda: bool(operator.stats), '~/stats')
            operator.spin(WARM_UP_S)
            delivery = _count(case, seconds, operator)
            node.check()
            return delivery
        finally:
            operator.close()
            camera.send_signal(signal.SIGINT)
            node.stop()
            node.close()
            _end(camera)


def _count(case: Case, seconds: float, operator: Operator) -> Delivery:
    names = ('received', 'published', 'not_delivered')
    before, start_s = dict(operator.stats), operator.stats_at_s
    operator.spin(seconds)
    after, seconds = operator.stats, operator.stats_at_s - start_s
    return Delivery(case, *((after[name] - before[name]) / seconds for name in names))


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def table(rows: Sequence[Delivery], title: str) -> Table:
    """Return the rates for a terminal."""
    made = Table(title=title, caption=f'camera: rclpy, {RATE_HZ:g} Hz, in a process of its own')
    for column in ('image', 'encoding', 'camera offers', 'profile', 'in Hz', 'out Hz', 'lost Hz'):
        made.add_column(column, justify='right' if column.endswith('Hz') else 'left')
    for row in rows:
        case = row.case
        rates = (f'{hz:.1f}' for hz in (row.in_hz, row.out_hz, row.lost_hz))
        offers = case.reliability.replace('_', ' ')
        made.add_row(case.size, case.encoding, offers, case.profile, *rates)
    return made


def load() -> str:
    """Return how busy the machine was, in words."""
    return f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores'
