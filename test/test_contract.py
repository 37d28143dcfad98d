# SPDX-License-Identifier: Apache-2.0
"""ModelContract: round trip, the proof that JSON and ONNX belong together, and refusals."""

import dataclasses
import json

import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.contract import EXIT_STRIDE, ModelContract, load_contract, shipped_contract
from lightdepth_ros.errors import ContractError


@pytest.fixture
def path(tmp_path):
    return make_tiny_model(tmp_path)


def edit(path, **changes):
    data = json.loads(path.read_text())
    data.update(changes)
    path.write_text(json.dumps(data))


def test_contract_survives_json(path):
    contract = load_contract(path)
    assert ModelContract.from_json(contract.to_json()) == contract
    assert contract.depth_range_m == (0.5, 120.0)
    assert contract.classes[10].name == 'sky'


@pytest.mark.parametrize(('exit_name', 'hw'), [('L', (160, 240)), ('XS', (20, 30))])
def test_output_size_follows_the_exit(tmp_path, exit_name, hw):
    contract = load_contract(make_tiny_model(tmp_path, exit_name))
    assert contract.output_hw == hw
    assert contract.stride == EXIT_STRIDE[exit_name]


def test_shipped_models_are_named_by_student_and_exit():
    assert shipped_contract('plain', 'M').name == 'lightdepth_plain_M.json'


def test_format_1_loads_as_a_model_that_takes_no_ground_map(path):
    data = json.loads(path.read_text())
    del data['canonical_height_m']
    data['format'] = 1
    contract = ModelContract.from_json(json.dumps(data))
    assert contract.canonical_height_m is None
    assert not contract.takes_ground


def test_canonical_height_says_that_the_model_takes_a_ground_map(tmp_path):
    contract = load_contract(make_tiny_model(tmp_path, ground=True))
    assert contract.takes_ground
    assert contract.canonical_height_m == 1.65
    assert ModelContract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'format': 1, 'canonical_height_m': 1.65}, '1.65 in a contract of format 1'),
        ({'canonical_height_m': 0.0}, 'canonical_height_m is 0.0; it must be positive'),
        ({'canonical_height_m': 'low'}, 'not a model contract'),
        ({'canonical_height_m': 1.65, 'divisor': 8}, 'divisor is 8'),
    ],
)
def test_a_ground_map_that_cannot_be_is_refused(path, changes, words):
    edit(path, **changes)
    with pytest.raises(ContractError, match=words):
        load_contract(path)


def test_changed_onnx_is_refused(path):
    onnx_path = path.with_suffix('.onnx')
    onnx_path.write_bytes(onnx_path.read_bytes() + b'\0')
    with pytest.raises(ContractError, match='SHA-256'):
        load_contract(path)


def test_missing_onnx_is_refused(path):
    path.with_suffix('.onnx').unlink()
    with pytest.raises(ContractError, match='does not exist'):
        load_contract(path)


def test_missing_contract_names_the_path_and_the_remedy(tmp_path):
    with pytest.raises(ContractError, match=r'nothing\.json.*training\.export'):
        load_contract(tmp_path / 'nothing.json')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'format': 99}, 'format is 99'),
        ({'exit': 'XXL'}, "exit is 'XXL'"),
        ({'input_hw': [300, 480]}, 'multiples of 32'),
        ({'input_hw': [0, 480]}, 'multiples of 32'),
        ({'depth_range_m': [5, 1]}, 'near < far'),
        ({'canonical_focal_px': 0}, 'canonical_focal_px'),
        ({'classes': []}, 'class ids'),
        ({'classes': [{'id': 3, 'name': 'x', 'color': [0, 0, 0], 'nav7': 0}]}, 'class ids'),
        ({'classes': 7}, 'not a model contract'),
        ({'surprise': 1}, 'not a model contract'),
    ],
)
def test_wrong_values_are_refused_by_name(path, changes, message):
    edit(path, **changes)
    with pytest.raises(ContractError, match=message):
        load_contract(path)


@pytest.mark.parametrize('text', ['', '{', '[]', '{"student": "x"}'])
def test_broken_json_is_refused(tmp_path, text):
    path = tmp_path / 'broken.json'
    path.write_text(text)
    with pytest.raises(ContractError, match=r'broken\.json'):
        load_contract(path)


def test_contract_cannot_be_changed(path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_contract(path).exit = 'M'
