# SPDX-License-Identifier: Apache-2.0
"""TensorRT, or TensorRT-RTX, on an NVIDIA GPU. The only file, with tensorrt_build, that knows it.

An engine ("plan") holds for one image size and one set of outputs. Plans come from the cache
(lightdepth_ros.engines.cache) or are built, and run as one CUDA graph. Not thread safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.contract import ModelContract
from lightdepth_ros.engines import (
    GROUND,
    IMAGE,
    OUTPUTS,
    READY,
    EngineRequest,
    Report,
    check_inputs,
    ground_shape,
)
from lightdepth_ros.engines.cache import EngineKey, discard
from lightdepth_ros.engines.cuda_io import DeviceIo, Gpu, TensorSpec, find_gpu, import_cuda
from lightdepth_ros.engines.tensorrt_build import (
    cached_plan,
    check_precision,
    import_tensorrt,
    make_logger,
    plan_key,
)
from lightdepth_ros.errors import EngineError

KEPT_PLANS = 6
"""Plans kept in GPU memory, about 20 MB each. The oldest goes first."""

PREPARED = (OUTPUTS, ('depth',))
"""Sets of outputs built at load: everything, and what a consumer of depth alone needs. Another
set is served by the first of these that covers it, rather than by a build in mid-drive."""

PlanId = tuple[tuple[int, int], tuple[str, ...]]


@dataclass(frozen=True)
class Plan:
    """One deserialised engine, ready to run."""

    engine: Any
    context: Any
    io: DeviceIo


@dataclass(frozen=True)
class Libraries:
    """The modules at work, handed in so that a test can put stand-ins in their place."""

    trt: Any
    cuda: Any


class TensorRtEngine:
    """One model on one GPU."""

    backend = 'tensorrt'
    one_size = True
    """An image of a size that was not prepared costs a build: see HandoverEngine."""
    state, text = READY, ''

    def __init__(
        self,
        contract: ModelContract,
        onnx_path: Path,
        precision: str,
        libraries: Libraries,
        report: Report,
    ) -> None:
        self.contract = contract
        self.precision = precision
        self.gpu: Gpu = find_gpu(libraries.cuda)
        trt = libraries.trt
        self.device = f'{self.gpu.name} ({trt.__name__} {trt.__version__}, {precision})'
        self._onnx_path = onnx_path
        self._libraries = libraries
        self._report = report
        self._log = make_logger(trt)
        self._runtime = trt.Runtime(self._log)
        self._plans: dict[PlanId, Plan] = {}

    def run(
        self,
        image: np.ndarray,
        outputs: Sequence[str] = OUTPUTS,
        ground: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """See Engine.run. The first image of a size not given to `load` builds plans for it."""
        check_inputs(image, ground, self.contract)
        if self._runtime is None:
            raise EngineError('the engine was closed; load it again before running it')
        plan = self._plan((image.shape[1], image.shape[2]), outputs)
        np.copyto(plan.io.host[IMAGE], image)
        if ground is not None and GROUND in plan.io.host:
            np.copyto(plan.io.host[GROUND], ground)
        plan.io.run(plan.context.execute_async_v3)
        return {name: plan.io.host[name].copy() for name in outputs}

    def prepare(self, input_hw: tuple[int, int]) -> None:
        """Load or build the plans for one image size, so that `run` does not have to."""
        for outputs in PREPARED:
            plan_id = input_hw, outputs
            if plan_id in self._plans:
                continue
            while len(self._plans) >= KEPT_PLANS:
                self._plans.pop(next(iter(self._plans))).io.close()
            self._plans[plan_id] = self._ready_plan(input_hw, outputs)

    def close(self) -> None:
        """See Engine.close."""
        for plan in self._plans.values():
            plan.io.close()
        self._plans.clear()
        self._runtime = None

    def _plan(self, input_hw: tuple[int, int], outputs: Sequence[str]) -> Plan:
        for prepared in reversed(PREPARED):
            if set(outputs) <= set(prepared):
                if (input_hw, prepared) not in self._plans:
                    self.prepare(input_hw)
                return self._plans[input_hw, prepared]
        raise EngineError(f'outputs are {tuple(outputs)}; they must be among {OUTPUTS}')

    def _ready_plan(self, input_hw: tuple[int, int], outputs: tuple[str, ...]) -> Plan:
        """Load a plan; one that TensorRT will not take any more is built again, once."""
        trt, capability = self._libraries.trt, self.gpu.compute_capability
        key = plan_key(trt, self.contract, self.precision, input_hw, outputs, capability)
        data = cached_plan(trt, self._onnx_path, key, self._report)
        try:
            return self._load(data, key)
        except EngineError as error:
            self._report(f'warning: {error}. Building the engine again.')
        discard(key)
        return self._load(cached_plan(trt, self._onnx_path, key, self._report), key)

    def _load(self, data: bytes, key: EngineKey) -> Plan:
        engine = self._runtime.deserialize_cuda_engine(data)
        context = engine.create_execution_context() if engine is not None else None
        if context is None:
            raise EngineError(
                f'TensorRT cannot load the engine: {"; ".join(self._log.lines[-3:])}'
            )
        tensors = _tensors(self._libraries.trt, engine)
        _check_tensors(tensors, key, self.contract)
        io = DeviceIo(self._libraries.cuda, tensors)
        try:
            for name, address in io.device.items():
                context.set_tensor_address(name, address)
            for tensor in tensors:
                io.host[tensor.name][:] = 0
            io.run(context.execute_async_v3)  # the first run allocates and may compile: no capture
        except EngineError:
            io.close()
            raise
        problem = io.capture(context.execute_async_v3)
        if problem:
            self._report(f'TensorRT runs without a CUDA graph: {problem}')
        return Plan(engine, context, io)


def probe(precision: str = 'fp16') -> Gpu:
    """Return the GPU that would be used.

    Raises EngineError without one, or where this TensorRT lacks the precision; ImportError
    without the libraries.
    """
    check_precision(import_tensorrt(), precision)
    return find_gpu(import_cuda())


def load(
    contract: ModelContract,
    onnx_path: Path,
    request: EngineRequest,
    libraries: Libraries | None = None,
) -> TensorRtEngine:
    """Load a model on the first visible GPU; builds its engines unless they are cached.

    Threads are not used, the GPU does the work. A build takes seconds with tensorrt_rtx and up to
    minutes with tensorrt; `report` is told every 5 s. Raises EngineError without a GPU.
    """
    if libraries is None:
        libraries = Libraries(import_tensorrt(), import_cuda())
    engine = TensorRtEngine(contract, onnx_path, request.precision, libraries, request.tell)
    try:
        engine.prepare(request.input_hw or contract.input_hw)
    except EngineError:
        engine.close()
        raise
    return engine


def _tensors(trt: Any, engine: Any) -> list[TensorSpec]:
    types: dict[Any, np.dtype[Any]] = {
        trt.DataType.FLOAT: np.dtype(np.float32),
        trt.DataType.UINT8: np.dtype(np.uint8),
    }
    return [
        TensorSpec(
            name,
            tuple(engine.get_tensor_shape(name)),
            types[engine.get_tensor_dtype(name)],
            engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT,
        )
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors))
    ]


def _check_tensors(tensors: list[TensorSpec], key: EngineKey, contract: ModelContract) -> None:
    """Raise EngineError unless inputs, outputs, types and sizes are those the key promises.

    The ground map may be missing: it is cut off where the wanted outputs do not need it.
    """
    height, width = key.input_hw
    stride = contract.stride
    expected: dict[str, tuple[tuple[int, ...], Any]] = {IMAGE: ((1, height, width, 3), np.uint8)}
    for name in key.outputs:
        kind = np.float32 if name == 'depth' else np.uint8
        expected[name] = (1, height // stride, width // stride), kind
    found = {tensor.name: (tensor.shape, tensor.dtype.type) for tensor in tensors}
    if contract.takes_ground and GROUND in found:
        expected[GROUND] = ground_shape(key.input_hw), np.float32
    if found != expected:
        raise EngineError(f'the engine has the tensors {found}; {expected} were expected')
