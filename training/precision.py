# SPDX-License-Identifier: Apache-2.0
"""Lower precision, weighed: what bf16 and int8 lose in accuracy beside what they gain in time.

A lower precision is worth shipping where it loses less than 2 % of RMSE and is more than 1.3 times
as fast as the same engine in float32. Times are taken in turns, one thread, so their ratios hold
on a busy machine too.

  python -m training.quantize lightdepth_ros/models/lightdepth_plain_L.json \\
      --frames ../shared/data/kitti/train/image --out out/int8
  python -m training.precision --model lightdepth_ros/models/lightdepth_plain_L.json \\
      --int8 out/int8/lightdepth_plain_L.json --doc docs/performance.md
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lightdepth_ros import terminal
from lightdepth_ros.bench import timing as bench
from lightdepth_ros.bench.timing import Case
from lightdepth_ros.contract import load_contract
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import EngineError, LightdepthError
from tools.document import markdown_rows, write_section
from training.datasets.catalog import open_dataset
from training.scoring.fullframe import Model
from training.scoring.protocols import PROTOCOLS, Protocol
from training.scoring.score import score, summary

LARGEST_LOSS = 0.02
SMALLEST_GAIN = 1.3
SECTION = 'precision'


@dataclass(frozen=True)
class Weighed:
    """One precision of one engine. rmse_m: on the data set; seconds: median per image."""

    case: Case
    rmse_m: float
    seconds: float


def cases_of(model: Path, int8: Path | None) -> list[Case]:
    """Return float32 and bf16 of `model`, and `int8` alone and over bf16, for each CPU engine."""
    wanted = [(model, 'onnxruntime', 'fp32'), (model, 'openvino', 'fp32')]
    wanted += [(model, 'openvino', 'bf16')]
    if int8 is not None:
        wanted += [(int8, 'onnxruntime', 'fp32'), (int8, 'openvino', 'fp32')]
        wanted += [(int8, 'openvino', 'bf16')]
    cases = []
    for path, backend, precision in wanted:
        contract = load_contract(path)
        computes = precision
        if path == int8:
            computes = 'int8' if precision == 'fp32' else f'int8+{precision}'
        cases.append(
            Case(contract.student, contract.exit, backend, precision, computes, 1,
                 contract.input_hw, contract=path)
        )  # fmt: skip
    return cases


def rmse_m(case: Case, data: str, protocol: Protocol) -> float:
    """Score one case on a data set: mean over its images, metres."""
    assert case.contract is not None
    model = Model(case.contract)
    model.engine.close()
    model.engine = load_engine(
        EngineRequest(case.contract, case.backend, precision=case.precision)
    )
    found = summary(score(open_dataset(data), model, protocol, case.title), protocol)
    model.engine.close()
    return float(found['per_image']['rmse'])


def weigh(cases: list[Case], data: str, protocol: Protocol, rounds: int) -> list[Weighed]:
    """Time and score every case that runs here."""
    runners, closers, able = {}, [], []
    for case in cases:
        try:
            runners[case.title], close = bench.runner(case)
        except EngineError as error:
            print(f'not here: {case.title}: {error}')
            continue
        able.append(case)
        closers.append(close)
    seconds = bench.interleave(runners, rounds)
    for close in closers:
        close()
    return [
        Weighed(
            case, rmse_m(case, data, protocol), statistics.median(seconds[case.title].in_a_row)
        )
        for case in able
    ]


def verdict(loss: float, gain: float) -> str:
    """Return whether a precision is worth shipping."""
    if loss >= LARGEST_LOSS:
        return 'no: loses too much'
    return 'yes' if gain > SMALLEST_GAIN else 'no: gains too little'


def table(weighed: list[Weighed]) -> list[list[str]]:
    """Return one row per case; float32 of the same engine is what loss and gain refer to."""
    base = {w.case.backend: w for w in weighed if w.case.computes == 'fp32'}
    rows = []
    for w in weighed:
        usual = base[w.case.backend]
        loss, gain = w.rmse_m / usual.rmse_m - 1, usual.seconds / w.seconds
        word = '' if w is usual else verdict(loss, gain)
        rows.append(
            [
                w.case.backend,
                w.case.computes,
                f'{w.rmse_m:.3f}',
                f'{loss:+.1%}',
                f'{gain:.2f}',
                word,
            ]
        )
    return rows


TITLES = ('engine', 'precision', 'RMSE m', 'loss', 'times as fast', 'worth shipping')


def report(rows: list[list[str]], data: str, protocol: Protocol, command: str) -> str:
    """Return the Markdown for the document."""
    return '\n'.join(
        [
            f'`{command}`',
            '',
            f'RMSE on {data}, mean over images, {protocol.sentence()}; time per image at the '
            "model's own input size on one thread, in turns.",
            '',
            *markdown_rows(TITLES, rows),
        ]
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog='python -m training.precision',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument('--model', type=Path, required=True, help="a float student's contract")
    top.add_argument('--int8', type=Path, help="its quantised file's contract")
    top.add_argument('--data', default='kitti-val', help='data set. Default: kitti-val')
    top.add_argument('--protocol', choices=PROTOCOLS, default='raw', help='Default: raw')
    top.add_argument('--rounds', type=int, default=50, help='Default: 50')
    top.add_argument('--doc', type=Path, help='document whose marked section is filled')
    return top


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    args = parser().parse_args(argv)
    protocol = PROTOCOLS[args.protocol]
    try:
        weighed = weigh(cases_of(args.model, args.int8), args.data, protocol, args.rounds)
        words = sys.argv[1:] if argv is None else argv
        command = f'python -m training.precision {shlex.join(words)}'
        text = report(table(weighed), args.data, protocol, command)
        Console().print(text, markup=False, highlight=False, soft_wrap=True)
        if args.doc:
            write_section(args.doc, SECTION, text)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
