# SPDX-License-Identifier: Apache-2.0
"""Blend two exported students, one of which was trained on from the other.

  python -m training.blend old/lightdepth_plain_L.json new/lightdepth_plain_L.json --out blend
  python -m training.train --init blend/lightdepth_plain_L.onnx --out runs/last

A student that learns new views forgets some of the old ones. Part of the way back, between the
weights before and after, it knows more of both; a few steps at a falling rate settle it. (Wortsman
et al., "Robust fine-tuning of zero-shot models", CVPR 2022.) Weights are averaged in the form that
runs: every convolution with its branches and batch norm folded in.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from lightdepth_ros import terminal
from lightdepth_ros.contract import ModelContract, load_contract
from lightdepth_ros.errors import ConfigError, LightdepthError
from training import export
from training.model import init_onnx
from training.students import STUDENTS
from training.students.interface import EXITS


def folded_student(path: Path) -> tuple[nn.Module, ModelContract]:
    """Return a student in inference form with the weights of an exported file and its sisters.

    A file without a ground map gives one whose ground embeddings are zero.
    """
    contract = load_contract(path)
    student = STUDENTS[contract.student](len(contract.classes), confidence=True)
    folder = init_onnx.find(str(path), contract.student)
    init_onnx.load(student, folder, contract.student)
    return export.inference_form(student.eval()), contract


def blend(old: Path, new: Path, share: float, out: Path) -> dict[str, dict[str, float]]:
    """Write all exits of (1 - share) x new + share x old into `out`; return the proof of each.

    old, new: contracts of exported files of one kind of student. Raises ConfigError for another
    share than 0 to 1 and for two kinds.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f'--share is {share}; it must lie in [0, 1]: the share of {old}')
    (first, contract), (second, other) = folded_student(old), folded_student(new)
    if contract.student != other.student:
        raise ConfigError(f'{old} is a {contract.student} student, {new} a {other.student} one')
    before, after = first.state_dict(), second.state_dict()
    second.load_state_dict({
        name: (1 - share) * value + share * before[name] if value.is_floating_point() else value
        for name, value in after.items()
    })  # fmt: skip
    record = {'share_of_old': share, 'old': contract.onnx_sha256, 'new': other.onnx_sha256}
    trained = export.Trained(other.student, second, other.training | {'blend': record})
    return {name: export.export_exit(trained, second, name, out) for name in reversed(EXITS)}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(
        prog='python -m training.blend', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('old', type=Path, help='contract of an exported student (.json)')
    parser.add_argument('new', type=Path, help='contract of the student trained on from it')
    parser.add_argument('--share', type=float, default=0.4, help='of the old weights (0.4)')
    parser.add_argument('--out', type=Path, required=True, help='folder for the files')
    args = parser.parse_args(argv)
    try:
        export.print_report(blend(args.old, args.new, args.share, args.out))
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
