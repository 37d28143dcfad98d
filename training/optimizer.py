# SPDX-License-Identifier: Apache-2.0
"""The optimiser: AdamW for everything, or Muon for convolution kernels beside it.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) steps along
the momentum with all its singular values set to one: directions in which a kernel hardly moves
under Adam move as fast as the others. PyTorch's own takes matrices only; kernels are tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from training.config import TrainConfig

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Quintic that drives singular values in (0, 1] to about 1 in five rounds (same source)."""
ROUNDS = 5


def make_optimizer(student: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser of one run; vectors and scalars get no weight decay."""
    kernels = dict(hidden_kernels(student)) if config.optimizer == 'muon' else {}
    rest = [p for name, p in student.named_parameters() if name not in kernels]
    groups: list[dict[str, Any]] = [
        {'params': [p for p in rest if p.ndim > 1], 'weight_decay': config.weight_decay},
        {'params': [p for p in rest if p.ndim <= 1], 'weight_decay': 0.0},
    ]
    if config.optimizer == 'adamw':
        return torch.optim.AdamW(groups, lr=config.lr)
    groups.append({'params': list(kernels.values()), 'lr': config.muon_lr, 'muon': True,
                   'weight_decay': config.weight_decay})  # fmt: skip
    return MuonWithAdamW(groups, lr=config.lr)


def hidden_kernels(student: nn.Module) -> Iterable[tuple[str, nn.Parameter]]:
    """Yield the full convolution kernels between image and heads (not depth-wise, not the heads).

    Batch norm follows each of them, so their length does not matter, only their direction.
    """
    for name, p in student.named_parameters():
        head = name.split('.')[-2] in ('depth', 'semantic')
        if p.ndim == 4 and p.shape[1] > 3 and not head:
            yield name, p


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Set the singular values of (n, rows, columns) float32 matrices to about one."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class MuonWithAdamW(torch.optim.AdamW):
    """AdamW whose groups marked `muon` step by orthogonalised Nesterov momentum instead."""

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__([{'muon': False, **group} for group in groups], lr=lr)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step of both kinds."""
        every = self.param_groups
        self.param_groups = [g for g in every if not g['muon']]
        loss = super().step(closure)
        self.param_groups = every
        for group in every:
            if group['muon']:
                self.step_kernels(group)
        return loss

    def step_kernels(self, group: dict[str, Any]) -> None:
        """Step the kernels of one group; those of one shape are orthogonalised together."""
        by_shape: dict[torch.Size, list[torch.Tensor]] = {}
        for p in group['params']:
            if p.grad is not None:
                by_shape.setdefault(p.shape, []).append(p)
        for shape, params in by_shape.items():
            rows, columns = shape[0], shape[1:].numel()
            wanted = torch.stack([self.nesterov(p).reshape(rows, columns) for p in params])
            scale = max(1.0, rows / columns) ** 0.5
            for p, update in zip(params, orthogonalise(wanted), strict=True):
                p.mul_(1 - group['lr'] * group['weight_decay'])
                p.add_(update.reshape(shape), alpha=-group['lr'] * scale)

    def nesterov(self, p: torch.Tensor) -> torch.Tensor:
        """Return gradient and momentum mixed, and keep the momentum."""
        state = self.state[p]
        assert p.grad is not None
        if 'momentum' not in state:
            state['momentum'] = torch.zeros_like(p)
        state['momentum'].lerp_(p.grad, 1 - MOMENTUM)
        return p.grad.lerp(state['momentum'], MOMENTUM)
