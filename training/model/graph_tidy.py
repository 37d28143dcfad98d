# SPDX-License-Identifier: Apache-2.0
"""Takes out of an exported ONNX graph what tracing left behind and no robot needs to compute.

PyTorch writes every constant as a node of its own (two for each ReLU6), keeps casts to the type
that a tensor already has, and lets equal weights share one through Identity. Nothing here changes
a number.
"""

from __future__ import annotations

import onnx

from lightdepth_ros.engines.tensorrt_graph import constants_to_initializers, drop_unused


def tidy(model: onnx.ModelProto) -> None:
    """Make constants initializers, each value once; drop copies and dead ends."""
    graph = model.graph
    constants_to_initializers(graph)
    drop_copies(model)
    share_equal_constants(graph)
    drop_unused(graph)
    del graph.value_info[:]


def share_equal_constants(graph: onnx.GraphProto) -> None:
    """Let the readers of equal constants read one of them; weights keep a tensor for each layer.

    The quantiser gives every layer's weights a scale of their own.
    """
    weights = {name for node in graph.node if node.op_type == 'Conv' for name in node.input[1:]}
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in [t for t in graph.initializer if t.name not in weights]:
        data = onnx.numpy_helper.to_array(tensor).tobytes()
        key = (tensor.data_type, tuple(tensor.dims), data)
        same[tensor.name] = first.setdefault(key, tensor.name)
    _read_instead(graph, same)


def drop_copies(model: onnx.ModelProto) -> None:
    """Remove each Identity, and each Cast of a tensor to its own type, that makes no output."""
    graph = model.graph
    known = onnx.shape_inference.infer_shapes(model).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*known.value_info, *graph.input)}
    outputs = {value.name for value in graph.output}
    same: dict[str, str] = {}
    for node in list(graph.node):
        to = next((a.i for a in node.attribute if a.name == 'to'), None)
        copies = node.op_type == 'Identity' or (
            node.op_type == 'Cast' and types.get(node.input[0]) == to
        )
        if copies and node.output[0] not in outputs:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
            graph.node.remove(node)
    _read_instead(graph, same)


def _read_instead(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
