# SPDX-License-Identifier: Apache-2.0
"""`model: int8`: the shipped quantised files are found, switchable, and answer like the others."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import EXIT_STRIDE, MODELS_DIR, load_contract, shipped_contract
from lightdepth_ros.engines import EngineRequest, cpu, load_engine
from lightdepth_ros.engines.golden import golden_ground, golden_image
from lightdepth_ros.errors import ContractError
from lightdepth_ros.perception.loading import contract_path, load_perception
from lightdepth_ros.stream.model_set import ModelSet, exit_path


@pytest.fixture
def with_dot_product(monkeypatch):
    monkeypatch.delenv(cpu.CAP, raising=False)
    monkeypatch.setattr(cpu, 'flags', lambda: frozenset({'avx2', 'avx_vnni'}))


@pytest.fixture(params=['old CPU', 'capped CPU'])
def without_dot_product(request, monkeypatch):
    monkeypatch.delenv(cpu.CAP, raising=False)
    flags = {'avx2'}
    if request.param == 'capped CPU':
        monkeypatch.setenv(cpu.CAP, 'avx2')
        flags.add('avx512_vnni')
    monkeypatch.setattr(cpu, 'flags', lambda: frozenset(flags))


@pytest.mark.parametrize('name', EXIT_STRIDE)
def test_int8_names_the_shipped_file_of_every_resolution(with_dot_product, name):
    path = exit_path(NodeConfig(model='int8', output_resolution=name))
    assert path == MODELS_DIR / 'int8' / f'lightdepth_plain_{name}.json'
    contract = load_contract(path)
    assert contract.exit == name
    assert (
        contract.training['quantised_from']
        == load_contract(shipped_contract('plain', name)).onnx_sha256
    )


@pytest.mark.parametrize('name', EXIT_STRIDE)
def test_int8_names_the_float_file_where_8_bits_gain_too_little(without_dot_product, name):
    config = NodeConfig(model='int8', output_resolution=name)
    assert exit_path(config) == shipped_contract('plain', name)


def test_the_log_says_that_int8_means_float_here(without_dot_product):
    lines: list[str] = []
    perception = load_perception(NodeConfig(model='int8', output_resolution='XS'), lines.append)
    assert 'precision' not in perception.engine.contract.training
    assert len(lines) == 1
    assert 'no 8-bit dot product; model int8 means the float32 models' in lines[0]


def test_the_node_says_it_too(without_dot_product):
    lines: list[str] = []
    models = ModelSet(lines.append)
    models.start(NodeConfig(model='int8', output_resolution='XS'))
    models.close()
    assert sum('model int8 means the float32 models' in line for line in lines) == 1


def test_nothing_is_said_where_int8_is_int8(with_dot_product):
    lines: list[str] = []
    perception = load_perception(NodeConfig(model='int8', output_resolution='XS'), lines.append)
    assert perception.engine.contract.training['precision'] == 'int8'
    assert lines == []


@pytest.mark.parametrize('name', EXIT_STRIDE)
def test_int8_weights_keep_to_7_bits(name):
    onnx = pytest.importorskip('onnx')
    path = MODELS_DIR / 'int8' / f'lightdepth_plain_{name}.onnx'
    arrays = [onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
    weights = [a for a in arrays if a.dtype == np.int8 and a.ndim == 4]
    assert len(weights) >= 8
    assert max(abs(w.astype(int)).max() for w in weights) == 64


@pytest.mark.parametrize('name', EXIT_STRIDE)
def test_int8_answers_nearly_as_the_float_model(name):
    image = golden_image((192, 288))
    plain, answers = shipped_contract('plain', name), []
    for path in (plain, MODELS_DIR / 'int8' / plain.name):
        engine = load_engine(EngineRequest(path))
        ground = golden_ground(engine.contract, (192, 288), known=True)
        answers.append(engine.run(image, ground=ground))
    with_float, with_int8 = answers
    depth = with_int8['depth'] / with_float['depth']
    assert np.median(np.abs(depth - 1)) < 0.03
    assert (with_int8['label'] == with_float['label']).mean() > 0.93


def test_paper_student_has_no_int8_and_says_what_is_missing(without_dot_product):
    config = NodeConfig(model='int8', student='paper')
    with pytest.raises(ContractError, match='lightdepth_paper_L'):
        load_contract(contract_path(config))
