# SPDX-License-Identifier: Apache-2.0
"""Moves one engine's tensors to and from an NVIDIA GPU. The only file that imports cuda-python.

Written for any cuda-python from 11.8 on (`cuda.cudart`) and for cuda-bindings
(`cuda.bindings.runtime`): the few calls made here are the same in all of them.
"""

from __future__ import annotations

import ctypes
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lightdepth_ros.errors import EngineError

MODULES = ('cuda.bindings.runtime', 'cuda.cudart')


@dataclass(frozen=True)
class Gpu:
    """The GPU in use. compute_capability is 'major.minor', for example '8.9'."""

    name: str
    compute_capability: str


class TensorSpec(NamedTuple):
    """One input or output of an engine."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_input: bool


def import_cuda() -> Any:
    """Return the CUDA runtime bindings that are installed. Raises ImportError without any."""
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError('no CUDA bindings: neither cuda.bindings nor cuda.cudart is installed')


def call(cuda: Any, function: str, *args: Any) -> Any:
    """Call a CUDA runtime function; return its one result (None without any) or raise."""
    error, *results = getattr(cuda, function)(*args)
    if int(error) != 0:
        text = cuda.cudaGetErrorString(error)[1]
        reason = text.decode() if isinstance(text, bytes) else str(text)
        raise EngineError(f'CUDA: {function} failed with error {int(error)}, {reason}')
    return results[0] if results else None


def find_gpu(cuda: Any) -> Gpu:
    """Return the first GPU (CUDA_VISIBLE_DEVICES decides which that is), or raise EngineError."""
    try:
        count = call(cuda, 'cudaGetDeviceCount')
    except EngineError as error:
        raise EngineError(
            f'no usable NVIDIA GPU ({error}). Check `nvidia-smi`; in a container, start it with '
            'the NVIDIA runtime. Without a GPU set backend to auto or onnxruntime.'
        ) from error
    if count == 0:
        raise EngineError('no NVIDIA GPU is visible; see CUDA_VISIBLE_DEVICES and `nvidia-smi`')
    properties = call(cuda, 'cudaGetDeviceProperties', 0)
    name = properties.name
    text = name.decode() if isinstance(name, bytes) else str(name)
    return Gpu(text.rstrip('\0'), f'{properties.major}.{properties.minor}')


class DeviceIo:
    """Host and device memory for each tensor of one engine, and the stream they travel on.

    Host memory is page-locked: only from there do copies run without a detour and fit into a
    CUDA graph. Not thread safe.
    """

    def __init__(self, cuda: Any, tensors: list[TensorSpec]) -> None:
        self._cuda = cuda
        self._tensors = tensors
        self._graph: Any = None
        self._pinned: dict[str, Any] = {}
        self.host: dict[str, np.ndarray] = {}
        self.device: dict[str, int] = {}
        self.captured = False
        self.stream = call(cuda, 'cudaStreamCreateWithFlags', int(cuda.cudaStreamNonBlocking))
        try:
            for tensor in tensors:
                self._allocate(tensor)
        except EngineError:
            self.close()
            raise

    def run(self, enqueue: Callable[[int], bool]) -> None:
        """Copy the inputs in, `enqueue(stream)`, copy the outputs out, wait."""
        if self._graph is not None:
            call(self._cuda, 'cudaGraphLaunch', self._graph, self.stream)
        else:
            self._queue(enqueue)
        call(self._cuda, 'cudaStreamSynchronize', self.stream)

    def capture(self, enqueue: Callable[[int], bool]) -> str:
        """Record copies and kernels as one CUDA graph, which `run` then launches in one call.

        Run once before. Returns '' or why it could not be recorded: some engines cannot, and
        then `run` works as before.
        """
        cuda = self._cuda
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        try:
            call(cuda, 'cudaStreamBeginCapture', self.stream, mode)
            try:
                self._queue(enqueue)
            finally:
                graph = call(cuda, 'cudaStreamEndCapture', self.stream)
            self._graph = call(cuda, 'cudaGraphInstantiateWithFlags', graph, 0)
            call(cuda, 'cudaGraphDestroy', graph)
        except EngineError as error:
            return str(error)
        self.captured = True
        return ''

    def close(self) -> None:
        """Free everything; the arrays of `host` must not be touched afterwards."""
        cuda = self._cuda
        if self._graph is not None:
            call(cuda, 'cudaGraphExecDestroy', self._graph)
        self.host.clear()
        for pointer in self._pinned.values():
            call(cuda, 'cudaFreeHost', pointer)
        for address in self.device.values():
            call(cuda, 'cudaFree', address)
        call(cuda, 'cudaStreamDestroy', self.stream)
        self._graph, self._pinned, self.device = None, {}, {}

    def _allocate(self, tensor: TensorSpec) -> None:
        size = math.prod(tensor.shape) * tensor.dtype.itemsize
        pointer = call(self._cuda, 'cudaMallocHost', size)
        self._pinned[tensor.name] = pointer
        memory = memoryview((ctypes.c_uint8 * size).from_address(int(pointer)))
        self.host[tensor.name] = np.frombuffer(memory, tensor.dtype).reshape(tensor.shape)
        self.device[tensor.name] = int(call(self._cuda, 'cudaMalloc', size))

    def _queue(self, enqueue: Callable[[int], bool]) -> None:
        kinds = self._cuda.cudaMemcpyKind
        for tensor in self._tensors:
            if tensor.is_input:
                self._copy(self.device[tensor.name], tensor, kinds.cudaMemcpyHostToDevice)
        if not enqueue(int(self.stream)):
            raise EngineError('TensorRT refused to enqueue the network; its log says why')
        for tensor in self._tensors:
            if not tensor.is_input:
                self._copy(self.device[tensor.name], tensor, kinds.cudaMemcpyDeviceToHost)

    def _copy(self, device: int, tensor: TensorSpec, kind: Any) -> None:
        host = self.host[tensor.name]
        pair = (host.ctypes.data, device) if not tensor.is_input else (device, host.ctypes.data)
        call(self._cuda, 'cudaMemcpyAsync', *pair, host.nbytes, kind, self.stream)
