# SPDX-License-Identifier: Apache-2.0
"""Settings and model that belong together, and how they change while frames keep coming."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.model_set import ModelSet
from lightdepth_ros.perception import Perception


@dataclass(frozen=True)
class Pipeline:
    """Settings and the model that runs with them; swapped as a whole between two frames."""

    config: NodeConfig
    perception: Perception

    @property
    def facts(self) -> dict[str, str]:
        """What really runs, for the log and for diagnostics."""
        engine = self.perception.engine
        stride = engine.contract.stride
        height, width = self.config.input_hw
        about = '' if self.config.fit != 'adapt' else 'about '
        return {
            'model': engine.contract.onnx_file,
            'output_resolution': engine.contract.exit,
            'backend': engine.backend,
            'device': engine.device,
            'input': f'{about}{width}x{height}',
            'output': f'{about}{width // stride}x{height // stride}',
        }


class Switcher:
    """Owns the current pipeline. A model that must be loaded first is loaded in the background,
    so the old one keeps publishing until the new one takes over between two frames."""

    def __init__(
        self,
        models: ModelSet,
        config: NodeConfig,
        tell: Callable[[Pipeline], None],
        complain: Callable[[str], None],
    ) -> None:
        """Load the model of `config`; raises ConfigError, ContractError or EngineError.

        tell: called with each new pipeline. complain: called with the reason why one could not
        be loaded. Both may come from another thread.
        """
        self._models = models
        self._tell = tell
        self._complain = complain
        self._config = config
        self.current = Pipeline(config, models.perception(config))

    def change(self, config: NodeConfig) -> None:
        """Run with `config` as soon as its model is loaded.

        Raises ConfigError or ContractError, and changes nothing, if that model cannot be used.
        """
        if self._models.loaded(config):
            self._config = config
            self._take_over(config)
            return
        self._models.check(config)
        self._config = config
        threading.Thread(target=self._load, args=(config,), name='loading', daemon=True).start()

    def close(self) -> None:
        """Free all models; the current pipeline must not be run again."""
        self._models.close()

    def _load(self, config: NodeConfig) -> None:
        try:
            self._models.perception(config)
        except LightdepthError as error:
            self._complain(
                f'output_resolution {config.output_resolution} cannot be loaded, so '
                f'{self.current.config.output_resolution} goes on: {error}'
            )
            return
        if self._config.output_resolution == config.output_resolution:
            self._take_over(self._config)

    def _take_over(self, config: NodeConfig) -> None:
        before = self.current.config.output_resolution
        self.current = Pipeline(config, self._models.perception(config))
        if config.output_resolution != before:
            self._tell(self.current)
