# SPDX-License-Identifier: Apache-2.0
"""Export a trained student: four ONNX files with contracts, each proved against PyTorch.

`python -m training.export runs/first/best.ckpt` writes lightdepth_<student>_<exit>.onnx and .json.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import math
import pickle
import sys
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from lightdepth_ros import terminal
from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASSES
from lightdepth_ros.contract import MODELS_DIR, ModelContract, model_name
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import ContractError, LightdepthError
from lightdepth_ros.mount import CANONICAL_HEIGHT_M, MAP_CHANNELS, Mount, ground_map
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops.truth import SKY_CANONICAL_M
from training.datasets.synthetic import SyntheticScenes
from training.model.distill import MEAN_RGB, STD_RGB, Distillation
from training.model.graph_tidy import tidy
from training.model.losses import inverse_log_map
from training.students.interface import EXITS
from training.students.plain import PlainStudent

DEPTH_TOLERANCE = 0.005
LABEL_AGREEMENT = 0.999
CONFIDENCE_TOLERANCE = 2
FUSION_TOLERANCE = 1e-4
"""Largest difference that folding may make, relative to the output's own range."""
NEAR_LIMIT_M = 0.2
OPSET = 17
UNREADABLE = (OSError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError)


class Graph(nn.Module):
    """What the ONNX file computes: uint8 image in; metres, class id and confidence out."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = fold_std(student)
        self.register_buffer('mean', torch.tensor(MEAN_RGB)[:, None, None])

    def forward(
        self, image: torch.Tensor, ground: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1, H, W, 3) uint8, (1, 4, H / 16, W / 16) -> depth, label, confidence, each (1, h, w).

        See ModelContract.
        """
        out = self.student(image.permute(0, 3, 1, 2).float() - self.mean, ground)[-1]
        depth = inverse_log_map(out.g.squeeze(1))  # [:, 0] would be traced to a Gather
        label = out.logits.argmax(1).to(torch.uint8)
        assert out.log_scale is not None
        return depth, label, confidence(out.log_scale.squeeze(1))


def confidence(log_scale: torch.Tensor) -> torch.Tensor:
    """Return uint8 255 * P(|error of ln depth| < ln 1.25), Laplace of scale e^log_scale."""
    chance = 1 - torch.exp(-math.log(1.25) * torch.exp(-log_scale))
    return (chance * 255 + 0.5).to(torch.uint8)


def fold_std(student: nn.Module) -> nn.Module:
    """Return a copy whose first convolution divides by the input's standard deviation itself.

    Only the division is folded: zero padding happens after the mean is gone, so folding the mean
    too would change the border.
    """
    student = copy.deepcopy(student)
    first = next(m for m in student.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        first.weight /= torch.tensor(STD_RGB)[:, None, None]
    return student


@dataclass(frozen=True)
class Trained:
    """A student read from a checkpoint, with what the contract says about its training."""

    name: str
    student: nn.Module
    provenance: dict[str, Any]


def open_checkpoint(path: Path) -> tuple[dict[str, Any], TrainConfig]:
    """Return what a checkpoint of training.train holds, and its configuration.

    Raises ContractError for any other file.
    """
    try:
        saved = torch.load(path, map_location='cpu', weights_only=True)
        settings = saved['hyper_parameters']['config']
        known = {f.name for f in fields(TrainConfig)}  # a field that is gone stays in the record
        return saved, TrainConfig(**{k: v for k, v in settings.items() if k in known})
    except UNREADABLE as error:
        raise ContractError(
            f'{path} is not a checkpoint of training.train ({error}). Give runs/<name>/best.ckpt '
            'or resume.ckpt.'
        ) from error


def read_checkpoint(path: Path, last: bool = False) -> Trained:
    """Load a checkpoint of training.train in eval mode, float32: the averaged weights.

    last: take the last weights instead, where the run kept an average beside them.
    """
    saved, config = open_checkpoint(path)
    settings = saved['hyper_parameters']['config']
    module = Distillation(asdict(config))
    weights = (
        saved.get('current_model_state', saved['state_dict']) if last else saved['state_dict']
    )
    module.load_state_dict(weights)
    commit = path.parent / 'commit.txt'
    provenance = {
        'config': settings | {'init': Path(settings['init']).name},  # no folders of this machine
        'step': saved['global_step'],
        'weights': 'last' if last else 'averaged',
        'commit': commit.read_text(encoding='utf-8').strip() if commit.is_file() else 'unknown',
        'torch': torch.__version__,
    }
    student = module.student.eval().to(memory_format=torch.contiguous_format)
    return Trained(config.student, student, provenance)


def inference_form(student: nn.Module) -> nn.Module:
    """Fold a branched student into plain convolutions and prove that nothing changed."""
    if not isinstance(student, PlainStudent):
        return student
    plain = student.reparameterised()
    pixels, ground_cells = test_inputs()[0]
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 64 - 2
    ground = torch.from_numpy(ground_cells)
    with torch.no_grad():
        pairs = zip(EXITS, student(image, ground), plain(image, ground), strict=False)
        for name, a, b in pairs:
            worst = max(
                float((x - y).abs().max() / x.abs().max()) for x, y in zip(a, b, strict=True)
            )
            if worst > FUSION_TOLERANCE:
                raise ContractError(
                    f'folding the branches changed exit {name} by {worst:.2e} of its range; '
                    f'{FUSION_TOLERANCE} is allowed. The checkpoint may hold extreme batch norms.'
                )
    return plain


def test_inputs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return images (1, H, W, 3) uint8 with ground maps, to prove parity on.

    At the default and at other sizes; mounts known and unknown.
    """
    scenes = SyntheticScenes(count=2, seed=20)
    wide = SyntheticScenes(count=1, seed=21, height=224, width=736)
    images = [scenes[0].rgb, scenes[1].rgb, wide[0].rgb]
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    mounts = (None, Mount(0.4, 8.0, -3.0), Mount(1.65), Mount(2.0, -5.0))
    found = []
    for image, mount in zip([*images, noise], mounts, strict=True):
        hw = (image.shape[0], image.shape[1])
        camera = Camera.from_fov(hw[1], hw[0], 70.0)
        found.append((image[None], ground_map(camera, mount, hw)))
    return found


def onnx_bytes(graph: Graph) -> bytes:
    """Trace the graph with free height and width, tidy it up and check the model."""
    buffer = io.BytesIO()
    free = {1: 'height', 2: 'width'}
    axes = {k: free for k in ('image', 'depth', 'label', 'confidence')}
    example = (
        torch.zeros(1, 320, 480, 3, dtype=torch.uint8), torch.zeros(1, MAP_CHANNELS, 20, 30),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the tracing exporter announces its successor
        torch.onnx.export(
            graph, example, buffer, dynamo=False,
            opset_version=OPSET, input_names=['image', 'ground'],
            output_names=['depth', 'label', 'confidence'],
            dynamic_axes=axes | {'ground': {2: 'cells_down', 3: 'cells_across'}},
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    tidy(model)
    onnx.helper.set_model_props(model, {'class_count': str(len(CLASSES))})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def prove(graph: Graph, contract_path: Path) -> dict[str, float]:
    """Compare the runtime's engine with PyTorch in float64; ContractError beyond the bounds."""
    engine = load_engine(EngineRequest(contract_path))
    exact = copy.deepcopy(graph).double()
    exact.student = copy.deepcopy(graph.student).double()
    worst, agree, off = 0.0, 1.0, 0
    for image, ground in test_inputs():
        got = engine.run(image, ground=ground)
        with torch.no_grad():
            pixels = torch.from_numpy(image).permute(0, 3, 1, 2).double() - exact.mean
            out = exact.student(pixels, torch.from_numpy(ground).double())
        depth = inverse_log_map(out[-1].g[:, 0]).numpy()
        label = out[-1].logits.argmax(1).numpy()
        sure = confidence(out[-1].log_scale[:, 0]).numpy().astype(int)
        worst = float(np.maximum(worst, apart(got['depth'], depth)))  # keeps a NaN, max() does not
        agree = min(agree, float((got['label'] == label).mean()))
        off = max(off, int(np.abs(got['confidence'].astype(int) - sure).max()))
    engine.close()
    if not worst <= DEPTH_TOLERANCE or agree < LABEL_AGREEMENT or off > CONFIDENCE_TOLERANCE:
        raise ContractError(
            f'{contract_path}: the runtime differs from PyTorch: depth by {worst:.2%} (allowed '
            f'{DEPTH_TOLERANCE:.2%}), labels agree on {agree:.3%} (needed {LABEL_AGREEMENT:.1%}), '
            f'confidence by {off} (allowed {CONFIDENCE_TOLERANCE})'
        )
    return {'depth_rel': worst, 'label_agreement': agree, 'confidence_diff': off}


def apart(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest relative difference; none where both are the same 0 or infinity."""
    with np.errstate(invalid='ignore', divide='ignore'):
        off = np.where(got == wanted, 0.0, np.abs(got / wanted - 1))
    return float(off.max())


def export_exit(trained: Trained, plain: nn.Module, exit_name: str, out: Path) -> dict[str, float]:
    """Write one exit's ONNX and contract to `out` if the proof holds; return the proof."""
    graph = Graph(plain.detach(exit_name)).eval()
    data = onnx_bytes(graph)
    stem = model_name(trained.name, exit_name)
    contract = ModelContract(
        student=trained.name, exit=exit_name, onnx_file=f'{stem}.onnx',
        onnx_sha256=hashlib.sha256(data).hexdigest(), canonical_focal_px=CANONICAL_FOCAL_PX,
        canonical_height_m=CANONICAL_HEIGHT_M,
        depth_range_m=(NEAR_LIMIT_M, SKY_CANONICAL_M), training=trained.provenance,
    )  # fmt: skip
    staging = out / f'.{stem}.staging'
    staging.mkdir(parents=True, exist_ok=True)
    (staging / f'{stem}.onnx').write_bytes(data)
    (staging / f'{stem}.json').write_text(contract.to_json(), encoding='utf-8')
    try:
        proof = prove(graph, staging / f'{stem}.json')
        for suffix in ('.onnx', '.json'):
            (staging / f'{stem}{suffix}').replace(out / f'{stem}{suffix}')
    finally:
        for leftover in staging.iterdir():
            leftover.unlink()
        staging.rmdir()
    nodes = len(onnx.load_from_string(data).graph.node)
    parameters = sum(p.numel() for p in graph.student.parameters())
    return proof | {'nodes': nodes, 'parameters': parameters, 'bytes': len(data)}


def export(checkpoint: Path, out: Path, last: bool = False) -> dict[str, dict[str, float]]:
    """Export all four exits of a checkpoint into `out`; returns the proof of each."""
    trained = read_checkpoint(checkpoint, last)
    plain = inference_form(trained.student)
    return {name: export_exit(trained, plain, name, out) for name in reversed(EXITS)}


def print_report(report: dict[str, dict[str, float]]) -> None:
    """Show what was written and how far runtime and PyTorch are apart."""
    table = Table('exit', 'parameters', 'nodes', 'kB', 'depth differs', 'labels agree', 'conf.')
    for name, row in report.items():
        table.add_row(
            name, f'{row["parameters"]:,.0f}', f'{row["nodes"]:.0f}', f'{row["bytes"] / 1e3:.0f}',
            f'{row["depth_rel"]:.1e}', f'{row["label_agreement"]:.4%}',
            f'{row["confidence_diff"]:.0f}/255',
        )  # fmt: skip
    Console().print(table)


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog='python -m training.export', description=__doc__)
    parser.add_argument('checkpoint', type=Path, help='checkpoint of training.train (.ckpt)')
    parser.add_argument(
        '--out', type=Path, default=MODELS_DIR,
        help='folder for the files (default: the package, where they ship)',
    )  # fmt: skip
    parser.add_argument(
        '--last', action='store_true',
        help='export the last weights, not their average (deep networks after short runs: the '
        'average of batch norm statistics lags behind)',
    )  # fmt: skip
    args = parser.parse_args(argv)
    try:
        print_report(export(args.checkpoint, args.out, args.last))
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
