# SPDX-License-Identifier: Apache-2.0
"""Training really learns, resumes exactly after SIGKILL, and exports files the runtime can run."""

import copy
import csv
import functools
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from lightdepth_ros import shared_memory  # noqa: E402
from lightdepth_ros.contract import load_contract  # noqa: E402
from lightdepth_ros.engines import EngineRequest, load_engine  # noqa: E402
from lightdepth_ros.errors import ConfigError, ContractError  # noqa: E402
from lightdepth_ros.mount import ground_map  # noqa: E402
from tools.ros_env import ROOT  # noqa: E402
from training import average, export  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.crops.stream import CropStream  # noqa: E402
from training.export import read_checkpoint  # noqa: E402
from training.model import run_folder  # noqa: E402
from training.model.distill import Distillation, as_dict  # noqa: E402
from training.students.interface import EXITS  # noqa: E402
from training.train import fitting_workers, prepare, train  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope='module')
def tiny_data(tmp_path_factory) -> Path:
    """Six 96x64 frames whose depth and label follow from their colour, as a CSV manifest."""
    folder = tmp_path_factory.mktemp('tiny')
    rng = np.random.default_rng(0)
    rows = []
    for index in range(6):
        depth = cv2.resize(rng.uniform(5, 60, (4, 6)).astype(np.float32), (96, 64))
        label = (depth > 30).astype(np.uint8) * 2
        grey = np.clip(depth * 4, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), cv2.merge([grey, grey, 255 - grey]))
        cv2.imwrite(str(folder / f'{index}_depth.png'), (depth * 256).astype(np.uint16))
        cv2.imwrite(str(folder / f'{index}_label.png'), label)
        rows.append({
            'image': f'{index}.png', 'depth': f'{index}_depth.png', 'label': f'{index}_label.png',
            'fx': 100, 'fy': 100, 'cx': 47.5, 'cy': 31.5,
        })  # fmt: skip
    with (folder / 'manifest.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def settings(data: Path, **changes: object) -> TrainConfig:
    source = f'manifest@{data}'
    values = {
        'sources': f'{source}:1', 'validation': source, 'crops': '64x96', 'batch_size': 4,
        'steps': 6, 'val_every': 3, 'save_every': 2, 'warmup_steps': 2, 'workers': 0,
        'threads': 1, 'accelerator': 'cpu', 'focal_min_px': 90.0, 'focal_max_px': 120.0,
        'ema': 0.5, 'val_height': 64,
    }  # fmt: skip
    return TrainConfig(**(values | changes))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / 'resume.ckpt', weights_only=True)['state_dict']


def flags(config: TrainConfig) -> list[str]:
    result = []
    for name, value in vars(config).items():
        flag = name.replace('_', '-')
        if isinstance(value, bool):
            result.append(f'--{flag}' if value else f'--no-{flag}')
        else:
            result += [f'--{flag}', str(value)]
    return result


def test_loss_falls_on_a_learnable_set(tiny_data, tmp_path):
    config = settings(tiny_data, steps=60, val_every=60, save_every=60, lr=5e-3, photometric=0)
    train(config, tmp_path / 'run')
    rows = list(csv.DictReader((tmp_path / 'run' / 'log' / 'metrics.csv').open()))
    waits = [float(r['throughput/data_wait']) for r in rows if r.get('throughput/data_wait')]
    speeds = [float(r['throughput/images_per_s']) for r in rows if r.get('throughput/data_wait')]
    assert len(waits) > 10
    assert all(0 < wait < 1 for wait in waits)
    assert all(speed > 0 for speed in speeds)
    losses = losses_of(tmp_path / 'run')
    assert np.mean(losses[-3:]) < 0.5 * losses[0]


@pytest.mark.slow
def test_run_that_was_stopped_at_a_step_goes_on_as_if_it_had_not_been(tiny_data, tmp_path):
    config = settings(tiny_data, steps=8)
    train(config, tmp_path / 'whole')
    assert train(config, tmp_path / 'cut', stop_at=4).global_step == 4
    assert train(config, tmp_path / 'cut').global_step == 8
    whole, cut = weights(tmp_path / 'whole'), weights(tmp_path / 'cut')
    for name, value in whole.items():
        torch.testing.assert_close(value, cut[name], rtol=0, atol=0, msg=name)


@pytest.mark.slow
def test_killed_run_resumed_ends_with_the_same_weights(tiny_data, tmp_path):
    config = settings(tiny_data, steps=8)
    train(config, tmp_path / 'whole')
    command = [sys.executable, '-m', 'training.train', '--out', str(tmp_path / 'cut')]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    with (tmp_path / 'log').open('w') as log:
        process = subprocess.Popen(
            command + flags(config), cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        deadline = time.monotonic() + 300
        while not (tmp_path / 'cut' / 'resume.ckpt').is_file() and process.poll() is None:
            assert time.monotonic() < deadline, (tmp_path / 'log').read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # How it is computed and looked at may change meanwhile.
    train(settings(tiny_data, steps=8, workers=1, val_every=4, save_every=4), tmp_path / 'cut')
    whole, cut = weights(tmp_path / 'whole'), weights(tmp_path / 'cut')
    for name, value in whole.items():
        torch.testing.assert_close(value, cut[name], rtol=0, atol=0, msg=name)


@pytest.mark.slow
def test_labels_alone_are_trained_on_and_depth_stays_as_it_is(tiny_data, tmp_path):
    train(settings(tiny_data), tmp_path / 'first')
    init = str(tmp_path / 'first' / 'resume.ckpt')
    changes = {'init': init, 'labels_only': True, 'ema': 0.0, 'delta': 1.0}
    train(settings(tiny_data, **changes), tmp_path / 'second')
    before, after = weights(tmp_path / 'first'), weights(tmp_path / 'second')
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    heads = {n for n in before if '.semantic.' in n}
    assert len(heads) == 2 * len(EXITS)
    assert changed == heads


def losses_of(run: Path) -> list[float]:
    with (run / 'log' / 'metrics.csv').open() as file:
        return [float(row['loss']) for row in csv.DictReader(file) if row.get('loss')]


@pytest.mark.slow
def test_two_processes_learn_like_one_with_the_same_global_batch(tiny_data, tmp_path):
    """Same items, same order. What differs: batch norm sees half a batch."""
    common = {'steps': 10, 'val_every': 10, 'photometric': 0.0, 'crops': '64x96', 'lr': 1e-3}
    train(settings(tiny_data, batch_size=8, **common), tmp_path / 'one')
    two = settings(tiny_data, batch_size=4, devices=2, **common)
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    run = subprocess.run(
        [sys.executable, '-m', 'training.train', '--out', str(tmp_path / 'two'), *flags(two)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    one, both = losses_of(tmp_path / 'one'), losses_of(tmp_path / 'two')
    assert len(one) == len(both) == 10
    np.testing.assert_allclose(both, one, rtol=0.2)
    assert np.mean(both) == pytest.approx(np.mean(one), rel=0.08)


@pytest.mark.slow
def test_network_and_loss_are_one_graph_for_the_compiler_and_lose_the_same(tiny_data):
    """What --compile hands over; the compiler itself takes minutes and is PyTorch's to test."""
    torch.manual_seed(0)
    module, data = prepare(settings(tiny_data, delta=0.5), None)
    data.setup('fit')
    stream = CropStream(data.sources, module.config)
    batch = torch.utils.data.default_collate([stream[k] for k in range(2)])
    traced = torch.compile(module.objective, backend='aot_eager', fullgraph=True, dynamic=False)
    state = copy.deepcopy(module.state_dict())
    loss, parts = module.objective(batch)
    module.load_state_dict(state)
    again, again_parts = traced(batch)
    torch.testing.assert_close(again, loss, rtol=1e-4, atol=1e-5)
    assert again_parts.keys() == parts.keys()
    again.backward()
    assert all(p.grad is not None for p in module.student.parameters())


def test_run_folder_of_another_configuration_is_refused(tiny_data, tmp_path):
    train(settings(tiny_data, steps=2), tmp_path / 'run')
    with pytest.raises(ConfigError, match=r'configuration:\n  lr: .*\n  steps: there 2'):
        train(settings(tiny_data, steps=3, lr=1e-4, threads=2), tmp_path / 'run')


@pytest.mark.parametrize(
    ('schedule', 'expected'),
    [
        ('linear', [1.0, 0.7525, 0.505, 0.2575, 0.01]),
        ('cosine', [1.0, 0.855018, 0.505, 0.154982, 0.01]),
        ('constant', [1.0] * 5),
    ],
)
def test_learning_rate_rises_in_the_warm_up_and_falls_to_a_hundredth(schedule, expected):
    config = TrainConfig(steps=110, warmup_steps=10, schedule=schedule)
    factor = functools.partial(Distillation._lr_factor, types.SimpleNamespace(config=config))
    assert [factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [factor(step) for step in (10, 35, 60, 85, 110)] == pytest.approx(expected, abs=1e-6)
    assert factor(500) == pytest.approx(expected[-1])


def test_default_learning_rate_falls_in_a_line():
    assert TrainConfig().schedule == 'linear'


def test_what_decides_the_result_keeps_a_run_from_going_on_and_nothing_else():
    saved = vars(TrainConfig(batch_size=8)) | {'field_of_an_older_version': 1}
    saved.pop('rotation_deg')  # and a field that came later: its default counts
    same = TrainConfig(
        batch_size=4, devices=2, threads=3, workers=0, val_every=7, save_every=9,
        accelerator='cpu', compile=True,
    )  # fmt: skip
    assert set(run_folder.differences(saved, same)) == {'field_of_an_older_version'}
    assert set(run_folder.differences(saved, TrainConfig(devices=2, batch_size=8, seed=3))) == {
        'batch_size x devices x nodes', 'field_of_an_older_version', 'seed',
    }  # fmt: skip


def test_checkpoint_without_its_configuration_is_not_resumed(tmp_path):
    (tmp_path / 'resume.ckpt').touch()
    with pytest.raises(ConfigError, match=r'no config\.json beside it'):
        run_folder.claim(TrainConfig(), tmp_path)
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(ConfigError, match='damaged'):
        run_folder.claim(TrainConfig(), tmp_path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'student': 'resnet'}, 'plain, paper'),
        ({'steps': 0}, 'steps is 0'),
        ({'crops': '100x96'}, 'multiples of 32'),
        ({'sources': 'kitti:much'}, 'NAME:WEIGHT'),
        ({'sources': 'kitti:1,idd:-1'}, '0 or more'),
        ({'sources': 'kitti:0'}, 'one above 0'),
        ({'sources': 'kitti:nan'}, '0 or more'),
        ({'focal_min_px': 500.0, 'focal_max_px': 400.0}, 'focal_max_px'),
    ],
)
def test_wrong_settings_are_refused_with_the_remedy(change, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**change)


@pytest.fixture(scope='module')
def exported(tiny_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('export')
    for student in ('plain', 'paper'):
        config = settings(tiny_data, steps=4, student=student)
        train(config, folder / student)
        export.export(folder / student / 'best.ckpt', folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('student', ['plain', 'paper'])
@pytest.mark.parametrize(('exit_name', 'stride'), [('L', 2), ('M', 4), ('S', 8), ('XS', 16)])
def test_exported_exit_runs_at_any_multiple_of_32(exported, student, exit_name, stride):
    path = exported / f'lightdepth_{student}_{exit_name}.json'
    contract = load_contract(path)
    assert contract.training['step'] == 3 or contract.training['step'] == 4
    assert json.loads(path.read_text())['exit'] == exit_name
    engine = load_engine(EngineRequest(path))
    for height, width in ((320, 480), (64, 160)):
        image = np.zeros((1, height, width, 3), np.uint8)
        out = engine.run(image, ground=ground_map(None, None, (height, width)))
        for name, dtype in (('depth', np.float32), ('label', np.uint8), ('confidence', np.uint8)):
            assert out[name].shape == (1, height // stride, width // stride)
            assert out[name].dtype == dtype
        assert (out['depth'] > 0).all()
    engine.close()


@pytest.mark.slow
def test_export_leaves_nothing_behind_but_the_eight_files(exported):
    names = sorted(p.name for p in exported.iterdir() if p.is_file())
    assert len(names) == 16
    assert not list(exported.glob('.*'))


def test_export_refuses_a_file_that_is_no_checkpoint(tmp_path):
    path = tmp_path / 'x.ckpt'
    path.write_bytes(b'nonsense')
    with pytest.raises(ContractError, match='not a checkpoint'):
        export.export(path, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('factor', [1.01, np.nan])
def test_export_refuses_a_runtime_that_disagrees(exported, tiny_data, monkeypatch, factor):
    """The proof must be able to fail: engines that are 1 % off or say NaN are caught."""
    real = export.load_engine

    class Off:
        def __init__(self, path: Path) -> None:
            self.engine = real(path)

        def run(self, image: np.ndarray, ground: np.ndarray) -> dict[str, np.ndarray]:
            out = self.engine.run(image, ground=ground)
            return out | {'depth': out['depth'] * np.float32(factor)}

        def close(self) -> None:
            self.engine.close()

    monkeypatch.setattr(export, 'load_engine', Off)
    before = sorted(p.name for p in exported.iterdir())
    with pytest.raises(ContractError, match='differs from PyTorch'):
        export.export(exported / 'plain' / 'best.ckpt', exported)
    assert sorted(p.name for p in exported.iterdir()) == before


def small_checkpoint(path, student: str, value: float):
    """Write what training.export needs of a checkpoint, every weight set to `value`."""
    config = TrainConfig(student=student)
    module = Distillation(as_dict(config))
    state = {k: torch.full_like(v, value) for k, v in module.state_dict().items()}
    saved = {'state_dict': state, 'global_step': 7, 'optimizer_states': [1],
             'hyper_parameters': {'config': as_dict(config)}}  # fmt: skip
    torch.save(saved, path)
    return path


def test_averaged_checkpoints_hold_the_mean_and_can_be_exported(tmp_path, capsys):
    paths = [small_checkpoint(tmp_path / f'{v}.ckpt', 'plain', v) for v in (1.0, 4.0)]
    out = tmp_path / 'mean.ckpt'
    assert average.main([*map(str, paths), '--out', str(out)]) == 0
    assert 'the mean of 2 checkpoints' in capsys.readouterr().out
    weights = read_checkpoint(out).student.state_dict()
    assert all((v == 2.5).all() for v in weights.values() if v.is_floating_point())


def test_checkpoints_of_two_networks_are_not_averaged(tmp_path, capsys):
    paths = [small_checkpoint(tmp_path / f'{s}.ckpt', s, 1.0) for s in ('plain', 'paper')]
    assert average.main([*map(str, paths), '--out', str(tmp_path / 'mean.ckpt')]) == 2
    assert 'paper.ckpt is of another network' in capsys.readouterr().err
    assert not (tmp_path / 'mean.ckpt').exists()


@pytest.mark.parametrize(
    ('wanted', 'batch_mb', 'free_mb', 'expected'),
    [(4, 2.0, 24_000.0, 4), (4, 2.0, 30.0, 2), (4, 12.0, 64.0, 0), (0, 2.0, 0.0, 0)],
)
def test_data_loading_processes_are_as_many_as_shared_memory_has_room_for(
    wanted, batch_mb, free_mb, expected
):
    assert fitting_workers(wanted, batch_mb, free_mb) == expected


def test_a_small_shared_memory_is_told_and_training_loads_in_its_own_process(
    tiny_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(shared_memory, 'free_mb', lambda: 0.1)
    train(settings(tiny_data, workers=2, steps=2, val_every=2), tmp_path / 'run')
    assert 'too few for 2 data loading processes: going on with 0' in capsys.readouterr().out
