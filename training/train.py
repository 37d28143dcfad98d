# SPDX-License-Identifier: Apache-2.0
"""Train a student: `python -m training.train --out runs/first`. The same command resumes it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import torch
from lightning.pytorch import callbacks, loggers
from torch.utils.data import DataLoader, Dataset

from lightdepth_ros import shared_memory, terminal
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.mount import Mount, ground_map, height_factor
from training import config as config_module
from training.config import TrainConfig
from training.crops.stream import CropStream, StreamSampler, load_sources
from training.datasets.catalog import open_dataset
from training.datasets.sample import Sample
from training.model import init_onnx, run_folder, throughput
from training.model.distill import Distillation, as_dict

Sources = Mapping[str, Sequence[Sample]]
CALIBRATION_CROPS = 64
"""Crops that batch norms are measured on when training starts from exported files."""
BATCHES_WAITING = 6
"""So many batches a process may have in shared memory: two made ahead and one in use, of crops
that may be twice as large as the first one."""
MAX_VAL_FRAMES = 32
"""Validation during training looks at evenly spread frames; training.evaluate looks at all."""


class WholeFrames(Dataset):
    """Validation frames, resized to `height` rows and the multiple of 32 nearest in width."""

    def __init__(self, dataset: Dataset[Sample], height: int) -> None:
        step = max(1, len(dataset) // MAX_VAL_FRAMES)
        self.items = [whole_frame(dataset[i], height) for i in range(0, len(dataset), step)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, np.ndarray | float]:
        return self.items[index]


def whole_frame(sample: Sample, net_height: int) -> dict[str, np.ndarray | float]:
    """Return one frame for validation: the image at network size, the truth at its own size.

    'ground' is the map of an unknown mount, 'mounted' that of the mount that the data set tells
    (a level camera where it tells the height alone), with its 'factor' of heights.
    """
    height, width = sample.rgb.shape[:2]
    net_width = max(32, round(width * net_height / height / 32) * 32)
    image = cv2.resize(sample.rgb, (net_width, net_height), interpolation=cv2.INTER_AREA)
    scaled = None if sample.camera is None else sample.camera.resized(net_width, net_height)
    hw = (net_height, net_width)
    item: dict[str, np.ndarray | float] = {
        'image': image, 'ground': ground_map(scaled, None, hw)[0],
    }  # fmt: skip
    mount = sample.pose or (Mount(sample.height_m) if sample.height_m else None)
    if mount is not None:
        item |= {'mounted': ground_map(scaled, mount, hw)[0], 'factor': height_factor(mount)}
    if scaled is not None and sample.depth_m is not None:
        item |= {'depth': sample.depth_m, 'focal_px': scaled.focal_px}
    if sample.nav7_id is not None:
        item['nav7'] = sample.nav7_id
    return item


class StreamData(lightning.LightningDataModule):
    """Training crops from all sources and the two validation sets."""

    def __init__(
        self, config: TrainConfig, root: Path | None, sources: Sources | None = None
    ) -> None:
        super().__init__()
        self.config, self.root = config, root
        self.sources: Sources = sources or {}
        self.frames: list[WholeFrames] = []

    def setup(self, stage: str) -> None:
        self.sources = self.sources or load_sources(self.config, self.root)
        if not self.frames:
            names = self.config.validation.split(',')
            height = self.config.val_height
            self.frames = [
                WholeFrames(open_dataset(name.strip(), self.root), height) for name in names
            ]

    def first_images(self, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pictures (N, H, W, 3) uint8 and ground maps of the first crops, over `count`."""
        self.setup('fit')
        size = self.crops.global_batch  # crops of one batch have one size
        for start in range(0, count, size):
            crops = [self.crops[k] for k in range(start, start + size)]
            images, ground = (np.stack([c[key] for c in crops]) for key in ('image', 'ground'))
            yield torch.from_numpy(images), torch.from_numpy(ground)

    @cached_property
    def crops(self) -> CropStream:
        """The training crops; made once, since cutting out obstacles takes a while."""
        return CropStream(self.sources, self.config)

    def train_dataloader(self) -> DataLoader:
        trainer, workers = self.trainer, self.config.workers
        sampler = StreamSampler(
            self.config, trainer.global_step, trainer.global_rank, trainer.world_size
        )
        workers = self._fitting(workers)
        return DataLoader(
            self.crops, batch_sampler=sampler, num_workers=workers, persistent_workers=False,
        )  # fmt: skip

    def _fitting(self, workers: int) -> int:
        """Return how many processes /dev/shm has room for; say so where it is fewer."""
        batch = (
            sum(np.asarray(part).nbytes for part in self.crops[0].values())
            * self.config.batch_size
        )
        found = fitting_workers(workers, batch / shared_memory.MB, shared_memory.free_mb())
        if found < workers:
            print(
                f'/dev/shm has {shared_memory.free_mb():.0f} MB free, too few for {workers} data '
                f'loading processes: going on with {found}. A container has more with '
                '--shm-size=1g.'
            )
        return found

    def val_dataloader(self) -> list[DataLoader]:
        return [DataLoader(frames, batch_size=1) for frames in self.frames]


def fitting_workers(wanted: int, batch_mb: float, free_mb: float) -> int:
    """Return how many data loading processes, at most `wanted`, fit into shared memory.

    0 = the training process loads itself, which needs none. Without room PyTorch would end with a
    bus error.
    """
    return min(wanted, int(free_mb / (batch_mb * BATCHES_WAITING)))


def make_callbacks(config: TrainConfig, out: Path) -> list[lightning.Callback]:
    """Return checkpointing (to resume, and the best), averaging, progress and early stop."""
    last = callbacks.ModelCheckpoint(
        out, filename='resume', every_n_train_steps=config.save_every, save_top_k=1,
        enable_version_counter=False,
    )  # fmt: skip
    best = callbacks.ModelCheckpoint(
        out, filename='best', monitor='val/abs_rel', mode='min', enable_version_counter=False,
    )  # fmt: skip
    result: list[lightning.Callback] = [
        last, best, throughput.ProgressBar(leave=True), throughput.Throughput(),
        callbacks.LearningRateMonitor('step'),
    ]  # fmt: skip
    if config.ema:
        result.append(callbacks.EMAWeightAveraging(decay=config.ema))
    if config.patience:
        result.append(callbacks.EarlyStopping('val/abs_rel', patience=config.patience))
    return result


def make_trainer(config: TrainConfig, **more: Any) -> lightning.Trainer:
    """Return the Lightning trainer that the configuration describes; `more` is added to it."""
    many = config.devices * config.nodes > 1
    return lightning.Trainer(
        accelerator=config.accelerator, devices=config.devices, num_nodes=config.nodes,
        strategy='ddp' if many else 'auto', precision=config.precision,
        gradient_clip_val=config.clip or None, use_distributed_sampler=False,
        num_sanity_val_steps=0, enable_model_summary=False, **more,
    )  # fmt: skip


def make_run(config: TrainConfig, out: Path, stop_at: int | None = None) -> lightning.Trainer:
    """Return the trainer of a whole run, which logs and saves into `out`."""
    return make_trainer(
        config, max_steps=min(config.steps, stop_at or config.steps),
        val_check_interval=config.val_every, check_val_every_n_epoch=None,
        logger=[loggers.TensorBoardLogger(out, name='', version='log'),
                loggers.CSVLogger(out, name='', version='log')],
        callbacks=make_callbacks(config, out), default_root_dir=out,
        log_every_n_steps=max(1, min(50, config.steps // 20)),
    )  # fmt: skip


def profile(config: TrainConfig, kind: str, steps: int, root: Path | None = None) -> None:
    """Train some steps and write nothing; the profiler prints where the time goes at the end."""
    module, data = prepare(config, root)
    trainer = make_trainer(
        config, max_steps=steps, limit_val_batches=0, logger=False, enable_checkpointing=False,
        callbacks=[throughput.ProgressBar(), throughput.Throughput()],
        profiler=throughput.make_profiler(kind),
    )  # fmt: skip
    trainer.fit(module, data)


def load_weights(module: Distillation, config: TrainConfig, data: StreamData) -> None:
    """Take the student's weights from --init: a checkpoint of a run, or exported files."""
    path = Path(config.init)
    if init_onnx.is_exported(config.init):
        folder = init_onnx.find(config.init, config.student)
        init_onnx.load(module.student, folder, config.student)
        init_onnx.calibrate(module.student, data.first_images(CALIBRATION_CROPS))
        module.train()
        return
    if not path.is_file():
        raise ConfigError(
            f'--init {path} does not exist; give a checkpoint (.ckpt), an exported .onnx, or '
            f'{init_onnx.SHIPPED} for the shipped student'
        )
    state = torch.load(path, map_location='cpu', weights_only=True)['state_dict']
    module.load_state_dict(state)


def train(
    config: TrainConfig,
    out: Path,
    root: Path | None = None,
    sources: Sources | None = None,
    stop_at: int | None = None,
) -> lightning.Trainer:
    """Train, or resume where `out` already holds a run, and return the finished trainer.

    sources: what `load_sources(config, root)` gives, where the caller has it already. stop_at: a
    step to end at, early; the schedule stays that of all steps.
    """
    resume = run_folder.claim(config, out)
    module, data = prepare(config, root, sources, resumes=resume is not None)
    trainer = make_run(config, out, stop_at)
    trainer.fit(module, data, ckpt_path=resume)
    return trainer


def prepare(
    config: TrainConfig, root: Path | None, sources: Sources | None = None, resumes: bool = False
) -> tuple[Distillation, StreamData]:
    """Return network and data ready to train. A run that resumes needs no --init."""
    cv2.setNumThreads(0)  # OpenCV's thread pool does not survive the fork of a loader process
    if config.threads:
        torch.set_num_threads(config.threads)
    lightning.seed_everything(config.seed)
    module = Distillation(as_dict(config))
    data = StreamData(config, root, sources)
    if config.init and not resumes:
        load_weights(module, config, data)
    if config.compile:
        module.objective = torch.compile(module.objective, dynamic=False)  # type: ignore[method-assign]
    return module, data


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog='python -m training.train', description=__doc__)
    parser.add_argument('--out', type=Path, required=True, help='folder of the run')
    parser.add_argument(
        '--profile', choices=('steps', 'operators'),
        help='train --profile-steps steps, print where the time goes and write nothing',
    )  # fmt: skip
    parser.add_argument('--profile-steps', type=int, default=30, help='(30)')
    parser.add_argument(
        '--stop-at', type=int, metavar='STEP',
        help='end at this step; the schedule stays that of --steps, and the same command without '
        'it goes on',
    )  # fmt: skip
    parser.add_argument(
        '--root', type=Path, default=None,
        help='road data folder (default: LIGHTDEPTH_DATA or ../shared/data)',
    )  # fmt: skip
    config_module.add_flags(parser)
    args = parser.parse_args(argv)
    try:
        config = config_module.from_flags(args)
        if args.profile:
            profile(config, args.profile, args.profile_steps, args.root)
        else:
            train(config, args.out, args.root, stop_at=args.stop_at)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
