# SPDX-License-Identifier: Apache-2.0
"""Training starts from exported files: the same answers first, better ones after a few steps."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import bags
import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from lightdepth_ros import cli  # noqa: E402
from lightdepth_ros.classes import CLASSES  # noqa: E402
from lightdepth_ros.contract import MODELS_DIR, model_name  # noqa: E402
from lightdepth_ros.engines import EngineRequest, load_engine  # noqa: E402
from lightdepth_ros.errors import ConfigError  # noqa: E402
from lightdepth_ros.mount import ground_map  # noqa: E402
from training import export, from_bag  # noqa: E402
from training import train as train_module  # noqa: E402
from training.datasets.synthetic import SyntheticScenes  # noqa: E402
from training.model import init_onnx  # noqa: E402
from training.model.distill import normalise  # noqa: E402
from training.model.losses import inverse_log_map  # noqa: E402
from training.students import STUDENTS  # noqa: E402
from training.students.interface import EXITS  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope='module')
def images() -> np.ndarray:
    """Return four road scenes, (4, 224, 320, 3) uint8."""
    scenes = SyntheticScenes(count=4, seed=3, height=224, width=320)
    return np.stack([scenes[k].rgb for k in range(4)])


def fresh(name: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return STUDENTS[name](len(CLASSES), confidence=True)


def ground_of(images: np.ndarray) -> torch.Tensor:
    """Return the map of unknown mounts for (N, H, W, 3) images."""
    cells = ground_map(None, None, images.shape[1:3])
    return torch.from_numpy(np.repeat(cells, len(images), 0))


def metres(student: torch.nn.Module, images: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        outputs = student(normalise(torch.from_numpy(images)), ground_of(images))
    return [inverse_log_map(out.g[:, 0]).numpy() for out in outputs]


@pytest.mark.parametrize('name', ['plain', 'paper'])
def test_loaded_student_answers_as_the_shipped_files_do(name, images):
    student = fresh(name)
    init_onnx.load(student, init_onnx.find('lightdepth', name), name)
    before = metres(student.eval(), images)
    halves = zip(torch.from_numpy(images).split(2), ground_of(images).split(2), strict=True)
    init_onnx.calibrate(student, halves)
    after = metres(student.eval(), images)
    for k, exit_name in enumerate(EXITS):
        engine = load_engine(EngineRequest(MODELS_DIR / f'{model_name(name, exit_name)}.json'))
        told = ground_of(images[:1]).numpy() if engine.contract.takes_ground else None
        shipped = np.concatenate([engine.run(i[None], ground=told)['depth'] for i in images])
        engine.close()
        np.testing.assert_allclose(before[k], shipped, rtol=1e-3)
        np.testing.assert_allclose(after[k], shipped, rtol=1e-3)


@pytest.mark.parametrize('name', ['plain', 'paper'])
def test_after_calibration_training_mode_computes_nearly_the_same(name, images):
    """Without it, normalising by the batch instead of the stored statistics changes everything."""
    student = fresh(name)
    init_onnx.load(student, MODELS_DIR, name)
    wanted = metres(student.eval(), images)[-1]
    off = np.abs(metres(student.train(), images)[-1] / wanted - 1).mean()
    init_onnx.load(student, MODELS_DIR, name)
    init_onnx.calibrate(student, [(torch.from_numpy(images), ground_of(images))])
    calibrated = np.abs(metres(student.train(), images)[-1] / wanted - 1).mean()
    assert calibrated < 0.01 < off


def test_branches_start_as_in_a_fresh_network_and_sum_to_the_shipped_kernel():
    student = fresh('plain')
    init_onnx.load(student, MODELS_DIR, 'plain')
    weight, _ = list(init_onnx.folded(MODELS_DIR / 'lightdepth_plain_L.onnx'))[5]
    conv = student.encoder[3][1]
    assert (conv.identity == 1).all()
    assert (conv.kernel1 == 0).all()
    torch.testing.assert_close(conv.kernel(), weight, rtol=0, atol=1e-6)


def test_a_missing_exit_and_the_wrong_student_are_named(tmp_path):
    for path in MODELS_DIR.glob('lightdepth_plain_L.*'):
        shutil.copy(path, tmp_path)
    one = str(tmp_path / 'lightdepth_plain_L.onnx')
    with pytest.raises(ConfigError, match=r'missing: lightdepth_plain_XS\.onnx'):
        init_onnx.find(one, 'plain')
    with pytest.raises(ConfigError, match='add --student plain'):
        init_onnx.find(one, 'paper')


def test_a_file_of_another_network_is_refused(tmp_path):
    for path in MODELS_DIR.glob('lightdepth_paper_*.onnx'):
        shutil.copy(path, tmp_path / path.name.replace('paper', 'plain'))
    with pytest.raises(ConfigError, match='not a plain student of this version'):
        init_onnx.load(fresh('plain'), tmp_path, 'plain')


def drive_over_a_plane(count: int) -> list[tuple[str, int, object]]:
    """Return images of a textured floor and its depth, 160x96, camera 1 m above it.

    depth = f * height / (v - cy): the floor is seen below the horizon at row 32.
    """
    rng = np.random.default_rng(0)
    height, width, focal = 96, 160, 120.0
    rows = np.arange(height)[:, None] - 32
    depth = np.where(rows > 3, focal / np.maximum(rows, 1), 0) * np.ones((1, width))
    info = {'height': height, 'width': width,
            'k': [focal, 0, 80, 0, focal, 32, 0, 0, 1]}  # fmt: skip
    messages = []
    for k in range(count):
        now = bags.START_NS + 100 * k * bags.MS
        noise = cv2.GaussianBlur(
            rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 2
        )
        picture = np.where(rows[..., None] > 0, noise, np.uint8(200))
        messages += [
            ('/cam/camera_info', now, bags.camera_info(**info)),
            ('/cam/image_raw', now, bags.image(now, picture, 'rgb8')),
            ('/cam/depth', now, bags.image(now, depth.astype(np.float32), '32FC1')),
        ]
    return messages


def last_error(run: Path) -> float:
    """Return the last val/abs_rel of a run."""
    with (run / 'log' / 'metrics.csv').open() as file:
        return [float(r['val/abs_rel']) for r in csv.DictReader(file) if r.get('val/abs_rel')][-1]


@pytest.mark.slow
def test_from_a_bag_to_an_adapted_student_that_predicts(tmp_path, capsys):
    bag = bags.write(tmp_path / 'bag', drive_over_a_plane(6))
    data = tmp_path / 'data'
    assert from_bag.main([str(bag), '--out', str(data), '--image-topic', '/cam/image_raw',
                          '--depth-topic', '/cam/depth']) == 0  # fmt: skip
    source = f'manifest@{data}'
    common = ['--init', 'lightdepth', '--sources', source, '--validation', source,
              '--crops', '96x160', '--batch-size', '4', '--focal-min-px', '110',
              '--focal-max-px', '130', '--val-height', '96', '--warmup-steps', '2', '--ema', '0',
              '--workers', '0', '--threads', '1', '--accelerator', 'cpu']  # fmt: skip

    def run(name: str, *flags: str) -> Path:
        command = ['--out', str(tmp_path / name), *common, *flags]
        assert train_module.main(command) == 0, capsys.readouterr().err
        return tmp_path / name

    start = run('start', '--steps', '1', '--val-every', '1', '--lr', '1e-9')
    adapted = run('adapted', '--steps', '30', '--val-every', '30', '--lr', '5e-4')
    assert last_error(adapted) < 0.7 * last_error(start)
    export.export(adapted / 'best.ckpt', tmp_path / 'models')
    out = tmp_path / 'predicted'
    picture = sorted((data / 'image').iterdir())[0]
    model = tmp_path / 'models' / 'lightdepth_plain_L.json'
    flags = {'--fx': '120', '--input-width': '160', '--input-height': '96', '--out': str(out),
             '--model': str(model)}  # fmt: skip
    assert cli.main(['predict', str(picture), *(t for pair in flags.items() for t in pair)]) == 0
    assert list(out.rglob('*depth*'))
