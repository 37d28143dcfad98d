# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N815 - the names are those of CUDA and TensorRT
"""Stand-ins for the tensorrt and cuda modules, so that our code around them runs without a GPU.

A "built" engine is the ONNX model that was handed to the parser; running it means ONNX Runtime
computing it from "device" memory into "device" memory. Calls that a real stream would queue are
done at once, or recorded while a CUDA graph is captured, and replayed when it is launched.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

UNREADABLE = b'made by another driver'


class FakeCuda:
    """cuda.bindings.runtime on host memory. `live` holds what was allocated and not yet freed;
    `fault`, if set, spoils the results of every engine."""

    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, *, gpus: int = 1, can_capture: bool = True) -> None:
        self.gpus, self.can_capture = gpus, can_capture
        self.live: dict[int, Any] = {}
        self.fault: Callable[[dict[str, np.ndarray]], None] | None = None
        self._capture = threading.local()
        self.graph_launches = 0
        self.calls: list[str] = []

    @property
    def recording(self) -> list[Any] | None:
        """What this thread captures; other threads go on, as in CUDA's thread local mode."""
        return getattr(self._capture, 'actions', None)

    @recording.setter
    def recording(self, actions: list[Any] | None) -> None:
        self._capture.actions = actions

    def do(self, name: str, action: Any) -> None:
        """Do what a stream would be given: now, or later if a graph is being captured."""
        if self.recording is not None:
            self.recording.append(action)
        else:
            self.calls.append(name)
            action()

    def allocate(self, thing: Any) -> int:
        address = ctypes.addressof(thing)
        self.live[address] = thing
        return address

    def free(self, address: Any) -> tuple[int]:
        del self.live[int(address)]
        return (0,)

    def cudaGetErrorString(self, error: int) -> tuple[int, bytes]:
        return 0, f'stand-in error {error}'.encode()

    def cudaGetDeviceCount(self) -> tuple[int, int]:
        return (0, self.gpus) if self.gpus else (100, 0)

    def cudaGetDeviceProperties(self, index: int) -> tuple[int, Any]:
        return 0, SimpleNamespace(name=b'Stand-in GPU\0\0', major=8, minor=9)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, int]:
        return 0, self.allocate(ctypes.create_string_buffer(1))

    def cudaMallocHost(self, size: int) -> tuple[int, int]:
        return 0, self.allocate(ctypes.create_string_buffer(size))

    cudaMalloc = cudaMallocHost

    def cudaFree(self, address: int) -> tuple[int]:
        return self.free(address)

    cudaFreeHost = cudaStreamDestroy = cudaGraphExecDestroy = cudaFree

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[int]:
        self.do(f'copy {kind}', lambda: ctypes.memmove(target, source, size))
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:
        if not self.can_capture:
            return (900,)
        self.recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, Any]:
        graph, self.recording = self.recording, None
        return (0, graph) if self.can_capture else (901, None)

    def cudaGraphInstantiateWithFlags(self, graph: Any, flags: int) -> tuple[int, int]:
        buffer = ctypes.create_string_buffer(1)
        buffer.actions = graph
        return 0, self.allocate(buffer)

    def cudaGraphDestroy(self, graph: Any) -> tuple[int]:
        return (0,)

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[int]:
        self.graph_launches += 1
        for action in self.live[graph].actions:
            action()
        return (0,)


class Type(enum.Enum):
    """trt.DataType."""

    FLOAT = 'float32'
    UINT8 = 'uint8'


class Mode(enum.Enum):
    """trt.TensorIOMode."""

    INPUT = 1
    OUTPUT = 2


class Logger:
    """trt.ILogger."""

    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)


class FakeEngine:
    """trt.ICudaEngine and trt.IExecutionContext in one."""

    def __init__(self, cuda: FakeCuda, model: bytes) -> None:
        self.cuda = cuda
        self.session = ort.InferenceSession(model)
        self.graph = onnx.load_from_string(model).graph
        self.values = {v.name: v for v in [*self.graph.input, *self.graph.output]}
        self.address: dict[str, int] = {}
        self.inputs = [v.name for v in self.graph.input]
        self.shape = {v.name: tuple(v.shape) for v in self.session.get_inputs()}
        blank = {n: np.zeros(self.shape[n], self.get_tensor_dtype(n).value) for n in self.inputs}
        found = self.session.run(None, blank)
        names = [v.name for v in self.graph.output]
        self.shape |= {n: a.shape for n, a in zip(names, found, strict=True)}
        self.num_io_tensors = len(self.values)

    def create_execution_context(self) -> FakeEngine:
        return self

    def get_tensor_name(self, index: int) -> str:
        return list(self.values)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape[name]

    def get_tensor_dtype(self, name: str) -> Type:
        return Type.FLOAT if name in ('depth', 'ground') else Type.UINT8

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name in self.inputs else Mode.OUTPUT

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.address[name] = address
        return True

    def memory(self, name: str) -> np.ndarray:
        shape, dtype = self.shape[name], np.dtype(self.get_tensor_dtype(name).value)
        size = int(np.prod(shape)) * dtype.itemsize
        buffer = (ctypes.c_uint8 * size).from_address(self.address[name])
        return np.frombuffer(buffer, dtype).reshape(shape)

    def execute_async_v3(self, stream: int) -> bool:
        self.cuda.do('enqueue', self.compute)
        return True

    def compute(self) -> None:
        names = [v.name for v in self.graph.output]
        arrays = self.session.run(names, {n: self.memory(n).copy() for n in self.inputs})
        found = dict(zip(names, arrays, strict=True))
        if self.cuda.fault is not None:
            self.cuda.fault(found)
        for name, array in found.items():
            self.memory(name)[...] = array


class Config:
    """trt.IBuilderConfig."""

    def __init__(self, trt: Any) -> None:
        self.trt = trt

    def set_memory_pool_limit(self, pool: int, size: int) -> None: ...

    def clear_flag(self, flag: str) -> None:
        self.trt.flags.discard(flag)

    def set_flag(self, flag: str) -> None:
        self.trt.flags.add(flag)


class Builder:
    """trt.Builder. The network it creates is a place for the model."""

    def __init__(self, trt: Any, log: Any) -> None:
        self.trt, self.log = trt, log
        trt.flags = {'TF32'}

    def create_network(self, flags: int) -> Any:
        assert flags == 1 << next(iter(vars(self.trt.NetworkDefinitionCreationFlag).values()))
        return SimpleNamespace()

    def create_builder_config(self) -> Config:
        return Config(self.trt)

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        self.trt.builds += 1
        assert self.trt.gate.wait(60)
        if self.trt.fails:
            self.log.log(Logger.Severity.ERROR, 'stand-in: no tactic')
            return None
        return bytes(network.model)


class Parser:
    """trt.OnnxParser."""

    num_errors = 0

    def __init__(self, network: Any, log: Any) -> None:
        self.network = network

    def parse(self, model: bytes) -> bool:
        self.network.model = model
        return True


class Runtime:
    """trt.Runtime; UNREADABLE stands for an engine that another driver made."""

    def __init__(self, cuda: FakeCuda, log: Any) -> None:
        self.cuda, self.log = cuda, log

    def deserialize_cuda_engine(self, data: bytes) -> FakeEngine | None:
        if data == UNREADABLE:
            self.log.log(Logger.Severity.ERROR, 'stand-in: version mismatch')
            return None
        return FakeEngine(self.cuda, data)


def fake_trt(cuda: FakeCuda, *, version: str = '11.0.0') -> Any:
    """Return a module-like stand-in; before version 9 it is weakly typed, as TensorRT was.

    `builds` counts the engines begun; `flags` holds the builder flags set for the last one. A
    build waits while `gate` is closed, and gives nothing when `fails` is set.
    """
    gate = threading.Event()
    gate.set()
    weak = int(version.split('.')[0]) < 9
    flags = {'EXPLICIT_BATCH': 0} if weak else {'STRONGLY_TYPED': 1}
    names = ('TF32', 'FP16', 'INT8') if weak else ('TF32',)
    trt = SimpleNamespace(
        __name__='tensorrt',
        __version__=version,
        builds=0,
        gate=gate,
        fails=False,
        flags=set(),
        ILogger=Logger,
        OnnxParser=Parser,
        Runtime=functools.partial(Runtime, cuda),
        DataType=Type,
        TensorIOMode=Mode,
        MemoryPoolType=SimpleNamespace(WORKSPACE=0),
        NetworkDefinitionCreationFlag=SimpleNamespace(**flags),
        BuilderFlag=SimpleNamespace(**{name: name for name in names}),
    )
    trt.Builder = functools.partial(Builder, trt)
    return trt
