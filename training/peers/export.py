# SPDX-License-Identifier: Apache-2.0
"""Write the compared networks, and the paper's own, as ONNX files for `tools.bench --peers`.

Each file takes a normalised float image (1, 3, H, W) and gives what its authors' heads give;
peers.json beside them tells size, published error and protocol. The weights are random.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from training.peers import PEERS
from training.students.paper import PaperStudent

PAPER_HW = (320, 480)
CLASSES = 19


class FinestHeads(nn.Module):
    """A peer's finest output as its paper has it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heads: tuple[torch.Tensor, ...] = self.network.heads(image)[-1]  # type: ignore[operator]
        return heads


class PaperHeads(nn.Module):
    """The paper's network, exit L: depth in G's space and class scores or probabilities."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.network = PaperStudent(CLASSES)
        del self.network.ground  # ours, not the paper's
        self.softmax = softmax

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.network(image)[-1]
        return out.g, out.logits.softmax(1) if self.softmax else out.logits


def write_onnx(network: nn.Module, input_hw: tuple[int, int], path: Path) -> None:
    """Trace `network` at one size into `path`."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the tracing exporter announces its successor
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, *input_hw),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=['image'],
        )


def export(out: Path) -> list[dict[str, object]]:
    """Write all files and peers.json into `out`; return the rows of peers.json."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    rows: list[dict[str, object]] = []
    for softmax in (False, True):
        name = 'paper_softmax' if softmax else 'paper_logits'
        network = PaperHeads(softmax)
        write_onnx(network, PAPER_HW, out / f'{name}.onnx')
        title = 'the paper, softmax in the graph' if softmax else 'the paper, logits out'
        rows.append(_row(name, title, PAPER_HW, network, 3.871, 'as tabled by Chiu et al.'))
    for name, peer in PEERS.items():
        network = peer.build()
        write_onnx(FinestHeads(network), peer.input_hw, out / f'{name}.onnx')
        rows.append(_row(name, peer.title, peer.input_hw, network, peer.rmse_m, peer.protocol))
    (out / 'peers.json').write_text(json.dumps(rows, indent=2) + '\n', encoding='utf-8')
    return rows


def _row(
    name: str,
    title: str,
    input_hw: tuple[int, int],
    network: nn.Module,
    rmse_m: float | None,
    protocol: str,
) -> dict[str, object]:
    return {
        'name': name,
        'title': title,
        'onnx': f'{name}.onnx',
        'input_hw': input_hw,
        'parameters': sum(p.numel() for p in network.parameters()),
        'rmse_m': rmse_m,
        'protocol': protocol,
    }


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog='python -m training.peers.export', description=__doc__)
    parser.add_argument('--out', type=Path, required=True, help='folder for the files')
    for row in export(parser.parse_args(argv).out):
        print(f'{row["title"]}: {row["parameters"]:,} parameters')
    return 0


if __name__ == '__main__':
    sys.exit(main())
