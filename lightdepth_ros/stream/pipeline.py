# SPDX-License-Identifier: Apache-2.0
"""Settings with their model, and how both change while frames keep coming."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.engines import Engine
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.stream.model_set import ModelSet, at_resolution
from lightdepth_ros.stream.pacing import ResolutionPacer


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
        of_network = f'{about}{width // stride}x{height // stride}'
        at_camera_size = self.config.publish_size == 'camera'
        return {
            'model': engine.contract.onnx_file,
            'output_resolution': engine.contract.exit,
            'backend': engine.backend,
            'device': engine.device,
            'precision': _precision(engine),
            'engine': engine.state,
            **({'engine_note': engine.text} if engine.text else {}),
            'input': f'{about}{width}x{height}',
            'output': 'as the camera image' if at_camera_size else of_network,
        }


def _precision(engine: Engine) -> str:
    """Return the number format that runs; of a quantised model its 8 bits too."""
    stored = str(engine.contract.training.get('precision', ''))
    return f'{stored} with {engine.precision}' if stored else engine.precision


class Switcher:
    """Owns the current pipeline. Models that must be loaded first are loaded in the background,
    so the old one keeps publishing until the new one takes over between two frames."""

    def __init__(
        self,
        models: ModelSet,
        config: NodeConfig,
        tell: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        """Load the models of `config`; raises ConfigError, ContractError or EngineError.

        tell: called with each change of resolution, in words. complain: called with the reason
        why a model could not be loaded. Both may come from another thread.
        """
        self._models = models
        self._tell = tell
        self._complain = complain
        self._config = config
        self._pacer: ResolutionPacer | None = None
        self._taking_over = threading.Lock()
        names = models.resolutions(config)
        self._get_ready(config, names)
        self.current = self._pipeline(config, names)

    def change(self, config: NodeConfig) -> None:
        """Run with `config` as soon as its models are loaded.

        Raises ConfigError or ContractError, and changes nothing, if they cannot be used.
        """
        names = self._models.resolutions(config)
        self._config = config
        if all(self._models.loaded(at_resolution(config, name)) for name in names):
            self._take_over(config, names)
            return
        arguments = (config, names)
        threading.Thread(target=self._load, args=arguments, name='loading', daemon=True).start()

    def observe(self, latency_ms: float, now_s: float) -> None:
        """Take the latency of a frame into account, where output_resolution is auto."""
        pacer = self._pacer
        step = pacer.observe(latency_ms, now_s) if pacer else None
        if step is None:
            return
        with self._taking_over:
            if self._pacer is not pacer:  # the user changed the settings meanwhile
                return
            config = at_resolution(self._config, step.resolution)
            self.current = Pipeline(config, self._models.perception(config))
        self._tell(step.reason)

    def close(self) -> None:
        """Free all models; the current pipeline must not be run again."""
        self._models.close()

    def _load(self, config: NodeConfig, names: list[str]) -> None:
        try:
            self._get_ready(config, names)
            if self._config.output_resolution == config.output_resolution:
                self._take_over(self._config, names)
        except LightdepthError as error:
            if not self._models.closed:
                self._complain(
                    f'output_resolution {config.output_resolution} cannot be loaded, so '
                    f'{self.current.config.output_resolution} goes on: {error}'
                )

    def _get_ready(self, config: NodeConfig, names: list[str]) -> None:
        """Load the models, all at once: those that have to be built are waited for together."""
        for name in names:
            self._models.start(at_resolution(config, name))
        for name in names:
            self._models.perception(at_resolution(config, name))

    def _take_over(self, config: NodeConfig, names: list[str]) -> None:
        with self._taking_over:
            before = self.current.config.output_resolution
            self.current = self._pipeline(config, names)
            after = self.current.config.output_resolution
        if after != before:
            self._tell(f'output_resolution {before} -> {after}: as set')

    def _pipeline(self, config: NodeConfig, names: list[str]) -> Pipeline:
        """Return the pipeline for `config`, whose models `names` are loaded."""
        if config.output_resolution != 'auto':
            self._pacer = None
        elif self._pacer is None or self._pacer.limit_ms != config.max_latency_ms:
            self._pacer = ResolutionPacer(config.max_latency_ms, names)
        config = at_resolution(config, self._pacer.resolution if self._pacer else names[0])
        return Pipeline(config, self._models.perception(config))
