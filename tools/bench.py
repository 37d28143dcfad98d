# SPDX-License-Identifier: Apache-2.0
"""`lightdepth bench` for this repository: beside the compared networks, and into docs/.

    python -m tools.bench --peers --plot docs/performance.svg --doc docs/performance.md

Takes the flags of `lightdepth bench` and two more. Needs a checkout, --peers also PyTorch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightdepth_ros.bench.matrix import Peer
from lightdepth_ros.bench.report import (
    TARGET_TITLES,
    TARGETS,
    Report,
    filled,
    rate_unit,
    target_row,
)
from lightdepth_ros.cli import bench as command
from lightdepth_ros.errors import ConfigError, LightdepthError
from tools.document import markdown_rows, write_section

PROGRAM = 'python -m tools.bench'
SECTION = 'bench'
"""The section of a document that --doc fills."""


def parser() -> argparse.ArgumentParser:
    """Return the parser: that of `lightdepth bench` with what needs a checkout."""
    top = command.parser(PROGRAM, checkout=True)
    top.add_argument(
        '--peers', action='store_true',
        help="also time the paper's network and those it is compared with; ratio 1.0 is then the "
        "paper's network with logits out in ONNX Runtime on one thread",
    )  # fmt: skip
    top.add_argument(
        '--doc', type=Path, metavar='FILE.md', help='fill the marked section of a document'
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, show and write."""
    words = sys.argv[1:] if argv is None else list(argv)
    args = parser().parse_args(words)
    try:
        with exported_peers() if args.peers else contextlib.nullcontext([]) as peers:
            report = command.measured(args, [*PROGRAM.split(), *words], peers)
        if args.doc:
            write_section(args.doc, SECTION, markdown(report))
    except LightdepthError as error:
        print(f'{PROGRAM}: {error}', file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def exported_peers() -> Iterator[list[Peer]]:
    """Export the compared networks in a process of its own; their files live as long as this.

    PyTorch's threads would disturb the timing, hence the other process. Raises ConfigError
    without PyTorch.
    """
    with tempfile.TemporaryDirectory(prefix='lightdepth_peers_') as folder:
        words = [sys.executable, '-m', 'training.peers.export', '--out', folder]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:]
            raise ConfigError(
                '--peers needs PyTorch and must be started in a checkout of the repository: '
                f'{"".join(last)}'
            )
        facts = json.loads((Path(folder) / 'peers.json').read_text(encoding='utf-8'))
        yield [Peer.of(fact, Path(folder)) for fact in facts]


def markdown(report: Report) -> str:
    """Return the results as Markdown."""
    columns = filled(report)
    parts = [
        f'`{report.command}`',
        '',
        f'{report.machine["date"]}, {report.machine["cpu"]}, {report.machine["cores"]} cores; '
        + ', '.join(f'{k} {v}' for k, v in report.machine['packages'].items())
        + f'. {report.rounds} rounds, every round all rows in a new order. '
        f'Ratio 1.0 = {report.reference}.',
        '',
        'Ceilings measured in the same rounds: '
        + ', '.join(f'{k} {v:.0f} {rate_unit(k)}' for k, v in sorted(report.ceilings.items()))
        + '.',
        '',
        *markdown_rows(
            [title for title, _ in columns], [[t(r) for _, t in columns] for r in report.rows]
        ),
        '',
        *markdown_rows(TARGET_TITLES, [target_row(t, report) for t in TARGETS]),
    ]
    if report.not_run:
        parts += ['', 'Not run here: ' + '; '.join(f'{k}: {v}' for k, v in report.not_run.items())]
    return '\n'.join(parts)


if __name__ == '__main__':
    sys.exit(main())
