# SPDX-License-Identifier: Apache-2.0
"""Serves frames with ONNX Runtime while a slower starting engine is being built and checked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lightdepth_ros.engines import OUTPUTS, Engine, Report, chosen_precision, load_engine, probe
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.golden import REFERENCE, load_checked

PATIENCE_S = 3.0
"""Most engines are ready by then; for the others the caller does not wait."""


def serving_engine(
    contract_path: Path,
    backend: str,
    threads: int,
    report: Report,
    *,
    precision: str = 'auto',
    input_hw: tuple[int, int] | None = None,
) -> Engine:
    """Return an engine that may serve a robot: checked on the golden frame, never long in coming.

    ONNX Runtime, the reference, is returned as it is; anything else as a HandoverEngine, whose
    `state` and `text` are for the diagnostics. Raises ContractError or EngineError, at once, for
    what cannot work at all.
    """
    if backend == REFERENCE:
        return load_engine(contract_path, backend, threads, precision=precision)
    engine = HandoverEngine(
        contract_path, backend, threads, report, precision=precision, input_hw=input_hw
    )
    engine.wait(PATIENCE_S)
    return engine


class HandoverEngine:
    """An Engine: ONNX Runtime at first, the wanted backend once it is ready and has passed.

    state   'building', 'ready', or 'refused' (then ONNX Runtime stays): for the diagnostics.
    text    the reason behind the state, one line.
    """

    def __init__(
        self,
        contract_path: Path,
        backend: str,
        threads: int,
        report: Report,
        *,
        precision: str = 'auto',
        input_hw: tuple[int, int] | None = None,
    ) -> None:
        """Load ONNX Runtime and start building. Raises EngineError at once, naming the remedy,
        when a backend that was named lacks its libraries or its GPU."""
        if backend != 'auto':
            chosen_precision(backend, precision)
            probe(backend)
        self._now = load_engine(contract_path, REFERENCE, threads)
        self._next: Engine | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._report = report
        self.contract = self._now.contract
        self.backend, self.device = self._now.backend, self._now.device
        self.precision = 'fp32'
        self.state, self.text = 'building', f'{backend} is being made ready; {REFERENCE} serves'
        self._builder = threading.Thread(
            target=self._build,
            args=(contract_path, backend, threads, precision, input_hw),
            name='engine build',
            daemon=True,
        )
        self._builder.start()

    def run(self, image: np.ndarray, outputs: Sequence[str] = OUTPUTS) -> dict[str, np.ndarray]:
        """See Engine.run. The change of engine happens between two calls."""
        self._take_over()
        return self._now.run(image, outputs)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the wanted engine is ready or refused; False if it took longer.

        For the thread that also calls `run`.
        """
        self._builder.join(timeout_s)
        self._take_over()
        return not self._builder.is_alive()

    def close(self) -> None:
        """See Engine.close. A build that still runs ends by itself and is thrown away."""
        with self._lock:
            self._closed = True
            new, self._next = self._next, None
        self._now.close()
        if new is not None:
            new.close()

    def _take_over(self) -> None:
        with self._lock:
            new, self._next = self._next, None
        if new is not None:
            self._now.close()
            self._now = new
            self.backend, self.device = new.backend, new.device
            self.precision = str(getattr(new, 'precision', 'fp32'))

    def _build(
        self,
        contract_path: Path,
        backend: str,
        threads: int,
        precision: str,
        input_hw: tuple[int, int] | None,
    ) -> None:
        try:
            engine, verdict = load_checked(
                contract_path,
                backend,
                threads,
                precision=precision,
                input_hw=input_hw,
                report=self._report,
            )
        except LightdepthError as error:
            self.state, self.text = 'refused', f'{backend} failed: {error}'
            self._report(f'{self.text}. {REFERENCE} goes on.')
            return
        with self._lock:
            wanted = verdict.passed and not self._closed
            if wanted:
                self._next = engine
        if not wanted:
            engine.close()
        self.state, self.text = 'ready' if verdict.passed else 'refused', verdict.text
        self._report(self.text if wanted else f'{self.text}. {REFERENCE} goes on.')
