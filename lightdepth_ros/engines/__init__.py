# SPDX-License-Identifier: Apache-2.0
"""The Engine protocol and the table of engines. Importing this imports no inference library."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lightdepth_ros.contract import ModelContract, load_contract
from lightdepth_ros.errors import EngineError

OUTPUTS = ('depth', 'label', 'confidence')
"""What a model file gives, in order; any subset may be asked of `run`."""

ENGINES = {
    'onnxruntime': 'lightdepth_ros.engines.onnxruntime',
}
"""Backend name -> module with a function `load(contract, onnx_path, threads) -> Engine`."""


class Engine(Protocol):
    """One loaded model. Not thread safe unless its file says so: one worker owns it."""

    backend: str
    """Key in ENGINES."""
    device: str
    """Where it really runs, for the log: 'CPU', 'NVIDIA ...'."""
    contract: ModelContract

    def run(self, image: np.ndarray, outputs: Sequence[str] = OUTPUTS) -> dict[str, np.ndarray]:
        """Infer one image, (1, H, W, 3) uint8 RGB with H and W multiples of the contract's
        divisor.

        Returns only the outputs asked for, and computes nothing that only others need:
        `depth` (1, h, w) float32 metres for the canonical focal length, `label` (1, h, w) uint8,
        `confidence` (1, h, w) uint8. The arrays belong to the caller. Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Free the engine's memory; it must not be run again."""
        ...


def load_engine(contract_path: Path, backend: str = 'onnxruntime', threads: int = 1) -> Engine:
    """Load the model that `contract_path` describes.

    threads: CPU threads the engine may use. Raises ContractError or EngineError, naming the
    remedy.
    """
    if backend not in ENGINES:
        raise EngineError(f'backend is {backend!r}; it must be one of {", ".join(ENGINES)}')
    contract = load_contract(contract_path)
    module = importlib.import_module(ENGINES[backend])
    engine: Engine = module.load(contract, contract_path.parent / contract.onnx_file, threads)
    return engine
