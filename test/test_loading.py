# SPDX-License-Identifier: Apache-2.0
"""NodeConfig names a model; loading finds it and hands the settings on."""

import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import shipped_contract
from lightdepth_ros.errors import ContractError
from lightdepth_ros.loading import contract_path, load_perception


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


def test_a_model_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ContractError, match='lightdepth_plain_L'):
        load_perception(NodeConfig(model=str(tmp_path)))
