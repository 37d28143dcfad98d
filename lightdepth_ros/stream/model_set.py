# SPDX-License-Identifier: Apache-2.0
"""The models of one student, one per output resolution, loaded when they are first needed."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

from lightdepth_ros import memory
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import EXIT_STRIDE, ModelContract, load_contract, model_name
from lightdepth_ros.engines import Engine, Report
from lightdepth_ros.engines.handover import HandoverEngine, serving_engine
from lightdepth_ros.errors import ConfigError, ContractError, EngineError
from lightdepth_ros.perception.loading import (
    contract_path,
    engine_request,
    model_note,
    own_path,
    perception_of,
)
from lightdepth_ros.perception.perception import Perception


def exit_path(config: NodeConfig) -> Path:
    """Return the contract of the model for `config.output_resolution`.

    Where `config.model` names one file, the files of the other resolutions are looked for beside
    it. Raises ContractError or ConfigError, naming the file that is missing.
    """
    path = contract_path(config)
    if not config.model or own_path(config).is_dir():
        return path
    contract = load_contract(path)
    if contract.exit == config.output_resolution:
        return path
    beside = path.parent / f'{model_name(contract.student, config.output_resolution)}.json'
    if not beside.is_file():
        raise ConfigError(
            f'output_resolution is {config.output_resolution}, but the model {path} gives '
            f'{contract.exit}, and there is no {beside.name} beside it. '
            f'Set output_resolution to {contract.exit}, or export the other resolution too.'
        )
    return beside


class ModelSet:
    """Engines by output resolution, for one set of the settings that are fixed while active.

    Thread safe: loading takes turns (`_loading`); what is kept, and whether anything may
    still be, is settled without waiting for it (`_keeping`).
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._engines: dict[str, Engine] = {}
        self._loading = threading.Lock()
        self._keeping = threading.Lock()
        self.closed = False
        """Whether `close` was called."""

    def loaded(self, config: NodeConfig) -> bool:
        """Return whether `perception` would answer at once."""
        engine = self._engines.get(config.output_resolution)
        return engine is not None and _patience_left_s(engine) == 0

    def resolutions(self, config: NodeConfig) -> list[str]:
        """Return the output resolutions that `config` may use, from fine to coarse.

        Raises ConfigError or ContractError if one of them, or all but one for auto, is missing.
        """
        if config.output_resolution != 'auto':
            if not self.loaded(config):
                self.check(config)
            return [config.output_resolution]
        found, missing = [], []
        for name in EXIT_STRIDE:
            at_name = at_resolution(config, name)
            try:
                if not self.loaded(at_name):
                    self.check(at_name)
                found.append(name)
            except (ConfigError, ContractError) as error:
                missing.append(str(error))
        if len(found) < 2:
            raise ConfigError(
                'output_resolution auto needs models of at least two resolutions; '
                f'found: {", ".join(found) or "none"}. {missing[0]}'
            )
        return found

    def check(self, config: NodeConfig) -> ModelContract:
        """Check that the files for `config.output_resolution` exist and are complete.

        Raises ConfigError or ContractError.
        """
        contract = load_contract(exit_path(config))
        if contract.exit != config.output_resolution:
            raise ContractError(
                f'{exit_path(config)} is for output_resolution {contract.exit}, its name says '
                f'{config.output_resolution}. Export the models again.'
            )
        return contract

    def start(self, config: NodeConfig) -> Engine:
        """Return the engine for `config`, which serves at once; a better one may be on its way.

        Raises ConfigError, ContractError or EngineError.
        """
        engine = self._engines.get(config.output_resolution)
        if engine is not None:  # then no other one is being loaded
            return engine
        with self._loading:
            self._refuse_if_closed()
            engine = self._engines.get(config.output_resolution)
            if engine is None:
                self.check(config)
                engine = self._load(config)
                self._keep(config.output_resolution, engine)
        return engine

    def perception(self, config: NodeConfig) -> Perception:
        """Return the model for `config`, loaded and warmed up.

        Gives an engine that is still being made a few seconds, so that few starts begin with the
        slower stand-in; not where `loaded`. Raises ConfigError, ContractError or EngineError.
        """
        engine = self.start(config)
        patience_s = _patience_left_s(engine)
        if isinstance(engine, HandoverEngine) and patience_s > 0:
            engine.wait(patience_s)
        return perception_of(config, engine)

    def close(self) -> None:
        """Free all engines; nothing may run them any more.

        Does not wait for a model that is being loaded: it is freed as soon as it is there.
        """
        with self._keeping:
            self.closed = True
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            engine.close()
        memory.give_back()

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise EngineError('the models were freed meanwhile')

    def _keep(self, name: str, engine: Engine) -> None:
        with self._keeping:
            if not self.closed:
                self._engines[name] = engine
                return
        engine.close()
        memory.give_back()
        self._refuse_if_closed()

    def _load(self, config: NodeConfig) -> Engine:
        note = model_note(config)
        if note:
            self._report(note)
        return serving_engine(engine_request(config, exit_path(config), self._report))


def at_resolution(config: NodeConfig, name: str) -> NodeConfig:
    """Return `config` with another output resolution."""
    return dataclasses.replace(config, output_resolution=name)


def _patience_left_s(engine: Engine) -> float:
    return engine.patience_left_s if isinstance(engine, HandoverEngine) else 0.0
