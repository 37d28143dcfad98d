# SPDX-License-Identifier: Apache-2.0
"""The students have the paper's size, and cutting a decoder off changes nothing above it."""

import copy

import pytest

torch = pytest.importorskip('torch')

from torch import nn  # noqa: E402

from lightdepth_ros.mount import MAP_CHANNELS, MAP_STRIDE  # noqa: E402
from training.students import STUDENTS  # noqa: E402
from training.students.interface import EXITS, GroundEmbedding, kept_exits  # noqa: E402
from training.students.paper import PaperStudent  # noqa: E402
from training.students.plain import BranchedConv, PlainStudent  # noqa: E402

pytestmark = pytest.mark.torch


def keras_count(*modules: nn.Module) -> int:
    """Parameters as Keras counts them: batch norm's running mean and variance included."""
    return sum(
        sum(p.numel() for p in m.parameters())
        + sum(b.numel() for n, b in m.named_buffers() if 'running' in n)
        for m in modules
    )


def ground(height: int, width: int) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(1, MAP_CHANNELS, height // MAP_STRIDE, width // MAP_STRIDE)


def gmac(student: nn.Module) -> float:
    """Multiply-accumulates of all convolutions for one 480x320 image, in 10^9."""
    total = 0

    def count(module: nn.Conv2d, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        kernel = module.kernel_size[0] * module.kernel_size[1] * module.in_channels
        total += output[0].numel() * kernel // module.groups

    for module in student.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        student.eval()(torch.zeros(1, 3, 320, 480), ground(320, 480))
    return total / 1e9


def randomised(student: nn.Module) -> nn.Module:
    """Give batch norms statistics other than the initial ones, so that folding is tested."""
    torch.manual_seed(1)
    for module in student.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
        if isinstance(module, BranchedConv):
            nn.init.normal_(module.kernel1, 0, 0.1)
        if isinstance(module, GroundEmbedding):
            nn.init.normal_(module.conv.weight, 0, 0.1)
    return student.eval()


def test_paper_student_has_the_papers_parameter_counts():
    six = PaperStudent(classes=6)
    assert keras_count(six) - keras_count(six.ground) == 322_236
    nineteen = PaperStudent(classes=19)
    assert keras_count(nineteen) - keras_count(nineteen.ground) == 323_016
    assert keras_count(six.stem, six.encoder) == 261_728


@pytest.mark.parametrize(
    ('exit_name', 'expected'), [('L', 0.308), ('M', 0.238), ('S', 0.203), ('XS', 0.177)]
)
def test_paper_student_has_the_papers_multiply_accumulates(exit_name, expected):
    assert gmac(PaperStudent(6).detach(exit_name)) == pytest.approx(expected, rel=0.02)


def test_plain_student_stays_within_its_budget():
    plain = PlainStudent().reparameterised()
    convolutions = [m for m in plain.modules() if isinstance(m, nn.Conv2d)]
    assert sum(p.numel() for p in plain.parameters()) <= 330_000
    assert len(convolutions) <= 27
    assert not any(isinstance(m, nn.BatchNorm2d | BranchedConv) for m in plain.modules())
    widths = {m.in_channels for m in convolutions} - {3, 16, MAP_CHANNELS}
    assert all(width % 32 == 0 for width in widths)


def test_folding_the_branches_keeps_every_output():
    student = randomised(PlainStudent())
    folded = student.reparameterised()
    image, cells = torch.randn(1, 3, 96, 160), ground(96, 160)
    with torch.no_grad():
        for full, plain in zip(student(image, cells), folded(image, cells), strict=True):
            for a, b in zip(full, plain, strict=True):
                assert float((a - b).abs().max() / a.abs().max()) < 1e-4


@pytest.mark.parametrize('name', STUDENTS)
@pytest.mark.parametrize('exit_name', EXITS)
def test_detached_student_equals_the_full_one_and_computes_nothing_finer(name, exit_name):
    student = randomised(STUDENTS[name](19, confidence=True))
    cut = student.detach(exit_name)
    image, cells = torch.randn(1, 3, 64, 96), ground(64, 96)
    with torch.no_grad():
        full, short = student(image, cells), cut(image, cells)
    index = EXITS.index(exit_name)
    assert len(short) == index + 1
    for a, b in zip(full[index], short[index], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert cut.exit == exit_name
    assert len(cut.stages) == index + 1


@pytest.mark.parametrize('name', STUDENTS)
def test_exits_have_strides_16_8_4_2(name):
    student = STUDENTS[name](19, confidence=True).eval()
    with torch.no_grad():
        outputs = student(torch.zeros(1, 3, 320, 480), ground(320, 480))
    sizes = [tuple(out.g.shape[-2:]) for out in outputs]
    assert sizes == [(20, 30), (40, 60), (80, 120), (160, 240)]


@pytest.mark.parametrize('name', STUDENTS)
def test_ground_map_moves_every_exit_once_it_is_learnt_and_nothing_before(name):
    fresh = STUDENTS[name](19, confidence=True).eval()
    image, cells = torch.randn(1, 3, 64, 96), ground(64, 96)
    with torch.no_grad():
        for told, not_told in zip(fresh(image, cells), fresh(image, 0 * cells), strict=True):
            torch.testing.assert_close(told.g, not_told.g, rtol=0, atol=0)
        learnt = randomised(fresh)
        for told, not_told in zip(learnt(image, cells), learnt(image, 0 * cells), strict=True):
            assert float((told.g - not_told.g).abs().mean()) > 1e-3


@pytest.mark.parametrize('name', STUDENTS)
def test_ground_embedding_costs_less_than_a_thousandth_of_the_multiplications(name):
    student = STUDENTS[name](19, confidence=True)
    student = student.reparameterised() if name == 'plain' else student
    total = gmac(copy.deepcopy(student))
    without = copy.deepcopy(student)
    for embedding in without.ground.values() if name == 'paper' else without.ground:
        embedding.conv = nn.Identity()
        embedding.forward = lambda x, ground: x
    assert total - gmac(without) < 1e-3 * total
    assert sum(p.numel() for p in student.ground.parameters()) < 1000


def test_unknown_exit_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'XL'.*XS, S, M, L"):
        kept_exits('XL')
