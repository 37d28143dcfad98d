# SPDX-License-Identifier: Apache-2.0
"""NodeConfig -> the model it names, loaded and ready to predict."""

from __future__ import annotations

from pathlib import Path

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import MODELS_DIR, model_name, shipped_contract
from lightdepth_ros.engines import Engine, EngineRequest, Report
from lightdepth_ros.engines.checked import load_sound
from lightdepth_ros.perception.perception import Perception

INT8 = 'int8'
"""`model: int8` means the shipped folder of quantised models."""


def own_path(config: NodeConfig) -> Path:
    """Return the file or folder that `config.model` names; it must not be empty."""
    return MODELS_DIR / INT8 if config.model == INT8 else Path(config.model).expanduser()


def contract_path(config: NodeConfig) -> Path:
    """Return the contract JSON that `config` names: shipped, a file, or by name in a folder."""
    if not config.model:
        return shipped_contract(config.student, config.first_resolution)
    path = own_path(config)
    if path.is_dir():
        return path / f'{model_name(config.student, config.first_resolution)}.json'
    return path


def engine_request(config: NodeConfig, path: Path, report: Report | None) -> EngineRequest:
    """Return the engine that `config` asks for, with the model whose contract is `path`."""
    return EngineRequest(
        path, config.backend, config.threads, config.precision, config.input_hw, report
    )


def perception_of(config: NodeConfig, engine: Engine) -> Perception:
    """Return a Perception that runs `engine` with the settings of `config`."""
    return Perception(
        engine,
        input_hw=config.input_hw,
        fit=config.fit,
        depth_scale=config.depth_scale,
        min_range_m=config.min_range_m,
        max_range_m=config.max_range_m,
        min_confidence=config.min_confidence,
    )


def load_perception(
    config: NodeConfig, report: Report | None = None, path: Path | None = None
) -> Perception:
    """Load the model of `config` on an engine that passed the golden frame; see `load_sound`.

    path: the contract to load in place of the one that `config` names. Raises ContractError or
    EngineError.
    """
    engine = load_sound(engine_request(config, path or contract_path(config), report))
    return perception_of(config, engine)
