# SPDX-License-Identifier: Apache-2.0
"""Time engines against each other in turns, so that a busy moment affects all of them alike."""

from __future__ import annotations

import importlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.backends import ENGINES
from lightdepth_ros.bench.cost import COPY_BYTES, MATRIX, Cost, matrix_product, memory_copy
from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.engines import Engine, EngineRequest, load_engine
from lightdepth_ros.engines.golden import golden_ground, golden_image
from lightdepth_ros.errors import EngineError
from lightdepth_ros.perception.cloud import points
from lightdepth_ros.perception.perception import PARTS, Perception
from lightdepth_ros.perception.point_filter import without_flying

WARM_UP = 5
PAUSE_S = 1 / 30
"""Before each turn, as between the images of a camera: threads fall asleep, caches get cold."""
IN_A_ROW = 5
"""Images after the first one in each turn."""
Runner = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One thing to time. contract is None for a peer, whose `onnx` is then set.

    precision: what the engine is asked for. computes: what the file makes of it, to be shown.
    """

    name: str
    exit: str
    backend: str
    precision: str
    computes: str
    threads: int
    input_hw: tuple[int, int]
    contract: Path | None = None
    onnx: Path | None = None

    @property
    def title(self) -> str:
        """Return one line that names the case."""
        parts = (self.name, self.exit, self.backend, self.computes, f'{self.threads}t')
        return ' '.join(part for part in parts if part)


@dataclass(frozen=True)
class Seconds:
    """How long each image took: the first after a pause, and those that followed at once."""

    paced: list[float] = field(default_factory=list)
    in_a_row: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Times:
    """Milliseconds of one case over all rounds.

    best_ms: what a busy machine disturbs least. paced_ms: median of the first images after a
    pause; everything else is of images in a row.
    """

    best_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    images_s: float
    paced_ms: float

    @classmethod
    def of(cls, seconds: Seconds) -> Times:
        """Sum up durations."""
        ms = np.array(seconds.in_a_row) * 1e3
        return cls(
            float(ms.min()),
            float(np.median(ms)),
            float(np.percentile(ms, 95)),
            float(np.percentile(ms, 99)),
            float(1e3 / ms.mean()),
            float(np.median(seconds.paced) * 1e3),
        )


def runner(case: Case) -> tuple[Runner, Callable[[], None]]:
    """Return a function that infers one image, and one that frees what it holds.

    Raises EngineError or ContractError for a case that cannot run here.
    """
    if case.contract is not None:
        engine = load_engine(
            EngineRequest(case.contract, case.backend, case.threads, case.precision, case.input_hw)
        )
        image = golden_image(case.input_hw)
        ground = golden_ground(engine.contract, case.input_hw)
        return (lambda: engine.run(image, ground=ground)), engine.close
    assert case.onnx is not None
    module: Any = importlib.import_module(ENGINES[case.backend])
    run = module.plain_runner(case.onnx.read_bytes(), case.threads, case.precision)
    array = np.random.default_rng(0).random((1, 3, *case.input_hw), np.float32)
    return (lambda: run(array)), lambda: None


def interleave(
    runners: dict[str, Runner],
    rounds: int,
    advance: Callable[[], None] = lambda: None,
    pause_s: float = PAUSE_S,
) -> dict[str, Seconds]:
    """Return the seconds each runner took in each round; every round has an order of its own.

    In its turn a runner waits `pause_s`, runs once, and then IN_A_ROW times more.
    """
    order = list(runners)
    shuffle = random.Random(0).shuffle
    seconds = {name: Seconds() for name in order}
    for index in range(WARM_UP + rounds):
        shuffle(order)
        for name in order:
            time.sleep(pause_s)
            took = [timed(runners[name]) for _ in range(1 + IN_A_ROW)]
            if index >= WARM_UP:
                seconds[name].paced.append(took[0])
                seconds[name].in_a_row.extend(took[1:])
        advance()
    return seconds


def timed(run: Runner) -> float:
    """Return the seconds that `run()` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ceiling_runners(threads: Iterable[int]) -> dict[str, Runner]:
    """Return the machine's ceilings as runners, 'matmul 1t', 'copy 1t' and so on.

    Without the onnx package the matrix products are left out.
    """
    found: dict[str, Runner] = {}
    for count in sorted(set(threads)):
        found[f'copy {count}t'] = memory_copy(count)
        try:
            found[f'matmul {count}t'] = matrix_product(count)
        except ImportError:
            continue
    return found


def ceiling_rate(name: str, times: Times) -> float:
    """Return 1e9 flop/s of a matrix product, or 1e9 bytes/s read and written of a copy."""
    work = 2 * MATRIX**3 if name.startswith('matmul') else 2 * COPY_BYTES
    return float(work / times.median_ms / 1e6)


def shares(
    cost: Cost | None, times: Times, rates: dict[str, float], threads: int
) -> dict[str, float | None]:
    """Return what a case achieves of the ceilings with as many threads, 1 = all of it."""
    matmul, copy = rates.get(f'matmul {threads}t'), rates.get(f'copy {threads}t')
    found: dict[str, float | None] = {'matmul_share': None, 'copy_share': None}
    if cost is not None and matmul is not None:
        found['matmul_share'] = 2 * cost.gmac / times.median_ms * 1e3 / matmul
    if cost is not None and copy is not None:
        found['copy_share'] = cost.mbyte / times.median_ms / copy
    return found


def start_cost(case: Case) -> dict[str, float]:
    """Return 'first_s', import to first prediction, and 'memory_mib', resident, of a new process.

    Both are for a program that only loads this case and runs it.
    """
    command = [
        sys.executable, '-m', 'lightdepth_ros.bench.start', str(case.contract), case.backend,
        str(case.threads), case.precision,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(f'{case.title} failed in a process of its own: {done.stderr[-500:]}')
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def perception_overhead(
    engine: Engine, rounds: int, camera_hw: tuple[int, int] = (480, 640)
) -> dict[str, float]:
    """Return the milliseconds per frame that are not the engine's: median over `rounds`.

    'everything_ms': resize, crop, scale, validity, RGB at the output size and the filtered cloud.
    'depth_only_ms': depth alone, no cloud. The camera image is `camera_hw` pixels.
    """
    perception = Perception(
        engine, input_hw=engine.contract.input_hw, fit='crop', depth_scale=1.0,
        min_range_m=0.0, max_range_m=80.0, min_confidence=0.0,
    )  # fmt: skip
    image = np.ascontiguousarray(golden_image(camera_hw)[0])
    camera = Camera.from_fov(camera_hw[1], camera_hw[0], 70.0)
    everything: list[float] = []
    depth_only: list[float] = []
    cloud = None
    for _ in range(WARM_UP + rounds):
        started = time.perf_counter()
        frame = perception.predict(image, camera, PARTS)
        solid = without_flying(frame.prediction, NodeConfig().point_filter)
        cloud = points(solid, frame.rgb, cloud)
        total_ms = (time.perf_counter() - started) * 1e3
        everything.append(total_ms - frame.timings_ms['engine'])
        started = time.perf_counter()
        frame = perception.predict(image, camera, ('depth',))
        total_ms = (time.perf_counter() - started) * 1e3
        depth_only.append(total_ms - frame.timings_ms['engine'])
    return {
        'everything_ms': statistics.median(everything[WARM_UP:]),
        'depth_only_ms': statistics.median(depth_only[WARM_UP:]),
    }
