# SPDX-License-Identifier: Apache-2.0
"""The loss equals the paper's formulas worked out by hand, and survives awkward truth."""

import math

import pytest

torch = pytest.importorskip('torch')

from training.model import losses  # noqa: E402
from training.students.interface import ScaleOutput  # noqa: E402

pytestmark = pytest.mark.torch


def maps(*values: float) -> torch.Tensor:
    """One image of one row: (1, 1, 1, n)."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_log_map_is_0_at_4_m_80_at_80_m_and_negative_below():
    g = losses.log_map(maps(4, 80, 2, math.sqrt(4 * 80)))
    torch.testing.assert_close(g, maps(0, 80, -80 * math.log(2) / math.log(20), 40))


def test_inverse_log_map_undoes_it_and_is_always_positive():
    depth = maps(0.1, 1, 4, 33, 80, 500)
    torch.testing.assert_close(losses.inverse_log_map(losses.log_map(depth)), depth)
    assert bool((losses.inverse_log_map(maps(-1e3, -50, 0, 200)) > 0).all())


def test_berhu_is_linear_below_the_threshold_and_quadratic_above():
    # a = 2: F(1) = 1, F(2) = 2, F(-4) = (16 + 4) / 4 = 5
    value = losses.berhu(maps(1, 2, -4), torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(value, maps(1, 2, 5))


def test_depth_loss_takes_the_threshold_over_the_batch_and_the_mean_over_valid_pixels():
    pred, truth = maps(11, 0, 7), maps(1, 1, 99)
    weight = maps(1, 1, 0)
    # errors 10 and -1, a = 2: F(10) = (100 + 4) / 4 = 26, F(1) = 1; the masked pixel is left out
    assert losses.depth_loss(pred, truth, weight).item() == pytest.approx(13.5)


def test_depth_loss_weights_pixels():
    loss = losses.depth_loss(maps(10, 1), maps(0, 0), maps(1, 0.5))
    # a = 2: (26 * 1 + 1 * 0.5) / 1.5
    assert loss.item() == pytest.approx(26.5 / 1.5)


def test_every_image_counts_the_same_however_sparse_its_truth():
    pred, truth = torch.zeros(2, 1, 1, 4), torch.ones(2, 1, 1, 4)
    truth[1] = 3
    weight = torch.tensor([[1.0, 1, 1, 1], [0, 0, 1, 0]]).view(2, 1, 1, 4)
    # a = 3 / 5: F(1) = (1 + 0.36) / 1.2, F(3) = (9 + 0.36) / 1.2; the images' means, averaged
    expected = ((1 + 0.36) / 1.2 + (9 + 0.36) / 1.2) / 2
    assert losses.depth_loss(pred, truth, weight).item() == pytest.approx(expected, rel=1e-6)
    empty = torch.cat([weight, torch.zeros(1, 1, 1, 4)])
    pred, truth = torch.zeros(3, 1, 1, 4), torch.cat([truth, truth[:1]])
    assert losses.depth_loss(pred, truth, empty).item() == pytest.approx(expected, rel=1e-6)


def test_depth_loss_without_truth_is_zero_and_differentiable():
    pred = maps(1, 2).requires_grad_()
    loss = losses.depth_loss(pred, maps(0, float('nan')), maps(0, 0))
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(pred.grad, torch.zeros_like(pred))


def test_depth_loss_gradient_agrees_with_differences():
    torch.manual_seed(0)
    truth, weight = torch.randn(2, 1, 3, 4, dtype=torch.float64) * 20, torch.ones(2, 1, 3, 4)
    pred = (truth + torch.randn_like(truth) * 5).requires_grad_()
    threshold = (pred - truth).detach().abs().max() / 5

    def loss(x: torch.Tensor) -> torch.Tensor:  # the threshold is a constant of the batch
        return (losses.berhu(x - truth, threshold) * weight).sum() / weight.sum()

    assert torch.autograd.gradcheck(loss, (pred,))
    (expected,) = torch.autograd.grad(loss(pred), pred)
    (found,) = torch.autograd.grad(losses.depth_loss(pred, truth, weight.double()), pred)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('depth_m', [0.1, 3.9, 81.0, 1000.0])
def test_depth_outside_the_papers_range_gives_a_finite_loss_and_gradient(depth_m):
    pred = maps(40.0).requires_grad_()
    loss = losses.depth_loss(pred, losses.log_map(maps(depth_m)), maps(1))
    loss.backward()
    assert math.isfinite(loss.item())
    assert pred.grad is not None
    assert float(pred.grad.abs().max()) > 0


def test_label_loss_is_the_cross_entropy_of_labelled_pixels():
    logits = torch.log(torch.tensor([[0.7, 0.2], [0.2, 0.5], [0.1, 0.3]])).view(1, 3, 1, 2)
    label = torch.tensor([[[0, 255]]])
    assert losses.label_loss(logits, label).item() == pytest.approx(-math.log(0.7), rel=1e-5)
    both = losses.label_loss(logits, torch.tensor([[[0, 1]]])).item()
    assert both == pytest.approx(-(math.log(0.7) + math.log(0.5)) / 2, rel=1e-5)
    weighted = losses.label_loss(logits, torch.tensor([[[0, 1]]]), torch.tensor([1.0, 3.0, 1.0]))
    assert weighted.item() == pytest.approx(-(math.log(0.7) + 3 * math.log(0.5)) / 4, rel=1e-5)


def test_label_loss_without_labels_is_zero():
    assert losses.label_loss(torch.randn(1, 3, 2, 2), torch.full((1, 2, 2), 255)).item() == 0


def test_jaccard_loss_is_one_minus_the_mean_overlap_of_the_coarse_classes():
    group = torch.tensor([[1.0, 0], [0, 1], [0, 1]])  # classes 1 and 2 are one coarse class
    label = torch.tensor([[[0, 1, 2, 255]]])
    sure = 50 * torch.nn.functional.one_hot(torch.tensor([[[0, 2, 1, 0]]]), 3).permute(0, 3, 1, 2)
    assert losses.jaccard_loss(sure.float(), label, group).item() == pytest.approx(0, abs=1e-5)
    wrong = 50 * torch.nn.functional.one_hot(torch.tensor([[[0, 0, 1, 0]]]), 3).permute(0, 3, 1, 2)
    # coarse 0: shares 1 of 2 pixels; coarse 1: 1 of 2
    assert losses.jaccard_loss(wrong.float(), label, group).item() == pytest.approx(0.5, abs=1e-5)
    split = torch.log(torch.tensor([0.5, 0.25, 0.25])).view(1, 3, 1, 1).expand(1, 3, 1, 4)
    # coarse 0: 0.5 of 1.5 + 1 - 0.5; coarse 1: 1 of 1.5 + 2 - 1
    expected = 1 - (0.25 + 0.4) / 2
    assert losses.jaccard_loss(split, label, group).item() == pytest.approx(expected, abs=1e-5)


def test_jaccard_loss_leaves_out_classes_that_are_not_shown_and_needs_no_labels():
    group = torch.eye(3)
    logits = torch.zeros(1, 3, 1, 2, requires_grad=True)
    one = losses.jaccard_loss(logits, torch.tensor([[[0, 0]]]), group)
    assert one.item() == pytest.approx(1 - 1 / 3, abs=1e-5)  # 2/3 of 2 pixels
    one.backward()
    assert logits.grad is not None
    assert (logits.grad[0, 0] < 0).all()
    none = losses.jaccard_loss(logits, torch.full((1, 1, 2), 255), group)
    none.backward()
    assert none.item() == 0


def test_uncalibrated_truth_is_aligned_by_its_mean_offset_only_where_asked():
    pred = torch.cat([maps(5, 7), maps(5, 7)])
    truth = torch.cat([maps(1, 3), maps(1, 3)])
    aligned = losses.align_scale(pred, truth, torch.ones_like(truth), torch.tensor([True, False]))
    torch.testing.assert_close(aligned, torch.cat([maps(5, 7), maps(1, 3)]))


def test_aligning_truth_is_no_way_to_a_smaller_loss():
    """The shift is a constant: through it, no prediction would learn from its own mean."""
    pred = maps(5.0, 7.0).requires_grad_()
    aligned = losses.align_scale(pred, maps(1, 3), maps(1, 1), torch.tensor([True]))
    assert not aligned.requires_grad
    ((pred - aligned) * maps(1, 0)).sum().backward()
    torch.testing.assert_close(pred.grad, maps(1, 0))


def test_confidence_loss_is_smallest_where_the_scale_equals_the_error():
    pred, truth = losses.log_map(maps(10.0)), losses.log_map(maps(12.0))
    error = math.log(1.2)
    scales = torch.log(torch.tensor([error / 2, error, error * 2], dtype=torch.float64))
    values = [
        losses.confidence_loss(s.view(1, 1, 1, 1), pred, truth, maps(1)).item() for s in scales
    ]
    assert values[1] == pytest.approx(math.log(error) + 1)
    assert values[1] < min(values[0], values[2])


def test_truth_pyramid_averages_valid_g_and_keeps_lone_lidar_points():
    g = torch.zeros(1, 1, 4, 4)
    weight = torch.zeros(1, 1, 4, 4)
    g[..., 0, 1], weight[..., 0, 1] = 30, 1  # a lone point off the cell's centre
    g[..., 2, 2], weight[..., 2, 2] = 10, 1
    g[..., 3, 3], weight[..., 3, 3] = 40, 0.5
    label = torch.arange(16).view(1, 4, 4)
    coarse, truth = losses.truth_pyramid(g, weight, label, (4, 2))
    assert coarse.g.item() == pytest.approx((30 + 10 + 40 * 0.5) / 2.5)
    assert coarse.weight.item() == 1
    assert coarse.label.item() == 10
    torch.testing.assert_close(truth.g[0, 0], torch.tensor([[30.0, 0], [0, 20]]))
    torch.testing.assert_close(truth.weight[0, 0], torch.tensor([[1.0, 0], [0, 1]]))
    assert truth.label.tolist() == [[[5, 7], [13, 15]]]


def test_twins_that_agree_cost_nothing_and_others_what_they_differ_by():
    torch.manual_seed(0)
    wide = torch.randn(1, 1, 40, 60) * 5 + 40
    scores = torch.randn(1, 3, 40, 60)
    down, right = 2, 3  # cells of the exit's grid

    def pair(g: torch.Tensor, logits: torch.Tensor) -> ScaleOutput:
        first, second = g[..., :32, :48], g[..., down : down + 32, right : right + 48]
        s_first = logits[..., :32, :48]
        s_second = logits[..., down : down + 32, right : right + 48]
        return ScaleOutput(torch.cat([first, second]), torch.cat([s_first, s_second]), None)

    shift = torch.tensor([[0.0, 0.0], [2.0 * down, 2.0 * right]])
    depth, label = losses.twin_losses(pair(wide, scores), shift, 1, 2)
    assert float(depth) < 1e-3
    assert float(label) < 1e-4
    out = pair(wide, scores)
    moved = out._replace(g=out.g + torch.tensor([0.0, 2.0])[:, None, None, None])
    depth, _ = losses.twin_losses(moved, shift, 1, 2)
    assert float(depth) == pytest.approx(2.0, abs=1e-2)
    scores_apart = torch.tensor([[1e3, 0.0, 0.0], [0.0, 1e3, 0.0]])[:, :, None, None]
    sure = ScaleOutput(out.g, scores_apart.expand(2, 3, 32, 48), None)
    _, label = losses.twin_losses(sure, shift, 1, 2)
    assert float(label) == pytest.approx(1.0, abs=1e-5)  # two sure classes: all chance moves
    wrong_way = torch.tensor([[0.0, 0.0], [-2.0 * down, -2.0 * right]])
    assert float(losses.twin_losses(out, wrong_way, 1, 2)[0]) > 1
