# SPDX-License-Identifier: Apache-2.0
"""TrainConfig: the only owner of training defaults. Flags, checkpoints and ablations read it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from lightdepth_ros.errors import ConfigError

CANONICAL_FOCAL_PX = 600.0
"""Depth is learnt as if every camera had this focal length in network pixels.

A 1242x375 KITTI frame scaled to height 320 has 616 px: there canonical metres are nearly true.
"""


def option(default: Any, help_text: str, **extra: Any) -> Any:
    """Return a dataclass field with its help and limits beside it."""
    return field(default=default, metadata={'help': help_text, **extra})


@dataclass(frozen=True)
class TrainConfig:
    """One training run. `check()` refuses values that cannot work."""

    student: str = option('plain', 'network to train', choices=('plain', 'paper'))
    sources: str = option(
        'synthetic:1.3,kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:1,'
        'camvid-train:2,idd-train:1.4,nuscenes-front:1',
        'data sets (training.datasets.catalog) and their relative shares of the crops',
    )
    image_share: float = option(
        1.0, "share of each source's images, evenly spread (what are more images worth?)",
        low=0.001, high=1,
    )  # fmt: skip
    validation: str = option(
        'kitti-val,camvid-val',
        'data sets to validate on, joined by commas; val/abs_rel picks the best checkpoint',
    )
    steps: int = option(12000, 'optimiser steps', low=1)
    batch_size: int = option(12, 'crops per step (per process)', low=1)
    crops: str = option(
        '320x480,256x416,320x352', 'crop sizes HxW in pixels; one is drawn for each batch'
    )
    focal_min_px: float = option(360.0, 'smallest focal length after random scaling', low=50)
    focal_max_px: float = option(850.0, 'largest focal length after random scaling', low=50)
    rotation_deg: float = option(2.0, 'largest random roll, degrees', low=0, high=30)
    vertical_jitter: float = option(
        0.25, 'share of the vertical room for crops; 0 = always the middle rows', low=0, high=1
    )
    mirror: float = option(
        0.5, 'share of mirrored views of frames with real depth; of others always half',
        low=0, high=1,
    )  # fmt: skip
    paste: float = option(
        0.7, 'obstacles cut from other frames and stood on the ground of a crop, on average', low=0
    )
    props: float = option(
        0.0, 'share of them that are drawn: posts, signs, trunks, bollards, boxes', low=0, high=0.9
    )
    restyle: float = option(
        0.3, "share of crops that take another picture's colours, any source's", low=0, high=1
    )
    seam: float = option(
        0.0, 'share of crops whose left and right side come from two views', low=0, high=1
    )
    sidestep_m: float = option(
        0.0, 'half of the crops with dense depth are seen up to this many metres further aside',
        low=0,
    )  # fmt: skip
    mount_known: float = option(
        0.6, 'share of crops that are told where the camera is over the ground, where it is known',
        low=0, high=1,
    )  # fmt: skip
    mount_noise_deg: float = option(
        1.2, 'largest standard deviation of the pitch and roll that crops are told', low=0
    )
    standing: float = option(
        1.0, 'emphasis on what stands, small and near things most; 0 = every pixel alike', low=0
    )
    twins: float = option(
        0.0, 'share of crops that are pairs of one view, some pixels apart, and must agree',
        low=0, high=1,
    )  # fmt: skip
    twin_weight: float = option(0.5, "weight of the twins' disagreement", low=0)
    photometric: float = option(
        0.8, 'strength of colour, shadow, blur, noise and JPEG changes', low=0
    )
    lr: float = option(2.2e-3, 'peak learning rate of AdamW', low=0)
    schedule: str = option(
        'linear',
        'learning rate after warm-up; constant = a stage that another one with --init ends',
        choices=('cosine', 'linear', 'constant'),
    )
    warmup_steps: int = option(100, 'steps of linear warm-up', low=0)
    weight_decay: float = option(1e-4, "AdamW's weight decay", low=0)
    clip: float = option(5.0, 'gradient norm is clipped to this; 0 = off', low=0)
    ema: float = option(0.998, 'decay of the averaged weights that are exported; 0 = off', low=0)
    alpha: float = option(0.2, "weight of each scale's depth loss (the paper: 0.25)", low=0)
    beta: float = option(1.0, "weight of each scale's label loss (the paper: 0.75)", low=0)
    gamma: float = option(0.1, "weight of each scale's confidence loss (ours)", low=0)
    delta: float = option(
        0.0, "weight of each scale's Jaccard loss of the seven coarse classes (ours)", low=0
    )
    labels_only: bool = option(
        False, 'train the label heads alone and leave everything else, depth too, as it is'
    )
    log_depth: bool = option(True, 'compare depths in G space; off = in metres (ablation)')
    depth_truth: str = option(
        'compensated',
        'sparse = sensor only; teacher = teacher only; compensated = both',
        choices=('sparse', 'teacher', 'compensated'),
    )
    teacher_weight: float = option(0.3, 'weight of a teacher pixel; a sensor pixel has 1', low=0)
    sky_weight: float = option(0.2, 'weight of sky pixels, learnt as the far limit', low=0)
    class_balance: float = option(0.5, 'class weight = frequency ** -this', low=0, high=1)
    precision: str = option('32-true', "Lightning's precision", choices=('32-true', 'bf16-mixed'))
    accelerator: str = option('auto', 'cpu, gpu or auto')
    devices: int = option(1, 'processes or GPUs per node', low=1)
    nodes: int = option(1, 'machines', low=1)
    threads: int = option(0, 'PyTorch threads; 0 = all cores', low=0)
    workers: int = option(1, 'data loading processes', low=0)
    val_height: int = option(320, 'rows of a validation frame at network size', low=32)
    val_every: int = option(1000, 'steps between validations', low=1)
    save_every: int = option(250, 'steps between checkpoints to resume from', low=1)
    patience: int = option(0, 'stop after this many validations without gain; 0 = never', low=0)
    seed: int = option(0, 'seed of weights, sampling and augmentation')
    init: str = option(
        '',
        'weights to start from (fine-tuning): lightdepth = the shipped student, an exported '
        '.onnx, or a checkpoint; empty = random',
    )
    compile: bool = option(False, 'torch.compile network and loss (needs a C++ compiler)')

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            check_value(f, getattr(self, f.name))
        if self.focal_min_px > self.focal_max_px:
            raise ConfigError(
                f'focal_min_px is {self.focal_min_px}; it must not exceed focal_max_px '
                f'({self.focal_max_px})'
            )
        self.crop_sizes()
        self.source_weights()

    def crop_sizes(self) -> list[tuple[int, int]]:
        """Return the crop sizes as (height, width) pairs."""
        sizes = []
        for text in self.crops.split(','):
            parts = text.split('x')
            if len(parts) != 2 or not all(p.isdigit() and int(p) % 32 == 0 for p in parts):
                raise ConfigError(
                    f'crop is {text!r}; write HEIGHTxWIDTH, both multiples of 32, as in 256x416'
                )
            sizes.append((int(parts[0]), int(parts[1])))
        return sizes

    def twin_pairs(self) -> int:
        """Return how many pairs of twins stand at the beginning of each process's batch."""
        return int(self.twins * self.batch_size / 2 + 0.5)

    def source_weights(self) -> dict[str, float]:
        """Return the share of each source, unnormalised."""
        weights = {}
        for text in self.sources.split(','):
            name, colon, weight = text.rpartition(':')
            try:
                weights[name.strip() if colon else text.strip()] = float(weight) if colon else 1.0
            except ValueError as error:
                raise ConfigError(
                    f'source is {text!r}; write NAME:WEIGHT, as in kitti:4'
                ) from error
        values = weights.values()
        if not all(0 <= value < math.inf for value in values) or not any(values):
            raise ConfigError(
                f'sources is {self.sources!r}; weights must be 0 or more, and one above 0'
            )
        return weights

    def to_json(self) -> str:
        """Return the configuration as indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + '\n'


def check_value(f: dataclasses.Field[Any], value: Any) -> None:
    """Refuse a value outside the field's choices or limits, naming the remedy."""
    choices, low, high = (f.metadata.get(k) for k in ('choices', 'low', 'high'))
    if choices and value not in choices:
        raise ConfigError(f'{f.name} is {value!r}; it must be one of {", ".join(choices)}')
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError(f'{f.name} is {value}; it must lie in [{low}, {high}]')


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag per field, with its default and help."""
    for f in dataclasses.fields(TrainConfig):
        flag, text = '--' + f.name.replace('_', '-'), f.metadata['help']
        text = f'{text} (default {f.default})'.replace('%', '%%')
        if isinstance(f.default, bool):
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, action=action, default=f.default, help=text)
        else:
            parser.add_argument(
                flag, type=type(f.default), default=f.default, help=text,
                choices=f.metadata.get('choices'),
            )  # fmt: skip


def from_flags(args: argparse.Namespace) -> TrainConfig:
    """Build the configuration from parsed flags."""
    return TrainConfig(**{f.name: getattr(args, f.name) for f in dataclasses.fields(TrainConfig)})
