# SPDX-License-Identifier: Apache-2.0
"""The least that a network costs, and the most that this machine can do: two ceilings.

Reading ONNX graphs needs the `onnx` package, which a robot does not: without it the benchmark
runs and leaves these columns empty.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.backends import ENGINES
from lightdepth_ros.errors import EngineError

MATRIX = 1024
"""Side of the square float32 matrices: 4 MiB each, the size at which libraries do best."""
COPY_BYTES = 64 << 20
"""More than the caches hold, so that it is memory that is measured."""


@dataclass(frozen=True)
class Cost:
    """The work that a network needs for one image.

    gmac   1e9 multiply-accumulates in convolutions and matrix products.
    mbyte  1e6 bytes that pass at least: weights, inputs and outputs of the convolutions, once
           each, as float32.
    nodes  operations in the graph.
    """

    gmac: float
    mbyte: float
    nodes: int


def network_cost(onnx_path: Path, input_shape: tuple[int, ...]) -> Cost:
    """Return the cost of an ONNX file for an input of `input_shape`. ImportError without onnx."""
    onnx: Any = importlib.import_module('onnx')
    model = onnx.load(onnx_path)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, input_shape, strict=True):
        dim.Clear()
        dim.dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.ClearField('shape')
    shapes = _shapes(onnx.shape_inference.infer_shapes(model, data_prop=True).graph)
    macs, numbers = 0, 0
    for node in model.graph.node:
        if node.op_type in ('Conv', 'ConvTranspose', 'MatMul', 'Gemm'):
            x, w, y = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
            per_output = math.prod(w[1:]) if node.op_type == 'Conv' else w[0]
            # A transposed convolution does for each input what a convolution does per output.
            macs += (
                math.prod(x) * math.prod(w[1:])
                if 'Trans' in node.op_type
                else (math.prod(y) * per_output)
            )
            numbers += math.prod(x) + math.prod(w) + math.prod(y)
    return Cost(macs / 1e9, 4 * numbers / 1e6, len(model.graph.node))


def _shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    shapes = {t.name: tuple(t.dims) for t in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        shapes[value.name] = tuple(d.dim_value for d in dims)
    for node in graph.node:  # constants that were not moved to the initializers
        for attribute in node.attribute:
            if node.op_type == 'Constant' and attribute.name == 'value':
                shapes[node.output[0]] = tuple(attribute.t.dims)
    return shapes


def matrix_product(threads: int) -> Callable[[], None]:
    """Return a function that multiplies two float32 matrices in ONNX Runtime: 2 * MATRIX^3 flop.

    ONNX Runtime's own product is the ceiling of its convolutions, which are made of it; the
    right-hand matrix is a constant, as weights are.
    """
    onnx: Any = importlib.import_module('onnx')
    side = MATRIX
    values = np.random.default_rng(0).random((2, side, side), np.float32)
    info, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('MatMul', ['a', 'b'], ['c'])],
        'product',
        [info('a', types.FLOAT, [side, side])],
        [info('c', types.FLOAT, [side, side])],
        [onnx.numpy_helper.from_array(values[1], 'b')],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnxruntime: Any = importlib.import_module(ENGINES['onnxruntime'])
    run = onnxruntime.plain_runner(model.SerializeToString(), threads, 'fp32')
    return lambda: run(values[0])


def memory_copy(threads: int) -> Callable[[], None]:
    """Return a function that copies COPY_BYTES with this many threads, each its own part."""
    if threads < 1:
        raise EngineError(f'threads is {threads}; it must be at least 1')
    source = np.ones(COPY_BYTES // threads * threads, np.uint8).reshape(threads, -1)
    target = np.zeros_like(source)
    if threads == 1:
        return lambda: np.copyto(target, source)
    pool = ThreadPoolExecutor(threads)

    def copy() -> None:
        list(pool.map(np.copyto, target, source))

    return copy
