# SPDX-License-Identifier: Apache-2.0
"""How fast training runs, and how much of the time it waits for data; also where the time goes."""

from __future__ import annotations

import time
from typing import Any

import lightning
import numpy as np
from lightning.pytorch import callbacks, profilers

SMOOTHING = 0.95
"""Of the running average in the progress bar: about the last twenty steps."""
UNITS = {'images/s': '.1f', 'data wait': '.0%'}


class Throughput(lightning.Callback):
    """Measures each step: images a second of this run, and the share of time spent on waiting.

    Waiting is the time from the end of one step to the arrival of the next batch: with workers,
    what they fall short of; with `--workers 0`, all of the data work. Validation does not count.
    Averages over the steps between two log lines go to the loggers as throughput/images_per_s and
    throughput/data_wait; the progress bar shows a running average.
    """

    def __init__(self) -> None:
        self.ended: float | None = None
        self.arrived = 0.0
        self.since_log = [0.0, 0.0, 0.0]
        """Images, seconds, seconds of waiting."""
        self.recent: list[float] | None = None

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        """Note when the batch arrived."""
        self.arrived = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        """Count one step; the first one has no beginning."""
        now = time.perf_counter()
        if self.ended is not None:
            images = len(batch['image']) * trainer.world_size
            self.count(images, now - self.ended, self.arrived - self.ended)
            if trainer.global_step % trainer.log_every_n_steps == 0:
                self.log_average(trainer)
        self.ended = now

    def count(self, images: float, seconds: float, waited: float) -> None:
        """Add one step to both averages."""
        step = [images, seconds, waited]
        self.since_log = [a + b for a, b in zip(self.since_log, step, strict=True)]
        before = self.recent or step
        self.recent = [
            SMOOTHING * a + (1 - SMOOTHING) * b for a, b in zip(before, step, strict=True)
        ]

    def log_average(self, trainer: Any) -> None:
        """Log what was counted since the last time."""
        row = rates(self.since_log)
        names = {'images/s': 'images_per_s', 'data wait': 'data_wait'}
        metrics = {f'throughput/{names[k]}': v for k, v in row.items()}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.global_step)
        self.since_log = [0.0, 0.0, 0.0]

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Leave validation out: the step after it has no beginning either."""
        self.ended = None

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Same, for what happened meanwhile."""
        self.ended = None


def rates(counted: list[float]) -> dict[str, float]:
    """Return images a second and the share of waiting of [images, seconds, waited]."""
    images, seconds, waited = counted
    return {'images/s': images / seconds, 'data wait': waited / seconds}


class ProgressBar(callbacks.RichProgressBar):
    """Lightning's bar with images a second and the share of waiting beside the losses."""

    def get_metrics(self, trainer: Any, module: Any) -> dict[str, Any]:
        """Return what the bar shows."""
        shown: dict[str, Any] = super().get_metrics(trainer, module)
        shown.pop('v_num', None)
        for callback in trainer.callbacks:
            if isinstance(callback, Throughput) and callback.recent:
                found = rates(callback.recent)
                shown |= {name: format(found[name], form) for name, form in UNITS.items()}
        return shown


PARTS = {
    'waiting for data': ('train_dataloader_next',),
    'copying to the device': ('.batch_to_device', '.transfer_batch_to_device'),
    'network and loss': ('Strategy.training_step',),
    'gradients': ('Strategy.backward',),
    'optimiser': ('.optimizer_step',),
    'callbacks and logs': ('.on_train_batch_start', '.on_train_batch_end'),
}
"""Part of a step -> endings of the actions that Lightning's profiler times."""
NETWORK = ('network and loss', 'gradients', 'optimiser')
WARM_UP = 3
"""First steps that are left out: they allocate, and compile."""


class StepProfiler(profilers.SimpleProfiler):
    """Lightning's timer of every action, without its report of a hundred lines."""

    def summary(self) -> str:
        """Return the table of `parts`."""
        return table(parts(self.recorded_durations))


def parts(durations: dict[str, list[float]]) -> dict[str, float]:
    """Return seconds a step of each part, warm-up left out. `everything` is their sum.

    Lightning calls network and gradients from within the optimiser's step: taken off there.
    """
    found = {}
    for part, endings in PARTS.items():
        rows = [v[WARM_UP:] for k, v in durations.items() if k.endswith(endings)]
        found[part] = sum(float(np.mean(row)) for row in rows if row)
    found['optimiser'] = max(
        0.0, found['optimiser'] - found['network and loss'] - found['gradients']
    )
    return found | {'everything': sum(found.values())}


def table(found: dict[str, float]) -> str:
    """Return the parts as lines: milliseconds a step and share."""
    whole = found['everything']
    lines = [f'{part:24} {1e3 * s:9.2f} ms {s / whole:6.1%}' for part, s in found.items()]
    inside = sum(found[part] for part in NETWORK) / whole
    return '\n'.join([*lines, f'in the network (its loss, gradients, optimiser): {inside:.1%}'])


def make_profiler(kind: str) -> profilers.Profiler:
    """Return a profiler: steps (parts of the training step) or operators (PyTorch's own)."""
    if kind == 'steps':
        return StepProfiler()
    return profilers.PyTorchProfiler(
        export_to_chrome=False, row_limit=25, sort_by_key='cpu_time_total'
    )
