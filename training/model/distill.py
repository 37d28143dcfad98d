# SPDX-License-Identifier: Apache-2.0
"""The LightningModule: student, loss, optimiser and validation. Knows no file format."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import lightning
import torch
from torch import nn

from lightdepth_ros.classes import CLASSES, NAV7_ID, nav7_table
from lightdepth_ros.contract import EXIT_STRIDE
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops.ground import level_ground
from training.model import losses
from training.students import STUDENTS
from training.students.interface import EXITS, ScaleOutput

DRIVABLE = NAV7_ID['drivable']
NEAR_M = 5.0
"""Nearer than this a robot brakes: an error of its own in validation."""
TWIN_EXITS = ('L', 'M')
"""Where twins must agree: on the coarse exits' grids a shift of some pixels is no whole cell."""
MEAN_RGB = (123.7, 116.3, 103.5)
STD_RGB = (58.4, 57.1, 57.4)
"""Input normalisation, in grey levels (the usual ImageNet statistics)."""

CLASS_SHARE = (
    0.30, 0.05, 0.17, 0.01, 0.012, 0.012, 0.003, 0.006, 0.20, 0.03, 0.12, 0.006, 0.002, 0.06,
    0.006, 0.005, 0.001, 0.002, 0.003,
)  # fmt: skip
"""Rough share of each class among labelled pixels of the training mix, for class balancing."""


def normalise(image: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float, channels last in memory."""
    x = image.permute(0, 3, 1, 2).float()
    mean = torch.tensor(MEAN_RGB, device=x.device)[:, None, None]
    std = torch.tensor(STD_RGB, device=x.device)[:, None, None]
    return (x - mean) / std


def scale_losses(
    out: ScaleOutput, truth: losses.Truth, unscaled: torch.Tensor, config: TrainConfig,
    class_weight: torch.Tensor, coarse: torch.Tensor,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Return the depth, label, Jaccard and confidence losses of one exit."""
    g = out.g.float()
    target = losses.align_scale(g, truth.g, truth.weight, unscaled)
    if config.log_depth:
        depth = losses.depth_loss(g, target, truth.weight)
    else:
        metres = losses.inverse_log_map(torch.stack([g, target]))
        depth = losses.depth_loss(metres[0], metres[1], truth.weight)
    logits = out.logits.float()
    result = {'depth': depth, 'label': losses.label_loss(logits, truth.label, class_weight)}
    if config.delta:
        result['jaccard'] = losses.jaccard_loss(logits, truth.label, coarse)
    if out.log_scale is not None:
        result['confidence'] = losses.confidence_loss(
            out.log_scale.float(), g, target, truth.weight
        )
    return result


class Distillation(lightning.LightningModule):
    """Trains a student on crops (training.crops.stream) and validates on whole frames."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = TrainConfig(**config)
        student = STUDENTS[self.config.student](len(CLASSES), confidence=True)
        self.student: nn.Module = student.to(memory_format=torch.channels_last)
        share = torch.tensor(CLASS_SHARE)
        weight = share**-self.config.class_balance
        self.register_buffer('class_weight', weight / (weight * share).sum() * share.sum())
        coarse = torch.from_numpy(nav7_table()[: len(CLASSES)]).long()
        coarse = nn.functional.one_hot(coarse, len(NAV7_ID)).float()
        self.register_buffer('coarse', coarse, persistent=False)
        self.validation: dict[str, list[torch.Tensor]] = {}
        if self.config.labels_only:
            for name, parameter in self.student.named_parameters():
                parameter.requires_grad_('.semantic.' in name)
            self.train()

    def train(self, mode: bool = True) -> Distillation:
        """Switch to training, but never the batch norms of layers that do not learn."""
        super().train(mode)
        if self.config.labels_only:
            self.student.eval()
        return self

    def forward(self, image: torch.Tensor, ground: torch.Tensor) -> list[ScaleOutput]:
        """(N, H, W, 3) uint8, (N, 4, H / 16, W / 16) -> outputs of the kept exits, XS first."""
        outputs: list[ScaleOutput] = self.student(normalise(image), ground)
        return outputs

    def objective(
        self, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss of one batch of crops and its parts, named kind_EXIT."""
        config = self.config
        g = losses.log_map(batch['depth'][:, None].clamp_min(0.05))
        weight, label = batch['weight'][:, None], batch['label'].long()
        truths = losses.truth_pyramid(g, weight, label, tuple(EXIT_STRIDE[e] for e in EXITS))
        factors = {
            'depth': config.alpha, 'label': config.beta, 'confidence': config.gamma,
            'jaccard': config.delta,
        }  # fmt: skip
        total, named = torch.zeros((), device=g.device), {}
        outputs = self(batch['image'], batch['ground'])
        for name, out, truth in zip(EXITS, outputs, truths, strict=True):
            parts = scale_losses(
                out, truth, batch['unscaled'], config, self.class_weight, self.coarse
            )
            total = total + sum(factors[k] * v for k, v in parts.items())
            named |= {f'{k}_{name}': v.detach() for k, v in parts.items()}
        pairs = config.twin_pairs()
        for name in TWIN_EXITS if pairs else ():
            depth, label = losses.twin_losses(
                outputs[EXITS.index(name)], batch['shift'], pairs, EXIT_STRIDE[name]
            )
            total = total + config.twin_weight * (config.alpha * depth + config.beta * label)
            named |= {f'twin_depth_{name}': depth.detach(), f'twin_label_{name}': label.detach()}
        return total, named

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        total, parts = self.objective(batch)
        self.log_dict({f'train/{k}': v for k, v in parts.items()})
        self.log('loss', total.detach(), prog_bar=True, sync_dist=True)
        return total

    def validation_step(
        self, batch: dict[str, torch.Tensor], _index: int, dataloader_idx: int = 0
    ) -> None:
        """Collect errors of the finest exit on one whole frame (batch of one).

        The first data set's depth is val/abs_rel and its like, with the mount unknown; another's
        bears its name; with the mount told, 'mounted_' stands before.
        """
        out = self(batch['image'], batch['ground'])[-1]
        if 'depth' in batch:
            prefix = '' if not dataloader_idx else f'{self._validation_name(dataloader_idx)}_'
            metres = losses.inverse_log_map(out.g.float()) * batch['focal_px'].float()
            self._collect_depth(prefix, metres / CANONICAL_FOCAL_PX, batch['depth'])
            if 'mounted' in batch:
                told = self(batch['image'], batch['mounted'])[-1]
                metres = losses.inverse_log_map(told.g.float()) * batch['focal_px'].float()
                metres = metres * batch['factor'].float() / CANONICAL_FOCAL_PX
                self._collect_depth(f'{prefix}mounted_', metres, batch['depth'])
        if 'nav7' in batch:
            self._collect_labels(out.logits, batch['nav7'])
            self._collect_ground(losses.inverse_log_map(out.g.float()), batch['nav7'])

    def _validation_name(self, index: int) -> str:
        return self.config.validation.split(',')[index].strip().partition('@')[0]

    def _collect_depth(self, prefix: str, depth_m: torch.Tensor, truth_m: torch.Tensor) -> None:
        size = truth_m.shape[-2:]
        full = nn.functional.interpolate(torch.log(depth_m), size=size, mode='bilinear')
        known = (truth_m > 0) & (truth_m <= 80)
        pred, truth = torch.exp(full[:, 0])[known].clamp(1e-3, 80), truth_m[known]
        ratio = torch.maximum(pred / truth, truth / pred)
        error, near = (pred - truth).abs() / truth, truth < NEAR_M
        row = torch.stack([
            error.mean(), ((pred - truth) ** 2).mean().sqrt(), (ratio < 1.25).float().mean(),
            error[near].mean() if near.any() else error.new_tensor(math.nan),
        ])  # fmt: skip
        self.validation.setdefault(f'depth {prefix}', []).append(row)

    def _collect_ground(self, depth_m: torch.Tensor, truth: torch.Tensor) -> None:
        """Collect how far the road is from level ground; needs no scale and no calibration."""
        full = nn.functional.interpolate(torch.log(depth_m), size=truth.shape[-2:])
        fit = level_ground(
            torch.exp(full[0, 0]).cpu().numpy(), (truth[0] == DRIVABLE).cpu().numpy()
        )
        if fit is not None:
            self.validation.setdefault('ground', []).append(torch.tensor(fit[0]))

    def _collect_labels(self, logits: torch.Tensor, truth: torch.Tensor) -> None:
        table = torch.as_tensor(nav7_table(), device=logits.device).long()
        size = truth.shape[-2:]
        label = nn.functional.interpolate(logits.float(), size=size, mode='bilinear').argmax(1)
        known = truth != 255
        pair = truth[known].long() * 7 + table[label[known]]
        self.validation.setdefault('nav7', []).append(torch.bincount(pair, minlength=49))

    def on_validation_epoch_end(self) -> None:
        for key in [key for key in self.validation if key.startswith('depth ')]:
            mean = torch.stack(self.validation.pop(key)).nanmean(0)
            prefix, names = (
                key.removeprefix('depth '),
                ('abs_rel', 'rmse', 'delta1', 'near_abs_rel'),
            )
            self.log_dict(
                {f'val/{prefix}{k}': v for k, v in zip(names, mean, strict=True)},
                prog_bar=not prefix, sync_dist=True,
            )  # fmt: skip
        if rows := self.validation.pop('nav7', None):
            matrix = torch.stack(rows).sum(0).view(7, 7).float()
            hit = matrix.diagonal()
            iou = hit / (matrix.sum(0) + matrix.sum(1) - hit).clamp_min(1)
            self.log('val/nav7_miou', iou.mean(), prog_bar=True, sync_dist=True)
            self.log('val/drivable_iou', iou[DRIVABLE], sync_dist=True)
        if rows := self.validation.pop('ground', None):
            self.log('val/ground_residual', torch.stack(rows).median(), sync_dist=True)

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.config
        learning = [p for p in self.student.parameters() if p.requires_grad]
        decay = [p for p in learning if p.ndim > 1]
        plain = [p for p in learning if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{'params': decay, 'weight_decay': config.weight_decay},
             {'params': plain, 'weight_decay': 0.0}], lr=config.lr,
        )  # fmt: skip
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._lr_factor)
        return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': schedule,
                                                         'interval': 'step'}}  # fmt: skip

    def _lr_factor(self, step: int) -> float:
        config = self.config
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        done = min(done, 1.0)
        if config.schedule == 'constant':
            return 1.0
        if config.schedule == 'linear':
            return 1 - 0.99 * done
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def as_dict(config: TrainConfig) -> dict[str, Any]:
    """Return the configuration as plain data (what a checkpoint keeps)."""
    return dataclasses.asdict(config)
