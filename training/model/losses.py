# SPDX-License-Identifier: Apache-2.0
"""The paper's loss: berHu of log-mapped depth and cross-entropy of labels, at four scales.

Source: Chiu et al., ICPR 2020. What is marked "ours" is not in the paper.
All depths here are canonical: metres times (canonical focal length / focal length in pixels).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import distributed as dist
from torch.nn import functional as F

from training.students.interface import ScaleOutput

NEAR_M, FAR_M = 4.0, 80.0
"""The paper's m and M: G(4 m) = 0, G(80 m) = 80; below 4 m G is negative."""
FULL_WEIGHT = 0.2
"""Weight of a pixel from which on an image's depth counts in full; a teacher's has more."""
_SLOPE = FAR_M / (math.log(FAR_M) - math.log(NEAR_M))


def log_map(depth_m: torch.Tensor) -> torch.Tensor:
    """G(d) = (ln d - ln m) * M / (ln M - ln m), for positive metres of any shape."""
    return (torch.log(depth_m) - math.log(NEAR_M)) * _SLOPE


def inverse_log_map(g: torch.Tensor) -> torch.Tensor:
    """Metres of a value in G's space: positive for every real number."""
    return torch.exp(g / _SLOPE + math.log(NEAR_M))


def berhu(error: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """F(x) = |x| up to the threshold a, (x^2 + a^2) / (2a) beyond; elementwise, same shape."""
    size = error.abs()
    a = threshold.clamp_min(1e-6)
    return torch.where(size <= a, size, (error * error + a * a) / (2 * a))


def depth_loss(pred_g: torch.Tensor, truth_g: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over pixels of F(G(pred) - G(truth)), a = a fifth of the largest error in the batch.

    pred_g, truth_g, weight: (N, 1, h, w); weight 0 = no truth there, 1 = the paper's mask; values
    between are ours (a teacher counts less than a sensor). See `image_mean` for the average. No
    valid pixel gives 0 with a gradient.
    """
    error = torch.where(weight > 0, pred_g - truth_g, torch.zeros_like(pred_g))
    threshold = global_max(error.detach().abs().max()) / 5
    return image_mean(berhu(error, threshold), weight)


def image_mean(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean over each image's pixels, then the mean over the images that have truth.

    So a frame with dense exact depth does not drown one with a few thousand lidar points. An image
    with truth on less than half a percent of its pixels counts in proportion, and so does one
    whose best truth weighs less than FULL_WEIGHT. (N, 1, h, w) each.
    """
    total = weight.sum((1, 2, 3))
    least = 0.005 * weight[0].numel()
    means = (value * weight).sum((1, 2, 3)) / total.clamp_min(least)
    means = means * (weight.amax((1, 2, 3)) / FULL_WEIGHT).clamp_max(1)
    return means.sum() / (total > 0).sum().clamp_min(1)


def global_max(value: torch.Tensor) -> torch.Tensor:
    """Return the largest value over all processes of a distributed run."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return value


def align_scale(
    pred_g: torch.Tensor, truth_g: torch.Tensor, weight: torch.Tensor, unscaled: torch.Tensor
) -> torch.Tensor:
    """Shift each uncalibrated image's truth to the prediction's mean: depth up to scale (ours).

    In G's space an unknown scale is an unknown offset, so removing the weighted mean residual of
    the image leaves the scale-invariant error of Eigen et al. (NIPS 2014) with lambda = 1.
    unscaled: (N,) bool, images whose focal length is unknown. Returns truth_g of the same shape.
    """
    total = weight.sum((1, 2, 3), keepdim=True).clamp_min(1e-6)
    offset = ((pred_g.detach() - truth_g) * weight).sum((1, 2, 3), keepdim=True) / total
    return truth_g + torch.where(unscaled[:, None, None, None], offset, torch.zeros_like(offset))


def label_loss(
    logits: torch.Tensor, label: torch.Tensor, class_weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy averaged over labelled pixels; 255 = unlabelled.

    logits (N, K, h, w); label (N, h, w) int64; class_weight (K,) or None.
    """
    loss = F.cross_entropy(logits, label, class_weight, ignore_index=255, reduction='none')
    known = label != 255
    scale = known.to(loss.dtype)
    if class_weight is not None:
        scale = class_weight[label.clamp_max(len(class_weight) - 1)] * scale
    return loss.sum() / scale.sum().clamp_min(1e-6)


def jaccard_loss(logits: torch.Tensor, label: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """One minus the soft intersection over union of the coarse classes, over the whole batch.

    Ours for these groups; the relaxation is of Rahman and Wang, "Optimizing
    intersection-over-union in deep neural networks for image segmentation", ISVC 2016.
    Cross-entropy with class weights finds rare classes and calls too much by their names: this
    balances the two as the score does. Classes that the batch does not show are left out.
    logits (N, K, h, w); label (N, h, w) int64, 255 = unlabelled; coarse (K, groups) float, 1 where
    a class belongs to a group. No labelled pixel gives 0 with a gradient.
    """
    known = (label != 255).to(logits.dtype)
    said = torch.einsum('nkhw,kg->nghw', logits.softmax(1), coarse) * known[:, None]
    true = coarse[label.clamp_max(len(coarse) - 1)].permute(0, 3, 1, 2) * known[:, None]
    shared, area = (said * true).sum((0, 2, 3)), true.sum((0, 2, 3))
    missed = 1 - shared / (said.sum((0, 2, 3)) + area - shared).clamp_min(1e-6)
    shown = (area > 0).to(logits.dtype)
    return (missed * shown).sum() / shown.sum().clamp_min(1)


def confidence_loss(
    log_scale: torch.Tensor, pred_g: torch.Tensor, truth_g: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Negative log-likelihood of |error of ln depth| under a Laplace law of scale exp(log_scale).

    Ours (after Kendall and Gal, NIPS 2017). The depth prediction is held fixed, so this trains the
    confidence head and never trades depth accuracy for it. Shapes as in `depth_loss`.
    """
    error = (pred_g.detach() - truth_g).abs() / _SLOPE
    nll = log_scale + error * torch.exp(-log_scale)
    return image_mean(torch.where(weight > 0, nll, torch.zeros_like(nll)), weight)


def twin_losses(
    out: ScaleOutput, shift: torch.Tensor, pairs: int, stride: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """How much the first `pairs` pairs of a batch disagree where both see the same (ours).

    The second of each pair sees the first one's picture `shift` (rows, columns) pixels further:
    shift (N, 2) float. Returns the mean absolute difference of depth in G's space, and half the
    mean sum of differences of the classes' shares. (Why networks with strides need it: Zhang,
    "Making convolutional networks shift-invariant again", ICML 2019.)
    """
    shares = out.logits.float().softmax(1)
    both = torch.cat([out.g.float(), shares, torch.ones_like(out.g, dtype=torch.float32)], 1)
    first, second = both[0 : 2 * pairs : 2], both[1 : 2 * pairs : 2]
    height, width = first.shape[-2:]
    step = shift[1 : 2 * pairs : 2] / stride * 2 / shift.new_tensor([height, width])
    theta = torch.eye(2, 3, device=shift.device).repeat(pairs, 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = step[:, 1], step[:, 0]
    grid = F.affine_grid(theta, [pairs, 1, height, width], align_corners=False)
    moved = F.grid_sample(first, grid, align_corners=False)
    seen = (moved[:, -1:] > 0.999).float()
    total = seen.sum().clamp_min(1)
    apart = (moved - second).abs() * seen
    return apart[:, 0].sum() / total, apart[:, 1:-1].sum() / 2 / total


class Truth(NamedTuple):
    """Truth of one scale: g and weight (N, 1, h, w) float; label (N, h, w) int64, 255 = none."""

    g: torch.Tensor
    weight: torch.Tensor
    label: torch.Tensor


def truth_pyramid(
    g: torch.Tensor, weight: torch.Tensor, label: torch.Tensor, strides: tuple[int, ...]
) -> list[Truth]:
    """Bring full-size truth to the exits' grids: one Truth for each stride, in their order.

    Depth: weighted mean of G over each stride x stride cell, so that no lidar point is lost; the
    cell's weight is the largest in it. Labels: the pixel at the cell's centre.
    g, weight: (N, 1, H, W); label: (N, H, W). strides: powers of 2.
    """
    found, done = {}, 1
    mean, total, cell_weight = g * weight, weight, weight
    for stride in sorted(strides):
        step = stride // done  # a mean of means over equal cells is the mean
        mean, total = F.avg_pool2d(mean, step), F.avg_pool2d(total, step)
        cell_weight = F.max_pool2d(cell_weight, step)
        half = stride // 2
        centre = label[:, half::stride, half::stride]
        found[stride] = Truth(mean / total.clamp_min(1e-9), cell_weight, centre)
        done = stride
    return [found[stride] for stride in strides]
