# SPDX-License-Identifier: Apache-2.0
"""The benchmark's matrix: exits x engines x precisions x threads, the peers, and one run of it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from lightdepth_ros.backends import PRECISIONS
from lightdepth_ros.bench import timing as bench
from lightdepth_ros.bench.cost import Cost, network_cost
from lightdepth_ros.bench.report import Report, Row
from lightdepth_ros.bench.timing import Case, Times
from lightdepth_ros.contract import load_contract, shipped_contract
from lightdepth_ros.engines import EngineRequest, cpu, load_engine
from lightdepth_ros.engines.choose import installed_versions
from lightdepth_ros.errors import EngineError, LightdepthError


@dataclass(frozen=True)
class Peer:
    """A network to compare ours with; see training.peers.Peer."""

    title: str
    onnx: Path
    input_hw: tuple[int, int]
    parameters: int
    rmse_m: float | None
    protocol: str

    @classmethod
    def of(cls, fact: dict[str, Any], folder: Path) -> Peer:
        """Read one row of the peers.json in `folder`."""
        return cls(
            fact['title'],
            folder / fact['onnx'],
            (fact['input_hw'][0], fact['input_hw'][1]),
            fact['parameters'],
            fact['rmse_m'],
            fact['protocol'],
        )


@dataclass(frozen=True)
class Matrix:
    """What to time. input_hw: None = each contract's. starts: also measure new processes."""

    contracts: Sequence[Path]
    backends: Sequence[str]
    precisions: Sequence[str]
    threads: Sequence[int]
    input_hw: tuple[int, int] | None = None
    peers: Sequence[Peer] = ()
    rounds: int = 50
    starts: bool = True


@dataclass
class Loaded:
    """The cases that run here, and why the others do not."""

    cases: dict[str, Case] = field(default_factory=dict)
    runners: dict[str, bench.Runner] = field(default_factory=dict)
    closers: list[Callable[[], None]] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)


def measure(matrix: Matrix, command: str, console: Console) -> Report:
    """Run the matrix. `command` is what the report says it was made by."""
    loaded = load(matrix)
    ceilings = bench.ceiling_runners(matrix.threads)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('timing in turns', total=bench.WARM_UP + matrix.rounds)
        seconds = bench.interleave(
            loaded.runners | ceilings, matrix.rounds, lambda: progress.advance(task)
        )
        for close in loaded.closers:
            close()
        starting = [c for c in loaded.cases.values() if matrix.starts and c.contract is not None]
        starts = {
            case.title: bench.start_cost(case)
            for case in progress.track(starting, description='starting processes')
        }
    times = {title: Times.of(values) for title, values in seconds.items()}
    rates = {name: bench.ceiling_rate(name, times[name]) for name in ceilings}
    reference = reference_case(list(loaded.cases.values()))
    costs = {case: _cost(case) for case in loaded.cases.values()}
    rows = [
        Row(
            name=case.name, exit=case.exit, backend=case.backend, precision=case.computes,
            threads=case.threads, input_hw=case.input_hw, **asdict(times[title]),
            ratio=times[title].median_ms / times[reference.title].median_ms,
            paced_ratio=times[title].paced_ms / times[reference.title].paced_ms,
            **_cost_columns(costs[case], times[title], rates, case.threads),
            first_s=starts.get(title, {}).get('first_s'),
            memory_mib=starts.get(title, {}).get('memory_mib'),
            **_published(case, matrix.peers),
        )
        for title, case in loaded.cases.items()
    ]  # fmt: skip
    return Report(
        command=command, machine=machine(), rounds=matrix.rounds, reference=reference.title,
        ceilings=rates, rows=rows, overhead_ms=_overhead(matrix), not_run=loaded.not_run,
    )  # fmt: skip


def load(matrix: Matrix) -> Loaded:
    """Load every case; EngineError only if none of them runs here."""
    loaded = Loaded()
    for case in (*own_cases(matrix), *reference_cases(matrix), *peer_cases(matrix)):
        if case.title in loaded.cases:
            continue
        try:
            loaded.runners[case.title], close = bench.runner(case)
        except LightdepthError as error:
            reason = str(error).split('. ')[0]
            loaded.not_run.setdefault(_kind(case, reason), reason)
            continue
        loaded.cases[case.title] = case
        loaded.closers.append(close)
    if not loaded.cases:
        raise EngineError(f'nothing of this can run here: {loaded.not_run}')
    return loaded


def own_cases(matrix: Matrix) -> Iterator[Case]:
    """Yield exits x backends x precisions x threads; a GPU takes no thread count."""
    for path in matrix.contracts:
        for backend in matrix.backends:
            for precision in PRECISIONS[backend]:
                if precision in matrix.precisions:
                    counts = matrix.threads[:1] if backend == 'tensorrt' else matrix.threads
                    for threads in counts:
                        yield _case(path, backend, precision, threads, matrix.input_hw)


def reference_cases(matrix: Matrix) -> Iterator[Case]:
    """Yield the shipped paper network, exit L, in ONNX Runtime on one thread, if it is there."""
    path = shipped_contract('paper', 'L')
    if path.is_file():
        yield _case(path, 'onnxruntime', 'fp32', 1, matrix.input_hw)


def peer_cases(matrix: Matrix) -> Iterator[Case]:
    """Yield each compared network with each CPU engine in float32."""
    for peer in matrix.peers:
        for backend in ('onnxruntime', 'openvino'):
            for threads in matrix.threads:
                yield Case(peer.title, '', backend, 'fp32', 'fp32', threads, peer.input_hw,
                           onnx=peer.onnx)  # fmt: skip


def reference_case(cases: Sequence[Case]) -> Case:
    """Return the case that is 1.0: the paper's network with logits out if it was timed, else the
    paper student's exit L, else the first; in ONNX Runtime with the fewest threads."""

    def rank(case: Case) -> tuple[bool, bool, bool, int]:
        return (
            'logits' not in case.name,
            (case.name, case.exit) != ('paper', 'L'),
            case.backend != 'onnxruntime',
            case.threads,
        )

    return min(cases, key=rank)


def machine() -> dict[str, Any]:
    """Return what the figures depend on; no host name, no path."""
    return {
        'date': datetime.date.today().isoformat(),
        'cpu': cpu.name(),
        'cores': len(os.sched_getaffinity(0)),
        'packages': {name: v for name, v in installed_versions().items() if v},
    }


def _case(
    path: Path, backend: str, precision: str, threads: int, input_hw: tuple[int, int] | None
) -> Case:
    contract = load_contract(path)
    computes = str(contract.training.get('precision', precision))
    if computes != precision and precision != 'fp32':
        computes = f'{computes}+{precision}'
    return Case(
        contract.student, contract.exit, backend, precision, computes, threads,
        input_hw or contract.input_hw, contract=path,
    )  # fmt: skip


def _kind(case: Case, reason: str) -> str:
    """Return what does not run: a backend as a whole, or one precision of it."""
    return f'{case.backend} {case.precision}' if case.precision in reason else case.backend


def _cost(case: Case) -> Cost | None:
    try:
        if case.contract is not None:
            onnx_path = case.contract.parent / load_contract(case.contract).onnx_file
            return network_cost(onnx_path, (1, *case.input_hw, 3))
        assert case.onnx is not None
        return network_cost(case.onnx, (1, 3, *case.input_hw))
    except ImportError:
        return None


def _cost_columns(
    cost: Cost | None, times: Times, rates: dict[str, float], threads: int
) -> dict[str, Any]:
    known = {} if cost is None else {'gmac': cost.gmac, 'nodes': cost.nodes}
    return known | bench.shares(cost, times, rates, threads)


def _published(case: Case, peers: Sequence[Peer]) -> dict[str, Any]:
    for peer in peers:
        if peer.title == case.name:
            return {
                'parameters': peer.parameters,
                'rmse_m': peer.rmse_m,
                'protocol': peer.protocol,
            }
    return {}


def _overhead(matrix: Matrix) -> dict[str, float]:
    """Return what perception costs beside the first model in ONNX Runtime on one thread."""
    engine = load_engine(EngineRequest(matrix.contracts[0]))
    found = bench.perception_overhead(engine, matrix.rounds)
    engine.close()
    return found
