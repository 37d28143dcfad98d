# SPDX-License-Identifier: Apache-2.0
"""`model: int8`: the shipped quantised files are found, switchable, and answer like the others."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import EXIT_STRIDE, MODELS_DIR, load_contract, shipped_contract
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.engines.golden import golden_image
from lightdepth_ros.errors import ContractError
from lightdepth_ros.perception.loading import contract_path
from lightdepth_ros.stream.model_set import exit_path


@pytest.mark.parametrize('name', EXIT_STRIDE)
def test_int8_names_the_shipped_file_of_every_resolution(name):
    path = exit_path(NodeConfig(model='int8', output_resolution=name))
    assert path == MODELS_DIR / 'int8' / f'lightdepth_plain_{name}.json'
    contract = load_contract(path)
    assert contract.exit == name
    assert (
        contract.training['quantised_from']
        == load_contract(shipped_contract('plain', name)).onnx_sha256
    )


@pytest.mark.parametrize('name', EXIT_STRIDE)
def test_int8_answers_nearly_as_the_float_model(name):
    image = golden_image((192, 288))
    with_float = load_engine(EngineRequest(shipped_contract('plain', name))).run(image)
    with_int8 = load_engine(
        EngineRequest(MODELS_DIR / 'int8' / f'lightdepth_plain_{name}.json')
    ).run(image)
    depth = with_int8['depth'] / with_float['depth']
    assert np.median(np.abs(depth - 1)) < 0.03
    assert (with_int8['label'] == with_float['label']).mean() > 0.93


def test_paper_student_has_no_int8_and_says_what_is_missing():
    config = NodeConfig(model='int8', student='paper')
    with pytest.raises(ContractError, match='lightdepth_paper_L'):
        load_contract(contract_path(config))
