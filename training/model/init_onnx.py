# SPDX-License-Identifier: Apache-2.0
"""Start training from exported ONNX files: the shipped student, say, whose checkpoint no one has.

An exported file holds every convolution with its batch norm (and, in the plain student, its three
branches) folded in. `load` unfolds it into the training form: branches as in a fresh network, the
3x3 kernel taking the rest, batch norms that change nothing. `calibrate` then measures what passes
through each batch norm and moves scale and offset into it, so that evaluation computes what the
file does and training, which normalises by the batch, starts close to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from torch import nn

from lightdepth_ros.contract import MODELS_DIR, load_contract, model_name
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import MAP_CHANNELS
from training.config import CANONICAL_FOCAL_PX
from training.model.distill import STD_RGB, normalise
from training.students.interface import EXITS
from training.students.plain import BranchedConv

SHIPPED = 'lightdepth'
"""The word for the model files of the package."""
SUFFIXES = ('.onnx', '.json')
HEADS = ('.depth', '.semantic')
KERNEL_RMS = 0.25
"""Usual root mean square of a kernel row before a batch norm after training (0.23 to 0.33 in every
layer of the plain student): Adam then moves it by the same share as it did."""


class Layer(NamedTuple):
    """One convolution of a student, with the batch norm that follows it, if any."""

    name: str
    conv: nn.Conv2d | BranchedConv
    norm: nn.BatchNorm2d | None


def is_exported(init: str) -> bool:
    """Tell whether --init names exported files and not a checkpoint."""
    return init == SHIPPED or Path(init).suffix in SUFFIXES


def find(init: str, student: str) -> Path:
    """Return the folder of the four exported exits that --init means, checked to fit `student`.

    init: `lightdepth`, or one of the files. ConfigError says what is missing or does not fit.
    """
    given = Path(init)
    folder = MODELS_DIR if init == SHIPPED else given.parent
    name = model_name(student, EXITS[-1]) if init == SHIPPED else given.stem
    contract = load_contract(folder / f'{name}.json')
    if contract.student != student:
        raise ConfigError(
            f'--init {init} is a {contract.student} student, this run trains {student}: '
            f'add --student {contract.student}'
        )
    if contract.canonical_focal_px != CANONICAL_FOCAL_PX:
        raise ConfigError(
            f'--init {init} gives depth for a focal length of {contract.canonical_focal_px} px, '
            f'training for {CANONICAL_FOCAL_PX}'
        )
    files = [folder / f'{model_name(student, e)}.onnx' for e in EXITS]
    if missing := [f.name for f in files if not f.is_file()]:
        raise ConfigError(
            f'--init needs all four exits in {folder}, as training.export writes them (each file '
            f'holds its own head); missing: {", ".join(missing)}'
        )
    for exit_name in EXITS:  # damaged or mixed files do not have their contract's SHA-256
        load_contract(folder / f'{model_name(student, exit_name)}.json')
    return folder


def layers(student: nn.Module) -> list[Layer]:
    """Return a student's convolutions in the order in which they compute."""
    names = {module: name for name, module in student.named_modules()}
    norms: dict[nn.Module, nn.BatchNorm2d] = {}
    for module in names:
        if isinstance(module, BranchedConv):
            norms[module] = module.norm
        elif isinstance(module, nn.Sequential):
            norms |= {a: b for a, b in pairwise(module) if isinstance(b, nn.BatchNorm2d)}
    order: list[Layer] = []

    def note(module: nn.Module, _: object) -> None:
        assert isinstance(module, nn.Conv2d | BranchedConv)
        order.append(Layer(names[module], module, norms.get(module)))

    convs = [m for m in names if isinstance(m, nn.Conv2d | BranchedConv)]
    hooks = [m.register_forward_pre_hook(note) for m in convs]
    with torch.no_grad():
        student.eval()(torch.zeros(1, 3, 64, 64), torch.zeros(1, MAP_CHANNELS, 4, 4))
    for hook in hooks:
        hook.remove()
    return order


def of_exit(order: list[Layer], exit_name: str, ground: bool = True) -> list[Layer]:
    """Return the layers that the file of one exit holds: no finer stage, no coarser head.

    ground: False for a file from before students were told where the ground is.
    """
    last = EXITS.index(exit_name)

    def kept(name: str) -> bool:
        if name.startswith('ground.'):
            return ground
        if not name.startswith('stages.'):
            return True
        stage = int(name.split('.')[1])
        return stage == last or (stage < last and not name.endswith(HEADS))

    return [layer for layer in order if kept(layer.name)]


def folded(path: Path) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield weight and bias of every convolution of an exported file, in its order."""
    graph = onnx.load(str(path)).graph
    stored = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type != 'Conv':
            continue
        if len(node.input) != 3 or not all(name in stored for name in node.input[1:]):
            raise ConfigError(
                f'--init: {path} keeps {node.name} in another form (a quantised file?); give the '
                'float files of training.export'
            )
        weight, bias = (onnx.numpy_helper.to_array(stored[n]) for n in node.input[1:])
        yield torch.from_numpy(np.copy(weight)).float(), torch.from_numpy(np.copy(bias)).float()


def load(student: nn.Module, folder: Path, name: str) -> None:
    """Give `student`, a fresh one in training form, the weights of the exported files.

    In evaluation it then computes what the files compute (files without the ground map: whatever
    the map says). name: `plain` or `paper`. The finest exit is read last, so what the files share
    is its.
    """
    order = layers(student)
    for exit_name in EXITS:
        path = folder / f'{model_name(name, exit_name)}.onnx'
        wanted = of_exit(order, exit_name, takes_ground(path))
        found = list(folded(path))
        shapes = [tuple(weight.shape) for weight, _ in found]
        if shapes != [shape_of(layer.conv) for layer in wanted]:
            raise ConfigError(f'--init: {path} is not a {name} student of this version')
        for layer, (weight, bias) in zip(wanted, found, strict=True):
            if layer is order[0]:  # export divides by the input's standard deviation in here
                weight = weight * torch.tensor(STD_RGB)[:, None, None]
            unfold(layer, weight, bias)


def takes_ground(path: Path) -> bool:
    """Tell whether an exported file has the ground map among its inputs."""
    return 'ground' in {item.name for item in onnx.load(str(path)).graph.input}


def shape_of(conv: nn.Conv2d | BranchedConv) -> tuple[int, ...]:
    """Return the shape of a layer's kernel."""
    return tuple((conv.kernel3 if isinstance(conv, BranchedConv) else conv.weight).shape)


@torch.no_grad()
def unfold(layer: Layer, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Make a layer compute weight * x + bias in evaluation."""
    set_kernel(layer.conv, weight)
    norm = layer.norm
    if norm is None:
        assert isinstance(layer.conv, nn.Conv2d)
        assert layer.conv.bias is not None
        layer.conv.bias.copy_(bias)
        return
    norm.reset_running_stats()  # mean 0, variance 1
    norm.weight.fill_(math.sqrt(1 + norm.eps))
    norm.bias.copy_(bias)


@torch.no_grad()
def set_kernel(conv: nn.Conv2d | BranchedConv, weight: torch.Tensor) -> None:
    """Set a kernel; of a branched one the 3x3 takes what a fresh 1x1 and identity leave."""
    if isinstance(conv, nn.Conv2d):
        conv.weight.copy_(weight)
        return
    conv.kernel1.zero_()
    if conv.identity is not None:
        conv.identity.fill_(1)
    conv.kernel3.zero_()
    conv.kernel3.copy_(weight - conv.kernel())


@torch.no_grad()
def calibrate(student: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Set every batch norm's statistics to those of `batches`, changing no output in evaluation.

    batches: images (N, H, W, 3) uint8 with their ground maps (N, 4, H / 16, W / 16). Each kernel
    is brought to the usual size of a trained one as well, which its batch norm undoes: folded
    ones are smaller, and Adam would tear at them.
    """
    order = [layer for layer in layers(student) if layer.norm is not None]
    sums: dict[nn.Module, torch.Tensor] = {}

    def measure(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1)
        row = torch.stack([x.sum(1), (x * x).sum(1), torch.full_like(x[:, 0], x.shape[1])])
        sums[norm] = sums.get(norm, 0) + row

    hooks = [layer.norm.register_forward_pre_hook(measure) for layer in order if layer.norm]
    student.eval()
    for images, ground in batches:
        student(normalise(images), ground)
    for hook in hooks:
        hook.remove()
    for layer in order:
        if layer.norm in sums:
            total, square, count = sums[layer.norm]
            mean = total / count
            settle(layer, mean.float(), (square / count - mean**2).clamp_min(0).float())


@torch.no_grad()
def settle(layer: Layer, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Give one batch norm these statistics of its input and a kernel of usual size before it."""
    conv, norm = layer.conv, layer.norm
    assert norm is not None
    kernel = conv.kernel() if isinstance(conv, BranchedConv) else conv.weight
    size = kernel.flatten(1).square().mean(1).sqrt()
    gain = torch.where(size > 1e-6, KERNEL_RMS / size.clamp_min(1e-6), torch.ones_like(size))
    set_kernel(conv, kernel * gain[:, None, None, None])
    norm.running_mean.copy_(mean * gain)  # type: ignore[union-attr]
    norm.running_var.copy_(variance * gain**2)  # type: ignore[union-attr]
    norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps) / gain)  # type: ignore[operator]
    norm.bias.add_(mean)
