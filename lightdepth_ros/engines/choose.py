# SPDX-License-Identifier: Apache-2.0
"""`backend: auto`: measures the engines that work here, takes the fastest, remembers it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lightdepth_ros.contract import load_contract
from lightdepth_ros.engine_cache import cache_dir, write_atomically
from lightdepth_ros.engines import ENGINES, Engine, Report, load_engine
from lightdepth_ros.errors import EngineError
from lightdepth_ros.golden import compare, golden_image

WARM_UP = 3
ROUNDS = 15
"""Runs per engine, taken in turns so that a busy moment hits all of them: under a second."""

MARGIN = 0.95
"""Another engine must need less than this share of ONNX Runtime's time: a tie keeps the engine
that every check compares with."""

PACKAGES = (
    'onnxruntime', 'openvino', 'tensorrt', 'tensorrt-rtx', 'cuda-bindings', 'cuda-python',
)  # fmt: skip
"""Installing, updating or removing one of these makes a remembered choice void."""


@dataclass(frozen=True)
class Choice:
    """What `auto` took and why. median_ms: of each engine that works, in milliseconds."""

    backend: str
    reason: str
    median_ms: dict[str, float] = field(default_factory=dict)


def choose(
    contract_path: Path,
    threads: int = 1,
    *,
    input_hw: tuple[int, int] | None = None,
    report: Report | None = None,
    directory: Path | None = None,
) -> tuple[Engine, Choice]:
    """Return the fastest engine that is installed, loads and agrees with ONNX Runtime.

    The choice is remembered in `directory` (None: the cache) for this machine, model, size,
    thread count and set of library versions. `report`, or the log, is told the reason.
    """
    report = report or logging.getLogger('lightdepth').info
    path = (
        directory or cache_dir()
    ) / f'auto_{_fingerprint(contract_path, threads, input_hw)}.json'
    remembered = _recall(path)
    if remembered is not None:
        try:
            engine = load_engine(
                contract_path, remembered.backend, threads, input_hw=input_hw, report=report
            )
            report(f'{remembered.reason} (measured earlier; delete {path} to measure again)')
            return engine, remembered
        except EngineError as error:
            report(f'the remembered engine {remembered.backend} fails: {error}')
    engine, choice = _measured(contract_path, threads, input_hw, report)
    report(choice.reason)
    try:
        write_atomically(path, json.dumps(asdict(choice), indent=2).encode())
    except OSError as error:
        report(f'warning: the choice cannot be kept in {path} ({error}); it is made at each start')
    return engine, choice


def _measured(
    contract_path: Path, threads: int, input_hw: tuple[int, int] | None, report: Report
) -> tuple[Engine, Choice]:
    engines, notes = _working(contract_path, threads, input_hw, report)
    if not engines:
        raise EngineError(f'no backend works here. {"; ".join(notes)}')
    median_ms = _race(engines, input_hw)
    best = fastest(median_ms)
    for backend, engine in engines.items():
        if backend != best:
            engine.close()
    measured = ', '.join(f'{backend} {ms:.1f} ms' for backend, ms in median_ms.items())
    reason = '; '.join([f'backend auto takes {best}: median {measured}', *notes])
    return engines[best], Choice(best, reason, median_ms)


def _working(
    contract_path: Path, threads: int, input_hw: tuple[int, int] | None, report: Report
) -> tuple[dict[str, Engine], list[str]]:
    """Load every engine; return those that agree with the first, and why the others do not."""
    engines: dict[str, Engine] = {}
    notes = []
    for backend in ENGINES:
        try:
            engine = load_engine(contract_path, backend, threads, input_hw=input_hw, report=report)
        except EngineError as error:
            notes.append(f'{backend}: {str(error).split(". ")[0]}')
            continue
        verdict = compare(engine, next(iter(engines.values()), engine), input_hw)
        if verdict.passed:
            engines[backend] = engine
        else:
            notes.append(f'{backend}: {verdict.text}')
            engine.close()
    return engines, notes


def _race(engines: dict[str, Engine], input_hw: tuple[int, int] | None) -> dict[str, float]:
    """Return each engine's median time for one image, in milliseconds."""
    image = golden_image(input_hw or next(iter(engines.values())).contract.input_hw)
    times_ms: dict[str, list[float]] = {backend: [] for backend in engines}
    for round_index in range(WARM_UP + ROUNDS):
        for backend, engine in engines.items():
            started = time.perf_counter()
            engine.run(image)
            if round_index >= WARM_UP:
                times_ms[backend].append((time.perf_counter() - started) * 1e3)
    return {backend: statistics.median(times) for backend, times in times_ms.items()}


def fastest(median_ms: dict[str, float]) -> str:
    """Return the backend to take: the fastest, but ONNX Runtime where nobody clearly beats it."""
    best = min(median_ms, key=lambda backend: median_ms[backend])
    usual = median_ms.get('onnxruntime')
    return 'onnxruntime' if usual is not None and median_ms[best] >= MARGIN * usual else best


def _recall(path: Path) -> Choice | None:
    try:
        choice = Choice(**json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError):
        return None
    return choice if choice.backend in ENGINES else None


def _fingerprint(contract_path: Path, threads: int, input_hw: tuple[int, int] | None) -> str:
    contract = load_contract(contract_path)
    facts = {
        'onnx': contract.onnx_sha256,
        'input_hw': list(input_hw or contract.input_hw),
        'threads': threads,
        'cpu': cpu_name(),
        'cores': len(os.sched_getaffinity(0)),
        'gpu': os.environ.get('CUDA_VISIBLE_DEVICES', '') + _text('/proc/driver/nvidia/version'),
        'packages': installed_versions(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def cpu_name() -> str:
    """Return the processor's name as the kernel gives it, or its architecture."""
    for line in _text('/proc/cpuinfo').splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def installed_versions() -> dict[str, str]:
    """Return the version of each of PACKAGES, '' for those that are not installed."""
    return {name: _version(name) for name in PACKAGES}


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''
