# SPDX-License-Identifier: Apache-2.0
"""The optimisers: what Muon moves, and how far."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from training.config import TrainConfig  # noqa: E402
from training.optimizer import hidden_kernels, make_optimizer, orthogonalise  # noqa: E402
from training.students import STUDENTS  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize('shape', [(3, 16, 40), (2, 64, 32), (1, 8, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.max() < 1.3
    assert values.min() > 0.3 if shape != (1, 8, 8) else values.max() > 0.6


@pytest.mark.parametrize('student', ['plain', 'paper'])
def test_muon_takes_every_full_kernel_and_neither_heads_nor_stem(student):
    network = STUDENTS[student](19, confidence=True)
    names = dict(hidden_kernels(network))
    assert len(names) >= 10
    assert not any('heads' in n or 'depth' in n.split('.') or 'semantic' in n for n in names)
    assert all(p.shape[1] > 3 for p in names.values())
    optimizer = make_optimizer(network, TrainConfig(optimizer='muon'))
    held = [p for group in optimizer.param_groups for p in group['params']]
    assert len(held) == len(list(network.parameters()))


def test_one_muon_step_moves_a_kernel_by_an_orthogonal_matrix_times_the_rate():
    conv = torch.nn.Conv2d(8, 16, 3, bias=False)
    before = conv.weight.detach().clone()
    config = TrainConfig(optimizer='muon', muon_lr=0.1, weight_decay=0)
    optimizer = make_optimizer(torch.nn.Sequential(conv), config)
    conv.weight.grad = torch.randn(conv.weight.shape, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    moved = (before - conv.weight.detach()).reshape(16, -1) / 0.1
    values = torch.linalg.svdvals(moved)
    assert values.max() < 1.3
    assert values.min() > 0.5
