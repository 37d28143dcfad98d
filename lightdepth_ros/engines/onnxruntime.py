# SPDX-License-Identifier: Apache-2.0
"""The ONNX Runtime engine: the default everywhere, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from lightdepth_ros.contract import ModelContract
from lightdepth_ros.engines import (
    GROUND,
    IMAGE,
    OUTPUTS,
    READY,
    EngineRequest,
    check_inputs,
    named_inputs,
    unknown_ground,
)
from lightdepth_ros.engines.onnx_outputs import keep_outputs
from lightdepth_ros.errors import EngineError

PROVIDER = 'CPUExecutionProvider'
TYPES = {
    IMAGE: 'tensor(uint8)',
    'depth': 'tensor(float)',
    'label': 'tensor(uint8)',
    'confidence': 'tensor(uint8)',
}
ORT_ERRORS = tuple(
    getattr(ort_errors, name)
    for name in (
        'EPFail',
        'Fail',
        'InvalidArgument',
        'InvalidGraph',
        'InvalidProtobuf',
        'NoModel',
        'NoSuchFile',
        'NotImplemented',
        'RuntimeException',
    )
)
"""ONNX Runtime's exceptions share no base class of their own."""


class OnnxRuntimeEngine:
    """One model in ONNX Runtime, with one session for each set of outputs ever asked for.

    The first run with a new set of outputs loads its session (tens of milliseconds).
    Thread safe: runs share nothing that changes, and loading a set twice does no harm.
    """

    backend = 'onnxruntime'
    device = 'CPU'
    precision = 'fp32'
    one_size = False
    state, text = READY, ''

    def __init__(self, contract: ModelContract, model: bytes, threads: int) -> None:
        self.contract = contract
        self._model: bytes | None = model
        self._threads = threads
        self._sessions: dict[frozenset[str], Any] = {}

    def run(
        self,
        image: np.ndarray,
        outputs: Sequence[str] = OUTPUTS,
        ground: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """See Engine.run."""
        check_inputs(image, ground, self.contract)
        try:
            arrays = self.session(outputs).run(list(outputs), named_inputs(image, ground))
        except ORT_ERRORS as error:
            raise EngineError(
                f'{self.contract.onnx_file} failed on an image of {image.shape}: {error}. Export '
                'the model again, or choose another backend.'
            ) from error
        return dict(zip(outputs, arrays, strict=True))

    def session(self, outputs: Sequence[str]) -> Any:
        """Return the InferenceSession that computes these outputs and nothing else."""
        if self._model is None:
            raise EngineError('the engine was closed; load it again before running it')
        key = frozenset(outputs)
        if key not in self._sessions:
            model = self._model if key == set(OUTPUTS) else keep_outputs(self._model, key)
            self._sessions[key] = ort.InferenceSession(
                model, sess_options=_session_options(self._threads), providers=[PROVIDER]
            )
        return self._sessions[key]

    def close(self) -> None:
        """See Engine.close."""
        self._sessions.clear()
        self._model = None


def load(contract: ModelContract, onnx_path: Path, request: EngineRequest) -> OnnxRuntimeEngine:
    """Load `onnx_path` for `request.threads` CPU threads and prove that it fits its contract.

    Raises EngineError for a missing or corrupt file, and for inputs, outputs, types, sizes or a
    class count other than the contract's.
    """
    if request.threads < 1:
        raise EngineError(f'threads is {request.threads}; it must be at least 1')
    try:
        engine = OnnxRuntimeEngine(contract, onnx_path.read_bytes(), request.threads)
        session = engine.session(OUTPUTS)
    except OSError as error:
        raise EngineError(
            f'cannot read the model {onnx_path}: {error}. Export it, or name another one.'
        ) from error
    except ORT_ERRORS as error:
        raise EngineError(
            f'ONNX Runtime {ort.__version__} cannot load {onnx_path}: {error}. The file is '
            'damaged or needs a newer onnxruntime; copy it again or export it again.'
        ) from error
    _check_interface(session, contract, onnx_path)
    _check_answer(engine, onnx_path)
    return engine


def plain_runner(model: bytes, threads: int, precision: str) -> Callable[[np.ndarray], list[Any]]:
    """Return a function that runs any one-input model on an array: to measure, not to perceive.

    precision: 'fp32', the only one here. Raises EngineError.
    """
    try:
        session = ort.InferenceSession(
            model, sess_options=_session_options(threads), providers=[PROVIDER]
        )
    except ORT_ERRORS as error:
        raise EngineError(
            f'ONNX Runtime {ort.__version__} cannot read a model: {error}'
        ) from error
    name = session.get_inputs()[0].name
    return lambda array: list(session.run(None, {name: array}))


def _session_options(threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning workers burn a core between frames that the rest of the robot needs.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    # Without an 8-bit dot product, int8 sums saturate in 16 bits; this takes the exact kernels.
    options.add_session_config_entry('session.x64quantprecision', '1')
    options.log_severity_level = 3
    return options


def _check_interface(session: Any, contract: ModelContract, path: Path) -> None:
    nodes = [*session.get_inputs(), *session.get_outputs()]
    found = {node.name: node.type for node in nodes}
    expected = TYPES | ({GROUND: 'tensor(float)'} if contract.takes_ground else {})
    if found != expected:
        height_m = contract.canonical_height_m
        raise EngineError(
            f'{path} has the inputs and outputs {found}; by its contract (canonical_height_m '
            f'{height_m}) it needs {expected}. Export the model with `python -m training.export`.'
        )
    declared = session.get_modelmeta().custom_metadata_map.get('class_count')
    if declared is not None and declared != str(len(contract.classes)):
        raise EngineError(
            f'{path} was exported for {declared} classes, its contract lists '
            f'{len(contract.classes)}. Keep the JSON and ONNX of one export together.'
        )


def _check_answer(engine: OnnxRuntimeEngine, path: Path) -> None:
    """Run the smallest input once: sizes and labels must be those the contract promises."""
    contract = engine.contract
    side = max(contract.divisor, contract.stride)
    ramp = np.arange(side * side * 3, dtype=np.uint32).astype(np.uint8)
    ground = unknown_ground(contract, (side, side))
    answer = engine.run(ramp.reshape(1, side, side, 3), ground=ground)
    expected = (1, side // contract.stride, side // contract.stride)
    for name, array in answer.items():
        if array.shape != expected:
            raise EngineError(
                f'{path} gives {name} of shape {array.shape} for a {side}x{side} input; exit '
                f'{contract.exit} (stride {contract.stride}) must give {expected}. '
                'Keep the JSON and ONNX of one export together.'
            )
    highest = int(answer['label'].max())
    if highest >= len(contract.classes) and highest != 255:
        raise EngineError(
            f'{path} gives label {highest}, its contract lists {len(contract.classes)} classes '
            f'(0..{len(contract.classes) - 1}). Keep the JSON and ONNX of one export together.'
        )
