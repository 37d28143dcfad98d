# SPDX-License-Identifier: Apache-2.0
"""`backend: auto`: measures the engines that work here, takes the fastest, remembers it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lightdepth_ros.backends import ENGINES, PRECISIONS
from lightdepth_ros.contract import load_contract
from lightdepth_ros.engines import (
    Engine,
    EngineRequest,
    cpu,
    load_engine,
)
from lightdepth_ros.engines.cache import cache_dir
from lightdepth_ros.engines.golden import BOUNDS, compare, golden_ground, golden_image
from lightdepth_ros.errors import EngineError
from lightdepth_ros.files import WriteError, write_files

WARM_UP = 3
ROUNDS = 15
"""Runs per engine, taken in turns so that a busy moment hits all of them: under a second."""

MARGIN = 0.95
"""Another engine must need less than this share of ONNX Runtime's time: a tie keeps the engine
that every check compares with."""

USUAL = 'onnxruntime fp32'
RACED = {'openvino': ('fp32', 'bf16'), 'tensorrt': ('fp16',)}
"""Precisions that may win unasked, where a backend has more than one: those that lose well under
2 % of accuracy on the shipped models (docs/performance.md) and that the golden frame passes."""

PACKAGES = (
    'onnxruntime', 'openvino', 'tensorrt', 'tensorrt-rtx', 'cuda-bindings', 'cuda-python',
)  # fmt: skip
"""Installing, updating or removing one of these makes a remembered choice void."""


@dataclass(frozen=True)
class Choice:
    """What `auto` took and why.

    median_ms: milliseconds per image of each engine that works, by 'backend precision'.
    """

    backend: str
    precision: str
    reason: str
    median_ms: dict[str, float] = field(default_factory=dict)


def choose(request: EngineRequest, directory: Path | None = None) -> tuple[Engine, Choice]:
    """Return the fastest engine that is installed, loads and agrees with ONNX Runtime.

    request: its backend does not matter here; with a precision other than `auto` only that one is
    raced, else those of RACED. The choice is remembered in `directory` (None: the cache) for this
    machine, model, size, thread count and set of library versions. The reason is reported.
    """
    path = (directory or cache_dir()) / f'auto_{_fingerprint(request)}.json'
    remembered = _recall(path)
    if remembered is not None:
        try:
            engine = _load(request, remembered.backend, remembered.precision)
            request.tell(f'{remembered.reason} (measured earlier; delete {path} to measure again)')
            return engine, remembered
        except EngineError as error:
            request.tell(f'the remembered engine {remembered.backend} fails: {error}')
    engine, choice = _measured(request)
    request.tell(choice.reason)
    try:
        write_files({path: json.dumps(asdict(choice), indent=2).encode()})
    except WriteError as error:
        request.tell(
            f'warning: the choice cannot be kept in {path} ({error}); it is made at each start'
        )
    return engine, choice


def _load(request: EngineRequest, backend: str, precision: str) -> Engine:
    return load_engine(replace(request, backend=backend, precision=precision))


def _text_of(request: EngineRequest) -> str:
    """Return what is chosen for, in words."""
    contract = load_contract(request.contract_path)
    height, width = request.input_hw or contract.input_hw
    threads = f'{request.threads} thread{"s" if request.threads > 1 else ""}'
    return f'{contract.onnx_file} at {width}x{height} on {threads}'


def candidates() -> list[tuple[str, str]]:
    """Return (backend, precision) of everything that `auto` may take, ONNX Runtime first."""
    return [
        (backend, precision)
        for backend in ENGINES
        for precision in RACED.get(backend, PRECISIONS[backend])
    ]


def _measured(request: EngineRequest) -> tuple[Engine, Choice]:
    engines, notes = _working(request)
    if not engines:
        raise EngineError(f'no backend works here. {"; ".join(notes)}')
    median_ms = _race(engines, request.input_hw)
    best = fastest(median_ms)
    for name, engine in engines.items():
        if name != best:
            engine.close()
    measured = ', '.join(f'{name} {ms:.1f} ms' for name, ms in median_ms.items())
    taken = f'backend auto takes {best} for {_text_of(request)}: median {measured}'
    reason = '; '.join([taken, *notes])
    backend, _, precision = best.partition(' ')
    return engines[best], Choice(backend, precision, reason, median_ms)


def _working(request: EngineRequest) -> tuple[dict[str, Engine], list[str]]:
    """Load every engine; return those that agree with the first, and why the others do not."""
    engines: dict[str, Engine] = {}
    notes: dict[str, None] = {}
    for backend, precision in candidates():
        if request.precision not in ('auto', precision):
            continue
        name = f'{backend} {precision}'
        try:
            engine = _load(request, backend, precision)
        except EngineError as error:
            notes[f'{backend}: {str(error).split(". ")[0]}'] = None
            continue
        verdict = compare(engine, next(iter(engines.values()), engine), request.input_hw)
        if verdict.passed:
            engines[name] = engine
        else:
            notes[f'{name}: {verdict.text}'] = None
            engine.close()
    return engines, list(notes)


def _race(engines: dict[str, Engine], input_hw: tuple[int, int] | None) -> dict[str, float]:
    """Return each engine's median time for one image, in milliseconds."""
    contract = next(iter(engines.values())).contract
    hw = input_hw or contract.input_hw
    image, ground = golden_image(hw), golden_ground(contract, hw)
    times_ms: dict[str, list[float]] = {name: [] for name in engines}
    for round_index in range(WARM_UP + ROUNDS):
        for name, engine in engines.items():
            started = time.perf_counter()
            engine.run(image, ground=ground)
            if round_index >= WARM_UP:
                times_ms[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(times) for name, times in times_ms.items()}


def fastest(median_ms: dict[str, float]) -> str:
    """Return the engine to use: the fastest, or ONNX Runtime if none is clearly faster."""
    best = min(median_ms, key=lambda name: median_ms[name])
    usual = median_ms.get(USUAL)
    return USUAL if usual is not None and median_ms[best] >= MARGIN * usual else best


def remembered(directory: Path | None = None) -> list[Choice]:
    """Return the choices that were made on this machine and kept, the latest first."""
    paths = (directory or cache_dir()).glob('auto_*.json')
    ages = {path: path.stat().st_mtime for path in paths}
    choices = [_recall(path) for path in sorted(ages, key=lambda path: -ages[path])]
    return [choice for choice in choices if choice is not None]


def _recall(path: Path) -> Choice | None:
    try:
        choice = Choice(**json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError):
        return None
    return choice if choice.backend in ENGINES else None


def _fingerprint(request: EngineRequest) -> str:
    contract = load_contract(request.contract_path)
    facts = {
        'onnx': contract.onnx_sha256,
        'input_hw': list(request.input_hw or contract.input_hw),
        'threads': request.threads,
        'precision': request.precision,
        'cpu': cpu.name(),
        'isa': [cpu.cap(), cpu.dot_product()],
        'cores': len(os.sched_getaffinity(0)),
        'gpu': os.environ.get('CUDA_VISIBLE_DEVICES', '') + _text('/proc/driver/nvidia/version'),
        'packages': installed_versions(),
        'bounds': BOUNDS,  # who was refused before may pass now
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


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
