# SPDX-License-Identifier: Apache-2.0
"""The students have the paper's size, and cutting a decoder off changes nothing above it."""

import pytest

torch = pytest.importorskip('torch')

from torch import nn  # noqa: E402

from training.students import STUDENTS  # noqa: E402
from training.students.interface import EXITS, kept_exits  # noqa: E402
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
        student.eval()(torch.zeros(1, 3, 320, 480))
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
    return student.eval()


def test_paper_student_has_the_papers_parameter_counts():
    six = PaperStudent(classes=6)
    assert keras_count(six) == 322_236
    assert keras_count(PaperStudent(classes=19)) == 323_016
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
    assert len(convolutions) <= 25
    assert not any(isinstance(m, nn.BatchNorm2d | BranchedConv) for m in plain.modules())
    widths = {m.in_channels for m in convolutions} - {3, 16}
    assert all(width % 32 == 0 for width in widths)


def test_folding_the_branches_keeps_every_output():
    student = randomised(PlainStudent())
    folded = student.reparameterised()
    image = torch.randn(1, 3, 96, 160)
    with torch.no_grad():
        for full, plain in zip(student(image), folded(image), strict=True):
            for a, b in zip(full, plain, strict=True):
                assert float((a - b).abs().max() / a.abs().max()) < 1e-4


@pytest.mark.parametrize('name', STUDENTS)
@pytest.mark.parametrize('exit_name', EXITS)
def test_detached_student_equals_the_full_one_and_computes_nothing_finer(name, exit_name):
    student = randomised(STUDENTS[name](19, confidence=True))
    cut = student.detach(exit_name)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        full, short = student(image), cut(image)
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
        sizes = [tuple(out.g.shape[-2:]) for out in student(torch.zeros(1, 3, 320, 480))]
    assert sizes == [(20, 30), (40, 60), (80, 120), (160, 240)]


def test_unknown_exit_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'XL'.*XS, S, M, L"):
        kept_exits('XL')
