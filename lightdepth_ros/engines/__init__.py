# SPDX-License-Identifier: Apache-2.0
"""The Engine protocol and the table of engines. Importing this imports no inference library."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lightdepth_ros.contract import ModelContract, load_contract
from lightdepth_ros.errors import EngineError
from lightdepth_ros.perception.mount import MAP_CHANNELS, MAP_STRIDE, ground_map

IMAGE, GROUND = 'image', 'ground'
"""Names of the inputs of a model file; only a model whose contract `takes_ground` has both."""

OUTPUTS = ('depth', 'label', 'confidence')
"""What a model file gives, in order; any subset may be asked of `run`."""

ENGINES = {
    'onnxruntime': 'lightdepth_ros.engines.onnxruntime',
    'openvino': 'lightdepth_ros.engines.openvino',
    'tensorrt': 'lightdepth_ros.engines.tensorrt',
}
"""Backend name -> module with a function `load(contract, onnx_path, threads) -> Engine`. A module
with more than one precision also takes `precision`, `input_hw` and `report` by name."""

BACKENDS = ('auto', *ENGINES)
"""What the parameter `backend` and the flag --backend accept."""

PRECISIONS = {
    'onnxruntime': ('fp32',),
    'openvino': ('fp32', 'bf16'),
    'tensorrt': ('fp16', 'fp32', 'bf16'),
}
"""Precisions each backend offers, its default first. int8 is a property of the model file
(`training.quantize` writes one), so every backend runs it under its default precision."""

INSTALL = {
    'onnxruntime': 'pip install onnxruntime',
    'openvino': 'pip install openvino',
    'tensorrt': 'pip install tensorrt-rtx cuda-bindings onnx',
}
"""What to type when a backend's libraries are missing."""

Report = Callable[[str], None]
"""Called with one line of text while something slow goes on (at least every 5 s)."""


class Engine(Protocol):
    """One loaded model. Not thread safe unless its file says so: one worker owns it."""

    backend: str
    """Key in ENGINES."""
    device: str
    """Where it really runs, for the log: 'CPU', 'NVIDIA ...'."""
    contract: ModelContract

    def run(
        self,
        image: np.ndarray,
        outputs: Sequence[str] = OUTPUTS,
        ground: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Infer one image, (1, H, W, 3) uint8 RGB with H and W multiples of the contract's
        divisor.

        ground: its ground map, (1, 4, H / 16, W / 16) float32 (perception.mount.ground_map),
        for a model that takes one; None for a model that takes none.
        Returns only the outputs asked for, and computes nothing that only others need:
        `depth` (1, h, w) float32 metres for the canonical focal length, `label` (1, h, w) uint8,
        `confidence` (1, h, w) uint8. The arrays belong to the caller. Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Free the engine's memory; it must not be run again."""
        ...


def load_engine(
    contract_path: Path,
    backend: str = 'onnxruntime',
    threads: int = 1,
    *,
    precision: str = 'auto',
    input_hw: tuple[int, int] | None = None,
    report: Report | None = None,
) -> Engine:
    """Load the model that `contract_path` describes.

    backend: key of ENGINES, or `auto` for the fastest installed and working one
    (lightdepth_ros.engines.choose tells which and why; its choice is logged).
    threads: CPU threads the engine may use. precision: one of PRECISIONS[backend], or `auto` for
    the first (with backend `auto`: for whichever is fastest and accurate enough). input_hw:
    (height, width) to get ready for; None = the contract's. An engine that prepares itself for
    one size does it here instead of at the first frame.
    Raises ContractError or EngineError, naming the remedy.
    """
    if backend == 'auto':
        from lightdepth_ros.engines.choose import choose

        return choose(
            contract_path, threads, precision=precision, input_hw=input_hw, report=report
        )[0]
    precision = chosen_precision(backend, precision)
    contract = load_contract(contract_path)
    onnx_path = contract_path.parent / contract.onnx_file
    options: dict[str, Any] = {}
    if len(PRECISIONS[backend]) > 1:
        hw = input_hw or contract.input_hw
        options = {'precision': precision, 'input_hw': hw, 'report': report}
    with _naming_install_line(backend):
        module = importlib.import_module(ENGINES[backend])
        engine: Engine = module.load(contract, onnx_path, threads, **options)
    return engine


def probe(backend: str, precision: str = 'auto') -> None:
    """Raise EngineError, naming the remedy, if a backend lacks its libraries, its GPU or a
    precision that this machine would have to compute in.

    Much cheaper than loading a model; what only loading shows is not found here.
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

    For the engines whose library would convert, or read beyond, an array of another kind.
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
            f'of {image.shape}. lightdepth_ros.perception.mount.ground_map makes it.'
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
