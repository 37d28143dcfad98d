# SPDX-License-Identifier: Apache-2.0
"""Images a second, the share of waiting, and the parts of a training step."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('torch')
pytest.importorskip('lightning')

from training.model import throughput

pytestmark = pytest.mark.torch


class Clock:
    """Time that only a test moves."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics, step):
        self.rows.append((step, metrics))


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throughput, 'time', clock)
    return clock


def play(callback, clock, trainer, steps: int, wait_s: float, work_s: float) -> None:
    """Run `steps` steps of eight images that wait and work that long."""
    for _ in range(steps):
        clock.now += wait_s
        callback.on_train_batch_start(trainer, None, None, 0)
        clock.now += work_s
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, None, None, {'image': [0] * 8}, 0)


def test_images_a_second_and_waiting_are_averages_between_two_log_lines(clock):
    log = Log()
    trainer = SimpleNamespace(loggers=[log], global_step=0, log_every_n_steps=3, world_size=2)
    callback = throughput.Throughput()
    play(callback, clock, trainer, 3, wait_s=0.1, work_s=0.3)
    play(callback, clock, trainer, 3, wait_s=0.5, work_s=0.5)
    assert [step for step, _ in log.rows] == [3, 6]
    first, second = (metrics for _, metrics in log.rows)
    assert first['throughput/images_per_s'] == pytest.approx(8 * 2 / 0.4)
    assert first['throughput/data_wait'] == pytest.approx(0.25)
    assert second['throughput/images_per_s'] == pytest.approx(8 * 2 / 1.0)
    assert second['throughput/data_wait'] == pytest.approx(0.5)


def test_validation_is_neither_work_nor_waiting(clock):
    log = Log()
    trainer = SimpleNamespace(loggers=[log], global_step=0, log_every_n_steps=4, world_size=1)
    callback = throughput.Throughput()
    play(callback, clock, trainer, 2, wait_s=0.1, work_s=0.1)
    callback.on_validation_start(trainer, None)
    clock.now += 60
    callback.on_validation_end(trainer, None)
    play(callback, clock, trainer, 2, wait_s=0.1, work_s=0.1)
    assert log.rows[-1][1]['throughput/images_per_s'] == pytest.approx(8 / 0.2)


def test_parts_of_a_step_leave_out_warm_up_and_count_nothing_twice():
    slow = [9.0] * throughput.WARM_UP
    durations = {
        '[_TrainingEpochLoop].train_dataloader_next': [*slow, 0.1, 0.1],
        '[Strategy]SingleDeviceStrategy.batch_to_device': [*slow, 0.05, 0.05],
        '[Strategy]SingleDeviceStrategy.training_step': [*slow, 0.2, 0.4],
        '[Strategy]SingleDeviceStrategy.backward': [*slow, 0.4, 0.4],
        '[LightningModule]Distillation.optimizer_step': [*slow, 0.8, 1.0],
        '[Callback]Throughput.on_train_batch_end': [*slow, 0.01, 0.01],
        '[Callback]Throughput.on_train_batch_start': [*slow, 0.02, 0.02],
        'run_training_epoch': [30.0],
    }
    found = throughput.parts(durations)
    assert found == pytest.approx({
        'waiting for data': 0.1, 'copying to the device': 0.05, 'network and loss': 0.3,
        'gradients': 0.4, 'optimiser': 0.2, 'callbacks and logs': 0.03, 'everything': 1.08,
    })  # fmt: skip
    assert 'in the network (its loss, gradients, optimiser): 83.3%' in throughput.table(found)
