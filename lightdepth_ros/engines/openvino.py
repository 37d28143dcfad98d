# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU. Only this file and openvino_graph.py import it.

Each image size and each set of outputs is compiled once, when it is first asked for: OpenVINO
then computes nothing else, and knows every tensor's size beforehand. Not thread safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from lightdepth_ros.contract import ModelContract
from lightdepth_ros.engines import (
    GROUND,
    IMAGE,
    OUTPUTS,
    READY,
    EngineRequest,
    check_inputs,
    cpu,
    ground_shape,
    named_inputs,
    unknown_ground,
)
from lightdepth_ros.engines.openvino_graph import rewrite
from lightdepth_ros.errors import EngineError

KEPT_COMPILED = 6
"""Compiled combinations kept: three sets of outputs at two sizes. The oldest goes first."""

HINTS = {'fp32': 'f32', 'bf16': 'bf16'}
"""Said explicitly: left alone, OpenVINO computes in bf16 wherever the CPU can."""


class OpenVinoEngine:
    """One model on OpenVINO's CPU plugin, set for the shortest time per image."""

    backend = 'openvino'
    one_size = True
    """Another size works too, but is compiled within the first `run`: too long for a robot's
    frame, so handover.py lets ONNX Runtime serve it until an engine for it is made."""
    state, text = READY, ''

    def __init__(
        self, contract: ModelContract, onnx_path: Path, threads: int, precision: str
    ) -> None:
        self.contract = contract
        self.precision = precision
        self._core = ov.Core()
        self.device = _device_name(self._core, precision)
        self._config = _config(threads, precision)
        try:
            self._model = self._core.read_model(onnx_path)
        except RuntimeError as error:
            raise EngineError(f'OpenVINO cannot read {onnx_path}: {error}') from error
        self._compiled: dict[tuple[tuple[int, int], tuple[str, ...]], ov.InferRequest] = {}

    def run(
        self,
        image: np.ndarray,
        outputs: Sequence[str] = OUTPUTS,
        ground: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """See Engine.run. The first call for a size or a set of outputs compiles it (0.1-1 s)."""
        check_inputs(image, ground, self.contract)
        try:
            request = self._request((image.shape[1], image.shape[2]), tuple(outputs))
            request.infer(named_inputs(image, ground), share_inputs=True)
            return {
                name: request.get_output_tensor(index).data.copy()
                for index, name in enumerate(outputs)
            }
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO failed on an image {image.shape} {image.dtype}: {error}'
            ) from error

    def close(self) -> None:
        """See Engine.close."""
        self._compiled.clear()
        self._model = None

    def _request(self, input_hw: tuple[int, int], outputs: tuple[str, ...]) -> ov.InferRequest:
        key = input_hw, outputs
        if self._model is None:
            raise EngineError('the engine was closed; load it again before running it')
        if key not in self._compiled:
            while len(self._compiled) >= KEPT_COMPILED:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = self._compile(input_hw, outputs)
        return self._compiled[key]

    def _compile(self, input_hw: tuple[int, int], outputs: tuple[str, ...]) -> ov.InferRequest:
        whole = self._model.clone()
        results = [whole.output(name).get_node() for name in outputs]
        model = ov.Model(results, whole.get_parameters(), 'lightdepth')
        shapes = {IMAGE: [1, *input_hw, 3]}
        if self.contract.takes_ground:
            shapes[GROUND] = list(ground_shape(input_hw))
        model.reshape(shapes)
        rewrite(model, self.precision)
        return self._core.compile_model(model, 'CPU', self._config).create_infer_request()


def probe(precision: str) -> None:
    """Raise EngineError if OpenVINO cannot compute in `precision` here."""
    _device_name(ov.Core(), precision)


def load(contract: ModelContract, onnx_path: Path, request: EngineRequest) -> OpenVinoEngine:
    """Load a model; `input_hw` is compiled now (all outputs), other sizes when they come.

    precision: 'fp32', or 'bf16' on a CPU that has it (EngineError elsewhere).
    """
    engine = OpenVinoEngine(contract, onnx_path, request.threads, request.precision)
    if request.input_hw is not None:
        blank = np.zeros((1, *request.input_hw, 3), np.uint8)
        engine.run(blank, ground=unknown_ground(contract, request.input_hw))
    return engine


def plain_runner(model: bytes, threads: int, precision: str) -> Callable[[np.ndarray], list[Any]]:
    """Return a function that runs any one-input model of fixed size: to measure, not to perceive.

    Raises EngineError.
    """
    core = ov.Core()
    try:
        compiled = core.compile_model(core.read_model(model), 'CPU', _config(threads, precision))
    except RuntimeError as error:
        raise EngineError(f'OpenVINO cannot compile a model: {error}') from error
    request = compiled.create_infer_request()

    def run(array: np.ndarray) -> list[Any]:
        request.infer([array], share_inputs=True)
        return [tensor.data for tensor in request.output_tensors]

    return run


def _config(threads: int, precision: str) -> dict[str, Any]:
    return {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': threads,
        'NUM_STREAMS': 1,
        'INFERENCE_PRECISION_HINT': HINTS[precision],
    }


def _device_name(core: ov.Core, precision: str) -> str:
    try:
        name = core.get_property('CPU', 'FULL_DEVICE_NAME').strip()
        capabilities = core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    except RuntimeError as error:
        raise EngineError(f'OpenVINO finds no usable CPU plugin: {error}') from error
    if cpu.cap() in cpu.WITHOUT_BF16:  # OpenVINO lists what is there, not what it may use
        capabilities = [word for word in capabilities if word != 'BF16']
    if precision == 'bf16' and 'BF16' not in capabilities:
        raise EngineError(
            f'precision is bf16, but {name} computes in {", ".join(capabilities)} only. '
            'Set precision to auto or fp32.'
        )
    return f'CPU ({name}, {precision})'
