# SPDX-License-Identifier: Apache-2.0
"""NodeConfig names a model; loading finds it and hands the settings on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from broken_engine import BrokenEngine, put_in_place, swapped_channels
from rich.console import Console
from tiny_model import make_tiny_model, tiny_outputs

from lightdepth_ros import engines, files
from lightdepth_ros.camera import Camera
from lightdepth_ros.cli import bag_run as cli_bag_run
from lightdepth_ros.cli import main
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import shipped_contract
from lightdepth_ros.engines import checked, load_engine
from lightdepth_ros.engines.choose import Choice
from lightdepth_ros.errors import ContractError, EngineError
from lightdepth_ros.mount import Mount, ground_map
from lightdepth_ros.perception.loading import contract_path, load_perception


def test_an_empty_model_is_the_shipped_one():
    config = NodeConfig(student='paper', output_resolution='S')
    assert contract_path(config) == shipped_contract('paper', 'S')


def test_a_file_is_taken_as_it_is_and_a_folder_by_student_and_resolution(tmp_path):
    file = str(tmp_path / 'mine.json')
    assert str(contract_path(NodeConfig(model=file))) == file
    config = NodeConfig(model=str(tmp_path), output_resolution='XS')
    assert contract_path(config) == tmp_path / 'lightdepth_plain_XS.json'


def test_settings_reach_the_perception(tmp_path):
    make_tiny_model(tmp_path, student='plain')
    config = NodeConfig(
        model=str(tmp_path),
        input_width=96,
        input_height=64,
        depth_scale=2.0,
        min_range_m=3.0,
        max_range_m=50.0,
        min_confidence=0.5,
        fit='pad',
    )
    perception = load_perception(config)
    image = np.full((64, 64, 3), (20, 0, 200), np.uint8)  # 10 m, road, confident
    image[:16] = (2, 0, 200)  # 1 m
    image[16:32] = (60, 0, 200)  # 30 m
    image[32:48] = (20, 0, 100)  # unsure
    depth_m = perception.predict(image, None, ('depth',)).prediction.depth_m
    assert depth_m.shape == (32, 48)
    assert np.isnan(depth_m[:, :8]).all()
    np.testing.assert_array_equal(depth_m[[4, 12, 20, 28], 24], [-np.inf, np.inf, np.nan, 20])


def test_mount_of_the_settings_reaches_the_perception(tmp_path):
    make_tiny_model(tmp_path, student='plain', ground=True)
    config = NodeConfig(model=str(tmp_path), input_width=96, input_height=64)
    image, camera = np.full((64, 96, 3), 20, np.uint8), Camera.from_fov(96, 64, 70.0)
    for changes, mount in (
        ({}, None),
        ({'camera_height_m': 0.4, 'camera_pitch_deg': 8.0}, Mount(0.4, 8.0)),
        ({'camera_height_m': 0.4, 'mount': 'unknown'}, None),
    ):
        perception = load_perception(dataclasses.replace(config, **changes))
        prediction = perception.predict(image, camera, ('depth',)).prediction
        assert prediction.mount == mount
        expected = tiny_outputs(image[None], 2, ground_map(camera, mount, (64, 96)))['depth'][0]
        factor = camera.focal_px / 600.0 * (1 if mount is None else mount.height_m / 1.65)
        np.testing.assert_allclose(prediction.depth_m, expected * factor, rtol=1e-5)


def test_a_model_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ContractError, match='lightdepth_plain_L'):
        load_perception(NodeConfig(model=str(tmp_path)))


# The check of the numbers: every entrance but the node's


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Settings of a tiny model whose OpenVINO has red and blue mixed up, and what was loaded."""
    path = make_tiny_model(tmp_path, student='plain')
    made = []

    def load(contract, onnx_path, threads):
        made.append(BrokenEngine(path, swapped_channels))
        return made[-1]

    for name in ('openvino', 'tensorrt'):
        monkeypatch.delitem(engines.ENGINES, name)
    put_in_place(monkeypatch, 'openvino', load)
    config = NodeConfig(model=str(tmp_path), input_width=96, input_height=64, backend='openvino')
    return config, made


def test_a_named_backend_with_wrong_numbers_is_an_error_with_the_numbers_and_the_remedy(broken):
    config, made = broken
    with pytest.raises(EngineError) as raised:
        load_perception(config)
    for words in (
        'openvino is refused',
        'depth differs by',
        'allowed 0.05%',
        'Set backend to onnxruntime',
    ):
        assert words in str(raised.value)
    assert made[0].closed


def test_auto_warns_of_wrong_numbers_and_goes_on_with_onnxruntime(broken, monkeypatch):
    """A choice remembered from a time when the engine was still right."""
    config, made = broken
    choice = Choice('openvino', 'fp32', 'it was fastest')
    monkeypatch.setattr(
        checked,
        'choose',
        lambda request: (load_engine(dataclasses.replace(request, backend='openvino')), choice),
    )
    lines = []
    perception = load_perception(dataclasses.replace(config, backend='auto'), lines.append)
    assert perception.engine.backend == 'onnxruntime'
    assert made[0].closed
    assert lines[-1].startswith('warning: onnxruntime takes over')
    assert 'depth differs by' in lines[-1]


def test_the_reference_itself_is_not_compared(broken):
    config, made = broken
    perception = load_perception(dataclasses.replace(config, backend='onnxruntime'))
    assert perception.engine.backend == 'onnxruntime'
    assert not made


@pytest.mark.parametrize('entrance', ['predict', 'bag'])
def test_every_command_that_predicts_refuses_the_broken_engine(
    entrance, broken, tmp_path, monkeypatch, capsys
):
    config, _ = broken
    if entrance == 'bag':
        with pytest.raises(EngineError, match='openvino is refused'):
            cli_bag_run.load(config, Console())
        return
    picture = tmp_path / 'a.png'
    picture.write_bytes(files.png(np.zeros((64, 96, 3), np.uint8)))
    words = ['--model', config.model, '--backend', 'openvino', '--out', str(tmp_path / 'out')]
    assert main(['predict', str(picture), '--input-width', '96', '--input-height', '64', *words])
    assert 'openvino is refused' in capsys.readouterr().err
    assert not list(tmp_path.glob('out/*'))


def test_nothing_else_in_the_runtime_loads_an_engine_unchecked():
    """What may: the check itself, the node's handover, the race of auto, and the benchmark."""
    allowed = ('engines/', 'bench/')
    package = Path(engines.__file__).parents[1]
    strays = [
        path.name
        for path in sorted(package.rglob('*.py'))
        if 'load_engine' in path.read_text(encoding='utf-8')
        and not path.relative_to(package).as_posix().startswith(allowed)
    ]
    assert strays == []
