# SPDX-License-Identifier: Apache-2.0
"""Average the weights of runs that began at the same weights: one student instead of several.

  python -m training.average runs/6a/resume.ckpt runs/6b/resume.ckpt --out runs/6.ckpt
  python -m training.train --init runs/6.ckpt --out runs/7      # or: python -m training.export

Only runs that share their start can be averaged; others lie in different valleys. (Wortsman et
al., "Model soups", ICML 2022.)
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lightdepth_ros import terminal
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import write_files
from training.export import open_checkpoint

KEPT = ('state_dict', 'hyper_parameters', 'global_step')
"""No optimiser: an average cannot continue as one of its runs."""


def average(paths: Sequence[Path]) -> dict[str, Any]:
    """Return a checkpoint with the mean of all weights and batch statistics: to export or --init.

    The rest of it is the first one's. Raises ContractError for what is no checkpoint, ConfigError
    for another network.
    """
    checkpoints = [open_checkpoint(path)[0] for path in paths]
    states = [checkpoint['state_dict'] for checkpoint in checkpoints]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    for path, other in zip(paths, shapes, strict=True):
        if other != shapes[0]:
            raise ConfigError(f'{path} is of another network than {paths[0]}')
    for name, tensor in states[0].items():
        if tensor.is_floating_point():
            states[0][name] = torch.stack([state[name] for state in states]).mean(0)
    return {key: checkpoints[0][key] for key in KEPT}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(
        prog='python -m training.average', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('checkpoints', type=Path, nargs='+', help='checkpoints of training.train')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    args = parser.parse_args(argv)
    try:
        buffer = io.BytesIO()
        torch.save(average(args.checkpoints), buffer)
        write_files({args.out: buffer.getvalue()})
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'wrote {args.out}: the mean of {len(args.checkpoints)} checkpoints')
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
