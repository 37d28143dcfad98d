# SPDX-License-Identifier: Apache-2.0
"""NodeConfig -> the model it names, loaded and ready to predict."""

from __future__ import annotations

import logging
from pathlib import Path

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import MODELS_DIR, model_name, shipped_contract
from lightdepth_ros.engines import Engine, EngineRequest, Report, cpu
from lightdepth_ros.engines.checked import load_sound
from lightdepth_ros.perception.perception import Perception

INT8 = 'int8'
"""`model: int8` means the shipped folder of quantised models, on a CPU that gains from them."""


def own_path(config: NodeConfig) -> Path:
    """Return the file or folder that `config.model` names; it must not be empty."""
    if config.model != INT8:
        return Path(config.model).expanduser()
    return MODELS_DIR if _float_is_better(config) else MODELS_DIR / INT8


def model_note(config: NodeConfig) -> str:
    """Return a line for the log where the model is not the one whose name was given; else ''."""
    return f'model int8: {cpu.summary()}' if _float_is_better(config) else ''


def _float_is_better(config: NodeConfig) -> bool:
    """Return whether `model: int8` is answered with float32 on this CPU."""
    if config.model != INT8 or cpu.dot_product():
        return False
    quantised = MODELS_DIR / INT8 / f'{model_name(config.student, config.first_resolution)}.json'
    return quantised.is_file()


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
        mount=config.fixed_mount,
    )


def load_perception(
    config: NodeConfig, report: Report | None = None, path: Path | None = None
) -> Perception:
    """Load the model of `config` on an engine that passed the golden frame; see `load_sound`.

    path: the contract to load in place of the one that `config` names. Raises ContractError or
    EngineError.
    """
    note = model_note(config)
    if note:
        (report or logging.getLogger('lightdepth').warning)(note)
    engine = load_sound(engine_request(config, path or contract_path(config), report))
    return perception_of(config, engine)
