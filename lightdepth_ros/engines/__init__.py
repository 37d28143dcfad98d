# SPDX-License-Identifier: Apache-2.0
"""The request for an engine, and what every engine does. Importing this loads no inference
library."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from lightdepth_ros.backends import BACKENDS, ENGINES, INSTALL, PRECISIONS
from lightdepth_ros.contract import ModelContract, load_contract
from lightdepth_ros.errors import EngineError
from lightdepth_ros.mount import MAP_CHANNELS, MAP_STRIDE, ground_map

IMAGE, GROUND = 'image', 'ground'
"""Names of the inputs of a model file; only a model whose contract `takes_ground` has both."""

OUTPUTS = ('depth', 'label', 'confidence')
"""What a model file gives, in order; any subset may be asked of `run`."""

Report = Callable[[str], None]
"""Called with one line of text while something slow runs (at least every 5 s)."""

BUILDING, READY, REFUSED = 'building', 'ready', 'refused'
"""States of an engine, as the diagnostics show them."""


@dataclass(frozen=True)
class EngineRequest:
    """Which model to load, on which engine.

    backend    key of ENGINES; `auto`, the fastest that works and is right, is understood by
               `choose`, `load_checked`, `load_sound` and `serving_engine`.
    threads    CPU threads the engine may use.
    precision  one of PRECISIONS[backend], or `auto` for the first (with backend `auto`: for
               whichever is fastest and accurate enough).
    input_hw   (height, width) to get ready for; None = the contract's.
    report     called with progress and warnings, one line each; None = the log.
    """

    contract_path: Path
    backend: str = 'onnxruntime'
    threads: int = 1
    precision: str = 'auto'
    input_hw: tuple[int, int] | None = None
    report: Report | None = None

    @property
    def tell(self) -> Report:
        """`report`, or the log."""
        return self.report or logging.getLogger('lightdepth').info


class Engine(Protocol):
    """One loaded model. Not thread safe unless its file says so: one worker owns it."""

    backend: str
    """Key in ENGINES."""
    device: str
    """Where it really runs, for the log: 'CPU', 'NVIDIA ...'."""
    precision: str
    """One of PRECISIONS[backend]."""
    one_size: bool
    """Whether an image of another size than the one asked for costs a build within `run`."""
    state: str
    """BUILDING, READY or REFUSED; only a HandoverEngine is ever anything but READY."""
    text: str
    """What is behind the state, one line; '' = nothing to add."""
    contract: ModelContract

    def run(
        self,
        image: np.ndarray,
        outputs: Sequence[str] = OUTPUTS,
        ground: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Infer one image, (1, H, W, 3) uint8 RGB with H and W multiples of the contract's
        divisor.

        ground: its ground map, (1, 4, H / 16, W / 16) float32 (lightdepth_ros.mount.ground_map),
        for a model that takes one; None for a model that takes none.
        Returns only the outputs asked for, and computes nothing that only others need:
        `depth` (1, h, w) float32 metres for the canonical focal length, `label` (1, h, w) uint8,
        `confidence` (1, h, w) uint8. The arrays belong to the caller. Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Free the engine's memory; it must not be run again."""
        ...


def load_engine(request: EngineRequest) -> Engine:
    """Load a model on the named engine, without checking its numbers.

    An engine that prepares itself for one size does it here instead of at the first frame. Raises
    ContractError or EngineError, naming the remedy.
    """
    precision = chosen_precision(request.backend, request.precision)
    contract = load_contract(request.contract_path)
    hw = request.input_hw or contract.input_hw
    onnx_path = request.contract_path.parent / contract.onnx_file
    with _naming_install_line(request.backend):
        module = importlib.import_module(ENGINES[request.backend])
        engine: Engine = module.load(
            contract, onnx_path, replace(request, precision=precision, input_hw=hw)
        )
    return engine


def probe(backend: str, precision: str = 'auto') -> None:
    """Raise EngineError, naming the remedy, if a backend lacks its libraries, its GPU or a
    precision that this machine would have to compute in.

    Much cheaper than loading a model, so it does not find everything.
    """
    precision = chosen_precision(backend, precision)
    with _naming_install_line(backend):
        module = importlib.import_module(ENGINES[backend])
        if hasattr(module, 'probe'):
            module.probe(precision)


@contextlib.contextmanager
def _naming_install_line(backend: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EngineError(
            f'backend {backend} cannot be loaded ({error}). Install it with '
            f'`{INSTALL[backend]}`, or set backend to auto.'
        ) from error


def chosen_precision(backend: str, precision: str) -> str:
    """Return the precision `auto` stands for, or refuse one the backend does not offer."""
    assert backend != 'auto', 'lightdepth_ros.engines.choose chooses'
    if backend not in ENGINES:
        raise EngineError(f'backend is {backend!r}; it must be one of {", ".join(BACKENDS)}')
    offered = PRECISIONS[backend]
    if precision == 'auto':
        return offered[0]
    if precision not in offered:
        raise EngineError(
            f'precision is {precision!r}; backend {backend} offers {", ".join(offered)}. '
            'An int8 model is a file of its own: give its contract as the model.'
        )
    return precision


def check_inputs(image: np.ndarray, ground: np.ndarray | None, contract: ModelContract) -> None:
    """Raise EngineError unless `image` is (1, H, W, 3) uint8 with sides the contract allows, and
    `ground` its ground map if the model takes one, else None.

    For engines whose library would convert another array, or read past its end.
    """
    divisor = contract.divisor
    fits = image.dtype == np.uint8 and image.ndim == 4 and image.shape[::3] == (1, 3)
    if not fits or any(side == 0 or side % divisor for side in image.shape[1:3]):
        raise EngineError(
            f'the image is {image.dtype} {image.shape}; {contract.onnx_file} takes (1, H, W, 3) '
            f'uint8 with H and W multiples of {divisor}.'
        )
    if not contract.takes_ground:
        if ground is not None:
            raise EngineError(
                f'a ground map was given; {contract.onnx_file} takes none. Leave it out.'
            )
        return
    shape = ground_shape((image.shape[1], image.shape[2]))
    if ground is None or ground.dtype != np.float32 or ground.shape != shape:
        found = 'missing' if ground is None else f'{ground.dtype} {ground.shape}'
        raise EngineError(
            f'the ground map is {found}; {contract.onnx_file} takes {shape} float32 with an image '
            f'of {image.shape}. lightdepth_ros.mount.ground_map makes it.'
        )


def ground_shape(input_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the shape of the ground map for a network input of (height, width) pixels."""
    return 1, MAP_CHANNELS, input_hw[0] // MAP_STRIDE, input_hw[1] // MAP_STRIDE


def unknown_ground(contract: ModelContract, input_hw: tuple[int, int]) -> np.ndarray | None:
    """Return the ground map of a camera of which nothing is known; None where none is taken."""
    return ground_map(None, None, input_hw) if contract.takes_ground else None


def named_inputs(image: np.ndarray, ground: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the inputs by name, contiguous, as the inference libraries want them."""
    found = {IMAGE: np.ascontiguousarray(image)}
    if ground is not None:
        found[GROUND] = np.ascontiguousarray(ground)
    return found
